import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type * as Driver from "../../bus/BusDriver.ts"
import { BusError } from "../../bus/BusError.ts"
import { ClaimCheck } from "../../bus/ClaimCheck.ts"
import type { NewMessage, PublishError, Receipt, Service } from "../../bus/EventBus.ts"
import type { Message } from "../../bus/Message.ts"
import * as Correlation from "../../event/Correlation.ts"
import * as EventId from "../../event/EventId.ts"
import type { InvalidInput } from "../../event/InvalidInput.ts"
import { PayloadFormat } from "../../event/PayloadFormat.ts"
import * as AtOnce from "./atOnce.ts"
import * as Faults from "../faults.ts"
import * as Claims from "./claimCheck.ts"
import * as Meters from "./meter.ts"
import * as Outcomes from "./outcomes.ts"
import * as Tallies from "./tallies.ts"
import * as Instant from "../instant.ts"
import * as MessageRequest from "./messageRequest.ts"
import * as Traceparent from "../event/traceparent.ts"

/** The service over a driver, as a context that also says what the driver can do. */
export const context = <E, R, C extends Driver.Capability>(
  driver: Effect.Effect<Driver.Driver<C>, E, R>,
  toContext: (service: Service, capabilities: ReadonlyArray<C>) => Context.Context<any>,
  publishTimeout: Duration.DurationInput = Duration.infinity
): Effect.Effect<Context.Context<any>, E, R | Scope.Scope> =>
  Effect.flatMap(
    driver,
    (made) =>
      Effect.map(makeEncoded(made, publishTimeout), (service) => toContext(service as Service, made.capabilities))
  )

export const memoryDriver = <D>(history: number, make: (history: number) => D): Effect.Effect<D, InvalidInput> => {
  const problem = Faults.countProblem(history, 0)
  return problem === undefined ? Effect.sync(() => make(history)) : Faults.invalid("history", problem)
}

const makeEncoded = <C extends Driver.Capability>(
  given: Driver.Driver<C>,
  publishTimeout: Duration.DurationInput
): Effect.Effect<Service<C>, never, Scope.Scope> =>
  Effect.gen(function*() {
    let closed = false
    yield* Effect.addFinalizer(() => Effect.sync(() => void (closed = true)))
    const claims = yield* ClaimCheck
    const driver = claims === undefined ? given : Claims.over(given, claims)
    const formats = yield* PayloadFormat
    const nextId = yield* EventId.EventIds
    const can = new Set<Driver.Capability>(driver.capabilities)
    const bus: MessageRequest.Bus = { nextId, format: formats.write, limits: driver.limits, can }
    const outcomes = Outcomes.make()
    if (driver.tallies !== undefined) yield* Tallies.run(driver.tallies, outcomes, driver.groups)
    const sent = Meters.sentBy(driver.name)

    /** A server may not answer at all; the connection that waits for it is given up in the background. */
    const inTime = <A, E>(self: Effect.Effect<A, E>): Effect.Effect<A, E | BusError> =>
      can.has("durable")
        ? Effect.timeoutFail(Effect.disconnect(self), {
          duration: publishTimeout,
          onTimeout: () => new BusError({ reason: "timeout", operation: "EventBus.publish" })
        })
        : self

    /** What is to be published; `closed` and faulty messages are told. */
    const ready = (
      given: ReadonlyArray<NewMessage>,
      fiber: Fiber.RuntimeFiber<any, any>,
      checked: boolean
    ): Either.Either<ReadonlyArray<Message>, PublishError> =>
      closed
        ? Either.left(new BusError({ reason: "closed", operation: "EventBus.publish" }))
        : MessageRequest.make(given, bus, {
          correlation: fiber.getFiberRef(Correlation.currentCorrelation),
          traceparent: Traceparent.of(fiber),
          now: Math.floor(Context.get(fiber.currentDefaultServices, Clock.Clock).unsafeCurrentTimeMillis()),
          checked
        })

    const receipts = (messages: ReadonlyArray<Message>): ReadonlyArray<Receipt> => {
      sent(messages.length)
      return messages.map(receiptOf)
    }

    const send = (given: ReadonlyArray<NewMessage>) =>
      Effect.withFiberRuntime<ReadonlyArray<Receipt>, PublishError>((fiber) => {
        const made = ready(given, fiber, false)
        if (Either.isLeft(made)) return Effect.fail(made.left)
        const messages = made.right
        if (messages.length === 0) return Effect.succeed([])
        return Effect.map(inTime(driver.publish(messages)), () => receipts(messages))
      })

    const sendNow = AtOnce.of(driver.publish)
    const publish = sendNow === undefined ? send : AtOnce.also(
      (given: ReadonlyArray<NewMessage>) =>
        Effect.withFiberRuntime<ReadonlyArray<Receipt>, PublishError>((fiber) => publishNow(given, fiber, false)),
      (given, fiber, checked) => publishNow(given, fiber, checked === true)
    )
    const publishNow = (
      given: ReadonlyArray<NewMessage>,
      fiber: Fiber.RuntimeFiber<any, any>,
      checked: boolean
    ): Either.Either<ReadonlyArray<Receipt>, PublishError> => {
      const made = ready(given, fiber, checked)
      if (Either.isLeft(made)) return Either.left(made.left)
      if (made.right.length === 0) return Either.right([])
      const sentNow = sendNow!(made.right, fiber)
      return Either.isLeft(sentNow) ? Either.left(sentNow.left) : Either.right(receipts(made.right))
    }

    const service: Service = {
      driver: driver.name,
      capabilities: can,
      limits: driver.limits,
      publish,
      cancel: (id) => {
        const problem = EventId.problem(id)
        return problem === undefined ? driver.cancel(id) : Faults.invalid("id", problem)
      },
      depth: (name) =>
        Effect.flatMap(driver.depth(name), (depth) =>
          depth === undefined
            ? Faults.invalid("subscription", `must be a subscription that the bus knows, got ${Faults.show(name)}`)
            : Effect.succeed(depth)),
      subscriptions: driver.groups,
      consume: (group): Effect.Effect<Driver.Consumer, any, Scope.Scope> => {
        const problem = Faults.nameProblem(group.name)
        if (problem !== undefined) return Faults.invalid("name", problem)
        if (group.start === "earliest" && !can.has("history")) {
          return Faults.invalid("start", `must be "latest": ${driver.name} keeps no history`)
        }
        if (typeof group.start === "number") {
          const startProblem = Faults.countProblem(group.start, 0)
          if (startProblem !== undefined) return Faults.invalid("start", startProblem)
          if (!can.has("positions")) return Faults.invalid("start", `must be no position: ${driver.name} knows none`)
        }
        return Effect.map(driver.consume(group), (consumer) => outcomes.counting(group.name, consumer))
      },
      redeliver: driver.redeliver,
      deadLetters: driver.deadLetters,
      putAside: outcomes.telling(driver.deadLetters.put),
      onOutcome: outcomes.observe,
      tallies: driver.tallies?.all
    }
    return service as Service<C>
  })

const utc = Instant.utcs()

const receiptOf = (message: Message): Receipt => ({ id: message.id, readyAt: utc(message.readyAt) })
