import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as Journal from "../../saga/SagaJournal.ts"
import { keepOn } from "../keepOn.ts"
import type { Fleet } from "./fleet.ts"
import { tenantKey } from "../store/tenantKey.ts"

const types = [
  "SagaStarted",
  "SagaResumed",
  "SagaSignalReceived",
  "SagaOperatorActed",
  "SagaInterventionNeeded",
  "SagaEnded"
]

/**
 * Hears what processes write to journals, this one and others, from a position on: who has the saga looks at it, and who waits
 * for it is told.
 */
export const watch = (fleet: Fleet, from: number): Effect.Effect<never> => {
  let after = from
  return keepOn("the subscription to journals of sagas", Schedule.spaced("1 second"), () =>
    Stream.runForEachChunk(
      Stream.suspend(() =>
        fleet.options.store.subscribe({ category: Journal.Sagas.name, types, allTenants: true, after })
      ),
      (chunk) =>
        Effect.sync(() => {
          for (const { metadata, position, stream, type, version } of chunk) {
            hear(fleet, tenantKey(metadata.tenant, stream.slice(Journal.Sagas.name.length + 1)), type, version)
            after = position
          }
        })
    ))
}

const hear = (fleet: Fleet, key: string, type: string, version: number): void => {
  const runner = fleet.runners.get(key)
  switch (type) {
    case "SagaStarted":
      if (!fleet.startedHere.delete(key)) fleet.notice(key)
      return
    case "SagaEnded":
    case "SagaInterventionNeeded":
      return fleet.tell(key)
    default: {
      const parked = fleet.parked.get(key)
      const known = (runner ?? parked) === undefined ? undefined : runner?.state.version ?? parked?.version
      // Who has written it is known, or will be heard of again.
      if (known === undefined ? type !== "SagaResumed" : version > known) fleet.notice(key)
      fleet.tell(key)
    }
  }
}
