import * as Chunk from "effect/Chunk"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { globalValue } from "effect/GlobalValue"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Alert, Lag, Threshold } from "../../cqrs/Lag.ts"
import type * as Projection from "../../cqrs/ProjectionDefinition.ts"
import type { Handle } from "../../cqrs/ProjectionRunning.ts"
import * as Correlation from "../../event/Correlation.ts"
import type { InvalidInput } from "../../event/InvalidInput.ts"
import {
  EventStore,
  type Filter,
  type Operations,
  type ReadError,
  type SubscribeOptions
} from "../../store/EventStore.ts"
import * as Faults from "../faults.ts"
import { filterOf } from "./projectionRunner.ts"

export const countUpTo = 1_000

const defaultEvery = Duration.seconds(5)

interface Watched {
  readonly name: string
  readonly kind: Lag["kind"]
  readonly position: Effect.Effect<number>
  readonly store: Operations
  readonly filter: Filter
  readonly tenant: string | undefined
}

/** Whatever runs in this process. */
const watched = globalValue("effect-skald/cqrs/Lag/watched", () => new Set<Watched>())

const watch = (entry: Omit<Watched, "tenant">): Effect.Effect<void, never, Scope.Scope> =>
  Effect.asVoid(Effect.acquireRelease(
    Effect.map(Correlation.current, ({ tenant }) => {
      const own: Watched = { ...entry, tenant }
      watched.add(own)
      return own
    }),
    (own) => Effect.sync(() => watched.delete(own))
  ))

/** Lets the lag of a projection that runs be known. */
export const watchProjection = <H extends Handle<any>>(self: Projection.Any, handle: H) =>
  Effect.flatMap(EventStore, (store) =>
    Effect.as(
      watch({ name: self.name, kind: "projection", position: handle.position, store, filter: filterOf(self) }),
      handle
    ))

const lagOf = ({ filter, kind, name, position, store, tenant }: Watched): Effect.Effect<Lag, ReadError> =>
  Effect.gen(function*() {
    const at = yield* position
    const head = yield* store.head
    let events = 0
    let first: DateTime.Utc | undefined
    if (at < head) {
      yield* Stream.runForEachChunk(
        store.readAll({ ...filter, after: at, to: head, limit: countUpTo }),
        (chunk) =>
          Effect.sync(() => {
            if (chunk.length > 0) first ??= Chunk.unsafeHead(chunk).recordedAt
            events += chunk.length
          })
      )
    }
    const now = yield* Clock.currentTimeMillis
    const age = first === undefined ? Duration.zero : Duration.millis(Math.max(0, now - DateTime.toEpochMillis(first)))
    return { name, kind, position: at, head: Math.max(at, head), events, age }
  }).pipe(Correlation.locally({ tenant: tenant ?? "" }))

export const report: Effect.Effect<ReadonlyArray<Lag>, ReadError> = Effect.suspend(() => Effect.forEach(watched, lagOf))

/** One that cannot be asked now does not hide the others. */
const reportAll: Effect.Effect<ReadonlyArray<Lag>> = Effect.suspend(() =>
  Effect.map(
    Effect.forEach(watched, (entry) =>
      Effect.either(Effect.tapError(lagOf(entry), (error) =>
        Effect.logWarning(`the lag of ${entry.name} cannot be told`, error)))),
    (lags) =>
      lags.flatMap((lag) =>
        Either.isRight(lag) ? [lag.right] : []
      )
  )
)

export const eventsGauge = Metric.gauge("skald.consumer.lag.events", {
  description: "Events that a projection or subscription has before it"
})

export const secondsGauge = Metric.gauge("skald.consumer.lag.seconds", {
  description: "How long ago the first event was recorded that a projection or subscription has before it"
})

export const layerMetrics = (options: { readonly every?: Duration.DurationInput | undefined } = {}) =>
  Layer.scopedDiscard(
    Effect.flatMap(reportAll, (lags) =>
      Effect.forEach(lags, ({ age, events, kind, name }) => {
        const tagged = <Type, In, Out>(metric: Metric.Metric<Type, In, Out>) =>
          metric.pipe(Metric.tagged("name", name), Metric.tagged("kind", kind))
        return Effect.zipRight(
          Metric.set(tagged(eventsGauge), events),
          Metric.set(tagged(secondsGauge), Duration.toSeconds(age))
        )
      }, { discard: true })).pipe(
        Effect.repeat(Schedule.spaced(options.every ?? defaultEvery)),
        Effect.interruptible,
        Effect.forkScoped
      )
  )

const limitsOf = (threshold: Threshold): Either.Either<(lag: Lag) => boolean, InvalidInput> => {
  const faults = Faults.make()
  const { events } = threshold
  const problem = events === undefined ? undefined : Faults.countProblem(events, 0) ??
    (events >= countUpTo ? `must be less than ${countUpTo}, up to which it is counted, got ${events}` : undefined)
  if (problem !== undefined) faults.add("threshold.events", problem)
  if (events === undefined && threshold.age === undefined) faults.add("threshold", "must name events or age")
  const age = threshold.age === undefined ? undefined : Duration.decode(threshold.age)
  return Faults.orInvalid(
    faults,
    () => (lag) =>
      (events !== undefined && lag.events > events) || (age !== undefined && Duration.greaterThan(lag.age, age))
  )
}

export const alerts = (threshold: Threshold): Stream.Stream<Alert> => {
  const isBehind = Either.getOrThrowWith(limitsOf(threshold), (error) => error)
  return Stream.suspend(() => {
    const behind = new Set<string>()
    return Stream.repeatEffectWithSchedule(reportAll, Schedule.spaced(threshold.every ?? defaultEvery)).pipe(
      Stream.mapConcat((lags) =>
        lags.flatMap((lag): ReadonlyArray<Alert> => {
          const key = `${lag.kind} ${lag.name}`
          if (isBehind(lag) === behind.has(key)) return []
          if (behind.delete(key)) return [{ _tag: "Recovered", lag }]
          behind.add(key)
          return [{ _tag: "Behind", lag }]
        })
      )
    )
  })
}

export const subscribe = (name: string, options: SubscribeOptions = {}) =>
  Stream.unwrapScoped(Effect.gen(function*() {
    const store = yield* EventStore
    const { after = "latest", onCaughtUp, ...filter } = options
    const start = after === "latest" ? yield* store.head : after === "earliest" ? 0 : after
    let taken: number = start
    let given = taken
    yield* watch({ name, kind: "subscription", position: Effect.sync(() => taken), store, filter })
    return Stream.mapChunks(
      store.subscribe({
        ...options,
        after: start,
        onCaughtUp: (position) =>
          Effect.suspend(() => {
            taken = given = position
            return onCaughtUp?.(position) ?? Effect.void
          })
      }),
      (chunk) => {
        taken = given
        if (chunk.length > 0) given = Chunk.unsafeLast(chunk).position
        return chunk
      }
    )
  }))
