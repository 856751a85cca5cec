/**
 * What can be seen of a machine from outside, and how two machines are compared by it.
 */
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Machine from "../../event/Machine.ts"
import * as Compare from "../compare.ts"

/** A machine of any state. */
export type AnyState<I, O> = Machine.Machine<any, I, O, unknown>

/** The outputs for each input, up to the first that failed. */
export interface Observed<O> {
  readonly outputs: ReadonlyArray<ReadonlyArray<O>>
  readonly failure?: unknown
}

/** Runs input by input, so that it is seen which outputs belong to which input. */
export const observe = <S, I, O>(
  self: Machine.Machine<S, I, O, unknown>,
  inputs: ReadonlyArray<I>
): Observed<O> => {
  const outputs: Array<ReadonlyArray<O>> = []
  let state = self.initial
  for (const input of inputs) {
    const answer = Machine.runEither(self, state, [input])
    if (Either.isLeft(answer)) return { outputs, failure: answer.left.error }
    state = answer.right[0]
    outputs.push(answer.right[1])
  }
  return { outputs }
}

export type Equals<A> = (left: A, right: A) => boolean

export const sameLists = <A>(left: ReadonlyArray<A>, right: ReadonlyArray<A>, equals: Equals<A>): boolean =>
  left.length === right.length && left.every((item, index) => equals(item, right[index] as A))

/** Whether the same things occur equally often. */
export const sameBags = <A>(left: ReadonlyArray<A>, right: ReadonlyArray<A>, equals: Equals<A>): boolean => {
  const rest = [...right]
  return left.length === right.length && left.every((item) => {
    const found = rest.findIndex((other) => equals(item, other))
    if (found >= 0) rest.splice(found, 1)
    return found >= 0
  })
}

/** How outputs and failures are compared: `anyFailure` asks only that both sides failed, not with what. */
export interface Comparison<O> {
  readonly equals?: Equals<O> | undefined
  readonly anyFailure?: boolean
  readonly groups?: (left: ReadonlyArray<O>, right: ReadonlyArray<O>, equals: Equals<O>) => boolean
}

/** The difference between two machines on the same inputs, by the names they have in the law. */
export const difference = <O>(
  sides: readonly [readonly [name: string, observed: Observed<O>], readonly [name: string, observed: Observed<O>]],
  comparison: Comparison<O> = {}
): { readonly [name: string]: unknown } | undefined => {
  const [[leftName, left], [rightName, right]] = sides
  const equals = comparison.equals ?? Compare.same
  const groups = comparison.groups ?? sameLists
  const failed = (one: Observed<O>) => "failure" in one
  const same = sameLists(left.outputs, right.outputs, (a, b) => groups(a, b, equals)) &&
    failed(left) === failed(right) &&
    (comparison.anyFailure === true || Compare.same(left.failure, right.failure))
  return same ? undefined : { [leftName]: visible(left), [rightName]: visible(right) }
}

const visible = (observed: Observed<unknown>) =>
  "failure" in observed ? [...observed.outputs, observed.failure] : observed.outputs

/** A machine, or an arbitrary of machines. */
export type Given<M> = M | FastCheck.Arbitrary<M>

/** One machine is an arbitrary that always draws it. */
export const given = <S, I, O, E>(
  subject: Given<Machine.Machine<S, I, O, E>>
): FastCheck.Arbitrary<Machine.Machine<S, I, O, E>> =>
  subject instanceof FastCheck.Arbitrary ? subject : FastCheck.constant(subject)

/** Two machines in sequence on each side, `f₁ ; f₂` and `g₁ ; g₂`. */
export interface Square<A, B, C, X, Y, Z> {
  readonly left: readonly [first: Given<AnyState<A, B>>, second: Given<AnyState<B, C>>]
  readonly right: readonly [first: Given<AnyState<X, Y>>, second: Given<AnyState<Y, Z>>]
}

/** The cases of a square. */
export const square = <A, B, C, X, Y, Z, I>(
  { left, right }: Square<A, B, C, X, Y, Z>,
  inputs: FastCheck.Arbitrary<ReadonlyArray<I>>
) => ({
  f1: given(left[0]),
  f2: given(left[1]),
  g1: given(right[0]),
  g2: given(right[1]),
  inputs
})
