import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Runtime from "effect/Runtime"
import type * as Schedule from "effect/Schedule"
import * as ScheduleDecision from "effect/ScheduleDecision"
import * as ScheduleIntervals from "effect/ScheduleIntervals"
import type { NotResumable, Position, Resumable, Step } from "../../resilience/SchedulePosition.ts"

type Why = NotResumable["reason"]

/** Thrown inside of a step by what it may not do there. */
class Forbidden {
  readonly why: Why
  constructor(why: Why) {
    this.why = why
  }
}

/** Stands where an input would: nobody learns anything from it. */
const sealed: unknown = (() => {
  const touched = () => {
    throw new Forbidden("input")
  }
  const traps: ProxyHandler<object> = {}
  for (const name of Reflect.ownKeys(Reflect)) {
    if (typeof name === "string") traps[name as keyof ProxyHandler<object>] = touched
  }
  return new Proxy({}, traps)
})()

/** A clock that stands still at the instant of a step, and on which nobody can sleep. */
const standing = (now: number): Clock.Clock => ({
  [Clock.ClockTypeId]: Clock.ClockTypeId,
  unsafeCurrentTimeMillis: () => now,
  unsafeCurrentTimeNanos: () => BigInt(Math.floor(now * 1_000)) * 1_000n,
  currentTimeMillis: Effect.succeed(now),
  currentTimeNanos: Effect.sync(() => BigInt(Math.floor(now * 1_000)) * 1_000n),
  sleep: () => Effect.die(new Forbidden("waits"))
})

/** Runs one step where it sees its arguments and drawn numbers that come from the seed, and nothing else. */
const isolated = <A>(step: Effect.Effect<A>, now: number, seed: string): Either.Either<A, Why> => {
  const exit = Effect.runSyncExit(step.pipe(Effect.withRandom(Random.make(seed)), Effect.withClock(standing(now))))
  if (Exit.isSuccess(exit)) return Either.right(exit.value)
  const defect = Cause.dieOption(exit.cause)
  if (Option.isSome(defect)) {
    if (defect.value instanceof Forbidden) return Either.left(defect.value.why)
    if (Runtime.isAsyncFiberException(defect.value)) {
      defect.value.fiber.unsafeInterruptAsFork(defect.value.fiber.id())
      return Either.left("waits")
    }
  }
  return Either.left("dies")
}

/** Where a Schedule stands after some steps. */
interface Reached<Out> {
  readonly state: any
  readonly ended: boolean
  readonly delay: number
  readonly output: Out
  /** The instant at which the last step ran, as the Schedule saw it. */
  readonly at: number
}

const stepOnce = <Out>(
  schedule: Schedule.Schedule<Out, any>,
  state: any,
  at: number,
  input: unknown,
  seed: string
): Either.Either<Reached<Out>, Why> =>
  Either.flatMap(
    Either.flatMap(
      // A step may throw before it is an Effect.
      Either.try({
        try: () => schedule.step(at, input, state),
        catch: (error): Why => error instanceof Forbidden ? error.why : "dies"
      }),
      (step) => isolated(step, at, seed)
    ),
    ([next, output, decision]): Either.Either<Reached<Out>, Why> => {
      // Who gives its input out depends on it.
      if (output === sealed) return Either.left("input")
      const ended = ScheduleDecision.isDone(decision)
      const delay = ended ? 0 : Math.max(0, ScheduleIntervals.start(decision.intervals) - at)
      return Either.right({ state: next, ended, delay, output, at })
    }
  )

// ------------------------------------------------------------------------------------------------------------ probing

/** How many steps are tried before a Schedule is taken. */
const probes = 12

/** How late each step of a probe is: a Schedule that looks at instants is told apart from one that does not. */
const latenesses = [0, 1, 1_000, 60_000, 3_600_000, 86_400_000, 2_600_000_000, 32_000_000_000, 3_200_000_000_000]

/** The delays of the first steps; a Schedule that looks at its input has no more than those before. */
const probe = (
  schedule: Schedule.Schedule<unknown, any>,
  origin: number,
  late: number
): { readonly delays: ReadonlyArray<number>; readonly stopped: Why | undefined } => {
  const delays: Array<number> = []
  let state = schedule.initial
  let at = origin
  for (let count = 0; count < probes; count++) {
    const reached = stepOnce(schedule, state, at, sealed, `probe/${count}`)
    if (Either.isLeft(reached)) return { delays, stopped: reached.left }
    if (reached.right.ended) return { delays: [...delays, -1], stopped: undefined }
    delays.push(reached.right.delay)
    state = reached.right.state
    at += reached.right.delay + late
  }
  return { delays, stopped: undefined }
}

