import { assert, it } from "@effect/vitest"
import { Cause, Chunk, Effect, Exit, FastCheck, type Layer, Option, Ref, Schema, Stream, TestClock } from "effect"
import * as Projection from "effect-skald/cqrs/Projection"
import * as ProjectionContext from "effect-skald/cqrs/ProjectionContext"
import * as Replay from "effect-skald/cqrs/Replay"
import * as Envelope from "effect-skald/event/Envelope"
import * as Memory from "effect-skald/Memory"
import * as Category from "effect-skald/store/Category"
import { EventStore } from "effect-skald/store/EventStore"
import { equal, includes } from "../support/assert.ts"
import { onBoth, withStore } from "../support/embedded.ts"
import { Deposited, Wallets, Withdrawn } from "../support/wallet.ts"

const Others = Category.make("other", { events: [Deposited] })

const listed = Projection.make("listed", {
  events: [Deposited],
  state: Schema.Array(Schema.Number),
  initial: [],
  apply: (all, { amount }) => {
    if (amount === 13) throw new Error("unlucky")
    return [...all, amount]
  }
})

const put = (wallet: string, ...amounts: ReadonlyArray<number>) =>
  Effect.map(Wallets.append(wallet, amounts.map((amount) => Deposited({ amount }))), ({ position }) => position)
const unreadable = Effect.flatMap(
  EventStore,
  (store) => store.append([{ stream: "wallet-a", events: [{ type: "Deposited", schemaVersion: 9, payload: {} }] }])
)

