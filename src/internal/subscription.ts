import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { BusError } from "../bus/BusError.ts"
import type { DeadLetter, Failure, Reason } from "../bus/DeadLetter.ts"
import type * as Driver from "../bus/BusDriver.ts"
import type { Service } from "../bus/EventBus.ts"
import type { Garbled, Message } from "../bus/Message.ts"
import type * as OnError from "../bus/OnError.ts"
import * as Selector from "../bus/Selector.ts"
import type { Delivery, Running, Selected, SubscribeError } from "../bus/Subscription.ts"
import * as Correlation from "../event/Correlation.ts"
import type { Metadata, Raw } from "../event/Envelope.ts"
import * as Event from "../event/Event.ts"
import * as EventCodec from "../event/EventCodec.ts"
import { InvalidInput } from "../event/InvalidInput.ts"
import { type Formats, PayloadFormat } from "../event/PayloadFormat.ts"
import * as Retryability from "../resilience/Retryability.ts"
import * as Consumer from "./busConsumer.ts"
import * as Retry from "./busRetry.ts"
import * as Faults from "./faults.ts"

/** What a subscription is of, and how its handler is given it. */
export interface Source {
  readonly selector: Selector.Selector
  /** The event of a message whose payload was read; a failure says why there is none. */
  readonly decode: (
    message: Message,
    payload: unknown,
    metadata: Metadata
  ) => Either.Either<unknown, EventCodec.DecodeError>
  readonly handler: (event: any, delivery: Delivery) => Effect.Effect<void, unknown, any>
  readonly key: ((event: any) => string | undefined) | undefined
}

/** By event types: decoded by their Schemas, brought up from older versions. */
export const eventSource = (options: {
  readonly events: ReadonlyArray<Event.Any>
  readonly handler: Source["handler"]
  readonly key?: Source["key"]
}): Effect.Effect<Source, InvalidInput> =>
  Effect.try({
    try: () => {
      const codec = EventCodec.make(Event.group<any>(options.events), {})
      return {
        selector: Selector.types(Event.storedTypes(options.events)),
        decode: (message: Message, payload: unknown, metadata: Metadata) =>
          Either.map(codec.decode(rawOf(message, payload, metadata)), (recorded) => recorded.payload),
        handler: options.handler,
        key: options.key
      }
    },
    catch: (error) => {
      if (error instanceof InvalidInput) return error
      throw error
    }
  })

/** By subjects, undecoded. */
export const selectSource = (options: {
  readonly select: Selector.Input
  readonly handler: Source["handler"]
  readonly key?: Source["key"]
}): Effect.Effect<Source, InvalidInput> =>
  Effect.map(Selector.make(options.select), (selector) => ({
    selector,
    decode: ({ schemaVersion, type }, payload) =>
      Either.right({ _tag: type, schemaVersion, payload } satisfies Selected),
    handler: options.handler,
    key: options.key
  }))

/** As an event that was recorded nowhere. */
const rawOf = (message: Message, payload: unknown, metadata: Metadata): Raw => ({
  id: message.id,
  stream: message.subject as Raw["stream"],
  version: 0 as Raw["version"],
  position: 0 as Raw["position"],
  type: message.type,
  schemaVersion: message.schemaVersion,
  payload,
  metadata,
  source: message.source,
  tags: [],
  occurredAt: DateTime.unsafeMake(message.occurredAt),
  recordedAt: DateTime.unsafeMake(message.publishedAt)
})

export interface Settings {
  readonly concurrency: number
  readonly prefetch?: number
  readonly start: Driver.Start
  readonly drain: Duration.DurationInput
  readonly deliveries: number
  readonly reconnect: Schedule.Schedule<unknown, BusError>
  readonly kept: boolean
  readonly onError?: { readonly [tag: string]: OnError.Verdict }
  readonly onDeadLetter?: (letter: DeadLetter) => Effect.Effect<void, unknown, any>
  readonly otherwise: OnError.Verdict
}

