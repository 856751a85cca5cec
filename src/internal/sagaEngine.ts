import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { InvalidInput } from "../event/InvalidInput.ts"
import type { Options, Service } from "../saga/SagaEngine.ts"
import type { EventStore } from "../store/EventStore.ts"
import type { StoreError } from "../store/StoreError.ts"

export const make = (
  _options: Options
): Effect.Effect<Service, StoreError | InvalidInput, EventStore | Scope.Scope> =>
  Effect.dieMessage("the engine is being built")
