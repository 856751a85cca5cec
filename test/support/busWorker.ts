import * as SqlBus from "effect-skald/bus/Sql"
import * as SqliteClient from "effect-skald/store/SqliteClient"
import * as BusConformance from "effect-skald/testing/BusConformance"
import { Effect, Layer } from "effect"
import * as Postgres from "./postgres.ts"

/** A process that takes messages of a bus and holds on to them until it is killed. */
const [database = "", prefix = "skald_"] = process.argv.slice(2)

const client = database.startsWith("postgres:")
  ? Postgres.client(database)
  : SqliteClient.layer({ filename: database })

Effect.runFork(
  BusConformance.worker(Layer.provide(SqlBus.layer({ prefix, leaseTtl: "1 second", leaseEvery: "200 millis" }), client))
)
