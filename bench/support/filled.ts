/** SQLite files with many events, written by SQLite itself: filling one takes less time than reading it. */
import Database from "better-sqlite3"
import * as Event from "effect-skald/event/Event"
import type * as Memory from "effect-skald/Memory"
import * as Sqlite from "effect-skald/Sqlite"
import * as Category from "effect-skald/store/Category"
import { Layer, ManagedRuntime, Schema } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"

export const Moved = Event.make("Moved", {
  account: Schema.String,
  amount: Schema.Number,
  currency: Schema.String,
  memo: Schema.String
})

export const Accounts = Category.make("account", { events: [Moved] })

export const decodePayload: (payload: unknown) => typeof Moved.Type = Schema.decodeUnknownSync(
  Moved as Schema.Schema<any, any>
)

export interface Filled {
  readonly filename: string
  readonly count: number
  readonly runtime: ManagedRuntime.ManagedRuntime<Memory.Services, never>
}

const open = (filename: string): ManagedRuntime.ManagedRuntime<Memory.Services, never> =>
  ManagedRuntime.make(Layer.orDie(Sqlite.layer({ filename, synchronous: "normal" })))

/** So many streams hold the events, by turns. */
export const streams = 1_000

/** A file with so many events, which is removed by `remove`. */
export const fill = async (count: number): Promise<Filled> => {
  const filename = path.join(fs.mkdtempSync(path.join(os.tmpdir(), "skald-bench-")), "bench.db")
  const makes = open(filename)
  await makes.runtime()
  await makes.dispose()
  const database = new Database(filename)
  database.pragma("synchronous = OFF")
  const insert = database.prepare<[number, number]>(`
    INSERT INTO skald_events (
      tenant, stream, version, category, id, type, schema_version, format, correlation_id, source, tags, occurred_at,
      recorded_at, content, metadata, payload
    )
    WITH RECURSIVE numbers(i) AS (SELECT CAST(? AS INTEGER) UNION ALL SELECT i + 1 FROM numbers WHERE i + 1 < ?)
    SELECT '', 'account-' || (i % ${streams}), i / ${streams} + 1, 'account', id, 'Moved', 1, 'json', id, '/', NULL,
      1700000000000 + i, 1700000000000 + i, '47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=',
      '{"correlationId":"' || id || '"}',
      '{"_tag":"Moved","account":"account-' || (i % 100) || '","amount":' || i || ',"currency":"EUR","memo":"rent"}'
    FROM (SELECT i, printf('01900000-0000-7000-8000-%012x', i) AS id FROM numbers)`)
  for (let from = 0; from < count; from += 100_000) insert.run(from, Math.min(count, from + 100_000))
  database.close()
  return { filename, count, runtime: open(filename) }
}

export const remove = async ({ filename, runtime }: Filled): Promise<void> => {
  await runtime.dispose()
  fs.rmSync(path.dirname(filename), { recursive: true, force: true })
}
