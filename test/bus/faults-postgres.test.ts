import { describe, expect, it } from "@effect/vitest"
import * as EventBus from "effect-skald/bus/EventBus"
import * as Publisher from "effect-skald/bus/Publisher"
import * as SqlBus from "effect-skald/bus/Sql"
import * as Subscription from "effect-skald/bus/Subscription"
import * as Event from "effect-skald/event/Event"
import * as TcpProxy from "effect-skald/testing/TcpProxy"
import { Effect, Either, Exit, Layer, Schedule, Schema, Scope } from "effect"
import * as Postgres from "../support/postgres.ts"
import * as Servers from "../support/servers.ts"

const Placed = Event.make("Placed", { n: Schema.Number }, { subject: "order.placed" })
const bus = Publisher.make([Placed])

const lease = 1_000
const options = { pollInterval: "20 millis", leaseTtl: lease, leaseEvery: 200 } as const

/** Waits for what must happen, in real time. */
const until = (what: () => string, condition: () => boolean) =>
  Effect.suspend(() => condition() ? Effect.void : Effect.fail(what())).pipe(
    Effect.retry(Schedule.spaced("10 millis").pipe(Schedule.upTo("20 seconds")))
  )

const numbers = (count: number) => Array.from({ length: count }, (_, n) => n)

/** A bus by way of a proxy, and the same bus straight. */
const setup = (url: string) =>
  Effect.gen(function*() {
    const { hostname, port } = new URL(url)
    const proxy = yield* TcpProxy.make({ host: hostname, port: Number(port || 5_432) })
    const prefix = yield* Postgres.prefix(url)
    const build = (address: string) =>
      Layer.build(Layer.provide(SqlBus.layer({ ...options, prefix }), Postgres.client(address)))
    const proxied = yield* build(proxy.through(url))
    const straight = yield* build(url)
    const seen: Array<number> = []
    const subscribe = (label: string) =>
      Subscription.run("s", {
        events: [Placed],
        concurrency: 4,
        prefetch: 20,
        reconnect: Schedule.spaced("20 millis"),
        handler: ({ n }) => Effect.sync(() => void seen.push(n))
      }).pipe(Effect.provide(label === "proxied" ? proxied : straight))
    const all = (count: number) =>
      until(
        () => `lost: ${numbers(count).filter((n) => !seen.includes(n)).join(", ")}`,
        () => new Set(seen).size >= count
      )
    const empty = Effect.flatMap(EventBus.EventBus, (service) => service.depth("s")).pipe(
      Effect.provide(straight),
      Effect.filterOrFail(({ inFlight, ready, waiting }) => inFlight + ready + waiting === 0, (depth) =>
        `left: ${JSON.stringify(depth)}`),
      Effect.retry(Schedule.spaced("20 millis").pipe(Schedule.upTo("15 seconds")))
    )
    return { proxy, proxied, straight, seen, subscribe, all, empty }
  })

