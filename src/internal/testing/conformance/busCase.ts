/**
 * A case of the bus's suite is a named Effect over a bus of its own, built anew for it; it fails or dies when the driver does
 * not do what it must. Topics and subscriptions have names that nobody else uses, so that the storage may be shared.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Capability, Consumer, Delivered, Group } from "../../../bus/BusDriver.ts"
import { BusError } from "../../../bus/BusError.ts"
import type { DeadLetter } from "../../../bus/DeadLetter.ts"
import * as DeadLetters from "../../../bus/DeadLetters.ts"
import { type Capable, EventBus, type Service } from "../../../bus/EventBus.ts"
import * as Publisher from "../../../bus/Publisher.ts"
import * as Selector from "../../../bus/Selector.ts"
import * as Subscription from "../../../bus/Subscription.ts"
import * as Event from "../../../event/Event.ts"
import * as Retryability from "../../../resilience/Retryability.ts"
import { check, equal, type Section, unique } from "./case.ts"

/** What a case may ask of its surroundings. Those of a capability are there when the driver declares it. */
export type Needs =
  | EventBus
  | DeadLetters.DeadLetters
  | Capable<"delay">
  | Capable<"priority">
  | Capable<"history">
  | Scope.Scope

/** What a case is told about the driver. */
export interface Subject {
  /** Builds the bus; over the same storage each time, where the driver is durable. */
  readonly layer: Layer.Layer<any, unknown>
  readonly capabilities: ReadonlySet<Capability>
  /** How long what a dead consumer had may stay away. */
  readonly lease: Duration.Duration
  /** How many messages make a backlog here, and how many connects a leak. */
  readonly backlog: number
  readonly connects: number
  /** A program that consumes until it is killed, and what starts it. */
  readonly worker: ReadonlyArray<string> | undefined
}

/** Cases about one thing, for drivers with some capabilities. */
export interface BusSection extends Section<Subject> {
  readonly needs: ReadonlyArray<Capability>
}

export const busSection = (
  name: string,
  cases: { readonly [name: string]: (subject: Subject) => Effect.Effect<unknown, unknown, Needs> },
  needs: ReadonlyArray<Capability> = []
): BusSection => ({
  name,
  needs,
  cases: Object.entries(cases).map(([name, run]) => ({
    name,
    run: (subject) => Effect.asVoid(open(subject, run(subject)))
  }))
})

/** Runs over a bus that is built for it and closed after it: what a process is. */
export const open = <A, E>(subject: Subject, effect: Effect.Effect<A, E, Needs>): Effect.Effect<A, unknown, never> =>
  Effect.provide(
    Effect.scoped(effect),
    Layer.provideMerge(DeadLetters.layer, subject.layer)
  ) as Effect.Effect<A, unknown>

export const capable = (subject: Subject, capability: Capability): boolean => subject.capabilities.has(capability)

/** May be mended by time. */
export class Busy extends Schema.TaggedError<Busy>()("Busy", {}) {}
/** Is not mended by time. */
export class Wrong extends Schema.TaggedError<Wrong>()("Wrong", {}, Retryability.permanent) {}

const fields = { order: Schema.String, n: Schema.Number }

/** Event types, subjects and names that nobody else uses. */
export const topic = () => {
  const id = unique()
  const Placed = Event.make(`Placed ${id}` as "Placed", fields, { subject: `${id}.order.placed` })
  const Paid = Event.make(`Paid ${id}` as "Paid", fields, { subject: `${id}.order.paid` })
  const publisher = Publisher.make([Placed, Paid])
  const placed = (order: string, n = 0) => Placed({ order, n })
  return {
    id,
    Placed,
    Paid,
    placed,
    publish: publisher.publish,
    publishAll: publisher.publishAll,
    /** Publishes so many, told apart by their numbers, from `first` on. */
    publishMany: <const O extends Publisher.Options = {}>(count: number, options?: O, first = 0) =>
      publisher.publishAll(Array.from({ length: count }, (_, n) => placed("many", first + n)), options),
    /** The name of a subscription. */
    name: (name = "s") => `${name} ${id}`
  }
}

/** What handlers saw. */
export const collector = <A = string>() => {
  const seen: Array<A> = []
  return { seen, add: (value: A) => Effect.sync(() => void seen.push(value)) }
}

/** Lets milliseconds pass; the Clock of all cases but those of exact times is the real one. */
export const pass = (millis: number): Effect.Effect<void> => Effect.sleep(Duration.millis(millis))

