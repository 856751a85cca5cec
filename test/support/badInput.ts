import type { InvalidInput } from "effect-skald/event/InvalidInput"
import type { EventStore } from "effect-skald/store/EventStore"
import { Effect } from "effect"

/** A wrong value given to a public function, and what it must be told. */
export interface BadInput {
  /** The function, as its users name it. */
  readonly call: string
  /** What is wrong, in words. */
  readonly given: string
  /** The tag of the error. */
  readonly tag: string
  /** The path of the fault that names the field. */
  readonly path: string
  /** A part of what is said of it. */
  readonly problem: string
  readonly run: Effect.Effect<unknown, unknown, EventStore>
}

/** Bad inputs of one function that fails with one tag: what is given, where the fault is, what is said of it. */
export const badInputs = <A>(
  call: string,
  tag: string,
  run: (input: A) => Effect.Effect<unknown, unknown, EventStore>,
  rows: ReadonlyArray<readonly [given: string, input: any, path: string, problem: string]>
): ReadonlyArray<BadInput> =>
  rows.map(([given, input, path, problem]) => ({
    call,
    given,
    tag,
    path,
    problem,
    run: Effect.suspend(() => run(input))
  }))

/** For functions that throw their typed error, because what they are given stands in the code. */
export const throwing = (run: () => unknown): Effect.Effect<unknown, InvalidInput> =>
  Effect.try({ try: run, catch: (error) => error as InvalidInput })
