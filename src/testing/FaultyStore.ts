/**
 * An event store that fails, delays or interrupts where a test says so: before an operation has happened, or after it, when
 * only its answer is lost.
 *
 * @since 0.1.0
 */
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import type { Raw } from "../event/Envelope.ts"
import * as Reconnect from "../internal/store/reconnect.ts"
import {
  capable,
  EventStore,
  type Operations,
  type ReadError,
  type Service,
  type SubscribeOptions,
  type Transactions
} from "../store/EventStore.ts"
import { StoreError, type StoreReason } from "../store/StoreError.ts"

/**
 * What a fault can befall.
 *
 * @since 0.1.0
 * @category models
 */
export type Operation =
  | "append"
  | "read"
  | "readPage"
  | "readAll"
  | "subscribe"
  | "find"
  | "streamState"
  | "head"
  | "truncate"
  | "tombstone"
  | "withTransaction"

/**
 * When a fault strikes: `"before"` the operation does anything, or `"after"` it has done all it does.
 *
 * @since 0.1.0
 * @category models
 */
export type When = "before" | "after"

/**
 * What befalls an operation. Made by {@link fail}, {@link delay} and {@link interrupt}.
 *
 * @since 0.1.0
 * @category models
 */
export type Fault =
  | { readonly _tag: "Fail"; readonly when: When; readonly reason: StoreReason }
  | { readonly _tag: "Delay"; readonly when: When; readonly duration: Duration.DurationInput }
  | { readonly _tag: "Interrupt"; readonly when: When }

/**
 * Fails with `StoreError`: before the operation with reason `unavailable`, after it with `timeout`, or with another reason.
 * A subscription meets it beneath its `reconnect`, and goes on as that says.
 *
 * After an operation whatever it answered is lost, also a refusal: the caller cannot know whether it has happened.
 *
 * @since 0.1.0
 * @category faults
 */
export const fail = (when: When, reason: StoreReason = when === "before" ? "unavailable" : "timeout"): Fault => ({
  _tag: "Fail",
  when,
  reason
})

/**
 * Waits on the Clock, before the operation or before its answer.
 *
 * @since 0.1.0
 * @category faults
 */
export const delay = (when: When, duration: Duration.DurationInput): Fault => ({ _tag: "Delay", when, duration })

/**
 * Interrupts the caller.
 *
 * @since 0.1.0
 * @category faults
 */
export const interrupt = (when: When): Fault => ({ _tag: "Interrupt", when })

/**
 * Which calls meet a fault, counted from when it is planned.
 *
 * @since 0.1.0
 * @category models
 */
export interface Calls {
  /** The first of them, from 1; the next call when not given. */
  readonly nth?: number | undefined
  /** How many in a row; 1 when not given, `Infinity` for all that follow. */
  readonly times?: number | undefined
  /** How many events a stream gives out first, for a fault `"after"`; none when not given. */
  readonly events?: number | undefined
}

/**
 * Faults that strike at random, the same ones for the same seed and order of calls.
 *
 * @since 0.1.0
 * @category models
 */
export interface RandomFaults {
  readonly seed: number | string
  /** From 0 to 1, for each call. */
  readonly probability: number
  /** Which operations; appends alone when not given. */
  readonly operations?: ReadonlyArray<Operation> | undefined
  /** Which faults, each as likely as the others; {@link fail} before and after when not given. */
  readonly faults?: ReadonlyArray<Fault> | undefined
}

/**
 * A call that was made, and the fault that befell it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Call {
  readonly operation: Operation
  readonly fault: Fault | undefined
}

/**
 * Says which faults befall the store.
 *
 * @since 0.1.0
 * @category models
 */
export interface Control {
  /** Plans a fault. Where several are planned for one call, the one planned first strikes, and all of them count it. */
  readonly plan: (
    operation: Operation | ReadonlyArray<Operation>,
    fault: Fault,
    calls?: Calls
  ) => Effect.Effect<void>
  /** Lets faults strike at random, where none is planned; replaces what was said before. */
  readonly random: (options: RandomFaults) => Effect.Effect<void>
  /** Forgets every fault. */
  readonly calm: Effect.Effect<void>
  /** The calls so far, in order. */
  readonly calls: Effect.Effect<ReadonlyArray<Call>>
}

