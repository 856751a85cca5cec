/**
 * How machines run. A machine is opened on a state and a place for its outputs, and then pushed; nothing is allocated
 * for an input beyond what the steps themselves allocate. An open machine is mutable and never leaves the call or the
 * stream that opened it, so no user sees it.
 */
import * as Chunk from "effect/Chunk"
import * as Either from "effect/Either"
import * as Inspectable from "effect/Inspectable"
import { pipeArguments } from "effect/Pipeable"
import type { Machine, Stopped, Turn } from "../../event/Machine.ts"

/** Where outputs go. */
export type Emit<O> = (output: O) => void

/** A machine at work: inputs go in, outputs go to the `emit` it was opened with. */
export interface Instance<S, I> {
  readonly push: (input: I) => void
  readonly state: () => S
}

/** How a machine is opened. */
export type Open<S, I, O> = (state: S, emit: Emit<O>) => Instance<S, I>

/**
 * The failure of a step on its way to the edge that catches it (`runEither`, `catchAll`, a stream). Thrown, because a
 * check after each output of each stage would cost every machine what only feedback needs; it is no `Error`, so that it
 * costs no stack trace, and it never leaves this library: the types say who may throw it.
 */
export class Halt {
  readonly error: unknown
  constructor(error: unknown) {
    this.error = error
  }
}

interface Opened<S, I, O> {
  readonly openWith: Open<S, I, O>
  readonly parts: Parts | undefined
}

/** The two machines of a sequence. */
export interface Parts {
  readonly first: Machine<any, any, any, any>
  readonly second: Machine<any, any, any, any>
}

const Proto = {
  ...Inspectable.BaseProto,
  [Symbol.for("effect-skald/event/Machine")]: {
    _S: (_: never) => _,
    _I: (_: unknown) => _,
    _O: (_: never) => _,
    _E: (_: never) => _
  },
  toJSON(this: { readonly initial: unknown }) {
    return { _id: "Machine", initial: Inspectable.toJSON(this.initial) }
  },
  pipe() {
    return pipeArguments(this, arguments)
  }
}

/** Builds a machine from the way it is opened; `parts` are those of a sequence. */
export const fromOpen = <S, I, O, E = never>(
  initial: S,
  openWith: Open<S, I, O>,
  parts?: Parts
): Machine<S, I, O, E> => Object.assign(Object.create(Proto), { initial, openWith, parts })

/** Opens a machine. */
export const open = <S, I, O, E>(self: Machine<S, I, O, E>, state: S, emit: Emit<O>): Instance<S, I> =>
  (self as unknown as Opened<S, I, O>).openWith(state, emit)

/** The opening of a machine, for one that only differs in its initial state. */
export const opening = <S, I, O, E>(self: Machine<S, I, O, E>): Open<S, I, O> =>
  (self as unknown as Opened<S, I, O>).openWith

/** The two machines of a sequence, if it is one. */
export const parts = (self: Machine<any, any, any, any>): Parts | undefined =>
  (self as unknown as Opened<unknown, unknown, unknown>).parts

const ignore = () => {}

// ------------------------------------------------------------------------------------------------------------ leaves

/** A step that answers with the next state and a list of outputs. */
export const stepping = <S, I, O>(
  step: (state: S, input: I) => readonly [state: S, outputs: ReadonlyArray<O>]
): Open<S, I, O> =>
(state, emit) => {
  let current = state
  return {
    push: (input) => {
      const answer = step(current, input)
      current = answer[0]
      const outputs = answer[1]
      for (let k = 0; k < outputs.length; k++) emit(outputs[k] as O)
    },
    state: () => current
  }
}

/** A step that hands out its outputs itself. */
export const emitting = <S, I, O>(step: (state: S, input: I, emit: Emit<O>) => S): Open<S, I, O> => (state, emit) => {
  let current = state
  return {
    push: (input) => {
      current = step(current, input, emit)
    },
    state: () => current
  }
}

// ------------------------------------------------------------------------------------------------------- combinators

/** Both sides of a pair of machines, each with its own half of the state. */
export const pair = <S1, S2, I, I1, I2>(
  first: Instance<S1, I1>,
  second: Instance<S2, I2>,
  push: (input: I) => void
): Instance<readonly [S1, S2], I> => ({ push, state: () => [first.state(), second.state()] })

export const tensor = <S1, I1, O1, E1, S2, I2, O2, E2>(
  self: Machine<S1, I1, O1, E1>,
  that: Machine<S2, I2, O2, E2>
): Open<readonly [S1, S2], Turn<I1, I2>, Turn<O1, O2>> =>
(state, emit) => {
  let lefts: Array<O1> = []
  let rights: Array<O2> = []
  const first = open(self, state[0], (output) => lefts.push(output))
  const second = open(that, state[1], (output) => rights.push(output))
  return pair(first, second, (turn) => {
    lefts = []
    rights = []
    for (const input of turn[0]) first.push(input)
    for (const input of turn[1]) second.push(input)
    emit([lefts, rights])
  })
}

