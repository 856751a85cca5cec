/**
 * The dead letters of a bus: looked through, mended, delivered again, removed.
 *
 * @since 0.1.0
 */
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { Fault, InvalidInput } from "../event/InvalidInput.ts"
import { PayloadFormat } from "../event/PayloadFormat.ts"
import * as Retry from "../internal/busRetry.ts"
import * as Faults from "../internal/faults.ts"
import * as Json from "../internal/json.ts"
import type { BusError } from "./BusError.ts"
import type { DeadLetter, Key, Reason } from "./DeadLetter.ts"
import type { Count, Filter as StoredFilter } from "./DeadLetterStore.ts"
import { EventBus } from "./EventBus.ts"

/**
 * How many dead letters are worked on at a time. It is a page, never a limit: all are processed.
 *
 * @since 0.1.0
 * @category constants
 */
export const batchSize = 100

/**
 * Which dead letters: those that meet all that is given; `{}` for all.
 *
 * @since 0.1.0
 * @category models
 */
export interface Filter {
  readonly subscription?: string | undefined
  readonly reasons?: ReadonlyArray<Reason> | undefined
  /** Tags of events. */
  readonly types?: ReadonlyArray<string> | undefined
  /** Ids of messages. */
  readonly ids?: ReadonlyArray<string> | undefined
  /** Put aside at this instant or later. */
  readonly since?: DateTime.DateTime.Input | undefined
  /** Put aside before this instant. */
  readonly until?: DateTime.DateTime.Input | undefined
}

/**
 * How many dead letters there are, and of which kinds.
 *
 * @since 0.1.0
 * @category models
 */
export interface Statistics {
  readonly total: number
  readonly byReason: { readonly [reason: string]: number }
  readonly byType: { readonly [type: string]: number }
  readonly bySubscription: { readonly [subscription: string]: number }
}

/**
 * What can be done with dead letters.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service {
  readonly get: (key: Key) => Effect.Effect<Option.Option<DeadLetter>, BusError>
  /** In the order in which they were put aside. */
  readonly list: (filter: Filter) => Stream.Stream<DeadLetter, BusError | InvalidInput>
  readonly statistics: (filter: Filter) => Effect.Effect<Statistics, BusError | InvalidInput>
  /**
   * Delivers to its own subscription alone, under its own id: its attempts are counted anew, its history goes on, its time to
   * live is over and done with. Answers how many. What was no message stays where it is.
   *
   * A letter is delivered before it is removed: a crash between the two leaves both, and loses neither.
   */
  readonly reprocess: (filter: Filter) => Effect.Effect<number, BusError | InvalidInput>
  /** Mends the payload, a JSON value. Answers whether there was such a letter. */
  readonly edit: (key: Key, payload: unknown) => Effect.Effect<boolean, BusError | InvalidInput>
  /** Answers how many. */
  readonly remove: (filter: Filter) => Effect.Effect<number, BusError | InvalidInput>
}

/**
 * The dead letters of the application's bus.
 *
 * @since 0.1.0
 * @category services
 */
export class DeadLetters extends Context.Tag("effect-skald/bus/DeadLetters")<DeadLetters, Service>() {}

