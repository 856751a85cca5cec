/**
 * Dead letters in a table of a SQL database, SQLite or PostgreSQL. `effect-skald/bus/Sql` keeps those of its bus so.
 *
 * @since 0.1.0
 */
import * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import type { Fragment } from "@effect/sql/Statement"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type { InvalidInput } from "../event/InvalidInput.ts"
import * as Parts from "../internal/parts.ts"
import * as BusRows from "../internal/bus/sqlRows.ts"
import type { Dialect } from "../internal/sql/dialect.ts"
import type { Migration } from "../internal/sql/migrations.ts"
import * as ServiceTables from "../internal/sql/serviceTables.ts"
import * as RetryPolicy from "../resilience/RetryPolicy.ts"
import type { BusError } from "./BusError.ts"
import { DeadLetter, Garbled, Retry } from "./DeadLetter.ts"
import type { Count, DeadLetterStore, Filter } from "./DeadLetterStore.ts"
import { Message } from "./Message.ts"

/**
 * How the table is called.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** What the names of the tables begin with; `skald_` by default. */
  readonly prefix?: string | undefined
  /** How an operation is tried again after its connection was lost; {@link retry} by default. Not inside a transaction. */
  readonly retry?: Schedule.Schedule<unknown, BusError> | undefined
}

/**
 * How a lost connection is tried again: from 20 ms, doubling up to 1 s, with full jitter, for 30 s.
 *
 * @since 0.1.0
 * @category policies
 */
export const retry: Schedule.Schedule<unknown> = RetryPolicy.fullJitter(
  Schedule.union(Schedule.exponential("20 millis"), Schedule.spaced("1 second"))
).pipe(Schedule.upTo("30 seconds"))

const migrations = ({ text }: Dialect): ReadonlyArray<Migration> => [{
  id: 1,
  name: "dead letters",
  up: (table) => [
    `CREATE TABLE ${table("bus_dead_letters")} (
      subscription ${text} NOT NULL,
      id ${text} NOT NULL,
      type ${text} NOT NULL,
      reason ${text} NOT NULL,
      put_at BIGINT NOT NULL,
      reprocessed INTEGER NOT NULL,
      decided ${text} NOT NULL,
      due BIGINT,
      retry TEXT,
      message TEXT NOT NULL,
      letter TEXT NOT NULL,
      PRIMARY KEY (subscription, id)
    )`,
    `CREATE INDEX ${table("bus_dead_letters_place")} ON ${table("bus_dead_letters")} (put_at, subscription, id)`,
    `CREATE INDEX ${table("bus_dead_letters_due")} ON ${table("bus_dead_letters")} (due) WHERE due IS NOT NULL`
  ]
}]

/** Bytes are told from text: a payload comes back as what it was. */
const StoredMessage = Schema.parseJson(Schema.Union(
  Garbled,
  Schema.Struct({
    ...Message.fields,
    payload: Schema.Union(Schema.String, Schema.Struct({ base64: Schema.Uint8ArrayFromBase64 }))
  })
))
const StoredRetry = Schema.parseJson(Retry)
const StoredLetter = Schema.parseJson(DeadLetter.omit("message", "retry"))

const encodeStored = Schema.encodeSync(StoredMessage)
const encodeRetry = Schema.encodeSync(StoredRetry)
const encodeLetter = Schema.encodeSync(StoredLetter)
const decodeStored = Schema.decodeUnknown(StoredMessage)
const decodeRetry = Schema.decodeUnknown(StoredRetry)
const decodeLetter = Schema.decodeUnknown(StoredLetter)

const encodeMessage = (message: DeadLetter["message"]): string =>
  encodeStored(
    "_tag" in message || typeof message.payload === "string"
      ? message as typeof StoredMessage.Type
      : { ...message, payload: { base64: message.payload } }
  )

const decodeMessage = (text: string) =>
  Effect.map(decodeStored(text), (message): DeadLetter["message"] =>
    "_tag" in message
      ? message
      : { ...message, payload: typeof message.payload === "string" ? message.payload : message.payload.base64 })

