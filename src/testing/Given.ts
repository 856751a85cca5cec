/**
 * Given a history, when a command comes, then these events: the behaviour of a decider as an example that reads itself.
 * Works in every test runner: what does not hold throws an `AssertionError` that shows where.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import { AssertionError } from "node:assert"
import * as Decider from "../cqrs/Decider.ts"
import * as Compare from "../internal/compare.ts"

/**
 * A history, waiting for a command.
 *
 * @since 0.1.0
 * @category models
 */
export interface Given<in out S, in out C, in out E extends Decider.Tagged, in out Err> {
  /** Decides a command on the state so far. */
  readonly when: (command: C) => When<S, C, E, Err>
  /** The state so far is this one, or one that the predicate accepts. */
  readonly thenState: (expected: S | ((state: S) => boolean)) => this
}

/**
 * A command, decided. Its assertions give it back, so that several can follow each other, and {@link Given.when} goes on
 * from the state after it. A refusal must be expected by `thenError` before anything else is asked.
 *
 * @since 0.1.0
 * @category models
 */
export interface When<in out S, in out C, in out E extends Decider.Tagged, in out Err> extends Given<S, C, E, Err> {
  /** The command was accepted, with exactly these events in this order. */
  readonly thenEvents: (expected: ReadonlyArray<E>) => When<S, C, E, Err>
  /** The command was accepted and nothing happened. */
  readonly thenNothing: () => When<S, C, E, Err>
  /** The command was refused with this error, or with one that the predicate accepts. */
  readonly thenError: (expected: Err | ((error: Err) => boolean)) => When<S, C, E, Err>
}

/**
 * Begins an example: a decider and what happened before; nothing, when no history is given.
 *
 * Values are compared by content. History and commands are checked by their Schemas first, since an example with values
 * that cannot occur proves nothing.
 *
 * @example
 * ```ts
 * import * as Decider from "effect-skald/cqrs/Decider"
 * import * as Event from "effect-skald/event/Event"
 * import { Given } from "effect-skald/testing/Given"
 * import { Either, Schema } from "effect"
 *
 * const Opened = Event.make("Opened", {})
 * const Door = Decider.make("door", {
 *   state: Schema.Literal("shut", "open"),
 *   commands: Schema.TaggedStruct("Open", {}),
 *   events: Opened,
 *   errors: Schema.Literal("open already")
 * })({
 *   initial: "shut",
 *   decide: (_command, state) => state === "shut" ? Either.right([Opened({})]) : Either.left("open already"),
 *   evolve: () => "open"
 * })
 *
 * Given(Door).when({ _tag: "Open" }).thenEvents([Opened({})]).thenState("open")
 * Given(Door, [Opened({})]).when({ _tag: "Open" }).thenError("open already")
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const Given = <S, C, E extends Decider.Tagged, Err>(
  decider: Decider.Decider<string, S, C, E, Err>,
  history: ReadonlyArray<NoInfer<E>> = []
): Given<S, C, E, Err> => {
  const checkEvent = Compare.checker(decider.events)
  history.forEach((event, index) => valid(decider, `event ${index} of the history`, event, checkEvent))
  return given(decider, Decider.evolveAll(decider, decider.initial, history), 0)
}

const given = <S, C, E extends Decider.Tagged, Err>(
  decider: Decider.Decider<string, S, C, E, Err>,
  state: S,
  commands: number
): Given<S, C, E, Err> => {
  const self: Given<S, C, E, Err> = {
    when: (command) => {
      valid(decider, "the command", command, Compare.checker(decider.commands))
      return when(decider, decider.decide(command, state), state, command, commands + 1, false)
    },
    thenState: (expected) => {
      meets(decider, "the state", state, expected)
      return self
    }
  }
  return self
}

const when = <S, C, E extends Decider.Tagged, Err>(
  decider: Decider.Decider<string, S, C, E, Err>,
  decided: Either.Either<ReadonlyArray<E>, Err>,
  before: S,
  command: C,
  count: number,
  refusalExpected: boolean
): When<S, C, E, Err> => {
  const which = count === 1 ? "the command" : `command ${count}`
  const accepted = (expected: string): ReadonlyArray<E> => {
    if (Either.isRight(decided)) return decided.right
    throw failure(
      decider,
      `${which} was refused, ${expected}\n  command  ${Compare.show(command)}\n  refusal  ${
        Compare.show(decided.left)
      }`,
      decided.left,
      undefined
    )
  }
  const after = (): Given<S, C, E, Err> =>
    given(
      decider,
      refusalExpected ? before : Decider.evolveAll(decider, before, accepted("which no thenError expects")),
      count
    )
  const self: When<S, C, E, Err> = {
    when: (next) => after().when(next),
    thenState: (expected) => {
      after().thenState(expected)
      return self
    },
    thenEvents: (expected) => {
      const events = accepted(`not accepted with ${expected.length} events`)
      same(decider, `the events of ${which}`, events, expected)
      return self
    },
    thenNothing: () => {
      same(decider, `the events of ${which}`, accepted("not accepted with nothing to happen"), [])
      return self
    },
    thenError: (expected) => {
      if (Either.isRight(decided)) {
        throw failure(
          decider,
          `${which} was accepted, not refused\n  command  ${Compare.show(command)}\n  events   ${
            Compare.show(decided.right)
          }`,
          decided.right,
          expected
        )
      }
      meets(decider, `the refusal of ${which}`, decided.left, expected)
      return when(decider, decided, before, command, count, true)
    }
  }
  return self
}

/** What reports begin with. */
interface Named {
  readonly name: string
}

const failure = (decider: Named, message: string, actual: unknown, expected: unknown): AssertionError =>
  new AssertionError({ message: `${decider.name}: ${message}`, actual, expected, operator: "Given" })

const valid = (
  decider: Named,
  what: string,
  value: unknown,
  check: (value: unknown) => string | undefined
): void => {
  const problem = check(value)
  if (problem === undefined) return
  throw failure(decider, `${what} is not valid\n  ${problem.replaceAll("\n", "\n  ")}`, value, undefined)
}

const same = (decider: Named, what: string, actual: unknown, expected: unknown): void => {
  const differences = Compare.differences(actual, expected)
  if (differences.length === 0) return
  throw failure(decider, `${what}: not as expected\n${Compare.formatDifferences(differences)}`, actual, expected)
}

const meets = <A>(decider: Named, what: string, actual: A, expected: A | ((value: A) => boolean)): void => {
  if (typeof expected !== "function") return same(decider, what, actual, expected)
  if ((expected as (value: A) => boolean)(actual)) return
  throw failure(decider, `${what} is not accepted by the predicate\n  ${Compare.show(actual)}`, actual, undefined)
}
