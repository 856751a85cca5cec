// needs: native addon
import { it } from "@effect/vitest"
import { Effect } from "effect"
import * as Postgres from "../support/postgres.ts"
import * as SagaKills from "../support/sagaKills.ts"
import * as Servers from "../support/servers.ts"
import * as Soak from "../support/soak.ts"
import { tempFile } from "../support/tempDirectory.ts"

// 300 on each when it is run whole; each takes a second or more, so that a tenth of the scale is a hundredth of them
const kills = Math.max(2, Math.round(300 * Soak.scale ** 2))

const told = (where: string) => ({ absorbed, compensated, completed, kills }: SagaKills.Outcome) =>
  Soak.report(
    "sagaKills",
    `${where}: ${kills} kills with SIGKILL of a process with 50 sagas at a time; ${
      completed.toLocaleString("en-US")
    } ` +
      `sagas completed with all of their effects, ${
        compensated.toLocaleString("en-US")
      } compensated with none, in reverse ` +
      `order; ${absorbed.toLocaleString("en-US")} effects asked for again and absorbed by their keys`
  )

it.scopedLive(
  "a process that runs fifty sagas at a time is killed over and over, on SQLite",
  () => Effect.flatMap(tempFile(), (file) => Effect.map(SagaKills.run("sqlite", file, "", kills), told("SQLite"))),
  3_600_000
)

Servers.suite("postgres", "kills of sagas on PostgreSQL", (url) => {
  it.scopedLive(
    "a process that runs fifty sagas at a time is killed over and over",
    () =>
      Effect.flatMap(
        Postgres.prefix(url),
        (prefix) => Effect.map(SagaKills.run("postgres", url, prefix, kills), told("PostgreSQL"))
      ),
    3_600_000
  )
})
