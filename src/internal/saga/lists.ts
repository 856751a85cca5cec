import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Correlation from "../../event/Correlation.ts"
import type { Change, ListOptions, Service } from "../../saga/SagaEngine.ts"
import type { AskError } from "../../saga/SagaError.ts"
import * as Journal from "../../saga/SagaJournal.ts"
import type { State, Summary } from "../../saga/SagaStatus.ts"
import { EventStore, type Service as Store } from "../../store/EventStore.ts"
import * as Query from "../../store/Query.ts"
import { StoreError } from "../../store/StoreError.ts"
import type { Fleet } from "./fleet.ts"
import { keyOf, type SagaIndex } from "./index.ts"
import { stateOf } from "./view.ts"

const endings: ReadonlyArray<State> = ["completed", "compensated", "timedOut"]

const none: { readonly [state in State]: number } = {
  started: 0,
  running: 0,
  waiting: 0,
  compensating: 0,
  completed: 0,
  compensated: 0,
  timedOut: 0,
  needsIntervention: 0
}

/** Lists, statistics and streams: from the index, and from the store where sagas have ended. */
export const make = (engine: {
  readonly store: Store
  readonly index: SagaIndex
  readonly ready: Effect.Effect<void, AskError>
  readonly fleet: Fleet
}): Pick<Service, "list" | "statistics" | "changes" | "interventions"> => {
  const { fleet, index, ready, store } = engine

  /** A saga of this process is known better than by the index. */
  const exact = (each: Summary): Summary => {
    const key = keyOf(each.tenant, each.saga, each.id)
    const state = fleet.parked.get(key)?.state ?? Option.getOrUndefined(
      Option.map(Option.fromNullable(fleet.runners.get(key)), (runner) => stateOf(runner.state))
    )
    return state === undefined ? each : { ...each, state }
  }
  const inFlight = Effect.zipRight(
    ready,
    Effect.map(index.inFlight, (all) => all.map(exact).filter((each) => !endings.includes(each.state)))
  )

  const ended = (
    state: State,
    saga: string | undefined,
    limit: number,
    before: number
  ): Effect.Effect<ReadonlyArray<Summary>, AskError> =>
    Stream.runCollect(
      Journal.Sagas.readAll({
        types: [Journal.Ended],
        query: Query.unsafeMake({ tags: [`state:${state}`, ...(saga === undefined ? [] : [`saga:${saga}`])] }),
        backwards: true,
        allTenants: true
      }).pipe(
        Stream.mapEffect((recorded) => {
          const { id, saga } = recorded.payload
          const first = Journal.Sagas.readPage(Journal.idOf(saga, id), { to: 1 })
          return Effect.map(inTenant(recorded.metadata.tenant, first), ({ events: [started] }): Summary => ({
            saga,
            id,
            version: started?.payload._tag === "SagaStarted" ? started.payload.version : 0,
            state,
            startedAt: started?.occurredAt.epochMillis ?? recorded.occurredAt.epochMillis,
            changedAt: recorded.occurredAt.epochMillis,
            interventions: [],
            ...(recorded.metadata.tenant === undefined ? {} : { tenant: recorded.metadata.tenant })
          }))
        }, { concurrency: 8 }),
        Stream.filter(({ startedAt }) => startedAt <= before),
        Stream.take(limit)
      )
    ).pipe(
      Effect.map((all): ReadonlyArray<Summary> => Array.from(all)),
      Effect.catchTags({ UnknownEventType: unreadable, UndecodableEvent: unreadable }),
      Effect.provideService(EventStore, store)
    )

  const list = (options: ListOptions = {}): Effect.Effect<ReadonlyArray<Summary>, AskError> =>
    Effect.gen(function*() {
      const { limit = 1_000, olderThan, saga, states } = options
      const now = yield* Clock.currentTimeMillis
      const before = olderThan === undefined ? Number.POSITIVE_INFINITY : now - Duration.toMillis(olderThan)
      const flying = yield* inFlight
      const past = yield* Effect.forEach(
        endings.filter((state) => states?.includes(state) === true),
        (state) => ended(state, saga, limit, before)
      )
      return [...flying.filter((each) => states === undefined || states.includes(each.state)), ...past.flat()]
        .filter((each) => (saga === undefined || each.saga === saga) && each.startedAt <= before)
        .sort((a, b) => a.startedAt - b.startedAt)
        .slice(0, limit)
    })

  const statistics = Effect.gen(function*() {
    const counted: Record<string, { [state in State]: number }> = {}
    const add = (saga: string, state: State, count: number) => {
      const of = counted[saga] ??= { ...none }
      of[state] += count
    }
    for (const each of yield* inFlight) add(each.saga, each.state, 1)
    for (const each of yield* index.ended) add(each.saga, each.state, each.count)
    return counted
  })

  const changes: Service["changes"] = Journal.Sagas.subscribe({ allTenants: true }).pipe(
    Stream.filterMap((recorded) => {
      const event = recorded.payload
      const state = stateAfter(event)
      if (state === undefined) return Option.none()
      const [saga = "", id = ""] = splitOnce(recorded.stream.slice(Journal.Sagas.name.length + 1))
      const change: Change = { tenant: recorded.metadata.tenant, saga, id, state, position: recorded.position }
      return Option.some(change)
    }),
    Stream.provideService(EventStore, store)
  )

  const interventions: Service["interventions"] = Journal.Sagas.subscribe({
    types: [Journal.InterventionNeeded],
    allTenants: true
  }).pipe(
    Stream.mapEffect((recorded) => {
      const { failure, id, reason, saga, step } = recorded.payload
      const since = recorded.occurredAt.epochMillis
      const { tenant } = recorded.metadata
      return Effect.map(index.inFlight, (all): Summary => {
        const known = all.find((each) => each.saga === saga && each.id === id && each.tenant === tenant)
        return known ?? {
          saga,
          id,
          version: 0,
          state: "needsIntervention",
          startedAt: since,
          changedAt: since,
          interventions: [{
            reason,
            since,
            ...(step === undefined ? {} : { step }),
            ...(failure === undefined ? {} : { failure })
          }],
          ...(tenant === undefined ? {} : { tenant })
        }
      })
    }),
    Stream.provideService(EventStore, store)
  )

  return { list, statistics, changes, interventions }
}

const inTenant = <A, E, R>(tenant: string | undefined, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.locallyWith(
    effect,
    Correlation.currentCorrelation,
    ({ tenant: _, ...rest }) => tenant === undefined ? rest : { ...rest, tenant }
  )

/** The state that an event brings a saga into, where it does. */
const stateAfter = (event: Journal.JournalEvent): State | undefined => {
  switch (event._tag) {
    case "SagaStarted":
      return "started"
    case "SagaRoundStarted":
    case "SagaTimerFired":
    case "SagaSignalReceived":
      return "running"
    case "SagaTimerSet":
    case "SagaSignalAwaited":
      return "waiting"
    case "SagaDecided":
      return event.decision === "rollback" ? "compensating" : undefined
    case "SagaInterventionNeeded":
      return "needsIntervention"
    case "SagaOperatorActed":
      return event.act === "cancel" ? undefined : "running"
    case "SagaEnded":
      return event.state
    default:
      return undefined
  }
}

const splitOnce = (text: string): readonly [string, string] => {
  const at = text.indexOf("/")
  return [text.slice(0, at), text.slice(at + 1)]
}

const unreadable = (cause: Error): StoreError =>
  new StoreError({ reason: "corrupt", operation: "SagaEngine.list", cause })
