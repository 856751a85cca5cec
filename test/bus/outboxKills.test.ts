// needs: native addon
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as OutboxKills from "../support/outboxKills.ts"

for (const kind of ["store", "table"] as const) {
  it.scopedLive(
    `the outbox of the ${kind}: killed between commit and publish, and between publish and checkpoint, nothing is lost`,
    () =>
      Effect.map(OutboxKills.run(kind, 5), ({ doubled, messages }) => {
        assert.isAtLeast(messages, 18)
        // a batch that was published and not checkpointed is published again
        assert.isAtLeast(doubled, 2)
      }),
    120_000
  )
}
