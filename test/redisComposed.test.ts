/** Every service in one Redis: the swap, and what is parked there. */
import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Ref } from "effect"
import * as Projection from "effect-skald/cqrs/Projection"
import * as ProjectionParking from "effect-skald/cqrs/ProjectionParking"
import * as Redis from "effect-skald/Redis"
import * as EventStore from "effect-skald/store/EventStore"
import { equal, includes } from "./support/assert.ts"
import { asInMemory } from "./support/everyService.ts"
import * as Server from "./support/redis.ts"
import * as Servers from "./support/servers.ts"
import { Deposited, Wallets } from "./support/wallet.ts"

Servers.suite("redis", "every service in one Redis", (url) => {
  const prefix = Server.prefix(url)

  it.scoped("gives a program what memory gives it", () =>
    Effect.gen(function*() {
      const name = yield* prefix
      yield* asInMemory(Redis.layer({ url, prefix: name }), Redis.layerConfig, { url, prefix: name })
    }), 30_000)

  it.scopedLive("two prefixes are two applications; two processes of one share it", () =>
    Effect.gen(function*() {
      const [one, other] = [yield* prefix, yield* prefix]
      const layers = [one, one, other].map((prefix) => Redis.layer({ url, prefix }))
      const heads = yield* Effect.forEach(layers, (layer) =>
        Effect.gen(function*() {
          yield* Wallets.append("shared", [Deposited({ amount: 1 })])
          return yield* Effect.flatMap(EventStore.EventStore, (store) => store.head)
        }).pipe(Effect.provide(Layer.fresh(layer))))
      equal(heads, [1, 2, 1])
    }), 30_000)

  it.scopedLive(
    "what fails is parked with its stream, stands still while it is retried, and two who retry at once do it once",
    () =>
      Effect.gen(function*() {
        const name = yield* prefix
        const one = yield* Layer.build(Redis.layer({ url, prefix: name }))
        const other = yield* Layer.build(Layer.fresh(Redis.layer({ url, prefix: name })))
        const handled = yield* Ref.make<ReadonlyArray<number>>([])
        const bad = new Set([13])
        const slow = new Map<number, Effect.Effect<void>>()
        const List = Projection.handler("list", {
          events: [Deposited],
          handle: Projection.each(({ amount }) =>
            Effect.gen(function*() {
              if (bad.has(amount)) return yield* Effect.fail(`not ${amount}`)
              yield* slow.get(amount) ?? Effect.void
              yield* Ref.update(handled, (all) => [...all, amount])
            })
          )
        })
        const put = (wallet: string, ...amounts: ReadonlyArray<number>) =>
          Wallets.append(wallet, amounts.map((amount) => Deposited({ amount })))
        const catchUp = Projection.catchUp(List, { onFailure: "park" })
        yield* Effect.gen(function*() {
          yield* put("a", 13, 14)
          yield* put("b", 2)
          yield* catchUp
          equal(yield* handled, [2])
          equal((yield* ProjectionParking.list(List)).map(({ problem, reason }) => [reason, problem]), [
            ["failed", "not 13"],
            ["behind", ""]
          ])
          equal(yield* ProjectionParking.retry(List), { done: 0, gone: 0, left: 2 })
          includes((yield* ProjectionParking.list(List))[0]!, { attempts: 2, problem: "not 13" })

          // while one is at work on it, another who retries waits, and what comes later stays behind
          bad.clear()
          const entered = yield* Deferred.make<void>()
          const release = yield* Deferred.make<void>()
          slow.set(13, Effect.zipRight(Deferred.succeed(entered, undefined), Deferred.await(release)))
          const first = yield* Effect.fork(ProjectionParking.retry(List))
          yield* Deferred.await(entered)
          const second = yield* Effect.fork(Effect.provide(ProjectionParking.retry(List), other))
          yield* put("a", 15)
          yield* catchUp
          equal(yield* handled, [2], "15 does not overtake 13")
          yield* Deferred.succeed(release, undefined)
          const [did, then] = [yield* Fiber.join(first), yield* Fiber.join(second)]
          assert.strictEqual(did.done + then.done, 3)
          equal(yield* handled, [2, 13, 14, 15])
          equal(yield* ProjectionParking.list(List), [])

          // one that is interrupted at work leaves it where it was
          bad.add(16)
          yield* put("a", 16)
          yield* catchUp
          bad.clear()
          const again = yield* Deferred.make<void>()
          slow.set(16, Effect.zipRight(Deferred.succeed(again, undefined), Effect.never))
          const third = yield* Effect.fork(ProjectionParking.retry(List))
          yield* Deferred.await(again)
          yield* Fiber.interrupt(third)
          assert.lengthOf(yield* ProjectionParking.list(List), 1)
          slow.clear()
          equal(yield* ProjectionParking.retry(List), { done: 1, gone: 0, left: 0 })
          equal(yield* handled, [2, 13, 14, 15, 16])
        }).pipe(Effect.provide(one))
      }),
    30_000
  )

  it.effect("capabilities are those that were asked for", () =>
    Effect.gen(function*() {
      const server = yield* Server.ownServer("--appendonly", "yes", "--appendfsync", "always")
      const context = yield* Layer.build(Redis.layer({ url: server.url, durable: true, listen: false }))
      equal([...(yield* Effect.provide(EventStore.capable("durable"), context)).capabilities].sort(), [
        "durable",
        "shared"
      ])
      const refused = yield* Server.ownServer()
      const error = yield* Effect.flip(Layer.build(Redis.layer({ url: refused.url, durable: true })))
      assert.include(String((error as { readonly cause?: unknown }).cause), "appendonly no")
    }).pipe(Effect.scoped), 30_000)
})
