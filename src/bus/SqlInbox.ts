/**
 * An inbox in a table of a SQL database, SQLite or PostgreSQL: what a handler writes into the same database is committed with
 * the mark that its message was handled.
 *
 * @since 0.1.0
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { InvalidInput } from "../event/InvalidInput.ts"
import * as ServiceTables from "../internal/sql/serviceTables.ts"
import { busError } from "../internal/bus/errorOf.ts"
import * as RealTime from "../internal/realTime.ts"
import * as Internal from "../internal/bus/sqlInbox.ts"
import type { BusError } from "./BusError.ts"
import { defaultKeep, Inbox, TransactionalInbox } from "./Inbox.ts"

/**
 * How the table is called, how long it remembers, and whose clock counts.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** What the names of the tables begin with; `skald_` by default. */
  readonly prefix?: string | undefined
  /** How long a message is remembered; `Inbox.defaultKeep` by default. */
  readonly keep?: Duration.DurationInput | undefined
  /** How often, by the time of the world, what has become older is removed; {@link defaultPurgeEvery} by default. */
  readonly purgeEvery?: Duration.DurationInput | undefined
  /** Whose clock tells the time: by default a server's own, and on SQLite that of the process. */
  readonly clock?: "database" | "process" | undefined
}

/**
 * How often what is old enough to be forgotten is removed.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultPurgeEvery: Duration.Duration = Duration.hours(1)

/**
 * Keeps the inbox in the database of the `SqlClient`; makes its table where it is missing, and removes what is old.
 *
 * The handler runs inside `sql.withTransaction`, after the row of its message was inserted: two processes that are given one
 * message follow one another, the second finds the row and does nothing. A handler that fails takes the row back with it. On
 * SQLite a handler holds the one write lock while it runs: keep it short, and the calls of other services out of it.
 *
 * @example
 * ```ts
 * import * as SqlInbox from "effect-skald/bus/SqlInbox"
 * import * as SqliteClient from "effect-skald/store/SqliteClient"
 * import { Layer } from "effect"
 *
 * export const Received = SqlInbox.layer().pipe(Layer.provideMerge(SqliteClient.layer({ filename: "shop.db" })))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: Options = {}
): Layer.Layer<Inbox | TransactionalInbox, BusError | InvalidInput, SqlClient.SqlClient> =>
  Layer.scopedContext(
    Effect.gen(function*() {
      const { dialect, prefix, sql } = yield* ServiceTables.open(options.prefix, "inbox", Internal.migrations)
      const inbox = Internal.make(sql, dialect, prefix, options.clock ?? dialect.clock)
      const keep = Duration.toMillis(options.keep ?? defaultKeep)
      yield* inbox.forget(keep).pipe(
        Effect.catchAllCause((cause) => Effect.logWarning("old entries of the inbox could not be removed", cause)),
        Effect.zipRight(RealTime.rest(options.purgeEvery ?? defaultPurgeEvery)),
        Effect.forever,
        Effect.forkScoped
      )
      return Context.make(Inbox, inbox).pipe(Context.add(TransactionalInbox, inbox))
    }).pipe(
      Effect.mapError((error) => error._tag === "InvalidInput" ? error : busError("SqlInbox.layer", error))
    )
  )
