import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { BusError } from "../../bus/BusError.ts"
import { EventBus, type NewMessage, type PublishError } from "../../bus/EventBus.ts"
import type { Options, Running, Services } from "../../bus/Outbox.ts"
import { defaultReconnect } from "../../bus/Subscription.ts"
import * as Correlation from "../../event/Correlation.ts"
import type { Raw } from "../../event/Envelope.ts"
import * as Event from "../../event/Event.ts"
import { InvalidInput } from "../../event/InvalidInput.ts"
import type { Position } from "../../event/Position.ts"
import { type CheckpointConflict, CheckpointStore, type Service as Checkpoints } from "../../store/CheckpointStore.ts"
import { EventStore, type Filter } from "../../store/EventStore.ts"
import * as Lease from "../../store/Lease.ts"
import type { StoreError } from "../../store/StoreError.ts"
import * as Faults from "../faults.ts"
import { keepOn } from "../keepOn.ts"
import * as Parts from "../parts.ts"

/** How often one that waits for a position looks at it. */
const lookEvery = "50 millis"

/** Something that is done to each event of the log, by one process at a time, with a checkpoint. */
export interface Follower {
  /** How people call it. */
  readonly what: string
  /** Of the checkpoint and the lease. */
  readonly key: string
  readonly filter: Filter
  readonly start: "earliest" | "latest" | number
  readonly batch: number
  /** Whether the events are delivered in the transaction of the checkpoint. */
  readonly atomic: boolean
  readonly retry: Schedule.Schedule<unknown> | undefined
  readonly lease: Lease.Options | undefined
  readonly deliver: (events: ReadonlyArray<Raw>) => Effect.Effect<unknown, PublishError>
}

/** Follows the log as long as the scope lasts. */
export const follow = (
  follower: Follower
): Effect.Effect<void, StoreError | InvalidInput, EventStore | CheckpointStore | Lease.Lease | Scope.Scope> =>
  Effect.gen(function*() {
    const { batch, filter, key, what } = follower
    const store = yield* EventStore
    const checkpoints = yield* CheckpointStore
    const leases = yield* Lease.Lease
    yield* begin(key, follower.start)
    const work = (reset: Effect.Effect<void>) =>
      leases.withLease(key, follower.lease)((held) =>
        Effect.gen(function*() {
          let at = yield* checkpoints.get(key)
          yield* Effect.logDebug(`${what} is relayed here, with token ${held.token}`)
          return yield* Stream.runForEachChunk(
            store.subscribe({ ...filter, allTenants: true, after: Option.getOrElse(at, () => 0) }),
            (chunk) =>
              Effect.forEach(Parts.of(Chunk.toReadonlyArray(chunk), batch), (events) =>
                Effect.flatMap(relay(follower, checkpoints, at, held, events), (next) => {
                  at = Option.some(next)
                  return reset
                }), { discard: true })
          )
        })
      )
    yield* keepOn(what, follower.retry ?? defaultReconnect, work).pipe(
      // what the relay's own fiber carries is nobody's conversation
      Effect.locally(Correlation.currentCorrelation, Correlation.empty),
      Effect.interruptible,
      Effect.forkScoped
    )
  })

/** Delivers a batch, and then moves the checkpoint, where the lease is still held. */
const relay = (
  { atomic, deliver, key }: Follower,
  checkpoints: Checkpoints,
  expected: Option.Option<Position>,
  held: Lease.Held,
  all: ReadonlyArray<Raw>
): Effect.Effect<Position, PublishError | Lease.LeaseLost | StoreError | CheckpointConflict | InvalidInput> => {
  const next = all[all.length - 1]!.position
  // the library's own marks are the log's business
  const events = all.filter(({ type }) => !type.startsWith("$"))
  const move = { expected, next, fence: held.check }
  const moved = checkpoints.commit(key, { ...move, effect: Effect.void })
  return Effect.as(
    events.length === 0
      ? moved
      : atomic
      ? checkpoints.commit(key, { ...move, effect: deliver(events) })
      : Effect.zipRight(held.check, Effect.zipRight(deliver(events), moved)),
    next
  )
}

