import type { SqlClient } from "@effect/sql"
import { type Layer, Redacted } from "effect"
import type * as Outbox from "effect-skald/bus/Outbox"
import * as Postgres from "effect-skald/Postgres"
import * as Sqlite from "effect-skald/Sqlite"
import * as SqliteClient from "effect-skald/store/SqliteClient"
import * as Server from "./postgres.ts"

const isServer = (database: string): boolean => database.startsWith("postgres:")

/** What an application has in a database: its address, or the name of a file. */
export const services = (
  database: string
): Layer.Layer<Outbox.Services | SqlClient.SqlClient, unknown> =>
  isServer(database)
    ? Postgres.layer({ url: Redacted.make(database) })
    : Sqlite.layer({ filename: database })

/** Its client alone. */
export const client = (database: string): Layer.Layer<SqlClient.SqlClient, unknown> =>
  isServer(database) ? Server.client(database) : SqliteClient.layer({ filename: database })
