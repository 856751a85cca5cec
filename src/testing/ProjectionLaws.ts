/**
 * The laws that every projection into a value keeps, as properties to run on your own; `Laws.projection` gathers and runs
 * them.
 *
 * A projection is tried on random logs of its events, as a store gives them back: positions grow, streams and times are
 * random. They are drawn from the Schemas of its events unless logs of your own are given.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Schema from "effect/Schema"
import * as Projection from "../cqrs/Projection.ts"
import type { Recorded } from "../event/Envelope.ts"
import type * as Event from "../event/Event.ts"
import * as Compare from "../internal/compare.ts"
import { copy } from "../internal/copy.ts"
import * as Walk from "../internal/testing/deciderWalk.ts"
import * as Survival from "../internal/testing/survival.ts"
import * as Arbitraries from "./Arbitraries.ts"
import * as Law from "./Law.ts"
import * as MachineLaws from "./MachineLaws.ts"
import * as SchemaLaws from "./SchemaLaws.ts"

/**
 * What the laws of a projection are tried on; drawn from its Schemas where it is not given.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<S, E> {
  /** Logs that it is to be tried on: where ids or times must agree for anything to come of them. */
  readonly logs?: FastCheck.Arbitrary<ReadonlyArray<Recorded<E>>> | undefined
  /** The most events of a log drawn from the Schemas; {@link defaultMaxEvents} when not given. */
  readonly maxEvents?: number | undefined
  /** Further states that `apply` must take any event in, and that must survive being stored. */
  readonly states?: FastCheck.Arbitrary<S> | undefined
}

/**
 * The most events of a log.
 *
 * @since 0.1.0
 * @category defaults
 */
export const defaultMaxEvents = 12

/** A projection with what it is tried on. */
interface Subject<S, E> {
  readonly projection: Projection.Projection<string, S, E>
  readonly log: FastCheck.Arbitrary<ReadonlyArray<Recorded<E>>>
  /** A log that nothing else has seen, since `apply` may change what it is given. */
  readonly fresh: (log: ReadonlyArray<Recorded<E>>) => ReadonlyArray<Recorded<E>>
  readonly states: FastCheck.Arbitrary<S> | undefined
}

/**
 * All laws of a projection:
 *
 * - events change the state: the other laws are not kept for want of cases;
 * - apply never throws, for any events in any order;
 * - apply answers the same for the same, a little later too (so a clock in it is found);
 * - apply leaves its arguments as they are;
 * - apply keeps the state valid by its Schema;
 * - states survive being stored as JSON;
 * - `replay(a ++ b) = replay(b) from replay(a)`;
 * - a snapshot anywhere, stored and read, changes nothing;
 * - how events are cut into chunks does not matter to the projection as a machine;
 * - events of every older version become valid ones.
 *
 * @example
 * ```ts
 * import * as Projection from "effect-skald/cqrs/Projection"
 * import * as Event from "effect-skald/event/Event"
 * import * as Law from "effect-skald/testing/Law"
 * import * as ProjectionLaws from "effect-skald/testing/ProjectionLaws"
 * import { Schema } from "effect"
 *
 * const Placed = Event.make("Placed", { total: Schema.Int })
 * const Revenue = Projection.make("revenue", {
 *   events: [Placed],
 *   state: Schema.Int,
 *   initial: 0,
 *   apply: (sum, event) => sum + event.total
 * })
 *
 * const program = Law.check(ProjectionLaws.laws(Revenue), { numRuns: 20 })
 * ```
 *
 * @since 0.1.0
 * @category laws
 */
export const laws = <S, E>(
  projection: Projection.Projection<string, S, E>,
  options?: Options<NoInfer<S>, NoInfer<E>>
): ReadonlyArray<Law.Law> => {
  const log = options?.logs ??
    Arbitraries.log((projection.events ?? anyEvent) as Event.Any, {
      maxLength: options?.maxEvents ?? defaultMaxEvents
    }) as FastCheck.Arbitrary<ReadonlyArray<Recorded<E>>>
  const subject: Subject<S, E> = { projection, log, fresh: fresh(projection), states: options?.states }
  return [
    eventsChangeTheState(subject),
    applyNeverThrows(subject),
    sameForTheSame(subject),
    argumentsStay(subject),
    statesStayValid(subject),
    statesSurvive(subject),
    replayIsAFold(subject),
    snapshotAnywhere(subject),
    chunking(subject),
    ...(projection.events === undefined ? [] : SchemaLaws.upcasts(projection.events))
  ].map((law) => ({ ...law, name: `${projection.name}: ${law.name}` }))
}

