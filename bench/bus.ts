/** The bus in memory: from publish to handler, what routing costs with many subscriptions, what a backlog holds. */
import * as EventBus from "effect-skald/bus/EventBus"
import * as OnError from "effect-skald/bus/OnError"
import * as Publisher from "effect-skald/bus/Publisher"
import * as Subscription from "effect-skald/bus/Subscription"
import * as Event from "effect-skald/event/Event"
import * as RetryPolicy from "effect-skald/resilience/RetryPolicy"
import { Deferred, Effect, Exit, Fiber, ManagedRuntime, PubSub, Schema } from "effect"
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

export default [
  Kit.compare("publish to handler, in memory", {
    unit: "messages/s",
    peer: "Effect PubSub, no guarantees",
    goal: 0.25,
    ours,
    theirs: pubSub
  })
]
