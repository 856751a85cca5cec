import * as Either from "effect/Either"
import { pipeArguments } from "effect/Pipeable"
import * as ParseResult from "effect/ParseResult"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import type * as Api from "../../cqrs/Decider.ts"
import type { Entry } from "../../event/Event.ts"
import { InvalidInput } from "../../event/InvalidInput.ts"
import * as Machine from "../../event/Machine.ts"
import * as EventTypes from "../event/eventTypes.ts"
import * as Faults from "../faults.ts"

export const TypeId: Api.TypeId = Symbol.for("effect-skald/cqrs/Decider") as Api.TypeId

export const isDecider = (value: unknown): value is Api.Any => Predicate.hasProperty(value, TypeId)

export const isBehaviour = (value: unknown): boolean =>
  Predicate.hasProperty(value, "decide") && Predicate.hasProperty(value, "evolve")

const Proto = {
  [TypeId]: TypeId,
  pipe() {
    // oxlint-disable-next-line prefer-rest-params -- `pipe` is variadic by design
    return pipeArguments(this, arguments)
  }
}

/** The Schema of what cannot be. */
export const never = Schema.Never as unknown as Schema.Schema<any, any>

interface Given {
  readonly state: Schema.Schema<any, any>
  readonly commands: Schema.Schema<any, any>
  readonly events: Schema.Schema<any, any>
  readonly errors?: Schema.Schema<any, any> | undefined
}

export const make = (name: string, given: Given): Api.Builder<any, any, any, any, any> => {
  const faults = Faults.make()
  const nameProblem = Faults.nameProblem(name)
  if (nameProblem !== undefined) faults.add("name", nameProblem)
  const contract: Api.Contract<string, any, any, any, any> = {
    name,
    state: given?.state,
    commands: given?.commands,
    events: given?.events,
    errors: given?.errors ?? never
  }
  for (const part of ["state", "commands", "events", "errors"] as const) {
    if (!Schema.isSchema(contract[part])) faults.add(part, `must be a Schema, got ${Faults.show(contract[part])}`)
  }
  if (Schema.isSchema(contract.events)) {
    const problems = taggedProblems(contract.events)
    for (const problem of problems) faults.add("events", problem)
  }
  refuse(faults)
  // A function has a `name` of its own, which is writable by definition only.
  return Object.defineProperties((behaviour: any) => withBehaviour(contract, behaviour), {
    name: { value: name, enumerable: true },
    state: { value: contract.state, enumerable: true },
    commands: { value: contract.commands, enumerable: true },
    events: { value: contract.events, enumerable: true },
    errors: { value: contract.errors, enumerable: true }
  }) as never
}

const withBehaviour = (
  contract: Api.Contract<string, any, any, any, any>,
  behaviour: Api.Behaviour<any, any, any, any>
): Api.Decider<string, any, any, any, any> => {
  const faults = Faults.make()
  for (const part of ["decide", "evolve"] as const) {
    if (typeof behaviour?.[part] !== "function") {
      faults.add(part, `must be a function, got ${Faults.show(behaviour?.[part])}`)
    }
  }
  const initial = ParseResult.validateEither(contract.state, { errors: "all" })(behaviour?.initial)
  if (Either.isLeft(initial)) {
    for (const issue of ParseResult.ArrayFormatter.formatIssueSync(initial.left)) {
      faults.add(["initial", ...issue.path].join("."), issue.message)
    }
  }
  refuse(faults)
  return Object.freeze(Object.assign(Object.create(Proto), contract, {
    initial: behaviour.initial,
    decide: behaviour.decide,
    evolve: behaviour.evolve
  }))
}

/** Throws every fault at once, if there is one. */
export const refuse = (faults: Faults.Faults): void => {
  Either.getOrThrowWith(Faults.orInvalid(faults, () => undefined), (error) => error)
}

/** What is known of each tag of a Schema of tagged values; what is wrong with it otherwise. */
export const tagged = (
  schema: Schema.Schema<any, any>
): Either.Either<ReadonlyMap<string, Entry>, ReadonlyArray<string>> =>
  Either.try({
    try: () => EventTypes.entries([schema]),
    catch: (error) => {
      if (error instanceof InvalidInput) return error.faults.map((fault) => fault.problem)
      throw error
    }
  })

const taggedProblems = (schema: Schema.Schema<any, any>): ReadonlyArray<string> =>
  Either.match(tagged(schema), { onLeft: (problems) => problems, onRight: () => [] })

/** The event types of a decider by tag. Deciders are only built with ones that can be read. */
export const eventTypes = (schema: Schema.Schema<any, any>): ReadonlyMap<string, Entry> => EventTypes.entries([schema])

export const evolveAll = <S, E>(
  self: { readonly evolve: (state: S, event: E) => S },
  state: S,
  events: Iterable<E>
): S => {
  let current = state
  for (const event of events) current = self.evolve(current, event)
  return current
}

export const run = <S, C, E extends Api.Tagged, Err>(
  self: Api.Behaviour<S, C, E, Err>,
  commands: Iterable<C>,
  from?: { readonly state: S }
): Api.Ran<S, E, Err> => {
  let state = from === undefined ? self.initial : from.state
  const events: Array<E> = []
  const refusals: Array<{ readonly index: number; readonly error: Err }> = []
  let index = 0
  for (const command of commands) {
    const decided = self.decide(command, state)
    if (Either.isLeft(decided)) refusals.push({ index, error: decided.left })
    else {
      for (const event of decided.right) {
        events.push(event)
        state = self.evolve(state, event)
      }
    }
    index++
  }
  return { events, state, refusals }
}

export const toMachine = <S, C, E extends Api.Tagged, Err>(
  self: Api.Behaviour<S, C, E, Err>
): Machine.Machine<S, C, Either.Either<ReadonlyArray<E>, Err>> =>
  Machine.makeEmit({
    initial: self.initial,
    step: (state, command: C, emit: (answer: Either.Either<ReadonlyArray<E>, Err>) => void) => {
      const answer = self.decide(command, state)
      emit(answer)
      return Either.isLeft(answer) ? state : evolveAll(self, state, answer.right)
    }
  })
