import * as SqlClient from "@effect/sql/SqlClient"
import type { PgClient } from "@effect/sql-pg/PgClient"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type * as Driver from "../../bus/BusDriver.ts"
import { BusError } from "../../bus/BusError.ts"
import type { DeadLetterStore } from "../../bus/DeadLetterStore.ts"
import type { InvalidInput } from "../../event/InvalidInput.ts"
import type * as SqliteClient from "../../store/SqliteClient.ts"
import * as Faults from "../faults.ts"
import * as Bus from "./sqlBus.ts"
import type { Database } from "./sqlDatabase.ts"
import * as Postgres from "./sqlPostgres.ts"
import * as PostgresFunctions from "./sqlPostgresFunctions.ts"
import * as BusRows from "./sqlRows.ts"
import * as Sqlite from "./sqlSqlite.ts"
import * as SqliteTables from "./sqlSqliteTables.ts"
import * as Dialect from "../sql/dialect.ts"

// By their names, since each stands in a module that loads its own database's library.
const sqliteTag = Context.GenericTag<SqliteClient.SqliteClient, SqliteClient.Service>("effect-skald/store/SqliteClient")
const pgTag = Context.GenericTag<PgClient>("@effect/sql-pg/PgClient")

export interface Options {
  readonly prefix: string | undefined
  readonly clock: "database" | "process" | undefined
  readonly pollInterval: Duration.DurationInput
  readonly listen: boolean
  readonly leaseTtl: Duration.DurationInput
  readonly leaseEvery: Duration.DurationInput
  readonly history: number
  readonly historyAge: Duration.DurationInput | undefined
  readonly trimInterval: Duration.Duration
  readonly retry: Schedule.Schedule<unknown, BusError>
  readonly deadLetters: DeadLetterStore
}

/** What one kind of database needs: its tables, and how others are told. */
interface Opened {
  readonly database: Database
  readonly processClock: boolean
  readonly listen: Bus.Settings["listen"]
}

const silent: Bus.Settings["listen"] = () => Effect.succeed(() => {})

export const make = (
  options: Options
): Effect.Effect<
  Driver.Driver<"delay" | "priority" | "history" | "durable" | "shared" | "transactions">,
  BusError | InvalidInput,
  SqlClient.SqlClient | Scope.Scope
> =>
  Effect.gen(function*() {
    const sql = (yield* SqlClient.SqlClient).withoutTransforms()
    const dialect = yield* Dialect.of(sql)
    const prefix = yield* dialect.checkPrefix(options.prefix)
    const problem = Faults.countProblem(options.history, 0)
    if (problem !== undefined) return yield* Faults.invalid("history", problem)

    const sqlite = Effect.gen(function*() {
      const client = yield* Effect.serviceOption(sqliteTag)
      if (Option.isNone(client)) {
        return yield* new BusError({
          reason: "refused",
          operation: "EventBus",
          cause: new Error("on SQLite the bus needs the SqlClient of effect-skald/store/SqliteClient")
        })
      }
      yield* dialect.migrate(prefix, "bus", SqliteTables.migrations)
      const opened: Opened = { database: Sqlite.make(client.value, prefix), processClock: true, listen: silent }
      return opened
    })

    const postgres = Effect.gen(function*() {
      const client = yield* Effect.serviceOption(pgTag)
      yield* dialect.migrate(prefix, "bus", PostgresFunctions.migrations)
      const channel = options.listen && Option.isSome(client) ? `${prefix}bus` : undefined
      const opened: Opened = {
        database: Postgres.make(sql, { prefix, channel, retry: options.retry }),
        processClock: options.clock === "process",
        listen: channel === undefined || Option.isNone(client)
          ? silent
          : (onHint) =>
            Effect.flatMap(
              Effect.promise(() => import("../postgres/hints.ts")),
              (hints) =>
                Effect.map(
                  hints.listen(client.value.config, channel, (said) =>
                    onHint(said === "" ? undefined : said.split(" ").map(Number))),
                  (tell) => (groups) => {
                    for (const group of new Set(groups)) {
                      tell(String(group))
                    }
                  }
                )
            )
      }
      return opened
    })

    const { database, listen, processClock } = yield* sql.onDialectOrElse({
      sqlite: () =>
        sqlite,
      orElse: () =>
        postgres
    })
    return yield* Bus.make(database, {
      processClock,
      pollInterval: Duration.decode(options.pollInterval),
      lease: { ttl: Duration.decode(options.leaseTtl), every: Duration.decode(options.leaseEvery) },
      history: options.history,
      historyAge: options.historyAge === undefined ? undefined : Duration.decode(options.historyAge),
      trimInterval: options.trimInterval,
      limits: { payload: 67_108_864, messages: 100_000 },
      listen,
      deadLetters: options.deadLetters
    })
  }).pipe(Effect.mapError((error) => error._tag === "StoreError" ? BusRows.busError("EventBus", error) : error))
