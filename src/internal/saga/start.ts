import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import * as Random from "effect/Random"
import * as Correlation from "../../event/Correlation.ts"
import type { Definition } from "../../saga/SagaDefinition.ts"
import type { Service } from "../../saga/SagaEngine.ts"
import { type AskError, PayloadDiffers, SagaNotRegistered } from "../../saga/SagaError.ts"
import * as Journal from "../../saga/SagaJournal.ts"
import type { AppendError } from "../../store/AppendError.ts"
import type { Group } from "../../store/EventStore.ts"
import { StoreError } from "../../store/StoreError.ts"
import type { InvalidInput } from "../../event/InvalidInput.ts"
import * as Faults from "../faults.ts"
import * as Json from "../json.ts"
import * as AppendNow from "../store/appendNow.ts"
import { entryOf } from "./entry.ts"
import type { Fleet } from "./fleet.ts"
import * as Index from "./index.ts"
import { begin } from "./life.ts"
import { load } from "./load.ts"
import * as Machine from "./machine.ts"
import { initial, type SagaState } from "./state.ts"
import * as Metrics from "./metrics.ts"

/** Of one saga, by the key it has in this fleet; `payload` is the encoded one. */
interface Start {
  readonly definition: Definition
  readonly id: string
  readonly key: string
  readonly payload: unknown
  readonly seed: number
}

/** Its first event, at `at`, under the metadata of whoever starts it; `here` where its shard is this engine's. */
interface Begun {
  readonly at: number
  readonly eventId: string
  readonly groups: ReadonlyArray<Group>
  readonly here: boolean
  readonly metadata: Correlation.Correlation
  readonly started: Journal.JournalEvent
}

/** The saga's id. */
type Answer = Effect.Effect<string, StoreError | InvalidInput | PayloadDiffers>

