/**
 * Rebuilding a projection, whose state is in memory, from a million events in a SQLite file, against reading the same rows by
 * hand, decoding them by the same Schema, and folding them.
 */
import Database from "better-sqlite3"
import * as Projection from "effect-skald/cqrs/Projection"
import { Schema } from "effect"
import * as Kit from "./kit.ts"
import { type Place, type Runtime, sqlite } from "./support/filled.ts"
import { decodePayload, Moved } from "./support/moved.ts"

const State = Schema.Struct({ events: Schema.Number, cents: Schema.Number })

let rebuilt = 0
/** One that nobody has built before. */
const fresh = () =>
  Projection.make(`sum ${++rebuilt}`, {
    events: [Moved],
    state: State,
    initial: { events: 0, cents: 0 },
    apply: ({ cents, events }, { amount }) => ({ events: events + 1, cents: cents + amount })
  })

interface Filled {
  readonly filename: string
  readonly count: number
  readonly runtime: Runtime
}

let place: (Place & { readonly filename: string }) | undefined
/** One file for all rounds: nobody changes it. */
const setup = async ({ quick }: Kit.Context): Promise<Filled> => {
  const count = quick ? 50_000 : 1_000_000
  if (place === undefined) {
    place = await sqlite()
    await place.grow(0, count)
  }
  return { filename: place.filename, count, runtime: place.open() }
}
process.once("beforeExit", () => void place?.remove())

const ours: Kit.Side<Filled> = {
  setup,
  run: async ({ count, runtime }) => {
    const { state } = await runtime.runPromise(Projection.catchUp(fresh(), { saveEvery: count }))
    if (state.events !== count) throw new Error(`rebuilt from ${state.events} events of ${count}`)
    return count
  },
  teardown: ({ runtime }) => runtime.dispose()
}

const raw: Kit.Side<Filled> = {
  setup,
  run: ({ count, filename }) => {
    const database = new Database(filename, { readonly: true })
    let state = { events: 0, cents: 0 }
    const rows = database.prepare(
      `SELECT position, stream, version, id, type, schema_version, format, payload, metadata, source, tags, occurred_at,
        recorded_at FROM skald_events WHERE tenant = '' ORDER BY position`
    ).raw().iterate() as IterableIterator<Array<any>>
    for (const row of rows) {
      const event = {
        position: row[0],
        stream: row[1],
        version: row[2],
        id: row[3],
        type: row[4],
        schemaVersion: row[5],
        payload: decodePayload(JSON.parse(row[7])),
        metadata: JSON.parse(row[8]),
        source: row[9],
        tags: row[10],
        occurredAt: row[11],
        recordedAt: row[12]
      }
      state = { events: state.events + 1, cents: state.cents + event.payload.amount }
    }
    database.close()
    if (state.events !== count) throw new Error(`folded ${state.events} events of ${count}`)
    return count
  },
  teardown: ({ runtime }) => runtime.dispose()
}

export default [
  Kit.compare("rebuild of a projection, its state in memory, SQLite", {
    goal: 0.6,
    peer: "raw better-sqlite3: select, JSON.parse, same Schema decode, fold",
    rounds: 5,
    warmups: 1,
    ours,
    theirs: raw
  })
]
