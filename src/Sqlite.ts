/**
 * Every service on one SQLite file: what an application on one machine needs, and no server.
 *
 * @since 0.1.0
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { BusError } from "./bus/BusError.ts"
import * as DeadLetters from "./bus/DeadLetters.ts"
import type { TransactionalInbox } from "./bus/Inbox.ts"
import * as SqlBus from "./bus/Sql.ts"
import * as SqlInbox from "./bus/SqlInbox.ts"
import type { InvalidInput } from "./event/InvalidInput.ts"
import type * as Memory from "./Memory.ts"
import * as SagaEngine from "./saga/SagaEngine.ts"
import * as SqlTimers from "./saga/SqlTimers.ts"
import type { Timers } from "./saga/Timers.ts"
import * as SqliteStore from "./store/Sqlite.ts"
import * as SqlCheckpoints from "./store/SqlCheckpoints.ts"
import type * as SqliteClient from "./store/SqliteClient.ts"
import * as SqlLeases from "./store/SqlLeases.ts"
import * as SqlParkedEvents from "./store/SqlParkedEvents.ts"
import * as SqlSnapshots from "./store/SqlSnapshots.ts"
import type { StoreError } from "./store/StoreError.ts"

/**
 * The file, and how it is kept.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends SqliteStore.FileOptions {}

/**
 * What the layer gives: every service, the capabilities of the store and of the bus, and the file itself as a `SqlClient`, so that the
 * application's own tables share its transactions.
 *
 * @since 0.1.0
 * @category models
 */
export type Provided =
  | Memory.Services
  | SqliteStore.Provided
  | Memory.Bus
  | SqlBus.Provided
  | TransactionalInbox
  | Timers
  | SagaEngine.SagaEngine
  | SqlClient.SqlClient
  | SqliteClient.SqliteClient

/**
 * Every service, on one file. It is made where it is missing; its tables are named by a prefix, `skald_` when none is given. The
 * engine of sagas is one for all sagas in the file: of several processes that share it, one registers sagas (or all of them give
 * an engine of `SagaEngine.layerShared` instead).
 *
 * @example
 * ```ts
 * import * as Memory from "effect-skald/Memory"
 * import * as Sqlite from "effect-skald/Sqlite"
 * import { EventStore } from "effect-skald/store/EventStore"
 * import { Effect } from "effect"
 *
 * const program = Effect.flatMap(EventStore, (store) => store.head)
 *
 * const onFile = program.pipe(Effect.provide(Sqlite.layer({ filename: "shop.db" })))
 * const inMemory = program.pipe(Effect.provide(Memory.layer))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: Options
): Layer.Layer<Provided, StoreError | BusError | InvalidInput | SqliteClient.SqliteOpenError> =>
  Layer.provideMerge(
    // fresh, as the dead letters are: an application may have others, of another bus or store
    Layer.fresh(SagaEngine.layer),
    Layer.mergeAll(
      SqlSnapshots.layer(options),
      SqlCheckpoints.layer(options),
      SqlLeases.layer(options),
      SqlParkedEvents.layer(options),
      SqlTimers.layer({ prefix: options.prefix }),
      SqlInbox.layer({ prefix: options.prefix }),
      Layer.fresh(DeadLetters.layer).pipe(
        Layer.provideMerge(SqlBus.layer({ prefix: options.prefix, pollInterval: options.pollInterval }))
      )
    ).pipe(Layer.provideMerge(SqliteStore.layerFile(options)))
  )

/**
 * As {@link layer}, with options read from the configuration.
 *
 * @example
 * ```ts
 * import * as Sqlite from "effect-skald/Sqlite"
 * import { Config } from "effect"
 *
 * const Store = Sqlite.layerConfig({ filename: Config.string("SHOP_DB") })
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  options: Config.Config.Wrap<Options>
): Layer.Layer<
  Provided,
  StoreError | BusError | InvalidInput | SqliteClient.SqliteOpenError | ConfigError.ConfigError
> => Layer.unwrapEffect(Effect.map(Config.unwrap(options), layer))
