/**
 * Where a Schedule stands, as data: stored with a message or a saga, and resumed in another process.
 *
 * The state of a Schedule is opaque. What is kept instead is what it was given, the instants and inputs of its past steps, and
 * it is driven again through its steps. For that to lead to the same place, a step is run so that it sees nothing but what is
 * kept: the clock stands at the instant of the step, random numbers come from a seed that is stored, services there are none.
 * The next instant is stored as well, so that jitter is not drawn twice.
 *
 * - {@link counted} keeps a number: for Schedules that depend on how often they were asked and on nothing else.
 * - {@link timed} keeps instants: for those that look at the time, such as `Schedule.upTo` and `Schedule.cron`.
 * - {@link make} keeps inputs as well, by a Schema: for those that look at errors, such as `RetryPolicy.whileRetryable`.
 *
 * A Schedule that cannot be driven again from what is kept is refused when it is built, as far as its first steps show it, and
 * otherwise at the step that shows it; never is it resumed wrongly in silence.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { dual } from "effect/Function"
import * as ParseResult from "effect/ParseResult"
import * as Random from "effect/Random"
import type * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Internal from "../internal/resilience/schedulePosition.ts"

/**
 * What is stored; JSON as it stands. It grows by a number, and by an input where inputs are kept, with each step.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Position = Schema.Struct({
  /** Where random numbers come from. */
  seed: Schema.Int,
  /** How many steps were taken: how often the schedule was asked. */
  steps: Schema.NonNegativeInt,
  /** When, in milliseconds since 1970; absent where only the number counts. */
  instants: Schema.optionalWith(Schema.Array(Schema.Number), { exact: true }),
  /** With which inputs, encoded; absent where they do not matter. */
  inputs: Schema.optionalWith(Schema.Array(Schema.Unknown), { exact: true }),
  /** When the next run is due, in milliseconds since 1970. Null before the first step, and once the Schedule has ended. */
  next: Schema.NullOr(Schema.Int)
})

/**
 * Where a Schedule stands.
 *
 * @since 0.1.0
 * @category models
 */
export type Position = typeof Position.Type

/**
 * Why a Schedule cannot be driven again.
 *
 * - `input`: it looks at its inputs, and they are not kept; or its Schema refuses one
 * - `instant`: it looks at instants, and they are not kept
 * - `differs`: driven twice in the same way it answered differently, as with a variable of its own
 * - `waits`: a step waits for something
 * - `dies`: a step throws
 * - `stored`: the position was not made by a Schedule of this kind, or an input in it cannot be decoded any more
 *
 * @since 0.1.0
 * @category errors
 */
export class NotResumable
  extends Schema.TaggedError<NotResumable>("effect-skald/resilience/NotResumable")("NotResumable", {
    reason: Schema.Literal("input", "instant", "differs", "waits", "dies", "stored")
  })
{
  override get message(): string {
    return `a Schedule cannot be resumed: ${problems[this.reason]}`
  }
}

const problems: { readonly [reason in NotResumable["reason"]]: string } = {
  input: "it depends on its inputs, and they are not kept: give SchedulePosition.make a Schema of them",
  instant: "it depends on instants, and only a count is kept: use SchedulePosition.timed",
  differs: "driven twice in the same way, it answers differently",
  waits: "a step of it waits",
  dies: "a step of it throws",
  stored: "what was stored does not belong to it"
}

/**
 * One step: the position after it, and the Schedule's output.
 *
 * @since 0.1.0
 * @category models
 */
export interface Step<out Out> {
  readonly position: Position
  readonly output: Out
}

/**
 * A Schedule that can be resumed.
 *
 * @since 0.1.0
 * @category models
 */
export interface Resumable<out Out, in In> {
  /**
   * Asks the Schedule when to run next, at an instant in milliseconds. Pure: the same for the same arguments, also in another
   * process. An ended position stays as it is.
   */
  readonly step: (position: Position, now: number, input: In) => Either.Either<Step<Out>, NotResumable>
}

