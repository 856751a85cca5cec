/**
 * The laws that every decider keeps, as properties to run on your own; `Laws.decider` gathers and runs them.
 *
 * "Reachable" below means: by commands from the initial state. Commands, events and states are drawn from the Schemas
 * unless arbitraries of your own are given.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Decider from "../cqrs/Decider.ts"
import * as Compare from "../internal/compare.ts"
import * as Walk from "../internal/testing/deciderWalk.ts"
import * as Survival from "../internal/testing/survival.ts"
import * as Arbitraries from "./Arbitraries.ts"
import * as Law from "./Law.ts"
import * as MachineLaws from "./MachineLaws.ts"
import * as SchemaLaws from "./SchemaLaws.ts"

/**
 * What the laws of a decider are tried on; drawn from its Schemas where it is not given.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<S, C, E> extends Arbitraries.HistoryOptions<C> {
  /** The events that `evolve` must take, in any order and in any state. */
  readonly events?: FastCheck.Arbitrary<E> | undefined
  /** The states that `evolve` must take any event in, and that must survive their codec. */
  readonly states?: FastCheck.Arbitrary<S> | undefined
}

/** A decider with what it is tried on. */
interface Subject<S, C, E extends Decider.Tagged, Err> {
  readonly decider: Decider.Decider<string, S, C, E, Err>
  readonly commands: FastCheck.Arbitrary<ReadonlyArray<C>>
  readonly events: FastCheck.Arbitrary<E>
  readonly states: FastCheck.Arbitrary<S>
  readonly checkEvent: (event: unknown) => string | undefined
  readonly checkState: (state: unknown) => string | undefined
}

/**
 * All laws of a decider:
 *
 * - commands lead to events: the other laws are not kept for want of cases;
 * - decide never throws, in any reachable state;
 * - decide and evolve answer the same for the same, a little later too (so a clock in them is found);
 * - decide and evolve leave their arguments as they are;
 * - decided events are valid by their Schema;
 * - evolve never throws, for any event in any state, since a log outlives the rules it was written under;
 * - evolve keeps reachable states valid by their Schema;
 * - `replay(a ++ b) = replay(b) from replay(a)`, for reachable and for arbitrary histories;
 * - snapshot = replay: a reachable state, stored as JSON and read anywhere in a history, goes on as if nothing had been;
 * - states and events survive being stored as JSON; commands and errors survive their codecs;
 * - how commands are cut into chunks does not matter to the decider as a machine;
 * - events of every older version become valid ones.
 *
 * @since 0.1.0
 * @category laws
 */
export const laws = <S, C, E extends Decider.Tagged, Err>(
  decider: Decider.Decider<string, S, C, E, Err>,
  options?: Options<NoInfer<S>, NoInfer<C>, NoInfer<E>>
): ReadonlyArray<Law.Law> => {
  const subject: Subject<S, C, E, Err> = {
    decider,
    commands: Arbitraries.commands(decider, options),
    events: options?.events ?? Arbitraries.event(decider),
    states: options?.states ?? Arbitraries.state(decider),
    checkEvent: Compare.checker(decider.events),
    checkState: Compare.checker(decider.state)
  }
  return [
    commandsLeadToEvents(subject),
    decideNeverThrows(subject),
    sameForTheSame(subject),
    argumentsStay(subject),
    decidedEventsAreValid(subject),
    evolveNeverThrows(subject),
    statesStayValid(subject),
    replayIsAFold(subject),
    snapshotIsReplay(subject),
    statesSurvive(subject),
    eventsSurvive(subject),
    commandsSurvive(subject),
    errorsSurvive(subject),
    MachineLaws.chunking({
      machine: Decider.toMachine(decider),
      inputs: subject.commands,
      equals: Compare.same,
      stateEquals: Compare.same
    }),
    ...SchemaLaws.upcasts(decider.events)
  ].map((law) => ({ ...law, name: `${decider.name}: ${law.name}` }))
}

// ---------------------------------------------------------------------------------------------------------- behaviour

const commandsLeadToEvents = <S, C, E extends Decider.Tagged, Err>(
  { commands, decider }: Subject<S, C, E, Err>
): Law.Law => ({
  name: "commands lead to events",
  examine: ({ numRuns, seed }) => {
    let tried = 0
    const refusals = new Map<string, Err>()
    for (const row of FastCheck.sample(commands, { numRuns, seed })) {
      const walked = Walk.walk(decider, row)
      if (walked.events.length > 0 || walked.ended !== undefined) return { _tag: "Kept", runs: numRuns, skipped: 0 }
      tried += row.length
      for (const { answer } of walked.steps) {
        if (Either.isLeft(answer)) refusals.set(Law.show(answer.left), answer.left)
      }
    }
    const why = refusals.size === 0
      ? "changed nothing"
      : `refused: ${Array.from(refusals.keys()).slice(0, 3).join(", ")}`
    return {
      _tag: "Broken",
      runs: numRuns,
      path: "",
      counterexample: `  ${tried} random commands decided not one event (${why}).\n` +
        `  Give the laws \`commands\`, an arbitrary of commands that get further.`
    }
  }
})

