/**
 * The journal of a saga: the events of its stream. The saga *is* this stream, and what the engine does is decided by it alone.
 *
 * They are events like any other: project them, subscribe to them, match them. The stream of a saga is
 * `saga-<name>/<id>`, in the tenant of whoever started it. Values and errors stand in it encoded, by the Schemas of their
 * steps.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as Event from "../event/Event.ts"
import * as SchedulePosition from "../resilience/SchedulePosition.ts"
import * as Category from "../store/Category.ts"

const maybe = <A, I>(schema: Schema.Schema<A, I>) => Schema.optionalWith(schema, { exact: true })

/** Milliseconds since 1970. */
const Instant = Schema.Number

/**
 * How something went wrong, as it is journaled.
 *
 * - `error`: a typed failure, `value` encoded by the Schema that `codec` names: the step's, the saga's, or none (its JSON);
 * - `defect`: what was thrown;
 * - `timeout`: an attempt took longer than its step allows;
 * - `unknown`: a crash left open what a step did, and its definition asks for compensation then;
 * - `invalid`: the body asked for a step that no saga can have.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Failure = Schema.Struct({
  kind: Schema.Literal("error", "defect", "timeout", "unknown", "invalid"),
  message: Schema.String,
  /** The `_tag` of a tagged error. */
  tag: maybe(Schema.String),
  value: maybe(Schema.Unknown),
  codec: maybe(Schema.Literal("step", "saga", "json"))
})

/**
 * How something went wrong.
 *
 * @since 0.1.0
 * @category models
 */
export type Failure = typeof Failure.Type

/**
 * What a journaled activity is.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Kind = Schema.Literal("compensatable", "pivot", "retriable", "sleep", "signal")

/**
 * What a journaled activity is.
 *
 * @since 0.1.0
 * @category models
 */
export type Kind = typeof Kind.Type

/**
 * Why a saga rolls back.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Reason = Schema.Literal("failed", "cancelled", "timedOut")

/**
 * Why a saga rolls back.
 *
 * @since 0.1.0
 * @category models
 */
export type Reason = typeof Reason.Type

/**
 * Why a person is needed.
 *
 * - `compensationFailed`: a compensation went on failing until its Schedule ended;
 * - `retriableExhausted`: a step after the pivot did;
 * - `failedAfterPivot`: the body failed where it cannot be rolled back any more;
 * - `unknownOutcome`: a crash left open what a step did, and its definition says to ask a person; or a pivot used its time
 *   up;
 * - `defect`: a step died, and its definition says to ask a person; or one that is not undone has succeeded, with a result that
 *   cannot be journaled;
 * - `suspended`: the saga failed, and its definition says to keep what was done;
 * - `definitionMismatch`: the body does not fit the journal.
 *
 * @since 0.1.0
 * @category schemas
 */
export const InterventionReason = Schema.Literal(
  "compensationFailed",
  "retriableExhausted",
  "failedAfterPivot",
  "unknownOutcome",
  "defect",
  "suspended",
  "definitionMismatch"
)

/**
 * Why a person is needed.
 *
 * @since 0.1.0
 * @category models
 */
export type InterventionReason = typeof InterventionReason.Type

const saga = { saga: Schema.String, id: Schema.String }
const tagged = { tags: (event: { readonly saga: string }) => [`saga:${event.saga}`] }
/** An activity, by its identity: parent, name, key, and the round where the whole saga is retried. */
const step = { step: Schema.String }
/** Where in the body an activity was asked for: after which one, on which branch. */
const place = { place: Schema.String }

/**
 * A saga was started: its input as it was given, and what its body's randomness comes from.
 *
 * @since 0.1.0
 * @category events
 */
export const Started = Event.make("SagaStarted", {
  ...saga,
  version: Schema.Number,
  payload: Schema.Unknown,
  seed: Schema.Number,
  /** When it is to have ended. */
  deadline: maybe(Instant)
}, tagged)

/**
 * An engine took the saga over from its journal, after a crash or a stop of the one before.
 *
 * @since 0.1.0
 * @category events
 */
export const Resumed = Event.make("SagaResumed", { ...saga, host: Schema.String }, tagged)

