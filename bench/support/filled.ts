/**
 * Logs with many events, written by the database itself: that takes less time than reading them. Each ten thousand
 * events fill a hundred new streams by turns, so that the log grows by streams of a hundred events, which lie apart.
 */
import Database from "better-sqlite3"
import type * as Memory from "effect-skald/Memory"
import * as Postgres from "effect-skald/Postgres"
import * as Sqlite from "effect-skald/Sqlite"
import { Layer, ManagedRuntime, Redacted } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as Pg from "pg"
import { content } from "./moved.ts"
import * as Server from "./postgresServer.ts"

/** How many events a stream holds. */
export const perStream = 100
const block = 10_000

export type Runtime = ManagedRuntime.ManagedRuntime<Memory.Services, never>

/** A log that grows, and is opened as often as one likes. */
export interface Place {
  readonly open: () => Runtime
  /** Writes the events of these numbers, which come after all that there are. */
  readonly grow: (from: number, to: number) => Promise<void>
  readonly remove: () => Promise<void>
}

const insert = (position: string, numbers: string, at: string) =>
  `INSERT INTO skald_events (
    ${
    position === "" ? "" : "position, "
  }tenant, stream, version, category, id, type, schema_version, format, correlation_id,
    source, tags, occurred_at, recorded_at, content, metadata, payload
  ) SELECT ${
    position === "" ? "" : `${position}, `
  }'', 'account-' || stream, version, 'account', id, 'Moved', 1, 'json', id,
    '/', CAST(NULL AS TEXT), 1700000000000 + n, ${at}, '${content}', '{"correlationId":"' || id || '"}',
    '{"_tag":"Moved","account":"account-' || (n % 100) || '","amount":' || n || ',"currency":"EUR","memo":"rent"}'
  FROM (
    SELECT n, n / ${block} * ${block / perStream} + n % ${block / perStream} AS stream,
      n % ${block} / ${block / perStream} + 1 AS version, ${numbers}
  ) AS given`

const blocks = function*(from: number, to: number): Generator<readonly [from: number, to: number]> {
  for (let at = from; at < to; at += block) yield [at, Math.min(to, at + block)]
}

export const sqlite = async (): Promise<Place & { readonly filename: string }> => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "skald-bench-"))
  const filename = path.join(folder, "bench.db")
  const open = () => ManagedRuntime.make(Layer.orDie(Sqlite.layer({ filename, synchronous: "normal" })))
  const makes = open()
  await makes.runtime()
  await makes.dispose()
  const text = insert(
    "",
    `printf('01900000-0000-7000-8000-%012x', n) AS id FROM (
      WITH RECURSIVE numbers(n) AS (SELECT CAST(? AS INTEGER) UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < ?)
      SELECT n FROM numbers
    )`,
    "CAST(? AS INTEGER)"
  )
  return {
    filename,
    open,
    grow: async (from, to) => {
      const database = new Database(filename)
      database.pragma("synchronous = OFF")
      const statement = database.prepare(text)
      for (const [first, end] of blocks(from, to)) statement.run(Date.now(), first, end)
      database.close()
    },
    remove: async () => fs.rmSync(folder, { recursive: true, force: true })
  }
}

export const postgres = async (): Promise<Place & { readonly url: string }> => {
  const url = await Server.create()
  const open = () =>
    ManagedRuntime.make(Layer.orDie(Postgres.layer({ url: Redacted.make(url), maxConnections: Server.poolSize })))
  const makes = open()
  await makes.runtime()
  await makes.dispose()
  const text = insert(
    "nextval('skald_positions')",
    `'01900000-0000-7000-8000-' || lpad(to_hex(n), 12, '0') AS id FROM generate_series($2::int8, $3::int8 - 1) AS n`,
    "$1::int8"
  )
  return {
    url,
    open,
    grow: async (from, to) => {
      const client = new Pg.Client(url)
      await client.connect()
      await client.query("SET synchronous_commit = off")
      for (const [first, end] of blocks(from, to)) await client.query(text, [Date.now(), first, end])
      await client.query("ANALYZE")
      await client.end()
    },
    remove: () => Server.drop(url)
  }
}