const check = (name: string, settings: Settings): Effect.Effect<void, InvalidInput> => {
  const faults = Faults.make()
  const add = (path: string, problem: string | undefined) => {
    if (problem !== undefined) faults.add(path, problem)
  }
  add("name", Faults.nameProblem(name))
  add("concurrency", Faults.countProblem(settings.concurrency, 1))
  if (settings.prefetch !== undefined) add("prefetch", Faults.countProblem(settings.prefetch, 1))
  add("deliveries", Faults.countProblem(settings.deliveries, 1))
  if (Option.isNone(Duration.decodeUnknown(settings.drain))) {
    add("drain", `must be a duration, got ${Faults.show(settings.drain)}`)
  }
  return Effect.flatten(Effect.sync(() => Faults.orInvalid(faults, () => undefined)))
}

type Plans = (tag: string) => Retry.Plan

/** A plan for each verdict; refuses Schedules whose position cannot be kept with a message. */
const compile = ({ onError, otherwise }: Settings): Either.Either<Plans, InvalidInput> => {
  const faults = Faults.make()
  const planOf = (verdict: OnError.Verdict, path: string): Retry.Plan => {
    const plan = Retry.compile(verdict)
    if (Either.isRight(plan)) return plan.right
    faults.add(path, plan.left.message)
    return { stages: [], end: "DeadLetter" }
  }
  const plans = new Map(Object.entries(onError ?? {}).map(([tag, verdict]) => [tag, planOf(verdict, `onError.${tag}`)]))
  const standard = planOf(otherwise, "DefaultVerdict")
  return Faults.orInvalid(faults, () => (tag: string) => plans.get(tag) ?? plans.get("orElse") ?? standard)
}

/** What was found out about a message when it came. */
type Prepared =
  | { readonly _tag: "event"; readonly event: unknown; readonly metadata: Metadata; readonly state: Retry.State }
  | {
    readonly _tag: "dead"
    readonly reason: Reason
    readonly failure: Failure
    readonly cause: string
    readonly state: Retry.State
  }

