/**
 * What a window makes of its events: a monoid that takes them in one by one, with a way to read the result.
 *
 * Windows that overlap share what they have in common: each event is added once, to a pane, and panes are merged. So an
 * aggregation must not mind how its events were grouped: `merge(add(s, a), t)` reads as `add(merge(s, t), a)` does.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as DDSketch from "../internal/ddSketch.ts"
import { AnyNumber, TextOrNumber } from "../internal/numberSchema.ts"
import * as SpaceSaving from "../internal/cep/spaceSaving.ts"

/**
 * An aggregation of `A` with a state `S` and a result `R`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Aggregation<in A, in out S, out R> {
  readonly empty: () => S
  /** May change the state that it is given, and answer it. */
  readonly add: (state: S, value: A) => S
  /** May change the left state, and answer it; leaves the right one as it is. */
  readonly merge: (left: S, right: S) => S
  /**
   * Takes out of the left state what was merged into it, and leaves nothing behind: `unmerge(merge(s, t), t)` is `s` to the last
   * bit, whatever else was merged in between. Windows that overlap go on from one to the next by it, and cost the less; those
   * of an aggregation without it merge again. Sums of fractions have none. May change the left state, and answer it.
   */
  readonly unmerge?: ((left: S, right: S) => S) | undefined
  readonly result: (state: S) => R
  /** A state of its own, which later changes of the first do not touch. */
  readonly copy: (state: S) => S
  /**
   * Whether a state grows with its events, as a list of them does. Windows that overlap keep what they share of those that do not
   * merged, beside the panes; of those that do, each window merges its panes.
   */
  readonly grows: boolean
  /** How a state is stored. */
  readonly state: Schema.Schema<S, any>
}

const itself = <S>(state: S): S => state

/**
 * An aggregation of one's own. Without `copy`, its states are taken for values that `add` and `merge` never change.
 *
 * @example
 * ```ts
 * import * as Aggregation from "effect-skald/cep/Aggregation"
 * import { Schema } from "effect"
 *
 * const longest = Aggregation.make({
 *   empty: () => "",
 *   add: (longest, word: string) => word.length > longest.length ? word : longest,
 *   merge: (left, right) => right.length > left.length ? right : left,
 *   result: (word) => word,
 *   state: Schema.String
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <A, S, R>(options: {
  readonly empty: () => S
  readonly add: (state: S, value: A) => S
  readonly merge: (left: S, right: S) => S
  readonly unmerge?: ((left: S, right: S) => S) | undefined
  readonly result: (state: S) => R
  readonly copy?: ((state: S) => S) | undefined
  /** Whether a state grows with its events; taken for granted of those that are copied, when not given. */
  readonly grows?: boolean | undefined
  readonly state: Schema.Schema<S, any>
}): Aggregation<A, S, R> => ({
  ...options,
  copy: options.copy ?? itself,
  grows: options.grows ?? options.copy !== undefined
})

// ------------------------------------------------------------------------------------------------------------- numbers

/**
 * How many.
 *
 * @since 0.1.0
 * @category numbers
 */
export const count: Aggregation<unknown, number, number> = make({
  empty: () => 0,
  add: (state) => state + 1,
  merge: (left, right) => left + right,
  unmerge: (left, right) => left - right,
  result: itself,
  state: Schema.Number
})

/**
 * The sum of a number of each; 0 of none.
 *
 * @since 0.1.0
 * @category numbers
 */
export const sum = <A>(of: (value: A) => number): Aggregation<A, number, number> =>
  make({
    empty: () => 0,
    add: (state, value) => state + of(value),
    merge: (left, right) => left + right,
    result: itself,
    state: AnyNumber
  })

