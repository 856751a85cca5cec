/**
 * Which store everything is kept in. It is the only thing that knows: nothing else of the program names a database.
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import { type Layer, Redacted } from "effect"
import type { InvalidInput } from "effect-skald/event/InvalidInput"
import type * as Memory from "effect-skald/Memory"
import * as Postgres from "effect-skald/Postgres"
import * as Sqlite from "effect-skald/Sqlite"
import type { SqliteOpenError } from "effect-skald/store/SqliteClient"
import type { StoreError } from "effect-skald/store/StoreError"

/** Where the events, and what is made of them, are kept. */
export type Store =
  | { readonly _tag: "Sqlite"; readonly filename: string }
  /** The address holds a password now and then: it is shown to nobody. */
  | { readonly _tag: "Postgres"; readonly url: Redacted.Redacted }

/** What the program needs of it. */
export type Services = Memory.Services | SqlClient.SqlClient

/** Opens a store until the scope ends. */
export const layer = (store: Store): Layer.Layer<Services, StoreError | InvalidInput | SqliteOpenError> =>
  store._tag === "Sqlite" ? Sqlite.layer({ filename: store.filename }) : Postgres.layer({ url: store.url })

/** Reads `postgres://…` and `sqlite:FILE`; answers with what is wrong otherwise. */
export const parse = (text: string): Store | string => {
  const kind = /^([a-z][a-z0-9+]*):/.exec(text)?.[1]
  switch (kind) {
    case "postgres":
    case "postgresql":
      return URL.canParse(text)
        ? { _tag: "Postgres", url: Redacted.make(text) }
        : "must be an address such as postgres://user:password@host:5432/database."
    case "sqlite": {
      const filename = text.slice("sqlite:".length)
      return filename === "" ? "must name a file after sqlite:." : { _tag: "Sqlite", filename }
    }
    case "redis":
    case "rediss":
      return "must be one with SQL tables, which the report is made of: postgres://… or sqlite:FILE. Redis has none."
    default:
      return `must begin with postgres:// or sqlite:, got ${kind === undefined ? "neither" : `${kind}:`}.`
  }
}
