import { describe, expect, it } from "@effect/vitest"
import type { DeadLetter } from "effect-skald/bus/DeadLetter"
import * as DeadLetterAlerts from "effect-skald/bus/DeadLetterAlerts"
import * as DeadLetterRetries from "effect-skald/bus/DeadLetterRetries"
import * as DeadLetters from "effect-skald/bus/DeadLetters"
import * as EventBus from "effect-skald/bus/EventBus"
import * as OnError from "effect-skald/bus/OnError"
import * as Publisher from "effect-skald/bus/Publisher"
import * as Subscription from "effect-skald/bus/Subscription"
import * as Envelope from "effect-skald/event/Envelope"
import * as Event from "effect-skald/event/Event"
import * as Retryability from "effect-skald/resilience/Retryability"
import * as Lease from "effect-skald/store/Lease"
import { DateTime, Effect, Exit, Layer, Option, Schedule, Schema, Scope, Stream, TestClock } from "effect"

const Placed = Event.make("Placed", { order: Schema.String }, { subject: "order.placed" })
const Paid = Event.make("Paid", { order: Schema.String }, { subject: "order.paid" })
const bus = Publisher.make([Placed, Paid])

class Busy extends Schema.TaggedError<Busy>()("Busy", {}) {}
class Wrong extends Schema.TaggedError<Wrong>()("Wrong", {}, Retryability.permanent) {}

const layer = Layer.mergeAll(DeadLetters.layer, Lease.layerMemory).pipe(Layer.provideMerge(EventBus.layerMemory))

/** Lets everything that can run without time passing run. */
const settle = Effect.repeatN(Effect.yieldNow(), 1_000)

const listed = (
  filter: DeadLetters.Filter = {}
): Effect.Effect<ReadonlyArray<DeadLetter>, unknown, DeadLetters.DeadLetters> =>
  Effect.flatMap(
    DeadLetters.DeadLetters,
    (letters) => Effect.map(Stream.runCollect(letters.list(filter)), (all) => Array.from(all))
  )

/** Days of the clock are not to be spent on renewals and looks at what others might have done. */
const retries = (schedule: Schedule.Schedule<unknown>) =>
  DeadLetterRetries.layer({ schedule, every: "100 days", lease: { ttl: "1000 days" } })

/** A subscription that puts aside what it is told to, and tells when it ran on what. */
const failing = (name: string, fails: (order: string) => boolean, error: () => Busy | Wrong = () => new Busy()) =>
  Effect.gen(function*() {
    const runs: Array<readonly [string, number, number]> = []
    yield* Subscription.run(name, {
      events: [Placed, Paid],
      handler: ({ order }, { attempt }): Effect.Effect<void, Busy | Wrong> =>
        Effect.flatMap(Effect.clock, (clock) => {
          runs.push([order, clock.unsafeCurrentTimeMillis(), attempt])
          return fails(order) ? Effect.fail(error()) : Effect.void
        }),
      onError: { Busy: OnError.deadLetter, Wrong: OnError.deadLetter }
    })
    return runs
  })

const place = (count: number, from = 0) =>
  bus.publishAll(
    Array.from({ length: count }, (_, n) => Envelope.make(Placed({ order: `o-${from + n}` }), { id: `m-${from + n}` }))
  )

