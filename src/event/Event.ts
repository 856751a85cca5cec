/**
 * Event types: a Schema of a tagged struct, a schema version, and the upcasters that bring older versions up to it.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import type * as Types from "effect/Types"
import * as EventTypes from "../internal/event/eventTypes.ts"

/**
 * Any Schema of values with a `_tag`: what is accepted wherever an event type is.
 * A `Schema.TaggedStruct`, a `Schema.TaggedClass`, a `Schema.Union` of them, and what `Event.make` makes are all event types.
 *
 * @since 0.1.0
 * @category models
 */
export type Any = Schema.Schema<any, any, never> & { readonly Type: { readonly _tag: string } }

/**
 * The events of an event type.
 *
 * @since 0.1.0
 * @category models
 */
export type Of<E extends Any> = E["Type"]

/**
 * An event type made by {@link make}: a `Schema.TaggedStruct` that is called to construct an event.
 *
 * @since 0.1.0
 * @category models
 */
export interface EventType<Tag extends string, F extends Schema.Struct.Fields> extends Schema.TaggedStruct<Tag, F> {
  /** The tag of the events. */
  readonly tag: Tag
  /** The version of the Schema that new events are written with; 1 when none was stated. */
  readonly version: number
  /** What wildcards match, `order.placed` for example; the tag when none was given. */
  readonly subject: string
  /** How an event that was written with an older Schema is brought up, by that Schema's version. */
  readonly upcasters: { readonly [version: number]: Link<Schema.Schema.Any, unknown> }
  /** The tags that its events were recorded under before it was renamed; none when none was stated. */
  readonly aliases: ReadonlyArray<string>
  /** The tags of an event, for queries and consistency boundaries. */
  readonly tagsOf: (event: Types.Simplify<{ readonly _tag: Tag } & Schema.Struct.Type<F>>) => ReadonlyArray<string>
  (fields: Given<Types.Simplify<Schema.Struct.Constructor<F>>>): Types.Simplify<
    { readonly _tag: Tag } & Schema.Struct.Type<F>
  >
}

/** As for Schema's own `make`: nothing need be given where nothing is required. */
type Given<Fields> = {} extends Fields ? void | Fields : Fields

/**
 * One link of a chain of upcasters: the older Schema, and how its values become those of the next version.
 *
 * @since 0.1.0
 * @category models
 */
export interface Link<S extends Schema.Schema.Any, To> {
  readonly schema: S
  readonly to: (old: Schema.Schema.Type<S>) => To
}

type Below<V extends number, Acc extends Array<unknown> = [unknown]> = Acc["length"] extends V ? never
  : Acc["length"] | Below<V, [...Acc, unknown]>
type Succ<K extends number, Acc extends Array<unknown> = []> = Acc["length"] extends K
  ? [...Acc, unknown]["length"] & number
  : Succ<K, [...Acc, unknown]>
type TypeAt<U, K extends number, Current> = K extends keyof U
  ? (U[K] extends Link<infer S, any> ? Schema.Schema.Type<S> : never)
  : Current

/**
 * The chain of upcasters that a Schema of version `V` asks for: one link for each version below it, each leading to the
 * values of the next. A missing or a mistyped link does not type-check.
 *
 * @since 0.1.0
 * @category models
 */
export type Chain<U, V extends number, Current> = {
  readonly [K in Below<V>]: Link<any, TypeAt<U, Succ<K>, Current>>
}

/**
 * A tag that users may not take: empty, or beginning with `$`, which marks the library's own events.
 *
 * @since 0.1.0
 * @category models
 */
export type Reserved = "" | `$${string}`

type Free<Tag extends string> = Tag extends Reserved ? never : Tag

/**
 * Options of an event type.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<F extends Schema.Struct.Fields> {
  /** What wildcards match; the tag when not given. */
  readonly subject?: string | undefined
  /** The tags of an event, read from its payload; none when not given. */
  readonly tags?: ((event: Schema.Struct.Type<F>) => ReadonlyArray<string>) | undefined
  /**
   * Former tags of the event type: what was recorded under one of them is read as an event of this type, its `_tag` the
   * present one. `type` of the recorded event stays what was stored. The Schema versions go on over the renaming.
   */
  readonly alias?: ReadonlyArray<string> | undefined
}

/**
 * One link of a chain of upcasters.
 *
 * @since 0.1.0
 * @category constructors
 */
export const upcast = <S extends Schema.Schema.Any, To>(
  schema: S,
  to: (old: Schema.Schema.Type<S>) => To
): Link<S, To> => ({ schema, to })

