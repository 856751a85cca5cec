import * as Effect from "effect/Effect"
import type { Host } from "../../saga/SagaDefinition.ts"
import { nested } from "./nested.ts"
import type { Runner } from "./runner.ts"
import { step } from "./step.ts"
import { signal, sleep } from "./waits.ts"

/** What a body, or a nested one, asks its steps of. */
export const host = (runner: Runner, parent: string): Host => ({
  step: (request) => step(runner, parent, request),
  sleep: (name, key, duration) => sleep(runner, parent, name, key, duration),
  signal: (request) => signal(runner, parent, request),
  nested: (name, key, body) =>
    Effect.suspend(() => nested(runner, parent, name, key, body, (inner) => host(runner, inner)))
})