const fail = (reason: NotResumable["reason"]) => new NotResumable({ reason })

const checked = <Out, In>(
  schedule: Schedule.Schedule<Out, any>,
  keeps: Internal.Keeps,
  codec?: Internal.Codec<In>
): Either.Either<Resumable<Out, In>, NotResumable> => {
  const reason = Internal.refusal(schedule, keeps)
  return reason === undefined
    ? Either.right(Internal.make<Out, In>(schedule, keeps, codec, fail))
    : Either.left(fail(reason))
}

/**
 * For a Schedule that depends on the number of its steps and on nothing else: most of `RetryPolicy`, `Schedule.recurs`,
 * `Schedule.spaced`. It sees steps that are as punctual as can be.
 *
 * @example
 * ```ts
 * import * as RetryPolicy from "effect-skald/resilience/RetryPolicy"
 * import * as SchedulePosition from "effect-skald/resilience/SchedulePosition"
 * import { Either, Schedule } from "effect"
 *
 * SchedulePosition.counted(RetryPolicy.standard) // right
 * Either.isLeft(SchedulePosition.counted(Schedule.cron("0 8 * * *"))) // true: it looks at the time
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const counted = <Out>(
  schedule: Schedule.Schedule<Out, any>
): Either.Either<Resumable<Out, unknown>, NotResumable> => checked(schedule, { instants: false, inputs: false })

/**
 * For a Schedule that depends on instants and not on its inputs.
 *
 * @example
 * ```ts
 * import * as SchedulePosition from "effect-skald/resilience/SchedulePosition"
 * import { Effect, Schedule } from "effect"
 *
 * const retries = SchedulePosition.timed(Schedule.spaced("1 minute").pipe(Schedule.upTo("1 day")))
 *
 * // an Either is an Effect: what cannot be resumed is a typed failure
 * const begun = Effect.zip(retries, SchedulePosition.initial)
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const timed = <Out>(
  schedule: Schedule.Schedule<Out, any>
): Either.Either<Resumable<Out, unknown>, NotResumable> => checked(schedule, { instants: true, inputs: false })

/**
 * For a Schedule that may depend on its inputs, which are stored by their Schema. It sees them as they will be read again:
 * encoded, and decoded.
 *
 * @example
 * ```ts
 * import * as RetryPolicy from "effect-skald/resilience/RetryPolicy"
 * import * as SchedulePosition from "effect-skald/resilience/SchedulePosition"
 * import { Schema } from "effect"
 *
 * class Busy extends Schema.TaggedError<Busy>()("Busy", { seconds: Schema.Number }) {}
 *
 * const policy = RetryPolicy.standard.pipe(RetryPolicy.notBefore((error: Busy) => `${error.seconds} seconds`))
 * const retries = SchedulePosition.make(policy, Busy)
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <Out, In, I>(
  schedule: Schedule.Schedule<Out, NoInfer<In>>,
  input: Schema.Schema<In, I>
): Either.Either<Resumable<Out, In>, NotResumable> =>
  checked(schedule, { instants: true, inputs: true }, {
    encode: ParseResult.encodeEither(input),
    decode: ParseResult.decodeUnknownEither(input)
  })

/**
 * The position before the first step, with a seed drawn from `Random`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const initial: Effect.Effect<Position> = Effect.map(Random.nextInt, (seed) => initialWith(seed))

/**
 * The position before the first step, with a seed of one's own: a whole number.
 *
 * @example
 * ```ts
 * import * as SchedulePosition from "effect-skald/resilience/SchedulePosition"
 *
 * SchedulePosition.initialWith(1) // { seed: 1, steps: 0, next: null }
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const initialWith = (seed: number): Position => ({ seed, steps: 0, next: null })

/**
 * Whether the Schedule has ended: there is no next run.
 *
 * @example
 * ```ts
 * import * as SchedulePosition from "effect-skald/resilience/SchedulePosition"
 *
 * SchedulePosition.isEnded(SchedulePosition.initialWith(1)) // false
 * ```
 *
 * @since 0.1.0
 * @category predicates
 */
