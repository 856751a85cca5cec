// needs: native addon
import { it } from "@effect/vitest"
import { Effect } from "effect"
import * as Soak from "../support/soak.ts"
import * as SqliteKills from "../support/sqliteKills.ts"

it.scopedLive("a process that appends is killed at random moments", () =>
  Effect.map(SqliteKills.run(Soak.times(200)), ({ acknowledged, events, kills }) =>
    Soak.report(
      "sqliteKills",
      `${kills} kills with SIGKILL; ${
        acknowledged.toLocaleString("en-US")
      } acknowledged appends, none lost, none twice, ` +
        `none in part; ${events.toLocaleString("en-US")} events without a gap`
    )))
