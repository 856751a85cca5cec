import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Correlation from "../../event/Correlation.ts"
import type { InvalidInput } from "../../event/InvalidInput.ts"
import * as Journal from "../../saga/SagaJournal.ts"
import { EventStore, type Service as Store } from "../../store/EventStore.ts"
import type { StoreError } from "../../store/StoreError.ts"
import { external } from "./journalWriter.ts"
import * as Machine from "./machine.ts"
import { initial, type SagaState } from "./state.ts"

/** What a journal says. */
export interface Loaded {
  readonly state: SagaState
  readonly correlation: Correlation.Correlation
  /** Whether nobody has owned it since the version that was asked for. */
  readonly unowned: boolean
}

/** Reads the journal of a saga of the fiber's tenant; none where there is no such saga. */
export const load = (
  store: Store,
  saga: string,
  id: string,
  since = 0
): Effect.Effect<Option.Option<Loaded>, StoreError | InvalidInput> => {
  let state = initial
  let correlation: Correlation.Correlation | undefined
  let unowned = true
  const next = () =>
    Journal.Sagas.readPage(Journal.idOf(saga, id), { from: state.version + 1 }).pipe(
      Effect.catchTags({ UnknownEventType: unreadable, UndecodableEvent: unreadable }),
      Effect.provideService(EventStore, store)
    )
  const more: Effect.Effect<void, StoreError | InvalidInput> = Effect.suspend(() =>
    Effect.flatMap(
      next(),
      (page) => {
        for (const recorded of page.events) {
          correlation ??= Correlation.following(recorded)
          state = Machine.apply(state, recorded.payload, recorded.occurredAt.epochMillis)
          if (state.version > since && !external(recorded.payload)) unowned = false
        }
        return page.more ? more : Effect.void
      }
    )
  )
  return Effect.map(
    more,
    () => correlation === undefined ? Option.none() : Option.some({ state, correlation, unowned })
  )
}

/** Runs an effect for a tenant's saga. */
export const inTenant = (tenant: string | undefined) => <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.locallyWith(
    effect,
    Correlation.currentCorrelation,
    ({ tenant: _, ...rest }) => tenant === undefined ? rest : { ...rest, tenant }
  )

const unreadable = (error: Error): Effect.Effect<never> => Effect.die(error)
