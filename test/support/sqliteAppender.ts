/**
 * Appends to a SQLite file until it is killed, and says of each append when it was acknowledged. What belongs to one append
 * can be told from the ids: `run.fiber.append/size/index`.
 */
import { EventStore } from "effect-skald/store/EventStore"
import * as Sqlite from "effect-skald/store/Sqlite"
import { Effect } from "effect"

const [filename = "", run = ""] = process.argv.slice(2)
const fibers = 8

const work = (fiber: number) =>
  Effect.gen(function*() {
    const store = yield* EventStore
    for (let count = 0;; count++) {
      const size = 1 + (count * 7 + fiber) % 5
      const append = `${run}.${fiber}.${count}`
      const events = Array.from({ length: size }, (_, index) => ({
        type: "Happened",
        id: `${append}/${size}/${index}`,
        payload: { append, index },
        tags: [`run:${run}`]
      }))
      // some on a stream of their own, some on one that all write to, some on both at once
      const own = { stream: `own-${run}_${fiber}`, events }
      const common = { stream: "common-1", events }
      const both = [{ ...own, events: events.slice(0, 1) }, { ...common, events: events.slice(1) }]
      const kind = count % 3
      yield* store.append(kind === 0 ? [own] : kind === 1 ? [common] : both)
      // writing to a pipe is synchronous here: what is acknowledged is known outside before anything else happens
      process.stdout.write(`${append}/${size}\n`)
    }
  })

Effect.runFork(
  Effect.forEach(Array.from({ length: fibers }, (_, fiber) => fiber), work, { concurrency: "unbounded" }).pipe(
    Effect.provide(Sqlite.layerFile({ filename }))
  )
)
