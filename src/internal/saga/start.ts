import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import * as Random from "effect/Random"
import * as Correlation from "../../event/Correlation.ts"
import type { Definition } from "../../saga/SagaDefinition.ts"
import type { Service } from "../../saga/SagaEngine.ts"
import { type AskError, PayloadDiffers, SagaNotRegistered } from "../../saga/SagaError.ts"
import * as Journal from "../../saga/SagaJournal.ts"
import { StoreError } from "../../store/StoreError.ts"
import * as Faults from "../faults.ts"
import * as Json from "../json.ts"
import { entryOf } from "./entry.ts"
import type { Fleet } from "./fleet.ts"
import * as Index from "./index.ts"
import { live } from "./life.ts"
import { load } from "./load.ts"
import * as Machine from "./machine.ts"
import * as Metrics from "./metrics.ts"

/** Starts sagas: their first event, and what runs them where their shard is here. */
export const make = (fleet: Fleet, ready: Effect.Effect<void, AskError>): Service["start"] => {
  const { ids, shared, store } = fleet.options

  const joined = (state: Machine.SagaState, payload: unknown): Effect.Effect<string, PayloadDiffers> =>
    Json.canonical(state.payload) === Json.canonical(payload)
      ? Effect.succeed(state.id)
      : new PayloadDiffers({ saga: state.saga, id: state.id })

  const create = (key: string, definition: Definition, id: string, payload: unknown) =>
    Effect.gen(function*() {
      const { deadline, name: saga, version } = definition.contract
      if (fleet.stopping) return yield* new StoreError({ reason: "closed", operation: "SagaEngine.start" })
      const at = yield* Clock.currentTimeMillis
      const seed = yield* Random.nextIntBetween(0, 2 ** 31)
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
      const written = yield* Effect.either(
        store.append([{
          stream: `${Journal.Sagas.name}-${Journal.idOf(saga, id)}`,
          expected: "noStream",
          events: [entryOf(started, eventId, at)]
        }])
      )
      if (Either.isRight(written)) {
        Metrics.started(saga)
        const metadata = yield* Correlation.current
        if (here && fleet.shardOf(key) !== undefined && !fleet.stopping && !fleet.runners.has(key)) {
          const state = Machine.apply(Machine.initial, started, at)
          const correlation = Correlation.following({ id: eventId, metadata })
          const runner = fleet.launch(key, definition, { state, correlation })
          // Whoever waits for its end does so before it is there, and need not read its journal.
          runner.fork(Effect.zipRight(Effect.yieldNow(), live(runner)))
        } else {
          fleet.startedHere.delete(key)
          fleet.notice(key)
        }
        return id
      }
      fleet.startedHere.delete(key)
      const error = written.left
      switch (error._tag) {
        case "StoreError":
          return yield* error
        case "VersionConflict": {
          const loaded = yield* load(store, saga, id)
          if (Option.isNone(loaded)) {
            return yield* new StoreError({ reason: "unknown", operation: "SagaEngine.start" })
          }
          const { state } = loaded.value
          yield* joined(state, payload)
          // Its start was journaled, and whoever did that did not live to go on.
          if (state.ended === undefined && !fleet.parked.has(key)) fleet.notice(key)
          return id
        }
        default:
          return yield* Faults.invalid("payload", error.message)
      }
    })

  return (contract, given) =>
    Effect.gen(function*() {
      yield* ready
      const definition = fleet.definition(contract.name, contract.version)
      if (definition === undefined) {
        return yield* new SagaNotRegistered({ saga: contract.name, version: contract.version })
      }
      const payload: unknown = yield* Effect.mapError(
        ParseResult.encodeUnknown(contract.payload)(given),
        (issue) => Faults.invalid("payload", ParseResult.TreeFormatter.formatIssueSync(issue))
      )
      const id = contract.idempotencyKey(given)
      const problem = Faults.nameProblem(id, 256)
      if (problem !== undefined) return yield* Faults.invalid("id", problem)
      const { tenant } = yield* Correlation.current
      const key = Index.keyOf(tenant, contract.name, id)
      while (true) {
        const running = fleet.runners.get(key)
        if (running !== undefined && !running.closed) return yield* joined(running.state, payload)
        const other = fleet.starting.get(key)
        if (other === undefined) break
        yield* Deferred.await(other)
      }
      const done = yield* Deferred.make<void>()
      fleet.starting.set(key, done)
      return yield* Effect.ensuring(
        Effect.uninterruptible(create(key, definition, id, payload)),
        Effect.suspend(() => {
          fleet.starting.delete(key)
          return Deferred.succeed(done, undefined)
        })
      )
    })
}
