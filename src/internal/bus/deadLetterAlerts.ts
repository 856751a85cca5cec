import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import type { Tally } from "../../bus/BusDriver.ts"
import type { BusError } from "../../bus/BusError.ts"
import type { Alert } from "../../bus/DeadLetterAlerts.ts"
import { EventBus } from "../../bus/EventBus.ts"
import type { InvalidInput } from "../../event/InvalidInput.ts"
import * as Faults from "../faults.ts"
import { Fifo } from "../fifo.ts"
import { rest } from "../realTime.ts"

interface Settings {
  readonly threshold: number
  readonly window: Duration.DurationInput
  readonly minimum: number
}

interface Checked {
  readonly threshold: number
  readonly window: number
  readonly minimum: number
}

/** The messages of a stretch of time. */
interface Stretch {
  readonly from: number
  messages: number
  failures: number
}

/** What a subscription did within the window: a hundred numbers at most, however many messages. */
class Rate {
  readonly #stretches = new Fifo<Stretch>()
  #last: Stretch | undefined
  messages = 0
  failures = 0
  /** There was an alert, and the rate has not fallen since. */
  alerted = false

  add(now: number, window: number, messages: number, failures: number): void {
    const width = window / 100
    this.prune(now, window)
    if (this.#last === undefined || now >= this.#last.from + width) {
      this.#last = { from: now, messages: 0, failures: 0 }
      this.#stretches.push(this.#last)
    }
    this.#last.messages += messages
    this.#last.failures += failures
    this.messages += messages
    this.failures += failures
  }

  prune(now: number, window: number): void {
    for (let first = this.#stretches.peek(); first !== undefined && first.from <= now - window;) {
      this.#stretches.shift()
      this.messages -= first.messages
      this.failures -= first.failures
      first = this.#stretches.peek()
      if (first === undefined) this.#last = undefined
    }
  }

  get share(): number {
    return this.messages === 0 ? 0 : Math.min(1, this.failures / this.messages)
  }
}

export const alerts = (settings: Settings): Stream.Stream<Alert, InvalidInput, EventBus> =>
  Stream.unwrapScoped(Effect.gen(function*() {
    const { minimum, threshold, window } = yield* check(settings)
    const bus = yield* EventBus
    const clock = yield* Effect.clock
    const told = yield* Effect.acquireRelease(Queue.unbounded<Alert>(), Queue.shutdown)
    const rates = new Map<string, Rate>()
    const rateOf = (subscription: string): Rate => {
      let rate = rates.get(subscription)
      if (rate === undefined) rates.set(subscription, rate = new Rate())
      return rate
    }
    const failed = (subscription: string, count: number): void => rateOf(subscription).add(nowOf(), window, 0, count)
    const done = (subscription: string, count: number): void => {
      const now = nowOf()
      const rate = rateOf(subscription)
      rate.prune(now, window)
      if (rate.share <= threshold) rate.alerted = false
      rate.add(now, window, count, 0)
      if (rate.share <= threshold) rate.alerted = false
      else if (!rate.alerted && rate.messages >= minimum) {
        rate.alerted = true
        const { failures, messages, share } = rate
        told.unsafeOffer({ subscription, failures, messages, rate: share, at: DateTime.unsafeMake(now) })
      }
    }
    const nowOf = () => Math.floor(clock.unsafeCurrentTimeMillis())
    yield* bus.tallies === undefined
      ? bus.onOutcome((outcome) => {
        if (outcome._tag === "done") done(outcome.subscription, outcome.count)
        else for (const { subscription } of outcome.letters) failed(subscription, 1)
      })
      : Effect.forkScoped(looking(bus.tallies, Math.max(shortest, Math.min(longest, window / 100)), failed, done))
    return Stream.fromQueue(told)
  }))

/** The rests between two looks at what all processes count, in milliseconds. */
const shortest = 10
const longest = 1_000

type Count = (subscription: string, count: number) => void

/**
 * Looks again and again at what subscriptions were done with since they began, and tells what has come since the last look; what
 * stood there at the first one is not told of.
 */
const looking = (
  tallies: Effect.Effect<ReadonlyArray<Tally>, BusError>,
  every: number,
  failed: Count,
  done: Count
): Effect.Effect<never> => {
  let seen: Map<string, Tally> | undefined
  const look = Effect.map(tallies, (all) => {
    const before = seen
    seen = new Map(all.map((tally) => [tally.subscription, tally]))
    if (before === undefined) return
    for (const { failures, messages, subscription } of all) {
      const known = before.get(subscription)
      // one that ended and began anew counts from nothing
      const since = known !== undefined && known.messages <= messages && known.failures <= failures ? known : nothing
      if (failures > since.failures) failed(subscription, failures - since.failures)
      if (messages > since.messages) done(subscription, messages - since.messages)
    }
  })
  // a look that fails is made good by the next one
  return Effect.forever(Effect.zipRight(Effect.ignore(look), rest(every)))
}

const nothing = { messages: 0, failures: 0 }

const check = ({ minimum, threshold, window }: Settings): Effect.Effect<Checked, InvalidInput> =>
  Effect.suspend(() => {
    const faults = Faults.make()
    const length = Option.getOrUndefined(Duration.decodeUnknown(window))
    if (length === undefined || !Duration.isFinite(length) || Duration.toMillis(length) < 1) {
      faults.add("window", `must be a finite duration of 1 ms or more, got ${Faults.show(window)}`)
    }
    if (!(threshold >= 0 && threshold <= 1)) {
      faults.add("threshold", `must be from 0 to 1, got ${Faults.show(threshold)}`)
    }
    const problem = Faults.countProblem(minimum, 1)
    if (problem !== undefined) faults.add("minimum", problem)
    return Faults.orInvalid(faults, () => ({ minimum, threshold, window: Duration.toMillis(length!) }))
  })
