import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import type { BusError } from "../../bus/BusError.ts"
import type { DeadLetter, Reason } from "../../bus/DeadLetter.ts"
import type { Options } from "../../bus/DeadLetterRetries.ts"
import type { Filter } from "../../bus/DeadLetterStore.ts"
import { EventBus, type Service } from "../../bus/EventBus.ts"
import { Fault, InvalidInput } from "../../event/InvalidInput.ts"
import * as SchedulePosition from "../../resilience/SchedulePosition.ts"
import { Lease } from "../../store/Lease.ts"
import * as DeadLetters from "./deadLetters.ts"
import * as Faults from "../faults.ts"

/** How many are read at a time. */
const batchSize = 100

const leaseName = ({ name, subscriptions }: Options): string =>
  `:dead-letters/${name ?? (subscriptions === undefined ? "*" : Array.from(new Set(subscriptions)).sort().join(" "))}`

export const layer = (
  options: Options,
  defaults: { readonly reasons: ReadonlyArray<Reason>; readonly every: Duration.Duration }
): Layer.Layer<never, InvalidInput, EventBus | Lease> =>
  Layer.scopedDiscard(Effect.gen(function*() {
    const bus = yield* EventBus
    const leases = yield* Lease
    const { every, schedule } = yield* check(options, defaults.every)
    const woken = yield* Effect.makeLatch(false)
    yield* bus.onOutcome(({ _tag }) => {
      if (_tag === "dead") woken.unsafeOpen()
    })
    const filters = filtersOf(options, defaults.reasons)
    const round = Effect.gen(function*() {
      yield* woken.close
      for (const filter of filters) yield* decideAll(bus, schedule, filter)
      const now = Math.floor(yield* Clock.currentTimeMillis)
      for (const filter of filters) yield* tryDue(bus, { ...filter, retry: "waiting", due: now })
      const next = yield* bus.deadLetters.nextDue
      // one that is due and was not tried is another's, or another layer's
      const wait = next === undefined || next <= now ? every : Math.min(next - now, every)
      yield* Effect.raceFirst(woken.await, Effect.sleep(Duration.millis(wait)))
    })
    const failed = (error: unknown) =>
      Effect.zipRight(
        Effect.logWarning("automatic retries of dead letters are interrupted", error),
        Effect.sleep(Duration.millis(every))
      )
    const work = leases.withLease(leaseName(options), options.lease)(Effect.forever(round))
    yield* Effect.forkScoped(Effect.interruptible(Effect.forever(Effect.catchAll(work, failed))))
  }))

const check = (
  options: Options,
  standard: Duration.Duration
): Effect.Effect<
  { readonly every: number; readonly schedule: SchedulePosition.Resumable<unknown, unknown> },
  InvalidInput
> =>
  Effect.suspend(() => {
    const { every, schedule } = options
    const faults: Array<Fault> = []
    const pause = Duration.decodeUnknown(every ?? standard)
    const usable = Option.isSome(pause) && Duration.isFinite(pause.value) && Duration.toMillis(pause.value) >= 1
    if (!usable) {
      faults.push(
        new Fault({ path: "every", problem: `must be a duration of 1 ms or more, got ${Faults.show(every)}` })
      )
    }
    const nameProblem = Faults.nameProblem(leaseName(options))
    if (nameProblem !== undefined) faults.push(new Fault({ path: "name", problem: nameProblem }))
    const resumable = SchedulePosition.timed(schedule)
    if (Either.isLeft(resumable)) faults.push(new Fault({ path: "schedule", problem: resumable.left.message }))
    const [first, ...rest] = faults
    return first === undefined && Either.isRight(resumable) && usable
      ? Effect.succeed({ every: Math.floor(Duration.toMillis(pause.value)), schedule: resumable.right })
      : new InvalidInput({ faults: [first!, ...rest] })
  })

const filtersOf = (options: Options, reasons: ReadonlyArray<Reason>): ReadonlyArray<Filter> => {
  const filter: Filter = { reasons: options.reasons ?? reasons }
  return options.subscriptions === undefined
    ? [filter]
    : Array.from(new Set(options.subscriptions), (subscription) => ({ ...filter, subscription }))
}

/** Says of each that nothing is decided about when it is tried next, or that it has failed for good. */
const decideAll = (
  bus: Service,
  schedule: SchedulePosition.Resumable<unknown, unknown>,
  filter: Filter
): Effect.Effect<void, BusError> => {
  const { deadLetters } = bus
  const from = (after: DeadLetter | undefined): Effect.Effect<void, BusError> =>
    Effect.flatMap(
      deadLetters.page({ ...filter, retry: "undecided" }, after, batchSize),
      (page) =>
        page.length === 0
          ? Effect.void
          : Effect.zipRight(
            Effect.flatMap(Effect.forEach(page, (letter) => decide(letter, schedule)), deadLetters.plan),
            page.length < batchSize ? Effect.void : from(page[page.length - 1])
          )
    )
  return from(undefined)
}

/** Counted from when it was put aside, whenever it is looked at. */
const decide = (
  letter: DeadLetter,
  schedule: SchedulePosition.Resumable<unknown, unknown>
): Effect.Effect<DeadLetter> =>
  Effect.map(Random.nextInt, (seed) => {
    const before = letter.retry?.position ?? SchedulePosition.initialWith(seed)
    // what was no message is never delivered
    if ("_tag" in letter.message) return { ...letter, retry: { position: before, status: "failed" } }
    const step = schedule.step(before, letter.at, undefined)
    // What shows only late that it cannot be kept, or is of another Schedule, ends here.
    if (Either.isLeft(step)) return { ...letter, retry: { position: before, status: "failed" } }
    const { position } = step.right
    return { ...letter, retry: { position, status: position.next === null ? "failed" : "waiting" } }
  })

const tryDue = (bus: Service, filter: Filter): Effect.Effect<void, BusError> => {
  const from = (after: DeadLetter | undefined): Effect.Effect<void, BusError> =>
    Effect.flatMap(bus.deadLetters.page(filter, after, batchSize), (page) =>
      page.length === 0
        ? Effect.void
        : Effect.zipRight(
          DeadLetters.deliver(bus, page, ({ retry }) => retry?.position),
          page.length < batchSize ? Effect.void : from(page[page.length - 1])
        ))
  return from(undefined)
}
