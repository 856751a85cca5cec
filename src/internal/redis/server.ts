import * as Effect from "effect/Effect"
import { StoreError } from "../../store/StoreError.ts"
import { type Client, command } from "./connection.ts"
import { storeError } from "./errors.ts"

const operation = "connect"

const refuse = (problem: string) =>
  Effect.fail(new StoreError({ operation, reason: "unknown", cause: new Error(problem) }))

/** The lines `name:value` of INFO. */
const info = (client: Client, section: string): Effect.Effect<ReadonlyMap<string, string>, StoreError> =>
  Effect.map(command(client, operation, "info", section), (text) =>
    new Map(
      String(text).split("\r\n").map((line): [string, string] => {
        const colon = line.indexOf(":")
        return [line.slice(0, colon), line.slice(colon + 1)]
      })
    ))

/** What a server must be set to so that what it has acknowledged survives its crash. */
const durableSettings = [["appendonly", "yes"], ["appendfsync", "always"], ["no-appendfsync-on-rewrite", "no"]] as const

/** Whether a server can hold events: it knows the scripts, throws nothing away, and is as durable as was asked for. */
export const check = (client: Client, durable: boolean): Effect.Effect<void, StoreError> =>
  Effect.gen(function*() {
    const version = (yield* info(client, "server")).get("redis_version") ?? "unknown"
    if (!(Number.parseInt(version, 10) >= 7)) return yield* refuse(`Redis 7 or later is needed, this is ${version}`)
    const memory = yield* info(client, "memory")
    const policy = memory.get("maxmemory_policy") ?? "noeviction"
    if (policy.startsWith("allkeys") && memory.get("maxmemory") !== "0") {
      return yield* refuse(`the server throws keys away when memory is full (maxmemory-policy ${policy})`)
    }
    if (!durable) return
    for (const [name, wanted] of durableSettings) {
      const answer: unknown = yield* Effect.mapError(
        command(client, operation, "config", "GET", name),
        (error) => storeError(operation, new Error(`durable: ${name} cannot be asked of the server`, { cause: error }))
      )
      const value: unknown = Array.isArray(answer) ? answer[1] : undefined
      if (value !== wanted) {
        return yield* refuse(`durable: the server has ${name} ${String(value)}, it must be ${wanted}`)
      }
    }
  })

const format = "1"

/** Marks the keys with the form in which they are written, and refuses those of another. */
export const claim = (client: Client, base: string): Effect.Effect<void, StoreError> =>
  Effect.gen(function*() {
    const key = `${base}meta`
    yield* command(client, operation, "hsetnx", key, "format", format)
    const found: unknown = yield* command(client, operation, "hget", key, "format")
    if (found !== format) {
      return yield* refuse(`the keys at ${base} are of format ${String(found)}, this library writes ${format}`)
    }
  })
