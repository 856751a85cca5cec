/**
 * Durable timers: what is to happen at an instant, however often the process is restarted until then.
 *
 * One service for the sleeps, deadlines, retries and time limits of sagas, and for anything else that waits. A timer is a
 * row, not a fiber: tens of thousands of them cost no memory of the process where they are kept in a database.
 *
 * @since 0.1.0
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { InvalidInput } from "../event/InvalidInput.ts"
import * as Memory from "../internal/saga/memoryTimers.ts"
import * as Internal from "../internal/saga/timers.ts"
import type { StoreError } from "../store/StoreError.ts"

/**
 * How many due timers a handler is given at once, at most, when nothing is said.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultChunk = 250

/**
 * How long a process has a chunk of timers to itself without renewing that; after it another process takes them.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultClaim: Duration.Duration = Duration.seconds(5)

/**
 * How long a timer rests whose handler failed.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultRetryAfter: Duration.Duration = Duration.seconds(1)

/**
 * The longest payload, in UTF-16 code units.
 *
 * @since 0.1.0
 * @category constants
 */
export const maxPayload = 65_536

/**
 * A timer: of what, which one, when, and what its handler should know.
 *
 * @since 0.1.0
 * @category models
 */
export interface Timer {
  /** Whose timer it is: a handler serves one namespace. */
  readonly namespace: string
  /** Unique in its namespace. */
  readonly id: string
  /** Milliseconds since 1970, by Effect's `Clock`. A fraction counts as the next millisecond. */
  readonly at: number
  /** For the handler; at most {@link maxPayload} long. */
  readonly payload: string
}

/**
 * A timer to be set; its payload is empty where none is given.
 *
 * @since 0.1.0
 * @category models
 */
export interface NewTimer extends Omit<Timer, "payload"> {
  readonly payload?: string | undefined
}

/**
 * How a namespace is served.
 *
 * @since 0.1.0
 * @category models
 */
export interface ServeOptions {
  /** The most timers of one call of the handler; {@link defaultChunk} when not given. */
  readonly chunk?: number | undefined
  /** How long a chunk stays with a process that says nothing any more; {@link defaultClaim} when not given. At least 10 ms. */
  readonly claim?: Duration.DurationInput | undefined
  /** How long a timer rests whose handler failed; {@link defaultRetryAfter} when not given. */
  readonly retryAfter?: Duration.DurationInput | undefined
}

/**
 * What a timer service does.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /**
   * Sets a timer; one with the same id in the same namespace is replaced, also while its handler runs. In a transaction of the
   * same database it belongs to that.
   */
  readonly set: (timer: NewTimer) => Effect.Effect<void, StoreError | InvalidInput>
  /** Sets all of them or none. Of two with the same id the last counts. */
  readonly setAll: (timers: ReadonlyArray<NewTimer>) => Effect.Effect<void, StoreError | InvalidInput>
  /** Takes a timer back, and tells whether there was one. A handler that runs already is not stopped. */
  readonly cancel: (namespace: string, id: string) => Effect.Effect<boolean, StoreError | InvalidInput>
  /** Takes timers back, all or none, and tells how many there were. */
  readonly cancelAll: (
    namespace: string,
    ids: ReadonlyArray<string>
  ) => Effect.Effect<number, StoreError | InvalidInput>
  /**
   * Runs a handler on each timer of a namespace that is due, until the scope ends.
   *
   * - Never early by `Clock`, and at least once: a timer goes when its handler has succeeded and at no time before. A handler
   *   that must count once cancels its timers, or looks whether it has done them, in the transaction of its work.
   * - A chunk is ordered by instant, then id, and the next one is given after it was handled. Timers that failed or were
   *   taken over come later than their order.
   * - Where a chunk fails, its timers are tried one by one; those that fail are logged and rest for `retryAfter`.
   * - Several that serve one namespace, in one process or many, share its timers: each goes to one of them. What a killed
   *   process had is given to another when its claim has run out; what an interrupted handler had, at once.
   */
  readonly serve: <E, R>(
    namespace: string,
    handler: (due: NonEmptyReadonlyArray<Timer>) => Effect.Effect<void, E, R>,
    options?: ServeOptions
  ) => Effect.Effect<void, InvalidInput, R | Scope.Scope>
  /** The timers of a namespace that are set, by instant, read in pages. */
  readonly list: (namespace: string) => Stream.Stream<Timer, StoreError | InvalidInput>
  /** How many timers of a namespace are set. */
  readonly count: (namespace: string) => Effect.Effect<number, StoreError | InvalidInput>
}

