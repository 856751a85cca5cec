import type { Trip } from "../../resilience/CircuitBreaker.ts"

/** How a call that was admitted has ended. Who is `uncounted` gives its place back and changes nothing else. */
export type Outcome = "success" | "failure" | "uncounted"

/** Why a breaker changed its state. */
export type Why = "tripped" | "waited" | "recovered" | "trial failed" | "told"

interface Entered {
  /** Goes up with each change, so that a call that began in an earlier state does not count in this one. */
  readonly id: number
  /** When it was entered, in milliseconds. */
  readonly since: number
  readonly why: Why
}

export interface Closed<S> extends Entered {
  readonly _tag: "Closed"
  readonly seen: S
}

export interface Open extends Entered {
  readonly _tag: "Open"
  readonly until: number
}

export interface HalfOpen extends Entered {
  readonly _tag: "HalfOpen"
  readonly running: number
  readonly succeeded: number
}

/** Every state has counters of its own. */
export type State<S> = Closed<S> | Open | HalfOpen

export interface Settings<S> {
  readonly trip: Trip<S>
  readonly openFor: number
  readonly trials: number
  readonly successes: number
}

export const closed = <S>(settings: Settings<S>, id: number, since: number, why: Why): Closed<S> => ({
  _tag: "Closed",
  id,
  since,
  why,
  seen: settings.trip.initial
})

export const open = <S>(settings: Settings<S>, id: number, since: number, why: Why): Open => ({
  _tag: "Open",
  id,
  since,
  why,
  until: since + settings.openFor
})

/** The state at an instant: an open breaker that has waited long enough takes trials. */
export const at = <S>(state: State<S>, now: number): State<S> =>
  state._tag === "Open" && now >= state.until
    ? { _tag: "HalfOpen", id: state.id + 1, since: now, why: "waited", running: 0, succeeded: 0 }
    : state

/** Whether a call may begin. */
export const admits = <S>(settings: Settings<S>, state: State<S>): boolean =>
  state._tag === "Closed" || (state._tag === "HalfOpen" && state.running < settings.trials)

/** The state once a call has begun that it admits. */
export const begin = <S>(state: State<S>): State<S> =>
  state._tag === "HalfOpen" ? { ...state, running: state.running + 1 } : state

/** The state once a call that began in the state `id` has ended. */
export const end = <S>(
  settings: Settings<S>,
  state: State<S>,
  id: number,
  outcome: Outcome,
  now: number
): State<S> => {
  if (state.id !== id || state._tag === "Open") return state
  if (state._tag === "Closed") {
    if (outcome === "uncounted") return state
    const seen = settings.trip.observe(state.seen, outcome === "failure", now)
    if (settings.trip.trips(seen)) return open(settings, id + 1, now, "tripped")
    return seen === state.seen ? state : { ...state, seen }
  }
  switch (outcome) {
    case "failure":
      return open(settings, id + 1, now, "trial failed")
    case "uncounted":
      return { ...state, running: state.running - 1 }
    case "success":
      return state.succeeded + 1 >= settings.successes
        ? closed(settings, id + 1, now, "recovered")
        : { ...state, running: state.running - 1, succeeded: state.succeeded + 1 }
  }
}

// ------------------------------------------------------------------------------------------------------ trip conditions

export const consecutive = (failures: number): Trip<number> => ({
  initial: 0,
  observe: (inARow, failed) => failed ? inARow + 1 : 0,
  trips: (inARow) => inARow >= failures
})

/** The calls that ended in one slice of the window. */
interface Slice {
  readonly index: number
  readonly calls: number
  readonly failures: number
}

/** How finely a window slides. */
export const slices = 10

export const rate = (over: number, ratio: number, minimum: number): Trip<ReadonlyArray<Slice>> => {
  const width = over / slices
  return {
    initial: [],
    observe: (seen, failed, now) => {
      const last = seen[seen.length - 1]
      // A clock that was put back goes on in the last slice.
      const index = Math.max(Math.floor(now / width), last?.index ?? 0)
      const live = seen.filter((slice) => slice.index > index - slices && slice.index !== index)
      const before = last !== undefined && last.index === index ? last : { index, calls: 0, failures: 0 }
      return [...live, { index, calls: before.calls + 1, failures: before.failures + (failed ? 1 : 0) }]
    },
    trips: (seen) => {
      let calls = 0
      let failures = 0
      for (const slice of seen) {
        calls += slice.calls
        failures += slice.failures
      }
      return calls >= minimum && failures > 0 && failures / calls >= ratio
    }
  }
}
