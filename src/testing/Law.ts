/**
 * A law is a named property that is checked on random cases; a broken one is reported with its smallest counterexample.
 *
 * Laws need no test runner: `check` answers with an Effect, which `it.effect` of `@effect/vitest`, or `Effect.runSync`
 * in any other runner, turns into a passing or failing test.
 *
 * @since 0.1.0
 */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"

/**
 * A named property over cases that it draws itself.
 *
 * @since 0.1.0
 * @category models
 */
export interface Law {
  /** The law in words: "sequence is associative". */
  readonly name: string
  /** Draws cases until one breaks the law or enough have kept it. */
  readonly examine: (options: { readonly seed: number; readonly numRuns: number; readonly path: string }) => Verdict
}

/**
 * What came of examining a law.
 *
 * @since 0.1.0
 * @category models
 */
export type Verdict =
  | { readonly _tag: "Kept"; readonly runs: number; readonly skipped: number }
  | { readonly _tag: "Vacuous"; readonly runs: number; readonly skipped: number }
  | { readonly _tag: "Broken"; readonly runs: number; readonly path: string; readonly counterexample: string }

/**
 * A law does not hold, or too few of the drawn cases fall under it (`vacuous`).
 *
 * The message shows the smallest case that was found and what differs in it; `seed` and `path`, given back to `check`,
 * show that case at once.
 *
 * @since 0.1.0
 * @category errors
 */
export class LawBroken extends Schema.TaggedError<LawBroken>("effect-skald/testing/LawBroken")("LawBroken", {
  law: Schema.String,
  reason: Schema.Literal("counterexample", "vacuous"),
  counterexample: Schema.String,
  runs: Schema.Number,
  seed: Schema.Number,
  path: Schema.String
}) {
  override get message(): string {
    return this.reason === "vacuous"
      ? `too few cases fall under the law "${this.law}": ${this.counterexample}`
      : `the law "${this.law}" does not hold (case ${this.runs}, seed ${this.seed}, path "${this.path}")\n` +
        this.counterexample
  }
}

/**
 * How many cases, and which: `numRuns` is 100 unless given; `seed` is drawn from `Random`; `path` leads to one case of
 * a seed, as a failure reports it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Parameters {
  readonly numRuns?: number | undefined
  readonly seed?: number | undefined
  readonly path?: string | undefined
}

/**
 * Why a case breaks a law: two things that should be the same and are not.
 *
 * @since 0.1.0
 * @category models
 */
export interface Difference {
  readonly [name: string]: unknown
}

/**
 * Builds a law from an arbitrary of cases and a test that answers with what differs, or with nothing.
 *
 * A test that throws breaks the law, too. A case the law does not speak of is left out by `FastCheck.pre(false)`.
 *
 * @example
 * ```ts
 * import * as Law from "effect-skald/testing/Law"
 * import { FastCheck } from "effect"
 *
 * const commutes = Law.make("addition commutes", { a: FastCheck.integer(), b: FastCheck.integer() }, ({ a, b }) =>
 *   a + b === b + a ? undefined : { "a + b": a + b, "b + a": b + a })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <C>(
  name: string,
  cases: { readonly [K in keyof C]: FastCheck.Arbitrary<C[K]> },
  test: (drawn: C) => Difference | undefined
): Law => ({
  name,
  examine: ({ numRuns, path, seed }) => {
    const property = FastCheck.property(FastCheck.record(cases) as FastCheck.Arbitrary<C>, (drawn) => {
      const difference = test(drawn)
      if (difference !== undefined) throw new Differs(difference)
    })
    const details = FastCheck.check(property, { seed, numRuns, path, maxSkipsPerRun: 20 })
    if (!details.failed) return { _tag: "Kept", runs: details.numRuns, skipped: details.numSkips }
    if (details.counterexample === null) {
      return { _tag: "Vacuous", runs: details.numRuns, skipped: details.numSkips }
    }
    const found = details.errorInstance instanceof Differs
      ? details.errorInstance.difference
      : { thrown: details.errorInstance ?? details.error }
    return {
      _tag: "Broken",
      runs: details.numRuns,
      path: details.counterexamplePath,
      counterexample: [...lines(details.counterexample[0] as object), ...lines(found)].join("\n")
    }
  }
})

/**
 * Checks laws one after another, and fails with the first that is broken.
 *
 * @example
 * ```ts
 * import * as Law from "effect-skald/testing/Law"
 * import { Effect, FastCheck } from "effect"
 *
 * const broken = Law.make("numbers are small", { n: FastCheck.nat() }, ({ n }) => n < 100 ? undefined : { n })
 *
 * Effect.runSync(Effect.flip(Law.check([broken], { seed: 1 }))).message // … n: 100 …
 * ```
 *
 * @since 0.1.0
 * @category runners
 */
export const check = (laws: Law | ReadonlyArray<Law>, parameters?: Parameters): Effect.Effect<void, LawBroken> =>
  Effect.gen(function*() {
    const list: ReadonlyArray<Law> = "examine" in laws ? [laws] : laws
    for (const law of list) {
      const seed = parameters?.seed ?? (yield* Random.nextIntBetween(0, 0x7fffffff))
      const verdict = law.examine({ seed, numRuns: parameters?.numRuns ?? 100, path: parameters?.path ?? "" })
      if (verdict._tag === "Kept") continue
      return yield* new LawBroken({
        law: law.name,
        reason: verdict._tag === "Vacuous" ? "vacuous" : "counterexample",
        counterexample: verdict._tag === "Vacuous"
          ? `${verdict.skipped} cases were left out and ${verdict.runs} were tested`
          : verdict.counterexample,
        runs: verdict.runs,
        seed,
        path: verdict._tag === "Vacuous" ? "" : verdict.path
      })
    }
  })

/** Carries a difference through fast-check. */
class Differs {
  readonly difference: Difference
  constructor(difference: Difference) {
    this.difference = difference
  }
}

const lines = (fields: object): ReadonlyArray<string> =>
  Object.entries(fields).map(([name, value]) => `  ${name}: ${show(value)}`)

/**
 * Prints a value on one line, as laws do: what fast-check prints, with `Either`, `Option` and `Chunk` in short.
 *
 * @since 0.1.0
 * @category formatters
 */
export const show = (value: unknown): string => {
  if (Array.isArray(value)) return `[${value.map(show).join(", ")}]`
  if (Either.isEither(value)) return Either.isLeft(value) ? `left(${show(value.left)})` : `right(${show(value.right)})`
  if (Option.isOption(value)) return Option.isSome(value) ? `some(${show(value.value)})` : "none"
  if (Chunk.isChunk(value)) return `Chunk(${Chunk.toReadonlyArray(value).map(show).join(", ")})`
  if (value instanceof Error) return `${value.name}: ${value.message}`
  return FastCheck.stringify(value)
}