describe("acceptance 14", () => {
  it.scoped("linear delays are 60 s, 120 s, 180 s and so on, then it is permanently failed", () =>
    Effect.gen(function*() {
      const runs = yield* failing("mail", () => true)
      yield* Layer.launch(retries(DeadLetterRetries.linear)).pipe(Effect.forkScoped)
      yield* place(1)
      yield* settle
      expect(runs.map(([, at]) => at)).toEqual([0])
      let at = 0
      for (const delay of [60, 120, 180, 240, 300]) {
        yield* TestClock.adjust(delay * 1_000 - 1)
        yield* settle
        expect(runs[runs.length - 1]![1]).toBe(at)
        yield* TestClock.adjust(1)
        yield* settle
        at += delay * 1_000
        expect(runs[runs.length - 1]).toEqual(["o-0", at, 1])
      }
      yield* TestClock.adjust("1 day")
      yield* settle
      expect(runs).toHaveLength(6)
      const [letter] = yield* listed({ retry: "failed" })
      expect([letter!.retry!.status, letter!.reprocessed, letter!.history.length, letter!.message.id]).toEqual([
        "failed",
        5,
        6,
        "m-0"
      ])
      const letters = yield* DeadLetters.DeadLetters
      expect((yield* letters.statistics({})).permanentlyFailed).toBe(1)
    }).pipe(Effect.provide(layer)))

  it.scoped("150 dead letters in batches of 100: all 150 are delivered, with progress", () =>
    Effect.gen(function*() {
      const state = { on: true }
      const runs = yield* failing("mail", () => state.on)
      yield* place(150)
      yield* settle
      const letters = yield* DeadLetters.DeadLetters
      expect((yield* letters.statistics({})).total).toBe(150)
      state.on = false
      runs.length = 0
      const progress = yield* Stream.runCollect(letters.reprocessing({}))
      expect(Array.from(progress)).toEqual([
        { total: 150, done: DeadLetters.batchSize, left: 0 },
        { total: 150, done: 150, left: 0 }
      ])
      yield* settle
      expect(runs.map(([order]) => order).sort()).toEqual(Array.from({ length: 150 }, (_, n) => `o-${n}`).sort())
      expect(yield* listed()).toEqual([])
    }).pipe(Effect.provide(layer)))

  it.scoped("over 10 % permanent failures: one alert, not one a message, and again after the rate has fallen", () =>
    Effect.gen(function*() {
      const alerts: Array<DeadLetterAlerts.Alert> = []
      yield* DeadLetterAlerts.alerts().pipe(
        Stream.runForEach((alert) => Effect.sync(() => void alerts.push(alert))),
        Effect.forkScoped
      )
      yield* settle
      const state = { on: true }
      yield* failing("mail", (order) => state.on && Number(order.slice(2)) % 5 === 0, () => new Wrong())
      yield* failing("other", () => false)
      // 4 of 19 fail, and are too few to say
      yield* place(19)
      yield* settle
      expect(alerts).toEqual([])
      // what succeeds is told of in batches: one more, and what is known by then
      yield* place(1, 19)
      yield* settle
      yield* place(80, 20)
      yield* settle
      expect(alerts.map(({ failures, messages, subscription }) => [subscription, failures, messages])).toEqual([
        ["mail", 4, DeadLetterAlerts.defaultMinimum]
      ])
      // falls: 20 of 210
      state.on = false
      yield* place(110, 100)
      yield* settle
      state.on = true
      yield* Effect.forEach(Array.from({ length: 20 }, (_, n) => n), (n) => place(1, 210 + n * 5))
      yield* settle
      expect(alerts).toHaveLength(2)
      expect(alerts[1]!.rate).toBeGreaterThan(DeadLetterAlerts.defaultThreshold)
      // what is older than the window counts no more
      yield* TestClock.adjust(DeadLetterAlerts.defaultWindow)
      yield* place(19, 310)
      yield* settle
      expect(alerts).toHaveLength(2)
      yield* place(1, 329)
      yield* settle
      expect(alerts).toHaveLength(3)
      expect(alerts[2]).toMatchObject({ subscription: "mail", failures: 4, messages: 20, rate: 0.2 })
    }).pipe(Effect.provide(layer)))
})

