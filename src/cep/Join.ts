/**
 * Joins: pairs of events of two streams that have the same key and happened close to each other, and those that found no
 * partner.
 *
 * Time is that of the events. Each pair is told once, when the second of the two comes. An event that found no partner is told
 * once, when none can come any more. How far time has come is the least of both sides.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Fault, InvalidInput } from "../event/InvalidInput.ts"
import * as Machine from "../event/Machine.ts"
import * as Engine from "../internal/cep/joinEngine.ts"
import * as MachineInternal from "../internal/event/machine.ts"
import { Instant } from "../internal/cep/timeSchema.ts"
import * as Streams from "../internal/cep/watermarkStreams.ts"
import type * as Watermark from "./Watermark.ts"

// -------------------------------------------------------------------------------------------------------------- models

/**
 * Whose events are told when they find no partner: nobody's, those of one side, or of both.
 *
 * @since 0.1.0
 * @category models
 */
export type Kind = "inner" | "left" | "right" | "full"

/**
 * One side of a join.
 *
 * @since 0.1.0
 * @category models
 */
export interface Side<in Ev> {
  /** When an event happened, in milliseconds since 1970; fractions are cut off. */
  readonly timestamp: (event: Ev) => number
  /** Events of one key are partners; one of no key never has any. */
  readonly keyBy: (event: Ev) => string | undefined
  /**
   * How far behind the newest event of its side another may be and still be in time; nothing when not given. Infinity leaves time
   * to what is told of it.
   */
  readonly lateness?: Duration.DurationInput | undefined
}

/**
 * How far apart partners may be, both ends included: a right event from `before` ahead of the left one until `after` it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Bound {
  readonly before: Duration.DurationInput
  readonly after: Duration.DurationInput
}

/**
 * What a join is made of.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<L, R, K extends Kind> {
  readonly kind: K
  readonly left: Side<L>
  readonly right: Side<R>
  /** One duration: so far apart at most, whichever is first. */
  readonly within: Duration.DurationInput | Bound
}

/**
 * A join.
 *
 * @since 0.1.0
 * @category models
 */
export interface Join<in out L, in out R, in out K extends Kind> {
  readonly options: Options<L, R, K>
}

/**
 * What a join takes in: what one of its sides says.
 *
 * @since 0.1.0
 * @category models
 */
export type Input<L, R> =
  | { readonly side: "left"; readonly input: Watermark.FromSource<L> }
  | { readonly side: "right"; readonly input: Watermark.FromSource<R> }

/**
 * What a join tells: pairs, what found no partner, what came too late, and what has no
 * instant for a time: no number, or one further from 1970 than a `Date` can be.
 *
 * @since 0.1.0
 * @category models
 */
export type Output<L, R, K extends Kind> =
  | { readonly _tag: "Pair"; readonly key: string; readonly left: L; readonly right: R }
  | (K extends "left" | "full" ? { readonly _tag: "LeftOnly"; readonly key: string | undefined; readonly event: L }
    : never)
  | (K extends "right" | "full" ? { readonly _tag: "RightOnly"; readonly key: string | undefined; readonly event: R }
    : never)
  | { readonly _tag: "Late" | "Untimed"; readonly side: "left"; readonly event: L }
  | { readonly _tag: "Late" | "Untimed"; readonly side: "right"; readonly event: R }

/**
 * What a join is at a position.
 *
 * @since 0.1.0
 * @category models
 */
export interface Snapshot extends Engine.Snapshot {}

/**
 * What was counted since the join first began, and how many events wait for partners.
 *
 * @since 0.1.0
 * @category models
 */
export interface Stats extends Readonly<Engine.Counters> {
  readonly waiting: number
}

/**
 * A join at work.
 *
 * @since 0.1.0
 * @category models
 */
export interface Session<L, R, K extends Kind> {
  readonly push: (inputs: Iterable<Input<L, R>>) => ReadonlyArray<Output<L, R, K>>
  readonly snapshot: () => Snapshot
  readonly stats: () => Stats
}

// -------------------------------------------------------------------------------------------------------- constructors

