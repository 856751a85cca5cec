import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { v5 } from "uuid"
import type {
  Current,
  DecisionModel,
  Executed,
  ExecuteError,
  ExecuteOptions,
  Options,
  States,
  View,
  Views
} from "../../cqrs/DecisionModel.ts"
import type { Recorded } from "../../event/Envelope.ts"
import * as Envelope from "../../event/Envelope.ts"
import * as Event from "../../event/Event.ts"
import * as EventCodec from "../../event/EventCodec.ts"
import type { InvalidInput } from "../../event/InvalidInput.ts"
import type { StreamId } from "../../event/StreamId.ts"
import * as RetryPolicy from "../../resilience/RetryPolicy.ts"
import { ConditionFailed } from "../../store/AppendError.ts"
import type { ReadError } from "../../store/Category.ts"
import * as Category from "../../store/Category.ts"
import { EventStore } from "../../store/EventStore.ts"
import * as Query from "../../store/Query.ts"
import * as EventTypes from "../event/eventTypes.ts"
import * as Faults from "../faults.ts"
import * as CommandFaults from "./commandFaults.ts"

type Tagged = { readonly _tag: string }

export const view = <S>(options: {
  readonly events: ReadonlyArray<Event.Any>
  readonly initial: S
  readonly evolve: (state: S, event: any) => S
}): View<S, any> => ({
  events: Event.group(options.events).schema,
  initial: options.initial,
  evolve: options.evolve
})

export const make = <V extends Views, C, E extends Tagged, Err, Id>(
  name: string,
  options: Options<V, C, any, Id, E, Either.Either<ReadonlyArray<E>, Err>>
): DecisionModel<string, V, C, E, Err> => {
  const { category, decide } = options
  const views = check(name, options)
  const codec = EventCodec.make(Event.group(distinct(views.flatMap(([, { types }]) => types))))
  const commandFaults = CommandFaults.of(options.commands)
  const retry = options.retry ?? (RetryPolicy.conflict as Schedule.Schedule<unknown>)

  /** The query, and the tags of each view. */
  const selected = (command: C) => {
    const tags = options.tags(command)
    const items = views.map(([each, { stored }]): Query.Item => {
      const own = tags[each]!
      return own.length === 0 ? { types: stored } : { types: stored, tags: own }
    })
    return Either.map(Query.make(...items), (query) => ({ query, tags }))
  }

  const read = (command: C): Effect.Effect<Current<V> & { readonly query: Query.Query }, ReadError, EventStore> =>
    Effect.gen(function*() {
      const store = yield* EventStore
      const { query, tags } = yield* selected(command)
      const position = yield* store.head
      const states: Record<string, unknown> = {}
      for (const [each, { of }] of views) states[each] = of.initial
      const fold = (recorded: Recorded<any>) => {
        for (const [each, { known, of }] of views) {
          if (!known.has(recorded.payload._tag) || !tags[each]!.every((tag) => recorded.tags.includes(tag))) continue
          states[each] = of.evolve(states[each], recorded.payload)
        }
      }
      yield* Stream.runForEachChunk(
        Category.decoded(codec, store.readAll({ query, to: position })),
        (chunk) => Effect.sync(() => Chunk.forEach(chunk, fold))
      )
      return { query, position, states: states as States<V> }
    })

  const once = (
    id: Id,
    command: C,
    given: ExecuteOptions
  ): Effect.Effect<Executed<E>, Err | ExecuteError, EventStore> =>
    Effect.gen(function*() {
      const current = yield* read(command)
      // looked up after the states were read: what was recorded before is in them, what comes later is a conflict
      const before = given.commandId === undefined ? undefined : yield* repeated(id, given.commandId)
      if (before !== undefined) return before
      const decided: ReadonlyArray<E> = yield* decide(command, current.states)
      if (decided.length === 0) return { events: decided, position: undefined, repeated: false }
      const stream = yield* category.stream(id)
      const appended = yield* Effect.either(
        category.append(id, enveloped(name, stream, decided, given), { failIf: current.query, after: current.position })
      )
      if (given.commandId !== undefined && isKnown(appended)) {
        // the same command was quicker, and may have decided on other states
        const first = yield* repeated(id, given.commandId)
        if (first !== undefined) return first
      }
      const { position } = yield* appended
      return { events: decided, position, repeated: false }
    })

  /** What a command of this id led to, if it was executed before; what was truncated of it is not told. */
  const repeated = (
    id: Id,
    commandId: string
  ): Effect.Effect<Executed<E> | undefined, ReadError, EventStore> =>
    Effect.gen(function*() {
      const store = yield* EventStore
      const stream = yield* category.stream(id)
      const found = yield* store.find(eventId(name, stream, commandId, 0))
      if (Option.isNone(found)) return undefined
      let index = 0
      const recorded = yield* category.read(id, { from: found.value.version }).pipe(
        Stream.takeWhile((event) => event.id === eventId(name, stream, commandId, index++)),
        Stream.runCollect
      )
      return {
        events: Chunk.toReadonlyArray(recorded).map((event) => event.payload as E),
        position: Option.getOrUndefined(Chunk.last(recorded))?.position ?? found.value.position,
        repeated: true
      }
    })

  const checked = (command: C, given: ExecuteOptions): Either.Either<void, InvalidInput> => {
    const faults = Faults.make()
    commandFaults(command, given, faults)
    return Faults.orInvalid(faults, () => undefined)
  }

  return {
    name,
    query: (command) => Either.flatMap(checked(command, {}), () => Either.map(selected(command), ({ query }) => query)),
    state: (command) =>
      Effect.flatMap(
        Effect.suspend(() => checked(command, {})),
        () => Effect.map(read(command), ({ position, states }) => ({ position, states }))
      ),
    execute: (command, given = {}) =>
      Effect.flatMap(
        Effect.suspend(() => checked(command, given)),
        () =>
          Effect.retry(Effect.suspend(() => once(options.id(command), command, given)), {
            schedule: given.retry ?? retry,
            while: (error) => error instanceof ConditionFailed
          })
      )
  }
}