/**
 * An event type: call it to construct an event, use it wherever a Schema is used.
 *
 * Constructing throws `ParseError` for fields that the Schema refuses, as Schema's own `make` does. A reserved tag, a field
 * named `_tag`, and a hole in the chain of upcasters do not type-check, and throw `InvalidInput` when built.
 *
 * @example
 * ```ts
 * import * as Event from "effect-skald/event/Event"
 * import { Schema } from "effect"
 *
 * const OrderPlaced = Event.make("OrderPlaced", { order: Schema.String, total: Schema.Number }, {
 *   subject: "order.placed",
 *   tags: (event) => [`order:${event.order}`]
 * })
 *
 * const PaidV1 = Schema.Struct({ order: Schema.String })
 * const OrderPaid = Event.make("OrderPaid", { order: Schema.String, payment: Schema.String }, {
 *   version: 2,
 *   upcast: { 1: Event.upcast(PaidV1, (old) => ({ ...old, payment: `legacy-${old.order}` })) }
 * })
 *
 * OrderPlaced({ order: "o-1", total: 10 }) // { _tag: "OrderPlaced", order: "o-1", total: 10 }
 * OrderPaid.version                        // 2
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: {
  <const Tag extends string, F extends Schema.Struct.Fields & { readonly _tag?: never }>(
    tag: Free<Tag>,
    fields: F,
    options?: Options<F>
  ): EventType<Tag, F>
  <
    const Tag extends string,
    F extends Schema.Struct.Fields & { readonly _tag?: never },
    const V extends number,
    U extends Chain<U, V, Types.Simplify<Schema.Struct.Type<F>>>
  >(
    tag: Free<Tag>,
    fields: F,
    options: Options<F> & { readonly version: V; readonly upcast: U }
  ): EventType<Tag, F>
} = (
  tag: string,
  fields: Schema.Struct.Fields,
  options?: Options<any> & { readonly version?: number; readonly upcast?: Record<number, Link<any, any>> }
): any => EventTypes.make(tag, fields, options)

/**
 * Several event types as one, with no tag twice.
 *
 * @since 0.1.0
 * @category models
 */
export interface Group<Es extends ReadonlyArray<Any>> {
  /** The event types, as given. */
  readonly types: Es
  /** Schema of any event of the group. */
  readonly schema: Schema.Schema<Es[number]["Type"], Es[number]["Encoded"]>
  /** What is known of each event type, by its tag. */
  readonly entries: ReadonlyMap<string, Entry>
}

/**
 * What the library knows of one tag.
 *
 * @since 0.1.0
 * @category models
 */
export interface Entry {
  readonly tag: string
  readonly subject: string
  readonly version: number
  /** Schema of the current version. */
  readonly schema: Schema.Schema<any, any>
  readonly upcasters: { readonly [version: number]: Link<any, any> }
  readonly tagsOf: ((event: any) => ReadonlyArray<string>) | undefined
  /** Former tags, under which older events are stored. */
  readonly aliases: ReadonlyArray<string>
}

type TagsOf<E extends Any> = E["Type"]["_tag"]
type Distinct<Es extends ReadonlyArray<Any>, Seen = never> = Es extends readonly [
  infer H extends Any,
  ...infer T extends ReadonlyArray<Any>
] ? TagsOf<H> & Seen extends never ? readonly [H, ...Distinct<T, Seen | TagsOf<H>>]
  : readonly [{ readonly "two event types with the tag": TagsOf<H> & Seen }, ...Distinct<T, Seen>]
  : Es

/**
 * A list of event types, accepted only when no two of them share a tag.
 *
 * @since 0.1.0
 * @category models
 */
export type UniqueTags<Es extends ReadonlyArray<Any>> = Es & Distinct<Es>

/**
 * Gathers event types. Two with one tag do not type-check, and throw `InvalidInput` when built; so does a Schema whose
 * tags cannot be read from it, or with a reserved one.
 *
 * @example
 * ```ts
 * import * as Event from "effect-skald/event/Event"
 * import { Schema } from "effect"
 *
 * class Cancelled extends Schema.TaggedClass<Cancelled>()("Cancelled", { order: Schema.String }) {}
 * const Placed = Event.make("Placed", { order: Schema.String })
 *
 * const Orders = Event.group([Placed, Cancelled])
 * Array.from(Orders.entries.keys()) // ["Placed", "Cancelled"]
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const group = <const Es extends ReadonlyArray<Any>>(types: UniqueTags<Es>): Group<Es> => {
  const all = types as unknown as Es
  const entries = EventTypes.entries(all)
  return { types: all, schema: Schema.Union(...all) as any, entries }
}

/**
 * The names that events of some types are stored under: their tags, and the former ones. For queries of the store, which
 * knows types by what is stored.
 *
 * @example
 * ```ts
 * import * as Event from "effect-skald/event/Event"
 * import * as Query from "effect-skald/store/Query"
 * import { Schema } from "effect"
 *
 * const Enrolled = Event.make("Enrolled", { course: Schema.String }, { alias: ["Registered"] })
 *
 * Event.storedTypes([Enrolled])                               // ["Enrolled", "Registered"]
 * const query = Query.unsafeMake({ types: Event.storedTypes([Enrolled]) })
 * ```
 *
 * @since 0.1.0
 * @category getters
 */
export const storedTypes = (types: ReadonlyArray<Any>): ReadonlyArray<string> =>
  EventTypes.storedTypes(EventTypes.entries(types).values())

/**
 * What is wrong with a tag for the user's own events, or `undefined`.
 *
 * @since 0.1.0
 * @category guards
 */
export const tagProblem: (tag: unknown) => string | undefined = EventTypes.tagProblem
