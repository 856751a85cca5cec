/** How well the services can be reached: drawn by a seed, for each step of each order, and the same in every process. */
import { Context, Effect, Layer } from "effect"
import * as Saga from "effect-skald/saga/Saga"
import { Unreachable } from "./Order.ts"

/** The seed. */
export class Weather extends Context.Tag("orders/Weather")<Weather, number>() {}

export const layer = (seed: number): Layer.Layer<Weather> => Layer.succeed(Weather, seed)

/** A number below 1, by a seed and a text (FNV-1a, mixed once more). */
export const chance = (seed: number, text: string): number => {
  let hash = 0x811c9dc5 ^ seed
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d)
  hash = Math.imul(hash ^ (hash >>> 12), 0x297a2d39)
  return ((hash ^ (hash >>> 15)) >>> 0) / 4_294_967_296
}

/**
 * What a call meets, and at how many of its attempts:
 *
 * - `busy`: the request does not arrive;
 * - `lost`: it arrives, it is done, and the answer does not come back.
 */
const meets = (drawn: number, lasting: Lasting): readonly [what: "busy" | "lost" | "nothing", times: number] => {
  if (drawn < 0.02 && lasting !== "neither") return ["busy", Number.POSITIVE_INFINITY]
  if (drawn < 0.04 && lasting === "either") return ["lost", Number.POSITIVE_INFINITY]
  if (drawn < 0.1) return ["busy", drawn < 0.07 ? 1 : 2]
  if (drawn < 0.16) return ["lost", drawn < 0.13 ? 1 : 2]
  return ["nothing", 0]
}

/** Which of them may last, so that the step fails in the end. */
export type Lasting = "either" | "busy" | "neither"

/** A call of a service over a network that fails now and then. */
export const call = <A, E, R>(
  service: string,
  lasting: Lasting,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E | Unreachable, R | Weather | Saga.Current> =>
  Effect.gen(function*() {
    const { attempt, id, round } = yield* Saga.context
    const [what, times] = meets(chance(yield* Weather, `${id}/${round}/${service}`), lasting)
    if (attempt > times) return yield* effect
    if (what === "lost") yield* effect
    return yield* new Unreachable({ service })
  })
