/** Which sagas are in flight, and how many have ended how: a projection, so that nobody scans all history for it. */
import * as Effect from "effect/Effect"
import * as Hash from "effect/Hash"
import * as Layer from "effect/Layer"
import * as Context from "effect/Context"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Projection from "../../cqrs/Projection.ts"
import type { InvalidInput } from "../../event/InvalidInput.ts"
import * as Journal from "../../saga/SagaJournal.ts"
import { type State, Summary } from "../../saga/SagaStatus.ts"
import { EventStore } from "../../store/EventStore.ts"
import * as SnapshotStore from "../../store/SnapshotStore.ts"
import { StoreError } from "../../store/StoreError.ts"
import { tenantKey } from "../store/tenantKey.ts"

const record = <A, I>(value: Schema.Schema<A, I>) => Schema.Record({ key: Schema.String, value })

/** What is known of a saga in flight. */
const Entry = Schema.Struct({
  ...Summary.fields,
  /** What it waits for, by the step: the signal, or nothing where it is an instant. */
  waits: Schema.optionalWith(record(Schema.String), { exact: true }),
  /** The signals that have come: who waits for one of them has it at once. */
  heard: Schema.optionalWith(Schema.Array(Schema.String), { exact: true })
})

type Entry = typeof Entry.Type

const IndexState = Schema.Struct({
  /** By key, in buckets: a change copies one of them. */
  inFlight: record(record(Entry)),
  /** By saga, and how it ended. */
  ended: record(Schema.Number)
})

type IndexState = typeof IndexState.Type

/** The key of a saga over all tenants. */
export const keyOf = (tenant: string | undefined, saga: string, id: string): string =>
  tenantKey(tenant, Journal.idOf(saga, id))

/** What {@link keyOf} was made of. */
export const partsOf = (
  key: string
): { readonly tenant: string | undefined; readonly saga: string; readonly id: string } => {
  const colon = key.indexOf(":")
  const length = Number(key.slice(0, colon))
  const name = length === 0 ? key.slice(colon + 1) : key.slice(colon + length + 2)
  const slash = name.indexOf("/")
  return {
    tenant: length === 0 ? undefined : key.slice(colon + 1, colon + 1 + length),
    saga: name.slice(0, slash),
    id: name.slice(slash + 1)
  }
}

const buckets = 256

const bucketOf = (key: string): string => String(Hash.string(key) & (buckets - 1))

const set = (state: IndexState, key: string, to: Entry): IndexState => {
  const bucket = bucketOf(key)
  return { ...state, inFlight: { ...state.inFlight, [bucket]: { ...state.inFlight[bucket], [key]: to } } }
}

const change = (state: IndexState, key: string, to: (before: Entry) => Entry): IndexState => {
  const before = state.inFlight[bucketOf(key)]?.[key]
  return before === undefined ? state : set(state, key, to(before))
}

const remove = (state: IndexState, key: string): IndexState => {
  const bucket = bucketOf(key)
  const { [key]: _, ...kept } = state.inFlight[bucket] ?? {}
  return { ...state, inFlight: { ...state.inFlight, [bucket]: kept } }
}

/** The same saga, waiting for a step, or not any more. */
const waiting = (before: Entry, at: number, step: string, signal: string | undefined): Entry => {
  const { [step]: known, ...others } = before.waits ?? {}
  if (signal === undefined) return known === undefined ? before : { ...before, changedAt: at, waits: others }
  if (before.heard?.includes(signal) === true) return before
  return { ...before, changedAt: at, waits: { ...others, [step]: signal } }
}

const summaryOf = ({ heard: _, waits = {}, ...summary }: Entry): Summary => {
  if (summary.interventions.length > 0) return { ...summary, state: "needsIntervention" }
  return summary.state === "running" && Object.keys(waits).length > 0 ? { ...summary, state: "waiting" } : summary
}

