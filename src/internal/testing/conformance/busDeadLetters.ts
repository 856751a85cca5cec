import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Stream from "effect/Stream"
import type { DeadLetter } from "../../../bus/DeadLetter.ts"
import { DeadLetters } from "../../../bus/DeadLetters.ts"
import { EventBus } from "../../../bus/EventBus.ts"
import type { Message } from "../../../bus/Message.ts"
import * as OnError from "../../../bus/OnError.ts"
import * as Subscription from "../../../bus/Subscription.ts"
import * as Envelope from "../../../event/Envelope.ts"
import {
  away,
  busSection,
  Busy,
  collector,
  consume,
  depthOf,
  doneWith,
  exactly,
  know,
  lettersOf,
  otherwise,
  pullAll,
  quiet,
  soon,
  topic,
  until,
  untilEmpty,
  untilLetters
} from "./busCase.ts"
import { check, equal } from "./case.ts"

/** A message as it stands with the driver, without its ids. */
const rawMessage = (name: string, tag: string) =>
  Effect.scoped(Effect.gen(function*() {
    const consumer = yield* consume(name, tag)
    const [delivered] = yield* pullAll(consumer, 1)
    yield* consumer.settle([doneWith(delivered!)])
    return delivered!.message as Message
  }))

/** What is logged of a failure that belongs to the case. */
const silently = Logger.withMinimumLogLevel(LogLevel.None)

