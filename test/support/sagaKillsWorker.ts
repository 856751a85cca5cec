/**
 * A process that carries sagas through, so many at a time, until it is killed. What their steps do is done by the process that
 * started it: it is asked over the channel between the two, and keeps the ledger.
 */
import * as Saga from "effect-skald/saga/Saga"
import * as SagaEngine from "effect-skald/saga/SagaEngine"
import type { EventStore } from "effect-skald/store/EventStore"
import * as PostgresStore from "effect-skald/store/Postgres"
import * as Sqlite from "effect-skald/store/Sqlite"
import { Deferred, Effect, Layer, Redacted, Schedule, Schema } from "effect"
import type { Answer, Ask } from "./sagaKills.ts"

const [kind = "", where = "", prefix = "", atOnce = "50"] = process.argv.slice(2)

const waiting = new Map<number, Deferred.Deferred<Answer>>()
let asked = 0
process.on("message", (answer: Answer) => {
  Deferred.unsafeDone(waiting.get(answer.number)!, Effect.succeed(answer))
  waiting.delete(answer.number)
})
const ask = (question: Ask): Effect.Effect<Answer> =>
  Effect.suspend(() => {
    const number = asked++
    const answered = Deferred.unsafeMake<Answer>(undefined as never)
    waiting.set(number, answered)
    process.send!({ ...question, number })
    return Deferred.await(answered)
  })

class Busy extends Schema.TaggedError<Busy>()("Busy", {}) {}
class Refused extends Schema.TaggedError<Refused>()("Refused", { step: Schema.String }) {}

const Failure = Schema.Union(Busy, Refused)

const outcome = (step: string) => ({ says }: Answer): Effect.Effect<void, Busy | Refused> =>
  says === "busy" ? new Busy() : says === "refused" ? new Refused({ step }) : Effect.void

const perform = (id: string, step: string) => (key: string) =>
  Effect.flatMap(ask({ what: "perform", id, step, key }), outcome(step))
const undo = (id: string, step: string) => (_: unknown, key: string) =>
  Effect.flatMap(ask({ what: "undo", id, step, key }), ({ says }) => says === "busy" ? new Busy() : Effect.void)

const retry = Schedule.spaced("5 millis").pipe(
  Schedule.whileInput((error: typeof Failure.Type) => error._tag === "Busy"),
  Schedule.intersect(Schedule.recurs(5))
)
const step = (id: string, name: string) =>
  Saga.step(name, {
    success: Schema.Void,
    error: Failure,
    execute: perform(id, name),
    retry,
    compensate: undo(id, name),
    compensateRetry: Schedule.spaced("5 millis").pipe(Schedule.intersect(Schedule.recurs(5))),
    compensateExhausted: "intervene"
  })

const Order = Saga.make("order", {
  version: 1,
  payload: Schema.String,
  success: Schema.String,
  error: Failure,
  idempotencyKey: (id) => id
})
const OrderLive = Order.toLayer((id) =>
  Effect.gen(function*() {
    yield* Effect.all([step(id, "reserve"), step(id, "charge")], { concurrency: 2 })
    yield* Saga.nested("file", Effect.zipRight(step(id, "create"), Saga.sleep("settle", "20 millis")))
    yield* Saga.pivot("confirm", { success: Schema.Void, error: Failure, execute: perform(id, "confirm"), retry })
    yield* Saga.retriable("ship", { success: Schema.Void, error: Failure, execute: perform(id, "ship"), retry })
    return "fulfilled"
  })
)

const Store: Layer.Layer<EventStore, unknown> = kind === "sqlite"
  ? Sqlite.layerFile({ filename: where })
  : PostgresStore.layerServer({ url: Redacted.make(where), prefix })

/** One saga after the other, of the names that the other process gives out. */
const customer: Effect.Effect<void, unknown, SagaEngine.SagaEngine> = Effect.flatMap(
  ask({ what: "next" }),
  ({ says }) => says === "none" ? Effect.void : Effect.zipRight(Effect.exit(Order.run(says)), customer)
)

const program = Effect.gen(function*() {
  const engine = yield* SagaEngine.SagaEngine
  yield* engine.ready
  // What was in flight when an earlier process was killed comes first: there are never more at once. (Were there ever more than the
  // effects after which each process is killed, all of them would be asked for anew, and none be heard of, for ever.)
  const inFlight = yield* engine.list({ limit: 1_000_000 })
  yield* Effect.forEach(
    Array.from({ length: Math.max(Number(atOnce), inFlight.length) }, (_, slot) => inFlight[slot]),
    (left) => left === undefined ? customer : Effect.zipRight(Effect.exit(Order.run(left.id)), customer),
    { concurrency: "unbounded", discard: true }
  )
  for (const state of ["completed", "compensated", "timedOut", "needsIntervention"] as const) {
    const ended = yield* engine.list({ states: [state], limit: 1_000_000 })
    yield* ask({ what: "ended", state, ids: ended.map(({ id }) => id) })
  }
})

Effect.runPromise(
  Effect.provide(
    Effect.scoped(program),
    OrderLive.pipe(Layer.provideMerge(SagaEngine.layer), Layer.provideMerge(Store))
  )
).then(() => process.exit(0))