/** Runs a subscription until the scope ends. */
export const run = (
  bus: Service,
  name: string,
  source: Source,
  settings: Settings,
  prefetch: number
): Effect.Effect<Running, SubscribeError, any> =>
  Effect.gen(function*() {
    yield* check(name, settings)
    const plans = yield* compile(settings)
    const formats = yield* PayloadFormat
    const context: Context.Context<any> = yield* Effect.context<any>()
    const running = yield* Effect.makeLatch(true)
    let paused = false
    const pause = Effect.zipRight(Effect.sync(() => void (paused = true)), running.close)

    const consumer = yield* bus.consume({ name, selector: source.selector, start: settings.start, kept: settings.kept })

    const prepare = (delivered: Driver.Delivered): Consumer.Work<Prepared> => {
      const prepared = read(delivered, formats, source)
      const lane = prepared._tag === "event" && source.key !== undefined
        ? laneOf(source.key, prepared.event) ?? keyOf(delivered.message)
        : keyOf(delivered.message)
      return { delivered, lane, prepared }
    }

    const handle = (work: Consumer.Work<Prepared>): Effect.Effect<Driver.Settlement> =>
      Effect.withFiberRuntime((fiber) => {
        const { delivered, prepared } = work
        const { message, receipt } = delivered
        const now = Math.floor(Context.get(fiber.currentDefaultServices, Clock.Clock).unsafeCurrentTimeMillis())
        const { state } = prepared
        const attempts = state.attempts + delivered.deliveries
        if (prepared._tag === "dead") {
          const { cause, failure, reason } = prepared
          return bury(delivered, { ...failure, at: now }, cause, reason, state, attempts - 1)
        }
        if (isExpired(message, state, now)) return expire(delivered, state, now)
        if (delivered.deliveries > settings.deliveries) {
          const failure = {
            at: now,
            tag: "Crashed",
            message: `delivered ${delivered.deliveries} times without any outcome`
          }
          return bury(delivered, failure, failure.message, "crashed", state, attempts - 1)
        }
        const attempt = runHandler(prepared.event, prepared.metadata, message as Message, attempts)
        const due = state.next ?? 0
        // Where another process had begun to wait, this one goes on.
        const waited = due > now ? Effect.zipRight(Effect.sleep(Duration.millis(due - now)), attempt) : attempt
        return Effect.flatMap(waited, (exit) =>
          Exit.isSuccess(exit)
            ? Effect.succeed<Driver.Settlement>({ _tag: "done", receipt })
            : failed(work, prepared, state, attempts, exit.cause))
      })

    const runHandler = (event: unknown, metadata: Metadata, message: Message, attempt: number) =>
      Effect.exit(
        Effect.suspend(() => source.handler(event, deliveryOf(message, metadata, attempt))).pipe(
          Correlation.causedBy({ id: message.id, metadata }),
          Effect.mapInputContext((own: Context.Context<never>) => Context.merge(context, own))
        )
      ) as Effect.Effect<Exit.Exit<void, unknown>>

    const failed = (
      work: Consumer.Work<Prepared>,
      prepared: Prepared & { readonly _tag: "event" },
      before: Retry.State,
      attempts: number,
      cause: Cause.Cause<unknown>
    ): Effect.Effect<Driver.Settlement> =>
      Effect.flatMap(Effect.zip(Clock.currentTimeMillis, Random.nextInt), ([time, seed]) => {
        const { delivered } = work
        const { receipt } = delivered
        const now = Math.floor(time)
        const error = Cause.failureOption(cause)
        if (Option.isNone(error)) {
          if (Cause.isInterruptedOnly(cause)) return Effect.succeed({ _tag: "return", receipt, counted: true })
          const failure = failureOf(Cause.squash(cause), now)
          const state = Retry.failed(before, attempts, failure)
          return bury(delivered, failure, Cause.pretty(cause), "defect", state, attempts)
        }
        const failure = failureOf(error.value, now)
        const state = Retry.failed(before, attempts, failure)
        const tag = tagOf(error.value)
        const plan = plans(tag)
        const permanent = Retryability.of(error.value) === "permanent"
        const decided = permanent
          ? { state, decision: { _tag: "end", end: plan.end } as const }
          : Retry.decide(plan, state, tag, now, seed)
        const { decision } = decided
        if (decision._tag === "again") {
          if (decision.later) {
            const { at, overtake } = decision
            return Effect.succeed({ _tag: "later", receipt, at, state: Retry.encode(decided.state), overtake })
          }
          return retryInPlace(work, prepared, decided.state, attempts, decision.at - now)
        }
        switch (decision.end) {
          case "Ignore":
            return Effect.succeed({ _tag: "done", receipt })
          case "Pause":
            return Effect.as(
              Effect.zipRight(pause, Effect.logWarning(`subscription "${name}" is paused: ${failure.message}`)),
              { _tag: "later", receipt, at: now, state: Retry.encode(state), overtake: false } as const
            )
          case "DeadLetter": {
            const reason = permanent ? "permanent" : plan.stages.length === 0 ? "rejected" : "exhausted"
            return bury(delivered, failure, Cause.pretty(cause), reason, state, attempts)
          }
        }
      })

    /** Keeps its place in the Schedule with the message, so that a next process goes on from there. */
    const retryInPlace = (
      { delivered }: Consumer.Work<Prepared>,
      prepared: Prepared & { readonly _tag: "event" },
      state: Retry.State,
      attempts: number,
      delay: number
    ): Effect.Effect<Driver.Settlement> => {
      const { message, receipt } = delivered
      const kept = Effect.ignore(consumer.settle([{ _tag: "keep", receipt, state: Retry.encode(state) }]))
      const wait = delay > 0 ? Effect.zipRight(kept, Effect.sleep(Duration.millis(delay))) : kept
      return Effect.flatMap(Effect.zipRight(wait, Clock.currentTimeMillis), (now) => {
        if (isExpired(message, state, now)) return expire(delivered, state, Math.floor(now))
        return Effect.flatMap(
          runHandler(prepared.event, prepared.metadata, message as Message, attempts + 1),
          (exit) =>
            Exit.isSuccess(exit)
              ? Effect.succeed<Driver.Settlement>({ _tag: "done", receipt })
              : failed({ delivered, lane: undefined, prepared }, prepared, state, attempts + 1, exit.cause)
        )
      })
    }

    const expire = (delivered: Driver.Delivered, state: Retry.State, now: number) => {
      const message = `its time to live ended ${now - (delivered.message as Message).expiresAt!} ms ago`
      return bury(delivered, { at: now, tag: "Expired", message }, message, "expired", state, state.attempts)
    }

    /** Puts a message aside, and only then lets it go. While it cannot be put aside, it stays where it is. */
    const bury = (
      { message, receipt }: Driver.Delivered,
      error: Failure,
      cause: string,
      reason: Reason,
      state: Retry.State,
      attempts: number
    ): Effect.Effect<Driver.Settlement> => {
      const letter: DeadLetter = {
        subscription: name,
        message,
        reason,
        error,
        cause,
        attempts,
        history: state.history,
        reprocessed: state.reprocessed,
        at: error.at,
        ...Retry.triedOf(state)
      }
      const told = settings.onDeadLetter === undefined
        ? Effect.void
        : Effect.suspend(() => settings.onDeadLetter!(letter)).pipe(
          Effect.catchAllCause((why) => Effect.logError(`onDeadLetter of "${name}" failed`, why)),
          Effect.provide(context)
        )
      return Effect.retry(bus.putAside([letter]), settings.reconnect).pipe(
        Effect.zipRight(told),
        Effect.as<Driver.Settlement>({ _tag: "done", receipt }),
        Effect.orElseSucceed((): Driver.Settlement => ({ _tag: "return", receipt, counted: false }))
      ) as Effect.Effect<Driver.Settlement>
    }

    yield* Consumer.run({
      consumer,
      concurrency: settings.concurrency,
      prefetch: settings.prefetch ?? settings.concurrency * prefetch,
      prepare,
      handle,
      drain: settings.drain,
      reconnect: settings.reconnect,
      running,
      isPaused: () => paused
    }) as Effect.Effect<void, never, Scope.Scope>

    return {
      name,
      pause,
      resume: Effect.zipRight(Effect.sync(() => void (paused = false)), Effect.asVoid(running.open)),
      isPaused: Effect.sync(() => paused)
    }
  })