const extreme = <A>(
  of: (value: A) => number,
  pick: (left: number, right: number) => number
): Aggregation<A, number | null, number | undefined> =>
  make<A, number | null, number | undefined>({
    empty: () => null,
    add: (state, value) => state === null ? of(value) : pick(state, of(value)),
    merge: (left, right) => left === null ? right : right === null ? left : pick(left, right),
    result: (state) => state ?? undefined,
    state: Schema.NullOr(AnyNumber)
  })

/**
 * The least number; `undefined` of none.
 *
 * @since 0.1.0
 * @category numbers
 */
export const min = <A>(of: (value: A) => number): Aggregation<A, number | null, number | undefined> =>
  extreme(of, Math.min)

/**
 * The greatest number; `undefined` of none.
 *
 * @since 0.1.0
 * @category numbers
 */
export const max = <A>(of: (value: A) => number): Aggregation<A, number | null, number | undefined> =>
  extreme(of, Math.max)

/**
 * What mean and variance keep: how many, their mean, and the sum of the squares of the distances from it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Moments {
  readonly count: number
  readonly mean: number
  readonly squares: number
}

const Moments: Schema.Schema<Moments, any> = Schema.Struct({
  count: Schema.Number,
  mean: AnyNumber,
  squares: AnyNumber
})

const moments = <A>(of: (value: A) => number, result: (state: Moments) => number | undefined) =>
  make<A, Moments, number | undefined>({
    empty: () => ({ count: 0, mean: 0, squares: 0 }),
    add: (state, value) => {
      const number = of(value)
      const count = state.count + 1
      const distance = number - state.mean
      const mean = state.mean + distance / count
      return { count, mean, squares: state.squares + distance * (number - mean) }
    },
    merge: (left, right) => {
      const count = left.count + right.count
      if (count === 0) return left
      const distance = right.mean - left.mean
      return {
        count,
        mean: left.mean + (distance * right.count) / count,
        squares: left.squares + right.squares + (distance * distance * left.count * right.count) / count
      }
    },
    result,
    state: Moments
  })

/**
 * The mean of a number of each, without the overflow of a sum; `undefined` of none.
 *
 * @since 0.1.0
 * @category numbers
 */
export const mean = <A>(of: (value: A) => number): Aggregation<A, Moments, number | undefined> =>
  moments(of, (state) => state.count === 0 ? undefined : state.mean)

/**
 * The variance of the numbers, as of a whole population; `undefined` of none. By Welford's method, merged by Chan's
 * (Chan, Golub, LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances", 1979), so that large
 * numbers close to each other lose nothing.
 *
 * @since 0.1.0
 * @category numbers
 */
export const variance = <A>(of: (value: A) => number): Aggregation<A, Moments, number | undefined> =>
  moments(of, (state) => state.count === 0 ? undefined : state.squares / state.count)

/**
 * Quantiles of the numbers, each within a relative error of `accuracy` (0.01 when not given), from a sketch whose size grows
 * with the logarithm of their range and not with how many there are. `[0.5, 0.99]` gives the median and the 99th percentile;
 * of none, each is `undefined`.
 *
 * The sketch is DDSketch (Masson, Rim, Lee, "DDSketch: A fast and fully-mergeable quantile sketch with relative-error
 * guarantees", PVLDB 12(12), 2019). Numbers nearer to 0 than 1e-9 count as 0. NaN is passed over.
 *
 * @example
 * ```ts
 * import * as Aggregation from "effect-skald/cep/Aggregation"
 *
 * const latency = Aggregation.quantiles((request: { readonly millis: number }) => request.millis, [0.5, 0.99])
 * ```
 *
 * @since 0.1.0
 * @category numbers
 */
