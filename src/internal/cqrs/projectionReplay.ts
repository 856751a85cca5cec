import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { SideEffects } from "../../cqrs/ProjectionContext.ts"
import type * as Projection from "../../cqrs/ProjectionDefinition.ts"
import type { Failed, Progress, StateOptions } from "../../cqrs/Replay.ts"
import type { Raw } from "../../event/Envelope.ts"
import { EventStore } from "../../store/EventStore.ts"
import { SnapshotStore } from "../../store/SnapshotStore.ts"
import { copy } from "../copy.ts"
import * as Faults from "../faults.ts"
import { asEventFailure, EventFailed } from "./projectionParking.ts"
import { filterOf } from "./projectionRunner.ts"
import * as Site from "./projectionSite.ts"
import { fold } from "./projectionStateWork.ts"

type Options = StateOptions<any>

/** What takes events: all of a chunk, or none of it with its own failure. */
interface Taker {
  readonly from: number
  readonly state: () => unknown
  readonly take: (raws: ReadonlyArray<Raw>) => Effect.Effect<void, EventFailed, any>
}

const check = (options: Options) => {
  const faults = Faults.make()
  const { onError, snapshot } = options
  if (onError !== undefined && onError !== "stop" && onError !== "collect") {
    faults.add("options.onError", `must be "stop" or "collect", got ${Faults.show(onError)}`)
  }
  if (typeof snapshot === "object") {
    const problem = Faults.countProblem(snapshot.position, 0)
    if (problem !== undefined) faults.add("options.snapshot.position", problem)
  } else if (snapshot !== undefined && snapshot !== "kept" && snapshot !== "none") {
    faults.add("options.snapshot", `must be "kept", "none", or a state with its position, got ${Faults.show(snapshot)}`)
  }
  return Faults.orInvalid(faults, () => undefined)
}

/** Whether a replay is of everything that the projection is of, from the start. */
const isWhole = (self: Projection.Any, options: Options): boolean =>
  options.stream === undefined && (options.category === undefined || options.category === self.category) &&
  options.since === undefined && options.until === undefined && (options.after ?? 0) === 0

/** What the projection has kept; what cannot be read is not used. */
const keptOf = (self: Projection.Projection<string, any, any>, to: number) =>
  Effect.gen(function*() {
    const snapshots = yield* SnapshotStore
    const kept = yield* snapshots.load(
      yield* Site.snapshotKey(self, yield* Site.live(self)),
      Site.fingerprintOf(self)
    )
    return Option.flatMap(kept, ({ state, version }) =>
      version > to ? Option.none() : Option.map(
        Option.getRight(ParseResult.decodeEither(Schema.parseJson(self.state))(state)),
        (state) => ({ state, position: version as number })
      ))
  })

const takerOfState = (self: Projection.Projection<string, any, any>, options: Options, to: number) =>
  Effect.gen(function*() {
    const { snapshot = "kept" } = options
    const begin = typeof snapshot === "object"
      ? Option.some(snapshot)
      : snapshot === "kept" && isWhole(self, options)
      ? yield* keptOf(self, to)
      : Option.none()
    let state = Option.match(begin, { onNone: () => copy(self.initial), onSome: ({ state }) => state })
    return {
      from: Math.max(options.after ?? 0, Option.match(begin, { onNone: () => 0, onSome: ({ position }) => position })),
      state: () => state,
      take: (raws) =>
        Effect.suspend(() => {
          const { error, events } = self.decodeAll(raws)
          if (error !== undefined) return Effect.fail(new EventFailed(Cause.fail(error)))
          const folded = fold(self, state, events)
          if (folded.thrown !== undefined) return Effect.fail(new EventFailed(Cause.die(folded.thrown.defect)))
          state = folded.state
          return Effect.void
        })
    } satisfies Taker
  })

const takerOfHandler = (self: Projection.Handler<string, any, any, any>, options: Options): Taker => ({
  from: options.after ?? 0,
  state: () => undefined,
  take: (raws) =>
    Effect.suspend(() => {
      const { error, events } = self.decodeAll(raws)
      // what stands before the one that cannot be read comes first
      return asEventFailure(
        Effect.zipRight(
          events.length === 0 ? Effect.void : self.handle(events),
          error === undefined ? Effect.void : Effect.fail(error)
        )
      )
    })
})

export const stream = (self: Projection.Any, options: Options = {}): Stream.Stream<Progress<any>, unknown, any> =>
  Stream.unwrap(Effect.gen(function*() {
    yield* check(options)
    const store = yield* EventStore
    const to = options.to ?? (yield* store.head)
    const taker = yield* self._tag === "State"
      ? takerOfState(self, options, to)
      : Effect.succeed(takerOfHandler(self, options))
    const errors: Array<Failed> = []
    let position = Math.min(taker.from, to)
    let events = 0
    const progress = (): Progress<any> => ({
      position,
      to,
      from: taker.from,
      events,
      errors: [...errors],
      state: taker.state()
    })
    const one = (raw: Raw) =>
      Effect.matchEffect(taker.take([raw]), {
        onSuccess: () => Effect.sync(() => void events++),
        onFailure: (failed) =>
          options.onError === "collect"
            ? Effect.sync(() => void errors.push({ event: raw, error: Cause.squash(failed.cause) }))
            : Effect.failCause(failed.cause)
      })
    // A chunk whole where events are only looked at, or where the first failure ends it; event by event where a handler may
    // have done half of a chunk, which must not be done again.
    const alone = self._tag === "Handler" && options.onError === "collect"
    const all = (raws: ReadonlyArray<Raw>): Effect.Effect<void, unknown, any> =>
      alone
        ? Effect.forEach(raws, one, { discard: true })
        : Effect.matchEffect(taker.take(raws), {
          onSuccess: () => Effect.sync(() => void (events += raws.length)),
          onFailure: (failed) =>
            self._tag === "Handler" ? Effect.failCause(failed.cause) : Effect.forEach(raws, one, { discard: true })
        })
    const { category, since, stream, time, until } = options
    const run = Stream.mapEffect(
      Stream.chunks(store.readAll({
        ...filterOf(self),
        ...(category === undefined ? {} : { category }),
        stream,
        since,
        until,
        time,
        after: taker.from,
        to
      })).pipe(Stream.filter(Chunk.isNonEmpty)),
      (chunk) => {
        const raws = Chunk.toReadonlyArray(chunk)
        return Effect.map(
          Effect.provideService(all(raws), SideEffects, options.sideEffects ?? false),
          () => {
            position = raws[raws.length - 1]!.position
            return progress()
          }
        )
      }
    )
    const end = Stream.sync(() => {
      position = Math.max(position, to)
      return progress()
    })
    return Stream.concat(Stream.sync(progress), Stream.concat(run, end))
  }))

export const run = (self: Projection.Any, options?: Options) =>
  Effect.map(Stream.runLast(stream(self, options)), Option.getOrThrow)
