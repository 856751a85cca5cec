// needs: native addon
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as OutboxKills from "../support/outboxKills.ts"
import * as Servers from "../support/servers.ts"

const cases = (kills: number, server?: string) => {
  for (const kind of ["store", "table"] as const) {
    it.scopedLive(
      `the outbox of the ${kind}: killed between commit and publish, and between publish and checkpoint, nothing is lost`,
      () =>
        Effect.map(OutboxKills.run(kind, kills, server), ({ doubled, messages }) => {
          assert.isAtLeast(messages, 3 * (kills + 1))
          // a batch that was published and not checkpointed is published again
          assert.isAtLeast(doubled, Math.floor(kills / 2))
        }),
      120_000
    )
  }
}

describe("outbox kills on SQLite", () => {
  cases(3)
})

Servers.suite("postgres", "outbox kills on PostgreSQL", (server) => {
  cases(2, server)
})
