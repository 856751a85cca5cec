/**
 * What a circuit breaker costs a call that goes through: against the bare Effect, and against cockatiel's on the same work, a
 * call that is asynchronous as those it protects are. Then refusals, and what keeping a Schedule's position costs.
 */
import * as CircuitBreaker from "effect-skald/resilience/CircuitBreaker"
import * as Idempotency from "effect-skald/resilience/Idempotency"
import * as RetryPolicy from "effect-skald/resilience/RetryPolicy"
import * as SchedulePosition from "effect-skald/resilience/SchedulePosition"
import { circuitBreaker, ConsecutiveBreaker, handleAll, type IBreaker, SamplingBreaker } from "cockatiel"
import { Effect, Either, Schema } from "effect"
import * as Kit from "./kit.ts"

const size = (context: Kit.Context, calls: number) => context.quick ? Math.ceil(calls / 20) : calls

/** Runs an effect so many times in one fiber. */
const times = (effect: Effect.Effect<unknown>, calls: number) =>
  Effect.runPromise(Effect.asVoid(
    Effect.loop(0, { while: (n) => n < calls, step: (n) => n + 1, body: () => effect, discard: true })
  ))

const calls = 200_000

/** The protected call: answered in a later turn of the fiber, as by a driver or a client. */
const answered = Effect.promise(() => Promise.resolve(1))
const inline = Effect.sync(() => 1)

const bare = (effect: Effect.Effect<unknown>): Kit.Side<unknown> => ({
  run: async (_, context) => {
    const count = size(context, calls)
    await times(effect, count)
    return count
  }
})

const behind = (
  options: CircuitBreaker.Options,
  effect: Effect.Effect<unknown>
): Kit.Side<CircuitBreaker.CircuitBreaker> => ({
  setup: () => Effect.runPromise(CircuitBreaker.make("bench", options)),
  run: async (breaker, context) => {
    const count = size(context, calls)
    await times(Effect.orDie(breaker.protect(effect)), count)
    return count
  }
})

const theirs = (breaker: () => IBreaker) => ({
  setup: () => circuitBreaker(handleAll, { halfOpenAfter: 30_000, breaker: breaker() }),
  run: async (policy: ReturnType<typeof circuitBreaker>, context: Kit.Context) => {
    const count = size(context, calls)
    for (let n = 0; n < count; n++) await policy.execute(() => Promise.resolve(1))
    return count
  }
})

const rate = CircuitBreaker.rate({ failures: 0.5, over: "1 minute", minimum: 20 })

export default [
  Kit.compare("closed circuit, 5 in a row, asynchronous call", {
    unit: "calls/s",
    peer: "bare Effect",
    ours: behind({}, answered),
    theirs: bare(answered)
  }),
  Kit.compare("closed circuit, 5 in a row, synchronous call", {
    unit: "calls/s",
    peer: "bare Effect",
    ours: behind({}, inline),
    theirs: bare(inline)
  }),
  Kit.compare("closed circuit, 5 in a row, asynchronous call, peer", {
    unit: "calls/s",
    peer: "cockatiel",
    ours: behind({}, answered),
    theirs: theirs(() => new ConsecutiveBreaker(5))
  }),
  Kit.compare("closed circuit, rate over a minute, asynchronous call, peer", {
    unit: "calls/s",
    peer: "cockatiel",
    ours: behind({ trip: rate }, answered),
    theirs: theirs(() => new SamplingBreaker({ threshold: 0.5, duration: 60_000, minimumRps: 1 }))
  }),
  Kit.compare("open circuit, refusals", {
    unit: "calls/s",
    peer: "cockatiel",
    ours: {
      setup: () => Effect.runPromise(Effect.tap(CircuitBreaker.make("bench"), (breaker) => breaker.open)),
      run: async (breaker: CircuitBreaker.CircuitBreaker, context) => {
        const count = size(context, calls / 4)
        await times(Effect.ignore(breaker.protect(answered)), count)
        return count
      }
    },
    theirs: {
      setup: () => {
        const policy = circuitBreaker(handleAll, { halfOpenAfter: 1e9, breaker: new ConsecutiveBreaker(5) })
        policy.isolate()
        return policy
      },
      run: async (policy: ReturnType<typeof circuitBreaker>, context) => {
        const count = size(context, calls / 4)
        for (let n = 0; n < count; n++) {
          try {
            await policy.execute(() => Promise.resolve(1))
          } catch {
            // refused, as it should be
          }
        }
        return count
      }
    }
  }),
  Kit.measure("a step of a stored Schedule, driven again from its third", {
    unit: "steps/s",
    ours: {
      setup: () => Either.getOrThrow(SchedulePosition.counted(RetryPolicy.standard)),
      run: (schedule, context) => {
        const count = size(context, 5_000)
        for (let n = 0; n < count; n++) {
          const third = { seed: n, steps: 3, next: n }
          Either.getOrThrow(schedule.step(third, n, "error"))
        }
        return count
      }
    }
  }),
  Kit.measure("a run of its own key, in memory", {
    unit: "runs/s",
    ours: {
      run: async (_, context) => {
        const count = size(context, 3_000)
        let n = 0
        const run = Effect.suspend(() => Idempotency.once(`key ${n++}`, { success: Schema.Number })(inline))
        await Effect.runPromise(
          Effect.provide(Effect.repeatN(run, count - 1), Idempotency.layerMemory)
        )
        return count
      }
    }
  })
]