export const quantiles = <A, const Q extends ReadonlyArray<number>>(
  of: (value: A) => number,
  quantiles: Q,
  options: { readonly accuracy?: number | undefined } = {}
): Aggregation<A, DDSketch.Sketch, { readonly [K in keyof Q]: number | undefined }> => {
  const accuracy = options.accuracy ?? 0.01
  if (!(accuracy > 0 && accuracy < 1)) throw new RangeError(`accuracy must be between 0 and 1, got ${accuracy}`)
  for (const quantile of quantiles) {
    if (!(quantile >= 0 && quantile <= 1)) throw new RangeError(`a quantile must be from 0 to 1, got ${quantile}`)
  }
  const gamma = (1 + accuracy) / (1 - accuracy)
  const scale = 1 / Math.log(gamma)
  return make<A, DDSketch.Sketch, any>({
    empty: DDSketch.empty,
    add: (state, value) => DDSketch.add(state, of(value), scale),
    merge: DDSketch.merge,
    result: (state) => quantiles.map((quantile) => DDSketch.quantile(state, quantile, gamma)),
    copy: DDSketch.copy,
    grows: false,
    state: DDSketch.Stored
  })
}

// --------------------------------------------------------------------------------------------------------------- values

/**
 * How many different values there are, by a text or a number of each; exact, so that it holds every one of them.
 *
 * @since 0.1.0
 * @category values
 */
export const distinct = <A>(
  of: (value: A) => string | number
): Aggregation<A, Set<string | number>, number> =>
  make<A, Set<string | number>, number>({
    empty: () => new Set(),
    add: (state, value) => state.add(of(value)),
    merge: (left, right) => {
      for (const value of right) left.add(value)
      return left
    },
    result: (state) => state.size,
    copy: (state) => new Set(state),
    state: Schema.Set(TextOrNumber)
  })

/**
 * The `k` values that come most often, with how often, the most frequent first, equals by value; `exact` while there were no
 * more than `capacity` different ones (ten times `k` when not given). Beyond, counts may be too high, by at most the number of
 * events divided by `capacity`, and a value with more than that is never missed.
 *
 * The method is Space-Saving (Metwally, Agrawal, El Abbadi, "Efficient Computation of Frequent and Top-k Elements in Data
 * Streams", ICDT 2005), merged as in Cafaro, Pulimeno, Tempesta, "A parallel space saving algorithm", 2016.
 *
 * @since 0.1.0
 * @category values
 */
export const mostFrequent = <A>(
  k: number,
  of: (value: A) => string,
  options: { readonly capacity?: number | undefined } = {}
): Aggregation<A, Map<string, number>, ReadonlyArray<readonly [value: string, count: number]>> => {
  atLeastOne("k", k)
  const capacity = options.capacity ?? k * 10
  if (!Number.isSafeInteger(capacity) || capacity < k) {
    throw new RangeError(`capacity must be a whole number, ${k} or more, got ${capacity}`)
  }
  return make<A, Map<string, number>, ReadonlyArray<readonly [string, number]>>({
    empty: () => new Map(),
    add: (state, value) => SpaceSaving.add(state, of(value), capacity),
    merge: (left, right) => SpaceSaving.merge(left, right, capacity),
    result: (state) => SpaceSaving.byFrequency(state).slice(0, k),
    copy: (state) => new Map(state),
    grows: false,
    state: Schema.Map({ key: Schema.String, value: Schema.Number })
  })
}

/**
 * The `k` events with the greatest number, the greatest first; of equal ones those that were taken in first, as far as the
 * grouping into panes lets it know.
 *
 * @since 0.1.0
 * @category values
 */
export const largest = <A, I>(
  k: number,
  of: (value: A) => number,
  schema: Schema.Schema<A, I>
): Aggregation<A, Array<A>, ReadonlyArray<A>> => {
  atLeastOne("k", k)
  const insert = (state: Array<A>, value: A): Array<A> => {
    const number = of(value)
    if (state.length === k && !(number > of(state[k - 1]!))) return state
    let at = state.length
    while (at > 0 && number > of(state[at - 1]!)) at--
    state.splice(at, 0, value)
    if (state.length > k) state.pop()
    return state
  }
  return make<A, Array<A>, ReadonlyArray<A>>({
    empty: () => [],
    add: insert,
    merge: (left, right) => right.reduce(insert, left),
    result: (state) => state.slice(),
    copy: (state) => state.slice(),
    grows: false,
    state: Schema.mutable(Schema.Array(schema))
  })
}

