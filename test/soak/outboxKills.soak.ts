// needs: native addon
import { it } from "@effect/vitest"
import { Effect } from "effect"
import * as OutboxKills from "../support/outboxKills.ts"
import * as Soak from "../support/soak.ts"

for (const [kind, whole] of [["store", 200], ["table", 100]] as const) {
  it.scopedLive(`the relay of the ${kind} is killed between commit and publish, and between publish and checkpoint`, () =>
    Effect.map(OutboxKills.run(kind, Soak.times(whole)), ({ doubled, kills, messages }) =>
      Soak.report(
        "outboxKills",
        `${kind}: ${kills} kills with SIGKILL, half of them between commit and publish and half between publish and ` +
          `checkpoint; ${messages.toLocaleString("en-US")} messages, each handled once, in order; ` +
          `${doubled.toLocaleString("en-US")} published again and dropped by the inbox`
      )))
}