export const either = <S1, I1, O1, E1, S2, I2, O2, E2>(
  self: Machine<S1, I1, O1, E1>,
  that: Machine<S2, I2, O2, E2>
): Open<readonly [S1, S2], Either.Either<I2, I1>, Either.Either<O2, O1>> =>
(state, emit) => {
  const first = open(self, state[0], (output) => emit(Either.left(output)))
  const second = open(that, state[1], (output) => emit(Either.right(output)))
  return pair(
    first,
    second,
    (input: Either.Either<I2, I1>) => input._tag === "Left" ? first.push(input.left) : second.push(input.right)
  )
}

/** Tokens that come back wait in one queue, first in, first out; what goes out goes out at once. */
export const feedback = <S, A, B, U, E>(
  self: Machine<S, Either.Either<A, U>, Either.Either<B, U>, E>,
  maxTurns: number,
  unsettled: (input: A, pending: number) => unknown
): Open<S, A, B> =>
(state, emit) => {
  const queue: Array<U> = []
  const inner = open(self, state, (output) => {
    if (output._tag === "Right") emit(output.right)
    else queue.push(output.left)
  })
  return {
    push: (input) => {
      inner.push(Either.right(input))
      if (queue.length === 0) return
      for (let turn = 0; turn < queue.length; turn++) {
        if (turn === maxTurns) throw new Halt(unsettled(input, queue.length - turn))
        inner.push(Either.left(queue[turn] as U))
      }
      queue.length = 0
    },
    state: inner.state
  }
}

export const absolve = <S, I, O, E, E2>(self: Machine<S, I, Either.Either<O, E2>, E>): Open<S, I, O> => (state, emit) =>
  open(self, state, (output) => {
    if (output._tag === "Left") throw new Halt(output.left)
    emit(output.right)
  })

/** Outputs wait until the whole input has succeeded, so that a refused input leaves nothing behind. */
export const catchAll = <S, I, O, E, O2>(
  self: Machine<S, I, O, E>,
  handler: (error: E, input: I) => ReadonlyArray<O2>
): Open<S, I, O | O2> =>
(state, emit) => {
  let outputs: Array<O | O2> = []
  const keep = (output: O) => {
    outputs.push(output)
  }
  let inner = open(self, state, keep)
  return {
    push: (input) => {
      const before = inner.state()
      const halt = attempt(inner.push, input)
      let answers: ReadonlyArray<O | O2> = outputs
      if (halt !== undefined) {
        inner = open(self, before, keep)
        answers = handler(halt.error as E, input)
      }
      outputs = []
      for (const output of answers) emit(output)
    },
    state: () => inner.state()
  }
}

// ------------------------------------------------------------------------------------------------------------- edges

/** Pushes one input; answers with the failure if the machine stopped. What is no such failure is a bug, and thrown. */
export const attempt = <I>(push: (input: I) => void, input: I): Halt | undefined => {
  try {
    push(input)
    return undefined
  } catch (error) {
    if (error instanceof Halt) return error
    throw error
  }
}

/** The inputs as an array, without a copy where they are one. */
export const toArray = <I>(inputs: Iterable<I>): ReadonlyArray<I> =>
  Array.isArray(inputs) ? inputs : Chunk.isChunk(inputs) ? Chunk.toReadonlyArray(inputs as Chunk.Chunk<I>) : [...inputs]

/** Runs a machine that cannot fail. */
export const run = <S, I, O>(self: Machine<S, I, O>, state: S, inputs: Iterable<I>, emit: Emit<O> = ignore): S => {
  const instance = open(self, state, emit)
  const push = instance.push
  const list = toArray(inputs)
  for (let k = 0; k < list.length; k++) push(list[k] as I)
  return instance.state()
}

/** Why and at which of the inputs a run stopped. */
export interface Stop<E> {
  readonly error: E
  readonly index: number
}

/** Pushes inputs into an open machine that fills `outputs`. What the failing input had put out is dropped. */
export const feed = <I, O, E>(
  push: (input: I) => void,
  inputs: ReadonlyArray<I>,
  outputs: Array<O>
): Stop<E> | undefined => {
  let index = 0
  let mark = 0
  try {
    for (; index < inputs.length; index++) {
      mark = outputs.length
      push(inputs[index] as I)
    }
    return undefined
  } catch (error) {
    if (!(error instanceof Halt)) throw error
    outputs.length = mark
    return { error: error.error as E, index }
  }
}

/**
 * The state before the input that failed: an open machine that stopped is broken, so the earlier inputs run again from
 * where it was opened (steps are pure, and failures are rare).
 */
export const before = <S, I, O, E>(
  self: Machine<S, I, O, E>,
  state: S,
  inputs: ReadonlyArray<I>,
  index: number
): S => {
  const again = open(self, state, ignore)
  for (let k = 0; k < index; k++) again.push(inputs[k] as I)
  return again.state()
}

/** Runs a machine that may fail. */
export const runEither = <S, I, O, E>(
  self: Machine<S, I, O, E>,
  state: S,
  inputs: Iterable<I>
): Either.Either<readonly [S, ReadonlyArray<O>], Stopped<S, O, E>> => {
  const outputs: Array<O> = []
  const instance = open(self, state, (output) => {
    outputs.push(output)
  })
  const list = toArray(inputs)
  const stop = feed<I, O, E>(instance.push, list, outputs)
  return stop === undefined
    ? Either.right([instance.state(), outputs])
    : Either.left({ ...stop, state: before(self, state, list, stop.index), outputs })
}
