import * as Effect from "effect/Effect"
import type * as Projection from "../../cqrs/ProjectionDefinition.ts"
import { defaultSaveEvery, type RunOptions } from "../../cqrs/ProjectionRunning.ts"
import * as Faults from "../faults.ts"
import { openHandler } from "./projectionHandlerWork.ts"
import * as Parking from "./projectionParking.ts"
import type { Site } from "./projectionSite.ts"
import { openState } from "./projectionStateWork.ts"
import type { Settings, Work } from "./projectionWork.ts"

/** Takes a projection up where it was left. */
export const open = (
  self: Projection.Any,
  site: Site,
  options: RunOptions | undefined
): Effect.Effect<Work, unknown, any> =>
  Effect.gen(function*() {
    const saveEvery = options?.saveEvery ?? defaultSaveEvery
    const faults = Faults.make()
    const problem = Faults.countProblem(saveEvery, 1)
    if (problem !== undefined) faults.add("options.saveEvery", problem)
    const onFailure: unknown = options?.onFailure
    if (onFailure !== undefined && onFailure !== "stop" && onFailure !== "park") {
      faults.add("options.onFailure", `must be "stop" or "park", got ${Faults.show(onFailure)}`)
    }
    yield* Faults.orInvalid(faults, () => undefined)
    const parking = onFailure === "park" ? yield* Parking.open(self, site, options?.retry) : undefined
    const settings: Settings = { site, saveEvery, parking }
    return yield* self._tag === "State" ? openState(self, settings) : openHandler(self, settings)
  })
