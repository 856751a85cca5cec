/**
 * Windows: events of a stretch of time, or so many of them, and what an aggregation makes of them.
 *
 * Time is that of the events. A window is complete when the watermark says that nothing more will come for it; then its result
 * is told. What comes later is still taken in for as long as is allowed, and told as the emission says; an event is late, and
 * is told to be, when all its windows are closed.
 *
 * A window is a value; `open` starts it, `machine` makes it a `Machine`, for streams, snapshots and composition. Chunks may be
 * of any size, which makes no difference to what is told.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import type * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Fault, InvalidInput } from "../event/InvalidInput.ts"
import * as Machine from "../event/Machine.ts"
import * as Engine from "../internal/cep/windowEngine.ts"
import * as MachineInternal from "../internal/event/machine.ts"
import * as Snapshots from "../internal/cep/windowSnapshot.ts"
import type { Aggregation } from "./Aggregation.ts"
import type * as Watermark from "./Watermark.ts"

// -------------------------------------------------------------------------------------------------------------- shapes

/**
 * Which windows there are. Lengths are whole milliseconds, or numbers of events.
 *
 * @since 0.1.0
 * @category models
 */
export type Shape =
  | { readonly _tag: "Sliding"; readonly size: number; readonly every: number; readonly offset: number }
  | { readonly _tag: "Session"; readonly gap: number }
  | { readonly _tag: "Count"; readonly size: number; readonly every: number }

/**
 * Windows one after the other, each of the same length, aligned to 1970-01-01T00:00Z, or to an offset from it.
 *
 * @since 0.1.0
 * @category shapes
 */
export const tumbling = (
  size: Duration.DurationInput,
  options: { readonly offset?: Duration.DurationInput | undefined } = {}
): Shape => sliding(size, size, options)

/**
 * Windows of one length, a new one begins every so often; an event is in as many as overlap.
 *
 * @since 0.1.0
 * @category shapes
 */
export const sliding = (
  size: Duration.DurationInput,
  every: Duration.DurationInput,
  options: { readonly offset?: Duration.DurationInput | undefined } = {}
): Shape => ({
  _tag: "Sliding",
  size: Duration.toMillis(size),
  every: Duration.toMillis(every),
  offset: options.offset === undefined ? 0 : Duration.toMillis(options.offset)
})

/**
 * Windows of activity: events of a key that are at most `gap` apart. The end of one is the gap after its last event.
 *
 * @since 0.1.0
 * @category shapes
 */
export const session = (gap: Duration.DurationInput): Shape => ({ _tag: "Session", gap: Duration.toMillis(gap) })

/**
 * Windows of `size` events of a key, a new one begins with every `every`th event; with every `size`th when not given. They have
 * nothing to do with time: their results tell which events they are of, from 0, and those that are never full are never told.
 *
 * @since 0.1.0
 * @category shapes
 */
export const count = (size: number, options: { readonly every?: number | undefined } = {}): Shape => ({
  _tag: "Count",
  size,
  every: options.every ?? size
})

// -------------------------------------------------------------------------------------------------------------- models

/**
 * What is told of a window that was told before, when another event came for it: the value of all its events
 * (`accumulating`), of the new ones alone (`discarding`), or the old value is taken back first (`retracting`).
 *
 * A session that grows or is joined with another has another start or end than the one before: only `retracting` says which
 * results it takes the place of.
 *
 * @since 0.1.0
 * @category models
 */
export type Emission = "accumulating" | "discarding" | "retracting"

/**
 * What a window of a key has come to.
 *
 * @since 0.1.0
 * @category models
 */
export interface Result<out R> {
  /** Empty where there are no keys. */
  readonly key: string
  /** In milliseconds since 1970, inclusive; of a count window, the number of its first event of the key. */
  readonly start: number
  /** Exclusive. */
  readonly end: number
  /** How many events the value is of. */
  readonly count: number
  readonly value: R
  /** Whether a result of this window was told before. */
  readonly update: boolean
}

/**
 * What a window tells: results; that a result is taken back; an event that came too late; and one whose time is no
 * instant: no number, or further from 1970 than a `Date` can be.
 *
 * @since 0.1.0
 * @category models
 */
