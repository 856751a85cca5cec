/**
 * Who owns a piece of work: one holder at a time, with a number that fences off whoever was one before.
 *
 * A lease is held for a short time and renewed while its holder lives. Somebody who was stopped for longer than that does
 * not know that he lost it; so each acquisition has a higher *token* than all before it, and `check` inside the
 * transaction that writes refuses a token that is not the last one.
 *
 * @since 0.1.0
 */
import { Clock, Context, Deferred, Duration, Effect, Layer, Option, Schedule, Schema, Scope } from "effect"
import type { InvalidInput } from "../event/InvalidInput.ts"
import * as Faults from "../internal/faults.ts"
import * as KeepAlive from "../internal/keepAlive.ts"
import * as Internal from "../internal/store/lease.ts"
import type { StoreError } from "./StoreError.ts"

/**
 * How long a lease is held without being renewed.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultTtl: Duration.Duration = Duration.seconds(5)

/**
 * How often a lease is renewed when neither this nor its time is given; otherwise at the same part of its time.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultRenewEvery: Duration.Duration = Duration.millis(1_500)

/**
 * When one who waits for a lease asks again.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultRetry: Schedule.Schedule<unknown> = Schedule.spaced("500 millis")

/**
 * The lease is not, or not any more, the caller's: its time ran out, somebody else has it, or it was released.
 *
 * @since 0.1.0
 * @category errors
 */
export class LeaseLost extends Schema.TaggedError<LeaseLost>("effect-skald/store/LeaseLost")("LeaseLost", {
  name: Schema.String,
  token: Schema.Number
}) {
  override get message(): string {
    return `lease "${this.name}" is not held with token ${this.token} any more`
  }
}

/**
 * Somebody else holds the lease, and the Schedule of waiting for it has ended.
 *
 * @since 0.1.0
 * @category errors
 */
export class LeaseTaken extends Schema.TaggedError<LeaseTaken>("effect-skald/store/LeaseTaken")("LeaseTaken", {
  name: Schema.String
}) {
  override get message(): string {
    return `lease "${this.name}" is held by somebody else`
  }
}

/**
 * A lease that was acquired, until its scope ends or it is lost.
 *
 * @since 0.1.0
 * @category models
 */
export interface Held {
  readonly name: string
  readonly owner: string
  /** Higher than that of every earlier holder of this name. */
  readonly token: number
  /** Never succeeds; fails as soon as this process knows that the lease is lost. Race it with the work. */
  readonly lost: Effect.Effect<never, LeaseLost>
  /** Asks the store. Inside the transaction that writes it makes sure that only the holder's writes are committed. */
  readonly check: Effect.Effect<void, LeaseLost | StoreError>
}

/**
 * How a lease is acquired and kept.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Who holds it, for people who look at the table; host and process by default. */
  readonly owner?: string | undefined
  /** How long it lasts without being renewed; {@link defaultTtl} by default. At least 10 ms. */
  readonly ttl?: Duration.DurationInput | undefined
  /** How often it is renewed; three tenths of the time by default. Infinity never renews it. */
  readonly renewEvery?: Duration.DurationInput | undefined
  /** When one who waits asks again, as long as the Schedule goes on; {@link defaultRetry} by default. */
  readonly retry?: Schedule.Schedule<unknown> | undefined
}