/**
 * All events, in the order of their panes and in them of arrival.
 *
 * @since 0.1.0
 * @category values
 */
export const collect = <A, I>(schema: Schema.Schema<A, I>): Aggregation<A, Array<A>, ReadonlyArray<A>> =>
  make<A, Array<A>, ReadonlyArray<A>>({
    empty: () => [],
    add: (state, value) => {
      state.push(value)
      return state
    },
    merge: (left, right) => {
      for (const value of right) left.push(value)
      return left
    },
    result: (state) => state.slice(),
    copy: (state) => state.slice(),
    state: Schema.mutable(Schema.Array(schema))
  })

// --------------------------------------------------------------------------------------------------------- combinators

/**
 * Several aggregations of the same events as one.
 *
 * @example
 * ```ts
 * import * as Aggregation from "effect-skald/cep/Aggregation"
 *
 * const delays = (flight: { readonly delay: number }) => flight.delay
 * const punctuality = Aggregation.struct({
 *   flights: Aggregation.count,
 *   mean: Aggregation.mean(delays),
 *   worst: Aggregation.max(delays)
 * })
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const struct = <A, F extends { readonly [name: string]: Aggregation<A, any, any> }>(
  fields: F & { readonly [name: string]: Aggregation<A, any, any> }
): Aggregation<
  A,
  { [K in keyof F]: StateOf<F[K]> },
  { readonly [K in keyof F]: ResultOf<F[K]> }
> => {
  const parts = Object.entries(fields)
  const each = (of: (part: Aggregation<A, any, any>, name: string) => unknown): any =>
    Object.fromEntries(parts.map(([name, part]) => [name, of(part, name)]))
  return make<A, any, any>({
    empty: () => each((part) => part.empty()),
    add: (state, value) => {
      for (const [name, part] of parts) state[name] = part.add(state[name], value)
      return state
    },
    merge: (left, right) => {
      for (const [name, part] of parts) left[name] = part.merge(left[name], right[name])
      return left
    },
    unmerge: parts.every(([, part]) => part.unmerge !== undefined)
      ? (left, right) => {
        for (const [name, part] of parts) left[name] = part.unmerge!(left[name], right[name])
        return left
      }
      : undefined,
    result: (state) => each((part, name) => part.result(state[name])),
    copy: (state) => each((part, name) => part.copy(state[name])),
    grows: parts.some(([, part]) => part.grows),
    state: Schema.mutable(Schema.Struct(each((part) => part.state) as Schema.Struct.Fields)) as any
  })
}

/**
 * The state of an aggregation.
 *
 * @since 0.1.0
 * @category types
 */
export type StateOf<G> = G extends Aggregation<any, infer S, any> ? S : never

/**
 * The result of an aggregation.
 *
 * @since 0.1.0
 * @category types
 */
export type ResultOf<G> = G extends Aggregation<any, any, infer R> ? R : never

/**
 * Reads the result in another way.
 *
 * @since 0.1.0
 * @category combinators
 */
export const map = <A, S, R, R2>(self: Aggregation<A, S, R>, f: (result: R) => R2): Aggregation<A, S, R2> => ({
  ...self,
  result: (state) => f(self.result(state))
})

/**
 * Takes in a part of each event.
 *
 * @since 0.1.0
 * @category combinators
 */
export const contramap = <A, S, R, B>(self: Aggregation<A, S, R>, f: (value: B) => A): Aggregation<B, S, R> => ({
  ...self,
  add: (state, value) => self.add(state, f(value))
})

const atLeastOne = (name: string, value: number): void => {
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new RangeError(`${name} must be a whole number, 1 or more, got ${value}`)
  }
}
