/**
 * The laws of what users build, ready to run: each law is a named check for any test runner.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Pattern from "../cep/Pattern.ts"
import type * as Decider from "../cqrs/Decider.ts"
import type * as Projection from "../cqrs/Projection.ts"
import * as DeciderLaws from "./DeciderLaws.ts"
import * as Law from "./Law.ts"
import * as PatternLaws from "./PatternLaws.ts"
import * as ProjectionLaws from "./ProjectionLaws.ts"

/**
 * A law that runs itself: `check` throws {@link Law.LawBroken}, with the smallest counterexample, where it does not hold.
 *
 * @since 0.1.0
 * @category models
 */
export interface Check extends Law.Law {
  readonly check: () => void
}

/**
 * Makes laws run themselves: laws of machines, of the library's other modules, or your own by `Law.make`.
 *
 * @example
 * ```ts
 * import * as Law from "effect-skald/testing/Law"
 * import * as Laws from "effect-skald/testing/Laws"
 * import { FastCheck } from "effect"
 *
 * const [commutes] = Laws.from([
 *   Law.make("addition commutes", { a: FastCheck.integer(), b: FastCheck.integer() }, ({ a, b }) =>
 *     a + b === b + a ? undefined : { "a + b": a + b, "b + a": b + a })
 * ], { numRuns: 1_000 })
 *
 * commutes?.check()
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const from = (laws: ReadonlyArray<Law.Law>, parameters?: Law.Parameters): ReadonlyArray<Check> =>
  laws.map((law) => ({
    ...law,
    check: () => {
      const checked = Effect.runSync(Effect.either(Law.check(law, parameters)))
      return Either.getOrThrowWith(checked, (broken) => broken)
    }
  }))

/**
 * Options of {@link decider}: what its laws are tried on, how often, and with which seed.
 *
 * @since 0.1.0
 * @category models
 */
export interface DeciderOptions<S, C, E> extends DeciderLaws.Options<S, C, E>, Law.Parameters {}

/**
 * The laws of a decider, those that {@link DeciderLaws.laws} lists.
 *
 * Commands, events and states come from the Schemas. Give `commands` where ids must agree for a command to be accepted:
 * the first law fails when none is.
 *
 * @example
 * ```ts
 * import * as Decider from "effect-skald/cqrs/Decider"
 * import * as Event from "effect-skald/event/Event"
 * import * as Law from "effect-skald/testing/Law"
 * import * as Laws from "effect-skald/testing/Laws"
 * import { Either, Schema } from "effect"
 *
 * const Counted = Event.make("Counted", { by: Schema.Int })
 * const Counter = Decider.make("counter", { state: Schema.Int, commands: Schema.Int, events: Counted })({
 *   initial: 0,
 *   decide: (by) => Either.right([Counted({ by })]),
 *   evolve: (count, { by }) => count + by
 * })
 *
 * // one test for each law:        for (const law of Laws.decider(Counter)) it(law.name, law.check)
 * // all laws in one Effect test:  it.effect("laws", () => Law.check(Laws.decider(Counter)))
 * const program = Law.check(Laws.decider(Counter), { numRuns: 20 })
 * ```
 *
 * @since 0.1.0
 * @category laws
 */
export const decider = <S, C, E extends Decider.Tagged, Err>(
  decider: Decider.Decider<string, S, C, E, Err>,
  options?: DeciderOptions<NoInfer<S>, NoInfer<C>, NoInfer<E>>
): ReadonlyArray<Check> => from(DeciderLaws.laws(decider, options), options)

/**
 * Options of {@link projection}: what its laws are tried on, how often, and with which seed.
 *
 * @since 0.1.0
 * @category models
 */
export interface ProjectionOptions<S, E> extends ProjectionLaws.Options<S, E>, Law.Parameters {}

/**
 * The laws of a projection into a value, those that {@link ProjectionLaws.laws} lists.
 *
 * Logs come from the Schemas of its events. Give `logs` where ids or times must agree for anything to come of them: the
 * first law fails when nothing does.
 *
 * @example
 * ```ts
 * import * as Projection from "effect-skald/cqrs/Projection"
 * import * as Event from "effect-skald/event/Event"
 * import * as Law from "effect-skald/testing/Law"
 * import * as Laws from "effect-skald/testing/Laws"
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
 * // one test for each law:        for (const law of Laws.projection(Revenue)) it(law.name, law.check)
 * // all laws in one Effect test:  it.effect("laws", () => Law.check(Laws.projection(Revenue)))
 * const program = Law.check(Laws.projection(Revenue), { numRuns: 20 })
 * ```
 *
 * @since 0.1.0
 * @category laws
 */
export const projection = <S, E>(
  projection: Projection.Projection<string, S, E>,
  options?: ProjectionOptions<NoInfer<S>, NoInfer<E>>
): ReadonlyArray<Check> => from(ProjectionLaws.laws(projection, options), options)

/**
 * What the laws of a pattern are tried on, and how often.
 *
 * @since 0.1.0
 * @category models
 */
export interface PatternOptions<Ev> extends PatternLaws.Options<Ev>, Law.Parameters {}

/**
 * The laws of a pattern, those that {@link PatternLaws.laws} lists.
 *
 * @example
 * ```ts
 * import * as Pattern from "effect-skald/cep/Pattern"
 * import * as Event from "effect-skald/event/Event"
 * import * as Laws from "effect-skald/testing/Laws"
 * import { Schema } from "effect"
 *
 * const Failed = Event.make("Failed", { at: Schema.Int })
 * const thrice = Pattern.begin("failures", Failed, { times: { min: 3, max: 3 } })
 *
 * // for (const law of Laws.pattern(thrice, { timestamp: ({ at }) => at })) it(law.name, law.check)
 * Laws.check(Laws.pattern(thrice, { timestamp: ({ at }) => at }))
 * ```
 *
 * @since 0.1.0
 * @category laws
 */
export const pattern = <B, Ev extends { readonly _tag: string }>(
  pattern: Pattern.Pattern<B, Ev>,
  options: PatternOptions<NoInfer<Ev>>
): ReadonlyArray<Check> => from(PatternLaws.laws(pattern, options), options)

/**
 * Runs laws where no test runner lists them: throws the first that is broken, or all of them in an `AggregateError`.
 *
 * @since 0.1.0
 * @category runners
 */
export const check = (laws: ReadonlyArray<Check>): void => {
  const broken = laws.flatMap((law) => {
    const checked = Either.try({ try: law.check, catch: (error) => error })
    return Either.isLeft(checked) ? [checked.left] : []
  })
  if (broken.length === 1) throw broken[0]
  if (broken.length > 1) throw new AggregateError(broken, broken.map(String).join("\n\n"))
}
