// needs: native addon
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as SagaKills from "../support/sagaKills.ts"
import { tempFile } from "../support/tempDirectory.ts"

it.scopedLive(
  "a process that runs fifty sagas is killed: each is carried through or undone, by the next",
  () =>
    Effect.gen(function*() {
      const { absorbed, compensated, completed } = yield* SagaKills.run("sqlite", yield* tempFile(), "", 4)
      assert.isAtLeast(completed, 20)
      assert.isAtLeast(compensated, 5)
      assert.isAtLeast(absorbed, 1)
    }),
  120_000
)