/**
 * Controls the faults of the store that {@link layer} has wrapped.
 *
 * @example
 * ```ts
 * import { EventStore, layerMemory } from "effect-skald/store/EventStore"
 * import * as FaultyStore from "effect-skald/testing/FaultyStore"
 * import { Effect } from "effect"
 *
 * // the answer of the first append is lost; with ids of its own, trying again has one effect
 * const program = Effect.gen(function*() {
 *   const store = yield* EventStore
 *   const faults = yield* FaultyStore.FaultyStore
 *   yield* faults.plan("append", FaultyStore.fail("after"))
 *   return yield* Effect.retry(
 *     store.append([{ stream: "order-1", events: [{ id: "placed-1", type: "Placed", payload: {} }] }]),
 *     { times: 1 }
 *   )
 * }).pipe(Effect.provide(FaultyStore.layer(layerMemory)))
 * ```
 *
 * @since 0.1.0
 * @category services
 */
export class FaultyStore extends Context.Tag("effect-skald/testing/FaultyStore")<FaultyStore, Control>() {}

/**
 * Wraps any event store, with all that its driver can do. Until a fault is planned it does what the store does. Hooks are
 * left alone: a hook that fails is a fault inside the transaction.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = <A, E, R>(
  store: Layer.Layer<A | EventStore, E, R>
): Layer.Layer<A | EventStore | FaultyStore, E, R> =>
  Layer.flatMap(store, (context) =>
    Layer.effectContext(Effect.sync((): Context.Context<any> => {
      const { control, next } = make()
      const faulty = wrap(Context.get(context as Context.Context<EventStore>, EventStore), next)
      let wrapped: Context.Context<any> = Context.make(FaultyStore, control).pipe(
        Context.merge(context),
        Context.add(EventStore, faulty)
      )
      for (const capability of faulty.capabilities) wrapped = Context.add(wrapped, capable(capability), faulty as any)
      return wrapped
    })))

/** Counts a call, and says what befalls it. */
type Next = (operation: Operation) => Effect.Effect<Struck>

interface Struck {
  readonly fault: Fault | undefined
  readonly events: number
}

const unharmed: Struck = { fault: undefined, events: 0 }

interface Plan {
  readonly operations: ReadonlyArray<Operation>
  readonly struck: Struck
  /** How many calls go by before it strikes, and how many it still strikes. */
  passing: number
  left: number
}

const make = (): { readonly control: Control; readonly next: Next } => {
  const calls: Array<Call> = []
  let plans: Array<Plan> = []
  let atRandom: (operation: Operation) => Effect.Effect<Struck> = () => Effect.succeed(unharmed)

  const planned = (operation: Operation): Struck | undefined => {
    let struck: Struck | undefined
    for (const plan of plans) {
      if (!plan.operations.includes(operation)) continue
      if (plan.passing > 0) plan.passing--
      else if (plan.left > 0) {
        plan.left--
        struck ??= plan.struck
      }
    }
    plans = plans.filter((plan) => plan.left > 0)
    return struck
  }

  return {
    next: (operation) =>
      Effect.suspend(() => {
        const struck = planned(operation)
        return struck === undefined ? atRandom(operation) : Effect.succeed(struck)
      }).pipe(
        Effect.tap(({ fault }) => Effect.sync(() => calls.push({ operation, fault })))
      ),
    control: {
      plan: (operation, fault, { events = 0, nth = 1, times = 1 } = {}) =>
        Effect.sync(() => {
          const operations = typeof operation === "string" ? [operation] : operation
          plans.push({ operations, struck: { fault, events }, passing: nth - 1, left: times })
        }),
      random: (options) =>
        Effect.sync(() => {
          atRandom = randomly(options)
        }),
      calm: Effect.sync(() => {
        plans = []
        atRandom = () => Effect.succeed(unharmed)
      }),
      calls: Effect.sync(() => [...calls])
    }
  }
}

const randomly = (options: RandomFaults): Next => {
  const { faults = [fail("before"), fail("after")], operations = ["append"], probability } = options
  const random = Random.make(options.seed)
  return (operation) =>
    operations.includes(operation) && faults.length > 0
      ? Effect.flatMap(random.next, (drawn) =>
        drawn >= probability
          ? Effect.succeed(unharmed)
          : Effect.map(random.nextIntBetween(0, faults.length), (index) => ({ fault: faults[index], events: 0 })))
      : Effect.succeed(unharmed)
}

const injected = (operation: Operation, reason: StoreReason): StoreError =>
  new StoreError({ reason, operation: `EventStore.${operation}`, cause: new Error("a fault that a test has planned") })

