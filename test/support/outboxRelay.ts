import type { SqlClient } from "@effect/sql"
import { Effect, Layer } from "effect"
import * as EventBus from "effect-skald/bus/EventBus"
import * as Outbox from "effect-skald/bus/Outbox"
import * as SqlBus from "effect-skald/bus/Sql"
import * as SqlOutbox from "effect-skald/bus/SqlOutbox"
import * as StagedMessages from "effect-skald/bus/StagedMessages"
import * as Databases from "./outboxDatabases.ts"

/**
 * A process that relays from one database to a bus in another, and kills itself at a moment: `before` or `after` the bus has taken a
 * batch, the n-th of this process. It says how many it has relayed.
 */
const [kind = "", database = "", busDatabase = "", moment = "", nth = "1"] = process.argv.slice(2)

/** The bus in a database of its own, so that no transaction can join the two. */
const Bus = SqlBus.layer().pipe(Layer.provide(Databases.client(busDatabase)))

const die = Effect.sync(() => process.kill(process.pid, "SIGKILL")).pipe(Effect.zipRight(Effect.never))

const Deadly = Layer.effect(
  EventBus.EventBus,
  Effect.map(EventBus.EventBus, (bus) => {
    let batches = 0
    return {
      ...bus,
      publish: (messages: ReadonlyArray<EventBus.NewMessage>) =>
        Effect.suspend(() => {
          const last = ++batches === Number(nth)
          if (last && moment === "before") return die
          return Effect.zipLeft(bus.publish(messages), last ? die : Effect.void)
        })
    }
  })
).pipe(Layer.provide(Bus))

const relay: Layer.Layer<never, unknown, Outbox.Services | SqlClient.SqlClient> = kind === "store"
  ? Outbox.layer("counts", { batch: 3 })
  : StagedMessages.layerRelay({ batch: 3, every: "2 millis" }).pipe(Layer.provide(SqlOutbox.layer()))

Effect.runFork(
  Effect.zipRight(Effect.sync(() => process.stdout.write("begins\n")), Layer.launch(relay)).pipe(
    Effect.provide(Layer.provideMerge(Deadly, Databases.services(database)))
  )
)
