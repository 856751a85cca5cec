import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { createHash, randomUUID } from "node:crypto"
import type { Encoded, IdempotencyError, KeyReused, Options, Service } from "../../resilience/Idempotency.ts"
import * as RetryPolicy from "../../resilience/RetryPolicy.ts"
import * as KeepAlive from "../keepAlive.ts"

export type Fail = (reason: IdempotencyError["reason"], key: string, cause?: unknown) => IdempotencyError

interface Defaults {
  readonly error: Fail
  readonly reused: (key: string) => KeyReused
  readonly timeToLive: Duration.Duration
  readonly lease: Duration.Duration
  readonly renewAfter: number
  readonly wait: Schedule.Schedule<unknown>
}

/** The longest time, so that instants stay whole numbers that every store keeps. */
const longest = 4e15

// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const unusable = /[\u0000-\u001f\u007f-\u009f]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/

const problemOf = (key: string): string | undefined => {
  if (typeof key !== "string" || key.length === 0) return "the key must be a string and not empty"
  if (key.length > 512) return `the key must have at most 512 UTF-16 code units, has ${key.length}`
  return unusable.test(key) ? "the key must be well-formed Unicode without control characters" : undefined
}

/** A JSON value with the members of its objects in order. */
const canonical = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(canonical)
  if (typeof value !== "object" || value === null) return value
  const json: unknown = "toJSON" in value && typeof value.toJSON === "function" ? value.toJSON() : value
  if (json !== value) return canonical(json)
  return Object.fromEntries(
    Object.entries(value).sort(([one], [other]) => one < other ? -1 : 1).map(([name, member]) => [
      name,
      canonical(member)
    ])
  )
}

/** What tells payloads apart; empty where there is none. Throws for what JSON does not know. */
const fingerprintOf = (payload: unknown): string =>
  payload === undefined
    ? ""
    : createHash("sha256").update(JSON.stringify(canonical(payload)) ?? "undefined").digest("hex")

/** What is stored: a success, a failure, or that there was a success which could not be encoded. */
interface Stored {
  readonly is: "success" | "failure" | "unrecorded"
  /** Absent where it is encoded as nothing. */
  readonly of?: unknown
}

interface Codec<A, F> {
  readonly success: (value: A) => string
  /** Nothing where the failure is not to be kept. */
  readonly failure: (error: unknown) => string | undefined
  readonly exit: (key: string, result: string) => Effect.Effect<A, F | IdempotencyError>
}

const unrecorded = JSON.stringify({ is: "unrecorded" } satisfies Stored)

const codecOf = <A, AI, F, FI>(options: Options<A, AI, F, FI>, fail: Fail): Codec<A, F> => {
  const write = (stored: Stored): string => JSON.stringify(stored)
  const encodeSuccess = ParseResult.encodeEither(options.success)
  const decodeSuccess = ParseResult.decodeUnknownEither(options.success)
  const failure = options.failure
  const isFailure = failure === undefined ? undefined : ParseResult.is(Schema.typeSchema(failure))
  return {
    success: (value) =>
      // JSON may refuse what the Schema lets through, a bigint for example.
      Either.try(() => Either.map(encodeSuccess(value), (encoded) => write({ is: "success", of: encoded }))).pipe(
        Either.flatMap((encoded) => encoded),
        Either.getOrElse(() => unrecorded)
      ),
    failure: (error) =>
      failure === undefined || isFailure === undefined || !isFailure(error)
        ? undefined
        : Either.try(() =>
          Either.map(ParseResult.encodeEither(failure)(error), (encoded) => write({ is: "failure", of: encoded }))
        )
          .pipe(Either.flatMap((encoded) => encoded), Either.getOrElse(() => undefined)),
    exit: (key, result) =>
      Effect.suspend((): Effect.Effect<A, F | IdempotencyError> => {
        const parsed = Either.try(() => JSON.parse(result) as Stored)
        if (Either.isLeft(parsed)) return fail("corrupt", key, parsed.left)
        const stored = parsed.right
        if (stored.is === "unrecorded") return fail("unrecorded", key)
        if (stored.is === "failure") {
          if (failure === undefined) return fail("corrupt", key, new Error("it failed, and no Schema says with what"))
          const error = ParseResult.decodeUnknownEither(failure)(stored.of)
          return Either.isLeft(error) ? fail("corrupt", key, error.left) : Effect.fail(error.right)
        }
        const value = decodeSuccess(stored.of)
        return Either.isLeft(value) ? fail("corrupt", key, value.left) : Effect.succeed(value.right)
      })
  }
}

