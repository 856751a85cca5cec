import type { SqlClient } from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import type * as Statement from "@effect/sql/Statement"
import * as Effect from "effect/Effect"
import type * as Either from "effect/Either"
import type * as Schedule from "effect/Schedule"
import type { InvalidInput } from "../../event/InvalidInput.ts"
import { StoreError } from "../../store/StoreError.ts"
import { dialect as postgres } from "./dialectPostgres.ts"
import { dialect as sqlite } from "./dialectSqlite.ts"
import type { Migrate, Migration } from "./migrations.ts"

/** A row of the table of snapshots. */
export interface SnapshotRow {
  readonly key: string
  readonly fingerprint: string
  readonly version: number
  readonly position: number | null
  readonly state: string
  readonly saved_at: number
}

/** Who wants a lease, from when until when. */
export interface Claim {
  readonly name: string
  readonly owner: string
  readonly machine: string
  readonly process: string
  /** The time, as an expression. */
  readonly now: Statement.Fragment
  readonly expiresAt: Statement.Fragment
  /** Whether the lease was seen; its token, if its holder is known to be dead. */
  readonly seen: { readonly dead: number | undefined } | undefined
}

/**
 * What the services over a `SqlClient` leave to the database: one file for each kind of it. Everything else they say in SQL that
 * all understand.
 */
export interface Dialect {
  readonly checkPrefix: (prefix: string | undefined) => Either.Either<string, InvalidInput>
  readonly migrate: Migrate
  /** The type of a column of text that compares byte by byte, as names do everywhere else. */
  readonly text: string
  readonly tables: {
    readonly [service in "snapshots" | "checkpoints" | "leases" | "timers"]: ReadonlyArray<Migration>
  }
  readonly storeError: (operation: string, error: unknown) => StoreError
  readonly transact: (
    sql: SqlClient,
    operation: string
  ) => <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | StoreError, R>
  /** Tries again what may be done twice, outside of a transaction, where a connection can be lost. */
  readonly again: (
    retry: Schedule.Schedule<unknown, StoreError> | undefined
  ) => <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Whose clock tells the time of leases where no option does. */
  readonly clock: "database" | "process"
  /** The database's time in milliseconds, as an expression. */
  readonly now: string
  /** What follows a SELECT so that the rows it found stay those of their holder until the transaction ends. */
  readonly holding: string
  /** What follows a SELECT of rows that are changed next: so that others wait, or do not see them. */
  readonly changing: { readonly waiting: string; readonly skipping: string }
  /** How timers see what other fibers and processes set. */
  readonly timers: {
    /** How often to look, in milliseconds; less than every 15 s makes no difference. */
    readonly pollInterval: number
    /** Whether a look must wait for the transaction that is open, or sees what that has set at the next poll. */
    readonly waits: boolean
  }
  /** Runs an UPDATE or an INSERT, and tells whether it has written a row. */
  readonly wrote: (sql: SqlClient, statement: Statement.Fragment) => Effect.Effect<boolean, SqlError>
  /** Keeps a snapshot where none stands that is newer, and tells whether. */
  readonly saveSnapshot: (
    sql: SqlClient,
    table: Statement.Identifier,
    row: SnapshotRow
  ) => Effect.Effect<boolean, SqlError>
  /** Makes a checkpoint where there is none, and tells whether. */
  readonly addCheckpoint: (
    sql: SqlClient,
    table: Statement.Identifier,
    row: { readonly name: string; readonly position: number }
  ) => Effect.Effect<boolean, SqlError>
  /** Takes a lease that nobody has, with the next token; in one statement, whatever was seen before. */
  readonly claimLease: (
    sql: SqlClient,
    table: Statement.Identifier,
    claim: Claim
  ) => Effect.Effect<number | undefined, SqlError>
}

/** The dialect that a client speaks. */
export const of = (sql: SqlClient): Effect.Effect<Dialect, StoreError> =>
  Effect.suspend(() => {
    const dialect = sql.onDialectOrElse({
      sqlite: () => sqlite,
      pg: () => postgres,
      orElse: () => undefined
    })
    return dialect === undefined
      ? Effect.fail(
        new StoreError({
          reason: "unknown",
          operation: "SqlClient",
          cause: new Error("the SqlClient speaks to a database that is neither SQLite nor PostgreSQL")
        })
      )
      : Effect.succeed(dialect)
  })