const Index = Projection.make("skald-sagas", {
  version: 3,
  category: Journal.Sagas.name,
  allTenants: true,
  state: IndexState,
  events: [
    Journal.Started,
    Journal.RoundStarted,
    // what begins a wait, and what ends it; steps that run, of which there are many more, are not listened to
    Journal.TimerSet,
    Journal.TimerFired,
    Journal.SignalAwaited,
    Journal.SignalReceived,
    Journal.SignalLimitPassed,
    Journal.AttemptFailed,
    Journal.StepAttempted,
    Journal.StepLost,
    Journal.Decided,
    Journal.InterventionNeeded,
    Journal.OperatorActed,
    Journal.Ended
  ],
  initial: { inFlight: {}, ended: {} },
  apply: (state, event, recorded): IndexState => {
    const { tenant } = recorded.metadata
    const at = recorded.occurredAt.epochMillis
    const key = tenantKey(tenant, recorded.stream.slice(Journal.Sagas.name.length + 1))
    switch (event._tag) {
      case "SagaStarted": {
        const { id, saga, version } = event
        const summary: Summary = {
          saga,
          id,
          version,
          state: "running",
          startedAt: at,
          changedAt: at,
          interventions: [],
          ...(tenant === undefined ? {} : { tenant })
        }
        return set(state, key, summary)
      }
      case "SagaRoundStarted":
        return change(state, key, (before) => ({ ...before, state: "running", changedAt: at, waits: {} }))
      case "SagaTimerSet":
      case "SagaAttemptFailed":
        return change(state, key, (before) => waiting(before, at, event.step, ""))
      case "SagaSignalAwaited":
        return change(state, key, (before) => waiting(before, at, event.step, event.signal))
      case "SagaTimerFired":
      case "SagaSignalLimitPassed":
      case "SagaStepAttempted":
        return change(state, key, (before) => waiting(before, at, event.step, undefined))
      case "SagaStepLost":
        return change(state, key, (before) => ({
          ...waiting(before, at, event.step, undefined),
          interventions: before.interventions.filter((each) => each.step !== event.step)
        }))
      case "SagaSignalReceived":
        return change(state, key, (before) => {
          const { heard = [], waits = {} } = before
          if (heard.includes(event.signal)) return before
          const left = Object.entries(waits).filter(([, signal]) => signal !== event.signal)
          return { ...before, changedAt: at, waits: Object.fromEntries(left), heard: [...heard, event.signal] }
        })
      case "SagaDecided":
        return event.decision === "commit"
          ? state
          : change(
            state,
            key,
            (before) => ({ ...before, state: "compensating", changedAt: at, interventions: [], waits: {} })
          )
      case "SagaInterventionNeeded": {
        const { failure, reason, step } = event
        const needed = {
          reason,
          since: at,
          ...(step === undefined ? {} : { step }),
          ...(failure === undefined ? {} : { failure })
        }
        return change(state, key, (before) => ({
          ...before,
          changedAt: at,
          interventions: [...before.interventions.filter((each) => each.step !== step), needed]
        }))
      }
      case "SagaOperatorActed":
        return event.act === "cancel" ? state : change(state, key, (before) => ({
          ...before,
          changedAt: at,
          interventions: event.step === undefined ?
            [] :
            before.interventions.filter((each) =>
              each.step === undefined ? event.act !== "resolve" : each.step !== event.step
            )
        }))
      case "SagaEnded": {
        const counted = `${event.state}/${event.saga}`
        const removed = remove(state, key)
        return { ...removed, ended: { ...state.ended, [counted]: (state.ended[counted] ?? 0) + 1 } }
      }
    }
  }
})

/** What the index knows, once it has come to the head of the log. */
export interface SagaIndex {
  readonly inFlight: Effect.Effect<ReadonlyArray<Summary>, StoreError>
  /** By saga. */
  readonly ended: Effect.Effect<
    ReadonlyArray<{ readonly saga: string; readonly state: State; readonly count: number }>,
    StoreError
  >
}

export const make: Effect.Effect<SagaIndex, StoreError | InvalidInput, EventStore | Scope.Scope> = Effect.gen(
  function*() {
    const store = yield* EventStore
    const given = yield* Effect.serviceOption(SnapshotStore.SnapshotStore)
    const snapshots = Option.isSome(given)
      ? given.value
      : Context.get(yield* Layer.build(SnapshotStore.layerMemory), SnapshotStore.SnapshotStore)
    const context = yield* Effect.provide(
      Layer.build(Projection.layerAsync(Index, { saveEvery: 5_000 })),
      Context.make(EventStore, store).pipe(Context.add(SnapshotStore.SnapshotStore, snapshots))
    )
    const handle = Context.get(context, Projection.running(Index))
    const state = Effect.flatMap(store.head, (head) =>
      Effect.zipRight(
        Effect.mapError(
          handle.awaitPosition(head),
          (cause) => new StoreError({ reason: "unknown", operation: "SagaEngine.list", cause })
        ),
        handle.state
      ))
    return {
      inFlight: Effect.map(
        state,
        ({ inFlight }) => Object.values(inFlight).flatMap((bucket) => Object.values(bucket)).map(summaryOf)
      ),
      ended: Effect.map(state, ({ ended }) =>
        Object.entries(ended).map(([key, count]) => {
          const at = key.indexOf("/")
          return { state: key.slice(0, at) as State, saga: key.slice(at + 1), count }
        }))
    }
  }
)
