// needs: native addon
import { it } from "@effect/vitest"
import { Effect } from "effect"
import * as CopyKills from "../support/copyKills.ts"
import * as Servers from "../support/servers.ts"
import * as Soak from "../support/soak.ts"

const report = (what: string) =>
(
  { bytes, copies, kills, resumed }: {
    readonly bytes: number
    readonly copies: number
    readonly kills: number
    readonly resumed: number
  }
) =>
  Soak.report(
    "copyKills",
    `${what}: ${kills} kills with SIGKILL at random moments; ${copies} copies of ${
      bytes.toLocaleString("en-US")
    } bytes, ` +
      `${resumed} of them gone on with, each the same to the byte`
  )

it.scopedLive("an export is killed", () => Effect.map(CopyKills.exports(20_000, Soak.times(200)), report("export")))

it.scopedLive(
  "an import into SQLite is killed",
  () => Effect.map(CopyKills.importsIntoSqlite(10_000, Soak.times(200)), report("import into SQLite"))
)

Servers.suite("postgres", "an import into PostgreSQL that is killed", (url) => {
  it.scopedLive("goes on", () =>
    Effect.map(
      CopyKills.importsIntoPostgres(url, 10_000, Soak.times(100)),
      report("import into PostgreSQL")
    ))
})