/**
 * What a lease service does. Acquire leases outside transactions: a claim that is not committed holds nobody off.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /**
   * Waits until the lease is free and holds it until the scope ends, which releases it at once. Fails with `LeaseTaken`
   * where the Schedule of waiting ends before; the default one does not.
   */
  readonly acquire: (
    name: string,
    options?: Options
  ) => Effect.Effect<Held, LeaseTaken | StoreError | InvalidInput, Scope.Scope>
  /** Takes the lease if it is free now. */
  readonly tryAcquire: (
    name: string,
    options?: Options
  ) => Effect.Effect<Option.Option<Held>, StoreError | InvalidInput, Scope.Scope>
  /**
   * Waits for the lease, runs the effect (or what the function makes of the lease), and releases it. When the lease is lost
   * the effect is interrupted, and the whole fails with `LeaseLost` once it has stopped.
   */
  readonly withLease: (
    name: string,
    options?: Options
  ) => <A, E, R>(
    self: Effect.Effect<A, E, R> | ((held: Held) => Effect.Effect<A, E, R>)
  ) => Effect.Effect<A, E | LeaseLost | LeaseTaken | StoreError | InvalidInput, R>
  /** Succeeds while a token is the valid one; inside a transaction until its end. */
  readonly check: (name: string, token: number) => Effect.Effect<void, LeaseLost | StoreError | InvalidInput>
}

/**
 * Hands out leases.
 *
 * @example
 * ```ts
 * import { Lease, layerMemory } from "effect-skald/store/Lease"
 * import { Effect } from "effect"
 *
 * export const program = Effect.gen(function*() {
 *   const leases = yield* Lease
 *   yield* leases.withLease("projection/revenue")((held) =>
 *     Effect.log(`only one process does this, with token ${held.token}`)
 *   )
 * }).pipe(Effect.provide(layerMemory))
 * ```
 *
 * @since 0.1.0
 * @category services
 */
export class Lease extends Context.Tag("effect-skald/store/Lease")<Lease, Service>() {}

/**
 * What a driver of leases does. Times are milliseconds; each driver reads the clock that all its users share.
 *
 * @since 0.1.0
 * @category models
 */
export interface Encoded {
  /** The new token, if the lease was free, had run out, or is known to belong to a dead process. */
  readonly claim: (name: string, owner: string, ttl: number) => Effect.Effect<Option.Option<number>, StoreError>
  /** Whether it was still valid and is so for another `ttl`. */
  readonly renew: (name: string, token: number, ttl: number) => Effect.Effect<boolean, StoreError>
  readonly release: (name: string, token: number) => Effect.Effect<void, StoreError>
  readonly isValid: (name: string, token: number) => Effect.Effect<boolean, StoreError>
}

/**
 * A lease service over a driver: waiting, renewing, losing and releasing are done here.
 *
 * A renewal that fails is tried again until the time of the lease is over; only then is it lost.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeEncoded = (driver: Encoded): Service => {
  const lostOf = (name: string, token: number) => new LeaseLost({ name, token })

  const check = (name: string, token: number) =>
    Effect.flatMap(driver.isValid(name, token), (valid) => valid ? Effect.void : lostOf(name, token))

  /** Renews until the lease is lost, and then says so. */
  const keep = (
    { name, token }: Held,
    since: number,
    { renewEvery, ttl }: Settings,
    lost: Deferred.Deferred<never, LeaseLost>
  ) =>
    Effect.zipRight(
      KeepAlive.untilLost({ since, ttl, renewEvery, renew: driver.renew(name, token, ttl) }),
      Deferred.fail(lost, lostOf(name, token))
    )

  const claim = (name: string, settings: Settings): Effect.Effect<Option.Option<Held>, StoreError, Scope.Scope> =>
    Effect.uninterruptible(Effect.gen(function*() {
      const now = yield* Clock.currentTimeMillis
      const claimed = yield* driver.claim(name, settings.owner, settings.ttl)
      if (Option.isNone(claimed)) return Option.none()
      const token = claimed.value
      const lost = yield* Deferred.make<never, LeaseLost>()
      const held: Held = { name, owner: settings.owner, token, lost: Deferred.await(lost), check: check(name, token) }
      // What cannot be released runs out by itself.
      yield* Effect.addFinalizer(() =>
        Deferred.fail(lost, lostOf(name, token)).pipe(
          Effect.zipRight(driver.release(name, token)),
          Effect.catchAll((error) => Effect.logDebug(`lease "${name}" could not be released`, error))
        )
      )
      yield* Effect.forkScoped(Effect.interruptible(keep(held, now, settings, lost)))
      return Option.some(held)
    }))

  const acquire: Service["acquire"] = (name, options) =>
    Effect.flatMap(
      settingsOf(name, options),
      (settings) =>
        Effect.uninterruptibleMask((restore) =>
          Effect.flatMap(Schedule.driver(settings.retry), (retry) => {
            const attempt: Effect.Effect<Held, LeaseTaken | StoreError, Scope.Scope> = Effect.flatMap(
              claim(name, settings),
              Option.match({
                onSome: Effect.succeed,
                onNone: () =>
                  Effect.matchEffect(restore(retry.next(undefined)), {
                    onFailure: () => new LeaseTaken({ name }),
                    onSuccess: () => attempt
                  })
              })
            )
            return attempt
          })
        )
    )

  return {
    acquire,
    tryAcquire: (name, options) => Effect.flatMap(settingsOf(name, options), (settings) => claim(name, settings)),
    check: (name, token) => Effect.zipRight(settingsOf(name, undefined), check(name, token)),
    withLease: (name, options) => (self) =>
      Effect.scopedWith((scope) =>
        Effect.flatMap(
          Scope.extend(acquire(name, options), scope),
          (held) => Effect.raceFirst(Effect.isEffect(self) ? self : self(held), held.lost)
        )
      )
  }
}

