import * as Chunk from "effect/Chunk"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { BusError } from "../../bus/BusError.ts"
import type { DeadLetter, Key } from "../../bus/DeadLetter.ts"
import type { Count, Filter as StoredFilter } from "../../bus/DeadLetterStore.ts"
import type { Filter, Progress, Service, Statistics } from "../../bus/DeadLetters.ts"
import type * as EventBus from "../../bus/EventBus.ts"
import type { Message } from "../../bus/Message.ts"
import type { InvalidInput } from "../../event/InvalidInput.ts"
import { type Formats, PayloadFormat } from "../../event/PayloadFormat.ts"
import type { Position } from "../../resilience/SchedulePosition.ts"
import * as Retry from "./retry.ts"
import * as Faults from "../faults.ts"
import * as Json from "../json.ts"

/** What was no message cannot be delivered. */
const messageOf = ({ message }: DeadLetter): Message | undefined => "_tag" in message ? undefined : message

/**
 * Gives letters back to their own subscriptions and then removes them, and answers how many: a crash between the two leaves
 * both, and loses neither. One that came back meanwhile is not the one that is removed.
 */
export const deliver = (
  bus: EventBus.Service,
  batch: ReadonlyArray<DeadLetter>,
  triedOf: (letter: DeadLetter) => Position | undefined
): Effect.Effect<number, BusError> => {
  const bySubscription = new Map<string, Array<DeadLetter>>()
  for (const letter of batch) {
    if (messageOf(letter) === undefined) continue
    const known = bySubscription.get(letter.subscription)
    if (known === undefined) bySubscription.set(letter.subscription, [letter])
    else known.push(letter)
  }
  return Effect.reduce(bySubscription, 0, (count, [subscription, letters]) =>
    Effect.zipRight(
      bus.redeliver(
        subscription,
        letters.map((letter) => ({
          message: messageOf(letter)!,
          state: Retry.encode(Retry.again(letter.history, letter.reprocessed + 1, triedOf(letter)))
        }))
      ),
      Effect.as(bus.deadLetters.remove(letters), count + letters.length)
    ))
}

export const make = (bus: EventBus.Service, formats: Formats, batchSize: number): Service => {
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

  /** Batch by batch, over those that were there at the beginning. */
  const each = (
    filter: Filter,
    run: (batch: ReadonlyArray<DeadLetter>) => Effect.Effect<number, BusError>
  ): Stream.Stream<Progress, BusError | InvalidInput> =>
    Stream.unwrap(Effect.gen(function*() {
      const checked = yield* check(filter)
      const begun = Math.floor(yield* Clock.currentTimeMillis)
      // what is put aside later is not meant; of this very instant, what comes back is known by its key
      const stored = { ...checked, until: Math.min(checked.until ?? Infinity, begun + 1) }
      const seen = new Set<string>()
      const isNew = (letter: DeadLetter): boolean => !seen.has(textOf(letter))
      const total = (yield* store.counts(stored)).reduce((sum, { count }) => sum + count, 0)
      return Stream.unfoldEffect(
        { after: undefined as DeadLetter | undefined, progress: { total, done: 0, left: 0 }, more: true },
        ({ after, more, progress }) => {
          if (!more) return Effect.succeedNone
          return Effect.flatMap(store.page(stored, after, batchSize), (page) => {
            const batch = page.filter(isNew)
            return Effect.map(Effect.zip(run(batch), Clock.currentTimeMillis), ([done, now]) => {
              if (Math.floor(now) <= begun) { for (const letter of batch) seen.add(textOf(letter)) }
              const next: Progress = {
                total: Math.max(total, progress.done + progress.left + batch.length),
                done: progress.done + done,
                left: progress.left + batch.length - done
              }
              const last = page.length < batchSize
              return Option.some([next, { after: page[page.length - 1], progress: next, more: !last }] as const)
            })
          })
        }
      )
    }))

  const whole = (progress: Stream.Stream<Progress, BusError | InvalidInput>) =>
    Stream.runFold(progress, 0, (_, { done }) => done)

  const reprocessing: Service["reprocessing"] = (filter) =>
    each(filter, (batch) => deliver(bus, batch, () => undefined))
  const removing: Service["removing"] = (filter) => each(filter, store.remove)

  return {
    get: (key) => Effect.map(store.get(key), Option.fromNullable),
    list: (filter) => Stream.unwrap(Effect.map(check(filter), pages)),
    statistics: (filter) =>
      Effect.flatMap(check(filter), (stored) =>
        Effect.zipWith(
          store.counts(stored),
          // asking for others of them, there is none
          stored.retry === undefined || stored.retry === "failed"
            ? store.counts({ ...stored, retry: "failed" })
            : Effect.succeed([]),
          statisticsOf
        )),
    reprocess: (filter) => whole(reprocessing(filter)),
    reprocessing,
    edit: (key, payload) => edit(bus, formats, key, payload),
    remove: (filter) => whole(removing(filter)),
    removing,
    purge: (age) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        const kept = Duration.decodeUnknown(age)
        return Option.isNone(kept) || !Duration.isFinite(kept.value)
          ? Faults.invalid("age", `must be a finite duration, got ${Faults.show(age)}`)
          : whole(removing({ until: Math.floor(now) - Duration.toMillis(kept.value) }))
      })
  }
}

const textOf = (letter: DeadLetter): string => `${letter.subscription}\u0000${letter.message.id}`

const edit = (
  bus: EventBus.Service,
  formats: Formats,
  key: Key,
  payload: unknown
): Effect.Effect<boolean, BusError | InvalidInput> => {
  const faults = Faults.make()
  if (payload === undefined) faults.add("payload", "must be a JSON value, got undefined")
  else Json.check(payload, "payload", faults)
  return Effect.flatMap(
    Faults.orInvalid(faults, () => payload),
    (value) =>
      Effect.flatMap(bus.deadLetters.get(key), (letter): Effect.Effect<boolean, BusError | InvalidInput> => {
        if (letter === undefined) return Effect.succeed(false)
        const message = messageOf(letter)
        if (message === undefined) {
          return Faults.invalid("key", "must be the key of a message, and it is of what was none")
        }
        return bus.deadLetters.mend(key, {
          ...message,
          format: formats.write.name,
          payload: formats.write.write(value)
        })
      })
  )
}

export const of = (bus: EventBus.Service, batchSize: number): Effect.Effect<Service> =>
  Effect.map(PayloadFormat, (formats) => make(bus, formats, batchSize))

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

const sum = (counts: ReadonlyArray<Count>): number => counts.reduce((total, { count }) => total + count, 0)

const statisticsOf = (counts: ReadonlyArray<Count>, failed: ReadonlyArray<Count>): Statistics => {
  const by = (of: (count: Count) => string) => {
    // names are anybody's
    const sums: { [name: string]: number } = Object.create(null)
    for (const count of counts) sums[of(count)] = (sums[of(count)] ?? 0) + count.count
    return { ...sums }
  }
  return {
    total: sum(counts),
    permanentlyFailed: sum(failed),
    byReason: by(({ reason }) => reason),
    byType: by(({ type }) => type),
    bySubscription: by(({ subscription }) => subscription)
  }
}