/**
 * The whole saga is tried again from its beginning, `due` at the earliest.
 *
 * @since 0.1.0
 * @category events
 */
export const RoundStarted = Event.make("SagaRoundStarted", {
  round: Schema.Number,
  due: Instant,
  position: SchedulePosition.Position
})

/**
 * A step is about to run for the first time.
 *
 * @since 0.1.0
 * @category events
 */
export const StepIntended = Event.make("SagaStepIntended", {
  ...step,
  ...place,
  name: Schema.String,
  key: maybe(Schema.String),
  kind: Kind,
  /** Whether it has a compensation. */
  compensated: Schema.Boolean
})

/**
 * A step is about to run once more.
 *
 * @since 0.1.0
 * @category events
 */
export const StepAttempted = Event.make("SagaStepAttempted", { ...step, attempt: Schema.Number })

/**
 * An attempt failed, and there will be another, `due` at the earliest.
 *
 * @since 0.1.0
 * @category events
 */
export const AttemptFailed = Event.make("SagaAttemptFailed", {
  ...step,
  attempt: Schema.Number,
  failure: Failure,
  /** Whether the step says that the failure had no effect. */
  noEffect: Schema.Boolean,
  position: SchedulePosition.Position,
  due: Instant
})

/**
 * A step has succeeded, with its encoded result.
 *
 * @since 0.1.0
 * @category events
 */
export const StepDone = Event.make("SagaStepDone", { ...step, value: maybe(Schema.Unknown) })

/**
 * A step has failed for good.
 *
 * @since 0.1.0
 * @category events
 */
export const StepFailed = Event.make("SagaStepFailed", { ...step, failure: Failure, noEffect: Schema.Boolean })

/**
 * An activity was interrupted while its saga goes on: it lost a race, or a sibling failed. What it did is unknown.
 *
 * @since 0.1.0
 * @category events
 */
export const StepLost = Event.make("SagaStepLost", step)

/**
 * A durable sleep has begun, until `due`.
 *
 * @since 0.1.0
 * @category events
 */
export const TimerSet = Event.make("SagaTimerSet", { ...step, ...place, name: Schema.String, due: Instant })

/**
 * A durable sleep is over.
 *
 * @since 0.1.0
 * @category events
 */
export const TimerFired = Event.make("SagaTimerFired", step)

/**
 * The body waits for a signal, until `due` where there is a limit.
 *
 * @since 0.1.0
 * @category events
 */
export const SignalAwaited = Event.make("SagaSignalAwaited", {
  ...step,
  ...place,
  name: Schema.String,
  /** The signal's name, and key where there is one. */
  signal: Schema.String,
  due: maybe(Instant)
})

/**
 * A signal has come; the first one of a name counts.
 *
 * @since 0.1.0
 * @category events
 */
export const SignalReceived = Event.make("SagaSignalReceived", { signal: Schema.String, value: maybe(Schema.Unknown) })

/**
 * The time to wait for a signal is over.
 *
 * @since 0.1.0
 * @category events
 */
export const SignalLimitPassed = Event.make("SagaSignalLimitPassed", { ...step, signal: Schema.String })

/**
 * A nested saga failed, and is rolled back before its parent hears of it.
 *
 * @since 0.1.0
 * @category events
 */
export const NestedDecided = Event.make("SagaNestedDecided", { nested: Schema.String })

/**
 * What becomes of the saga. Whatever an Exit says, this is what is obeyed.
 *
 * @since 0.1.0
 * @category events
 */
export const Decided = Event.make("SagaDecided", {
  ...saga,
  decision: Schema.Literal("commit", "rollback"),
  reason: maybe(Reason),
  failure: maybe(Failure)
}, tagged)

/**
 * A compensation is about to run.
 *
 * @since 0.1.0
 * @category events
 */
export const CompensationIntended = Event.make("SagaCompensationIntended", { ...step, attempt: Schema.Number })

/**
 * What a step did is undone, or was found never to have happened.
 *
 * @since 0.1.0
 * @category events
 */