interface Settings {
  readonly owner: string
  readonly ttl: number
  readonly renewEvery: number
  readonly retry: Schedule.Schedule<unknown>
}

const settingsOf = (name: string, options: Options | undefined): Effect.Effect<Settings, InvalidInput> =>
  Effect.suspend(() => {
    const faults = Faults.make()
    const owner = options?.owner ?? Internal.processLabel
    const ttl = Duration.toMillis(options?.ttl ?? defaultTtl)
    const renewEvery = options?.renewEvery === undefined
      ? ttl * (Duration.toMillis(defaultRenewEvery) / Duration.toMillis(defaultTtl))
      : Duration.toMillis(options.renewEvery)
    const nameProblem = Faults.nameProblem(name)
    if (nameProblem !== undefined) faults.add("name", nameProblem)
    const ownerProblem = Faults.nameProblem(owner)
    if (ownerProblem !== undefined) faults.add("owner", ownerProblem)
    if (!(ttl >= 10 && ttl <= 1e12)) faults.add("ttl", `must be at least 10 ms and finite, got ${ttl} ms`)
    if (!(renewEvery > 0)) faults.add("renewEvery", `must be more than 0, got ${renewEvery} ms`)
    return Faults.orInvalid(
      faults,
      () => ({ owner, ttl: Math.ceil(ttl), renewEvery, retry: options?.retry ?? defaultRetry })
    )
  })

/**
 * Leases among the fibers of one process. Tokens start at 1 with each build of the layer.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerMemory: Layer.Layer<Lease> = Layer.sync(Lease, () => {
  const leases = new Map<string, { readonly token: number; readonly expiresAt: number }>()
  const valid = (name: string, token: number, now: number) => {
    const lease = leases.get(name)
    return lease !== undefined && lease.token === token && lease.expiresAt > now
  }
  return makeEncoded({
    claim: (name, _, ttl) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        const lease = leases.get(name)
        if (lease !== undefined && lease.expiresAt > now) return Option.none()
        const token = (lease?.token ?? 0) + 1
        leases.set(name, { token, expiresAt: now + ttl })
        return Option.some(token)
      }),
    renew: (name, token, ttl) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        if (!valid(name, token, now)) return false
        leases.set(name, { token, expiresAt: now + ttl })
        return true
      }),
    release: (name, token) =>
      Effect.sync(() => {
        if (leases.get(name)?.token === token) leases.set(name, { token, expiresAt: 0 })
      }),
    isValid: (name, token) => Effect.map(Clock.currentTimeMillis, (now) => valid(name, token, now))
  })
})
