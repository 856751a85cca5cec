/**
 * Which store everything is kept in. It is the only thing that knows: nothing else of the program names a database.
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import { Layer, Redacted } from "effect"
import type { BusError } from "effect-skald/bus/BusError"
import * as DeadLetters from "effect-skald/bus/DeadLetters"
import * as EventBus from "effect-skald/bus/EventBus"
import * as SqlBus from "effect-skald/bus/Sql"
import type { InvalidInput } from "effect-skald/event/InvalidInput"
import * as Memory from "effect-skald/Memory"
import * as Postgres from "effect-skald/Postgres"
import * as Sqlite from "effect-skald/Sqlite"
import * as Redis from "effect-skald/store/Redis"
import * as RedisClient from "effect-skald/store/RedisClient"
import * as RedisLeases from "effect-skald/store/RedisLeases"
import * as RedisSnapshots from "effect-skald/store/RedisSnapshots"
import * as SqlCheckpoints from "effect-skald/store/SqlCheckpoints"
import * as SqlParkedEvents from "effect-skald/store/SqlParkedEvents"
import * as SqliteClient from "effect-skald/store/SqliteClient"
import type { StoreError } from "effect-skald/store/StoreError"

/** Where the events, and what is made of them, are kept. */
export type Store =
  | { readonly _tag: "Sqlite"; readonly filename: string }
  // an address holds a password now and then: it is shown to nobody
  | { readonly _tag: "Postgres"; readonly url: Redacted.Redacted }
  /** Redis has no tables: those that the projections write, and how far they have come, are in a SQLite file. */
  | { readonly _tag: "Redis"; readonly url: Redacted.Redacted; readonly filename: string }
  /** Nothing outlives the program. */
  | { readonly _tag: "Memory" }

/** What the program needs of it. */
export type Services = Memory.Services | SqlClient.SqlClient | EventBus.EventBus | DeadLetters.DeadLetters

/** Opens a store until the scope ends. */
export const layer = (
  store: Store
): Layer.Layer<Services, StoreError | InvalidInput | SqliteClient.SqliteOpenError | BusError> => {
  switch (store._tag) {
    case "Sqlite":
      return withBus(Sqlite.layer({ filename: store.filename }))
    case "Postgres":
      return withBus(Postgres.layer({ url: store.url }))
    case "Redis":
      return withBus(Layer.merge(
        Layer.mergeAll(Redis.layer(), RedisSnapshots.layer(), RedisLeases.layer()).pipe(
          Layer.provide(RedisClient.layer({ url: store.url }))
        ),
        tablesIn(store.filename)
      ))
    case "Memory":
      // the tables, and how far they have come, in one place: the last of two that give a service counts
      return Layer.mergeAll(
        Memory.layer,
        tablesIn(":memory:"),
        Layer.provideMerge(DeadLetters.layer, EventBus.layerMemory)
      )
  }
}

/** The bus, in the database where the tables are: with a store in Redis, in the file. */
const withBus = <A, E>(services: Layer.Layer<A | SqlClient.SqlClient, E>) =>
  DeadLetters.layer.pipe(Layer.provideMerge(SqlBus.layer()), Layer.provideMerge(services))

/** SQL tables, and what is committed with them: checkpoints, and what was put aside. */
const tablesIn = (filename: string) =>
  Layer.merge(SqlCheckpoints.layer(), SqlParkedEvents.layer()).pipe(
    Layer.provideMerge(SqliteClient.layer({ filename }))
  )

/** The file where nothing else is said. */
const defaultFile = "flights.db"

/**
 * The store that a command line names: by the address, `postgres://…`, `redis://…`, `sqlite:FILE` or `memory`, and a file.
 * Answers with what is wrong otherwise.
 */
export const parse = (address: string | undefined, file: string | undefined): Store | string => {
  if (address === undefined) return { _tag: "Sqlite", filename: file ?? defaultFile }
  if (address === "memory") {
    return file === undefined ? { _tag: "Memory" } : "--db is for SQLite and Redis: --store names memory."
  }
  const kind = /^([a-z][a-z0-9+]*):/.exec(address)?.[1]
  const isRedis = kind === "redis" || kind === "rediss"
  if (isRedis || kind === "postgres" || kind === "postgresql") {
    if (!URL.canParse(address)) return "--store must be an address such as postgres://user:password@host:5432/database."
    const url = Redacted.make(address)
    if (isRedis) return { _tag: "Redis", url, filename: file ?? defaultFile }
    return file === undefined
      ? { _tag: "Postgres", url }
      : "--db is for SQLite and Redis: --store names another database."
  }
  if (kind !== "sqlite") {
    return `--store must begin with postgres://, redis:// or sqlite:, or be memory, got ${
      kind === undefined ? "neither" : `${kind}:`
    }.`
  }
  const filename = address.slice("sqlite:".length)
  if (filename === "") return "--store must name a file after sqlite:."
  return file === undefined ? { _tag: "Sqlite", filename } : "--db and --store say the same thing: give one of them."
}