export const now = Clock.currentTimeMillis

/** The longest that a case waits for what must happen, in milliseconds. */
const patience = 10_000

/** Waits for what must happen; says what it was that did not. */
export const until = (what: string, condition: () => boolean): Effect.Effect<void> =>
  untilEffect(what, Effect.sync(condition)) as Effect.Effect<void>

export const untilEffect = <E, R>(
  what: string | (() => string),
  condition: Effect.Effect<boolean, E, R>
): Effect.Effect<void, E, R> =>
  Effect.flatMap(now, (started) => {
    const look: Effect.Effect<void, E, R> = Effect.flatMap(Effect.zip(condition, now), ([holds, at]) => {
      if (holds) return Effect.void
      check(at - started < patience, `waited in vain: ${typeof what === "string" ? what : what()}`)
      return Effect.zipRight(pass(2), look)
    })
    return look
  })

/** How long a case waits for what must not happen. */
export const quiet: Effect.Effect<void> = pass(60)

/** Waits until so many values came, and then whether no more come. */
export const exactly = <A>(seen: ReadonlyArray<A>, count: number): Effect.Effect<void> =>
  until(`${count} messages`, () => seen.length >= count).pipe(
    Effect.zipRight(quiet),
    Effect.zipRight(Effect.sync(() => equal(seen.length, count, `${seen.length} messages in place of ${count}`)))
  )

export const depthOf = (name: string) => Effect.flatMap(EventBus, (bus) => bus.depth(name))

/** Waits until nothing is left for a subscription: all of it is done with. */
export const untilEmpty = (name: string) => {
  let last: unknown
  return untilEffect(
    () => `nothing is left for ${name}, but ${JSON.stringify(last)}`,
    Effect.map(depthOf(name), (depth) => {
      last = depth
      return depth.ready + depth.waiting + depth.inFlight === 0
    })
  )
}

/** The dead letters of a subscription, in the order in which they were put aside. */
export const lettersOf = (subscription: string) =>
  Effect.flatMap(
    DeadLetters.DeadLetters,
    (letters) =>
      Effect.map(Stream.runCollect(letters.list({ subscription })), (all): ReadonlyArray<DeadLetter> => Array.from(all))
  )

export const untilLetters = (subscription: string, count: number) =>
  Effect.zipRight(
    untilEffect(
      `${count} dead letters of ${subscription}`,
      Effect.map(lettersOf(subscription), (all) => all.length >= count)
    ),
    lettersOf(subscription)
  )

/** A scope of its own, so that a case ends something when it wants. */
export const held = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const scope = yield* Scope.fork(yield* Effect.scope, { _tag: "Sequential" })
    const value = yield* Scope.extend(effect, scope)
    return { value, close: Scope.close(scope, Exit.void) }
  })

/** A handler's gate: closed until it is opened. */
export const gate = () => {
  const latch = Effect.unsafeMakeLatch(false)
  return { wait: latch.await, open: Effect.asVoid(latch.open) }
}

/** A subscription that is known and that nobody consumes: what is published from here on waits for it. */
export const know = (name: string, event: Event.Any) =>
  Effect.scoped(Effect.zipRight(Subscription.run(name, { events: [event], handler: () => Effect.void }), Effect.void))

/** The driver's own consumer, without what is done above it. */
export const consume = (name: string, tag: string, options?: Partial<Group>) =>
  Effect.flatMap(
    EventBus,
    (bus) => bus.consume({ name, selector: Selector.types([tag]), start: "latest", kept: true, ...options })
  )

/** Pulls until so many have come. */
export const pullAll = (consumer: Consumer, count: number) =>
  Effect.gen(function*() {
    const all: Array<Delivered> = []
    while (all.length < count) all.push(...(yield* consumer.pull(count - all.length)))
    return all
  })

export const doneWith = ({ receipt }: Delivered) => ({ _tag: "done", receipt }) as const

/** Runs over a bus whose service does some things otherwise. */
export const otherwise = <A, E, R>(
  change: (service: Service) => Partial<Service>,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R | EventBus> =>
  Effect.flatMap(
    EventBus,
    (service) => Effect.provideService(effect, EventBus, { ...service, ...change(service) } as Service)
  )

/** What a driver fails with while its server is away. */
export const away = (operation: string): BusError => new BusError({ reason: "unavailable", operation })

/** Asks again at once, for drivers that are only briefly away. */
export const soon = Schedule.spaced("5 millis")