export const Compensated = Event.make("SagaCompensated", { ...step, how: Schema.Literal("undone", "neverHappened") })

/**
 * A run of a compensation failed. `due` says when the next one comes; without it there is none.
 *
 * @since 0.1.0
 * @category events
 */
export const CompensationFailed = Event.make("SagaCompensationFailed", {
  ...step,
  attempt: Schema.Number,
  failure: Failure,
  position: SchedulePosition.Position,
  due: maybe(Instant),
  /** The compensation is given up and left to people, and the next one runs. */
  left: maybe(Schema.Boolean)
})

/**
 * The saga cannot go on by itself.
 *
 * @since 0.1.0
 * @category events
 */
export const InterventionNeeded = Event.make("SagaInterventionNeeded", {
  ...saga,
  reason: InterventionReason,
  step: maybe(Schema.String),
  failure: maybe(Failure)
}, tagged)

/**
 * A person acted, with who and why.
 *
 * @since 0.1.0
 * @category events
 */
export const OperatorActed = Event.make("SagaOperatorActed", {
  ...saga,
  act: Schema.Literal("retry", "skip", "resolve", "cancel"),
  by: Schema.String,
  why: Schema.String,
  step: maybe(Schema.String),
  /** What a step is said to have succeeded with, encoded. */
  value: maybe(Schema.Unknown),
  /** What a step is said to have failed with. */
  failure: maybe(Failure)
}, tagged)

/**
 * The deadline has passed after the pivot: the saga goes on forwards, late.
 *
 * @since 0.1.0
 * @category events
 */
export const DeadlinePassed = Event.make("SagaDeadlinePassed", saga, tagged)

/**
 * How a saga may end.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Ending = Schema.Literal("completed", "compensated", "timedOut")

/**
 * How a saga may end.
 *
 * @since 0.1.0
 * @category models
 */
export type Ending = typeof Ending.Type

/**
 * The saga has ended; no event follows.
 *
 * @since 0.1.0
 * @category events
 */
export const Ended = Event.make("SagaEnded", {
  ...saga,
  state: Ending,
  reason: maybe(Reason),
  value: maybe(Schema.Unknown),
  failure: maybe(Failure),
  /** The steps whose compensations were given up. */
  left: Schema.Array(Schema.String)
}, { tags: (event) => [`saga:${event.saga}`, `state:${event.state}`] })

/**
 * The journals of all sagas, the stream of each named by its saga's name and its id; see {@link idOf}.
 *
 * @example
 * ```ts
 * import * as SagaJournal from "effect-skald/saga/SagaJournal"
 * import { Effect, Stream } from "effect"
 *
 * // how each saga ended, as it ends
 * const ended = SagaJournal.Sagas.subscribe({ types: [SagaJournal.Ended], allTenants: true }).pipe(
 *   Stream.runForEach((recorded) => Effect.log(`${recorded.payload.id} is ${recorded.payload.state}`))
 * )
 * ```
 *
 * @since 0.1.0
 * @category constants
 */
export const Sagas = Category.make("saga", {
  events: [
    Started,
    Resumed,
    RoundStarted,
    StepIntended,
    StepAttempted,
    AttemptFailed,
    StepDone,
    StepFailed,
    StepLost,
    TimerSet,
    TimerFired,
    SignalAwaited,
    SignalReceived,
    SignalLimitPassed,
    NestedDecided,
    Decided,
    CompensationIntended,
    Compensated,
    CompensationFailed,
    InterventionNeeded,
    OperatorActed,
    DeadlinePassed,
    Ended
  ]
})

/**
 * An event of a journal.
 *
 * @since 0.1.0
 * @category models
 */
export type JournalEvent = (typeof Sagas.group.types)[number]["Type"]

/**
 * The id of a saga's stream in {@link Sagas}.
 *
 * @example
 * ```ts
 * import * as SagaJournal from "effect-skald/saga/SagaJournal"
 *
 * const journal = SagaJournal.Sagas.read(SagaJournal.idOf("fulfil", "order-1"))
 * ```
 *
 * @since 0.1.0
 * @category getters
 */
export const idOf = (saga: string, id: string): string => `${saga}/${id}`
