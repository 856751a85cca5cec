// needs: native addon
import { describe, it } from "@effect/vitest"
import * as CopyKills from "../support/copyKills.ts"
import * as Servers from "../support/servers.ts"

describe("a copy whose process is killed and begun again is the same to the byte", () => {
  it.scopedLive("an export", () => CopyKills.exports(6_000, 4), 120_000)
  it.scopedLive("an import into SQLite", () => CopyKills.importsIntoSqlite(2_000, 3), 120_000)
})

Servers.suite("postgres", "a copy into PostgreSQL whose process is killed and begun again", (url) => {
  it.scopedLive("is the same to the byte", () => CopyKills.importsIntoPostgres(url, 2_000, 3), 120_000)
})
