import { Effect, Layer } from "effect"
import * as EventBus from "effect-skald/bus/EventBus"
import * as Rules from "effect-skald/cep/Rules"
import * as Sqlite from "effect-skald/Sqlite"
import { SnapshotStore } from "effect-skald/store/SnapshotStore"
import { guessed } from "./guesses.ts"

/**
 * A process that watches a file for what was guessed, and kills itself at a moment, the first of its kind: `found`, before what it
 * found is published; `published`, after; `kept`, after its place is; `acting`, with an alert written and not committed; `acted`,
 * after that, before the message is acknowledged. It says that it begins.
 */
const [filename = "", moment = ""] = process.argv.slice(2)

const deadly = (when: string) =>
  Effect.suspend(() => {
    if (when !== moment) return Effect.void
    process.kill(process.pid, "SIGKILL")
    return Effect.never
  })

const Services = Layer.unwrapEffect(
  Effect.gen(function*() {
    const bus = yield* EventBus.EventBus
    const snapshots = yield* SnapshotStore
    return Layer.merge(
      Layer.succeed(EventBus.EventBus, {
        ...bus,
        publish: (messages) =>
          Effect.zipRight(deadly("found"), Effect.zipLeft(bus.publish(messages), deadly("published")))
      }),
      Layer.succeed(SnapshotStore, {
        ...snapshots,
        save: (snapshot) => Effect.zipLeft(snapshots.save(snapshot), deadly("kept"))
      })
    )
  })
).pipe(Layer.provideMerge(Sqlite.layer({ filename, pollInterval: "5 millis" })))

const Watch = Rules.layerStore({
  name: "guesses",
  after: "earliest",
  every: 5,
  interval: "20 millis",
  lease: { ttl: "400 millis" }
}).pipe(Layer.provide(guessed(deadly("acting"), deadly("acted"))), Layer.provide(Rules.layerEmpty))

Effect.runFork(
  Effect.zipRight(Effect.sync(() => process.stdout.write("begins\n")), Layer.launch(Watch)).pipe(
    Effect.provide(Services)
  )
)
