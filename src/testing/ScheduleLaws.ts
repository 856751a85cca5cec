/**
 * The law of Schedules that are resumed: stopped anywhere and gone on with elsewhere, they say what they would have said.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Schema from "effect/Schema"
import * as SchedulePosition from "../resilience/SchedulePosition.ts"
import * as Law from "./Law.ts"

/**
 * Resumed at any of its steps, by a Schedule that was built anew and from a position that was written as JSON, a Schedule goes
 * on as if it had never been interrupted: the same instants, the same outputs, the same end.
 *
 * @example
 * ```ts
 * import * as RetryPolicy from "effect-skald/resilience/RetryPolicy"
 * import * as SchedulePosition from "effect-skald/resilience/SchedulePosition"
 * import * as Law from "effect-skald/testing/Law"
 * import * as ScheduleLaws from "effect-skald/testing/ScheduleLaws"
 * import { FastCheck } from "effect"
 *
 * const law = ScheduleLaws.resumes(
 *   "the retries of the mailer",
 *   () => SchedulePosition.timed(RetryPolicy.exponential("1 second", { jitter: "full", within: "1 hour" })),
 *   FastCheck.constant("unreachable")
 * )
 *
 * const checked = Law.check(law)
 * ```
 *
 * @since 0.1.0
 * @category laws
 */
export const resumes = <Out, In>(
  what: string,
  build: () => Either.Either<SchedulePosition.Resumable<Out, In>, SchedulePosition.NotResumable>,
  inputs: FastCheck.Arbitrary<NoInfer<In>>
): Law.Law => {
  const run = FastCheck.record({
    input: inputs,
    /** How late the step comes after the instant that was due. */
    late: FastCheck.oneof(FastCheck.constant(0), FastCheck.nat(5_000), FastCheck.nat(100_000_000)),
    stop: FastCheck.boolean()
  })
  return Law.make(
    `${what} can be resumed anywhere`,
    { seed: FastCheck.integer(), runs: FastCheck.array(run, { minLength: 1, maxLength: 15 }) },
    ({ runs, seed }) => {
      const whole = Either.getOrThrow(build())
      let uninterrupted = SchedulePosition.initialWith(seed)
      let parts = whole
      let resumed = uninterrupted
      let now = 1_700_000_000_000
      for (const [index, { input, late, stop }] of runs.entries()) {
        if (stop) {
          parts = Either.getOrThrow(build())
          resumed = decode(JSON.stringify(resumed))
        }
        now = Math.max(now, uninterrupted.next ?? now) + late
        const expected = whole.step(uninterrupted, now, input)
        const actual = parts.step(resumed, now, input)
        const difference = differs(expected, actual)
        if (difference !== undefined) return { run: index, ...difference }
        uninterrupted = Either.getOrThrow(expected).position
        resumed = Either.getOrThrow(actual).position
      }
      return undefined
    }
  )
}

const stored = Schema.parseJson(SchedulePosition.Position)

const decode = Schema.decodeSync(stored)

const differs = (
  expected: Either.Either<SchedulePosition.Step<unknown>, SchedulePosition.NotResumable>,
  actual: Either.Either<SchedulePosition.Step<unknown>, SchedulePosition.NotResumable>
): Law.Difference | undefined => {
  if (Either.isLeft(expected)) return { "cannot be driven": expected.left.message }
  if (Either.isLeft(actual)) return { "cannot be resumed": actual.left.message }
  const [one, other] = [expected.right, actual.right].map((step) => Law.show([step.position, step.output]))
  return one === other ? undefined : { uninterrupted: one, resumed: other }
}
