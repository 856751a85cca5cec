/**
 * What all five programs have: tables of their own, a subscription that handles each event once, and commands from outside.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import { Effect } from "effect"
import type { BusError } from "effect-skald/bus/BusError"
import type { EventBus } from "effect-skald/bus/EventBus"
import type * as Publisher from "effect-skald/bus/Publisher"
import * as Inbox from "effect-skald/bus/Inbox"
import * as OnError from "effect-skald/bus/OnError"
import type { Delivery } from "effect-skald/bus/Subscription"
import * as RetryPolicy from "effect-skald/resilience/RetryPolicy"
import { bus } from "./Events.ts"

/** What the programs are given: one database, and the bus in it. */
export type Services = SqlClient.SqlClient | EventBus | Inbox.TransactionalInbox

export type Failure = SqlError | BusError

/** Something that a program is asked to do: it is done once, however often it is asked for the same. */
export type Command = (...args: ReadonlyArray<string>) => Effect.Effect<void, Failure, Services>

type EventOf<P> = P extends Publisher.Publisher<infer E> ? E : never

/** Publishes in the transaction that the fiber is in, so that what is written and what is told are one. */
export const tell = (event: EventOf<typeof bus>, key: string): Effect.Effect<void, Failure, EventBus> =>
  bus.publish(event, { key }).pipe(
    // an event of ours that its own Schema refuses is a bug
    Effect.catchTags({ InvalidEvent: Effect.die, MessageTooLarge: Effect.die }),
    Effect.asVoid
  )

/** Runs in one transaction, and only where a row is new. */
export const once = <E, R>(
  insert: (sql: SqlClient.SqlClient) => Effect.Effect<ReadonlyArray<unknown>, SqlError>,
  then: Effect.Effect<void, E, R>
): Effect.Effect<void, E | SqlError, R | SqlClient.SqlClient> =>
  Effect.flatMap(
    SqlClient.SqlClient,
    (sql) => sql.withTransaction(Effect.flatMap(insert(sql), (rows) => rows.length > 0 ? then : Effect.void))
  )

/** Which table a program keeps what it saw in. */
export const seenBy = (program: string): string => `${program}_seen`

/**
 * A handler whose work, what it publishes and the note of what it saw are one transaction with the inbox: all of it happens once
 * for each event, wherever the process is killed.
 */
export const handled = <E extends { readonly _tag: string }>(
  program: string,
  work: (event: E) => Effect.Effect<void, Failure, Services>
) =>
  Inbox.onceInTransaction((event: E, { id, type }: Delivery) =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      yield* sql`INSERT INTO ${sql(seenBy(program))} ${sql.insert({ id, type })}`
      yield* work(event)
    })
  )

/** The database is away, or another process writes: again a little later, for a while. */
export const onError = {
  SqlError: OnError.retry(RetryPolicy.exponential("20 millis", { times: 8, jitter: "full" }), OnError.deadLetter),
  BusError: OnError.retry(RetryPolicy.exponential("20 millis", { times: 8, jitter: "full" }), OnError.deadLetter)
}

/** How many events of each type a program saw, and how many of them twice. */
export const seen = (program: string) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const rows = yield* sql<{ readonly type: string; readonly count: unknown; readonly ids: unknown }>`
      SELECT type, count(*) AS count, count(DISTINCT id) AS ids FROM ${
      sql(seenBy(program))
    } GROUP BY type ORDER BY type`
    return {
      counts: Object.fromEntries(rows.map(({ count, type }) => [type, Number(count)])),
      twice: rows.reduce((sum, { count, ids }) => sum + Number(count) - Number(ids), 0)
    }
  })
