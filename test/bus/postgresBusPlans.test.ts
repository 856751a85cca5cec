import { expect, it } from "@effect/vitest"
import * as EventBus from "effect-skald/bus/EventBus"
import * as Selector from "effect-skald/bus/Selector"
import * as SqlBus from "effect-skald/bus/Sql"
import { Effect, Layer } from "effect"
import * as Postgres from "../support/postgres.ts"
import * as Servers from "../support/servers.ts"

Servers.suite("postgres", "plans of the bus on PostgreSQL", (url) => {
  it.scopedLive("made when the tables were empty, they look at what is taken and settled, and not at the backlog", () =>
    Effect.gen(function*() {
      const prefix = yield* Postgres.prefix(url)
      const client = yield* Postgres.connection(url)
      const query = (text: string, values: ReadonlyArray<unknown> = []) =>
        Effect.promise(() => client.query({ text, values: [...values], rowMode: "array" })).pipe(
          Effect.map(({ rows }) => rows as ReadonlyArray<ReadonlyArray<any>>)
        )
      yield* Effect.gen(function*() {
        const bus = yield* EventBus.EventBus
        yield* Effect.scoped(bus.consume({ name: "work", selector: Selector.all, start: "latest", kept: true }))
        const [[group]] = (yield* query(`SELECT id FROM ${prefix}bus_groups`)) as [[number]]
        const [[member]] = (yield* query(
          `INSERT INTO ${prefix}bus_members (machine, process, expires_at, dead) VALUES ('m', 'p', 9e15, false) RETURNING id`
        )) as [[string]]
        const claim = query(`SELECT place FROM ${prefix}bus_claim($1, $2, 100, NULL, $3)`, [group, member, 1])
        /** What this transaction has read of the deliveries: by looking through all, and by an index. */
        const read = Effect.map(
          query(
            `SELECT seq_tup_read::int, idx_tup_fetch::int FROM pg_stat_xact_user_tables
              WHERE relname = '${prefix}bus_deliveries'`
          ),
          ([row]) => row
        )
        for (let empty = 0; empty < 8; empty++) yield* claim
        for (const keyed of [false, true]) {
          const messages = Array.from({ length: 2_000 }, (_, n) => ({
            type: "Placed",
            payload: { n },
            key: keyed ? `k${n}` : undefined,
            priority: keyed ? "high" as const : "normal" as const
          }))
          yield* bus.publish(messages)
          yield* query("BEGIN")
          const places = (yield* claim).map(([place]) => place as string)
          expect(places.length).toBe(100)
          const [all, some] = (yield* read)!
          expect(all).toBe(0)
          expect(some).toBeLessThan(1_000)
          const levels = places.map(() => keyed ? 7 : 4)
          yield* keyed
            ? query(`SELECT ${prefix}bus_settle($1, $2, true, NULL, $3, $4, $5, $6, $7, $8)`, [
              group,
              member,
              places.map(() => 0),
              levels,
              places,
              places.map(() => null),
              places.map(() => null),
              places.map(() => false)
            ])
            : query(`SELECT ${prefix}bus_done($1, $2, $3, $4)`, [group, member, levels, places])
          const [allThen, someThen] = (yield* read)!
          expect(allThen).toBe(0)
          expect(someThen - some).toBeLessThan(1_000)
          yield* query("COMMIT")
        }
        expect(yield* bus.depth("work")).toMatchObject({ ready: 3_800, inFlight: 0 })
      }).pipe(Effect.provide(Layer.orDie(Layer.provide(SqlBus.layer({ prefix }), Postgres.client(url)))))
    }))
})
