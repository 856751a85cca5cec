/**
 * The operations desk is told of each disruption and each recovery, through the event bus.
 *
 * An outbox relays the events from the store to the bus; a subscription tells the desk, which is simulated: it fails now and then,
 * by a rule over the event, so that every run on every store fails at the same ones. What is retried in vain, and what is
 * refused, are dead letters; when the desk is open again, the first are delivered once more.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import { DateTime, Effect, Schedule, Schema } from "effect"
import * as DeadLetters from "effect-skald/bus/DeadLetters"
import * as EventBus from "effect-skald/bus/EventBus"
import * as OnError from "effect-skald/bus/OnError"
import * as Outbox from "effect-skald/bus/Outbox"
import * as Subscription from "effect-skald/bus/Subscription"
import * as Retryability from "effect-skald/resilience/Retryability"
import * as RetryPolicy from "effect-skald/resilience/RetryPolicy"
import { EventStore } from "effect-skald/store/EventStore"
import { AirportDisrupted, AirportRecovered } from "./Airport.ts"
import * as Chance from "./Chance.ts"

/** What became of the messages. */
export interface Notified {
  /** The desk has taken them. */
  readonly delivered: number
  /** It took more than one call. */
  readonly retried: number
  /** They were put aside. */
  readonly deadLettered: number
  /** They were put aside, delivered again, and taken then. */
  readonly reprocessed: number
}

/** The desk is busy: the next call may be taken. */
export class DeskBusy
  extends Schema.TaggedError<DeskBusy>("flights/DeskBusy")("DeskBusy", {}, Retryability.retryable)
{}

/** The desk does not take such a message, however often it is called. */
export class DeskRefuses
  extends Schema.TaggedError<DeskRefuses>("flights/DeskRefuses")("DeskRefuses", {}, Retryability.permanent)
{}

type Told = typeof AirportDisrupted.Type | typeof AirportRecovered.Type

const name = "operations-desk"

/** How the desk takes a message: it refuses it, is closed for it until it opens, or is busy for so many calls. */
export type Mood =
  | { readonly _tag: "Refuses" }
  | { readonly _tag: "Closed" }
  | { readonly _tag: "Busy"; readonly calls: number }

/** The rule: by a number from 0 to 99 that is made of what the event says. */
export const moodFor = (event: Told): Mood => {
  const number = Chance.percentile(`${event._tag} ${event.airport} ${DateTime.formatIso(event.at)}`)
  if (number < 3) return { _tag: "Refuses" }
  if (number < 8) return { _tag: "Closed" }
  return { _tag: "Busy", calls: number < 20 ? 1 : number < 25 ? 2 : 0 }
}

/** Calls that the desk has counted: the same message is taken once, however often it comes. */
const table = Effect.flatMap(SqlClient.SqlClient, (sql) =>
  sql`
    CREATE TABLE IF NOT EXISTS operations_desk (
      id TEXT PRIMARY KEY,
      calls INTEGER NOT NULL,
      taken INTEGER NOT NULL,
      late INTEGER NOT NULL
    )`)

/** One call. `open` says that the desk, where it was closed, is open by now. */
const call = (event: Told, id: string, open: boolean) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const mood = moodFor(event)
    const after = mood._tag === "Busy" ? mood.calls : mood._tag === "Closed" && open ? 0 : 1_000_000
    const late = mood._tag === "Closed" ? 1 : 0
    const [row] = yield* sql<{ readonly taken: number }>`
      INSERT INTO operations_desk AS known ${sql.insert({ id, calls: 1, taken: after < 1 ? 1 : 0, late })}
      ON CONFLICT (id) DO UPDATE SET
        calls = known.calls + 1,
        taken = CASE WHEN known.calls + 1 > ${after} THEN 1 ELSE 0 END
      WHERE known.taken = 0
      RETURNING taken`
    // without a row it was taken before
    if (row === undefined || row.taken === 1) return
    if (mood._tag === "Refuses") return yield* new DeskRefuses()
    return yield* new DeskBusy()
  })

/** Tells the desk of everything that it has not been told of, and says what became of it, this time and before. */
export const run = Effect.gen(function*() {
  const bus = yield* EventBus.EventBus
  const letters = yield* DeadLetters.DeadLetters
  yield* table
  let open = false
  yield* Subscription.run(name, {
    events: [AirportDisrupted, AirportRecovered],
    start: "earliest",
    concurrency: 8,
    handler: (event, { id }) => call(event, id, open),
    onError: {
      DeskBusy: OnError.retry(RetryPolicy.exponential("1 millis", { times: 3 }), OnError.deadLetter),
      DeskRefuses: OnError.deadLetter,
      // the desk's table is away for a moment
      SqlError: OnError.retry(RetryPolicy.exponential("50 millis", { times: 8 }), OnError.pause)
    }
  })
  // the checkpoint and the bus are in one database: each event is published once
  const outbox = yield* Outbox.run("operations", { events: [AirportDisrupted, AirportRecovered], atomic: true })
  const store = yield* EventStore
  yield* outbox.awaitPosition(yield* store.head)

  /** Nothing waits, and nothing is being handled. */
  const idle = Effect.repeat(bus.depth(name), {
    schedule: Schedule.spaced("10 millis"),
    until: ({ inFlight, ready, waiting }) => inFlight + ready + waiting === 0
  })
  yield* idle
  open = true
  yield* letters.reprocess({ subscription: name, reasons: ["exhausted"] })
  yield* idle

  const sql = yield* SqlClient.SqlClient
  const [row] = yield* sql<{ [K in "delivered" | "retried" | "reprocessed"]: unknown }>`
    SELECT count(*) AS delivered, coalesce(sum(CASE WHEN calls > 1 THEN 1 ELSE 0 END), 0) AS retried,
      coalesce(sum(late), 0) AS reprocessed
    FROM operations_desk WHERE taken = 1`
  // sums come as text from some databases
  const count = (of: keyof NonNullable<typeof row>) => Number(row?.[of] ?? 0)
  const left = (yield* letters.statistics({ subscription: name })).total
  return {
    delivered: count("delivered"),
    retried: count("retried"),
    deadLettered: count("reprocessed") + left,
    reprocessed: count("reprocessed")
  } satisfies Notified
}).pipe(Effect.scoped)
