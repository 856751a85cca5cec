import { describe, expect, it } from "@effect/vitest"
import { SqlClient } from "@effect/sql"
import { BusError } from "effect-skald/bus/BusError"
import * as EventBus from "effect-skald/bus/EventBus"
import * as Outbox from "effect-skald/bus/Outbox"
import * as Publisher from "effect-skald/bus/Publisher"
import * as SqlOutbox from "effect-skald/bus/SqlOutbox"
import * as StagedMessages from "effect-skald/bus/StagedMessages"
import * as Subscription from "effect-skald/bus/Subscription"
import * as Correlation from "effect-skald/event/Correlation"
import * as Envelope from "effect-skald/event/Envelope"
import * as Event from "effect-skald/event/Event"
import * as Postgres from "effect-skald/Postgres"
import * as Sqlite from "effect-skald/Sqlite"
import * as Category from "effect-skald/store/Category"
import { CheckpointStore } from "effect-skald/store/CheckpointStore"
import { EventStore } from "effect-skald/store/EventStore"
import type * as Lease from "effect-skald/store/Lease"
import { Context, Deferred, Duration, Effect, Exit, Layer, Redacted, Schema, Scope } from "effect"
import { onBoth } from "../support/embedded.ts"
import * as Database from "../support/postgres.ts"
import * as Servers from "../support/servers.ts"
import { tempFile } from "../support/tempDirectory.ts"

const Placed = Event.make("Placed", { n: Schema.Number }, { subject: "order.placed", alias: ["Ordered"] })
const Paid = Event.make("Paid", { n: Schema.Number }, { subject: "order.paid" })
const Moved = Event.make("Moved", { n: Schema.Number })
const Orders = Category.make("order", { id: Schema.String, events: [Placed, Paid] })
const Stocks = Category.make("stock", { id: Schema.String, events: [Moved] })

interface Seen {
  readonly id: string
  readonly subject: string
  readonly key: string | undefined
  readonly n: unknown
  readonly delivery: Subscription.Delivery
}

/** Everything that reaches the bus, as a subscription of it sees it. */
const watch = Effect.gen(function*() {
  const seen: Array<Seen> = []
  yield* Subscription.runSelect("watch", {
    select: "**",
    handler: (event, delivery) =>
      Effect.sync(() => {
        const { id, key, subject } = delivery
        seen.push({ id, key, subject, n: (event.payload as { readonly n: unknown }).n, delivery })
      }),
    onError: {}
  })
  return seen
})

/** Lets real time pass until it holds. */
const until = (holds: () => boolean, what: string) =>
  Effect.gen(function*() {
    const from = performance.now()
    while (!holds()) {
      if (performance.now() - from > 8_000) return yield* Effect.die(new Error(`not within 8 s: ${what}`))
      yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 5)))
    }
  })

const numbers = (count: number) => Array.from({ length: count }, (_, n) => n)

/** The bus with some of its operations replaced. */
const withBus = (change: (bus: EventBus.Service) => Partial<EventBus.Service>) =>
  Layer.effect(EventBus.EventBus, Effect.map(EventBus.EventBus, (bus) => ({ ...bus, ...change(bus) })))