const decideNeverThrows = <S, C, E extends Decider.Tagged, Err>(
  { commands, decider }: Subject<S, C, E, Err>
): Law.Law =>
  Law.make("decide never throws", { commands }, (drawn) => {
    const { ended } = Walk.walk(decider, drawn.commands)
    return ended?.by === "decide" ? ended : undefined
  })

/** How many cases of a law wait for the clock to move on. */
const maxWaits = 100

const sameForTheSame = <S, C, E extends Decider.Tagged, Err>(
  { commands, decider }: Subject<S, C, E, Err>
): Law.Law => ({
  name: "decide and evolve answer the same for the same",
  examine: (parameters) => {
    let waits = 0
    return Law.make("", { commands }, (drawn) => {
      const { steps } = Walk.walk(decider, drawn.commands)
      if (steps.length > 0 && waits++ < maxWaits) Walk.letTheClockMove()
      return Walk.first(steps, ({ after, answer, before, command }) => {
        const about = { state: before, command }
        return Survival.differ(decider.decide(command, before), answer, { ...about, by: "decide" }) ??
          (Either.isRight(answer)
            ? Survival.differ(Decider.evolveAll(decider, before, answer.right), after, { ...about, by: "evolve" })
            : undefined)
      })
    }).examine(parameters)
  }
})

const argumentsStay = <S, C, E extends Decider.Tagged, Err>(
  { commands, decider }: Subject<S, C, E, Err>
): Law.Law => {
  const copyState = Survival.coded(decider.state)
  const copyCommand = Survival.coded(decider.commands)
  const copyEvent = Survival.coded(decider.events)
  return Law.make("decide and evolve leave their arguments as they are", { commands }, (drawn) => {
    // Copies are tried before the walk itself goes on, since that may change what it is given.
    let state = decider.initial
    return Walk.first(drawn.commands, (command) => {
      const byDecide = stays("decide", decider.decide, { command, state }, copyCommand, copyState)
      if (byDecide !== undefined) return byDecide
      const answer = Walk.attempt(() => decider.decide(command, state))
      return Walk.first(Walk.eventsOf(answer), (event) => {
        const byEvolve = stays("evolve", decider.evolve, { state, event }, copyState, copyEvent)
        if (byEvolve === undefined) {
          state = Either.getOrElse(Walk.attempt(() => decider.evolve(state, event)), () => state)
        }
        return byEvolve
      })
    })
  })
}

/** Calls a function of two arguments with frozen copies of them, and says what became of these. */
const stays = <A, B>(
  by: string,
  call: (a: A, b: B) => unknown,
  args: Law.Difference,
  copyA: Survival.Journey<A>,
  copyB: Survival.Journey<B>
): Law.Difference | undefined => {
  const [a, b] = Object.values(args) as [A, B]
  const copies = Either.all([copyA(a), copyA(a), copyB(b), copyB(b)])
  if (Either.isLeft(copies)) return undefined
  const [keptA, givenA, keptB, givenB] = copies.right
  const ran = Walk.attempt(() => call(Walk.freeze(givenA), Walk.freeze(givenB)))
  const about = { by, ...args }
  return Survival.differ(givenA, keptA, about) ?? Survival.differ(givenB, keptB, about) ??
    (Either.isLeft(ran) && ran.left instanceof TypeError &&
        /read only|not extensible|delete property/.test(ran.left.message)
      ? { ...about, thrown: ran.left }
      : undefined)
}

const decidedEventsAreValid = <S, C, E extends Decider.Tagged, Err>(
  { checkEvent, commands, decider }: Subject<S, C, E, Err>
): Law.Law =>
  Law.make(
    "decided events are valid",
    { commands },
    (drawn) =>
      Walk.first(Walk.walk(decider, drawn.commands).steps, ({ answer, before, command }) =>
        Either.isLeft(answer) ? undefined : Walk.first(answer.right, (event) => {
          const problem = checkEvent(event)
          return problem === undefined
            ? undefined
            : { state: before, command, event, problem: Survival.oneLine(problem) }
        }))
  )

