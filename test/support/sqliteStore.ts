import { SqlClient } from "@effect/sql"
import * as EventStore from "effect-skald/store/EventStore"
import * as Correlation from "effect-skald/event/Correlation"
import * as Sqlite from "effect-skald/store/Sqlite"
import * as SqliteClient from "effect-skald/store/SqliteClient"
import { Cause, Chunk, Context, Effect, Exit, Layer, Option, Stream } from "effect"
import { tempFile } from "./tempDirectory.ts"

export type Store = EventStore.Service<Sqlite.Capabilities>

export interface Opened {
  readonly store: Store
  readonly client: SqliteClient.Service
  readonly sql: SqlClient.SqlClient
  /** The transactions that the store itself has committed. */
  readonly commits: () => number
  /** The texts that were run on the connection that reads. */
  readonly read: Array<readonly [text: string, params: ReadonlyArray<unknown>]>
}

/** Opens a file, watching what the store does with its client. */
export const open = (options: Partial<Sqlite.FileOptions> = {}) =>
  Effect.gen(function*() {
    const filename = options.filename ?? (yield* tempFile())
    const opened = yield* Layer.build(SqliteClient.layer({ ...options, filename }))
    const client = Context.get(opened, SqliteClient.SqliteClient)
    let commits = 0
    const read: Opened["read"] = []
    const watched: SqliteClient.Service = {
      ...client,
      commit: (transaction) => {
        client.commit(transaction)
        if (transaction.depth === 0) commits++
      },
      prepare: (on, text, mode) => {
        const statement = client.prepare(on, text, mode)
        return on === "writer" ? statement : new Proxy(statement, {
          get: (target, name) =>
            name === "all"
              ? (...params: Array<unknown>) => {
                read.push([text, params])
                return target.all(...params)
              }
              : Reflect.get(target, name)
        })
      }
    }
    const store = yield* Effect.flatMap(Sqlite.make(options), EventStore.makeEncoded).pipe(
      Effect.provideService(SqliteClient.SqliteClient, watched),
      Effect.provideService(SqlClient.SqlClient, client.sql)
    )
    return { store, client, sql: client.sql, commits: () => commits, read } satisfies Opened
  })

export const event = (payload: unknown = {}, more: Partial<EventStore.NewEvent> = {}): EventStore.NewEvent => ({
  type: "A",
  payload,
  ...more
})
export const append = (store: Store, stream: string, ...events: ReadonlyArray<EventStore.NewEvent>) =>
  store.append([{ stream, events: events.length === 0 ? [event()] : events }])
export const collect = <A, E>(stream: Stream.Stream<A, E>) =>
  Effect.map(Stream.runCollect(stream), Chunk.toReadonlyArray)
export const all = (store: Store, options?: EventStore.ReadAllOptions) => collect(store.readAll(options))
export const together = <A, E>(effects: ReadonlyArray<Effect.Effect<A, E>>) =>
  Effect.all(effects.map(Effect.exit), { concurrency: "unbounded" })
export const settle = Effect.repeatN(Effect.yieldNow(), 20)
/** Lets microtasks, and what waits for the next turn of the event loop, happen. */
export const turn = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))
export const reason = (exit: Exit.Exit<unknown, unknown>) =>
  Exit.isFailure(exit)
    ? Option.match(Cause.failureOption(exit.cause), {
      onNone: () => Cause.pretty(exit.cause),
      onSome: (error) => {
        const { _tag, reason } = error as { readonly _tag: string; readonly reason?: string }
        return reason === undefined ? _tag : `${_tag} ${reason}`
      }
    })
    : "done"

/** In a tenant, or in none. */
export const inTenant =
  (tenant: string | undefined) => <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Correlation.locally(effect, tenant === undefined ? {} : { tenant })
