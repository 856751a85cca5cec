/**
 * Parked events in Redis: a hash for each projection.
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as Layer from "effect/Layer"
import type * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { randomUUID } from "node:crypto"
import type { InvalidInput } from "../event/InvalidInput.ts"
import type { Position } from "../event/Position.ts"
import type { StreamId } from "../event/StreamId.ts"
import * as Scripts from "../internal/redis/parkedScripts.ts"
import * as Policy from "../internal/redis/policy.ts"
import * as Redis from "../internal/redis/service.ts"
import { type Parked, ParkedEvents, type Service } from "./ParkedEvents.ts"
import * as RedisClient from "./RedisClient.ts"
import { StoreError } from "./StoreError.ts"

/**
 * Where the parked events stand.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** What stands in the braces that every key begins with; `skald` by default, and the event store may have the same. */
  readonly prefix?: string | undefined
  /** How an operation is tried again after its connection was lost; `Redis.retry` by default. */
  readonly retry?: Schedule.Schedule<unknown, StoreError> | undefined
}

/**
 * How long an entry that is being retried stays with a process that has died: 5 s. Who retries it renews the hold while it
 * works.
 *
 * @since 0.1.0
 * @category constants
 */
export const heldFor: Duration.Duration = Duration.seconds(5)

/** How often a hold is renewed, and how often one looks whether somebody else's has ended. */
const renewEvery = Duration.millis(1_500)
const lookEvery = Duration.millis(50)

const Entry = Schema.parseJson(Schema.Struct({
  stream: Schema.String,
  tenant: Schema.optional(Schema.String),
  id: Schema.String,
  type: Schema.String,
  reason: Schema.Literal("failed", "behind"),
  problem: Schema.String,
  attempts: Schema.NonNegativeInt,
  parkedAt: Schema.Int
}))
const decode = Schema.decodeUnknownEither(Entry)

const textOf = ({ parkedAt, position: _, ...entry }: Parked): string =>
  JSON.stringify({ ...entry, parkedAt: parkedAt.epochMillis })

const entryOf = (operation: string, position: string, text: string): Either.Either<Parked, StoreError> => {
  const decoded = decode(text)
  const number = Number(position)
  if (Either.isLeft(decoded) || !Number.isSafeInteger(number)) {
    return Either.left(
      new StoreError({
        operation,
        reason: "corrupt",
        cause: new Error(`what is kept at ${position} was not put aside`)
      })
    )
  }
  const { parkedAt, stream, tenant, ...entry } = decoded.right
  return Either.right({
    ...entry,
    position: number as Position,
    stream: stream as StreamId,
    tenant,
    parkedAt: DateTime.unsafeMake(parkedAt)
  })
}

/** What is to be forgotten when an effect has succeeded. */
interface Transaction {
  readonly token: string
  /** The one that it is part of, whose fate it shares when it has succeeded. */
  readonly outer: Transaction | undefined
  readonly held: Map<string, Set<number>>
}

const isHeld = (transaction: Transaction, key: string, position: number): boolean =>
  transaction.held.get(key)?.has(position) === true ||
  (transaction.outer !== undefined && isHeld(transaction.outer, key, position))

const note = ({ held }: Transaction, key: string, positions: Iterable<number>): void => {
  held.set(key, new Set([...held.get(key) ?? [], ...positions]))
}

