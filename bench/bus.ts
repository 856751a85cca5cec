/** The bus in memory: from publish to handler, what routing costs with many subscriptions, what a backlog holds. */
import * as EventBus from "effect-skald/bus/EventBus"
import * as OnError from "effect-skald/bus/OnError"
import * as Publisher from "effect-skald/bus/Publisher"
import * as Subscription from "effect-skald/bus/Subscription"
import * as Event from "effect-skald/event/Event"
import * as RetryPolicy from "effect-skald/resilience/RetryPolicy"
import * as Selector from "effect-skald/bus/Selector"
import { getInMemoryMessageBus } from "@event-driven-io/emmett"
import { Deferred, Effect, Either, Exit, Fiber, ManagedRuntime, PubSub, Schema } from "effect"
import { AsyncLocalStorage } from "node:async_hooks"
import { randomUUID } from "node:crypto"
import { EventEmitter } from "node:events"
import { setTimeout as sleep } from "node:timers/promises"
import * as Kit from "./kit.ts"

const size = (context: Kit.Context, messages: number) => context.quick ? Math.ceil(messages / 10) : messages

const Placed = Event.make("Placed", { order: Schema.String, amount: Schema.Number }, { subject: "order.placed" })
const orders = Publisher.make([Placed])

class Busy extends Schema.TaggedError<Busy>()("Busy", {}) {}

const messages = 200_000

/** Counts, and says when all have come: the work of every handler here. */
const counting = (expected: number) => {
  const done = Deferred.unsafeMake<void>(undefined as never)
  let seen = 0
  let total = 0
  return {
    done: Deferred.await(done),
    handle: (event: { readonly amount: number }) => {
      total += event.amount
      if (++seen === expected) Deferred.unsafeDone(done, Exit.void)
    }
  }
}

const events = (count: number) => Array.from({ length: count }, (_, n) => Placed({ order: `o-${n}`, amount: n }))

interface Given {
  readonly runtime: ManagedRuntime.ManagedRuntime<EventBus.EventBus, never>
  readonly given: ReturnType<typeof events>
}

/** One publish a message, and a subscription with retries, its metrics and correlation on. */
const ours = {
  setup: (context: Kit.Context) => ({
    runtime: ManagedRuntime.make(EventBus.layerMemory),
    given: events(size(context, messages))
  }),
  run: async ({ given, runtime }: Given) => {
    const count = given.length
    await runtime.runPromise(Effect.scoped(Effect.gen(function*() {
      const counted = counting(count)
      yield* Subscription.run("bench", {
        events: [Placed],
        concurrency: 1,
        prefetch: 256,
        handler: (event): Effect.Effect<void, Busy> => Effect.sync(() => counted.handle(event)),
        onError: { Busy: OnError.retry(RetryPolicy.standard, OnError.deadLetter) }
      })
      for (const event of given) yield* orders.publish(event)
      yield* counted.done
    })))
    return count
  },
  teardown: ({ runtime }: Given) => runtime.dispose()
}

const pubSub = {
  setup: (context: Kit.Context) => events(size(context, messages)),
  run: async (given: ReturnType<typeof events>) => {
    const count = given.length
    await Effect.runPromise(Effect.scoped(Effect.gen(function*() {
      const counted = counting(count)
      const hub = yield* PubSub.unbounded<ReturnType<typeof Placed>>()
      const queue = yield* PubSub.subscribe(hub)
      const fiber = yield* Effect.fork(Effect.gen(function*() {
        for (;;) {
          const event = yield* queue.take
          yield* Effect.sync(() => counted.handle(event))
        }
      }))
      for (const event of given) yield* PubSub.publish(hub, event)
      yield* counted.done
      yield* Fiber.interrupt(fiber)
    })))
    return count
  }
}

/** What a handler of another bus has to do by itself for the same: an own copy, its cause, attempts, retries, counts. */
const guarded = (handle: (event: ReturnType<typeof Placed>) => void) => {
  const cause = new AsyncLocalStorage<{ readonly correlationId: string; readonly causationId: string }>()
  const counts = { handled: 0, failed: 0, millis: 0 }
  const dead: Array<{ readonly event: unknown; readonly error: unknown; readonly attempts: number }> = []
  return async (message: string): Promise<void> => {
    const { event, id, metadata } = JSON.parse(message) as {
      readonly id: string
      readonly event: ReturnType<typeof Placed>
      readonly metadata: { readonly correlationId: string }
    }
    const decoded = Schema.decodeUnknownSync(Placed)(event)
    for (let attempt = 1;; attempt++) {
      const began = performance.now()
      try {
        await cause.run({ correlationId: metadata.correlationId, causationId: id }, async () => handle(decoded))
        counts.handled++
        return
      } catch (error) {
        counts.failed++
        if (attempt === 4) return void dead.push({ event, error, attempts: attempt })
        await sleep(1_000 * 2 ** attempt)
      } finally {
        counts.millis += performance.now() - began
      }
    }
  }
}

const encoded = (event: ReturnType<typeof Placed>): string => {
  const id = randomUUID()
  return JSON.stringify({ id, event: Schema.encodeSync(Placed)(event), metadata: { correlationId: id } })
}

interface Told {
  readonly type: "Placed"
  readonly data: { readonly message: string }
}

