import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Fiber from "effect/Fiber"
import type * as Driver from "../../bus/BusDriver.ts"
import type { Message } from "../../bus/Message.ts"
import * as Selector from "../../bus/Selector.ts"
import * as AtOnce from "./atOnce.ts"
import { BusQueue, Held, type Item } from "./queue.ts"
import * as DeadLetters from "./memoryDeadLetters.ts"

/** A subscription, and who waits for its messages. */
interface Group {
  readonly options: Driver.Group
  readonly queue: BusQueue
  readonly waiting: Set<() => void>
  consumers: number
}

/** Milliseconds, whole: a TestClock may tell fractions. */
const nowOf = (fiber: Fiber.RuntimeFiber<any, any>): number =>
  Math.floor(Context.get(fiber.currentDefaultServices, Clock.Clock).unsafeCurrentTimeMillis())

/** Runs synchronously, told the time. */
const timed = <A>(run: (now: number) => A): Effect.Effect<A> =>
  Effect.withFiberRuntime((fiber) => Effect.succeed(run(nowOf(fiber))))

const done = Either.right<void>(undefined)

type Memory = Driver.Driver<"delay" | "priority" | "history">

export const make = (history: number): Memory => {
  const groups = new Map<string, Group>()
  const router = Selector.router<Group>()
  /** What a new subscription may begin with. */
  const log: Array<Message> = []
  /** Where a message waits for its time, while it does. */
  const scheduled = new Map<string, Array<readonly [BusQueue, Item]>>()
  let sweepAt = 1_000

  const remember = (message: Message): void => {
    if (history === 0) return
    log.push(message)
    // in large steps, since each moves all that is left
    if (log.length >= history * 2) log.splice(0, log.length - history)
  }

  const deliver = (group: Group, message: Message, now: number, state?: string): void => {
    const item = group.queue.add(message, now, state)
    if (message.readyAt > now) {
      const places = scheduled.get(message.id)
      if (places === undefined) scheduled.set(message.id, [[group.queue, item]])
      else places.push([group.queue, item])
      if (scheduled.size > sweepAt) sweep()
    }
    wakeAll(group)
  }

  /** Forgets those whose time has come. */
  const sweep = (): void => {
    for (const [id, places] of scheduled) if (places.every(([, item]) => item.where !== "delayed")) scheduled.delete(id)
    sweepAt = Math.max(1_000, scheduled.size * 2)
  }

  const wakeAll = (group: Group): void => {
    if (group.waiting.size > 0) { for (const wake of group.waiting) wake() }
  }

  const publish = (messages: ReadonlyArray<Message>, now: number): void => {
    for (const message of messages) {
      remember(message)
      for (const group of router.route(message)) deliver(group, message, now)
    }
  }

  const open = (options: Driver.Group, now: number): Group => {
    const known = groups.get(options.name)
    if (known !== undefined) {
      router.add(known, options.selector)
      return known
    }
    const group: Group = { options, queue: new BusQueue(), waiting: new Set(), consumers: 0 }
    groups.set(options.name, group)
    router.add(group, options.selector)
    if (options.start === "earliest") {
      for (const message of log.slice(-history)) {
        if (Selector.matches(options.selector, message)) deliver(group, message, now)
      }
    }
    return group
  }

  const close = (group: Group): void => {
    group.consumers--
    if (group.consumers > 0 || group.options.kept) return
    groups.delete(group.options.name)
    router.remove(group)
  }

  /** Until there may be something new: another message, or the time of one that waits. */
  const waitFor = (group: Group, now: number): Effect.Effect<void> => {
    const woken = Effect.async<void>((resume) => {
      const wake = () => {
        group.waiting.delete(wake)
        resume(Effect.void)
      }
      group.waiting.add(wake)
      return Effect.sync(() => group.waiting.delete(wake))
    })
    const at = group.queue.nextAt()
    return at === undefined ? woken : Effect.raceFirst(woken, Effect.sleep(Duration.millis(at - now)))
  }

  const takeNow = (group: Group, max: number, held: Held, now: number): ReadonlyArray<Driver.Delivered> => {
    const taken = group.queue.take(max, now)
    for (const each of taken) held.add(each)
    return taken
  }

  const pull = (group: Group, max: number, held: Held): Effect.Effect<ReadonlyArray<Driver.Delivered>> =>
    Effect.withFiberRuntime((fiber) => {
      const now = nowOf(fiber)
      const taken = takeNow(group, max, held, now)
      return taken.length > 0
        ? Effect.succeed(taken)
        : Effect.zipRight(waitFor(group, now), pull(group, max, held))
    })

  const settle = (
    group: Group,
    held: Held,
    settlements: ReadonlyArray<Driver.Settlement>,
    now: number
  ): void => {
    for (const settlement of settlements) {
      group.queue.settle(settlement, now)
      if (settlement._tag !== "keep") held.delete(settlement.receipt)
    }
    // those who wait must hear of a new instant as well
    if (group.queue.hasReady() || settlements.some(({ _tag }) => _tag === "later")) wakeAll(group)
  }

  return {
    name: "memory",
    capabilities: ["delay", "priority", "history"],
    limits: { payload: 67_108_864, messages: 100_000 },
    publish: AtOnce.also(
      (messages: ReadonlyArray<Message>) => timed((now) => publish(messages, now)),
      (messages) => {
        if (messages.length > 0) publish(messages, messages[0]!.publishedAt)
        return done
      }
    ),
    redeliver: (name, again) =>
      timed((now) => {
        const group = groups.get(name) ??
          open({ name, selector: { _tag: "Types", types: [] }, start: "latest", kept: true }, now)
        for (const { message, state } of again) deliver(group, message, now, state)
      }),
    cancel: (id) =>
      Effect.sync(() => {
        const places = scheduled.get(id)
        scheduled.delete(id)
        // Where one has been given it already, nobody's is withdrawn.
        return places !== undefined && places.every(([, item]) => item.where === "delayed" && item.deliveries === 0) &&
            places.every(([queue, item]) => queue.cancel(item))
          ? "cancelled"
          : "tooLate"
      }),
    consume: (options) =>
      Effect.map(
        Effect.acquireRelease(
          timed((now) => {
            const group = open(options, now)
            group.consumers++
            return { group, held: new Held() }
          }),
          ({ group, held }) =>
            Effect.sync(() => {
              held.forEach((receipt) => group.queue.lost(receipt))
              close(group)
              wakeAll(group)
            })
        ),
        ({ group, held }): Driver.Consumer => ({
          pull: AtOnce.also(
            (max: number) => pull(group, max, held),
            (max, fiber) => Either.right(takeNow(group, max, held, nowOf(fiber)))
          ),
          settle: AtOnce.also(
            (settlements: ReadonlyArray<Driver.Settlement>) => timed((now) => settle(group, held, settlements, now)),
            (settlements, fiber) => {
              settle(group, held, settlements, nowOf(fiber))
              return done
            }
          )
        })
      ),
    depth: (name) => timed((now) => groups.get(name)?.queue.depth(now)),
    groups: Effect.sync(() => Array.from(groups.keys()).sort()),
    deadLetters: DeadLetters.make()
  }
}
