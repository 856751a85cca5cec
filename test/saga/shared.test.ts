/** Several engines over one store: who has a saga, and what the others may do. */
import { assert, it } from "@effect/vitest"
import {
  Effect,
  ExecutionStrategy,
  Exit,
  Fiber,
  Layer,
  Schedule,
  Schema,
  Scope,
  Stream,
  TestClock,
  TestServices
} from "effect"
import * as Saga from "effect-skald/saga/Saga"
import * as SagaEngine from "effect-skald/saga/SagaEngine"
import * as SagaJournal from "effect-skald/saga/SagaJournal"
import * as Timers from "effect-skald/saga/Timers"
import type { EventStore } from "effect-skald/store/EventStore"
import { equal } from "../support/assert.ts"
import * as Hand from "../support/handPlacement.ts"
import * as Embedded from "../support/embedded.ts"

class Failed extends Schema.TaggedError<Failed>()("Failed", { why: Schema.String }) {}

const Order = Saga.make("order", {
  version: 1,
  payload: Schema.Struct({ id: Schema.String }),
  success: Schema.String,
  error: Failed,
  idempotencyKey: ({ id }) => id
})

/** What was done, by which process. */
type Log = Array<string>

const live = (who: string, log: Log, before: Effect.Effect<unknown, Failed, Saga.Running> = Effect.void) =>
  Order.toLayer(({ id }) =>
    Effect.gen(function*() {
      yield* Saga.step("a", {
        success: Schema.String,
        execute: () => Effect.sync(() => (log.push(`${who} a ${id}`), "a")),
        compensate: () => Effect.sync(() => void log.push(`${who} undo ${id}`))
      })
      yield* before
      const value = yield* Effect.orDie(Saga.signal("go", { schema: Schema.String }))
      if (value === "fail") return yield* new Failed({ why: value })
      return `${value} from ${who}`
    })
  )

const go = (id: string, value = "gone") => Order.signal(id, { name: "go", schema: Schema.String, value })

const real = TestServices.provideLive(Effect.sleep("1 millis"))

const eventually = <R>(what: string, isSo: Effect.Effect<boolean, unknown, R>) =>
  Effect.gen(function*() {
    for (let tries = 0; !(yield* Effect.orDie(isSo)); tries++) {
      if (tries === 3_000) assert.fail(`not so: ${what}`)
      yield* real
    }
  })

/** A while in which everything has time to do what it is about to do. */
const aWhile = Effect.repeatN(real, 20)

/** A step that dies while it is told to, and then needs a person. */
const failing = (broken: () => boolean) =>
  Saga.step("b", {
    success: Schema.Void,
    execute: () => Effect.suspend(() => broken() ? Effect.die("broken") : Effect.void),
    compensate: () => Effect.void,
    onDefect: "intervene"
  })

type Body = Effect.Effect<unknown, Failed, Saga.Running>

/** Processes over one store, and who has which shard. */
const cluster = () => {
  const placement = Hand.make()
  return {
    ...placement,
    /** An id of a saga that a process has. */
    idOf: (name: string) => {
      for (let number = 0;; number++) if (placement.ownerOf(`:order/o-${number}`) === name) return `o-${number}`
    },
    /** One process: an engine, and its part of the shards. */
    join: (name: string, log: Log, options: { readonly body?: Body; readonly idleAfter?: "1 hour" } = {}) =>
      Effect.gen(function*() {
        const scope = yield* Scope.fork(yield* Effect.scope, ExecutionStrategy.sequential)
        const context = yield* Layer.buildWithScope(
          SagaEngine.layerSharedOf(live(name, log, options.body), {
            host: name,
            idleAfter: options.idleAfter ?? "5 seconds"
          }).pipe(Layer.provide(Layer.succeedContext(placement.layerContext(name)))),
          scope
        )
        return { in: Effect.provide(context), leave: Scope.close(scope, Exit.void) }
      }),
    /** Half of the shards for each. */
    share: (first: string, second: string) =>
      Effect.forEach(placement.all, (number) => placement.give(number, number % 2 === 0 ? first : second), {
        discard: true
      }),
    giveAll: (to: string) => Effect.forEach(placement.all, (number) => placement.give(number, to), { discard: true })
  }
}

const journal = (id: string) =>
  Effect.map(
    Stream.runCollect(SagaJournal.Sagas.read(SagaJournal.idOf("order", id))),
    (events) => Array.from(events, ({ payload }) => payload)
  )