/** Emmett's bus calls its handlers; what they must do for the same guarantees is theirs. */
const emmett = {
  setup: (context: Kit.Context) => events(size(context, messages)),
  run: async (given: ReturnType<typeof events>) => {
    const counted = counting(given.length)
    const bus = getInMemoryMessageBus()
    const handle = guarded(counted.handle)
    bus.subscribe<Told>((event: Told) => handle(event.data.message), "Placed")
    for (const event of given) await bus.publish<Told>({ type: "Placed", data: { message: encoded(event) } })
    await Effect.runPromise(counted.done)
    return given.length
  }
}

/** An emitter forgets the promise of its listener; a queue before it keeps the order and the number in flight. */
const emitter = {
  setup: (context: Kit.Context) => events(size(context, messages)),
  run: async (given: ReturnType<typeof events>) => {
    const counted = counting(given.length)
    const source = new EventEmitter()
    const handle = guarded(counted.handle)
    const waiting: Array<string> = []
    let running = false
    source.on("Placed", async (message: string) => {
      waiting.push(message)
      if (running) return
      running = true
      for (let at = 0; at < waiting.length; at++) await handle(waiting[at]!)
      waiting.length = 0
      running = false
    })
    for (const event of given) source.emit("Placed", encoded(event))
    await Effect.runPromise(counted.done)
    return given.length
  }
}

/** Of so many subscriptions, a quarter to a subject of their own and the others with wildcards. */
const routerOf = (subscriptions: number) => {
  const router = Selector.router<number>()
  const select = (pattern: string) => Either.getOrThrow(Selector.make(pattern))
  for (let n = 0; n < subscriptions; n += 4) {
    router.add(n, select(`shop.${n}.placed`))
    router.add(n + 1, select(`shop.${n}.*`))
    router.add(n + 2, select(`shop.${n}.**`))
    router.add(n + 3, select(`*.${n}.placed`))
  }
  return router
}

/** The curve of what routing costs: subjects that come again and again, and subjects that each come once. */
const routing = (subscriptions: number, subjects: "known" | "new") =>
  Kit.measure(
    `routing over ${subscriptions.toLocaleString("en-US")} subscriptions with wildcards, ${
      subjects === "known" ? "known subjects, four selected" : "a new subject each time, two selected"
    }`,
    {
      unit: "messages/s",
      ours: {
        setup: (context) => {
          const count = size(context, 200_000)
          const shop = (n: number) => (n * 97 * 4) % subscriptions
          // what a message's subject is made of is its publisher's business
          const known = Array.from({ length: 25 }, (_, n) => `shop.${shop(n)}.placed`)
          const all = subjects === "known"
            ? Array.from({ length: count }, (_, n) => known[n % known.length]!)
            : Array.from({ length: count }, (_, n) => `shop.${shop(n)}.order-${n}`)
          return { router: routerOf(subscriptions), all }
        },
        run: ({ all, router }) => {
          let selected = 0
          for (const subject of all) selected += router.route({ type: "Placed", subject }).length
          const expected = all.length * (subjects === "known" ? 4 : 2)
          if (selected !== expected) throw new Error(`${selected} selected in place of ${expected}`)
          return all.length
        }
      }
    }
  )

/** What a backlog holds of heap for each message while it is worked off; the consumer's own part does not grow with it. */
const backlog = (count: number) =>
  Kit.measure(`heap for each message of a backlog of ${count.toLocaleString("en-US")}, at its highest`, {
    unit: "bytes",
    better: "lower",
    rounds: 1,
    warmups: 0,
    ours: {
      value: async (_, context) => {
        const total = size(context, count)
        return await Effect.runPromise(
          Effect.scoped(Effect.gen(function*() {
            const options = { events: [Placed], handler: () => Effect.void } as const
            yield* Effect.scoped(Subscription.run("bench", options))
            const page = 10_000
            Kit.gc()
            const before = process.memoryUsage().heapUsed
            for (let n = 0; n < total; n += page) {
              yield* orders.publishAll(Array.from({ length: page }, (_, at) => Placed({ order: "o", amount: n + at })))
            }
            let highest = 0
            let seen = 0
            const done = yield* Deferred.make<void>()
            yield* Subscription.run("bench", {
              ...options,
              concurrency: 8,
              handler: () =>
                Effect.sync(() => {
                  if (seen % 100_000 === 0) {
                    Kit.gc()
                    highest = Math.max(highest, process.memoryUsage().heapUsed)
                  }
                  if (++seen === total) Deferred.unsafeDone(done, Exit.void)
                })
            })
            yield* Deferred.await(done)
            return (highest - before) / total
          })).pipe(Effect.provide(EventBus.layerMemory))
        )
      }
    }
  })

export default [
  Kit.compare("publish to handler, in memory", {
    unit: "messages/s",
    peer: "Effect PubSub, no guarantees",
    goal: 0.25,
    ours,
    theirs: pubSub
  }),
  Kit.compare("publish to handler, beside Emmett", {
    unit: "messages/s",
    peer: "Emmett's bus, same guarantees by hand",
    goal: 1,
    ours,
    theirs: emmett
  }),
  Kit.compare("publish to handler, beside an emitter", {
    unit: "messages/s",
    peer: "EventEmitter, same guarantees by hand",
    goal: 1,
    ours,
    theirs: emitter
  }),
  ...[100, 1_000, 10_000, 100_000].map((subscriptions) => routing(subscriptions, "known")),
  ...[100, 1_000, 10_000, 100_000].map((subscriptions) => routing(subscriptions, "new")),
  ...[10_000, 100_000, 1_000_000].map(backlog)
]