export const isEnded = (position: Position): boolean => position.steps > 0 && position.next === null

/**
 * Asks the Schedule now, by the `Clock`.
 *
 * @example
 * ```ts
 * import * as RetryPolicy from "effect-skald/resilience/RetryPolicy"
 * import * as SchedulePosition from "effect-skald/resilience/SchedulePosition"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const retries = yield* SchedulePosition.counted(RetryPolicy.linear("1 minute"))
 *   const begun = yield* SchedulePosition.initial
 *   const { position } = yield* SchedulePosition.step(retries, begun, "timeout")
 *   return position.next // a minute from now
 * })
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const step = <Out, In>(
  schedule: Resumable<Out, In>,
  position: Position,
  input: In
): Effect.Effect<Step<Out>, NotResumable> =>
  Effect.flatMap(Clock.currentTimeMillis, (now) => schedule.step(position, now, input))

/**
 * How a retry is kept.
 *
 * @since 0.1.0
 * @category models
 */
export interface RetryOptions<in E, out E2, out R2> {
  readonly schedule: Resumable<unknown, E>
  /** Where it stood when the process ended; a new one when not given. */
  readonly from?: Position | undefined
  /** Stores the position after each failure, before the delay; also the last one, which has ended. */
  readonly save: (position: Position) => Effect.Effect<void, E2, R2>
}

/**
 * Retries an effect by a Schedule whose position is stored after each failure, and goes on from a stored one: it first waits
 * until the run that was due, and at once where that has passed. Once the Schedule has ended it fails with the last error.
 *
 * @example
 * ```ts
 * import * as RetryPolicy from "effect-skald/resilience/RetryPolicy"
 * import * as SchedulePosition from "effect-skald/resilience/SchedulePosition"
 * import { Effect } from "effect"
 *
 * declare const send: Effect.Effect<void, "unreachable">
 * declare const load: Effect.Effect<SchedulePosition.Position | undefined>
 * declare const save: (position: SchedulePosition.Position) => Effect.Effect<void>
 *
 * const program = Effect.gen(function*() {
 *   const schedule = yield* SchedulePosition.counted(RetryPolicy.exponential("1 minute", { times: 10 }))
 *   yield* SchedulePosition.retry(send, { schedule, from: yield* load, save })
 * })
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const retry: {
  <E, E2, R2>(
    options: RetryOptions<NoInfer<E>, E2, R2>
  ): <A, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | E2 | NotResumable, R | R2>
  <A, E, R, E2, R2>(
    self: Effect.Effect<A, E, R>,
    options: RetryOptions<NoInfer<E>, E2, R2>
  ): Effect.Effect<A, E | E2 | NotResumable, R | R2>
} = dual(
  2,
  <A, E, R, E2, R2>(self: Effect.Effect<A, E, R>, options: RetryOptions<E, E2, R2>) =>
    Effect.flatMap(options.from === undefined ? initial : Effect.succeed(options.from), (from) => {
      const run = (position: Position): Effect.Effect<A, E | E2 | NotResumable, R | R2> =>
        Effect.zipRight(
          due(position),
          Effect.matchEffect(self, {
            onSuccess: Effect.succeed,
            onFailure: (error) =>
              Effect.flatMap(step(options.schedule, position, error), (taken) =>
                Effect.zipRight(
                  options.save(taken.position),
                  isEnded(taken.position) ? Effect.fail(error) : run(taken.position)
                ))
          })
        )
      return run(from)
    })
)

/**
 * Waits until the next run of a position is due; not at all where there is none or its time has passed.
 *
 * @since 0.1.0
 * @category combinators
 */
export const due = (position: Position): Effect.Effect<void> =>
  position.next === null
    ? Effect.void
    : Effect.flatMap(Clock.currentTimeMillis, (now) =>
      now >= position.next! ? Effect.void : Effect.sleep(position.next! - now))
