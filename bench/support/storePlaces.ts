/** A store in a new file, and one in a new database of PostgreSQL where `SKALD_POSTGRES_URL` says where it is. */
import type { EventStore } from "effect-skald/store/EventStore"
import * as Postgres from "effect-skald/store/Postgres"
import * as Sqlite from "effect-skald/store/Sqlite"
import { Effect, Layer, Redacted } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { create, drop, server } from "./postgresServer.ts"

const onSqlite = <A, E>(measure: Effect.Effect<A, E, EventStore>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "skald-"))),
    (directory) => Effect.provide(measure, Layer.orDie(Sqlite.layerFile({ filename: join(directory, "bench.db") }))),
    (directory) => Effect.sync(() => rmSync(directory, { recursive: true }))
  )

const onPostgres = <A, E>(measure: Effect.Effect<A, E, EventStore>) =>
  Effect.acquireUseRelease(
    Effect.promise(create),
    (url) =>
      Effect.provide(measure, Layer.orDie(Postgres.layerServer({ url: Redacted.make(url), maxConnections: 10 }))),
    (url) => Effect.promise(() => drop(url))
  )

/** One run in each place, for all that is told of it. */
export const onEach = <A, E>(
  measure: Effect.Effect<A, E, EventStore>
): ReadonlyArray<readonly [name: string, once: () => Promise<A>]> => {
  const once = (run: Effect.Effect<A, E>) => {
    let ran: Promise<A> | undefined
    return () => ran ??= Effect.runPromise(run)
  }
  return [
    ["SQLite", once(onSqlite(measure))],
    ...(server === "" ? [] : [["PostgreSQL", once(onPostgres(measure))] as const])
  ]
}