/**
 * Durable timers of an application. {@link layerMemory} keeps them in memory, `SqlTimers` in a table.
 *
 * @example
 * ```ts
 * import * as Timers from "effect-skald/saga/Timers"
 * import { Clock, Duration, Effect } from "effect"
 *
 * export const program = Effect.gen(function*() {
 *   const timers = yield* Timers.Timers
 *   yield* timers.serve("reminders", (due) => Effect.log(due.map((timer) => timer.payload)))
 *   const now = yield* Clock.currentTimeMillis
 *   yield* timers.set({ namespace: "reminders", id: "o-1", at: now + Duration.toMillis("14 days"), payload: "o-1" })
 * }).pipe(Effect.scoped, Effect.provide(Timers.layerMemory))
 * ```
 *
 * @since 0.1.0
 * @category services
 */
export class Timers extends Context.Tag("effect-skald/saga/Timers")<Timers, Service>() {}

/**
 * What a driver of timers does. Each timer has an instant from which it can be claimed: first its own, later the end of the
 * claim that somebody has on it, or of its rest. Instants are whole milliseconds.
 *
 * @since 0.1.0
 * @category models
 */
export interface Encoded {
  /** Adds or replaces; none twice. A replaced one has no claim on it any more. */
  readonly set: (timers: ReadonlyArray<Timer>) => Effect.Effect<void, StoreError>
  readonly cancel: (namespace: string, ids: ReadonlyArray<string>) => Effect.Effect<number, StoreError>
  readonly page: (
    namespace: string,
    after: { readonly at: number; readonly id: string } | undefined,
    limit: number
  ) => Effect.Effect<ReadonlyArray<Timer>, StoreError>
  readonly count: (namespace: string) => Effect.Effect<number, StoreError>
  /** The first instant at which something of each namespace can be claimed; without those that have nothing. */
  readonly next: (namespaces: ReadonlyArray<string>) => Effect.Effect<ReadonlyMap<string, number>, StoreError>
  /** Claims the first of those that can be claimed now. */
  readonly claim: (claim: {
    readonly namespace: string
    readonly claim: string
    readonly now: number
    readonly until: number
    readonly limit: number
  }) => Effect.Effect<ReadonlyArray<Timer>, StoreError>
  readonly renew: (namespace: string, claim: string, until: number) => Effect.Effect<void, StoreError>
  /** Forgets what still has the claim: all of it, or these. */
  readonly finish: (
    namespace: string,
    claim: string,
    ids: ReadonlyArray<string> | undefined
  ) => Effect.Effect<void, StoreError>
  /** Ends the claim: they can be claimed again from an instant on, or from their own. */
  readonly release: (namespace: string, claim: string, from: number | undefined) => Effect.Effect<void, StoreError>
}

/**
 * How a driver is used.
 *
 * @since 0.1.0
 * @category models
 */
export interface EncodedOptions {
  /**
   * How often to look for what other processes have set; what this process sets is known without. Whatever is given, every 15 s
   * of the machine, whose clock may be set.
   */
  readonly pollInterval: Duration.DurationInput
}

/**
 * A timer service over a driver: waiting, claiming and handling are done here.
 *
 * One fiber waits for the next instant of all that is served; it looks into the driver when that has come, and at
 * `pollInterval`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeEncoded: (
  driver: Encoded,
  options: EncodedOptions
) => Effect.Effect<Service, never, Scope.Scope> = (driver, options) =>
  Internal.make(driver, Duration.toMillis(options.pollInterval), {
    chunk: defaultChunk,
    claim: Duration.toMillis(defaultClaim),
    retryAfter: Duration.toMillis(defaultRetryAfter),
    maxPayload
  })

/**
 * Timers of one process. Nothing survives it.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerMemory: Layer.Layer<Timers> = Layer.scoped(
  Timers,
  Effect.suspend(() => makeEncoded(Memory.make(), { pollInterval: Duration.infinity }))
)