describe("automatic retries", () => {
  it.scoped("exponential and Fibonacci delays, and any Schedule", () =>
    Effect.gen(function*() {
      for (
        const [schedule, delays] of [
          [DeadLetterRetries.exponential, [1, 2, 4, 8, 16]],
          [DeadLetterRetries.fibonacci, [60, 60, 120, 180, 300]],
          [Schedule.spaced("10 seconds").pipe(Schedule.intersect(Schedule.recurs(2))), [10, 10]]
        ] as ReadonlyArray<[Schedule.Schedule<unknown>, ReadonlyArray<number>]>
      ) {
        const runs = yield* Effect.scoped(Effect.gen(function*() {
          const runs = yield* failing("mail", () => true)
          yield* Layer.launch(retries(schedule)).pipe(Effect.forkScoped)
          yield* place(1)
          yield* settle
          for (const delay of delays) {
            yield* TestClock.adjust(delay * 1_000)
            yield* settle
          }
          yield* TestClock.adjust("1 day")
          yield* settle
          return runs
        })).pipe(Effect.provide(layer))
        expect(runs.slice(1).map(([, at], n) => (at - runs[n]![1]) / 1_000)).toEqual(delays)
      }
    }))

  it.scoped("where it stands is kept with the letter: the next layer goes on from there", () =>
    Effect.gen(function*() {
      const runs = yield* failing("mail", () => true)
      yield* place(1)
      for (const delay of [60, 120, 180, 240, 300]) {
        // each try by a layer of its own, as after a restart
        const scope = yield* Scope.make()
        yield* Layer.buildWithScope(retries(DeadLetterRetries.linear), scope)
        yield* settle
        yield* TestClock.adjust(delay * 1_000)
        yield* settle
        yield* Scope.close(scope, Exit.void)
      }
      expect(runs.map(([, at]) => at / 1_000)).toEqual([0, 60, 180, 360, 600, 900])
    }).pipe(Effect.provide(layer)))

  it.scoped("what time does not mend is left alone, and so is what other subscriptions have put aside", () =>
    Effect.gen(function*() {
      const wrong = yield* failing("wrong", () => true, () => new Wrong())
      const other = yield* failing("other", () => true)
      const mail = yield* failing("mail", () => true)
      yield* Layer.launch(DeadLetterRetries.layer({
        schedule: DeadLetterRetries.exponential,
        subscriptions: ["mail", "wrong"]
      })).pipe(Effect.forkScoped)
      yield* place(1)
      yield* settle
      yield* TestClock.adjust("1 second")
      yield* settle
      expect([wrong.length, other.length, mail.length]).toEqual([1, 1, 2])
    }).pipe(Effect.provide(layer)))

  it.scoped("of two that share a lease one works; a letter that succeeds is gone", () =>
    Effect.gen(function*() {
      const state = { on: true }
      const runs = yield* failing("mail", () => state.on)
      yield* place(3)
      yield* settle
      state.on = false
      const retries = DeadLetterRetries.layer({ schedule: DeadLetterRetries.exponential })
      yield* Layer.launch(retries).pipe(Effect.forkScoped)
      yield* Layer.launch(Layer.fresh(retries)).pipe(Effect.forkScoped)
      yield* settle
      yield* TestClock.adjust("1 second")
      yield* settle
      expect(runs).toHaveLength(6)
      expect(yield* listed()).toEqual([])
    }).pipe(Effect.provide(layer)))

  it.scoped("layers for different subscriptions, each with its Schedule, work side by side", () =>
    Effect.gen(function*() {
      const mail = yield* failing("mail", () => true)
      const other = yield* failing("other", () => true)
      const layerFor = (subscription: string, schedule: Schedule.Schedule<unknown>) =>
        Layer.launch(DeadLetterRetries.layer({ schedule, subscriptions: [subscription] })).pipe(Effect.forkScoped)
      yield* layerFor("mail", DeadLetterRetries.exponential)
      yield* layerFor("other", DeadLetterRetries.linear)
      yield* place(1)
      yield* settle
      yield* TestClock.adjust("3 seconds")
      yield* settle
      expect([mail.length, other.length]).toEqual([3, 1])
      yield* TestClock.adjust("57 seconds")
      yield* settle
      expect([mail.length, other.length]).toEqual([6, 2])
    }).pipe(Effect.provide(layer)))

  it.effect("a Schedule that looks at errors, and a pause that is none, are refused at once", () =>
    Effect.gen(function*() {
      const refused = yield* Effect.flip(Effect.scoped(Layer.build(DeadLetterRetries.layer({
        schedule: Schedule.recurWhile((error: Busy) => error._tag === "Busy"),
        every: 0
      }))))
      expect(refused.faults.map(({ path }) => path).sort()).toEqual(["every", "schedule"])
    }).pipe(Effect.provide(layer)))
})

