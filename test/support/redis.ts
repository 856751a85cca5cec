/** Keys of one's own in the Redis that a run can reach, removed afterwards; and servers of one's own. */
import { Effect, type Scope } from "effect"
import { Redis } from "ioredis"
import { type ChildProcess, spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import { once } from "node:events"
import { type AddressInfo, createServer } from "node:net"
import { tempDirectory } from "./tempDirectory.ts"

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

/** A server of one's own, empty, in a folder of its own; it ends with the scope. */
export interface OwnServer {
  readonly url: string
  /** Starts it, on the data that is there, and waits until it answers. */
  readonly start: Effect.Effect<void>
  /** Ends it as a crash does. */
  readonly kill: Effect.Effect<void>
  readonly admin: Redis
}

const freePort = Effect.async<number>((resume) => {
  const listener = createServer()
  listener.listen(0, "127.0.0.1", () => {
    const { port } = listener.address() as AddressInfo
    listener.close(() => resume(Effect.succeed(port)))
  })
})

export const ownServer = (...settings: ReadonlyArray<string>): Effect.Effect<OwnServer, never, Scope.Scope> =>
  Effect.gen(function*() {
    const directory = yield* tempDirectory
    const port = yield* freePort
    const url = `redis://127.0.0.1:${port}`
    let child: ChildProcess | undefined
    const admin = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const client = new Redis(url, { lazyConnect: true, retryStrategy: () => 10, maxRetriesPerRequest: null })
        client.on("error", () => {})
        return client
      }),
      (client) => Effect.sync(() => client.disconnect())
    )
    const start = Effect.promise(async () => {
      child = spawn("redis-server", [
        "--port",
        String(port),
        "--bind",
        "127.0.0.1",
        "--dir",
        directory,
        "--save",
        "",
        ...settings
      ], { stdio: "ignore" })
      const ended = once(child, "exit").then(([code]) => Promise.reject(new Error(`redis-server ended with ${code}`)))
      // It waits until the server is there and has loaded its data.
      await Promise.race([admin.ping(), ended])
      ended.catch(() => {})
    })
    const kill = Effect.promise(async () => {
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
      const exited = once(child, "exit")
      child.kill("SIGKILL")
      await exited
    })
    yield* Effect.acquireRelease(start, () => kill)
    return { url, start, kill, admin }
  })
