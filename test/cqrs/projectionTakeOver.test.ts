// needs: native addon
import { assert, it } from "@effect/vitest"
import { Context, Duration, Effect, Exit, Layer, Ref, Scope, TestClock } from "effect"
import * as Projection from "effect-skald/cqrs/Projection"
import * as ProjectionTakeOver from "effect-skald/cqrs/ProjectionTakeOver"
import * as Memory from "effect-skald/Memory"
import { EventStore } from "effect-skald/store/EventStore"
import { equal, includes } from "../support/assert.ts"
import * as ProjectorKills from "../support/projectorKills.ts"
import { Deposited, Wallets } from "../support/wallet.ts"

const put = (...amounts: ReadonlyArray<number>) =>
  Effect.map(Wallets.append("a", amounts.map((amount) => Deposited({ amount }))), ({ position }) => position)

/** Two who run it, over the same stores, each with a name of its own. */
const two = Effect.gen(function*() {
  const rows = yield* Ref.make<ReadonlyArray<readonly [who: string, amount: number]>>([])
  const launch = (who: string, options?: Pick<ProjectionTakeOver.Options, "lease">) =>
    Effect.gen(function*() {
      const projection = Projection.handler("list", {
        events: [Deposited],
        handle: Projection.each(({ amount }) =>
          amount === 13 ? Effect.fail("unlucky") : Ref.update(rows, (all) => [...all, [who, amount] as const])
        )
      })
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(Layer.fresh(ProjectionTakeOver.layer(projection, options)), scope)
      return { handle: Context.get(context, Projection.running(projection)), end: Scope.close(scope, Exit.void) }
    })
  return { rows, launch }
})

/** What others have done is known a little later. */
const soon = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.fork(effect)
    yield* TestClock.adjust("1 second")
    return yield* fiber
  })

it.effect("one works, and the other goes on where it was once it ends; who stands by knows how far it is", () =>
  Effect.gen(function*() {
    const { launch, rows } = yield* two
    const one = yield* launch("one")
    const other = yield* launch("other")
    yield* put(1, 2)
    const position = yield* put(3)
    yield* soon(one.handle.awaitPosition(position))
    yield* soon(other.handle.awaitPosition(position))
    assert.strictEqual(yield* other.handle.position, position)
    // what it is not of moves it on, too
    const { position: foreign } = yield* Effect.flatMap(
      EventStore,
      (store) => store.append([{ stream: "x-1", events: [{ type: "Other", payload: {} }] }])
    )
    yield* soon(other.handle.awaitPosition(foreign))
    equal(yield* rows, [["one", 1], ["one", 2], ["one", 3]])
    yield* one.end
    yield* soon(Effect.flatMap(put(4), other.handle.awaitPosition))
    equal((yield* rows).slice(3), [["other", 4]])
    yield* other.end
  }).pipe(Effect.provide(Memory.layer)))

it.effect("a lease that was lost ends the work of its holder, who then stands by", () =>
  Effect.gen(function*() {
    const { launch, rows } = yield* two
    // does not renew its lease: stopped, in effect
    const one = yield* launch("one", { lease: { renewEvery: Duration.infinity, ttl: "2 seconds" } })
    const other = yield* launch("other")
    yield* soon(one.handle.awaitPosition(yield* put(1)))
    yield* TestClock.adjust("3 seconds")
    yield* soon(Effect.flatMap(put(2), one.handle.awaitPosition))
    equal(yield* rows, [["one", 1], ["other", 2]])
    yield* other.end
    yield* soon(Effect.flatMap(put(3), one.handle.awaitPosition))
    equal((yield* rows).at(-1), ["one", 3])
    yield* one.end
  }).pipe(Effect.provide(Memory.layer)))

it.effect("an event that fails stops one after the other, and both say so", () =>
  Effect.gen(function*() {
    const { launch, rows } = yield* two
    const one = yield* launch("one")
    const other = yield* launch("other")
    yield* soon(one.handle.awaitPosition(yield* put(1)))
    yield* put(13)
    for (const { handle } of [one, other]) {
      includes(yield* soon(Effect.flip(handle.stopped)), { projection: "list", cause: "unlucky" })
    }
    equal(yield* rows, [["one", 1]])
  }).pipe(Effect.provide(Memory.layer)))

it.scopedLive(
  "10 kills of the process that works: the other takes over, each event is in one row, in order",
  () =>
    Effect.gen(function*() {
      const { events, longest } = yield* ProjectorKills.run(10)
      assert.isAbove(events, 500)
      assert.isBelow(longest, ProjectorKills.takeOverWithin)
    }),
  240_000
)

it.scopedLive(
  "one that was stopped while another took over commits nothing when it goes on",
  () => Effect.map(ProjectorKills.stale, (events) => assert.isAbove(events, 200)),
  120_000
)
