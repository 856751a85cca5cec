import * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { type Cluster, Command, type Redis } from "ioredis"
import { StoreError } from "../../store/StoreError.ts"
import { isPassing, Lost, storeError, wasSent } from "./errors.ts"
import type { Script } from "./scripts.ts"

/** A client of one server or of a cluster. */
export type Client = Redis | Cluster

export type Argument = string | Buffer

/** Sends one command; its answer as text, or as bytes. */
export const send = (
  client: Client,
  name: string,
  args: Array<Argument>,
  encoding: "utf8" | null,
  resume: (error: Error | null | undefined, answer: any) => void
): void => {
  client.sendCommand(new Command(name, args, { replyEncoding: encoding }, resume))
}

const ignore = (): void => {}

/** What a command failed with. One whose client was closed, and is not made anew, is not worth trying again. */
export const failure = (client: Client, operation: string, error: unknown): StoreError =>
  client.status === "end"
    ? new StoreError({ operation, reason: "closed", cause: error })
    : storeError(operation, error)

/** A command's answer as text. */
export const command = (
  client: Client,
  operation: string,
  name: string,
  ...args: ReadonlyArray<string>
): Effect.Effect<any, StoreError> =>
  Effect.async((resume) => {
    send(client, name, [...args], "utf8", (error, answer) =>
      resume(error ? Effect.fail(failure(client, operation, error)) : Effect.succeed(answer)))
  })

/** Runs scripts over the keys of one base. */
export interface Runner {
  readonly run: (
    operation: string,
    script: Script,
    args: ReadonlyArray<Argument>,
    encoding?: "utf8" | null
  ) => Effect.Effect<any, StoreError>
}

export const runner = (client: Client, base: string): Runner => {
  const key = `${base}meta`
  return {
    run: (operation, script, args, encoding = "utf8") =>
      Effect.async((resume) => {
        const answered = (error: Error | null | undefined, answer: any) =>
          resume(error ? Effect.fail(failure(client, operation, error)) : Effect.succeed(answer))
        send(client, "evalsha", [script.sha, "1", key, ...args], encoding, (error, answer) => {
          // The server was started, or its scripts were flushed.
          if (error?.message.startsWith("NOSCRIPT")) {
            send(client, "eval", [script.text, "1", key, ...args], encoding, answered)
          } else answered(error, answer)
        })
      })
  }
}

/** Tries again by a schedule where the connection was lost. */
export const retrying =
  (retry: Schedule.Schedule<unknown, StoreError>) => <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.retry(effect, { schedule: retry as Schedule.Schedule<unknown, unknown>, while: isPassing })

/**
 * A write that may be sent twice, tried again by a schedule. When its answer stays lost, nobody knows whether it was written:
 * that is a `timeout`.
 */
export const writing = (retry: Schedule.Schedule<unknown, StoreError>) => {
  const again = retrying(retry)
  return <A>(effect: Effect.Effect<A, StoreError>): Effect.Effect<A, StoreError> =>
    Effect.suspend(() => {
      let sent = false
      return again(Effect.mapError(effect, (error) => {
        if (error.reason !== "unavailable") return error
        sent ||= wasSent(error)
        return sent
          ? new StoreError({ operation: error.operation, reason: "timeout", cause: new Lost(error.cause) })
          : error
      }))
    })
}

/** A connection that listens on a channel, and is made anew when it breaks. */
export const listen = (
  client: Client,
  channel: string,
  onMessage: (message: string) => void,
  onReady: () => void
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.asVoid(Effect.acquireRelease(
    Effect.sync(() => {
      const listener: Client = isCluster(client)
        ? client.duplicate()
        : client.duplicate({ lazyConnect: true, enableOfflineQueue: true, maxRetriesPerRequest: null })
      listener.on("error", ignore)
      listener.on("message", (_, message: string) => onMessage(message))
      // What was told while nobody listened is not told again.
      listener.on("ready", onReady)
      listener.subscribe(channel).then(onReady, ignore)
      return listener
    }),
    (listener) => Effect.sync(() => listener.disconnect())
  ))

export const isCluster = (client: Client): client is Cluster => "isCluster" in client && client.isCluster === true
