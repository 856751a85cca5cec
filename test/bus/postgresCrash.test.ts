import { afterAll, assert, beforeAll, it } from "@effect/vitest"
import type * as BusDriver from "effect-skald/bus/BusDriver"
import * as EventBus from "effect-skald/bus/EventBus"
import * as Publisher from "effect-skald/bus/Publisher"
import * as Selector from "effect-skald/bus/Selector"
import * as SqlBus from "effect-skald/bus/Sql"
import * as Subscription from "effect-skald/bus/Subscription"
import * as Event from "effect-skald/event/Event"
import { Effect, Exit, Layer, Schedule, Schema, Scope } from "effect"
import * as OwnPostgres from "../support/ownPostgres.ts"
import * as Postgres from "../support/postgres.ts"
import * as Servers from "../support/servers.ts"

const Placed = Event.make("Placed", { n: Schema.Number })
const bus = Publisher.make([Placed])

const work: BusDriver.Group = { name: "work", selector: Selector.all, start: "latest", kept: true }

/** Whose lease outlasts the test, and is not renewed in it: a renewal is a commit that waits for the disk. */
const quiet = { leaseTtl: "5 minutes", leaseEvery: "2 minutes", listen: false } as const

const program = (url: string, options: SqlBus.Options) =>
  Layer.fresh(Layer.provide(SqlBus.layer(options), Postgres.client(url)))

const told = (delivered: ReadonlyArray<BusDriver.Delivered>) =>
  delivered.map(({ deliveries, message }) => `${message.id}:${deliveries}`)

const publish = (id: string) =>
  Effect.flatMap(EventBus.EventBus, ({ publish }) => publish([{ id, type: "Placed", payload: { n: 1 }, key: "k" }]))

/** Until the pool has given up its dead connections. */
const persistently = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.retry(self, Schedule.spaced("20 millis").pipe(Schedule.upTo("10 seconds")))

/** Two programs over one bus that nobody else has. */
const setup = (url: string) =>
  Effect.gen(function*() {
    const options = { ...quiet, prefix: yield* Postgres.prefix(url) }
    const one = yield* Layer.build(program(url, options))
    const other = yield* Layer.build(program(url, options))
    const consume = Effect.flatMap(EventBus.EventBus, ({ consume }) => consume(work))
    const depth = persistently(Effect.flatMap(EventBus.EventBus, ({ depth }) => depth("work"))).pipe(
      Effect.provide(one)
    )
    return { one, other, consume, depth }
  })

Servers.suite("postgres", "a PostgreSQL that crashes beneath the bus", (reachable) => {
  const scope = Effect.runSync(Scope.make())
  let server: OwnPostgres.OwnServer
  beforeAll(async () => {
    server = await Effect.runPromise(Scope.extend(OwnPostgres.make(reachable), scope))
  }, 60_000)
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

  it.scopedLive(
    "forgets who was given what last: it comes again, that delivery is not counted, and who had it settles nothing",
    () =>
      Effect.gen(function*() {
        const { consume, depth, one, other } = yield* setup(server.url)
        const first = yield* Effect.provide(consume, one)
        yield* Effect.provide(publish("1"), one)
        yield* Effect.provide(publish("2"), one)
        yield* server.hold
        const forgotten = yield* first.pull(10)
        assert.deepStrictEqual(told(forgotten), ["1:1"])
        yield* server.crash
        assert.strictEqual((yield* depth).inFlight, 0)
        const second = yield* persistently(Effect.provide(consume, other))
        const again = yield* persistently(second.pull(10))
        // the first of its key, and it alone
        assert.deepStrictEqual(told(again), ["1:1"])
        yield* persistently(first.settle(forgotten.map(({ receipt }) => ({ _tag: "done", receipt }))))
        assert.strictEqual((yield* depth).inFlight, 1)
        yield* second.settle(again.map(({ receipt }) => ({ _tag: "done", receipt })))
        assert.deepStrictEqual(told(yield* second.pull(10)), ["2:1"])
      }),
    60_000
  )

  it.scopedLive(
    "remembers who was given what before any other commit: the delivery counts",
    () =>
      Effect.gen(function*() {
        const { consume, depth, one, other } = yield* setup(server.url)
        const held = yield* Scope.make()
        const first = yield* Effect.provide(Scope.extend(consume, held), one)
        yield* Effect.provide(publish("1"), one)
        yield* server.hold
        assert.deepStrictEqual(told(yield* first.pull(10)), ["1:1"])
        yield* Effect.provide(publish("2"), one)
        yield* server.crash
        assert.strictEqual((yield* depth).inFlight, 1)
        const second = yield* persistently(Effect.provide(consume, other))
        yield* Scope.close(held, Exit.void)
        assert.deepStrictEqual(told(yield* persistently(second.pull(10))), ["1:2"])
      }),
    60_000
  )

  it.scopedLive(
    "under load, again and again: what was published is handled, those of a key in order, and nothing stays behind",
    () =>
      Effect.gen(function*() {
        const layer = yield* Layer.build(program(server.url, { prefix: yield* Postgres.prefix(server.url) }))
        yield* Effect.gen(function*() {
          const handled: Array<readonly [number, number]> = []
          yield* Subscription.run("work", {
            events: [Placed],
            concurrency: 4,
            reconnect: Schedule.spaced("20 millis"),
            handler: ({ n }) =>
              Effect.zipRight(Effect.sleep("1 millis"), Effect.sync(() => void handled.push([n % 5, n])))
          })
          const published: Array<number> = []
          const publisher = yield* Effect.forEach(Array.from({ length: 400 }, (_, n) => n), (n) =>
            bus.publish(Placed({ n }), { key: `k${n % 5}` }).pipe(
              Effect.matchEffect({
                onSuccess: () =>
                  Effect.sync(() => void published.push(n)),
                onFailure: () => Effect.sleep("20 millis")
              })
            )).pipe(Effect.fork)
          for (const part of [1, 2]) {
            while (handled.length < 120 * part) {
              yield* Effect.sleep("5 millis")
            }
            yield* server.crash
          }
          yield* publisher
          assert.isAbove(published.length, 300)
          const seen = () =>
            new Set(handled.map(([, n]) => n))
          yield* persistently(Effect.suspend(() => {
            const all = seen()
            const lost = published.filter((n) => !all.has(n))
            return lost.length === 0 ? Effect.void : Effect.fail(`lost: ${lost.join(", ")}`)
          }))
          for (const key of [0, 1, 2, 3, 4]) {
            const first = [...new Set(handled.filter(([own]) => own === key).map(([, n]) => n))]
            assert.deepStrictEqual(first, first.slice().sort((a, b) => a - b))
          }
          const { depth } = yield* EventBus.EventBus
          yield* depth("work").pipe(
            Effect.filterOrFail(({ inFlight, ready, waiting }) => inFlight + ready + waiting === 0),
            persistently
          )
        }).pipe(Effect.provide(layer))
      }),
    60_000
  )
})