/**
 * Keeps parked events in the server of the `RedisClient`.
 *
 * There is no transaction that an effect could be part of. `atomically` holds what is to be forgotten, runs the effect, and
 * forgets it when that has succeeded: until then it stands there, and keeps its stream from going on. An effect whose process
 * dies before that runs again when the entry is retried, {@link heldFor} later at the earliest. Of two who retry one entry the
 * second waits.
 *
 * @example
 * ```ts
 * import * as RedisClient from "effect-skald/store/RedisClient"
 * import * as RedisParkedEvents from "effect-skald/store/RedisParkedEvents"
 * import { Layer } from "effect"
 *
 * export const Parked = RedisParkedEvents.layer().pipe(
 *   Layer.provide(RedisClient.layer({ url: "redis://localhost:6379" }))
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: Options = {}
): Layer.Layer<ParkedEvents, StoreError | InvalidInput, RedisClient.RedisClient> =>
  Layer.effect(
    ParkedEvents,
    Effect.gen(function*() {
      const { base, command, run } = yield* Redis.make(yield* RedisClient.RedisClient, {
        prefix: options.prefix,
        retry: options.retry ?? Policy.retry
      })
      const current = FiberRef.unsafeMake<Transaction | undefined>(undefined)
      const hold = (operation: string, key: string, token: string, positions: ReadonlyArray<number>) =>
        run(operation, Scripts.holdParked, key, token, String(Duration.toMillis(heldFor)), ...positions.map(String))

      /** Waits until nobody else holds any of them. */
      const held = (
        key: string,
        transaction: Transaction,
        positions: ReadonlyArray<number>
      ): Effect.Effect<number, StoreError> =>
        Effect.suspend(() => {
          const others = [...new Set(positions)].filter((position) => !isHeld(transaction, key, position))
          if (others.length === 0) return Effect.succeed(0)
          // noted before they are asked for: an answer that is lost, or not awaited, leaves nothing held
          note(transaction, key, others)
          const ask: Effect.Effect<number, StoreError> = Effect.flatMap(
            hold("ParkedEvents.remove", key, transaction.token, others),
            (count: number) => count < 0 ? Effect.zipRight(Effect.sleep(lookEvery), ask) : Effect.succeed(count)
          )
          return ask
        })

      const settle = ({ held, token }: Transaction, forget: boolean) =>
        Effect.forEach(
          held,
          ([key, positions]) =>
            run(
              "ParkedEvents.atomically",
              Scripts.settleParked,
              key,
              token,
              forget ? "1" : "0",
              ...Array.from(positions, String)
            ),
          { discard: true }
        )

      const renewing = ({ held, token }: Transaction) =>
        Effect.forEach(
          held,
          ([key, positions]) => Effect.ignore(hold("ParkedEvents.atomically", key, token, [...positions])),
          { discard: true }
        ).pipe(Effect.delay(renewEvery), Effect.forever)

      const atomically: Service["atomically"] = (effect) =>
        Effect.flatMap(FiberRef.get(current), (outer) => {
          const transaction: Transaction = { token: outer?.token ?? randomUUID(), outer, held: new Map() }
          const done = outer === undefined ? settle(transaction, true) : Effect.sync(() => {
            for (const [key, positions] of transaction.held) note(outer, key, positions)
          })
          return Effect.acquireUseRelease(
            Effect.forkDaemon(Effect.interruptible(renewing(transaction))),
            () => Effect.tap(Effect.locally(effect, current, transaction), () => done),
            (renewal, exit) =>
              Effect.zipRight(
                Fiber.interrupt(renewal),
                // it runs out by itself where the server cannot be reached
                Exit.isSuccess(exit) ? Effect.void : Effect.ignore(settle(transaction, false))
              )
          )
        })

      return {
        add: (key, entries) =>
          entries.length === 0 ? Effect.void : Effect.asVoid(run(
            "ParkedEvents.add",
            Scripts.addParked,
            key,
            ...entries.flatMap((entry) => [String(entry.position), textOf(entry)])
          )),
        list: (key) =>
          Effect.flatMap(
            command("ParkedEvents.list", "hgetall", `${base}parked:${key}`),
            (found: Record<string, string>) => {
              const entries: Array<Parked> = []
              for (const [position, text] of Object.entries(found)) {
                const entry = entryOf("ParkedEvents.list", position, text)
                if (Either.isLeft(entry)) return Effect.fail(entry.left)
                entries.push(entry.right)
              }
              return Effect.succeed(entries.sort((a, b) => a.position - b.position))
            }
          ),
        remove: (key, positions) =>
          Effect.flatMap(FiberRef.get(current), (transaction) =>
            transaction === undefined
              ? atomically(Effect.flatMap(FiberRef.get(current), (own) => held(key, own!, positions)))
              : held(key, transaction, positions)),
        failedAgain: (key, position, problem) =>
          Effect.suspend(() =>
            run("ParkedEvents.failedAgain", Scripts.failParked, key, String(position), problem, randomUUID())
          ),
        atomically
      }
    })
  )
