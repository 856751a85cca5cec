import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { BusError } from "../../bus/BusError.ts"
import { ClaimCheck } from "../../bus/ClaimCheck.ts"
import type * as Driver from "../../bus/BusDriver.ts"
import type { NewMessage, PublishError, Service as Bus } from "../../bus/EventBus.ts"
import { type Message, priorities } from "../../bus/Message.ts"
import type { Encoded, RelayOptions, Staged } from "../../bus/StagedMessages.ts"
import { defaultReconnect } from "../../bus/Subscription.ts"
import * as Correlation from "../../event/Correlation.ts"
import type { InvalidInput } from "../../event/InvalidInput.ts"
import { type Formats, PayloadFormat } from "../../event/PayloadFormat.ts"
import { type Held, Lease } from "../../store/Lease.ts"
import * as EventBus from "./eventBus.ts"
import * as Faults from "../faults.ts"
import { keepOn } from "../keepOn.ts"

const leaseName = ({ name }: Encoded): string => `:outbox-table/${name}`

const capabilities: ReadonlyArray<Driver.Capability> = ["delay", "priority", "transactions"]

/** A bus that only takes: what is published on it is written. */
export const busOf = (driver: Encoded): Effect.Effect<Bus, never, Scope.Scope> => {
  const none = (operation: string) =>
    Effect.fail(
      new BusError({
        reason: "refused",
        operation: `EventBus.${operation}`,
        cause: new Error(
          "messages that are staged are not delivered from here, but by the bus that they are relayed to"
        )
      })
    )
  const taking: Driver.Driver<Driver.Capability> = {
    name: "outbox",
    capabilities,
    limits: { payload: 67_108_864, messages: 100_000 },
    publish: driver.add,
    redeliver: () => none("redeliver"),
    cancel: () => none("cancel"),
    consume: () => none("consume"),
    depth: () => none("depth"),
    groups: none("groups"),
    deadLetters: {
      put: () => none("deadLetters"),
      get: () => none("deadLetters"),
      page: () => none("deadLetters"),
      remove: () => none("deadLetters"),
      plan: () => none("deadLetters"),
      mend: () => none("deadLetters"),
      counts: () => none("deadLetters"),
      nextDue: none("deadLetters")
    }
  }
  return Effect.map(
    EventBus.context(Effect.succeed(taking), (service) => Context.make(Taking, service)),
    (context: Context.Context<any>) => Context.get(context, Taking)
    // large payloads are checked in by the bus that they are relayed to
  ).pipe(Effect.provideService(ClaimCheck, undefined))
}

const Taking = Context.GenericTag<Bus>("effect-skald/bus/StagedMessages/Taking")

/** As it was published; its time to live goes on counting from then. */
const toNew = (message: Message, formats: Formats, now: number): NewMessage => {
  const { expiresAt, format, key, metadata, payload, priority, readyAt } = message
  const read = formats.read.get(format)
  if (read === undefined) {
    throw new BusError({ reason: "corrupt", operation: "StagedMessages.relay", cause: `its format is "${format}"` })
  }
  return {
    id: message.id,
    type: message.type,
    subject: message.subject,
    schemaVersion: message.schemaVersion,
    payload: read.read(payload),
    occurredAt: DateTime.unsafeMake(message.occurredAt),
    source: message.source,
    metadata: JSON.parse(metadata),
    key,
    retries: message.retries,
    ...(priority === priorities.normal ? undefined : { priority }),
    ...(readyAt > now ? { at: DateTime.unsafeMake(readyAt) } : undefined),
    ...(expiresAt === undefined ? undefined : { ttl: Math.max(0, expiresAt - now) })
  }
}

export const relay = (
  driver: Encoded,
  bus: Bus,
  options: Omit<RelayOptions<any>, "batch" | "every"> & {
    readonly batch: number
    readonly every: Duration.DurationInput
  }
): Effect.Effect<void, InvalidInput, Lease | Scope.Scope> =>
  Effect.gen(function*() {
    yield* check(options)
    const leases = yield* Lease
    const formats = yield* PayloadFormat
    const context = yield* Effect.context<any>()
    const { atomic = false, batch, every, onRefused } = options

    const send = (staged: ReadonlyArray<Staged>): Effect.Effect<unknown, PublishError> =>
      Effect.flatMap(Clock.currentTimeMillis, (now) =>
        Effect.flatMap(
          Effect.try({
            try: () => staged.map(({ message }) => toNew(message, formats, Math.floor(now))),
            catch: (cause) =>
              cause instanceof BusError
                ? cause
                : new BusError({ reason: "corrupt", operation: "StagedMessages.relay", cause })
          }),
          bus.publish
        ))
    const oneByOne = (staged: ReadonlyArray<Staged>): Effect.Effect<void, PublishError> =>
      Effect.forEach(staged, (each) => {
        const refused = (error: Extract<PublishError, { readonly _tag: "InvalidEvent" | "MessageTooLarge" }>) =>
          onRefused!(each.message, error).pipe(
            Effect.provide(context),
            Effect.mapError((cause) =>
              new BusError({ reason: "refused", operation: "StagedMessages.onRefused", cause })
            )
          )
        return Effect.catchTags(send([each]), { InvalidEvent: refused, MessageTooLarge: refused })
      }, { discard: true })
    const publish = (staged: ReadonlyArray<Staged>): Effect.Effect<unknown, PublishError> =>
      onRefused === undefined ? send(staged) : Effect.catchTags(send(staged), {
        InvalidEvent: () => oneByOne(staged),
        MessageTooLarge: () => oneByOne(staged)
      })

    /** How many it relayed. */
    const batchOf = (held: Held) =>
      Effect.flatMap(driver.first(batch), (staged): Effect.Effect<number, unknown> => {
        if (staged.length === 0) return Effect.succeed(0)
        const removed = driver.remove(staged.map(({ place }) => place))
        const done = atomic
          ? driver.atomically(Effect.zipRight(held.check, Effect.zipRight(publish(staged), removed)))
          : held.check.pipe(
            Effect.zipRight(publish(staged)),
            Effect.zipRight(driver.atomically(Effect.zipRight(held.check, removed)))
          )
        return Effect.as(done, staged.length)
      })
    const work = (reset: Effect.Effect<void>) =>
      leases.withLease(leaseName(driver), options.lease)((held) =>
        Effect.forever(
          Effect.flatMap(
            batchOf(held),
            (count) =>
              count === 0 ? Effect.sleep(every) : count < batch ? reset : Effect.zipRight(reset, Effect.yieldNow())
          )
        )
      )
    yield* keepOn("the outbox", options.retry ?? defaultReconnect, work).pipe(
      // what the relay's own fiber carries is nobody's conversation
      Effect.locally(Correlation.currentCorrelation, Correlation.empty),
      Effect.interruptible,
      Effect.forkScoped
    )
  })

const check = ({ batch, every }: { readonly batch: number; readonly every: Duration.DurationInput }) =>
  Effect.suspend(() => {
    const faults = Faults.make()
    const problem = Faults.countProblem(batch, 1)
    if (problem !== undefined) faults.add("batch", problem)
    const pause = Option.getOrUndefined(Duration.decodeUnknown(every))
    if (pause === undefined || !Duration.isFinite(pause) || Duration.toMillis(pause) <= 0) {
      faults.add("every", `must be a duration of more than 0, got ${Faults.show(every)}`)
    }
    return Faults.orInvalid(faults, () => undefined)
  })
