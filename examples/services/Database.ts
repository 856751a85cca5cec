/**
 * One SQLite file, or one PostgreSQL database, with the bus in it.
 */
import * as PgClient from "@effect/sql-pg/PgClient"
import type * as SqlClient from "@effect/sql/SqlClient"
import { Layer, Redacted } from "effect"
import * as SqlBus from "effect-skald/bus/Sql"
import * as SqlInbox from "effect-skald/bus/SqlInbox"
import * as SqliteClient from "effect-skald/store/SqliteClient"

/** By its address: `postgres://…`, or the name of a file. */
export const layer = (address: string) => {
  const client: Layer.Layer<SqlClient.SqlClient, unknown> = /^postgres(ql)?:/.test(address)
    ? PgClient.layer({ url: Redacted.make(address) })
    : SqliteClient.layer({ filename: address })
  return Layer.provideMerge(Layer.merge(SqlBus.layer(), SqlInbox.layer()), client)
}
