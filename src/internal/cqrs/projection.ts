import * as Either from "effect/Either"
import type * as Effect from "effect/Effect"
import * as ParseResult from "effect/ParseResult"
import { pipeArguments } from "effect/Pipeable"
import * as Schema from "effect/Schema"
import type * as Projection from "../../cqrs/ProjectionDefinition.ts"
import type { Recorded } from "../../event/Envelope.ts"
import type * as Event from "../../event/Event.ts"
import * as EventCodec from "../../event/EventCodec.ts"
import * as StreamId from "../../event/StreamId.ts"
import * as Snapshot from "../../store/Snapshot.ts"
import { copy } from "../copy.ts"
import { storedTypes } from "../event/eventTypes.ts"
import * as Faults from "../faults.ts"

type Decoding<E> = Pick<Projection.Source<E>, "types" | "events" | "decodeAll">

export const typed = <Es extends ReadonlyArray<Event.Any>>(group: Event.Group<Es>): Decoding<Es[number]["Type"]> => {
  const codec = EventCodec.make(group)
  return { types: storedTypes(codec.entries.values()), events: group.schema, decodeAll: codec.decodeAll }
}

export const raw: Decoding<unknown> = {
  types: undefined,
  events: undefined,
  decodeAll: (raws) => ({ events: raws, error: undefined })
}

const Proto = {
  pipe() {
    // oxlint-disable-next-line prefer-rest-params -- `pipe` is variadic by design
    return pipeArguments(this, arguments)
  }
}

type Source<Name extends string, E> = Projection.Source<E> & { readonly name: Name }

export const stateful = <Name extends string, S, SI, E>(
  source: Source<Name, E>,
  options: {
    readonly state: Schema.Schema<S, SI>
    readonly initial: S
    readonly apply: (state: S, event: E, recorded: Recorded<E>) => S
  }
): Projection.Projection<Name, S, E> => {
  const { apply, initial, state } = options
  const faults = Faults.make()
  checkSource(source, faults)
  const fingerprint = Snapshot.fingerprint(source.name, source.version, state)
  if (Either.isRight(fingerprint)) checkInitial(state, initial, faults)
  Either.getOrThrowWith(Faults.orInvalid(faults, () => undefined), (error) => error)
  Either.getOrThrowWith(fingerprint, (error) => error)
  return Object.assign(Object.create(Proto), source, { _tag: "State", state, initial, apply })
}

const checkInitial = <S>(state: Schema.Schema<S, any>, initial: S, faults: Faults.Faults): void => {
  const text = Schema.parseJson(state)
  const stored = Either.flatMap(
    ParseResult.encodeEither(text, { errors: "all" })(initial),
    ParseResult.decodeEither(text, { errors: "all" })
  )
  if (Either.isLeft(stored)) {
    faults.add("initial", `cannot be stored: ${ParseResult.TreeFormatter.formatIssueSync(stored.left)}`)
  }
}

/**
 * The state before the first event, a copy for each who asks: an `apply` that changes what it is given must not change what
 * others begin with. Throws `InvalidInput` for one that cannot be stored.
 */
export const initialStates = <S>(state: Schema.Schema<S, any>, initial: S): () => S => {
  const faults = Faults.make()
  checkInitial(state, initial, faults)
  return Either.getOrThrowWith(Faults.orInvalid(faults, () => () => copy(initial)), (error) => error)
}

export const handling = <Name extends string, E, Err, R>(
  source: Source<Name, E>,
  handle: (events: ReadonlyArray<Recorded<E>>) => Effect.Effect<void, Err, R>
): Projection.Handler<Name, E, Err, R> => {
  const faults = Faults.make()
  checkSource(source, faults)
  Either.getOrThrowWith(Faults.orInvalid(faults, () => undefined), (error) => error)
  return Object.assign(Object.create(Proto), source, { _tag: "Handler", handle })
}

const checkSource = (source: Projection.Source<unknown>, faults: Faults.Faults): void => {
  const add = (path: string, problem: string | undefined) => {
    if (problem !== undefined) faults.add(path, problem)
  }
  add("name", Faults.nameProblem(source.name))
  add("version", Faults.countProblem(source.version, 1))
  if (source.category !== undefined) add("category", StreamId.categoryProblem(source.category))
  add("events", source.types?.length === 0 ? "must hold an event type" : undefined)
}
