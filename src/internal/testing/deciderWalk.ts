import * as Either from "effect/Either"
import type * as Decider from "../../cqrs/Decider.ts"
import type { Report } from "./survival.ts"

/** One command of a row, decided. */
export interface Step<S, C, E, Err> {
  readonly before: S
  readonly command: C
  readonly answer: Either.Either<ReadonlyArray<E>, Err>
  readonly after: S
}

export interface Walk<S, C, E, Err> {
  readonly steps: ReadonlyArray<Step<S, C, E, Err>>
  readonly events: ReadonlyArray<E>
  /** Why the walk ended early. */
  readonly ended?: Report & { readonly by: "decide" | "evolve" }
}

/** Decides a row of commands. What throws ends the walk, and is reported by the one law that speaks of it. */
export const walk = <S, C, E extends Decider.Tagged, Err>(
  decider: Decider.Decider<string, S, C, E, Err>,
  commands: ReadonlyArray<C>
): Walk<S, C, E, Err> => {
  const steps: Array<Step<S, C, E, Err>> = []
  const events: Array<E> = []
  let state = decider.initial
  for (const command of commands) {
    const before = state
    const answer = attempt(() => decider.decide(command, before))
    if (Either.isLeft(answer)) {
      return { steps, events, ended: { by: "decide", state, command, thrown: answer.left } }
    }
    const decided: unknown = answer.right
    if (!Either.isEither(decided) || (Either.isRight(decided) && !Array.isArray(decided.right))) {
      return { steps, events, ended: { by: "decide", state, command, "not an Either of events": decided } }
    }
    for (const event of Either.isRight(answer.right) ? answer.right.right : []) {
      const evolved = attempt(() => decider.evolve(state, event))
      if (Either.isLeft(evolved)) return { steps, events, ended: { by: "evolve", state, event, thrown: evolved.left } }
      events.push(event)
      state = evolved.right
    }
    steps.push({ before, command, answer: answer.right, after: state })
  }
  return { steps, events }
}

export const attempt = <A>(run: () => A): Either.Either<A, unknown> =>
  Either.try({ try: run, catch: (thrown) => thrown })

/** The first thing wrong with any of some values. */
export const first = <A>(
  values: Iterable<A>,
  test: (value: A) => Report | undefined
): Report | undefined => {
  for (const value of values) {
    const found = test(value)
    if (found !== undefined) return found
  }
  return undefined
}

export const eventsOf = <E, Err>(
  answer: Either.Either<Either.Either<ReadonlyArray<E>, Err>, unknown>
): ReadonlyArray<E> =>
  Either.isRight(answer) && Either.isEither(answer.right) && Either.isRight(answer.right) ? answer.right.right : []

/** Freezes what is plain; instances of classes may keep caches of their own, and cycles. */
export const freeze = <A>(value: A, seen: Set<unknown> = new Set()): A => {
  if (typeof value !== "object" || value === null || seen.has(value)) return value
  seen.add(value)
  const prototype: unknown = Object.getPrototypeOf(value)
  if (Array.isArray(value) || prototype === Object.prototype || prototype === null) Object.freeze(value)
  for (const member of Object.values(value)) freeze(member, seen)
  return value
}

/** Two milliseconds in which nothing happens, so that an answer which reads the clock is another one. */
export const letTheClockMove = (): void => {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2)
}
