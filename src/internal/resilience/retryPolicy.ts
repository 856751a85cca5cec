import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as ScheduleDecision from "effect/ScheduleDecision"
import * as ScheduleInterval from "effect/ScheduleInterval"
import * as ScheduleIntervals from "effect/ScheduleIntervals"

type Policy<Out, In, R> = Schedule.Schedule<Out, In, R>

/** Sums of instants and delays stay exact up to here; nobody waits so long. */
const longest = Number.MAX_SAFE_INTEGER / 2

const after = (now: number, delay: number) => ScheduleDecision.continueWith(ScheduleInterval.after(now + delay))

const millis = (delay: Duration.DurationInput) => Math.min(longest, Duration.toMillis(delay))

/** A shape whose delay is the base times what the number of the retry, from 0, says. */
export const growing = (
  base: Duration.DurationInput,
  factorOf: (retry: number) => number
): Schedule.Schedule<Duration.Duration> => {
  const unit = millis(base)
  return Schedule.makeWithState(0, (now, _, retry) => {
    // Nothing times infinity is nothing here.
    const delay = unit === 0 ? 0 : Math.min(longest, unit * factorOf(retry))
    return Effect.succeed([retry + 1, Duration.millis(delay), after(now, delay)])
  })
}

export const exponential = (base: Duration.DurationInput, factor: number): Schedule.Schedule<Duration.Duration> => {
  if (!(factor > 0 && Number.isFinite(factor))) {
    throw new RangeError(`factor must be a positive, finite number, got ${factor}`)
  }
  return growing(base, (retry) => Math.pow(factor, retry))
}

export const fibonacci = (base: Duration.DurationInput): Schedule.Schedule<Duration.Duration> => {
  const unit = millis(base)
  const first: readonly [number, number] = [unit, unit]
  return Schedule.makeWithState(
    first,
    (now, _, [delay, next]) =>
      Effect.succeed([[next, Math.min(longest, delay + next)] as const, Duration.millis(delay), after(now, delay)])
  )
}

export const decorrelated = (
  base: Duration.DurationInput,
  cap: Duration.DurationInput
): Schedule.Schedule<Duration.Duration> => {
  const most = millis(cap)
  const least = Math.min(most, millis(base))
  return Schedule.makeWithState(least, (now, _, last) =>
    Effect.map(Random.next, (share) => {
      const delay = Math.min(most, least + share * Math.max(0, last * 3 - least))
      return [delay, Duration.millis(delay), after(now, delay)]
    }))
}

/** Delays as a function of the input and of what they were. */
const reshaped = <Out, In, R>(
  self: Policy<Out, In, R>,
  delayOf: (delay: number, input: In) => number
): Policy<Out, In, R> =>
  Schedule.makeWithState(
    self.initial,
    (now, input: In, state) =>
      Effect.map(self.step(now, input, state), ([next, out, decision]) => {
        if (ScheduleDecision.isDone(decision)) return [next, out, decision]
        const delay = Math.max(0, ScheduleIntervals.start(decision.intervals) - now)
        const wanted = delayOf(delay, input)
        return [next, out, wanted === delay ? decision : after(now, wanted)]
      })
  )

export const capped = <Out, In, R>(self: Policy<Out, In, R>, cap: Duration.DurationInput): Policy<Out, In, R> => {
  const most = millis(cap)
  return reshaped(self, (delay) => Math.min(most, delay))
}

export const notBefore = <Out, In, R>(
  self: Policy<Out, In, R>,
  delayOf: (error: In) => Duration.DurationInput | undefined
): Policy<Out, In, R> =>
  reshaped(self, (delay, error) => {
    const asked = delayOf(error)
    return asked === undefined ? delay : Math.max(delay, millis(asked))
  })

export const upToRetries = <Out, In, R>(self: Policy<Out, In, R>, retries: number): Policy<Out, In, R> => {
  if (!Number.isSafeInteger(retries) || retries < 0) {
    throw new RangeError(`retries must be a whole number, 0 or more, got ${retries}`)
  }
  const initial: readonly [inner: any, done: number] = [self.initial, 0]
  return Schedule.makeWithState(initial, (now, input: In, [inner, done]) =>
    Effect.map(
      self.step(now, input, inner),
      ([next, out, decision]) => [[next, done + 1] as const, out, done < retries ? decision : ScheduleDecision.done]
    ))
}

export const upToAttempts = <Out, In, R>(self: Policy<Out, In, R>, attempts: number): Policy<Out, In, R> => {
  if (!Number.isSafeInteger(attempts) || attempts < 1) {
    throw new RangeError(`attempts must be a whole number, 1 or more, got ${attempts}`)
  }
  return upToRetries(self, attempts - 1)
}

export const upToElapsed = <Out, In, R>(
  self: Policy<Out, In, R>,
  limit: Duration.DurationInput
): Policy<Out, In, R> => {
  const most = millis(limit)
  const initial: readonly [inner: any, began: number | undefined] = [self.initial, undefined]
  return Schedule.makeWithState(
    initial,
    (now, input: In, [inner, earlier]) =>
      Effect.map(self.step(now, input, inner), ([next, out, decision]) => {
        const began = earlier ?? now
        const late = ScheduleDecision.isContinue(decision) &&
          Math.max(now, ScheduleIntervals.start(decision.intervals)) > began + most
        return [[next, began] as const, out, late ? ScheduleDecision.done : decision]
      })
  )
}
