/**
 * An outbox in a table of a SQL database, SQLite or PostgreSQL: messages are written in the transaction of the caller, and are
 * there if and only if it commits.
 *
 * @since 0.1.0
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type { InvalidInput } from "../event/InvalidInput.ts"
import { busError } from "../internal/bus/errorOf.ts"
import * as Parts from "../internal/parts.ts"
import * as ServiceTables from "../internal/sql/serviceTables.ts"
import type { Migration } from "../internal/sql/migrations.ts"
import { BusError } from "./BusError.ts"
import { Message } from "./Message.ts"
import * as StagedMessages from "./StagedMessages.ts"

/**
 * How the table is called.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** What the names of the tables begin with; `skald_` by default. */
  readonly prefix?: string | undefined
}

/** A place that was given out is never given out again. */
const place = (sql: SqlClient.SqlClient): string =>
  sql.onDialectOrElse({
    sqlite: () => "INTEGER PRIMARY KEY AUTOINCREMENT",
    orElse: () => "BIGSERIAL PRIMARY KEY"
  })

const migrations = (_: unknown, sql: SqlClient.SqlClient): ReadonlyArray<Migration> => [{
  id: 1,
  name: "outbox",
  up: (table) => [`CREATE TABLE ${table("outbox")} (place ${place(sql)}, message TEXT NOT NULL)`]
}]

interface Row {
  /** Integers of 64 bits come as text from some databases. */
  readonly place: unknown
  readonly message: string
}

const codec = Schema.parseJson(Message)
const encode = Schema.encodeSync(codec)
const decode = Schema.decodeUnknownSync(codec)

/** Keeps an error of what is done in the transaction apart from one of the transaction, which may have the same tag. */
class Own<E> {
  readonly error: E
  constructor(error: E) {
    this.error = error
  }
}

/** Few enough for the number of parameters that one statement may have. */
const atOnce = 500

/**
 * Keeps messages in the database of the `SqlClient`, in the transaction of the caller, until `StagedMessages.layerRelay` has
 * brought them to the bus.
 *
 * Where the bus itself is in the same database, none of this is needed: publishing inside of the transaction shares its fate.
 *
 * @example
 * ```ts
 * import * as SqlOutbox from "effect-skald/bus/SqlOutbox"
 * import * as Sqlite from "effect-skald/Sqlite"
 * import { Layer } from "effect"
 *
 * export const Services = Layer.provideMerge(SqlOutbox.layer(), Sqlite.layer({ filename: "shop.db" }))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: Options = {}
): Layer.Layer<StagedMessages.StagedMessages, BusError | InvalidInput, SqlClient.SqlClient> =>
  Layer.scoped(
    StagedMessages.StagedMessages,
    Effect.gen(function*() {
      const { dialect, prefix, sql } = yield* Effect.mapError(
        ServiceTables.open(options.prefix, "outbox", migrations),
        (error) => error._tag === "InvalidInput" ? error : busError("SqlOutbox.layer", error)
      )
      const { storeError, transact } = dialect
      const told = (operation: string) =>
        Effect.mapError((error: unknown) => busError(operation, storeError(operation, error)))
      const table = sql(`${prefix}outbox`)
      const atomically = transact(sql, "SqlOutbox.atomically")
      return yield* StagedMessages.makeEncoded({
        name: `${prefix}outbox`,
        add: (messages) =>
          Effect.forEach(
            Parts.of(messages, atOnce),
            (part) => sql`INSERT INTO ${table} ${sql.insert(part.map((message) => ({ message: encode(message) })))}`,
            { discard: true }
          ).pipe(messages.length > 500 ? sql.withTransaction : (self) => self, told("SqlOutbox.publish")),
        first: (limit) =>
          sql<Row>`SELECT place, message FROM ${table} ORDER BY place LIMIT ${limit}`.pipe(
            told("SqlOutbox.first"),
            Effect.flatMap((rows) =>
              Effect.try({
                try: () => rows.map((row) => ({ place: Number(row.place), message: decode(row.message) })),
                catch: (cause) => new BusError({ reason: "corrupt", operation: "SqlOutbox.first", cause })
              })
            )
          ),
        remove: (places) =>
          Effect.forEach(
            Parts.of(places, atOnce),
            (part) => sql`DELETE FROM ${table} WHERE ${sql.in("place", part)}`,
            { discard: true }
          ).pipe(told("SqlOutbox.remove")),
        atomically: (self) =>
          Effect.mapError(
            atomically(Effect.mapError(self, (error) => new Own(error))),
            (error) => error instanceof Own ? error.error : busError("SqlOutbox.atomically", error)
          )
      })
    })
  )