Servers.suite("postgres", "bus on PostgreSQL, over a connection that fails", (url) => {
  describe("publish", () => {
    for (const when of ["before", "after"] as const) {
      it.scopedLive(`cut ${when} the server hears of it: what is acknowledged is there once, what is not is a failure`, () =>
        Effect.gen(function*() {
          const { empty, proxied, proxy, seen, straight, subscribe } = yield* setup(url)
          yield* subscribe("straight")
          const acknowledged: Array<number> = []
          const refused: Array<string> = []
          for (const n of numbers(40)) {
            if (n % 10 === 5) {
              yield* proxy.cut
              yield* proxy.cutAt("bus_publish", when)
            }
            const published = yield* Effect.either(bus.publish(Placed({ n })).pipe(Effect.provide(proxied)))
            if (Either.isRight(published)) acknowledged.push(n)
            else refused.push(published.left._tag === "BusError" ? published.left.reason : published.left._tag)
          }
          expect(yield* proxy.met).toBeGreaterThan(0)
          yield* until(
            () => `lost: ${acknowledged.filter((n) => !seen.includes(n)).join(", ")}`,
            () => acknowledged.every((n) => seen.includes(n))
          )
          // one that may or may not have been published says so
          for (const reason of refused) expect(["timeout", "unavailable"]).toContain(reason)
          yield* empty
          expect(new Set(seen).size).toBe(seen.length)
          expect(acknowledged.length + refused.length).toBe(40)
          yield* bus.publish(Placed({ n: 40 })).pipe(Effect.provide(straight))
          yield* until(() => "the last", () => seen.includes(40))
        }))
    }
  })

  describe("consumption", () => {
    for (
      const [what, text] of [
        ["pull", "bus_claim"],
        ["settle", "bus_done"]
      ] as const
    ) {
      for (const when of ["before", "after"] as const) {
        it.scopedLive(`cut in ${what}, ${when} the server hears of it: nothing is lost, and consumption goes on`, () =>
          Effect.gen(function*() {
            const { all, empty, proxy, seen, straight, subscribe } = yield* setup(url)
            yield* subscribe("proxied")
            for (let round = 0; round < 4; round++) {
              yield* proxy.cut
              yield* proxy.cutAt(text, when)
              for (const n of numbers(10)) {
                yield* bus.publish(Placed({ n: round * 10 + n })).pipe(Effect.provide(straight))
              }
              yield* all((round + 1) * 10)
            }
            yield* empty
            expect(yield* proxy.met).toBeGreaterThan(0)
            // at most what was held when the connection was cut comes twice
            expect(seen.length - 40).toBeLessThanOrEqual(4 * 20)
          }))
      }
    }

    it.scopedLive("half-open for longer than the lease: another takes over, and the late one settles nothing", () =>
      Effect.gen(function*() {
        const { all, empty, proxied, proxy, seen, straight, subscribe } = yield* setup(url)
        const held: Array<number> = []
        const scope = yield* Scope.make()
        yield* Subscription.run("s", {
          events: [Placed],
          prefetch: 5,
          drain: "100 millis",
          reconnect: Schedule.spaced("20 millis"),
          handler: ({ n }) => Effect.zipRight(Effect.sync(() => void held.push(n)), Effect.sleep("2500 millis"))
        }).pipe(Effect.provide(proxied), Effect.provideService(Scope.Scope, scope))
        yield* bus.publishAll(numbers(5).map((n) => Placed({ n }))).pipe(Effect.provide(straight))
        yield* until(() => "a delivery", () => held.length > 0)
        yield* proxy.freeze
        yield* subscribe("straight")
        // all five, the one that is being handled behind the dead connection among them
        yield* all(5)
        yield* empty
        yield* Effect.sleep("1500 millis")
        yield* proxy.heal
        yield* Effect.forkDaemon(Scope.close(scope, Exit.void))
        yield* bus.publishAll(numbers(5).map((n) => Placed({ n: n + 5 }))).pipe(Effect.provide(straight))
        yield* all(10)
        yield* empty
        expect(new Set(seen).size).toBe(10)
      }))

    it.scopedLive("slow in both directions: everything comes, once", () =>
      Effect.gen(function*() {
        const { all, empty, proxied, proxy, seen, subscribe } = yield* setup(url)
        yield* subscribe("proxied")
        yield* proxy.slow(40)
        for (const part of [0, 1, 2]) {
          yield* bus.publishAll(numbers(10).map((n) => Placed({ n: part * 10 + n }))).pipe(Effect.provide(proxied))
        }
        yield* all(30)
        yield* proxy.heal
        yield* empty
        expect(seen.length).toBe(30)
      }))

    it.scopedLive("refused for longer than the lease: consumption goes on when the server is back", () =>
      Effect.gen(function*() {
        const { all, empty, proxied, proxy, straight, subscribe } = yield* setup(url)
        yield* subscribe("proxied")
        yield* bus.publish(Placed({ n: 0 })).pipe(Effect.provide(straight))
        yield* all(1)
        yield* proxy.refuse
        yield* bus.publishAll(numbers(9).map((n) => Placed({ n: n + 1 }))).pipe(Effect.provide(straight))
        yield* Effect.sleep(lease * 1.5)
        yield* proxy.heal
        yield* all(10)
        yield* empty
        yield* bus.publish(Placed({ n: 10 })).pipe(Effect.provide(proxied))
        yield* all(11)
      }))
  })
})