export const deadLetterSection = busSection("dead letters", {
  "a dead letter holds the message as it was published, byte for byte": () =>
    Effect.gen(function*() {
      const { Placed, id, name, placed, publish } = topic()
      yield* know(name("witness"), Placed)
      yield* Subscription.run(name(), {
        events: [Placed],
        handler: (): Effect.Effect<void, Busy> => new Busy(),
        onError: { Busy: OnError.deadLetter }
      })
      yield* publish(Envelope.make(placed("ü😀\u0000\"", 1e-7), { id: `${id} m` }), {
        key: "k",
        ttl: "1 hour",
        headers: { h: "日本" }
      })
      const [letter] = yield* untilLetters(name(), 1)
      const witness = yield* rawMessage(name("witness"), Placed.tag)
      equal({ ...letter!.message }, { ...witness })
      equal(letter!.subscription, name())
    }),
  "it is put aside before the message is let go": () =>
    Effect.gen(function*() {
      const { Placed, name, placed, publish } = topic()
      const order: Array<string> = []
      const watched = Subscription.run(name(), {
        events: [Placed],
        handler: (): Effect.Effect<void, Busy> => new Busy(),
        onError: { Busy: OnError.deadLetter }
      })
      yield* otherwise((service) => ({
        putAside: (letters) =>
          Effect.gen(function*() {
            order.push(`begin ${(yield* service.depth(name()).pipe(Effect.orDie)).inFlight}`)
            yield* service.putAside(letters)
            order.push(`end ${(yield* service.depth(name()).pipe(Effect.orDie)).inFlight}`)
          })
      }), watched)
      yield* publish(placed("o"))
      yield* untilLetters(name(), 1)
      yield* untilEmpty(name())
      equal(order, ["begin 1", "end 1"])
    }),
  "while dead letters cannot be written, the message stays; once they can, it is put aside once": () =>
    Effect.gen(function*() {
      const { Placed, name, placed, publish } = topic()
      let failures = 0
      let down = true
      yield* otherwise(
        (service) => ({
          putAside: (letters) =>
            Effect.suspend(() => {
              if (!down) return service.putAside(letters)
              failures++
              return away("DeadLetters.put")
            })
        }),
        Subscription.run(name(), {
          events: [Placed],
          reconnect: soon,
          handler: (): Effect.Effect<void, Busy> => new Busy(),
          onError: { Busy: OnError.deadLetter }
        })
      )
      yield* publish(placed("o"))
      yield* until("tries", () => failures > 3)
      const depth = yield* depthOf(name())
      equal(depth.ready + depth.waiting + depth.inFlight, 1, "it was let go")
      equal(yield* lettersOf(name()), [])
      down = false
      yield* untilLetters(name(), 1)
      yield* untilEmpty(name())
      equal((yield* lettersOf(name())).length, 1)
    }),
  "each of ten kinds of poison is a dead letter with its reason, and consumption goes on": () =>
    Effect.gen(function*() {
      const { Placed, id, name, placed, publish } = topic()
      const bus = yield* EventBus
      const { add, seen } = collector()
      yield* know(name("witness"), Placed)
      yield* publish(placed("witness"))
      const good = yield* rawMessage(name("witness"), Placed.tag)
      yield* Subscription.run(name(), { events: [Placed], concurrency: 3, handler: ({ order }) => add(order) })
      const poison: ReadonlyArray<readonly [string, Partial<Message>]> = [
        ["undecodable", { payload: "" }],
        ["undecodable", { payload: "{\"order\":\"o\",\"n\":1" }],
        ["undecodable", { payload: "null" }],
        ["undecodable", { payload: "{\"order\":1,\"n\":\"x\"}" }],
        ["undecodable", { payload: new Uint8Array([0x7b, 0xff, 0xfe, 0x00, 0x7d]) }],
        ["undecodable", { format: "morse" }],
        ["undecodable", { metadata: "{" }],
        ["undecodable", { metadata: "null" }],
        ["unknownType", { type: `Unheard ${id}` }],
        ["unknownType", { schemaVersion: 99 }]
      ]
      for (const [index, [, change]] of poison.entries()) {
        yield* bus.redeliver(name(), [{ message: { ...good, ...change, id: `${id} ${index}` }, state: "no state" }])
        yield* publish(placed(`good ${index}`))
      }
      yield* exactly(seen, poison.length)
      const letters = yield* untilLetters(name(), poison.length)
      const byId = new Map(letters.map((letter) => [letter.message.id, letter]))
      for (const [index, [reason, change]] of poison.entries()) {
        const letter = byId.get(`${id} ${index}`)
        equal([index, letter?.reason, letter?.attempts], [index, reason, 0])
        if (change.payload !== undefined) {
          const { payload } = letter!.message as Message
          equal(
            typeof payload === "string" ? payload : Array.from(payload),
            typeof change.payload === "string"
              ? change.payload
              : Array.from(change.payload)
          )
        }
      }
      yield* untilEmpty(name())
    }),
  "onDeadLetter is told once of each, and what it fails with stops nothing": () =>
    Effect.gen(function*() {
      const { Placed, name, publishMany } = topic()
      const { add, seen } = collector<DeadLetter>()
      yield* Subscription.run(name(), {
        events: [Placed],
        handler: (): Effect.Effect<void, Busy> => new Busy(),
        onError: { Busy: OnError.deadLetter },
        onDeadLetter: (letter) => Effect.zipRight(add(letter), Effect.die("a broken alarm"))
      }).pipe(silently)
      yield* publishMany(3)
      yield* exactly(seen, 3)
      equal(new Set(seen.map(({ message }) => message.id)).size, 3)
      yield* untilEmpty(name())
    }),
  "250 dead letters: all are listed, counted, reprocessed, whatever the size of a page": () =>
    Effect.gen(function*() {
      const { Placed, name, publishMany } = topic()
      const failing = { on: true }
      const { add, seen } = collector<number>()
      yield* Subscription.run(name(), {
        events: [Placed],
        concurrency: 5,
        handler: ({ n }): Effect.Effect<void, Busy> => failing.on ? new Busy() : add(n),
        onError: { Busy: OnError.deadLetter }
      })
      yield* publishMany(250)
      const letters = yield* untilLetters(name(), 250)
      equal(new Set(letters.map(({ message }) => message.id)).size, 250)
      const service = yield* DeadLetters
      const { bySubscription, total } = yield* service.statistics({ subscription: name() })
      equal([total, bySubscription[name()]], [250, 250])
      failing.on = false
      equal(yield* service.reprocess({ subscription: name() }), 250)
      yield* exactly(seen, 250)
      equal(new Set(seen).size, 250)
      equal((yield* lettersOf(name())).length, 0)
    }),
  "dead letters are found by subscription, reason, type, id and time, and each of these is removed alone": () =>
    Effect.gen(function*() {
      const { Paid, Placed, id, name, placed, publish } = topic()
      const bus = yield* EventBus
      yield* Subscription.run(name(), {
        events: [Placed, Paid],
        handler: (): Effect.Effect<void, Busy> => new Busy(),
        onError: { Busy: OnError.deadLetter }
      })
      yield* publish(Envelope.make(placed("o"), { id: `${id} placed` }))
      yield* publish(Envelope.make(Paid({ order: "o", n: 1 }), { id: `${id} paid` }))
      yield* bus.publish([{ id: `${id} bad`, type: Placed.tag, payload: { order: 7 } }])
      const all = yield* untilLetters(name(), 3)
      const letters = yield* DeadLetters
      const find = (filter: Parameters<typeof letters.list>[0]) =>
        Effect.map(
          Stream.runCollect(letters.list({ subscription: name(), ...filter })),
          (found) => Array.from(found, ({ message }) => message.id.slice(id.length + 1)).sort()
        )
      equal(yield* find({ types: [Paid.tag] }), ["paid"])
      equal(yield* find({ reasons: ["undecodable"] }), ["bad"])
      equal(yield* find({ ids: [`${id} placed`, `${id} bad`] }), ["bad", "placed"])
      const last = Math.max(...all.map(({ at }) => at))
      equal((yield* find({ since: last + 1 })).length, 0)
      equal((yield* find({ until: last + 1 })).length, 3)
      equal(yield* letters.remove({ subscription: name(), types: [Paid.tag] }), 1)
      equal(yield* find({}), ["bad", "placed"])
    }),
  "a mended dead letter is delivered with its new payload": () =>
    Effect.gen(function*() {
      const { Placed, id, name } = topic()
      const bus = yield* EventBus
      const { add, seen } = collector()
      yield* Subscription.run(name(), { events: [Placed], handler: ({ order }) => add(order) })
      yield* bus.publish([{ id: `${id} bad`, type: Placed.tag, payload: { order: 7 } }])
      yield* untilLetters(name(), 1)
      const letters = yield* DeadLetters
      check(yield* letters.edit({ subscription: name(), id: `${id} bad` }, { order: "mended", n: 1 }), "no such letter")
      equal(yield* letters.reprocess({ subscription: name() }), 1)
      yield* exactly(seen, 1)
      equal(seen, ["mended"])
    }),
  "one that fails again is one dead letter, with the history of both": () =>
    Effect.gen(function*() {
      const { Placed, name, placed, publish } = topic()
      yield* Subscription.run(name(), {
        events: [Placed],
        handler: (): Effect.Effect<void, Busy> => new Busy(),
        onError: { Busy: OnError.deadLetter }
      })
      yield* publish(placed("o"))
      yield* untilLetters(name(), 1)
      const letters = yield* DeadLetters
      equal(yield* letters.reprocess({ subscription: name() }), 1)
      yield* untilEmpty(name())
      const all = yield* untilLetters(name(), 1)
      yield* quiet
      equal(all.map(({ history, reprocessed }) => [history.length, reprocessed]), [[2, 1]])
    })
})