/**
 * A join of two streams. Throws `InvalidInput` where the bound is not of whole milliseconds, 0 or more.
 *
 * @example
 * ```ts
 * import * as Join from "effect-skald/cep/Join"
 *
 * interface Order {
 *   readonly id: string
 *   readonly at: number
 * }
 * interface Payment {
 *   readonly order: string
 *   readonly at: number
 * }
 *
 * const paid = Join.make({
 *   kind: "left",
 *   left: { timestamp: (order: Order) => order.at, keyBy: (order) => order.id },
 *   right: { timestamp: (payment: Payment) => payment.at, keyBy: (payment) => payment.order },
 *   within: { before: 0, after: "10 minutes" }
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <L, R, K extends Kind>(options: Options<L, R, K>): Join<L, R, K> => {
  const { after, before } = boundOf(options)
  const faults: Array<Fault> = []
  for (const [path, value] of [["within.before", before], ["within.after", after]] as const) {
    if (!Number.isSafeInteger(value)) {
      faults.push(new Fault({ path, problem: `must be whole milliseconds, 0 or more, got ${value}` }))
    }
  }
  const [first, ...rest] = faults
  if (first !== undefined) throw new InvalidInput({ faults: [first, ...rest] })
  return { options }
}

const boundOf = ({ within }: Options<any, any, any>): { readonly before: number; readonly after: number } => {
  if (typeof within === "object" && "before" in within) {
    return { before: Duration.toMillis(within.before), after: Duration.toMillis(within.after) }
  }
  const distance = Duration.toMillis(within)
  return { before: distance, after: distance }
}

// ------------------------------------------------------------------------------------------------------------- running

const engineOf = <L, R, K extends Kind>(
  { options }: Join<L, R, K>,
  from: Snapshot,
  emit: (output: Output<L, R, K>) => void
): Engine.Engine => {
  const { after, before } = boundOf(options)
  const { kind } = options
  const side = (of: Side<any>, before: number, after: number, outer: boolean): Engine.SideSettings => ({
    timestamp: of.timestamp,
    keyBy: of.keyBy,
    lateness: of.lateness === undefined ? 0 : Duration.toMillis(of.lateness),
    before,
    after,
    outer
  })
  return new Engine.Engine(
    {
      left: side(options.left, before, after, kind === "left" || kind === "full"),
      right: side(options.right, after, before, kind === "right" || kind === "full")
    },
    from,
    emit as any
  )
}

/**
 * Starts a join, from the beginning or from a snapshot of a join made with the same options.
 *
 * @since 0.1.0
 * @category runners
 */
export const open = <L, R, K extends Kind>(
  self: Join<L, R, K>,
  from: Snapshot = Engine.empty
): Session<L, R, K> => {
  let outputs: Array<Output<L, R, K>> = []
  const engine = engineOf(self, from, (output) => {
    outputs.push(output)
  })
  return {
    push: (inputs) => {
      outputs = []
      for (const { input, side } of inputs) engine.push(side, input)
      return outputs
    },
    snapshot: () => engine.snapshot(),
    stats: () => ({ ...engine.counts, waiting: engine.waiting })
  }
}

/**
 * The join as a machine; its state is the snapshot.
 *
 * @since 0.1.0
 * @category runners
 */
export const machine = <L, R, K extends Kind>(
  self: Join<L, R, K>
): Machine.Machine<Snapshot, Input<L, R>, Output<L, R, K>> =>
  MachineInternal.fromOpen<Snapshot, Input<L, R>, Output<L, R, K>, never>(Engine.empty, (state, emit) => {
    const engine = engineOf(self, state, emit)
    return {
      push: ({ input, side }) => engine.push(side, input),
      state: () => engine.snapshot()
    }
  })

/**
 * Joins two streams. One from which nothing has come for `idleAfter` is not waited for; what still waits when both have ended is
 * told.
 *
 * @example
 * ```ts
 * import * as Join from "effect-skald/cep/Join"
 * import { Stream } from "effect"
 *
 * const side = { timestamp: (event: { readonly at: number }) => event.at, keyBy: () => "all" }
 * const close = Join.make({ kind: "inner", left: side, right: side, within: "1 second" })
 *
 * const pairs = Join.streams(close, Stream.make({ at: 1 }), Stream.make({ at: 2 }))
 * ```
 *
 * @since 0.1.0
 * @category runners
 */
export const streams = <L, R, K extends Kind, E, RL, E2, RR>(
  self: Join<L, R, K>,
  left: Stream.Stream<L, E, RL>,
  right: Stream.Stream<R, E2, RR>,
  options: { readonly idleAfter?: Duration.DurationInput | undefined } = {}
): Stream.Stream<Output<L, R, K>, E | E2, RL | RR> =>
  Stream.merge(
    Stream.map(Streams.fromSource(left, options.idleAfter), (input): Input<L, R> => ({ side: "left", input })),
    Stream.map(Streams.fromSource(right, options.idleAfter), (input): Input<L, R> => ({ side: "right", input }))
  ).pipe(Machine.toStream(machine(self)))

/**
 * Snapshots as they are stored, given Schemas of both sides' events.
 *
 * @since 0.1.0
 * @category schemas
 */
export const SnapshotOf = <L, LI, R, RI>(
  left: Schema.Schema<L, LI>,
  right: Schema.Schema<R, RI>
): Schema.Schema<Snapshot, unknown> => {
  const row = <S extends "left" | "right", A, I>(side: S, event: Schema.Schema<A, I>) =>
    Schema.Struct({
      seq: Schema.Number,
      side: Schema.Literal(side),
      key: Schema.UndefinedOr(Schema.String),
      time: Schema.Number,
      event,
      matched: Schema.Boolean
    })
  const all: Schema.Schema<any, any> = Schema.Struct({
    time: Schema.Struct({
      sources: Schema.Array(Schema.Tuple(Schema.String, Instant, Schema.Boolean)),
      watermark: Instant
    }),
    seq: Schema.Number,
    counts: Schema.mutable(Schema.Struct({
      left: Schema.Number,
      right: Schema.Number,
      late: Schema.Number,
      unkeyed: Schema.Number,
      untimed: Schema.Number,
      pairs: Schema.Number,
      unmatched: Schema.Number
    })),
    rows: Schema.Array(Schema.Union(row("left", left), row("right", right)))
  })
  return all
}
