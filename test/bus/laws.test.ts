import { describe, expect, it } from "@effect/vitest"
import * as DeadLetters from "effect-skald/bus/DeadLetters"
import * as EventBus from "effect-skald/bus/EventBus"
import * as OnError from "effect-skald/bus/OnError"
import * as Publisher from "effect-skald/bus/Publisher"
import * as Subscription from "effect-skald/bus/Subscription"
import * as Envelope from "effect-skald/event/Envelope"
import * as Event from "effect-skald/event/Event"
import { Effect, FastCheck as fc, Layer, Schedule, Schema, Stream, TestClock, TestContext } from "effect"

const Said = Event.make("Said", { n: Schema.Number })
const bus = Publisher.make([Said])
class Failed extends Schema.TaggedError<Failed>()("Failed", {}) {}
class Later extends Schema.TaggedError<Later>()("Later", {}) {}

const layer = Layer.provideMerge(DeadLetters.layer, EventBus.layerMemory)

/** What the handler does with a message at each of its attempts; after the last it succeeds. */
const outcomes = fc.array(fc.constantFrom("fail", "later", "die", "interrupt", "sleep" as const), { maxLength: 3 })

const messages = fc.array(
  fc.record({ key: fc.option(fc.constantFrom("a", "b", "c"), { nil: undefined }), outcomes }),
  { minLength: 1, maxLength: 12 }
)

const settings = fc.record({
  concurrency: fc.integer({ min: 1, max: 4 }),
  prefetch: fc.integer({ min: 1, max: 6 }),
  ownKey: fc.boolean(),
  consumers: fc.integer({ min: 1, max: 2 })
})

describe("laws of subscriptions", () => {
  it("each message ends handled or as a dead letter, once, and those of a key in order", () =>
    fc.assert(
      fc.asyncProperty(messages, settings, (given, { concurrency, consumers, ownKey, prefetch }) =>
        Effect.gen(function*() {
          const handled: Array<number> = []
          const runs = new Map<number, number>()
          const running = new Set<string>()
          const overlaps: Array<string> = []
          const keyOf = (n: number) =>
            given[n]!.key
          for (let consumer = 0; consumer < (ownKey ? 1 : consumers); consumer++) {
            yield* Subscription.run("s", {
              events: [Said],
              concurrency,
              prefetch,
              ...(ownKey
                ? {
                  key: (event: { readonly n: number }) =>
                    keyOf(event.n)
                }
                : undefined),
              handler: ({ n }): Effect.Effect<void, Failed | Later> =>
                Effect.suspend((): Effect.Effect<void, Failed | Later> => {
                  const key = keyOf(n)
                  if (key !== undefined && running.has(key)) overlaps.push(key)
                  if (key !== undefined) running.add(key)
                  const run = runs.get(n) ?? 0
                  runs.set(n, run + 1)
                  switch (given[n]!.outcomes[run]) {
                    case "fail":
                      return Effect.fail(new Failed())
                    case "later":
                      return Effect.fail(new Later())
                    case "die":
                      return Effect.die("dead")
                    case "interrupt":
                      return Effect.interrupt
                    case "sleep":
                      return Effect.zipRight(Effect.sleep("1 second"), Effect.sync(() => void handled.push(n)))
                    default:
                      return Effect.sync(() => void handled.push(n))
                  }
                }).pipe(Effect.ensuring(Effect.sync(() => {
                  const key = keyOf(n)
                  if (key !== undefined) running.delete(key)
                }))),
              onError: {
                Failed: OnError.retry(Schedule.spaced("1 second").pipe(Schedule.upTo("1 hour")), OnError.deadLetter),
                Later: OnError.retryLater(Schedule.spaced("5 seconds"), OnError.deadLetter)
              }
            })
          }
          for (let n = 0; n < given.length; n++) {
            yield* bus.publish(Envelope.make(Said({ n }), { id: `${n}` }), ownKey ? {} : { key: keyOf(n) })
          }
          const service = yield* EventBus.EventBus
          for (let step = 0; step < 200; step++) {
            yield* Effect.repeatN(Effect.yieldNow(), 100)
            const { inFlight, ready, waiting } = yield* service.depth("s")
            if (inFlight + ready + waiting === 0) break
            yield* TestClock.adjust("1 second")
          }
          const dead = yield* DeadLetters.DeadLetters
          const letters = Array.from(yield* Stream.runCollect(dead.list({}))).map(({ message }) => Number(message.id))
          expect([...handled, ...letters].sort((a, b) => a - b)).toEqual(given.map((_, n) => n))
          for (const n of letters) expect(given[n]!.outcomes).toContain("die")
          expect(overlaps).toEqual([])
          for (const key of ["a", "b", "c"]) {
            const order = handled.filter((n) => keyOf(n) === key)
            expect(order).toEqual(order.toSorted((a, b) => a - b))
          }
        }).pipe(Effect.scoped, Effect.provide(Layer.merge(layer, TestContext.TestContext)), Effect.runPromise)),
      { numRuns: 60 }
    ), 120_000)
})