export type Output<R, Ev> =
  | { readonly _tag: "Result" } & Result<R>
  | { readonly _tag: "Retraction" } & Result<R>
  | { readonly _tag: "Late"; readonly event: Ev }
  | { readonly _tag: "Untimed"; readonly event: Ev }

/**
 * How windows are made.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<Ev, S, R> {
  readonly shape: Shape
  readonly aggregate: Aggregation<Ev, S, R>
  /** When an event happened, in milliseconds since 1970, fractions are cut off. Windows of time need it. */
  readonly timestamp?: ((event: Ev) => number) | undefined
  /** Which events belong together; each key has windows of its own. Events of no key are counted, and are in no window. */
  readonly keyBy?: ((event: Ev) => string | undefined) | undefined
  /**
   * How far behind the newest event another may be and still be in time; nothing when not given. Infinity leaves time to
   * `advance` alone.
   */
  readonly lateness?: Duration.DurationInput | undefined
  /** How long a window is kept after it was told, for events that come later; not at all when not given. */
  readonly allowedLateness?: Duration.DurationInput | undefined
  /** `accumulating` when not given. */
  readonly emission?: Emission | undefined
}

/**
 * Windows with what they make of their events.
 *
 * @since 0.1.0
 * @category models
 */
export interface Window<in out Ev, in out S, out R> {
  readonly options: Options<Ev, S, R>
}

/**
 * What windows are at a position: all they need to go on as if they had never stopped.
 *
 * @since 0.1.0
 * @category models
 */
export interface Snapshot extends Engine.Snapshot {}

/**
 * What was counted since the windows first began.
 *
 * @since 0.1.0
 * @category models
 */
export interface Stats extends Readonly<Engine.Counters> {}

/**
 * Windows at work.
 *
 * @since 0.1.0
 * @category models
 */
export interface Session<R, Ev> {
  readonly push: (events: Iterable<Ev>) => ReadonlyArray<Output<R, Ev>>
  /** Says that time has come to an instant: no event at it or before it will come. */
  readonly advance: (time: number) => ReadonlyArray<Output<R, Ev>>
  /** The windows that are not complete, by end, each as if it were. */
  readonly windows: () => ReadonlyArray<Result<R>>
  readonly snapshot: () => Snapshot
  readonly stats: () => Stats
}

// -------------------------------------------------------------------------------------------------------- constructors

/**
 * Windows over events. Throws `InvalidInput`, with all that is wrong, for lengths that are not whole and above 0, and for windows
 * of time without a `timestamp`.
 *
 * @example
 * ```ts
 * import * as Aggregation from "effect-skald/cep/Aggregation"
 * import * as Window from "effect-skald/cep/Window"
 *
 * interface Departure {
 *   readonly airport: string
 *   readonly at: number
 *   readonly delay: number
 * }
 *
 * const punctuality = Window.make({
 *   shape: Window.sliding("2 hours", "15 minutes"),
 *   aggregate: Aggregation.mean((departure: Departure) => departure.delay),
 *   timestamp: (departure) => departure.at,
 *   keyBy: (departure) => departure.airport
 * })
 *
 * const windows = Window.open(punctuality)
 * windows.push([{ airport: "SFO", at: 0, delay: 12 }]) // []
 * windows.advance(900_000) // [{ _tag: "Result", key: "SFO", start: -6_300_000, end: 900_000, count: 1, value: 12, … }]
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <Ev, S, R>(options: Options<Ev, S, R>): Window<Ev, S, R> => {
  const faults: Array<Fault> = []
  const wrong = (path: string, problem: string): void => void faults.push(new Fault({ path, problem }))
  const whole = (path: string, value: number): void => {
    if (!Number.isSafeInteger(value) || value < 1) wrong(path, `must be a whole number, 1 or more, got ${value}`)
  }
  const { allowedLateness, shape, timestamp } = options
  if (shape._tag === "Session") whole("shape.gap", shape.gap)
  else {
    whole("shape.size", shape.size)
    whole("shape.every", shape.every)
    if (shape.every > shape.size) {
      wrong("shape.every", `must not be above the size ${shape.size}: events between two windows would be lost`)
    }
    if (shape._tag === "Sliding" && !Number.isSafeInteger(shape.offset)) {
      wrong("shape.offset", `must be a whole number, got ${shape.offset}`)
    }
  }
  if (shape._tag !== "Count" && timestamp === undefined) wrong("timestamp", "is needed by windows of time")
  if (allowedLateness !== undefined && !Number.isSafeInteger(Duration.toMillis(allowedLateness))) {
    wrong("allowedLateness", `must be whole milliseconds, got ${Duration.toMillis(allowedLateness)}`)
  }
  const [first, ...rest] = faults
  if (first !== undefined) throw new InvalidInput({ faults: [first, ...rest] })
  return { options }
}

// ------------------------------------------------------------------------------------------------------------- running

/**
 * Starts windows, from the beginning or from a snapshot of windows made with the same options.
 *
 * @since 0.1.0
 * @category runners
 */