/** Instants of our time are so large that fractions of a millisecond are rounded in them. */
const same = (some: ReadonlyArray<number>, others: ReadonlyArray<number>): boolean =>
  some.length === others.length &&
  some.every((delay, index) => delay === others[index] || Math.abs(delay - others[index]!) < 0.01)

/** Why a Schedule cannot be driven again from what this kind of position keeps, as far as its first steps tell. */
export const refusal = (schedule: Schedule.Schedule<unknown, any>, keeps: Keeps): Why | undefined => {
  const first = probe(schedule, 1_700_000_000_123, 0)
  if (first.stopped !== undefined && !(first.stopped === "input" && keeps.inputs)) return first.stopped
  if (!same(first.delays, probe(schedule, 1_700_000_000_123, 0).delays)) return "differs"
  if (keeps.instants) return undefined
  return latenesses.every((late) => same(first.delays, probe(schedule, 0, late).delays)) ? undefined : "instant"
}

// ------------------------------------------------------------------------------------------------------------ driving

export interface Keeps {
  readonly instants: boolean
  readonly inputs: boolean
}

/** How inputs become JSON and back. */
export interface Codec<In> {
  readonly encode: (input: In) => Either.Either<unknown, unknown>
  readonly decode: (stored: unknown) => Either.Either<In, unknown>
}

export const make = <Out, In>(
  schedule: Schedule.Schedule<Out, any>,
  keeps: Keeps,
  codec: Codec<In> | undefined,
  fail: (reason: Why) => NotResumable
): Resumable<Out, In> => {
  const cache = new WeakMap<Position, Reached<Out>>()
  const start: Reached<Out> = { state: schedule.initial, ended: false, delay: 0, output: undefined as Out, at: 0 }

  /** In a position that only counts, each step is as punctual as can be. */
  const seenAt = (before: Reached<Out>, now: number) => keeps.instants ? now : before.at + before.delay

  const read = (stored: unknown): Either.Either<unknown, Why> =>
    codec === undefined ? Either.right(sealed) : Either.mapLeft(codec.decode(stored), (): Why => "stored")

  /** Drives the Schedule again from its beginning. */
  const reach = (position: Position): Either.Either<Reached<Out>, Why> => {
    const known = cache.get(position)
    if (known !== undefined) return Either.right(known)
    const { inputs, instants, seed, steps } = position
    if (
      (instants?.length ?? 0) !== (keeps.instants ? steps : 0) || (inputs?.length ?? 0) !== (keeps.inputs ? steps : 0)
    ) {
      return Either.left("stored")
    }
    let reached = start
    for (let count = 0; count < steps && !reached.ended; count++) {
      const input = read(inputs?.[count])
      if (Either.isLeft(input)) return Either.left(input.left)
      const step = stepOnce(
        schedule,
        reached.state,
        seenAt(reached, instants?.[count] ?? 0),
        input.right,
        `${seed}/${count}`
      )
      if (Either.isLeft(step)) return Either.left(step.left)
      reached = step.right
    }
    cache.set(position, reached)
    return Either.right(reached)
  }

  const step = (position: Position, now: number, input: In): Either.Either<Step<Out>, Why> =>
    Either.gen(function*() {
      const before = yield* reach(position)
      if (before.ended || (position.steps > 0 && position.next === null)) {
        return { position, output: before.output }
      }
      const encoded = codec === undefined ? undefined : yield* Either.mapLeft(codec.encode(input), (): Why => "input")
      // The Schedule sees what will be read again, so that it decides the same then.
      const seen = yield* read(encoded)
      const at = seenAt(before, now)
      const seed = `${position.seed}/${position.steps}`
      const reached = yield* stepOnce(schedule, before.state, at, seen, seed)
      // A comparison, as with `===`, touches nothing; so it is asked with the true input as well.
      if (codec === undefined) {
        const shown = yield* stepOnce(schedule, before.state, at, input, seed)
        if (shown.ended !== reached.ended || shown.delay !== reached.delay) return yield* Either.left<Why>("input")
      }
      const after: Position = {
        seed: position.seed,
        steps: position.steps + 1,
        ...(keeps.instants ? { instants: [...position.instants ?? [], now] } : {}),
        ...(keeps.inputs ? { inputs: [...position.inputs ?? [], encoded] } : {}),
        // Never early, and in whole milliseconds as databases keep them.
        next: reached.ended ? null : Math.min(Number.MAX_SAFE_INTEGER, Math.ceil(now + reached.delay))
      }
      cache.set(after, reached)
      return { position: after, output: reached.output }
    })

  return { step: (position, now, input) => Either.mapLeft(step(position, now, input), fail) }
}