/** Starts sagas: their first event, and what runs them where their shard is here. */
export const make = (fleet: Fleet, ready: Effect.Effect<void, AskError>): Service["start"] => {
  const { ids, shared, store } = fleet.options

  const joined = (state: SagaState, payload: unknown): Effect.Effect<string, PayloadDiffers> =>
    Json.canonical(state.payload) === Json.canonical(payload)
      ? Effect.succeed(state.id)
      : new PayloadDiffers({ saga: state.saga, id: state.id })

  const appendNow = AppendNow.of(store)

  const closed = (): StoreError => new StoreError({ reason: "closed", operation: "SagaEngine.start" })

  /** What is to be journaled. */
  const begun = ({ definition, id, key, payload, seed }: Start, fiber: Fiber.RuntimeFiber<any, any>): Begun => {
    const { deadline, name: saga, version } = definition.contract
    const at = Context.get(fiber.currentDefaultServices, Clock.Clock).unsafeCurrentTimeMillis()
    const started: Journal.JournalEvent = {
      _tag: "SagaStarted",
      saga,
      id,
      version,
      payload,
      seed,
      ...(deadline === undefined ? {} : { deadline: Math.ceil(at + Duration.toMillis(deadline)) })
    }
    const eventId = ids(at)
    // Before it can be heard of; where it goes to another process meanwhile, that one finds it in its index.
    const here = fleet.shardOf(key) !== undefined
    if (shared && here) fleet.startedHere.add(key)
    const groups: ReadonlyArray<Group> = [{
      stream: `${Journal.Sagas.name}-${Journal.idOf(saga, id)}`,
      expected: "noStream",
      events: [entryOf(started, eventId, at)]
    }]
    return { at, eventId, groups, here, metadata: fiber.getFiberRef(Correlation.currentCorrelation), started }
  }

  /** What follows where it was journaled. */
  const written = (
    { definition, id, key }: Start,
    { at, eventId, here, metadata, started }: Begun
  ): Effect.Effect<string> => {
    Metrics.started(definition.contract.name)
    if (here && fleet.shardOf(key) !== undefined && !fleet.stopping && !fleet.runners.has(key)) {
      const state = Machine.apply(initial, started, at)
      const correlation = Correlation.following({ id: eventId, metadata })
      // Whoever waits for its end does so before it is there, and need not read its journal.
      begin(fleet.launch(key, definition, { state, correlation }))
    } else {
      fleet.startedHere.delete(key)
      fleet.notice(key)
    }
    return Effect.succeed(id)
  }

  const refused = (error: AppendError, { definition, id, key, payload }: Start): Answer => {
    fleet.startedHere.delete(key)
    switch (error._tag) {
      case "StoreError":
        return Effect.fail(error)
      case "VersionConflict":
        return Effect.flatMap(load(store, definition.contract.name, id), (loaded): Answer => {
          if (Option.isNone(loaded)) {
            return new StoreError({ reason: "unknown", operation: "SagaEngine.start" })
          }
          const { state } = loaded.value
          return Effect.map(joined(state, payload), () => {
            // Its start was journaled, and whoever did that did not live to go on.
            if (state.ended === undefined && !fleet.parked.has(key)) fleet.notice(key)
            return id
          })
        })
      default:
        return Faults.invalid("payload", error.message)
    }
  }

  /** In this turn, where the store can; else nothing was done. */
  const createNow = (start: Start, fiber: Fiber.RuntimeFiber<any, any>): Answer | undefined => {
    if (appendNow === undefined) return undefined
    const what = begun(start, fiber)
    const appended = appendNow(fiber, what.metadata, what.groups)
    if (appended === undefined) return undefined
    return appended._tag === "Success"
      ? written(start, what)
      : Effect.catchAll(Effect.failCause(appended.cause), (error) => refused(error, start))
  }

  const create = (start: Start): Answer =>
    Effect.withFiberRuntime((fiber) => {
      if (fleet.stopping) return closed()
      const what = begun(start, fiber)
      return Effect.matchEffect(store.append(what.groups), {
        onFailure: (error) => refused(error, start),
        onSuccess: () => written(start, what)
      })
    })

  /** One after the other for each saga: the second joins the first. */
  const alone = (start: Start): Answer =>
    Effect.withFiberRuntime((fiber) => {
      const { key, payload } = start
      const running = fleet.runners.get(key)
      if (running !== undefined && !running.closed) return joined(running.state, payload)
      const other = fleet.starting.get(key)
      if (other !== undefined) return Effect.zipRight(Deferred.await(other), alone(start))
      if (fleet.stopping) return closed()
      const created = createNow(start, fiber)
      if (created !== undefined) return created
      const done: Deferred.Deferred<void> = Deferred.unsafeMake(FiberId.none)
      fleet.starting.set(key, done)
      return Effect.ensuring(
        Effect.uninterruptible(create(start)),
        Effect.sync(() => {
          fleet.starting.delete(key)
          Deferred.unsafeDone(done, Exit.void)
        })
      )
    })

  const start: Service["start"] = (contract, given) =>
    Effect.withFiberRuntime((fiber) => {
      const definition = fleet.definition(contract.name, contract.version)
      if (definition === undefined) {
        return new SagaNotRegistered({ saga: contract.name, version: contract.version })
      }
      return Effect.flatMap(
        Effect.mapError(
          ParseResult.encodeUnknown(contract.payload)(given),
          (issue) => Faults.invalid("payload", ParseResult.TreeFormatter.formatIssueSync(issue))
        ),
        (payload: unknown): ReturnType<Service["start"]> => {
          const id = contract.idempotencyKey(given)
          const problem = Faults.nameProblem(id, 256)
          if (problem !== undefined) return Faults.invalid("id", problem)
          const { tenant } = fiber.getFiberRef(Correlation.currentCorrelation)
          const key = Index.keyOf(tenant, contract.name, id)
          return Effect.flatMap(
            Random.nextIntBetween(0, 2 ** 31),
            (seed) => alone({ definition, id, key, payload, seed })
          )
        }
      )
    })

  return (contract, given) => {
    const started = start(contract, given)
    return Effect.zipRight(ready, started)
  }
}
