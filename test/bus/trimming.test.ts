import { assert, it } from "@effect/vitest"
import * as Publisher from "effect-skald/bus/Publisher"
import * as SqlBus from "effect-skald/bus/Sql"
import * as Subscription from "effect-skald/bus/Subscription"
import * as Event from "effect-skald/event/Event"
import { Effect, Layer, Schedule, Schema } from "effect"
import * as Postgres from "../support/postgres.ts"
import * as Servers from "../support/servers.ts"

const Placed = Event.make("Placed", { n: Schema.Number })
const bus = Publisher.make([Placed])

/** Waits for what must happen, in real time. */
const until = (what: () => string, condition: Effect.Effect<boolean>) =>
  Effect.flatMap(condition, (holds) => holds ? Effect.void : Effect.fail(what())).pipe(
    Effect.retry(Schedule.spaced("10 millis").pipe(Schedule.upTo("10 seconds")))
  )

Servers.suite("postgres", "trimming the history of the bus on PostgreSQL", (url) => {
  it.scopedLive("waits for a subscription that is being given it: what it was given stays, and the rest goes", () =>
    Effect.gen(function*() {
      const prefix = yield* Postgres.prefix(url)
      const program = Layer.provide(
        SqlBus.layer({ prefix, history: 5, trimInterval: "20 millis" }),
        Postgres.client(url)
      )
      const holder = yield* Postgres.connection(url)
      // one that is in no transaction: what it asks is answered anew
      const watcher = yield* Postgres.connection(url)
      const ask = (text: string) =>
        Effect.promise(() => watcher.query({ text, rowMode: "array" })).pipe(Effect.map(({ rows }) => rows.flat()))
      const hold = (text: string) => Effect.promise(() => holder.query(text))
      const seen: Array<number> = []
      yield* Effect.gen(function*() {
        const publish = (from: number) => bus.publishAll([0, 1, 2, 3, 4].map((n) => Placed({ n: from + n })))
        yield* publish(0)
        // the one who fills gets the others, and waits for the last
        yield* hold("BEGIN")
        yield* hold(
          `SELECT FROM ${prefix}bus_messages WHERE seq = (SELECT max(seq) FROM ${prefix}bus_messages) FOR UPDATE`
        )
        const blocked = (part: string) =>
          until(
            () => `nobody waits who does ${part}`,
            Effect.map(
              ask(
                `SELECT count(*)::int4 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%${prefix}${part}%'`
              ),
              ([count]) => count > 0
            )
          )
        const late = yield* Effect.fork(Subscription.run("late", {
          events: [Placed],
          start: "earliest",
          handler: ({ n }) => Effect.sync(() => void seen.push(n))
        }))
        yield* blocked("bus_deliveries")
        // what it was to be given is beyond the history now
        yield* publish(5)
        yield* Effect.sleep("300 millis")
        yield* hold("ROLLBACK")
        yield* late
        yield* until(() => `seen: ${seen.join(", ")}`, Effect.sync(() => new Set(seen).size === 10))
        assert.deepStrictEqual(seen.slice().sort((a, b) => a - b), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
        yield* until(
          () => "what everybody is done with stays",
          Effect.map(ask(`SELECT count(*)::int4 FROM ${prefix}bus_messages`), ([count]) => count === 5)
        )
        assert.deepStrictEqual(yield* ask(`SELECT count(*)::int4 FROM ${prefix}bus_deliveries`), [0])
      }).pipe(Effect.provide(program))
    }))
})