/** A run in this process, which others wait for. It tells what it has kept, so that they need not ask. */
interface Leader {
  readonly fingerprint: string
  readonly ended: Deferred.Deferred<string | undefined>
}

/** The runs that the fiber is part of. */
const partOf = FiberRef.unsafeMake<ReadonlySet<Leader>>(new Set())

interface Settings {
  readonly key: string
  readonly fingerprint: string
  readonly timeToLive: number
  readonly lease: number
  readonly wait: Schedule.Schedule<unknown>
  readonly takeOver: boolean
}

export const make = (driver: Encoded, defaults: Defaults): Service => {
  const { error: fail } = defaults
  const leaders = new Map<string, Leader>()

  const settingsOf = (key: string, options: Options<any, any, any, any>): Either.Either<Settings, IdempotencyError> => {
    const problem = problemOf(key)
    if (problem !== undefined) return Either.left(fail("invalid", key, new Error(problem)))
    const lease = Duration.toMillis(options.lease ?? defaults.lease)
    const timeToLive = Duration.toMillis(options.timeToLive ?? defaults.timeToLive)
    if (!(lease >= 10)) return Either.left(fail("invalid", key, new Error(`a lease of ${lease} ms is too short`)))
    return Either.map(
      Either.try({ try: () => fingerprintOf(options.payload), catch: (cause) => fail("invalid", key, cause) }),
      (fingerprint) => ({
        key,
        fingerprint,
        timeToLive: Math.min(longest, Math.ceil(timeToLive)),
        lease: Math.min(longest, Math.ceil(lease)),
        wait: options.wait ?? defaults.wait,
        takeOver: options.abandoned !== "refuse"
      })
    )
  }

  const fits = (settings: Settings, fingerprint: string): boolean =>
    settings.fingerprint === "" || fingerprint === "" || settings.fingerprint === fingerprint

  /** Renews the lease until it is lost, and fails then. */
  const keepAlive = (
    { key, lease }: Settings,
    token: string,
    since: number
  ): Effect.Effect<never, IdempotencyError> =>
    Effect.zipRight(
      KeepAlive.untilLost({
        since,
        ttl: lease,
        renewEvery: lease * defaults.renewAfter,
        renew: Effect.disconnect(driver.renew(key, token, lease))
      }),
      Effect.suspend(() => fail("lost", key))
    )

  /**
   * Frees a key, and waits for that no longer than the lease would last: what cannot be freed runs out by itself. It is done by
   * fibers of its own, since one that was interrupted cannot be interrupted again to stop waiting.
   */
  const freeWithin = (key: string, token: string, lease: number): Effect.Effect<void> =>
    Effect.gen(function*() {
      const done = yield* Deferred.make<void>()
      const end = Deferred.succeed(done, undefined)
      yield* Effect.forkDaemon(Effect.ensuring(Effect.ignoreLogged(driver.release(key, token)), end))
      const timer = yield* Effect.forkDaemon(Effect.zipRight(Effect.interruptible(Effect.sleep(lease)), end))
      yield* Deferred.await(done)
      yield* Fiber.interruptFork(timer)
    })

  /**
   * Runs the effect that has claimed its key, and keeps or frees it. It was claimed at an instant, from which its lease counts,
   * or within a transaction, where it needs none.
   */
  const execute = <A, E, R, F>(
    self: Effect.Effect<A, E, R>,
    settings: Settings,
    codec: Codec<A, F>,
    token: string,
    since: number | undefined,
    restore: <B, E2, R2>(effect: Effect.Effect<B, E2, R2>) => Effect.Effect<B, E2, R2>,
    kept: (result: string) => void
  ): Effect.Effect<A, E | IdempotencyError, R> => {
    const { key, lease, timeToLive } = settings
    const free = since === undefined ? Effect.ignore(driver.release(key, token)) : freeWithin(key, token, lease)
    const keep = (result: string): Effect.Effect<void, IdempotencyError> => {
      const complete = driver.complete(key, token, result, timeToLive)
      return Effect.flatMap(
        // Inside a transaction a failure is the transaction's.
        since === undefined
          ? complete
          : Effect.retry(complete, RetryPolicy.exponential("10 millis", { cap: "500 millis", within: lease })),
        (ours) => ours ? Effect.sync(() => kept(result)) : fail("lost", key)
      )
    }
    const run = since === undefined ? self : Effect.raceFirst(self, keepAlive(settings, token, since))
    return Effect.flatMap(Effect.exit(restore(run)), (exit) => {
      if (Exit.isSuccess(exit)) {
        const result = codec.success(exit.value)
        return Effect.zipRight(
          keep(result),
          result === unrecorded ? fail("unrecorded", key) : Effect.succeed(exit.value)
        )
      }
      const failed = Cause.failureOption(exit.cause)
      const result = Option.isSome(failed) && !Cause.isInterrupted(exit.cause)
        ? codec.failure(failed.value)
        : undefined
      return Effect.zipRight(result === undefined ? free : keep(result), exit)
    })
  }

  /** Claims the key, waiting for other processes, and runs. */
  const claimAndRun = <A, E, R, F>(
    self: Effect.Effect<A, E, R>,
    settings: Settings,
    codec: Codec<A, F>,
    inTransaction: boolean,
    kept: (result: string) => void
  ): Effect.Effect<A, E | F | IdempotencyError | KeyReused, R> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(Schedule.driver(settings.wait), (wait) => {
        const { fingerprint, key, takeOver } = settings
        const token: string = randomUUID()
        // In a transaction nobody sees the claim before its commit, and then there is a result.
        const lease = inTransaction ? settings.timeToLive : settings.lease
        const claim = Effect.flatMap(
          Effect.map(Clock.currentTimeMillis, (now) => inTransaction ? undefined : now),
          (since) =>
            driver.claim({ key, token, fingerprint, lease, takeOver }).pipe(
              restore,
              // An interrupted claim may have been made.
              Effect.onError(() =>
                since === undefined ? Effect.ignore(driver.release(key, token)) : freeWithin(key, token, lease)
              ),
              Effect.map((claimed) => ({ claimed, since }))
            )
        )
        const attempt: Effect.Effect<A, E | F | IdempotencyError | KeyReused, R> = Effect.flatMap(
          claim,
          ({ claimed, since }): Effect.Effect<A, E | F | IdempotencyError | KeyReused, R> => {
            switch (claimed._tag) {
              case "Claimed":
                return execute(self, settings, codec, token, since, restore, kept)
              case "Abandoned":
                return fail("abandoned", key)
              case "Done": {
                if (!fits(settings, claimed.fingerprint)) return defaults.reused(key)
                kept(claimed.result)
                return codec.exit(key, claimed.result)
              }
              case "Running":
                if (!fits(settings, claimed.fingerprint)) return defaults.reused(key)
                if (inTransaction) return fail("running", key)
                return Effect.matchEffect(restore(wait.next(undefined)), {
                  onFailure: () => fail("running", key),
                  onSuccess: () => attempt
                })
            }
          }
        )
        return attempt
      })
    )

  const once: Service["once"] = (key, options) => {
    const codec = codecOf(options, fail)
    return (self) =>
      Effect.flatMap(settingsOf(key, options), (settings) => {
        /** One fiber of this process at a time asks the store; the others wait for it. */
        const lead: ReturnType<typeof claimAndRun<any, any, any, any>> = Effect.uninterruptibleMask((restore) => {
          const leader = leaders.get(key)
          if (leader !== undefined) {
            if (!fits(settings, leader.fingerprint)) return defaults.reused(key)
            return restore(
              Effect.flatMap(
                Deferred.await(leader.ended),
                (result) => result === undefined ? lead : codec.exit(key, result)
              )
            )
          }
          const own: Leader = { fingerprint: settings.fingerprint, ended: Deferred.unsafeMake(FiberId.none) }
          leaders.set(key, own)
          let result: string | undefined
          const run = claimAndRun(
            Effect.locallyWith(self, partOf, (runs) => new Set([...runs, own])),
            settings,
            codec,
            false,
            (kept) => {
              result = kept
            }
          )
          return Effect.ensuring(
            restore(run),
            Effect.sync(() => {
              leaders.delete(key)
              Deferred.unsafeDone(own.ended, Effect.succeed(result))
            })
          )
        })

        return Effect.flatMap(FiberRef.get(partOf), (runs) => {
          const leader = leaders.get(key)
          if (leader !== undefined && runs.has(leader)) return fail("nested", key)
          return Effect.flatMap(
            driver.inTransaction,
            (inTransaction) => inTransaction ? claimAndRun(self, settings, codec, true, () => undefined) : lead
          )
        })
      })
  }

  return { once, forget: driver.forget }
}
