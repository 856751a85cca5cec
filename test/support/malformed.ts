/** Messages that nobody would publish: random ones, and good ones with bytes and members changed. */
import * as DeadLetters from "effect-skald/bus/DeadLetters"
import * as EventBus from "effect-skald/bus/EventBus"
import type { Message } from "effect-skald/bus/Message"
import * as Publisher from "effect-skald/bus/Publisher"
import * as Selector from "effect-skald/bus/Selector"
import * as Subscription from "effect-skald/bus/Subscription"
import * as Event from "effect-skald/event/Event"
import { Cause, Effect, FastCheck as fc, Schedule, Schema, Stream } from "effect"
import { Buffer } from "node:buffer"

const Placed = Event.make("Placed", {
  order: Schema.String,
  lines: Schema.Array(Schema.Struct({ item: Schema.String, count: Schema.Int })),
  at: Schema.Date,
  note: Schema.optional(Schema.String)
}, { subject: "order.placed" })

const bus = Publisher.make([Placed])

const good = () =>
  Placed({ order: "o-1 ü😀", lines: [{ item: "a", count: 1 }, { item: "b", count: 2 }], at: new Date(0), note: "n" })

/** Changes bytes: some are replaced, inserted, left out, or the end is cut off. */
const mutated = (text: string): fc.Arbitrary<Buffer> => {
  const bytes = Buffer.from(text)
  const change = fc.record({ how: fc.nat(3), at: fc.nat(bytes.length), byte: fc.nat(255) })
  return fc.array(change, { minLength: 1, maxLength: 6 }).map((changes) => {
    let at: Buffer = bytes
    for (const { at: place, byte, how } of changes) {
      const before = at.subarray(0, place)
      if (how === 0) at = Buffer.concat([before, Buffer.from([byte]), at.subarray(place + 1)])
      else if (how === 1) at = Buffer.concat([before, Buffer.from([byte]), at.subarray(place)])
      else if (how === 2) at = Buffer.concat([before, at.subarray(place + 1)])
      else at = before
    }
    return at
  })
}

const texts = (good: string) =>
  fc.oneof(
    { weight: 4, arbitrary: mutated(good).map((bytes) => bytes.toString("utf8")) },
    { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 60 }) },
    { weight: 2, arbitrary: fc.json() },
    { weight: 1, arbitrary: fc.constantFrom("", "null", "[]", "{", "\"", "1e999", "{\"__proto__\":1}", "\u0000") }
  )

const payloads = (good: string): fc.Arbitrary<Message["payload"]> =>
  fc.oneof(
    { weight: 3, arbitrary: texts(good) },
    { weight: 2, arbitrary: mutated(good).map((bytes) => new Uint8Array(bytes)) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 80 }) }
  )

const names = fc.oneof(
  fc.string({ unit: "binary", maxLength: 20 }),
  fc.constantFrom("Placed", "placed", "__proto__", "constructor", "toString", "", "$mark", "Placed\u0000")
)

const instants = fc.oneof(
  fc.integer({ min: -1e12, max: 4e12 }),
  fc.constantFrom(0, -1, 8.64e15, 8.64e15 + 1, -8.64e15 - 1, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER)
)

/** One change, or several at once. */
const changes = (message: Message): fc.Arbitrary<Partial<Message>> =>
  fc.array(
    fc.oneof(
      { weight: 6, arbitrary: fc.record({ payload: payloads(message.payload as string) }) },
      { weight: 3, arbitrary: fc.record({ metadata: texts(message.metadata) }) },
      { weight: 1, arbitrary: fc.record({ format: names }) },
      { weight: 1, arbitrary: fc.record({ type: names }) },
      { weight: 1, arbitrary: fc.record({ schemaVersion: fc.integer({ min: -5, max: 2_000_000_000 }) }) },
      { weight: 1, arbitrary: fc.record({ occurredAt: instants }) },
      { weight: 1, arbitrary: fc.record({ publishedAt: instants }) },
      { weight: 1, arbitrary: fc.record({ expiresAt: instants }) },
      { weight: 1, arbitrary: fc.record({ source: names, subject: names }) },
      { weight: 1, arbitrary: fc.record({ retries: fc.integer({ min: -3, max: 3 }) }) }
    ),
    { minLength: 1, maxLength: 4 }
  ).map((all) => Object.assign({}, ...all) as Partial<Message>)

const states = fc.oneof(
  fc.constant("no state"),
  texts(JSON.stringify({ attempts: 1, reprocessed: 0, chains: {}, history: [], next: 5 }))
)

/** How each of so many malformed messages ended, and whether a good one is still handled after them. */
export const run = (count: number, seed: number | undefined, name = "malformed") =>
  Effect.gen(function*() {
    const service = yield* EventBus.EventBus
    const letters = yield* DeadLetters.DeadLetters
    const witness = yield* Effect.scoped(Effect.gen(function*() {
      const consumer = yield* service.consume({
        name: `${name} witness`,
        selector: Selector.types(["Placed"]),
        start: "latest",
        kept: false
      })
      yield* bus.publish(good())
      const [delivered] = yield* consumer.pull(1)
      return delivered!.message as Message
    }))
    const handled = new Set<string>()
    let twice = 0
    yield* Subscription.run(name, {
      events: [Placed],
      concurrency: 8,
      handler: (_, { id }) =>
        Effect.sync(() => {
          if (handled.has(id)) twice++
          handled.add(id)
        })
    })
    const drawn = fc.sample(
      fc.record({ change: changes(witness), state: states }),
      { numRuns: count, ...(seed === undefined ? undefined : { seed }) }
    )
    const page = 500
    for (let from = 0; from < count; from += page) {
      yield* service.redeliver(
        name,
        drawn.slice(from, from + page).map(({ change, state }, index) => ({
          message: { ...witness, ...change, id: `m ${from + index}` },
          state
        }))
      )
      yield* service.depth(name).pipe(
        Effect.filterOrFail(({ inFlight, ready, waiting }) => inFlight + ready + waiting === 0, (depth) =>
          new Cause.TimeoutException(`consumption stands at ${from}: ${JSON.stringify(depth)}`)),
        Effect.retry(Schedule.spaced("5 millis").pipe(Schedule.upTo("30 seconds")))
      )
    }
    const dead = new Set<string>()
    const reasons: Record<string, number> = {}
    yield* Stream.runForEach(letters.list({ subscription: name }), ({ message, reason }) =>
      Effect.sync(() => {
        dead.add(message.id)
        reasons[reason] = (reasons[reason] ?? 0) + 1
      }))
    yield* bus.publish(good())
    yield* service.depth(name).pipe(
      Effect.filterOrFail(({ inFlight, ready }) =>
        inFlight + ready === 0, () =>
        new Cause.TimeoutException("a good message is stuck")),
      Effect.retry(Schedule.spaced("5 millis").pipe(Schedule.upTo("10 seconds")))
    )
    const ids = drawn.map((_, index) =>
      `m ${index}`
    )
    const goodAfter = Array.from(handled).filter((id) => !id.startsWith("m ")).length
    return {
      lost: ids.filter((id) => !handled.has(id) && !dead.has(id)),
      both: ids.filter((id) => handled.has(id) && dead.has(id)),
      twice,
      delivered: ids.filter((id) => handled.has(id)).length,
      dead: dead.size,
      reasons,
      goodAfter: goodAfter
    }
  })