describe("the service", () => {
  it.scoped("statistics by reason, type and subscription", () =>
    Effect.gen(function*() {
      yield* failing("a", () => true)
      yield* failing("b", (order) => order === "o-1", () => new Wrong())
      yield* place(2)
      yield* bus.publish(Paid({ order: "o-1" }))
      yield* settle
      const letters = yield* DeadLetters.DeadLetters
      expect(yield* letters.statistics({})).toEqual({
        total: 5,
        permanentlyFailed: 0,
        byReason: { rejected: 3, permanent: 2 },
        byType: { Placed: 3, Paid: 2 },
        bySubscription: { a: 3, b: 2 }
      })
      expect((yield* letters.statistics({ reasons: ["permanent"], types: ["Paid"] })).total).toBe(1)
    }).pipe(Effect.provide(layer)))

  it.scoped("a letter that fails again while its batch is delivered is there afterwards, and was delivered once", () =>
    Effect.gen(function*() {
      const runs = yield* failing("mail", () => true)
      yield* place(250)
      yield* settle
      runs.length = 0
      const letters = yield* DeadLetters.DeadLetters
      // the handler runs between the batches
      const counts = yield* letters.reprocessing({}).pipe(Stream.tap(() => settle), Stream.runCollect)
      yield* settle
      expect(Array.from(counts, ({ done }) => done)[counts.length - 1]).toBe(250)
      expect(runs).toHaveLength(250)
      const again = yield* listed()
      expect(again.map(({ reprocessed }) => reprocessed)).toEqual(Array.from({ length: 250 }, () => 1))
      expect(again.map(({ history }) => history.length)).toEqual(Array.from({ length: 250 }, () => 2))
    }).pipe(Effect.provide(layer)))

  it.scoped("a letter that came back before the old one was removed is not removed with it", () =>
    Effect.gen(function*() {
      yield* failing("mail", () => true)
      yield* place(1)
      yield* settle
      const [old] = yield* listed()
      const letters = yield* DeadLetters.DeadLetters
      yield* letters.reprocess({})
      yield* settle
      const service = yield* EventBus.EventBus
      expect(yield* service.deadLetters.remove([old!])).toBe(0)
      yield* service.deadLetters.plan([{
        ...old!,
        retry: { position: { seed: 1, steps: 1, next: 5 }, status: "waiting" }
      }])
      expect((yield* listed()).map(({ reprocessed, retry }) => [reprocessed, retry])).toEqual([[1, undefined]])
      expect(yield* service.deadLetters.nextDue).toBe(undefined)
    }).pipe(Effect.provide(layer)))

  it.scoped("an edit keeps everything else; what was planned meanwhile stays", () =>
    Effect.gen(function*() {
      yield* failing("mail", () => true)
      yield* place(1)
      yield* settle
      const service = yield* EventBus.EventBus
      const [before] = yield* listed()
      yield* service.deadLetters.plan([{
        ...before!,
        retry: { position: { seed: 1, steps: 1, next: 5 }, status: "waiting" }
      }])
      const letters = yield* DeadLetters.DeadLetters
      expect(yield* letters.edit({ subscription: "mail", id: "m-0" }, { _tag: "Placed", order: "mended" })).toBe(true)
      expect(yield* letters.edit({ subscription: "mail", id: "m-9" }, {})).toBe(false)
      const after = Option.getOrThrow(yield* letters.get({ subscription: "mail", id: "m-0" }))
      expect(after.retry?.status).toBe("waiting")
      expect("payload" in after.message && after.message.payload).toBe("{\"_tag\":\"Placed\",\"order\":\"mended\"}")
      expect({ ...after, message: undefined, retry: undefined }).toEqual({ ...before, message: undefined })
      expect(yield* service.deadLetters.nextDue).toBe(5)
    }).pipe(Effect.provide(layer)))

  it.scoped("purge removes what is older than an age; expiry does so again and again", () =>
    Effect.gen(function*() {
      yield* failing("mail", () => true)
      yield* place(120)
      yield* settle
      yield* TestClock.adjust("1 day")
      yield* place(3, 120)
      yield* settle
      const letters = yield* DeadLetters.DeadLetters
      expect(yield* letters.purge("2 days")).toBe(0)
      expect(yield* letters.purge("1 day")).toBe(0)
      expect(yield* letters.purge("23 hours")).toBe(120)
      yield* Layer.launch(DeadLetters.layerExpiry({ every: "1 day" })).pipe(Effect.forkScoped)
      yield* TestClock.adjust(DeadLetters.defaultKeep)
      yield* settle
      expect(yield* listed()).toHaveLength(3)
      yield* TestClock.adjust("1 day")
      yield* settle
      expect(yield* listed()).toEqual([])
      const refused = yield* Effect.flip(letters.purge(Infinity))
      expect(refused._tag).toBe("InvalidInput")
    }).pipe(Effect.provide(layer)))

  it.scoped("filters by time, type, id and subscription meet all that is given; what is no instant is refused", () =>
    Effect.gen(function*() {
      yield* failing("a", () => true)
      yield* failing("b", () => true)
      yield* place(1)
      yield* settle
      yield* TestClock.adjust("1 minute")
      yield* bus.publish(Paid({ order: "o-1" }))
      yield* settle
      const count = (filter: DeadLetters.Filter) => Effect.map(listed(filter), (all) => all.length)
      expect(yield* count({ since: DateTime.unsafeMake(60_000) })).toBe(2)
      expect(yield* count({ until: DateTime.unsafeMake(60_000), subscription: "a" })).toBe(1)
      expect(yield* count({ types: ["Placed"], ids: ["m-0"], subscription: "b" })).toBe(1)
      expect(yield* count({ types: ["Paid"], ids: ["m-0"] })).toBe(0)
      const letters = yield* DeadLetters.DeadLetters
      const refused = yield* Effect.flip(letters.remove({ since: "no instant" as never }))
      expect(refused._tag).toBe("InvalidInput")
    }).pipe(Effect.provide(layer)))
})
