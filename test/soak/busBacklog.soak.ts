// needs: native addon
import { afterAll, describe, it } from "@effect/vitest"
import * as EventBus from "effect-skald/bus/EventBus"
import * as Publisher from "effect-skald/bus/Publisher"
import * as SqlBus from "effect-skald/bus/Sql"
import * as Subscription from "effect-skald/bus/Subscription"
import * as Event from "effect-skald/event/Event"
import * as SqliteClient from "effect-skald/store/SqliteClient"
import * as BusConformance from "effect-skald/testing/BusConformance"
import { Deferred, Effect, Exit, Layer, Schema } from "effect"
import { ok, strictEqual } from "node:assert/strict"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { liveHeap } from "../support/liveHeap.ts"
import * as Soak from "../support/soak.ts"

const directory = mkdtempSync(join(tmpdir(), "skald-"))
const backlog = Soak.times(100_000)
const timeout = 600_000

BusConformance.suite("memory", {
  layer: EventBus.layerMemory,
  capabilities: ["delay", "priority", "history"],
  exact: true,
  backlog,
  connects: Soak.times(10_000),
  timeout
})

BusConformance.suite("sqlite", {
  layer: Layer.provide(
    SqlBus.layer({ pollInterval: "10 millis", leaseTtl: "1 second", leaseEvery: "200 millis" }),
    SqliteClient.layer({ filename: join(directory, "bus.db") })
  ),
  capabilities: ["delay", "priority", "history", "durable", "shared", "transactions"],
  lease: "1 second",
  backlog,
  connects: Soak.times(1_000),
  timeout
})

const Placed = Event.make("Placed", { order: Schema.String, amount: Schema.Number })
const published = Soak.times(1_000_000)
const MiB = 2 ** 20

/**
 * Publishes a backlog and works it off. What the heap holds more than before: `highest`, `each` of those that wait, `most` beyond
 * all of those that still wait, and `left` in the end.
 */
const workOff = (published: number) =>
  Effect.scoped(Effect.gen(function*() {
    const orders = Publisher.make([Placed])
    const subscription = { events: [Placed], concurrency: 8 } as const
    yield* Effect.scoped(Subscription.run("s", { ...subscription, handler: () => Effect.void }))
    const before = liveHeap()
    const page = 10_000
    for (let n = 0; n < published; n += page) {
      yield* orders.publishAll(Array.from({ length: page }, (_, at) => Placed({ order: "o", amount: n + at })))
      // vitest wants to be answered now and then
      yield* Effect.sleep("1 millis")
    }
    const full = liveHeap() - before
    const each = full / published
    const beyond: Array<number> = []
    const above: Array<number> = [full]
    let sum = 0
    let seen = 0
    const done = yield* Deferred.make<void>()
    yield* Subscription.run("s", {
      ...subscription,
      handler: ({ amount }) => {
        const counted = Effect.sync(() => {
          // of what is left, and of what the bus remembers for those who begin with the earliest
          if (seen % (published / 10) === 0) {
            above.push(liveHeap() - before)
            beyond.push(above[above.length - 1]! - each * (published - seen))
          }
          sum += amount
          if (++seen === published) Deferred.unsafeDone(done, Exit.void)
        })
        return amount % page === 0 ? Effect.zipRight(Effect.sleep("1 millis"), counted) : counted
      }
    })
    yield* Deferred.await(done)
    strictEqual(sum, published * (published - 1) / 2)
    const left = liveHeap() - before
    return { highest: Math.max(...above, left), each, left, most: Math.max(...beyond, left) }
  }))

describe("a backlog in memory", () => {
  it.live(
    "is let go as it is worked off, and its consumer holds no more of a large one than of a small one",
    () =>
      Effect.gen(function*() {
        const { each, left, most } = yield* workOff(published)
        // places of messages that were taken are let go in steps, of half of those that wait
        ok(most < 32 * MiB + 16 * published, `${(most / MiB).toFixed(1)} MiB beyond the backlog`)
        ok(left < 32 * MiB, `${(left / MiB).toFixed(1)} MiB are left`)
        Soak.report(
          "busBacklog",
          `${published.toLocaleString("en-US")} messages in memory, ${each.toFixed(0)} bytes each; the heap at most ${
            (most / MiB).toFixed(1)
          } MiB above what was still waiting, ${(left / MiB).toFixed(1)} MiB when all were handled`
        )
      }).pipe(Effect.provide(EventBus.layerMemory)),
    timeout
  )
})

describe("a backlog in SQLite", () => {
  it.live(
    "is none of the heap's business, however large: neither while it is published nor while it is worked off",
    () =>
      Effect.gen(function*() {
        // whatever the number: what waits stands in the file
        const { highest } = yield* workOff(published)
        ok(highest < 16 * MiB, `${(highest / MiB).toFixed(1)} MiB`)
        Soak.report(
          "busBacklog",
          `${published.toLocaleString("en-US")} messages in SQLite; the heap at most ${
            (highest / MiB).toFixed(1)
          } MiB above what it was without them`
        )
      }).pipe(Effect.provide(
        Layer.provide(SqlBus.layer(), SqliteClient.layer({ filename: join(directory, "backlog.db") }))
      )),
    timeout
  )
})

afterAll(() => {
  rmSync(directory, { recursive: true, force: true })
  Soak.report(
    "busBacklog",
    `the suite of the bus over a backlog of ${
      backlog.toLocaleString("en-US")
    }, never more than 100 of it in the process`
  )
})