/** What a projection of raw events is tried on. */
const anyEvent = Schema.Union(
  Schema.TaggedStruct("Happened", { what: Schema.String }),
  Schema.TaggedStruct("Counted", { n: Schema.Number, by: Schema.NullOr(Schema.String) })
)

// -------------------------------------------------------------------------------------------------------------- folding

interface Step<S, E> {
  readonly before: S
  readonly recorded: Recorded<E>
  readonly after: S
}

interface Folded<S, E> {
  readonly steps: ReadonlyArray<Step<S, E>>
  readonly state: S
  /** Why it ended early. */
  readonly ended?: Law.Difference
}

/** Applies a log from a state on, or from a copy of the initial one. What throws is reported by the one law that speaks of it. */
const fold = <S, E>(
  { apply, initial }: Projection.Projection<string, S, E>,
  log: ReadonlyArray<Recorded<E>>,
  from: S = copy(initial)
): Folded<S, E> => {
  const steps: Array<Step<S, E>> = []
  let state = from
  for (const recorded of log) {
    const before = state
    const applied = Walk.attempt(() => apply(before, recorded.payload, recorded))
    if (Either.isLeft(applied)) {
      return { steps, state, ended: { state: before, event: recorded.payload, thrown: applied.left } }
    }
    state = applied.right
    steps.push({ before, recorded, after: state })
  }
  return { steps, state }
}

const fresh = <S, E>({ events }: Projection.Projection<string, S, E>) => {
  const code = events === undefined ? undefined : Survival.coded<E>(events)
  return (log: ReadonlyArray<Recorded<E>>): ReadonlyArray<Recorded<E>> =>
    log.map((recorded) => ({
      ...recorded,
      payload: code === undefined
        ? copy(recorded.payload)
        : Either.getOrElse(code(recorded.payload), () => copy(recorded.payload)),
      tags: copy(recorded.tags),
      metadata: copy(recorded.metadata)
    }))
}

// ---------------------------------------------------------------------------------------------------------------- laws

const eventsChangeTheState = <S, E>({ fresh, log, projection }: Subject<S, E>): Law.Law => ({
  name: "events change the state",
  examine: ({ numRuns, seed }) => {
    let tried = 0
    for (const drawn of FastCheck.sample(log, { numRuns, seed })) {
      const folded = fold(projection, fresh(drawn))
      if (folded.ended !== undefined || !Compare.same(folded.state, projection.initial)) {
        return { _tag: "Kept", runs: numRuns, skipped: 0 }
      }
      tried += drawn.length
    }
    return {
      _tag: "Broken",
      runs: numRuns,
      path: "",
      counterexample: `  ${tried} random events left the initial state as it is.\n` +
        "  Give the laws `logs`, an arbitrary of logs that the projection makes something of."
    }
  }
})

const applyNeverThrows = <S, E>({ fresh, log, projection, states }: Subject<S, E>): Law.Law =>
  Law.make(
    "apply never throws",
    { log, state: states ?? FastCheck.constant(projection.initial) },
    ({ log, state }) =>
      Walk.first([projection.initial, state], (from) => fold(projection, fresh(log), copy(from)).ended)
  )

/** How many cases of a law wait for the clock to move on. */
const maxWaits = 100

const sameForTheSame = <S, E>({ fresh, log, projection }: Subject<S, E>): Law.Law => ({
  name: "apply answers the same for the same",
  examine: (parameters) => {
    let waits = 0
    return Law.make("", { log }, ({ log }) => {
      const once = fold(projection, fresh(log))
      if (once.steps.length > 0 && waits++ < maxWaits) Walk.letTheClockMove()
      const again = fold(projection, fresh(log))
      return Survival.differ(again.state, once.state, {})
    }).examine(parameters)
  }
})