interface Row {
  readonly message: string
  readonly retry: string | null
  readonly letter: string
}

/** What is asked for in columns of its own. */
const retryColumns = ({ retry }: DeadLetter) => ({
  decided: retry === undefined || retry.status === "tried" ? "undecided" : retry.status,
  due: retry?.status === "waiting" ? retry.position.next : null,
  retry: retry === undefined ? null : encodeRetry(retry)
})

const toRow = (letter: DeadLetter) => {
  const { message, retry: _, ...rest } = letter
  return {
    subscription: letter.subscription,
    id: message.id,
    type: "_tag" in message ? "" : message.type,
    reason: letter.reason,
    put_at: letter.at,
    reprocessed: letter.reprocessed,
    ...retryColumns(letter),
    message: encodeMessage(message),
    letter: encodeLetter(rest)
  }
}

const fromRow = (row: Row): Effect.Effect<DeadLetter, BusError> =>
  Effect.gen(function*() {
    const letter = yield* decodeLetter(row.letter)
    const message = yield* decodeMessage(row.message)
    const made: DeadLetter = { ...letter, message }
    return row.retry === null ? made : { ...made, retry: yield* decodeRetry(row.retry) }
  }).pipe(Effect.mapError((cause) => BusRows.corrupt("DeadLetters.read", cause)))

