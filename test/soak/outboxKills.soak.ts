// needs: native addon
import { describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as OutboxKills from "../support/outboxKills.ts"
import * as Servers from "../support/servers.ts"
import * as Soak from "../support/soak.ts"

/** A process takes long to begin on a server: CI kills a few there. */
const times = (whole: number, server: string | undefined) =>
  server === undefined || Soak.scale >= 1 ? Soak.times(whole) : 2

const cases = (name: string, server?: string) => {
  for (const [kind, whole] of [["store", 200], ["table", 100]] as const) {
    it.scopedLive(`the relay of the ${kind} is killed between commit and publish, and between publish and checkpoint`, () =>
      Effect.map(OutboxKills.run(kind, times(whole, server), server), ({ doubled, kills, messages }) =>
        Soak.report(
          "outboxKills",
          `${name}, ${kind}: ${kills} kills with SIGKILL, half of them between commit and publish and half between ` +
            `publish and checkpoint; ${messages.toLocaleString("en-US")} messages, each handled once, in order; ` +
            `${doubled.toLocaleString("en-US")} published again and dropped by the inbox`
        )))
  }
}

describe("outbox kills on SQLite", () => {
  cases("SQLite")
})

Servers.suite("postgres", "outbox kills on PostgreSQL", (server) => {
  cases("PostgreSQL", server)
})