const keyOf = (message: Message | Garbled): string | undefined => "key" in message ? message.key : undefined

/** A key that throws is the handler's business, which will throw as well, or not need it. */
const laneOf = (key: (event: any) => string | undefined, event: unknown): string | undefined => {
  try {
    return key(event)
  } catch {
    return undefined
  }
}

const isExpired = (message: Message | Garbled, state: Retry.State, now: number): boolean =>
  "expiresAt" in message && message.expiresAt !== undefined && state.reprocessed === 0 && now >= message.expiresAt

const read = ({ message, state: stored }: Driver.Delivered, formats: Formats, source: Source): Prepared => {
  const state = Retry.decode(stored)
  const dead = (reason: Reason, tag: string, problem: string): Prepared => ({
    _tag: "dead",
    reason,
    failure: { at: 0, tag, message: problem },
    cause: problem,
    state
  })
  if ("_tag" in message) return dead("undecodable", "Garbled", message.problem)
  const format = formats.read.get(message.format)
  if (format === undefined) return dead("undecodable", "UnknownFormat", `its format is ${Faults.show(message.format)}`)
  let payload: unknown
  let metadata: Metadata
  try {
    payload = format.read(message.payload)
    metadata = JSON.parse(message.metadata)
  } catch (error) {
    return dead("undecodable", "Unreadable", String(error))
  }
  const event = source.decode(message, payload, metadata)
  if (Either.isRight(event)) return { _tag: "event", event: event.right, metadata, state }
  const { _tag, message: problem } = event.left
  return dead(_tag === "UnknownEventType" ? "unknownType" : "undecodable", _tag, problem)
}

const deliveryOf = (message: Message, metadata: Metadata, attempt: number): Delivery => ({
  id: message.id,
  type: message.type,
  subject: message.subject,
  key: message.key,
  attempt,
  source: message.source,
  metadata,
  occurredAt: DateTime.unsafeMake(message.occurredAt),
  publishedAt: DateTime.unsafeMake(message.publishedAt)
})

const tagOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "_tag" in error && typeof error._tag === "string"
    ? error._tag
    : "orElse"

const failureOf = (error: unknown, at: number): Failure => ({
  at,
  tag: typeof error === "object" && error !== null && "_tag" in error
    ? String(error._tag)
    : error instanceof Error
    ? error.name
    : typeof error,
  message: error instanceof Error ? error.message : Faults.show(error)
})
