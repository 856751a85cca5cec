import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import * as MetricKey from "effect/MetricKey"
import type * as MetricKeyType from "effect/MetricKeyType"
import * as MetricLabel from "effect/MetricLabel"
import * as Stream from "effect/Stream"
import type { Change, CircuitBreaker, CircuitOpen, State } from "../../resilience/CircuitBreaker.ts"
import * as Machine from "./circuitBreaker.ts"

/** Refuses numbers that are not whole ones from 1. */
export const check = (numbers: { readonly [name: string]: number }): void => {
  for (const [name, value] of Object.entries(numbers)) {
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new RangeError(`${name} must be a whole number, 1 or more, got ${value}`)
    }
  }
}

/** How many changes are kept for a reader of the stream that is slow. */
const unread = 256

const calls = MetricKey.counter("skald.circuit_breaker.calls", { description: "Calls by how they ended" })
const transitions = MetricKey.counter("skald.circuit_breaker.transitions", { description: "Changes of state" })
const states = MetricKey.gauge("skald.circuit_breaker.state", { description: "0 closed, 1 half-open, 2 open" })

/** The labels belong to the key, so that an update looks nothing up. */
const labelled = <Type extends MetricKeyType.MetricKeyType<any, any>>(
  key: MetricKey.MetricKey<Type>,
  labels: { readonly [name: string]: string }
) =>
  Metric.fromMetricKey(
    MetricKey.taggedWithLabels(key, Object.entries(labels).map(([name, value]) => MetricLabel.make(name, value)))
  )

const level: { readonly [tag in State["_tag"]]: number } = { Closed: 0, HalfOpen: 1, Open: 2 }
const none: ReadonlyArray<never> = []

const nowOf = (fiber: Fiber.RuntimeFiber<any, any>): number =>
  Context.get(fiber.currentDefaultServices, Clock.Clock).unsafeCurrentTimeMillis()

