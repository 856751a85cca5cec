/**
 * What every driver of the event store must do, as tests: expectations, idempotency, conditions, reads, subscriptions,
 * hooks, transactions, payloads, and properties against a model.
 *
 * Needs `vitest` and `@effect/vitest`.
 *
 * @since 0.1.0
 */
import { describe, expect, it, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Appends from "../internal/testing/conformance/appends.ts"
import type { Section } from "../internal/testing/conformance/case.ts"
import * as Conditions from "../internal/testing/conformance/conditions.ts"
import * as Correlations from "../internal/testing/conformance/correlations.ts"
import * as Expectations from "../internal/testing/conformance/expectations.ts"
import * as Formats from "../internal/testing/conformance/formats.ts"
import * as Hooks from "../internal/testing/conformance/hooks.ts"
import * as Idempotency from "../internal/testing/conformance/idempotency.ts"
import * as Lifecycle from "../internal/testing/conformance/lifecycle.ts"
import * as LogReads from "../internal/testing/conformance/logReads.ts"
import * as Matrix from "../internal/testing/conformance/matrix.ts"
import * as Payloads from "../internal/testing/conformance/payloads.ts"
import * as Properties from "../internal/testing/conformance/properties.ts"
import * as StreamReads from "../internal/testing/conformance/streamReads.ts"
import * as Subscriptions from "../internal/testing/conformance/subscriptions.ts"
import * as Tombstones from "../internal/testing/conformance/tombstones.ts"
import * as Transactions from "../internal/testing/conformance/transactions.ts"
import * as Transfers from "../internal/testing/conformance/transfers.ts"
import type { Capability, Driver } from "../store/Driver.ts"
import { type Capable, EventStore, type Service } from "../store/EventStore.ts"

/**
 * What the suite is run on.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<C extends Capability, E, E2> {
  /** The store as applications get it; built once for the suite. */
  readonly layer: Layer.Layer<EventStore | (C extends Capability ? Capable<C> : never), E>
  /**
   * The driver alone, made anew for each case that needs several stores over one log, or a driver that does otherwise:
   * payload formats, transforms, limits, wake-ups.
   * Where it is not given, those cases are not run.
   */
  readonly driver?: Effect.Effect<Driver<C>, E2, Scope.Scope> | undefined
  /** What the driver can do beyond what every driver can; none when not given. A case checks that the store says the same. */
  readonly capabilities?: ReadonlyArray<C> | undefined
  /** How often each property is tried; {@link defaultNumRuns} when not given. */
  readonly numRuns?: number | undefined
  /** The seed of the properties, as a failure reports it. */
  readonly seed?: number | undefined
  /** Milliseconds for each case; {@link defaultTimeout} when not given. */
  readonly timeout?: number | undefined
}

/**
 * How often each property is tried.
 *
 * @since 0.1.0
 * @category defaults
 */
export const defaultNumRuns = 100

/**
 * Milliseconds that each case may take.
 *
 * @since 0.1.0
 * @category defaults
 */
export const defaultTimeout = 30_000

/**
 * Registers the whole suite with vitest, as a `describe` of the given name.
 *
 * The store may hold other things: each case works in a tenant of its own and takes names that nobody else has, so that the
 * suite runs on a database that is shared, and twice on the same one. It waits for what happens, never for time to pass.
 *
 * @example
 * ```ts
 * import { driverMemory, layerMemory } from "effect-skald/store/EventStore"
 * import * as EventStoreConformance from "effect-skald/testing/EventStoreConformance"
 *
 * EventStoreConformance.suite("memory", { layer: layerMemory, driver: driverMemory })
 * ```
 *
 * @since 0.1.0
 * @category suites
 */
export const suite = <E, const C extends Capability = never, E2 = never>(
  name: string,
  options: Options<C, E, E2>
): void => {
  const { capabilities = [], driver, numRuns = defaultNumRuns, seed, timeout = defaultTimeout } = options
  describe(name, () => {
    layer(options.layer, { excludeTestServices: true, timeout })((it) => {
      // `EventStore` is the service with all that its driver can do
      const run = (section: Section<any>) =>
        describe(section.name, () => {
          for (const each of section.cases) it.scoped(each.name, () => Effect.flatMap(EventStore, each.run), timeout)
        })
      it.effect("its capabilities are those that it declares", () =>
        Effect.map(EventStore, (store) => {
          expect(Array.from(store.capabilities).sort()).toEqual([...capabilities].sort())
        }))
      for (const section of sections) run(section)
      run(Properties.propertySection({ numRuns, seed }))
      if ((capabilities as ReadonlyArray<Capability>).includes("transactions")) {
        run(Transactions.transactionSection)
        run(Tombstones.tombstoneTransactionSection)
      }
    })
    if (driver === undefined) return
    for (const section of [Formats.formatSection, Subscriptions.wakeSection, Transfers.transferSection]) {
      describe(section.name, () => {
        for (const each of section.cases) {
          it.scoped(each.name, () => Effect.flatMap(driver as DriverOf<E2>, each.run), timeout)
        }
      })
    }
  })
}

type DriverOf<E> = Effect.Effect<Driver<any>, E, Scope.Scope>

const sections: ReadonlyArray<Section<Service>> = [
  Expectations.expectationSection,
  Appends.appendSection,
  Matrix.matrixSection,
  Idempotency.idempotencySection,
  Conditions.conditionSection,
  StreamReads.streamReadSection,
  LogReads.logReadSection,
  Lifecycle.lifecycleSection,
  Tombstones.tombstoneSection,
  Payloads.payloadSection,
  Correlations.correlationSection,
  Correlations.tenantSection,
  Correlations.immutabilitySection,
  Hooks.hookSection,
  Subscriptions.subscriptionSection
]

/**
 * The matrix of stream state, expectation and what is new or repeated, as a table in Markdown: what the suite tests cell by
 * cell, and `docs/idempotency.md` shows.
 *
 * @since 0.1.0
 * @category formatters
 */
export const idempotencyTable: () => string = Matrix.table