interface Part {
  readonly of: View<any, any>
  readonly types: ReadonlyArray<Event.Any>
  /** The tags of its events, and the names that they are stored under. */
  readonly known: ReadonlySet<string>
  readonly stored: ReadonlyArray<string>
}

const check = (
  name: string,
  { category, views }: Options<any, any, any, any, any, any>
): ReadonlyArray<readonly [name: string, Part]> => {
  const faults = Faults.make()
  const problem = Faults.nameProblem(name)
  if (problem !== undefined) faults.add("name", problem)
  const names = Object.keys(views)
  if (names.length === 0) faults.add("views", "must hold a view")
  const parts = names.flatMap((each): ReadonlyArray<readonly [string, Part]> => {
    const of: View<any, any> = views[each]
    if (!Schema.isSchema(of?.events) || typeof of.evolve !== "function") {
      faults.add(`views.${each}`, `must have events, initial and evolve, got ${Faults.show(of)}`)
      return []
    }
    const entries = EventTypes.entries([of.events as never])
    return [[each, {
      of,
      types: Array.from(entries.values(), ({ schema }) => schema as never),
      known: new Set(entries.keys()),
      stored: EventTypes.storedTypes(entries.values())
    }]]
  })
  if (category?.codec === undefined) faults.add("category", `must be a Category, got ${Faults.show(category)}`)
  return Either.getOrThrowWith(Faults.orInvalid(faults, () => parts), (error) => error)
}

/** Each event type once: several views may be of it. Two with one tag are left, and refused by who gathers them. */
const distinct = (types: ReadonlyArray<Event.Any>): ReadonlyArray<Event.Any> => {
  const seen = new Set<unknown>()
  return types.filter((type) => {
    if (seen.has(type.ast)) return false
    seen.add(type.ast)
    return true
  })
}

const isKnown = (appended: Either.Either<{ readonly repeated: boolean }, { readonly _tag: string }>): boolean =>
  Either.isRight(appended) ? appended.right.repeated : appended.left._tag === "DuplicateEvent"

/** The namespace of the ids that a command's events get: the same command of the same model, the same ids. */
const commandEvents = "b0a5c6b0-3e0f-4f57-9d0b-6b7a0e0c52d3"

/** UUID version 5 (RFC 9562) of a command's event by its place. */
const eventId = (name: string, stream: StreamId, commandId: string, index: number): string =>
  v5(`${name}\u0000${stream}\u0000${commandId}\u0000${index}`, commandEvents)

const enveloped = <E extends Tagged>(
  name: string,
  stream: StreamId,
  events: ReadonlyArray<E>,
  { commandId, metadata, occurredAt }: ExecuteOptions
): ReadonlyArray<E | Envelope.New<E>> =>
  commandId === undefined && metadata === undefined && occurredAt === undefined
    ? events
    : events.map((event, index) =>
      Envelope.make(event, {
        ...metadata,
        ...(commandId === undefined ? undefined : {
          id: eventId(name, stream, commandId, index),
          causationId: commandId
        }),
        occurredAt
      })
    )