/** The effects of the machine: it lives in one variable, which is read and written without giving way in between. */
export const make = (
  name: string,
  settings: Machine.Settings<any> & {
    readonly counts: (error: unknown) => boolean
    readonly refuse: (
      state: "open" | "half-open",
      retryAt: DateTime.Utc,
      retryAfter: Duration.Duration
    ) => CircuitOpen
  }
): Effect.Effect<CircuitBreaker> =>
  Effect.withFiberRuntime((fiber) => {
    const { successes, trials } = settings
    check({ trials, successes })
    if (!(settings.openFor >= 0)) throw new RangeError(`openFor must be 0 or more, got ${settings.openFor} ms`)

    let state: Machine.State<any> = Machine.closed(settings, 1, nowOf(fiber), "told")
    const listeners = new Set<(change: Change) => void>()
    /** Those who wait until something has changed, a place that was freed too. */
    let waiting: Array<() => void> = []
    let moves = 0

    const counter = (outcome: string) => labelled(calls, { circuit_breaker: name, outcome })
    const counters = {
      success: counter("success"),
      failure: counter("failure"),
      uncounted: counter("uncounted"),
      rejected: counter("rejected")
    }
    const entered = (to: State["_tag"]) => labelled(transitions, { circuit_breaker: name, to })
    const entries = { Closed: entered("Closed"), HalfOpen: entered("HalfOpen"), Open: entered("Open") }
    const gauge = labelled(states, { circuit_breaker: name })
    gauge.unsafeUpdate(level.Closed, none)

    const move = (next: Machine.State<any>): void => {
      const before = state
      if (next === before) return
      state = next
      moves++
      if (next.id !== before.id) {
        entries[next._tag].unsafeUpdate(1, none)
        gauge.unsafeUpdate(level[next._tag], none)
        const at = DateTime.unsafeMake(next.since)
        for (const listener of listeners) listener({ name, from: before._tag, to: next._tag, why: next.why, at })
      }
      if (waiting.length > 0) {
        const woken = waiting
        waiting = []
        for (const wake of woken) wake()
      }
    }

    const refused = (now: number): Effect.Effect<never, CircuitOpen> => {
      counters.rejected.unsafeUpdate(1, none)
      const retryAt = state._tag === "Open" ? state.until : now
      return Effect.fail(settings.refuse(
        state._tag === "Open" ? "open" : "half-open",
        // An open circuit that nobody will close has no instant that a date can hold.
        DateTime.unsafeMake(Math.min(retryAt, 8.64e15)),
        Duration.millis(retryAt - now)
      ))
    }

    const outcomeOf = (cause: Cause.Cause<unknown>): Machine.Outcome =>
      settings.counts(Cause.squash(cause)) ? "failure" : "uncounted"

    /** Runs a call that began in the state `id`, and tells the machine how it ended. */
    const watch = <A, E, R>(
      self: Effect.Effect<A, E, R>,
      fiber: Fiber.RuntimeFiber<any, any>,
      id: number
    ): Effect.Effect<A, E, R> =>
      Effect.matchCauseEffect(self, {
        onSuccess: (value) => {
          counters.success.unsafeUpdate(1, none)
          move(Machine.end(settings, state, id, "success", nowOf(fiber)))
          return Effect.succeed(value)
        },
        onFailure: (cause) => {
          if (Cause.isInterruptedOnly(cause)) {
            move(Machine.end(settings, state, id, "uncounted", nowOf(fiber)))
            return Effect.failCause(cause)
          }
          // A predicate of the user's may throw, and the place must be free all the same.
          let outcome: Machine.Outcome = "failure"
          try {
            outcome = outcomeOf(cause)
          } finally {
            counters[outcome].unsafeUpdate(1, none)
            move(Machine.end(settings, state, id, outcome, nowOf(fiber)))
          }
          return Effect.failCause(cause)
        }
      })

    /** A call that may hold a place: from taking it to giving it back nothing interrupts but the call itself. */
    const trial = <A, E, R>(
      self: Effect.Effect<A, E, R>,
      fiber: Fiber.RuntimeFiber<any, any>
    ): Effect.Effect<A, E | CircuitOpen, R> =>
      Effect.uninterruptibleMask((restore): Effect.Effect<A, E | CircuitOpen, R> => {
        const now = nowOf(fiber)
        move(Machine.at(state, now))
        if (!Machine.admits(settings, state)) return refused(now)
        move(Machine.begin(state))
        return watch(restore(self), fiber, state.id)
      })

    const protect: CircuitBreaker["protect"] = (self) =>
      Effect.withFiberRuntime((fiber) =>
        // A closed circuit gives out no places, and does not count who is interrupted: there is nothing to hold on to.
        state._tag === "Closed" ? watch(self, fiber, state.id) : trial(self, fiber)
      )

    /** Runs with the instant, in a state that is up to date. */
    const look = <A>(run: (now: number) => A): Effect.Effect<A> =>
      Effect.withFiberRuntime((fiber) => {
        const now = nowOf(fiber)
        move(Machine.at(state, now))
        return Effect.succeed(run(now))
      })

    const movedSince = (seen: number): Effect.Effect<void> =>
      Effect.async((resume) => {
        const wake = () => resume(Effect.void)
        if (moves !== seen) return wake()
        waiting.push(wake)
        return Effect.sync(() => {
          waiting = waiting.filter((other) => other !== wake)
        })
      })

    const admitting: Effect.Effect<void> = Effect.flatMap(
      look((now): Effect.Effect<void> => {
        if (Machine.admits(settings, state)) return Effect.void
        const moved = movedSince(moves)
        const news = state._tag === "Open" && Number.isFinite(state.until)
          ? Effect.raceFirst(moved, Effect.sleep(state.until - now))
          : moved
        return Effect.zipRight(news, Effect.suspend(() => admitting))
      }),
      (wait) => wait
    )

    return Effect.succeed<CircuitBreaker>({
      name,
      protect,
      admitting,
      state: look(() => view(state)),
      changes: Stream.asyncPush<Change>((emit) =>
        Effect.acquireRelease(
          Effect.sync(() => {
            const listener = (change: Change) => void emit.single(change)
            listeners.add(listener)
            return listener
          }),
          (listener) => Effect.sync(() => listeners.delete(listener))
        ), { bufferSize: unread, strategy: "sliding" }),
      open: look((now) => move(Machine.open(settings, state.id + 1, now, "told"))),
      close: look((now) => move(Machine.closed(settings, state.id + 1, now, "told")))
    })
  })

const view = (state: Machine.State<unknown>): State => {
  const since = DateTime.unsafeMake(state.since)
  switch (state._tag) {
    case "Closed":
      return { _tag: "Closed", since }
    case "Open":
      return { _tag: "Open", since, until: DateTime.unsafeMake(Math.min(state.until, 8.64e15)) }
    case "HalfOpen":
      return { _tag: "HalfOpen", since, running: state.running, succeeded: state.succeeded }
  }
}