const evolveNeverThrows = <S, C, E extends Decider.Tagged, Err>(
  { commands, decider, events, states }: Subject<S, C, E, Err>
): Law.Law =>
  Law.make(
    "evolve never throws",
    { state: states, events: FastCheck.array(events), commands },
    (drawn) => {
      const { ended } = Walk.walk(decider, drawn.commands)
      if (ended?.by === "evolve") return ended
      return Walk.first([drawn.state, decider.initial], (from) => {
        let state = from
        return Walk.first(drawn.events, (event) => {
          const evolved = Walk.attempt(() => decider.evolve(state, event))
          if (Either.isLeft(evolved)) return { "in state": state, event, thrown: evolved.left }
          state = evolved.right
          return undefined
        })
      })
    }
  )

const statesStayValid = <S, C, E extends Decider.Tagged, Err>(
  { checkState, commands, decider }: Subject<S, C, E, Err>
): Law.Law =>
  Law.make("evolve keeps the state valid", { commands }, (drawn) => {
    let state = decider.initial
    return Walk.first(Walk.walk(decider, drawn.commands).events, (event) => {
      const before = state
      state = decider.evolve(state, event)
      const problem = checkState(state)
      return problem === undefined
        ? undefined
        : { "in state": before, event, "state after": state, problem: Survival.oneLine(problem) }
    })
  })

// ------------------------------------------------------------------------------------------------------------- replay

const replayIsAFold = <S, C, E extends Decider.Tagged, Err>(
  { commands, decider, events }: Subject<S, C, E, Err>
): Law.Law =>
  Law.make(
    "replay(a ++ b) = replay(b) from replay(a)",
    { commands, a: FastCheck.array(events), b: FastCheck.array(events), cut: FastCheck.nat() },
    ({ a, b, commands, cut }) => {
      const reachable = Walk.walk(decider, commands).events
      const half = cut % (reachable.length + 1)
      return Walk.first([[reachable.slice(0, half), reachable.slice(half)], [a, b]] as const, ([before, after]) => {
        const replay = (from: S, history: ReadonlyArray<E>) => Decider.evolveAll(decider, from, history)
        const whole = Walk.attempt(() => replay(decider.initial, [...before, ...after]))
        const parts = Walk.attempt(() => replay(replay(decider.initial, before), after))
        if (Either.isLeft(whole) && Either.isLeft(parts)) return undefined
        return Survival.differ(Either.merge(parts), Either.merge(whole), { before, after })
      })
    }
  )

const snapshotIsReplay = <S, C, E extends Decider.Tagged, Err>(
  { commands, decider }: Subject<S, C, E, Err>
): Law.Law => {
  const store = Survival.stored(decider.state)
  return Law.make("snapshot = replay", { commands, cut: FastCheck.nat() }, ({ commands, cut }) => {
    const { events } = Walk.walk(decider, commands)
    const half = cut % (events.length + 1)
    const snapshot = Decider.evolveAll(decider, decider.initial, events.slice(0, half))
    const tail = events.slice(half)
    return Either.match(store(snapshot), {
      onLeft: (problem) => ({ snapshot, ...problem }),
      onRight: (restored) =>
        Survival.differ(
          Either.merge(Walk.attempt(() => Decider.evolveAll(decider, restored, tail))),
          Decider.evolveAll(decider, decider.initial, events),
          { snapshot, tail }
        )
    })
  })
}

// ------------------------------------------------------------------------------------------------------------- codecs

const statesSurvive = <S, C, E extends Decider.Tagged, Err>(
  { commands, decider, states }: Subject<S, C, E, Err>
): Law.Law => {
  const survive = Survival.survives(Survival.stored(decider.state))
  return Law.make(
    "states survive being stored",
    { state: states, commands },
    ({ commands, state }) =>
      Walk.first([state, ...Walk.walk(decider, commands).steps.map(({ after }) => after)], survive)
  )
}

const eventsSurvive = <S, C, E extends Decider.Tagged, Err>(
  { commands, decider, events }: Subject<S, C, E, Err>
): Law.Law => {
  const survive = Survival.survives(Survival.stored(decider.events))
  return Law.make(
    "events survive being stored",
    { event: events, commands },
    ({ commands, event }) => Walk.first([event, ...Walk.walk(decider, commands).events], survive)
  )
}

const commandsSurvive = <S, C, E extends Decider.Tagged, Err>(
  { commands, decider }: Subject<S, C, E, Err>
): Law.Law => {
  const survive = Survival.survives(Survival.coded(decider.commands))
  return Law.make("commands survive their codec", { commands }, ({ commands }) => Walk.first(commands, survive))
}

const errorsSurvive = <S, C, E extends Decider.Tagged, Err>(
  { commands, decider }: Subject<S, C, E, Err>
): Law.Law => {
  const survive = Survival.survives(Survival.coded(decider.errors))
  return Law.make(
    "errors survive their codec",
    { commands },
    ({ commands }) =>
      Walk.first(
        Walk.walk(decider, commands).steps,
        ({ answer }) => Either.isLeft(answer) ? survive(answer.left) : undefined
      )
  )
}