/**
 * The dead letters of the bus beneath.
 *
 * @example
 * ```ts
 * import * as DeadLetters from "effect-skald/bus/DeadLetters"
 * import * as EventBus from "effect-skald/bus/EventBus"
 * import { Effect, Layer } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const letters = yield* DeadLetters.DeadLetters
 *   yield* letters.reprocess({ subscription: "mail", reasons: ["exhausted"] })
 * }).pipe(Effect.provide(Layer.provideMerge(DeadLetters.layer, EventBus.layerMemory)))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<DeadLetters, never, EventBus> = Layer.effect(
  DeadLetters,
  Effect.gen(function*() {
    const bus = yield* EventBus
    const formats = yield* PayloadFormat
    const store = bus.deadLetters

    const pages = (filter: StoredFilter) =>
      Stream.paginateChunkEffect(
        undefined as DeadLetter | undefined,
        (after) =>
          Effect.map(store.page(filter, after, batchSize), (page) => [
            Chunk.unsafeFromArray(page),
            page.length < batchSize ? Option.none() : Option.some(page[page.length - 1])
          ])
      )

    /** Batch by batch, over those that were there at the beginning: one that comes back meanwhile stands after them. */
    const each = (
      filter: Filter,
      run: (batch: ReadonlyArray<DeadLetter>) => Effect.Effect<number, BusError>
    ): Effect.Effect<number, BusError | InvalidInput> =>
      Effect.flatMap(check(filter), (stored) => {
        const from = (after: DeadLetter | undefined, done: number): Effect.Effect<number, BusError> =>
          Effect.flatMap(store.page(stored, after, batchSize), (page) =>
            page.length === 0
              ? Effect.succeed(done)
              : Effect.flatMap(run(page), (count) =>
                page.length < batchSize
                  ? Effect.succeed(done + count)
                  : from(page[page.length - 1], done + count)))
        return from(undefined, 0)
      })

    const reprocess = (batch: ReadonlyArray<DeadLetter>) => {
      const bySubscription = new Map<string, Array<DeadLetter>>()
      for (const letter of batch) {
        if ("_tag" in letter.message) continue
        const known = bySubscription.get(letter.subscription)
        if (known === undefined) bySubscription.set(letter.subscription, [letter])
        else known.push(letter)
      }
      return Effect.reduce(bySubscription, 0, (count, [subscription, letters]) =>
        Effect.zipRight(
          bus.redeliver(
            subscription,
            letters.map(({ history, message, reprocessed }) => ({
              message: message as Exclude<typeof message, { readonly _tag: string }>,
              state: Retry.encode(Retry.again(history, reprocessed + 1))
            }))
          ),
          Effect.map(store.remove(letters), () => count + letters.length)
        ))
    }

    return {
      get: (key) => Effect.map(store.get(key), Option.fromNullable),
      list: (filter) => Stream.unwrap(Effect.map(check(filter), pages)),
      statistics: (filter) => Effect.map(Effect.flatMap(check(filter), store.counts), statisticsOf),
      reprocess: (filter) => each(filter, reprocess),
      edit: (key, payload) => {
        const faults = Faults.make()
        if (payload === undefined) faults.add("payload", "must be a JSON value, got undefined")
        else Json.check(payload, "payload", faults)
        return Effect.flatMap(
          Faults.orInvalid(faults, () => payload),
          (value) =>
            Effect.flatMap(store.get(key), (letter): Effect.Effect<boolean, BusError | InvalidInput> => {
              if (letter === undefined) return Effect.succeed(false)
              const { message } = letter
              if ("_tag" in message) return refuse("key", "must be the key of a message, and it is of what was none")
              const mended = { ...message, format: formats.write.name, payload: formats.write.write(value) }
              return store.mend(key, mended)
            })
        )
      },
      remove: (filter) => each(filter, store.remove)
    }
  })
)

const refuse = (path: string, problem: string): Effect.Effect<never, InvalidInput> =>
  Effect.fail(new InvalidInput({ faults: [new Fault({ path, problem })] }))

const check = (filter: Filter): Effect.Effect<StoredFilter, InvalidInput> => {
  const faults = Faults.make()
  const instant = (input: DateTime.DateTime.Input | undefined, path: string) => {
    if (input === undefined) return undefined
    const read = DateTime.make(input)
    if (Option.isNone(read)) faults.add(path, `must be an instant, got ${Faults.show(input)}`)
    return Option.getOrUndefined(read)?.epochMillis
  }
  const stored = { ...filter, since: instant(filter.since, "since"), until: instant(filter.until, "until") }
  return Effect.suspend(() => Faults.orInvalid(faults, () => stored))
}

const statisticsOf = (counts: ReadonlyArray<Count>): Statistics => {
  const sum = (of: (count: Count) => string) => {
    const sums: { [name: string]: number } = {}
    for (const count of counts) sums[of(count)] = (sums[of(count)] ?? 0) + count.count
    return sums
  }
  return {
    total: counts.reduce((total, { count }) => total + count, 0),
    byReason: sum(({ reason }) => reason),
    byType: sum(({ type }) => type),
    bySubscription: sum(({ subscription }) => subscription)
  }
}
