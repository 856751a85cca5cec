import * as Placement from "effect-skald/saga/Placement"
import * as Saga from "effect-skald/saga/Saga"
import * as SagaEngine from "effect-skald/saga/SagaEngine"
import * as SqlTimers from "effect-skald/saga/SqlTimers"
import * as PostgresStore from "effect-skald/store/Postgres"
import * as SqlLeases from "effect-skald/store/SqlLeases"
import { Duration, Effect, Fiber, Layer, Option, Schema } from "effect"
import * as Postgres from "./postgres.ts"

/**
 * A process among those that carry the sagas of a database through. It says what each step does, and what it undoes:
 * `do name id`, `undo name id`; that it is there: `ready`; and which shards it has.
 */
const [url = "", prefix = "", host = "", idleAfter = ""] = process.argv.slice(2)

const say = (line: string) => Effect.sync(() => void process.stdout.write(`${Date.now()} ${line}\n`))

const step = (name: string, id: string) =>
  Saga.step(name, {
    success: Schema.String,
    execute: () => Effect.as(say(`do ${name} ${id}`), name),
    compensate: () => say(`undo ${name} ${id}`)
  })

const Order = Saga.make("order", {
  version: 1,
  payload: Schema.Struct({ id: Schema.String }),
  success: Schema.String,
  error: Schema.String,
  idempotencyKey: ({ id }) => id
})

const live = Order.toLayer(({ id }) =>
  Effect.gen(function*() {
    yield* step("a", id)
    // some are asleep in memory, some are let go, when their process dies
    yield* Saga.sleep("nap", id.endsWith("long") ? "3 seconds" : "400 millis")
    yield* step("b", id)
    yield* Effect.orDie(Saga.signal("go", { schema: Schema.String }))
    yield* step("c", id)
    return host
  })
)

const client = Postgres.client(url)
const services = Layer.mergeAll(
  PostgresStore.layer({ prefix }),
  SqlTimers.layer({ prefix }),
  Placement.layer({ ttl: "2 seconds", lookEvery: "100 millis" }).pipe(Layer.provide(SqlLeases.layer({ prefix })))
).pipe(Layer.provideMerge(client))

const running = Effect.runFork(
  Effect.zipRight(
    Effect.zipRight(SagaEngine.SagaEngine, say("ready")),
    Effect.forever(Effect.zipRight(
      Effect.sleep("100 millis"),
      Effect.flatMap(
        Placement.Placement,
        (placement) => Effect.flatMap(placement.owned, (owned) => say(`owns ${owned.length}`))
      )
    ))
  ).pipe(
    Effect.provide(
      SagaEngine.layerSharedOf(live, { host, idleAfter: Option.getOrThrow(Duration.decodeUnknown(idleAfter)) }).pipe(
        Layer.provideMerge(services)
      )
    )
  )
)

process.once("SIGTERM", () => void Effect.runPromise(Fiber.interrupt(running)))
