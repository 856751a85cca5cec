import { isNonEmptyReadonlyArray, type NonEmptyReadonlyArray } from "effect/Array"
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as FiberRef from "effect/FiberRef"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { InvalidInput } from "../../event/InvalidInput.ts"
import type { Encoded, NewTimer, ServeOptions, Service, Timer } from "../../saga/Timers.ts"
import type { StoreError } from "../../store/StoreError.ts"
import * as Faults from "../faults.ts"
import * as Process from "../store/lease.ts"
import * as RealTime from "../realTime.ts"

/** What `Timers` says where an option is not given, in milliseconds. */
interface Defaults {
  readonly chunk: number
  readonly claim: number
  readonly retryAfter: number
  readonly maxPayload: number
}

/** No sleep is longer: what `setTimeout` takes is bounded. */
const longestSleep = 20 * 86_400_000

/**
 * How often to look whatever the clock says, in milliseconds of the machine: it may have been set, or the machine have slept,
 * and what counts a sleep does not count that.
 */
const atLeastEvery = 15_000

/** When to look again after the driver failed, and where what was due was not to be had. */
const afterFailure = 1_000
const afterNothing = 50

/** How many timers of a list are read at once. */
const pageSize = 500

/** One that serves a namespace. */
interface Worker {
  readonly namespace: string
  /** Open while there may be something to do. */
  readonly latch: Effect.Latch
  /** What was due was not to be had: not before then. */
  restUntil: number
}

/** The process that made a claim is part of it, so that after a restart the claims of a dead one can be told. */
export const isDead = (claim: string): boolean => {
  const [, pid = "", start = "", ...machine] = claim.split(" ")
  return Process.isDead(machine.join(" "), `${pid} ${start}`)
}

export const make = (
  driver: Encoded,
  pollInterval: number,
  defaults: Defaults
): Effect.Effect<Service, never, Scope.Scope> =>
  Effect.gen(function*() {
    const checkTimers = checkerOf(defaults.maxPayload)
    const self = yield* Random.nextIntBetween(0, 2 ** 31)
    let claims = 0
    const newClaim = (): string => `${self}-${++claims} ${Process.self} ${Process.machine}`

    const served = new Map<string, number>()
    const idle = new Set<Worker>()
    const wake = Effect.unsafeMakeLatch(false)
    /** When the fiber that waits looks again, and the first instant that it was told of since it has looked. */
    let wakeAt = Infinity
    let hintAt = Infinity

    const hint = (timers: ReadonlyArray<Timer>): void => {
      for (const { at, namespace } of timers) if (at < hintAt && served.has(namespace)) hintAt = at
      if (hintAt < wakeAt) wake.unsafeOpen()
    }
    const rest = (worker: Worker, until: number): void => {
      worker.latch.unsafeClose()
      worker.restUntil = until
      idle.add(worker)
      wake.unsafeOpen()
    }

    /** Wakes the workers whose time has come, and tells when the next one's will. */
    const look = Effect.gen(function*() {
      const names = new Set<string>()
      for (const worker of idle) names.add(worker.namespace)
      hintAt = Infinity
      if (names.size === 0) return Infinity
      const next = yield* driver.next([...names])
      const now = yield* Clock.currentTimeMillis
      let soonest = Number.POSITIVE_INFINITY
      for (const worker of idle) {
        const at = Math.max(next.get(worker.namespace) ?? Infinity, worker.restUntil)
        if (at <= now) {
          idle.delete(worker)
          worker.latch.unsafeOpen()
        } else if (at < soonest) soonest = at
      }
      return soonest
    })

    // what other processes have set is looked for by the time of the world
    yield* RealTime.rest(Math.min(atLeastEvery, pollInterval)).pipe(
      Effect.zipRight(Effect.sync(() => wake.unsafeOpen())),
      Effect.forever,
      Effect.interruptible,
      Effect.forkScoped
    )
    yield* Effect.forkScoped(Effect.interruptible(Effect.forever(Effect.gen(function*() {
      wakeAt = -Infinity
      wake.unsafeClose()
      const soonest = yield* Effect.catchAll(look, (error) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) =>
          Effect.as(Effect.logWarning("timers could not be looked for", error), now + afterFailure)))
      const now = yield* Clock.currentTimeMillis
      wakeAt = Math.min(soonest, hintAt, now + longestSleep)
      if (Math.min(soonest, hintAt) === Infinity) {
        yield* wake.await
      } else if (wakeAt > now) {
        yield* Effect.raceFirst(wake.await, Effect.sleep(wakeAt - now))
      } else yield* Effect.yieldNow()
    }))))

    const set = (timers: ReadonlyArray<NewTimer>): Effect.Effect<void, StoreError | InvalidInput> =>
      Effect.flatMap(checkTimers(timers), (timers) =>
        timers.length === 0 ? Effect.void : Effect.map(driver.set(timers), () =>
          hint(timers)))

    const cancel = (namespace: string, ids: ReadonlyArray<string>) =>
      Effect.flatMap(checkIds(namespace, ids), () =>
        ids.length === 0 ? Effect.succeed(0) : driver.cancel(namespace, [...new Set(ids)]))

    const serve: Service["serve"] = (namespace, handler, options) =>
      Effect.flatMap(settingsOf(namespace, options, defaults), (settings) =>
        Effect.gen(function*() {
          const worker: Worker = { namespace, latch: Effect.unsafeMakeLatch(false), restUntil: -Infinity }
          const turn = turnOf(driver, settings, newClaim, () =>
            wake.unsafeOpen(), handler)
          const work = Effect.zipRight(
            worker.latch.await,
            Effect.flatMap(
              Effect.catchAll(turn, (error) =>
                Effect.as(Effect.logWarning(`timers of "${namespace}" could not be served`, error), afterFailure)),
              (pause) =>
                pause === undefined
                  ? Effect.void
                  : Effect.map(Clock.currentTimeMillis, (now) =>
                    rest(worker, pause === 0 ? -Infinity : now + pause))
            )
          )
          yield* Effect.acquireRelease(
            Effect.sync(() => {
              served.set(namespace, (served.get(namespace) ?? 0) + 1)
              rest(worker, -Infinity)
            }),
            () =>
              Effect.sync(() => {
                idle.delete(worker)
                const others = served.get(namespace)! - 1
                if (others === 0) {
                  served.delete(namespace)
                } else served.set(namespace, others)
              })
          )
          yield* Effect.forkScoped(Effect.interruptible(Effect.forever(work)))
        }))

    return {
      set: (timer) =>
        set([timer]),
      setAll: set,
      cancel: (namespace, id) =>
        Effect.map(cancel(namespace, [id]), (count) =>
          count > 0),
      cancelAll: cancel,
      serve,
      list: (namespace) =>
        Stream.unwrap(Effect.as(
          checkIds(namespace, []),
          Stream.paginateChunkEffect(
            undefined as Timer | undefined,
            (after) =>
              Effect.map(driver.page(namespace, after, pageSize), (page) => [
                Chunk.unsafeFromArray(page),
                page.length < pageSize ? Option.none() : Option.some(page.at(-1))
              ])
          )
        )),
      count: (namespace) =>
        Effect.zipRight(checkIds(namespace, []), driver.count(namespace))
    }
  })

