import { describe } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as Memory from "effect-skald/Memory"
import * as Sqlite from "effect-skald/Sqlite"
import { EventStore, type Operations } from "effect-skald/store/EventStore"
import { tempFile } from "./tempDirectory.ts"

/** Every service on a SQLite file of its own, removed with the layer. */
export const sqlite: Layer.Layer<Memory.Services> = Layer.orDie(
  Layer.unwrapScoped(Effect.map(tempFile(), (filename) => Sqlite.layer({ filename })))
)

/** The embedded set-ups, each empty whenever its layer is built. */
export const setups: ReadonlyArray<readonly [name: string, layer: Layer.Layer<Memory.Services>]> = [
  ["memory", Memory.layer],
  ["SQLite", sqlite]
]

/** Registers a suite for each of them. */
export const onBoth = (title: string, suite: (layer: Layer.Layer<Memory.Services>) => void): void => {
  for (const [name, layer] of setups) {
    describe(`${title}: ${name}`, () => {
      suite(layer)
    })
  }
}

/** Runs an effect over the store with some of its operations replaced. */
export const withStore =
  (change: (store: Operations) => Partial<Operations>) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R | EventStore> =>
    Effect.flatMap(EventStore, (store) => Effect.provideService(effect, EventStore, { ...store, ...change(store) }))

/** Runs an effect, with another before each of its appends: somebody else who is quicker. It is told which append it is. */
export const withRival = <E2>(rival: (append: number) => Effect.Effect<unknown, E2, EventStore>) => {
  let appends = 0
  return withStore((store) => ({
    append: (groups, options) =>
      Effect.suspend(() => Effect.orDie(Effect.provideService(rival(++appends), EventStore, store))).pipe(
        Effect.zipRight(store.append(groups, options))
      )
  }))
}
