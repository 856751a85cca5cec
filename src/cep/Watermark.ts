/**
 * Watermarks: how far the time of events has come, when they come out of order and from several sources.
 *
 * A watermark at an instant says that no event at it or before it will come. It never goes back. Of several sources, the one
 * that is furthest behind decides, and one that is idle does not count.
 *
 * @since 0.1.0
 */
import * as Chunk from "effect/Chunk"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as Machine from "../event/Machine.ts"
import * as Internal from "../internal/cep/watermark.ts"
import * as Streams from "../internal/cep/watermarkStreams.ts"

/**
 * What windows, joins and matchers take in: an event, or that time has come to an instant, in milliseconds since 1970.
 *
 * @since 0.1.0
 * @category models
 */
export type Input<Ev> =
  | { readonly _tag: "Event"; readonly event: Ev }
  | { readonly _tag: "Time"; readonly time: number }

/**
 * What a source says: an event, that its time has come to an instant, or that nothing is to be expected of it for now. It counts
 * again from its next event or instant on.
 *
 * @since 0.1.0
 * @category models
 */
export type FromSource<Ev> = Input<Ev> | { readonly _tag: "Idle" }

/**
 * What one of several sources says.
 *
 * @since 0.1.0
 * @category models
 */
export interface Sourced<Ev> {
  readonly source: string
  readonly input: FromSource<Ev>
}

/**
 * How the time of a source is known from its events.
 *
 * @since 0.1.0
 * @category models
 */
export interface Strategy<Ev> {
  /** When an event happened, in milliseconds since 1970. */
  readonly timestamp: (event: Ev) => number
  /** How far behind the newest event of its source another may be and still be in time. */
  readonly lateness: Duration.DurationInput
}

/**
 * Where the sources are, and the watermark of all that was told last.
 *
 * @since 0.1.0
 * @category models
 */
export interface State extends Internal.State {}

/**
 * Makes one timed input of several sources: events as they come, and the watermark of all whenever it goes on.
 *
 * Nothing is told before every source has said something. While all are idle time stands still.
 *
 * @example
 * ```ts
 * import * as Watermark from "effect-skald/cep/Watermark"
 * import * as Machine from "effect-skald/event/Machine"
 *
 * const merged = Watermark.merge(["north", "south"], {
 *   timestamp: (reading: { readonly at: number }) => reading.at,
 *   lateness: "1 second"
 * })
 *
 * Machine.run(merged, merged.initial, [
 *   { source: "north", input: { _tag: "Event", event: { at: 5_000 } } },
 *   { source: "south", input: { _tag: "Idle" } }
 * ])[1] // [{ _tag: "Event", … }, { _tag: "Time", time: 3_999 }]
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const merge = <Ev>(
  sources: ReadonlyArray<string>,
  strategy: Strategy<Ev>
): Machine.Machine<State, Sourced<Ev>, Input<Ev>> =>
  Internal.merge(sources, strategy.timestamp, Duration.toMillis(strategy.lateness))

/**
 * Makes one timed stream of several. A source from which nothing has come for `idleAfter` is idle; one that ends has come to the
 * end of time, and so has the whole when all have ended.
 *
 * @since 0.1.0
 * @category streams
 */
export const mergeStreams = <Ev, E, R>(
  sources: { readonly [source: string]: Stream.Stream<Ev, E, R> },
  options: Strategy<Ev> & { readonly idleAfter?: Duration.DurationInput | undefined }
): Stream.Stream<Input<Ev>, E, R> => {
  const sourced = Object.entries(sources).map(([source, events]) =>
    Stream.map(Streams.fromSource(events, options.idleAfter), (input): Sourced<Ev> => ({ source, input }))
  )
  return Stream.mergeAll(sourced, { concurrency: "unbounded" }).pipe(
    Machine.toStream(merge(Object.keys(sources), options))
  )
}

/**
 * An event with the instant at which it was taken in.
 *
 * @since 0.1.0
 * @category models
 */
export interface Stamped<Ev> {
  readonly event: Ev
  readonly at: number
}

/**
 * Processing time: each event is stamped with the instant at which it comes, by the `Clock`, and time is told every so often, so
 * that windows end though nothing comes.
 *
 * @since 0.1.0
 * @category streams
 */
export const processing =
  (every: Duration.DurationInput) =>
  <Ev, E, R>(events: Stream.Stream<Ev, E, R>): Stream.Stream<Input<Stamped<Ev>>, E, R> => {
    const stamped = Stream.mapChunksEffect(
      events,
      (chunk) =>
        Effect.map(
          Clock.currentTimeMillis,
          (at) => Chunk.map(chunk, (event): Input<Stamped<Ev>> => ({ _tag: "Event", event: { event, at } }))
        )
    )
    const ticks = Stream.repeatEffectWithSchedule(Clock.currentTimeMillis, Schedule.spaced(every)).pipe(
      // what happens in this millisecond may still come
      Stream.map((now): Input<Stamped<Ev>> => ({ _tag: "Time", time: now - 1 }))
    )
    return Stream.merge(stamped, ticks, { haltStrategy: "left" }).pipe(
      Stream.concat(Stream.succeed<Input<Stamped<Ev>>>({ _tag: "Time", time: Number.POSITIVE_INFINITY }))
    )
  }