export const run = (
  name: string,
  options: Options<any>,
  defaultBatch: number
): Effect.Effect<Running, StoreError | InvalidInput, Services | Scope.Scope> =>
  Effect.gen(function*() {
    const { batch, filter, subjects } = yield* check(name, options, defaultBatch)
    const store = yield* EventStore
    const checkpoints = yield* CheckpointStore
    const key = `:outbox/${name}`
    yield* follow({
      what: `outbox "${name}"`,
      key,
      filter,
      start: options.start ?? "earliest",
      batch,
      atomic: options.atomic ?? false,
      retry: options.retry,
      lease: options.lease,
      deliver: yield* makePublish(options, subjects)
    })

    const position = checkpoints.get(key).pipe(
      Effect.map(Option.getOrElse(() => 0 as Position)),
      // the name was checked
      Effect.catchTag("InvalidInput", Effect.die)
    )
    /** Everything is relayed where no event is left between the two. */
    const isRelayed = (target: number) =>
      Effect.flatMap(position, (at) =>
        at >= target
          ? Effect.succeed(true)
          : Effect.map(
            Stream.runHead(store.readAll({ ...filter, allTenants: true, after: at, to: target, limit: 1 })),
            Option.isNone
          ))
    const awaitPosition = (target: number): Effect.Effect<void, StoreError> =>
      isRelayed(target).pipe(
        Effect.catchTag("InvalidInput", Effect.die),
        Effect.flatMap((relayed) =>
          relayed ? Effect.void : Effect.zipRight(Effect.sleep(lookEvery), awaitPosition(target))
        )
      )
    return { name, position, awaitPosition }
  })

/** Where it begins is kept at once, so that what is appended from now on is not missed, whoever relays it. */
const begin = (key: string, start: "earliest" | "latest" | number) =>
  Effect.gen(function*() {
    if (start === "earliest") return
    const checkpoints = yield* CheckpointStore
    if (Option.isSome(yield* checkpoints.get(key))) return
    const next = start === "latest" ? yield* (yield* EventStore).head : start as Position
    yield* Effect.ignore(checkpoints.commit(key, { expected: undefined, next, effect: Effect.void }))
  })

const makePublish = (options: Options<any>, subjects: ReadonlyMap<string, string>) =>
  Effect.gen(function*() {
    const bus = yield* EventBus
    const context = yield* Effect.context<any>()
    const { headers, key: keyOf = ({ stream }: Raw) => stream, onRefused } = options
    const toMessage = (event: Raw): NewMessage => ({
      id: event.id,
      type: event.type,
      subject: subjects.get(event.type),
      schemaVersion: event.schemaVersion,
      payload: event.payload,
      occurredAt: event.occurredAt,
      source: event.source,
      metadata: event.metadata,
      key: keyOf(event),
      headers: headers?.(event)
    })
    const send = (events: ReadonlyArray<Raw>): Effect.Effect<unknown, PublishError> =>
      Effect.suspend(() => bus.publish(events.map(toMessage)))
    const oneByOne = (events: ReadonlyArray<Raw>): Effect.Effect<void, PublishError> =>
      Effect.forEach(events, (event) => {
        const refused = (error: Extract<PublishError, { readonly _tag: "InvalidEvent" | "MessageTooLarge" }>) =>
          onRefused!(event, error).pipe(
            Effect.provide(context),
            Effect.mapError((cause) => new BusError({ reason: "refused", operation: "Outbox.onRefused", cause }))
          )
        return Effect.catchTags(send([event]), { InvalidEvent: refused, MessageTooLarge: refused })
      }, { discard: true })
    return (events: ReadonlyArray<Raw>): Effect.Effect<unknown, PublishError> =>
      onRefused === undefined ? send(events) : Effect.catchTags(send(events), {
        InvalidEvent: () => oneByOne(events),
        MessageTooLarge: () => oneByOne(events)
      })
  })

const check = (name: string, options: Options<any>, defaultBatch: number) =>
  Effect.suspend(() => {
    const faults = Faults.make()
    const add = (path: string, problem: string | undefined) => {
      if (problem !== undefined) faults.add(path, problem)
    }
    const { batch = defaultBatch, category, events, query, start, types } = options
    add("name", Faults.nameProblem(name))
    add("batch", Faults.countProblem(batch, 1))
    if (typeof start === "number") add("start", Faults.countProblem(start, 0))
    if (events !== undefined && types !== undefined) add("types", "must not come together with events")
    const subjects = new Map<string, string>()
    try {
      for (const entry of Event.group<any>(events ?? []).entries.values()) {
        for (const type of [entry.tag, ...entry.aliases]) subjects.set(type, entry.subject)
      }
    } catch (error) {
      if (!(error instanceof InvalidInput)) throw error
      for (const fault of error.faults) faults.add(`events.${fault.path}`, fault.problem)
    }
    const filter = { category, query, types: events === undefined ? types : Array.from(subjects.keys()) }
    return Faults.orInvalid(faults, () => ({ batch, subjects, filter }))
  })
