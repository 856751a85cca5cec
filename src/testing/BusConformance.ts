/**
 * What every driver of the event bus must do, as tests: delivery, order, retries and verdicts, dead letters, time to live,
 * beginning and end; and, for drivers that declare it, delay, priority, history and restart.
 *
 * Needs `vitest` and `@effect/vitest`.
 *
 * @since 0.1.0
 */
import { describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type { Capability } from "../bus/BusDriver.ts"
import type { Capable, EventBus } from "../bus/EventBus.ts"
import type { BusSection, Subject } from "../internal/testing/conformance/busCase.ts"
import * as DeadLetters from "../internal/testing/conformance/busDeadLetters.ts"
import * as Delivery from "../internal/testing/conformance/busDelivery.ts"
import * as Durable from "../internal/testing/conformance/busDurable.ts"
import * as Lifecycle from "../internal/testing/conformance/busLifecycle.ts"
import * as Order from "../internal/testing/conformance/busOrder.ts"
import * as Retries from "../internal/testing/conformance/busRetries.ts"
import * as Subscribers from "../internal/testing/conformance/busSubscribers.ts"
import * as Times from "../internal/testing/conformance/busTimes.ts"

/**
 * What the suite is run on.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<C extends Capability, E> {
  /**
   * The bus as applications get it. It is built anew for each case, and several times within some: over the same storage
   * where the driver is `durable`.
   */
  readonly layer: Layer.Layer<EventBus | (C extends Capability ? Capable<C> : never), E>
  /** What the driver can do beyond what every driver can; none when not given. A case checks that the bus says the same. */
  readonly capabilities?: ReadonlyArray<C> | undefined
  /** How long what a dead consumer had may stay away, as the layer is configured; {@link defaultLease} when not given. */
  readonly lease?: Duration.DurationInput | undefined
  /**
   * The command line of a program that runs {@link worker}, for a case that kills it. The suite adds two arguments. Where it
   * is not given, the case does nothing.
   */
  readonly worker?: ReadonlyArray<string> | undefined
  /** Whether all of its times are those of the Clock, so that they can be tested to the millisecond; not when not given. */
  readonly exact?: boolean | undefined
  /** How many messages make a backlog; {@link defaultBacklog} when not given. */
  readonly backlog?: number | undefined
  /** How often the case of connections connects; {@link defaultConnects} when not given. */
  readonly connects?: number | undefined
  /** Milliseconds for each case; {@link defaultTimeout} when not given. */
  readonly timeout?: number | undefined
}

/**
 * How long what a dead consumer had may stay away.
 *
 * @since 0.1.0
 * @category defaults
 */
export const defaultLease: Duration.Duration = Duration.seconds(5)

/**
 * How many messages make a backlog.
 *
 * @since 0.1.0
 * @category defaults
 */
export const defaultBacklog = 100_000

/**
 * How often the case of connections connects.
 *
 * @since 0.1.0
 * @category defaults
 */
export const defaultConnects = 1_000

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
 * The storage may hold other things: each case takes names that nobody else has. It waits for what happens, up to 15 seconds,
 * and a few dozen milliseconds for what must not; so the layer should poll often and have a short lease.
 *
 * @example
 * ```ts
 * import * as EventBus from "effect-skald/bus/EventBus"
 * import * as BusConformance from "effect-skald/testing/BusConformance"
 *
 * const capabilities = ["delay", "priority", "history"] as const
 * BusConformance.suite("memory", { layer: EventBus.layerMemory, capabilities, exact: true })
 * ```
 *
 * @since 0.1.0
 * @category suites
 */
export const suite = <E, const C extends Capability = never>(name: string, options: Options<C, E>): void => {
  const { backlog = defaultBacklog, connects = defaultConnects, lease, timeout = defaultTimeout, worker } = options
  const capabilities = new Set<Capability>(options.capabilities)
  const subject: Subject = {
    layer: options.layer,
    capabilities,
    lease: lease === undefined ? defaultLease : Duration.decode(lease),
    backlog,
    connects,
    worker
  }
  const run = (section: BusSection, test: typeof it.scopedLive) => {
    if (!section.needs.every((capability) => capabilities.has(capability))) return
    describe(section.name, () => {
      for (const each of section.cases) test(each.name, () => each.run(subject), timeout)
    })
  }
  describe(name, () => {
    for (const section of sections) run(section, it.scopedLive)
    if (options.exact === true) run(Durable.exactSection, it.scoped)
  })
}

const sections: ReadonlyArray<BusSection> = [
  Delivery.deliverySection,
  Order.orderSection,
  Retries.retrySection,
  DeadLetters.deadLetterSection,
  Times.ttlSection,
  Times.delaySection,
  Times.prioritySection,
  Times.historySection,
  Lifecycle.lifecycleSection,
  Subscribers.subscribersSection,
  Durable.durableSection
]

/**
 * A program that takes messages and holds on to them until it is killed: what `worker` of {@link Options} is to run. It takes
 * its two last arguments from the command line.
 *
 * @example
 * ```ts no-check
 * import { Effect } from "effect"
 * import * as BusConformance from "effect-skald/testing/BusConformance"
 *
 * Effect.runFork(BusConformance.worker(MyBus.layer))
 * ```
 *
 * @since 0.1.0
 * @category suites
 */
export const worker = <A, E>(layer: Layer.Layer<A | EventBus, E>): Effect.Effect<never, unknown> =>
  Effect.suspend(() => {
    const [name, tag] = process.argv.slice(-2)
    return Effect.provide(Durable.consumeForever(name!, tag!), layer)
  })