onBoth("outbox from the store", (stores) => {
  const layer = Layer.merge(stores, EventBus.layerMemory)

  it.scopedLive("what was appended before and after reaches the bus once, in the order of the log", () =>
    Effect.gen(function*() {
      const seen = yield* watch
      for (const n of numbers(10)) yield* Orders.append(`${n % 3}`, [Placed({ n })])
      const outbox = yield* Outbox.run("orders", { batch: 4 })
      yield* outbox.awaitPosition(10)
      for (const n of numbers(10)) yield* Orders.append(`${n % 3}`, [Paid({ n: 10 + n })])
      yield* outbox.awaitPosition(20)
      yield* until(() => seen.length >= 20, "20 messages")
      expect(seen.map(({ n }) => n)).toEqual(numbers(20))
      expect(new Set(seen.map(({ key }) => key))).toEqual(new Set(["order-0", "order-1", "order-2"]))
      const again = yield* Outbox.run("orders")
      expect(yield* again.position).toBe(20)
    }).pipe(Effect.provide(layer)))

  it.scopedLive("a message is its event: id, times, source, correlation, tenant, headers, subject and key", () =>
    Effect.gen(function*() {
      const seen = yield* watch
      const outbox = yield* Outbox.run("orders", {
        events: [Placed],
        headers: ({ stream }) => ({ from: stream }),
        key: ({ stream }) => stream === "order-7" ? undefined : `k/${stream}`
      })
      const placed = Envelope.make(Placed({ n: 1 }), {
        id: "the-id",
        occurredAt: "2020-01-02T03:04:05Z",
        source: "shop",
        headers: { own: "yes" }
      })
      yield* Correlation.locally(Orders.append("1", [placed]), {
        correlationId: "talk",
        causationId: "cause",
        tenant: "acme",
        actor: "ann"
      })
      yield* Orders.append("7", [Placed({ n: 2 })])
      yield* outbox.awaitPosition(2)
      yield* until(() => seen.length >= 2, "2 messages")
      const [first, second] = seen
      expect([first!.id, first!.subject, first!.key, second!.key]).toEqual([
        "the-id",
        "order.placed",
        "k/order-1",
        undefined
      ])
      expect(first!.delivery.occurredAt.epochMillis).toBe(Date.parse("2020-01-02T03:04:05Z"))
      expect(first!.delivery.source).toBe("shop")
      expect(first!.delivery.metadata).toMatchObject({
        correlationId: "talk",
        causationId: "cause",
        tenant: "acme",
        actor: "ann",
        headers: { own: "yes", from: "order-1" }
      })
    }).pipe(Effect.provide(layer)))

  it.scopedLive("by category, by types and by where it starts; the library's own marks stay in the log", () =>
    Effect.gen(function*() {
      const seen = yield* watch
      yield* Orders.append("1", [Placed({ n: 1 }), Paid({ n: 2 })])
      yield* Stocks.append("1", [Moved({ n: 3 })])
      const store = yield* EventStore
      yield* store.append([{ stream: "order-9", events: [{ type: "Ordered", payload: { _tag: "Ordered", n: 4 } }] }])
      const stocks = yield* Outbox.run("stocks", { category: "stock" })
      yield* stocks.awaitPosition(4)
      yield* until(() => seen.length >= 1, "the stock")
      const placed = yield* Outbox.run("placed", { events: [Placed], start: 1 })
      yield* placed.awaitPosition(4)
      yield* until(() => seen.length >= 2, "the older tag")
      const latest = yield* Outbox.run("latest", { types: ["Paid"], start: "latest" })
      yield* Orders.append("2", [Paid({ n: 5 })])
      yield* latest.awaitPosition(5)
      yield* until(() => seen.length >= 3, "the latest")
      expect(seen.map(({ n, subject }) => [n, subject])).toEqual([[3, "Moved"], [4, "order.placed"], [5, "Paid"]])
      const rest = yield* Outbox.run("rest", { start: 5 })
      yield* store.tombstone("stock-1")
      yield* rest.awaitPosition(6)
      expect(yield* rest.position).toBe(6)
      expect(seen).toHaveLength(3)
    }).pipe(Effect.provide(layer)))

  it.scopedLive("two relays at once do the work once; the other takes over where the first ends", () =>
    Effect.gen(function*() {
      const seen = yield* watch
      const first = yield* Scope.make()
      yield* Scope.extend(Outbox.run("orders", { batch: 3 }), first)
      const outbox = yield* Outbox.run("orders", { batch: 3, lease: { ttl: "500 millis" } })
      for (const n of numbers(50)) yield* Orders.append(`${n % 5}`, [Placed({ n })])
      yield* outbox.awaitPosition(50)
      yield* Scope.close(first, Exit.void)
      for (const n of numbers(50)) yield* Orders.append(`${n % 5}`, [Placed({ n: 50 + n })])
      yield* outbox.awaitPosition(100)
      yield* until(() => seen.length >= 100, "100 messages")
      expect(seen.map(({ n }) => n)).toEqual(numbers(100))
    }).pipe(Effect.provide(layer)))

  it.scopedLive("a relay that lost its lease while it published moves no checkpoint", () =>
    Effect.gen(function*() {
      const entered = yield* Deferred.make<void>()
      const gate = yield* Deferred.make<void>()
      const slow = withBus((bus) => ({
        publish: (messages) =>
          Deferred.succeed(entered, undefined).pipe(
            Effect.zipRight(Deferred.await(gate)),
            Effect.uninterruptible,
            Effect.zipRight(bus.publish(messages))
          )
      }))
      const seen = yield* watch
      yield* Orders.append("1", [Placed({ n: 1 })])
      // never renewed: it is lost while the bus does not answer
      yield* Layer.build(
        Outbox.layer("orders", { lease: { ttl: "100 millis", renewEvery: Infinity } }).pipe(Layer.provide(slow))
      )
      yield* Deferred.await(entered)
      const outbox = yield* Outbox.run("orders")
      yield* outbox.awaitPosition(1)
      yield* Orders.append("1", [Placed({ n: 2 })])
      yield* outbox.awaitPosition(2)
      yield* Deferred.succeed(gate, undefined)
      yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 200)))
      expect(yield* outbox.position).toBe(2)
      expect(seen.map(({ n }) => n).filter((n) => n === 2)).toEqual([2])
    }).pipe(Effect.provide(layer)))

  it.scopedLive("a bus that is away is asked again; nothing is lost and nothing overtakes", () =>
    Effect.gen(function*() {
      let calls = 0
      const flaky = withBus((bus) => ({
        publish: (messages) =>
          ++calls % 2 === 1
            ? new BusError({ reason: "unavailable", operation: "EventBus.publish" })
            : bus.publish(messages)
      }))
      const seen = yield* watch
      for (const n of numbers(30)) yield* Orders.append("1", [Placed({ n })])
      const outbox = yield* Effect.provide(
        Effect.flatMap(Effect.scope, (scope) => Scope.extend(Outbox.run("orders", { batch: 7 }), scope)),
        flaky
      )
      yield* outbox.awaitPosition(30)
      yield* until(() => seen.length >= 30, "30 messages")
      expect(seen.map(({ n }) => n)).toEqual(numbers(30))
      expect(calls).toBeGreaterThan(5)
    }).pipe(Effect.provide(layer)))

  it.scopedLive("an event that the bus refuses for good is told, and the others go on", () =>
    Effect.gen(function*() {
      const refused: Array<string> = []
      const seen = yield* watch
      const store = yield* EventStore
      yield* store.append([{
        stream: "s-1",
        // no subject of a bus: it has an empty segment
        events: [{ type: "a", payload: { n: 1 } }, { type: "b..c", id: "bad", payload: { n: 2 } }, {
          type: "d",
          payload: { n: 3 }
        }]
      }])
      const outbox = yield* Outbox.run("all", {
        onRefused: ({ id }, { _tag }) => Effect.sync(() => void refused.push(`${id} ${_tag}`))
      })
      yield* outbox.awaitPosition(3)
      yield* until(() => seen.length >= 2, "2 messages")
      expect([seen.map(({ n }) => n), refused]).toEqual([[1, 3], ["bad InvalidEvent"]])
    }).pipe(Effect.provide(layer)))

  it.scoped("what cannot be used is refused, all of it at once", () =>
    Effect.gen(function*() {
      const refused = yield* Effect.flip(Outbox.run("", { batch: 0, start: -1, events: [Placed], types: ["Paid"] }))
      expect(refused._tag === "InvalidInput" && refused.faults.map(({ path }) => path)).toEqual([
        "name",
        "batch",
        "start",
        "types"
      ])
    }).pipe(Effect.provide(layer)))
})