const argumentsStay = <S, E>({ fresh, log, projection }: Subject<S, E>): Law.Law => {
  const { apply } = projection
  const code = Survival.coded(projection.state)
  return Law.make("apply leaves its arguments as they are", { log }, ({ log }) => {
    let state = copy(projection.initial)
    return Walk.first(fresh(log), (recorded) => {
      const copies = Either.all([code(state), code(state)])
      if (Either.isLeft(copies)) return undefined
      const [keptState, givenState] = copies.right
      const [kept, given] = fresh([recorded, recorded])
      const ran = Walk.attempt(() => {
        const frozen = Walk.freeze(given!)
        return apply(Walk.freeze(givenState), frozen.payload, frozen)
      })
      const about = { state: keptState, event: recorded.payload }
      const changed = Survival.differ(givenState, keptState, about) ?? Survival.differ(given, kept, about)
      if (changed !== undefined) return changed
      if (
        Either.isLeft(ran) && ran.left instanceof TypeError &&
        /read only|not extensible|delete property/.test(ran.left.message)
      ) return { ...about, thrown: ran.left }
      state = Either.getOrElse(Walk.attempt(() => apply(state, recorded.payload, recorded)), () => state)
      return undefined
    })
  })
}

const statesStayValid = <S, E>({ fresh, log, projection }: Subject<S, E>): Law.Law => {
  const check = Compare.checker(projection.state)
  return Law.make(
    "apply keeps the state valid",
    { log },
    ({ log }) =>
      Walk.first(fold(projection, fresh(log)).steps, ({ after, before, recorded }) => {
        const problem = check(after)
        return problem === undefined ? undefined : {
          "in state": before,
          event: recorded.payload,
          "state after": after,
          problem: Survival.oneLine(problem)
        }
      })
  )
}

const statesSurvive = <S, E>({ fresh, log, projection, states }: Subject<S, E>): Law.Law => {
  const survive = Survival.survives(Survival.stored(projection.state))
  return Law.make(
    "states survive being stored",
    { log, state: states ?? Arbitraries.of(projection.state) },
    ({ log, state }) => Walk.first([state, ...fold(projection, fresh(log)).steps.map(({ after }) => after)], survive)
  )
}

const replayIsAFold = <S, E>({ fresh, log, projection }: Subject<S, E>): Law.Law =>
  Law.make(
    "replay(a ++ b) = replay(b) from replay(a)",
    { log, cut: FastCheck.nat() },
    ({ cut, log }) => {
      const half = cut % (log.length + 1)
      const [before, after] = [log.slice(0, half), log.slice(half)]
      const whole = fold(projection, fresh(log))
      const first = fold(projection, fresh(before))
      if (whole.ended !== undefined || first.ended !== undefined) return undefined
      return Survival.differ(fold(projection, fresh(after), first.state).state, whole.state, { before, after })
    }
  )

const snapshotAnywhere = <S, E>({ fresh, log, projection }: Subject<S, E>): Law.Law => {
  const store = Survival.stored(projection.state)
  return Law.make("a snapshot anywhere changes nothing", { log, cut: FastCheck.nat() }, ({ cut, log }) => {
    const half = cut % (log.length + 1)
    const whole = fold(projection, fresh(log))
    if (whole.ended !== undefined) return undefined
    const snapshot = fold(projection, fresh(log.slice(0, half))).state
    const tail = log.slice(half)
    return Either.match(store(snapshot), {
      onLeft: (problem): Law.Difference | undefined => ({ snapshot, ...problem }),
      onRight: (restored) =>
        Survival.differ(fold(projection, fresh(tail), restored).state, whole.state, {
          snapshot,
          tail: tail.map((recorded) => recorded.payload)
        })
    })
  })
}

const chunking = <S, E>({ fresh, log, projection }: Subject<S, E>): Law.Law =>
  MachineLaws.chunking({
    machine: Projection.toMachine(projection),
    inputs: log.map(fresh),
    equals: Compare.same,
    stateEquals: Compare.same
  })
