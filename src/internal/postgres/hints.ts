import type * as PgClient from "@effect/sql-pg/PgClient"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Pg from "pg"
import type { StoreError } from "../../store/StoreError.ts"
import * as Changes from "../store/changes.ts"
import { storeError } from "./errors.ts"

/** How far readers may read, and whether that is all that was drawn. */
export interface Head {
  readonly position: number
  readonly settled: boolean
}

/** Wakes those who wait for the log to grow, by hints where there are any, and by looking now and then. */
export interface Hints {
  /** This process has committed something. */
  readonly committed: () => void
  readonly awaitBeyond: (position: number) => Effect.Effect<void, StoreError>
}

/** How soon to look again while somebody's positions are not settled. */
const unsettledDelay = Duration.millis(5)

/** A connection that breaks is made anew after so long, and at most so long. */
const reconnect = Schedule.union(Schedule.exponential("50 millis"), Schedule.spaced("2 seconds"))

/**
 * A hint says only that something was committed: how far readers may read is always asked of the database, by one look for all
 * who wait, and at `pollInterval` without any hint. Without `channel` there are no hints of other processes.
 */
export const make = (options: {
  readonly config: PgClient.PgClientConfig
  readonly channel: string | undefined
  readonly head: Effect.Effect<Head, StoreError>
  readonly pollInterval: Duration.Duration
}): Effect.Effect<Hints, never, Scope.Scope> =>
  Effect.gen(function*() {
    const { channel, head } = options
    const changes = yield* Changes.make({
      every: options.pollInterval,
      head: Effect.map(head, ({ position }) => position)
    })
    const latch = Effect.unsafeMakeLatch(false)
    let waiting = 0
    let hinted = false

    const hint = (): void => {
      hinted = true
      if (waiting > 0) latch.unsafeOpen()
    }

    yield* Effect.forkScoped(Effect.forever(Effect.gen(function*() {
      yield* latch.await
      latch.unsafeClose()
      hinted = false
      // A look that fails is made good by the poll.
      const found = yield* Effect.orElseSucceed(head, (): Head | undefined => undefined)
      if (found === undefined) return
      changes.advance(found.position)
      if (!found.settled) {
        yield* Effect.sleep(unsettledDelay)
        hint()
      }
    })))

    const tell = channel === undefined ? () => {} : yield* listen(options.config, channel, hint)

    return {
      committed: () => {
        hint()
        tell()
      },
      awaitBeyond: (position) =>
        Effect.suspend(() => {
          waiting++
          if (hinted) latch.unsafeOpen()
          return Effect.ensuring(changes.awaitBeyond(position), Effect.sync(() => waiting--))
        })
    }
  })

/**
 * A connection of its own that listens on the channel and tells it: `NOTIFY` inside an append's transaction would make all
 * commits of the database queue for one lock. What is said is a word or two; nothing where anything may have happened.
 */
export const listen = (
  config: PgClient.PgClientConfig,
  channel: string,
  onHint: (said: string) => void
): Effect.Effect<(said?: string) => void, never, Scope.Scope> =>
  Effect.gen(function*() {
    let current: Pg.Client | undefined
    let telling = false
    /** What is to be told as soon as what is being told has been. */
    const next = new Set<string>()

    const tell = (said = ""): void => {
      if (current === undefined) return
      next.add(said)
      if (!telling) send(current)
    }

    const send = (client: Pg.Client): void => {
      const all = Array.from(next).join(" ")
      // the most that the server takes is 8,000 bytes
      const said = next.has("") || all.length > 2_000 ? "" : all
      next.clear()
      telling = true
      client.query("SELECT pg_notify($1, $2)", [channel, said], () => {
        telling = false
        if (next.size > 0 && current !== undefined) send(current)
      })
    }

    const connected = Effect.acquireUseRelease(
      Effect.async<Pg.Client, StoreError>((resume) => {
        const client = new Pg.Client(clientConfig(config))
        // What goes wrong is learned below; an error that nobody listens for would end the process.
        client.on("error", () => {})
        client.connect((error: Error | null | undefined) => {
          resume(error ? Effect.fail(storeError("listen", error)) : Effect.succeed(client))
        })
      }),
      (client) =>
        Effect.async<never, StoreError>((resume) => {
          const failed = (cause: unknown) => resume(Effect.fail(storeError("listen", cause)))
          client.on("error", failed)
          client.on("end", () => failed(new Error("the connection that listens has ended")))
          const own = (client as unknown as { readonly processID: number }).processID
          client.on("notification", (message) => {
            if (message.processId !== own) onHint(message.payload ?? "")
          })
          // A hint need not survive a crash: it does not wait for the disk, as a commit does.
          client.query("SET synchronous_commit = off", (error) => {
            if (error) failed(error)
          })
          client.query(`LISTEN ${Pg.escapeIdentifier(channel)}`, (error) => {
            if (error) return failed(error)
            current = client
            telling = false
            // What was told while nobody listened is not told again.
            onHint("")
          })
        }),
      (client) =>
        Effect.async<void>((resume) => {
          if (current === client) current = undefined
          client.end(() => resume(Effect.void))
        }).pipe(Effect.interruptible, Effect.timeoutOption("1 second"), Effect.asVoid)
    )
    yield* Effect.forkScoped(Effect.retry(connected, reconnect))
    return tell
  })

/** What a client of `pg` is made with, as the pool of the application is. */
const clientConfig = (config: PgClient.PgClientConfig): Pg.ClientConfig => {
  const given = {
    connectionString: config.url === undefined ? undefined : Redacted.value(config.url),
    user: config.username,
    host: config.host ?? config.path,
    port: config.port,
    database: config.database,
    password: config.password === undefined ? undefined : Redacted.value(config.password),
    ssl: config.ssl,
    stream: config.stream
  }
  const set = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
  return { ...set, keepAlive: true, application_name: `${config.applicationName ?? "effect-skald"} (listens)` }
}
