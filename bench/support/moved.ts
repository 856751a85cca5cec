/** The events that the benches of stores write and read. */
import * as Event from "effect-skald/event/Event"
import * as Category from "effect-skald/store/Category"
import * as EventStore from "effect-skald/store/EventStore"
import { Chunk, Effect, Schema, Stream } from "effect"

export const Moved = Event.make("Moved", {
  account: Schema.String,
  amount: Schema.Number,
  currency: Schema.String,
  memo: Schema.String
})

export const Accounts = Category.make("account", { events: [Moved] })

export const payloadOf = (n: number) => ({
  _tag: "Moved" as const,
  account: `account-${n % 100}`,
  amount: n,
  currency: "EUR",
  memo: "rent"
})

export const decodePayload: (payload: unknown) => typeof Moved.Type = Schema.decodeUnknownSync(
  Moved as Schema.Schema<any, any>
)

/** What a peer writes that computes no hash of an event's content. */
export const content = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="

/** One caller's appends, each when the one before was answered. */
export const appends = (
  store: EventStore.Operations,
  calls: number,
  of: (call: number) => { readonly stream: string; readonly expected?: number | undefined; readonly batch?: number }
) =>
  Effect.gen(function*() {
    for (let call = 0; call < calls; call++) {
      const { batch = 1, expected, stream } = of(call)
      yield* store.append([{
        stream,
        expected,
        events: Array.from({ length: batch }, (_, n) => ({ type: "Moved", payload: payloadOf(call * batch + n) }))
      }])
    }
  })

/** So many callers at once. */
export const atOnce = <R>(callers: number, caller: (index: number) => Effect.Effect<void, unknown, R>) =>
  Effect.all(Array.from({ length: callers }, (_, index) => caller(index)), { concurrency: "unbounded", discard: true })

/** So many callers with calls of a batch each, on ten streams of their own; answers with how many events that were. */
export const appendBatches = (store: EventStore.Operations, callers: number, calls: number, batch: number) =>
  Effect.as(
    atOnce(callers, (caller) =>
      appends(store, calls, (call) => ({
        stream: `account-${caller}-${call % 10}`,
        expected: Math.floor(call / 10) * batch,
        batch
      }))),
    callers * calls * batch
  )

/** Streams of a hundred events each. */
export const fillStreams = (store: EventStore.Operations, streams: number) =>
  Effect.forEach(
    Array.from({ length: streams }, (_, n) => n),
    (n) =>
      store.append([{
        stream: `account-${n}`,
        events: Array.from({ length: 100 }, (_, k) => ({ type: "Moved", payload: payloadOf(n * 100 + k) }))
      }]),
    { concurrency: 8, discard: true }
  )

/** How many events a stream delivers. */
export const counted = <A, E, R>(stream: Stream.Stream<A, E, R>): Effect.Effect<number, E, R> =>
  Effect.suspend(() => {
    let count = 0
    return Effect.map(
      Stream.runForEachChunk(stream, (chunk) =>
        Effect.sync(() => {
          count += Chunk.size(chunk)
        })),
      () => count
    )
  })

/** All events of the log, decoded. */
export const readAllDecoded = (options?: EventStore.ReadAllOptions) =>
  Category.decoded(
    Accounts.codec,
    Stream.unwrap(Effect.map(EventStore.EventStore, (store) => store.readAll(options)))
  )

/** What such a part of the values does not exceed. */
export const percentile = (values: ReadonlyArray<number>, part: number): number =>
  [...values].sort((a, b) => a - b)[Math.max(0, Math.ceil(values.length * part) - 1)]!