describe("outbox from the store, atomic", () => {
  it.scopedLive("a batch is published in the transaction of its checkpoint", () =>
    Effect.gen(function*() {
      const inside: Array<boolean> = []
      const looking = withBus((bus) => ({
        publish: (messages) =>
          Effect.gen(function*() {
            const checkpoints = yield* CheckpointStore
            // it has been moved, which others do not see yet
            inside.push((yield* Effect.orDie(checkpoints.get(":outbox/orders")))._tag === "Some")
            return yield* bus.publish(messages)
          }).pipe(Effect.mapInputContext((own: Context.Context<never>) => Context.merge(context, own)))
      }))
      const context = yield* Effect.context<CheckpointStore>()
      yield* Orders.append("1", [Placed({ n: 1 })])
      const outbox = yield* Effect.provide(
        Effect.flatMap(Effect.scope, (scope) => Scope.extend(Outbox.run("orders", { atomic: true }), scope)),
        looking
      )
      yield* outbox.awaitPosition(1)
      expect(inside).toEqual([true])
    }).pipe(
      Effect.provide(Layer.merge(
        Layer.unwrapScoped(Effect.map(tempFile(), (filename) => Sqlite.layer({ filename }))),
        EventBus.layerMemory
      ))
    ))
})

const publisher = Publisher.make([Placed])

