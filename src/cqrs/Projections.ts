/**
 * Projections that most applications want: one for each type, one for each aggregate, one for each day, and statistics.
 *
 * The first three keep a projection for each key; what is kept by key is a persistent map, so that an event costs the same
 * however many keys there are.
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import * as Either from "effect/Either"
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { Recorded } from "../event/Envelope.ts"
import type * as Event from "../event/Event.ts"
import * as Faults from "../internal/faults.ts"
import { initialStates } from "../internal/cqrs/projection.ts"
import { tenantKey } from "../internal/store/tenantKey.ts"
import * as Projection from "./Projection.ts"

/**
 * What is kept for each key, and of which events.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<S, SI, Es extends ReadonlyArray<Event.Any>> extends Projection.SourceOptions<Es> {
  readonly state: Schema.Schema<S, SI>
  /** The state of a key before its first event. */
  readonly initial: NoInfer<S>
  readonly apply: (state: S, event: Es[number]["Type"], recorded: Recorded<Es[number]["Type"]>) => NoInfer<S>
}

/**
 * A projection that keeps a state for each key.
 *
 * @since 0.1.0
 * @category models
 */
export type Keyed<Name extends string, S, E> = Projection.Projection<Name, HashMap.HashMap<string, S>, E>

const keyed = <const Name extends string, S, SI, const Es extends ReadonlyArray<Event.Any>>(
  name: Name,
  options: Options<S, SI, Es>,
  keyOf: (recorded: Recorded<Es[number]["Type"]>) => string
): Keyed<Name, S, Es[number]["Type"]> => {
  const projection = Projection.make(name, {
    version: options.version,
    events: options.events,
    category: options.category,
    allTenants: options.allTenants,
    state: Schema.HashMap({ key: Schema.String, value: options.state }),
    initial: HashMap.empty<string, S>(),
    apply: (states, event, recorded) => {
      const key = keyOf(recorded)
      const before = Option.getOrElse(HashMap.get(states, key), initial)
      return HashMap.set(states, key, options.apply(before, event, recorded))
    }
  })
  const initial = initialStates(options.state, options.initial)
  return projection
}

/**
 * A state for each type of event, by its tag.
 *
 * @example
 * ```ts
 * import * as Projections from "effect-skald/cqrs/Projections"
 * import * as Event from "effect-skald/event/Event"
 * import { Schema } from "effect"
 *
 * const Placed = Event.make("Placed", { total: Schema.Number })
 * const Paid = Event.make("Paid", { total: Schema.Number })
 *
 * const Totals = Projections.byType("totals", {
 *   events: [Placed, Paid],
 *   state: Schema.Number,
 *   initial: 0,
 *   apply: (sum, event) => sum + event.total
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const byType = <const Name extends string, S, SI, const Es extends ReadonlyArray<Event.Any>>(
  name: Name,
  options: Options<S, SI, Es>
): Keyed<Name, S, Es[number]["Type"]> => keyed(name, options, (recorded) => recorded.payload._tag)

/**
 * A state for each aggregate, by its stream; over all tenants, by its {@link tenantStream}.
 *
 * @since 0.1.0
 * @category constructors
 */
export const byAggregate = <const Name extends string, S, SI, const Es extends ReadonlyArray<Event.Any>>(
  name: Name,
  options: Options<S, SI, Es>
): Keyed<Name, S, Es[number]["Type"]> => keyed(name, options, aggregateKey(options))

/**
 * One name for a stream of a tenant, where those of all tenants stand side by side: no two are ever called the same.
 *
 * @since 0.1.0
 * @category getters
 */
export const tenantStream = (tenant: string | undefined, stream: string): string => tenantKey(tenant, stream)

const aggregateKey = (options: Projection.RawOptions) => ({ metadata, stream }: Recorded<unknown>): string =>
  options.allTenants === true ? tenantStream(metadata.tenant, stream) : stream

/**
 * A state for each day, `"2001-02-14"`, on which events occurred. Days are UTC days unless a time zone is given, by its IANA name;
 * an unknown one throws `InvalidInput`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const byDate = <const Name extends string, S, SI, const Es extends ReadonlyArray<Event.Any>>(
  name: Name,
  options: Options<S, SI, Es> & { readonly timeZone?: string | undefined }
): Keyed<Name, S, Es[number]["Type"]> => {
  if (options.timeZone === undefined) {
    return keyed(name, options, (recorded) => dayOf(DateTime.toDateUtc(recorded.occurredAt)))
  }
  const zone = Option.getOrUndefined(DateTime.zoneMakeNamed(options.timeZone))
  if (zone === undefined) {
    const faults = Faults.make()
    faults.add("timeZone", `must be the name of a time zone, got ${Faults.show(options.timeZone)}`)
    return Either.getOrThrowWith(Faults.orInvalid(faults, (): never => undefined as never), (error) => error)
  }
  return keyed(name, options, (recorded) => dayOf(DateTime.toDate(DateTime.setZone(recorded.occurredAt, zone))))
}

/** Years beyond 9999 have a sign and six digits. */
const dayOf = (date: Date): string => {
  const text = date.toISOString()
  return text.slice(0, text.indexOf("T"))
}

/**
 * Schema of what {@link statistics} knows.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Statistics = Schema.Struct({
  events: Schema.Number,
  /** How many events of each type. */
  byType: Schema.HashMap({ key: Schema.String, value: Schema.Number }),
  /** How many events of each aggregate that was touched: by its stream or, over all tenants, its {@link tenantStream}. */
  byAggregate: Schema.HashMap({ key: Schema.String, value: Schema.Number }),
  /** The earliest and the latest `occurredAt`; absent as long as there is no event. */
  occurred: Schema.optionalWith(Schema.Struct({ first: Schema.DateTimeUtc, last: Schema.DateTimeUtc }), { exact: true })
})

/**
 * What {@link statistics} knows.
 *
 * @since 0.1.0
 * @category models
 */
export interface Statistics extends Schema.Schema.Type<typeof Statistics> {}

const none: Statistics = { events: 0, byType: HashMap.empty(), byAggregate: HashMap.empty() }

/**
 * How many events there are, of which types and aggregates, and over which time. It looks at every event, whatever its type,
 * and decodes none; the library's own marks, whose types begin with `$`, are none.
 *
 * @example
 * ```ts
 * import * as Projection from "effect-skald/cqrs/Projection"
 * import * as Projections from "effect-skald/cqrs/Projections"
 *
 * const ofOrders = Projections.statistics("order-statistics", { category: "order" })
 *
 * const now = Projection.live(ofOrders) // Effect<Statistics, …, EventStore>
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const statistics = <const Name extends string>(
  name: Name,
  options: Projection.RawOptions = {}
): Projection.Projection<Name, Statistics, unknown> => {
  const keyOf = aggregateKey(options)
  return Projection.makeRaw(name, {
    ...options,
    state: Statistics,
    initial: none,
    apply: (before, _payload, recorded) =>
      recorded.type.startsWith("$") ? before : ({
        events: before.events + 1,
        byType: count(before.byType, recorded.type),
        byAggregate: count(before.byAggregate, keyOf(recorded)),
        occurred: before.occurred === undefined
          ? { first: recorded.occurredAt, last: recorded.occurredAt }
          : {
            first: DateTime.min(before.occurred.first, recorded.occurredAt),
            last: DateTime.max(before.occurred.last, recorded.occurredAt)
          }
      })
  })
}

const count = (counts: HashMap.HashMap<string, number>, key: string): HashMap.HashMap<string, number> =>
  HashMap.modifyAt(counts, key, (before) => Option.some(Option.getOrElse(before, () => 0) + 1))
