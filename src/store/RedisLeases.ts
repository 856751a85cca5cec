/**
 * Leases in Redis, among the processes that use the server.
 *
 * @since 0.1.0
 */
import { Clock, Effect, Layer, Option, type Schedule } from "effect"
import { randomUUID } from "node:crypto"
import type { InvalidInput } from "../event/InvalidInput.ts"
import * as Process from "../internal/store/lease.ts"
import * as Policy from "../internal/redis/policy.ts"
import * as Service from "../internal/redis/service.ts"
import * as Scripts from "../internal/redis/serviceScripts.ts"
import * as Lease from "./Lease.ts"
import * as RedisClient from "./RedisClient.ts"
import type { StoreError } from "./StoreError.ts"

/**
 * Where the leases stand, and whose clock counts.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** What stands in the braces that every key begins with; `skald` by default, and the event store may have the same. */
  readonly prefix?: string | undefined
  /**
   * Whose clock tells whether a lease has run out: the server's by default, so that machines whose clocks differ agree.
   * Tests by `TestClock` ask for `process`. All who share the leases must use the same.
   */
  readonly clock?: "server" | "process" | undefined
  /** How an operation is tried again after its connection was lost; `Redis.retry` by default. */
  readonly retry?: Schedule.Schedule<unknown, StoreError> | undefined
}

/**
 * Keeps leases in the server of the `RedisClient`. Tokens outlive the process; the key of a name stays for that.
 *
 * - A holder that died is replaced at once where that is certain, as over SQL: on its own machine, by its process id and the
 *   time it was started. Elsewhere the lease runs out.
 * - `check` holds for the moment of its answer: Redis has no transaction that it could hold until the end of.
 * - A server that loses what it has acknowledged may hand out a token twice: leases that guard what must be written
 *   once belong into a server with `appendfsync always`, and not on one that fails over to a replica.
 *
 * @example
 * ```ts
 * import * as RedisClient from "effect-skald/store/RedisClient"
 * import * as RedisLeases from "effect-skald/store/RedisLeases"
 * import { Layer } from "effect"
 *
 * export const Leases = RedisLeases.layer().pipe(Layer.provide(RedisClient.layer({ url: "redis://localhost:6379" })))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: Options = {}
): Layer.Layer<Lease.Lease, StoreError | InvalidInput, RedisClient.RedisClient> =>
  Layer.effect(
    Lease.Lease,
    Effect.gen(function*() {
      const { run } = yield* Service.make(yield* RedisClient.RedisClient, {
        prefix: options.prefix,
        retry: options.retry ?? Policy.retry
      })
      const time: Effect.Effect<string> = options.clock === "process"
        ? Effect.map(Clock.currentTimeMillis, (millis) => String(Math.floor(millis)))
        : Effect.succeed("")

      return Lease.makeEncoded({
        claim: (name, owner, ttl) =>
          Effect.gen(function*() {
            const now = yield* time
            const claim = randomUUID()
            const attempt = (dead: string): Effect.Effect<ReadonlyArray<string>, StoreError> =>
              run(
                "Lease.acquire",
                Scripts.claimLease,
                name,
                now,
                String(ttl),
                claim,
                owner,
                Process.machine,
                Process.self,
                dead
              )
            const found = yield* attempt("")
            const [outcome, token = ""] = found[0] === "held" && Process.isDead(found[2] ?? "", found[3] ?? "")
              ? yield* attempt(found[1] ?? "")
              : found
            return outcome === "claimed" ? Option.some(Number(token)) : Option.none()
          }),
        renew: (name, token, ttl) =>
          Effect.flatMap(time, (now) =>
            Effect.map(
              run("Lease.renew", Scripts.renewLease, name, now, String(ttl), String(token)),
              (renewed) => renewed === 1
            )),
        release: (name, token) =>
          Effect.flatMap(
            time,
            (now) => Effect.asVoid(run("Lease.release", Scripts.releaseLease, name, now, "", String(token)))
          ),
        isValid: (name, token) =>
          Effect.flatMap(time, (now) =>
            Effect.map(
              run("Lease.check", Scripts.checkLease, name, now, "", String(token)),
              (valid) => valid === 1
            ))
      })
    })
  )