/** An Effect with what befalls it. What an operation did is done before its answer is lost, come what may. */
const befall = <A, E, R>(
  operation: Operation,
  effect: Effect.Effect<A, E, R>,
  { fault }: Struck
): Effect.Effect<A, E | StoreError, R> => {
  if (fault === undefined) return effect
  const before = fault.when === "before"
  switch (fault._tag) {
    case "Fail": {
      const failure = injected(operation, fault.reason)
      return before ? Effect.fail(failure) : Effect.zipRight(Effect.ignore(effect), Effect.fail(failure))
    }
    case "Interrupt":
      return before ? Effect.interrupt : Effect.zipRight(Effect.ignore(effect), Effect.interrupt)
    case "Delay": {
      const wait = Effect.sleep(fault.duration)
      return before
        ? Effect.zipRight(wait, effect)
        : Effect.flatMap(Effect.either(effect), (answer) => Effect.zipRight(wait, answer))
    }
  }
}

/** A Stream with what befalls it: before its first event, or after as many as the plan says. */
const befallStream = <A, E, R>(
  operation: Operation,
  stream: Stream.Stream<A, E, R>,
  { events, fault }: Struck
): Stream.Stream<A, E | StoreError, R> => {
  if (fault === undefined) return stream
  const first = fault.when === "before" ? Stream.empty : Stream.take(stream, events)
  switch (fault._tag) {
    case "Fail":
      return Stream.concat(first, Stream.fail(injected(operation, fault.reason)))
    case "Interrupt":
      return Stream.concat(first, Stream.fromEffect(Effect.interrupt))
    case "Delay": {
      const wait = Effect.sleep(fault.duration)
      if (fault.when === "before") return Stream.unwrap(Effect.as(wait, stream))
      let given = 0
      return Stream.tap(stream, () => given++ === events ? wait : Effect.void)
    }
  }
}

/** A subscription that reconnects, with the faults beneath: as if the database could not be reached. */
const subscribing = (
  store: Service,
  many: (operation: Operation, stream: Stream.Stream<Raw, ReadError>) => Stream.Stream<Raw, ReadError>,
  options: SubscribeOptions = {}
): Stream.Stream<Raw, ReadError> => {
  const { after = "latest", onCaughtUp, reconnect = Reconnect.schedule } = options
  return Stream.unwrap(Effect.map(after === "latest" ? store.head : Effect.succeed(after), (from) => {
    let at = from
    const attempt = Stream.suspend(() =>
      many(
        "subscribe",
        store.subscribe({
          ...options,
          after: at,
          onCaughtUp: (position) =>
            Effect.suspend(() => {
              at = position
              return onCaughtUp?.(position) ?? Effect.void
            })
        })
      )
    )
    return Stream.mapChunks(attempt, (events) => {
      at = Option.match(Chunk.last(events), { onNone: () => at, onSome: ({ position }) => position })
      return events
    }).pipe(Stream.retry(
      Schedule.whileInput(reconnect as Schedule.Schedule<unknown, ReadError>, Reconnect.mayPass)
    ))
  }))
}

const wrap = (store: Service, next: Next): Service => {
  const one = <A, E, R>(operation: Operation, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | StoreError, R> =>
    Effect.flatMap(next(operation), (struck) => befall(operation, effect, struck))
  const many = <A, E, R>(operation: Operation, stream: Stream.Stream<A, E, R>): Stream.Stream<A, E | StoreError, R> =>
    Stream.unwrap(Effect.map(next(operation), (struck) => befallStream(operation, stream, struck)))
  const wrapped: Operations = {
    ...store,
    append: (groups, options) => one("append", store.append(groups, options)),
    read: (stream, options) => many("read", store.read(stream, options)),
    readPage: (stream, options) => one("readPage", store.readPage(stream, options)),
    readAll: (options) => many("readAll", store.readAll(options)),
    subscribe: (options) => subscribing(store, many, options),
    find: (id) => one("find", store.find(id)),
    streamState: (stream) => one("streamState", store.streamState(stream)),
    head: one("head", store.head),
    truncate: (stream, options) => one("truncate", store.truncate(stream, options)),
    tombstone: (stream, options) => one("tombstone", store.tombstone(stream, options))
  }
  if (!("withTransaction" in store)) return wrapped
  const { withTransaction } = store as unknown as Transactions
  const transactions: Transactions = {
    withTransaction: (effect) => one("withTransaction", withTransaction(effect))
  }
  return { ...wrapped, ...transactions }
}