/** The outbox of the caller's transaction, on each database. */
const ofTransactions = (
  database: Effect.Effect<
    { readonly services: Layer.Layer<SqlClient.SqlClient | Lease.Lease, unknown>; readonly prefix: string },
    never,
    Scope.Scope
  >
) => {
  const layer = Layer.unwrapScoped(
    Effect.map(
      database,
      ({ prefix, services }) => Layer.provideMerge(Layer.orDie(SqlOutbox.layer({ prefix })), Layer.orDie(services))
    )
  ).pipe(Layer.merge(EventBus.layerMemory))
  const stage = (...ns: ReadonlyArray<number>) =>
    Effect.flatMap(
      StagedMessages.StagedMessages,
      (outbox) => outbox.staged(publisher.publishAll(ns.map((n) => Placed({ n })), { key: "k" }))
    )
  const transact = <A, E, R>(self: Effect.Effect<A, E, R>) =>
    Effect.flatMap(SqlClient.SqlClient, (sql) => sql.withTransaction(self))

  it.scopedLive("what a transaction wrote is published if and only if it commits, in order", () =>
    Effect.gen(function*() {
      const seen = yield* watch
      yield* Layer.build(StagedMessages.layerRelay({ batch: 100, every: "5 millis" }))
      yield* transact(Effect.zipRight(stage(0, 1), stage(2)))
      yield* Effect.exit(transact(Effect.zipRight(stage(100, 101), Effect.fail("rolled back"))))
      yield* stage(3)
      yield* transact(stage(...Array.from({ length: 1_200 }, (_, n) => 4 + n)))
      yield* until(() => seen.length >= 1_204, "1,204 messages")
      expect(seen.map(({ n }) => n)).toEqual(numbers(1_204))
      expect(new Set(seen.map(({ id }) => id)).size).toBe(1_204)
      const { driver } = yield* StagedMessages.StagedMessages
      yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 50)))
      expect(yield* driver.first(10)).toEqual([])
    }).pipe(Effect.provide(layer)))

  it.scopedLive("correlation, headers, delay, priority and time to live are those of when it was written", () =>
    Effect.gen(function*() {
      const outbox = yield* StagedMessages.StagedMessages
      const at = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
      yield* Correlation.locally(
        outbox.staged(
          publisher.publish(Envelope.make(Placed({ n: 1 }), { id: "m", headers: { own: "yes" } }), {
            delay: "1 hour",
            priority: "high",
            ttl: "2 hours",
            headers: { more: "yes" }
          })
        ).pipe(Effect.provide(EventBus.layerMemory)),
        { correlationId: "talk", tenant: "acme" }
      )
      const published: Array<EventBus.NewMessage> = []
      const looking = withBus((bus) => ({
        publish: (messages) => {
          published.push(...messages)
          return bus.publish(messages)
        }
      }))
      yield* Layer.build(StagedMessages.layerRelay({ every: "5 millis" }).pipe(Layer.provide(looking)))
      yield* until(() => published.length > 0, "the message")
      const [message] = published
      expect(message).toMatchObject({
        id: "m",
        subject: "order.placed",
        priority: 7,
        metadata: { correlationId: "talk", tenant: "acme", headers: { own: "yes", more: "yes" } }
      })
      const readyAt = Number((message!.at as { readonly epochMillis: number }).epochMillis)
      expect(readyAt - at).toBeGreaterThanOrEqual(3_600_000)
      expect(readyAt - at).toBeLessThan(3_605_000)
      expect(Duration.toMillis(message!.ttl!)).toBeLessThanOrEqual(7_200_000)
    }).pipe(Effect.provide(layer)))

  it.scopedLive("two relays at once do the work once", () =>
    Effect.gen(function*() {
      const seen = yield* watch
      const relay = StagedMessages.layerRelay({ batch: 2, every: "2 millis" })
      yield* Layer.build(relay)
      yield* Layer.build(Layer.fresh(relay))
      for (const n of numbers(60)) yield* stage(n)
      yield* until(() => seen.length >= 60, "60 messages")
      expect(seen.map(({ n }) => n)).toEqual(numbers(60))
    }).pipe(Effect.provide(layer)))
  return { layer, stage, transact }
}

