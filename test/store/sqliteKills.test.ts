// needs: native addon
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as SqliteKills from "../support/sqliteKills.ts"

it.scopedLive(
  "50 kills: what was acknowledged is there once, nothing in part, no version missing",
  () =>
    Effect.gen(function*() {
      const outcome = yield* SqliteKills.run(50)
      assert.isAtLeast(outcome.acknowledged, 500)
      assert.isAtLeast(outcome.events, outcome.acknowledged)
    }),
  300_000
)