interface Settings {
  readonly namespace: string
  readonly chunk: number
  readonly claim: number
  readonly retryAfter: number
}

/**
 * Claims a chunk and has it handled. Answers how long to rest: not at all (`undefined`) after a chunk, since there may be
 * more; until the next is due (0) where the last chunk was not full.
 */
const turnOf = <E, R>(
  driver: Encoded,
  { chunk, claim: ttl, namespace, retryAfter }: Settings,
  newClaim: () => string,
  /** Others may want what was given back. */
  onRelease: () => void,
  handler: (due: NonEmptyReadonlyArray<Timer>) => Effect.Effect<void, E, R>
): Effect.Effect<number | undefined, StoreError, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      const now = yield* Clock.currentTimeMillis
      const claim = newClaim()
      const claimed = yield* driver.claim({ namespace, claim, now, until: now + ttl, limit: chunk })
      if (!isNonEmptyReadonlyArray(claimed)) return afterNothing
      const renewing = Effect.forever(Effect.gen(function*() {
        yield* Effect.sleep(ttl * 0.3)
        const now = yield* Clock.currentTimeMillis
        // One that fails is made good by the next, or the claim runs out.
        yield* Effect.ignore(driver.renew(namespace, claim, now + ttl))
      }))
      const run = (due: NonEmptyReadonlyArray<Timer>) =>
        Effect.exit(restore(Effect.raceFirst(Effect.suspend(() => handler(due)), Effect.interruptible(renewing))))

      const due = claimed.length === 1 ? claimed : claimed.slice().sort(byInstant) as never
      const exit = yield* run(due)
      if (Exit.isSuccess(exit)) {
        yield* driver.finish(namespace, claim, undefined)
        return claimed.length < chunk ? 0 : undefined
      }
      const done: Array<string> = []
      for (const timer of due) {
        const stopped = !Cause.isEmpty(yield* FiberRef.get(FiberRef.interruptedCause))
        const single = stopped || due.length === 1 ? exit : yield* run([timer])
        if (Exit.isSuccess(single)) done.push(timer.id)
        else if (!stopped && !Cause.isInterruptedOnly(single.cause)) {
          yield* Effect.logWarning(`timer "${timer.id}" of "${namespace}" failed, and is tried again`, single.cause)
        }
      }
      if (done.length > 0) yield* driver.finish(namespace, claim, done)
      const stopped = !Cause.isEmpty(yield* FiberRef.get(FiberRef.interruptedCause))
      yield* driver.release(
        namespace,
        claim,
        stopped ? undefined : (yield* Clock.currentTimeMillis) + retryAfter
      )
      onRelease()
      return undefined
    })
  )