export const open = <Ev, S, R>(
  self: Window<Ev, S, R>,
  from: Snapshot = Engine.initial(self.options.shape)
): Session<R, Ev> => {
  const engine = engineOf(self, from)
  return {
    push: (events) => {
      engine.push(events)
      return engine.take()
    },
    advance: (time) => {
      engine.advance(time)
      return engine.take()
    },
    windows: () => engine.open(),
    snapshot: () => engine.snapshot(),
    stats: () => ({ ...engine.counts })
  }
}

const engineOf = <Ev, S, R>(
  { options }: Window<Ev, S, R>,
  from: Snapshot
): Engine.Engine<Ev, S, R> =>
  new Engine.Engine(
    {
      shape: options.shape,
      aggregation: options.aggregate,
      timestamp: options.timestamp,
      keyBy: options.keyBy,
      lateness: options.lateness === undefined ? 0 : Duration.toMillis(options.lateness),
      allowed: options.allowedLateness === undefined ? 0 : Duration.toMillis(options.allowedLateness),
      emission: options.emission ?? "accumulating"
    },
    from
  )

/**
 * The windows as a machine; its state is the snapshot.
 *
 * @since 0.1.0
 * @category runners
 */
export const machine = <Ev, S, R>(
  self: Window<Ev, S, R>
): Machine.Machine<Snapshot, Watermark.Input<Ev>, Output<R, Ev>> =>
  MachineInternal.fromOpen<Snapshot, Watermark.Input<Ev>, Output<R, Ev>, never>(
    Engine.initial(self.options.shape),
    (state, emit) => {
      const engine = engineOf(self, state)
      return {
        push: (input) => {
          if (input._tag === "Event") engine.one(input.event)
          else engine.advance(input.time)
          for (const output of engine.take()) emit(output)
        },
        state: () => engine.snapshot()
      }
    }
  )

/**
 * Puts a stream of events through windows. When it ends, so does time: the windows that are open are told.
 *
 * @example
 * ```ts
 * import * as Aggregation from "effect-skald/cep/Aggregation"
 * import * as Window from "effect-skald/cep/Window"
 * import { Stream } from "effect"
 *
 * const clicks = Window.make({
 *   shape: Window.session("30 minutes"),
 *   aggregate: Aggregation.count,
 *   timestamp: (click: { readonly user: string; readonly at: number }) => click.at,
 *   keyBy: (click) => click.user
 * })
 *
 * const visits = Stream.make({ user: "u", at: 0 }, { user: "u", at: 60_000 }).pipe(Window.over(clicks))
 * ```
 *
 * @since 0.1.0
 * @category runners
 */
export const over =
  <Ev, S, R>(self: Window<Ev, S, R>) =>
  <E, R2>(events: Stream.Stream<Ev, E, R2>): Stream.Stream<Output<R, Ev>, E, R2> =>
    events.pipe(
      Stream.map((event): Watermark.Input<Ev> => ({ _tag: "Event", event })),
      Stream.concat(Stream.succeed<Watermark.Input<Ev>>({ _tag: "Time", time: Number.POSITIVE_INFINITY })),
      Machine.toStream(machine(self))
    )

/**
 * Snapshots as they are stored.
 *
 * @since 0.1.0
 * @category schemas
 */
export const SnapshotOf = ({ options }: Window<any, any, any>): Schema.Schema<Snapshot, unknown> =>
  Snapshots.schema(options.shape, options.aggregate)