onBoth("Replay", (layer) => {
  type Services = Layer.Layer.Success<typeof layer>
  const test = (title: string, body: () => Effect.Effect<void, unknown, Services>) =>
    it.effect(title, () => Effect.provide(body(), layer))
  const state = (options?: Parameters<typeof Replay.run<"listed", ReadonlyArray<number>, unknown>>[1]) =>
    Effect.map(Replay.run(listed, options), (progress) => progress.state)

  test("over everything, a stream, a category, a range of positions, a range of time", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(1_000)
      yield* put("a", 1, 2)
      yield* put("b", 3)
      yield* Wallets.append("a", [Withdrawn({ amount: 9 })])
      yield* TestClock.setTime(2_000)
      yield* Others.append("o", [Deposited({ amount: 4 })])
      yield* Wallets.append("a", [Envelope.make(Deposited({ amount: 5 }), { occurredAt: 1_500 })])
      equal(yield* state(), [1, 2, 3, 4, 5])
      equal(yield* state({ stream: "wallet-a" }), [1, 2, 5])
      equal(yield* state({ category: "other" }), [4])
      equal(yield* state({ after: 1, to: 3 }), [2, 3])
      equal(yield* state({ since: 1_500 }), [4, 5])
      equal(yield* state({ until: 2_000 }), [1, 2, 3, 5])
      equal(yield* state({ until: 2_000, time: "recordedAt" }), [1, 2, 3])
      equal(yield* state({ stream: "wallet-missing" }), [])
      equal(yield* state({ after: 5, to: 2 }), [])
      includes(yield* Replay.run(listed, { to: 3 }), { from: 0, position: 3, to: 3, events: 3, errors: [] })
      for (
        const options of [{ onError: "skip" }, { snapshot: "newest" }, { snapshot: { state: [], position: -1 } }, {
          to: -1
        }]
      ) {
        includes(yield* Effect.flip(Replay.run(listed, options as never)), { _tag: "InvalidInput" })
      }
    }))

  test("from what the projection has kept, where that is a part of what is asked for", () =>
    Effect.gen(function*() {
      const read: Array<number> = []
      const counting = withStore((store) => ({
        readAll: (options) => {
          read.push(options?.after ?? 0)
          return store.readAll(options)
        }
      }))
      yield* put("a", 1, 2)
      yield* Projection.catchUp(listed)
      yield* put("a", 3)
      equal(yield* state().pipe(counting), [1, 2, 3])
      equal(yield* state({ snapshot: "none" }).pipe(counting), [1, 2, 3])
      equal(yield* state({ to: 1 }).pipe(counting), [1])
      equal(yield* state({ stream: "wallet-a" }).pipe(counting), [1, 2, 3])
      equal(yield* state({ snapshot: { state: [7], position: 1 } }).pipe(counting), [7, 2, 3])
      equal(read, [2, 0, 0, 0, 1])
      // it keeps nothing
      includes(yield* Projection.catchUp(listed), { projected: 1 })
    }))

  test("errors are collected, or the first one stops it, by choice", () =>
    Effect.gen(function*() {
      const seen = yield* Ref.make<ReadonlyArray<number>>([])
      const handler = Projection.handler("list", {
        events: [Deposited],
        handle: Projection.each(({ amount }) =>
          amount === 13 ? Effect.fail("unlucky") : Ref.update(seen, (all) => [...all, amount])
        )
      })
      yield* put("a", 1, 13, 2)
      yield* unreadable
      yield* put("a", 13, 3)
      const collected = yield* Replay.run(handler, { onError: "collect" })
      equal(yield* seen, [1, 2, 3])
      includes(collected, { events: 3, position: 6 })
      equal(collected.errors.map(({ event }) => event.position), [2, 4, 5])
      equal(collected.errors[0]!.error, "unlucky")
      includes(collected.errors[1]!.error as object, { _tag: "UnknownEventType" })
      assert.strictEqual(yield* Effect.flip(Replay.run(handler)), "unlucky")
      const folded = yield* Replay.run(listed, { onError: "collect" })
      equal(folded.state, [1, 2, 3])
      equal(folded.errors.map(({ event }) => event.position), [2, 4, 5])
      const exit = yield* Effect.exit(Replay.run(listed))
      assert.isTrue(Exit.isFailure(exit) && Cause.isDie(exit.cause))
      includes(yield* Effect.flip(Replay.run(listed, { after: 3 })), { _tag: "UnknownEventType" })
    }))

  test("side effects are off, unless they are asked for, and no checkpoint moves", () =>
    Effect.gen(function*() {
      const mails = yield* Ref.make(0)
      const mailing = Projection.handler("mails", {
        events: [Deposited],
        handle: Projection.each(() => ProjectionContext.sideEffect(Ref.update(mails, (count) => count + 1)))
      })
      yield* put("a", 1, 2, 3)
      includes(yield* Replay.run(mailing), { events: 3 })
      assert.strictEqual(yield* mails, 0)
      includes(yield* Replay.run(mailing, { sideEffects: true, after: 1 }), { events: 2, from: 1 })
      assert.strictEqual(yield* mails, 2)
      includes(yield* Projection.catchUp(mailing), { projected: 3 })
      assert.strictEqual(yield* mails, 5)
    }))

  test("its progress comes chunk by chunk, as fast as it is asked for", () =>
    Effect.gen(function*() {
      for (let from = 0; from < 1_500; from += 500) {
        yield* put("a", ...Array.from({ length: 500 }, (_, n) => 100 + from + n))
      }
      const told = Chunk.toReadonlyArray(yield* Stream.runCollect(Replay.stream(listed, { snapshot: "none" })))
      includes(told[0]!, { position: 0, to: 1_500, events: 0 })
      includes(told.at(-1)!, { position: 1_500, events: 1_500 })
      assert.isAbove(told.length, 3)
      for (const { events, state } of told) assert.lengthOf(state, events)
      const first = yield* Stream.runLast(Stream.take(Replay.stream(listed, { snapshot: "none" }), 2))
      assert.isBelow(Option.getOrThrow(first).events, 1_500)
    }))
})

it.effect.prop(
  "over any cut of the log, replayed from what the first part came to, the second comes to what the whole does",
  {
    amounts: FastCheck.array(
      FastCheck.tuple(FastCheck.constantFrom("a", "b", "c"), FastCheck.integer({ min: 14, max: 99 })),
      {
        maxLength: 30
      }
    ),
    cut: FastCheck.nat()
  },
  ({ amounts, cut }) =>
    Effect.gen(function*() {
      for (const [wallet, amount] of amounts) yield* put(wallet, amount)
      const position = cut % (amounts.length + 1)
      const first = yield* Replay.run(listed, { to: position })
      const whole = yield* Replay.run(listed, { snapshot: { state: first.state, position } })
      equal(whole.state, yield* Projection.live(listed))
      equal(first.state, yield* Projection.live(listed, { position }))
      const streams = yield* Effect.forEach(["a", "b", "c"], (wallet) =>
        Effect.map(Replay.run(listed, { stream: `wallet-${wallet}` }), ({ state }) => state))
      equal(
        streams,
        ["a", "b", "c"].map((wallet) =>
          amounts.filter(([of]) => of === wallet).map(([, amount]) => amount)
        )
      )
    }).pipe(Effect.provide(Memory.layer)),
  { fastCheck: { numRuns: 50 } }
)