const byInstant = (a: Timer, b: Timer): number => a.at - b.at || (a.id < b.id ? -1 : 1)

const checkName = Faults.remembering(Faults.nameProblem)

const checkIds = (namespace: string, ids: ReadonlyArray<string>): Either.Either<void, InvalidInput> => {
  const faults = Faults.make()
  const problem = checkName(namespace)
  if (problem !== undefined) faults.add("namespace", problem)
  for (const [index, id] of ids.entries()) {
    const problem = Faults.nameProblem(id)
    if (problem !== undefined) faults.add(`ids[${index}]`, problem)
  }
  return Faults.orInvalid(faults, () => undefined)
}

/** Checks timers; of two with the same id the last stays. */
const checkerOf =
  (maxPayload: number) => (timers: ReadonlyArray<NewTimer>): Either.Either<ReadonlyArray<Timer>, InvalidInput> => {
    const faults = Faults.make()
    const checked: Array<Timer> = []
    for (const [index, { at, id, namespace, payload = "" }] of timers.entries()) {
      const path = (member: string) => timers.length === 1 ? member : `timers[${index}].${member}`
      const namespaceProblem = checkName(namespace)
      if (namespaceProblem !== undefined) faults.add(path("namespace"), namespaceProblem)
      const idProblem = Faults.nameProblem(id)
      if (idProblem !== undefined) faults.add(path("id"), idProblem)
      if (!(typeof at === "number" && Math.abs(at) <= 8.64e15)) {
        faults.add(path("at"), `must be milliseconds since 1970, got ${Faults.show(at)}`)
      }
      const payloadProblem = problemOfPayload(payload, maxPayload)
      if (payloadProblem !== undefined) faults.add(path("payload"), payloadProblem)
      checked.push({ namespace, id, at: Math.ceil(at), payload })
    }
    return Faults.orInvalid(faults, () => timers.length < 2 ? checked : lastOfEach(checked))
  }

const lastOfEach = (timers: ReadonlyArray<Timer>): ReadonlyArray<Timer> => {
  const last = new Map<string, Timer>()
  for (const timer of timers) last.set(`${timer.namespace}\u0000${timer.id}`, timer)
  return [...last.values()]
}

const problemOfPayload = (payload: unknown, max: number): string | undefined => {
  if (typeof payload !== "string") return `must be a string, got ${Faults.show(payload)}`
  if (payload.length > max) return `must have at most ${max} UTF-16 code units, has ${payload.length}`
  return payload.includes("\u0000") || !Faults.isWellFormed(payload)
    ? "must be well-formed Unicode without NUL"
    : undefined
}

const settingsOf = (
  namespace: string,
  options: ServeOptions | undefined,
  defaults: Defaults
): Effect.Effect<Settings, InvalidInput> =>
  Effect.suspend(() => {
    const faults = Faults.make()
    const problem = checkName(namespace)
    if (problem !== undefined) faults.add("namespace", problem)
    const chunk = options?.chunk ?? defaults.chunk
    const claim = options?.claim === undefined ? defaults.claim : Duration.toMillis(options.claim)
    const retryAfter = options?.retryAfter === undefined ? defaults.retryAfter : Duration.toMillis(options.retryAfter)
    const chunkProblem = Faults.countProblem(chunk, 1)
    if (chunkProblem !== undefined) faults.add("chunk", chunkProblem)
    if (!(claim >= 10 && claim <= 1e12)) faults.add("claim", `must be at least 10 ms and finite, got ${claim} ms`)
    if (!(retryAfter > 0 && retryAfter <= 1e12)) {
      faults.add("retryAfter", `must be more than 0 and finite, got ${retryAfter} ms`)
    }
    return Faults.orInvalid(faults, () => ({
      namespace,
      chunk,
      claim: Math.ceil(claim),
      retryAfter: Math.ceil(retryAfter)
    }))
  })
