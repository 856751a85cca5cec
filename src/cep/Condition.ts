/**
 * Conditions as data: what `where` and `until` of a pattern ask, in a form that can be stored, shown and drawn.
 *
 * A comparison with something that is not there does not hold; nor does one of order or of texts with something of another type.
 *
 * @since 0.1.0
 */
import type * as Schema from "effect/Schema"
import * as internal from "../internal/cep/condition.ts"

/**
 * A condition on an event and on what is bound so far.
 *
 * @since 0.1.0
 * @category models
 */
export type Condition = internal.Condition

/**
 * What a condition compares.
 *
 * @since 0.1.0
 * @category models
 */
export type Value = internal.Value

/**
 * How two values are compared.
 *
 * @since 0.1.0
 * @category models
 */
export type Comparison = internal.Comparison

/**
 * What stands for itself.
 *
 * @since 0.1.0
 * @category models
 */
export type Scalar = internal.Scalar

/**
 * Conditions as they are stored.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Condition: Schema.Schema<Condition> = internal.ConditionSchema

/**
 * A field of the event, `"amount"` or `"customer.country"`.
 *
 * @since 0.1.0
 * @category values
 */
export const field = (path: string): Value => ({ _tag: "Field", path })

/**
 * A field of the first event that an earlier step has taken.
 *
 * @since 0.1.0
 * @category values
 */
export const first = (step: string, path: string): Value => ({ _tag: "Bound", step, take: "first", path })

/**
 * A field of the last event that a step has taken.
 *
 * @since 0.1.0
 * @category values
 */
export const last = (step: string, path: string): Value => ({ _tag: "Bound", step, take: "last", path })

/**
 * How many events a step has taken so far.
 *
 * @since 0.1.0
 * @category values
 */
export const count = (step: string): Value => ({ _tag: "Bound", step, take: "count" })

/**
 * A running aggregate over a field of the events that a step has taken so far. Of no events, the sum is 0 and the others are
 * not there.
 *
 * @since 0.1.0
 * @category values
 */
export const aggregate = (take: "sum" | "min" | "max" | "mean", step: string, path: string): Value => ({
  _tag: "Bound",
  step,
  take,
  path
})

/**
 * The sum of two numbers.
 *
 * @since 0.1.0
 * @category values
 */
export const plus = (left: Value, right: Value): Value => ({ _tag: "Plus", left, right })

const value = (of: Value | Scalar): Value => typeof of === "object" && of !== null ? of : { _tag: "Literal", value: of }

/**
 * Compares two values, each of which may be a plain string, number or boolean.
 *
 * @example
 * ```ts
 * import * as Condition from "effect-skald/cep/Condition"
 *
 * // what the step `withdrawals` has taken so far, and this event, come to more than 10,000
 * const much = Condition.compare(
 *   Condition.plus(Condition.aggregate("sum", "withdrawals", "amount"), Condition.field("amount")),
 *   ">",
 *   10_000
 * )
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const compare = (left: Value | Scalar, is: Comparison, right: Value | Scalar): Condition => ({
  _tag: "Compare",
  left: value(left),
  is,
  right: value(right)
})

/**
 * A field of this event equals the field of the same name of all events that a step has taken.
 *
 * @since 0.1.0
 * @category constructors
 */
export const joined = (field: string, step: string): Condition => ({ _tag: "Joined", field, step })

/**
 * All of the conditions hold.
 *
 * @since 0.1.0
 * @category constructors
 */
export const all = (...of: ReadonlyArray<Condition>): Condition => ({ _tag: "All", of })

/**
 * One of the conditions holds, or more.
 *
 * @since 0.1.0
 * @category constructors
 */
export const any = (...of: ReadonlyArray<Condition>): Condition => ({ _tag: "Any", of })

/**
 * The condition does not hold.
 *
 * @since 0.1.0
 * @category constructors
 */
export const not = (condition: Condition): Condition => ({ _tag: "Not", condition })

/**
 * Whether an event satisfies a condition, given what is bound so far.
 *
 * @example
 * ```ts
 * import * as Condition from "effect-skald/cep/Condition"
 *
 * const large = Condition.compare(Condition.field("amount"), ">", 100)
 *
 * Condition.holds(large, { amount: 250 }, {}) // true
 * ```
 *
 * @since 0.1.0
 * @category destructors
 */
export const holds: (condition: Condition, event: unknown, soFar: { readonly [step: string]: unknown }) => boolean =
  internal.holds