const owners = (id: string) =>
  Effect.map(
    journal(id),
    (events) => events.flatMap((event) => event._tag === "SagaResumed" ? [event.host] : [])
  )

Embedded.onBoth("two engines over one store", (services) => {
  const test = <E>(
    title: string,
    program: () => Effect.Effect<unknown, E, EventStore | Timers.Timers | Scope.Scope>
  ) => it.scoped(title, () => Effect.provide(program(), Layer.fresh(Layer.mergeAll(services, Timers.layerMemory))))

  test("a saga that is started where it does not belong runs where it does, and both know its result", () => {
    const log: Log = []
    return Effect.gen(function*() {
      const { idOf, join, share } = cluster()
      const first = yield* join("first", log)
      const second = yield* join("second", log)
      yield* share("first", "second")
      const id = idOf("second")
      const run = yield* Effect.fork(first.in(Order.run({ id })))
      yield* eventually("it runs", Effect.sync(() => log.length === 1))
      equal(log, [`second a ${id}`])
      // started again, it is joined; another process may tell it what it waits for
      equal(yield* first.in(Order.start({ id })), id)
      const other = yield* Effect.fork(second.in(Order.run({ id })))
      equal(yield* first.in(go(id)), "accepted")
      equal([yield* Fiber.join(run), yield* Fiber.join(other)], ["gone from second", "gone from second"])
      equal((yield* first.in(Order.status(id))).state, "completed")
      equal(yield* first.in(go(id)), "duplicate")
      equal([log.length, yield* owners(id)], [1, ["second"]])
    })
  })

  test("lists and statistics tell of another process's saga whether it waits: for an answer, an instant, a retry", () => {
    const log: Log = []
    let broken = true
    const body = Effect.gen(function*() {
      yield* Saga.sleep("night", "8 hours")
      yield* Saga.step("b", {
        success: Schema.Void,
        execute: () => Effect.suspend(() => broken ? new Failed({ why: "closed" }) : Effect.void),
        compensate: () => Effect.void,
        retry: Schedule.recurs(1).pipe(Schedule.addDelay(() => "1 hours"))
      })
    })
    return Effect.gen(function*() {
      const { idOf, join, share } = cluster()
      const first = yield* join("first", log, { body })
      yield* join("second", log, { body })
      yield* share("first", "second")
      const id = idOf("second")
      const engine = yield* first.in(SagaEngine.SagaEngine)
      const events = (tag: string) =>
        Effect.map(journal(id), (all) => all.filter(({ _tag }) => _tag === tag).length === 1)
      const told = (waiting: number) =>
        Effect.gen(function*() {
          equal((yield* engine.list({ states: ["waiting"] })).map((each) => each.id), waiting === 1 ? [id] : [])
          equal((yield* engine.statistics)["order"]?.waiting, waiting)
        })
      yield* first.in(Order.start({ id }))
      yield* eventually("it sleeps", events("SagaTimerSet"))
      yield* told(1)
      yield* TestClock.adjust("8 hours")
      yield* eventually("it is to try again", events("SagaAttemptFailed"))
      yield* told(1)
      broken = false
      yield* TestClock.adjust("1 hours")
      yield* eventually("it waits for an answer", events("SagaSignalAwaited"))
      yield* told(1)
      equal(yield* first.in(go(id)), "accepted")
      yield* eventually("it has ended", events("SagaEnded"))
      yield* told(0)
      equal((yield* engine.statistics)["order"]?.completed, 1)
    })
  })

  test("a saga of another process that runs after its waits is running, and one that was told before waits for nothing", () => {
    const log: Log = []
    let open = false
    const body = Effect.gen(function*() {
      yield* Saga.sleep("night", "8 hours")
      yield* Effect.raceFirst(Saga.sleep("never", "99 days"), Saga.sleep("minute", "1 minutes"))
      yield* Effect.orDie(Saga.signal("early", { schema: Schema.String }))
      yield* Saga.step("b", {
        success: Schema.Void,
        execute: () => Effect.repeat(real, { until: () => open }),
        compensate: () => Effect.void
      })
    })
    return Effect.gen(function*() {
      const { idOf, join, share } = cluster()
      const first = yield* join("first", log, { body })
      yield* join("second", log, { body })
      yield* share("first", "second")
      const id = idOf("second")
      const engine = yield* first.in(SagaEngine.SagaEngine)
      const states = Effect.map(engine.list(), (all) => all.map(({ state }) => state))
      const has = (tag: string, step: string) =>
        eventually(
          `${tag} ${step}`,
          Effect.map(journal(id), (all) =>
            all.some((event) => event._tag === tag && "step" in event && event.step === step))
        )
      yield* first.in(Order.start({ id }))
      yield* has("SagaTimerSet", "night")
      yield* first.in(Order.signal(id, { name: "early", schema: Schema.String, value: "bird" }))
      equal(yield* states, ["waiting"])
      yield* TestClock.adjust("8 hours")
      yield* has("SagaTimerSet", "minute")
      yield* TestClock.adjust("1 minutes")
      yield* has("SagaStepIntended", "b")
      equal(yield* states, ["running"])
      open = true
      yield* has("SagaSignalAwaited", "go")
      equal(yield* states, ["waiting"])
    })
  })

  test("changes, and sagas that need a person, are heard in every process", () => {
    const log: Log = []
    return Effect.gen(function*() {
      const { idOf, join, share } = cluster()
      const first = yield* join("first", log, { body: failing(() => true) })
      yield* join("second", log, { body: failing(() => true) })
      yield* share("first", "second")
      const heard = yield* Effect.fork(first.in(
        Effect.flatMap(SagaEngine.SagaEngine, (engine) => Stream.runCollect(Stream.take(engine.interventions, 1)))
      ))
      yield* aWhile
      const id = idOf("second")
      yield* first.in(Order.start({ id }))
      equal(Array.from(yield* Fiber.join(heard), (each) => each.id), [id])
    })
  })

  test("signals, cancels and retries from the process that does not have a saga reach it", () => {
    const log: Log = []
    let broken = true
    const body = failing(() => broken)
    return Effect.gen(function*() {
      const { idOf, join, share } = cluster()
      const first = yield* join("first", log, { body })
      yield* join("second", log, { body })
      yield* share("first", "second")
      const id = idOf("second")
      equal((yield* first.in(Effect.flip(Order.run({ id }))))._tag, "NeedsIntervention")
      const engine = yield* first.in(SagaEngine.SagaEngine)
      equal((yield* engine.list()).map(({ state }) => state), ["needsIntervention"])
      broken = false
      yield* engine.retry({ saga: "order", id }, { by: "ann", why: "mended" })
      yield* eventually("it waits", Effect.map(first.in(Order.status(id)), ({ state }) => state === "waiting"))
      const run = yield* Effect.fork(first.in(Effect.flip(Order.run({ id }))))
      yield* aWhile
      yield* first.in(Order.cancel(id, { by: "ann", why: "enough" }))
      equal((yield* Fiber.join(run))._tag, "SagaCancelled")
      equal(log, [`second a ${id}`, `second undo ${id}`])
    })
  })

  test("what one hands over the other goes on with: no compensation, no step twice", () => {
    const log: Log = []
    return Effect.gen(function*() {
      const { giveAll, join, ownerOf, share } = cluster()
      const first = yield* join("first", log)
      const second = yield* join("second", log)
      yield* giveAll("first")
      const ids = Array.from({ length: 20 }, (_, number) => `o-${number}`)
      yield* Effect.forEach(ids, (id) => first.in(Order.start({ id })), { discard: true })
      yield* eventually("they run", Effect.sync(() => log.length === 20))
      yield* share("first", "second")
      // what is with the second now it has said to be its own
      yield* eventually(
        "it has taken them over",
        Effect.map(
          Effect.forEach(ids, (id) => Effect.map(owners(id), (by) => [ownerOf(`:order/${id}`), by] as const)),
          (all) => all.every(([owner, by]) => (by.at(-1) === "second") === (owner === "second"))
        )
      )
      const waiting = yield* Effect.fork(
        first.in(Effect.forEach(ids, (id) => Effect.either(Order.run({ id })), { concurrency: "unbounded" }))
      )
      yield* aWhile
      yield* giveAll("second")
      yield* second.in(Effect.forEach(ids, (id) => go(id), { discard: true }))
      equal(
        (yield* Fiber.join(waiting)).map((each) => each._tag === "Right" ? each.right : each.left._tag),
        ids.map(() => "gone from second")
      )
      yield* first.leave
      equal(log.toSorted(), ids.map((id) => `first a ${id}`).toSorted())
    })
  })

  test("back and forth, in the midst of a step: it is run again with its key by the next, and ends once", () => {
    const log: Log = []
    let open = false
    const keys = new Set<string>()
    const body = Saga.step("b", {
      success: Schema.Void,
      execute: (key) =>
        Effect.suspend(() => {
          keys.add(key)
          return open ? Effect.void : Effect.never
        }),
      compensate: () => Effect.sync(() => void log.push("undo b"))
    })
    return Effect.gen(function*() {
      const { giveAll, join } = cluster()
      const first = yield* join("first", log, { body })
      yield* join("second", log, { body })
      yield* giveAll("first")
      const run = yield* Effect.fork(first.in(Order.run({ id: "o" })))
      for (const next of ["second", "first", "second"]) {
        yield* aWhile
        yield* giveAll(next)
        yield* eventually("it was taken over", Effect.map(owners("o"), (by) => by.at(-1) === next))
      }
      open = true
      yield* aWhile
      yield* giveAll("first")
      yield* first.in(go("o"))
      equal(yield* Fiber.join(run), "gone from first")
      equal([log, keys.size, yield* owners("o")], [["first a o"], 1, ["second", "first", "second", "first"]])
    })
  })

  test("what is let go in one process comes back there by a timer, and by a signal from another", () => {
    const log: Log = []
    const body = Saga.sleep("nap", "15 seconds")
    return Effect.gen(function*() {
      const timers = yield* Timers.Timers
      const { all, idOf, join, share } = cluster()
      const first = yield* join("first", log, { body })
      yield* join("second", log, { body })
      yield* share("first", "second")
      const id = idOf("second")
      yield* first.in(Order.start({ id }))
      yield* eventually("it runs", Effect.sync(() => log.length === 1))
      yield* aWhile
      const armed = Effect.map(
        Effect.forEach(all, (shard) => timers.count(`skald-sagas/8/${shard}`)),
        (counts) => counts.reduce((sum, count) => sum + count, 0)
      )
      yield* TestClock.adjust("6 seconds")
      yield* eventually("it is let go, with a timer", Effect.map(armed, (count) => count === 1))
      yield* TestClock.adjust("15 seconds")
      yield* eventually(
        "it waits for its signal",
        Effect.map(first.in(Order.status(id)), ({ steps }) => steps.some(({ kind }) => kind === "signal"))
      )
      yield* eventually("the timer is gone", Effect.map(armed, (count) => count === 0))
      yield* aWhile
      yield* TestClock.adjust("6 seconds")
      yield* aWhile
      equal(yield* first.in(go(id)), "accepted")
      equal(yield* first.in(Order.run({ id })), "gone from second")
      equal([log, yield* owners(id)], [[`second a ${id}`], ["second"]])
    })
  })

  test("one that has lost its shards without hearing of it cannot write, and runs no compensation", () => {
    const log: Log = []
    return Effect.gen(function*() {
      const { giveAll, join, takeFrom } = cluster()
      const stale = yield* join("stale", log, { idleAfter: "1 hour" })
      const next = yield* join("next", log, { idleAfter: "1 hour" })
      yield* giveAll("stale")
      yield* stale.in(Order.start({ id: "o" }))
      yield* eventually("it runs", Effect.sync(() => log.length === 1))
      yield* takeFrom("stale", "next")
      yield* eventually("it was taken over", Effect.map(owners("o"), (by) => by.at(-1) === "next"))
      const version = (yield* journal("o")).length
      // the signal reaches both: one of them may write what follows from it
      yield* stale.in(go("o"))
      equal(yield* next.in(Order.run({ id: "o" })), "gone from next")
      equal(yield* stale.in(Order.run({ id: "o" })), "gone from next")
      // it believes still to have the shard: what it starts is taken over by who has it
      yield* stale.in(Order.start({ id: "p" }))
      yield* eventually("it was taken over", Effect.map(owners("p"), (by) => by.at(-1) === "next"))
      yield* stale.in(go("p"))
      equal(yield* stale.in(Order.run({ id: "p" })), "gone from next")
      const after = (yield* journal("o")).slice(version).map(({ _tag }) => _tag)
      equal(after, ["SagaSignalReceived", "SagaDecided", "SagaEnded"])
      equal(log.filter((line) => line.includes("undo")), [])
    })
  })
})