/**
 * Keeps dead letters in the database of the `SqlClient`, and joins the transaction of the caller. Makes its table where it is
 * missing. A payload comes back byte for byte.
 *
 * @example
 * ```ts
 * import * as SqlDeadLetters from "effect-skald/bus/SqlDeadLetters"
 * import { Effect } from "effect"
 *
 * export const letters = Effect.map(SqlDeadLetters.make(), (store) => store.page({}, undefined, 100))
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  options: Options = {}
): Effect.Effect<DeadLetterStore, BusError | InvalidInput, SqlClient.SqlClient> =>
  Effect.gen(function*() {
    const { dialect, prefix, sql } = yield* ServiceTables.open(options.prefix, "bus dead letters", migrations)
    const table = sql(`${prefix}bus_dead_letters`)
    const schedule = options.retry ?? retry

    const run = <A>(
      operation: string,
      effect: Effect.Effect<A, SqlError | BusError>
    ): Effect.Effect<A, BusError> => {
      const once = Effect.mapError(effect, (error) =>
        error._tag === "BusError" ? error : BusRows.busError(operation, dialect.storeError(operation, error)))
      const again = Effect.retry(once, {
        schedule,
        while: ({ reason }) =>
          reason === "unavailable"
      })
      return Effect.flatMap(
        Effect.context<never>(),
        (context) => context.unsafeMap.has(SqlClient.TransactionConnection.key) ? once : again
      )
    }

    const where = (filter: Filter): Fragment => {
      const all: Array<Fragment> = []
      if (filter.subscription !== undefined) all.push(sql`subscription = ${filter.subscription}`)
      if (filter.reasons !== undefined) all.push(oneOf("reason", filter.reasons))
      if (filter.types !== undefined) all.push(oneOf("type", filter.types))
      if (filter.ids !== undefined) all.push(oneOf("id", filter.ids))
      if (filter.since !== undefined) all.push(sql`put_at >= ${filter.since}`)
      if (filter.until !== undefined) all.push(sql`put_at < ${filter.until}`)
      if (filter.retry !== undefined) all.push(sql`decided = ${filter.retry}`)
      if (filter.due !== undefined) all.push(sql`due <= ${filter.due}`)
      return all.length === 0 ? sql`1 = 1` : sql.and(all)
    }

    /** One parameter, however many there are. */
    const oneOf = (column: string, values: ReadonlyArray<string>): Fragment =>
      sql.onDialectOrElse({
        pg: () => sql`${sql(column)} IN (SELECT json_array_elements_text(${JSON.stringify(values)}::json))`,
        orElse: () => sql`${sql(column)} IN (SELECT value FROM json_each(${JSON.stringify(values)}))`
      })

    const same = (letter: DeadLetter): Fragment =>
      sql`subscription = ${letter.subscription} AND id = ${letter.message.id} AND put_at = ${letter.at}
        AND reprocessed = ${letter.reprocessed}`

    const store: DeadLetterStore = {
      put: (letters) =>
        // the last of one key counts
        run(
          "DeadLetters.put",
          Effect.forEach(
            Parts.of(
              Array.from(
                new Map(letters.map(toRow).map((row) => [`${row.subscription}\u0000${row.id}`, row])).values()
              ),
              50
            ),
            (rows) =>
              sql`INSERT INTO ${table} ${sql.insert(rows)} ON CONFLICT (subscription, id) DO UPDATE SET
                type = excluded.type, reason = excluded.reason, put_at = excluded.put_at,
                reprocessed = excluded.reprocessed, decided = excluded.decided, due = excluded.due,
                retry = excluded.retry, message = excluded.message, letter = excluded.letter`,
            { discard: true }
          )
        ),
      get: ({ id, subscription }) =>
        run(
          "DeadLetters.get",
          Effect.flatMap(
            sql<Row>`SELECT message, retry, letter FROM ${table} WHERE subscription = ${subscription} AND id = ${id}`,
            ([row]): Effect.Effect<DeadLetter | undefined, BusError> =>
              row === undefined ? Effect.sync(() => undefined) : fromRow(row)
          )
        ),
      page: (filter, after, limit) =>
        run(
          "DeadLetters.page",
          Effect.flatMap(
            sql<Row>`SELECT message, retry, letter FROM ${table} WHERE ${where(filter)} AND ${
              after === undefined
                ? sql`1 = 1`
                : sql`(put_at, subscription, id) > (${after.at}, ${after.subscription}, ${after.message.id})`
            } ORDER BY put_at, subscription, id LIMIT ${limit}`,
            (rows) => Effect.forEach(rows, fromRow)
          )
        ),
      remove: (letters) =>
        run(
          "DeadLetters.remove",
          Effect.reduce(Parts.of(letters, 50), 0, (count, part) =>
            Effect.map(
              sql`DELETE FROM ${table} WHERE ${sql.or(part.map(same))} RETURNING 1 AS one`,
              (rows) => count + rows.length
            ))
        ),
      plan: (letters) =>
        run(
          "DeadLetters.plan",
          Effect.forEach(letters, (letter) => {
            const { decided, due, retry } = retryColumns(letter)
            return sql`UPDATE ${table} SET decided = ${decided}, due = ${due}, retry = ${retry} WHERE ${same(letter)}`
          }, { discard: true })
        ),
      mend: ({ id, subscription }, message) =>
        run(
          "DeadLetters.mend",
          Effect.map(
            sql`UPDATE ${table} SET message = ${encodeMessage(message)}, type = ${message.type}
              WHERE subscription = ${subscription} AND id = ${id} RETURNING 1 AS one`,
            (rows) => rows.length > 0
          )
        ),
      counts: (filter) =>
        run(
          "DeadLetters.counts",
          Effect.map(
            sql<
              {
                readonly subscription: string
                readonly reason: Count["reason"]
                readonly type: string
                readonly n: unknown
              }
            >`
              SELECT subscription, reason, type, count(*) AS n FROM ${table} WHERE ${where(filter)}
              GROUP BY subscription, reason, type ORDER BY subscription, reason, type`,
            (rows) =>
              rows.map(({ n, reason, subscription, type }) => ({ subscription, reason, type, count: Number(n) }))
          )
        ),
      nextDue: run(
        "DeadLetters.nextDue",
        Effect.map(
          sql<{ readonly due: unknown }>`SELECT min(due) AS due FROM ${table} WHERE due IS NOT NULL`,
          ([row]) => row === undefined || row.due === null ? undefined : Number(row.due)
        )
      )
    }
    return store
  }).pipe(Effect.mapError((error) => error._tag === "StoreError" ? BusRows.busError("DeadLetters", error) : error))
