/** Keys of one's own in the Redis that a run can reach, removed afterwards; and servers of one's own. */
import { Effect, type Scope } from "effect"
import { randomBytes } from "node:crypto"
import { Redis } from "ioredis"

/** A connection outside of every layer. */
export const connect = (url: string): Effect.Effect<Redis, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const client = new Redis(url, { lazyConnect: true })
      client.on("error", () => {})
      await client.connect()
      return client
    }),
    (client) => Effect.sync(() => client.disconnect())
  )

const drop = (prefix: string) => (client: Redis): Effect.Effect<void> =>
  Effect.promise(async () => {
    let cursor = "0"
    do {
      const [next, keys] = await client.scan(cursor, "MATCH", `{${prefix}}:*`, "COUNT", 1_000)
      if (keys.length > 0) await client.unlink(...keys)
      cursor = next
    } while (cursor !== "0")
  })

/** A prefix that nobody else has; its keys are removed when the scope closes. */
export const prefix = (url: string): Effect.Effect<string, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => `t${randomBytes(6).toString("hex")}`),
    (prefix) => Effect.scoped(Effect.flatMap(connect(url), drop(prefix)))
  )