describe("outbox in SQLite", () => {
  const { layer, stage } = ofTransactions(
    Effect.map(tempFile(), (filename) => ({ services: Sqlite.layer({ filename }), prefix: "shop_" }))
  )

  it.scopedLive("what is staged takes messages and delivers none", () =>
    Effect.gen(function*() {
      const outbox = yield* StagedMessages.StagedMessages
      const refused = yield* Effect.flip(outbox.staged(
        Subscription.run("s", { events: [Placed], handler: () => Effect.void })
      ))
      expect(refused._tag === "BusError" && refused.reason).toBe("refused")
      const invalid = yield* Effect.flip(outbox.publish([{ type: "", payload: undefined }]))
      expect(invalid._tag).toBe("InvalidEvent")
      yield* stage()
      expect(yield* outbox.driver.first(1)).toEqual([])
    }).pipe(Effect.provide(layer)))
})

Servers.suite("postgres", "outbox in PostgreSQL", (url) => {
  const { layer, stage, transact } = ofTransactions(
    Effect.map(Database.prefix(url), (prefix) => ({
      services: Postgres.layer({ url: Redacted.make(url), prefix }),
      prefix
    }))
  )

  it.scopedLive("a row that is committed after one with a later place is published all the same", () =>
    Effect.gen(function*() {
      const seen = yield* watch
      yield* Layer.build(StagedMessages.layerRelay({ every: "5 millis" }))
      const wrote = yield* Deferred.make<void>()
      const gate = yield* Deferred.make<void>()
      yield* Effect.forkScoped(transact(
        stage(1).pipe(Effect.zipRight(Deferred.succeed(wrote, undefined)), Effect.zipRight(Deferred.await(gate)))
      ))
      yield* Deferred.await(wrote)
      yield* stage(2, 3)
      yield* until(() => seen.length >= 2, "those that are committed")
      yield* Deferred.succeed(gate, undefined)
      yield* until(() => seen.length >= 3, "the one that was late")
      expect(seen.map(({ n }) => n)).toEqual([2, 3, 1])
    }).pipe(Effect.provide(layer)))
})
