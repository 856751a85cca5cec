import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import { createHash } from "node:crypto"
import type * as Driver from "../../bus/BusDriver.ts"
import { BusError } from "../../bus/BusError.ts"
import { maximum, type Settings } from "../../bus/ClaimCheck.ts"
import type { Garbled, Message } from "../../bus/Message.ts"
import * as EventId from "../../event/EventId.ts"
import type { Serialized } from "../../event/PayloadFormat.ts"
import * as Claims from "./claims.ts"

/** The subscription that removes payloads, and so looks at claims, not through them. */
export const cleaner = "skald:claim-check"

const failed = (operation: string) => (cause: unknown): BusError =>
  new BusError({ reason: "unavailable", operation: `ClaimCheck.${operation}`, cause })

const bytesOf = (payload: Serialized): number =>
  typeof payload === "string" ? Buffer.byteLength(payload) : payload.byteLength

/** Counted only where its length leaves a doubt: text of n code units has n bytes at least, and 3n at most. */
const isLarge = (payload: Serialized, limit: number): boolean =>
  payload.length > limit || (typeof payload === "string" && payload.length * 3 > limit && bytesOf(payload) > limit)

const digestOf = (payload: Serialized): string => createHash("sha256").update(payload).digest("hex")

/** What a message claims; `undefined` where its payload is its own. */
export const claimOf = (message: Message | Garbled): Option.Option<Claims.Claim> | undefined =>
  "_tag" in message || message.format !== Claims.format ? undefined : Claims.decode(message.payload)

/** How many payloads are stored or fetched at once. */
const concurrency = 8

/** The driver, whose large payloads stand in a store. */
export const over = <C extends Driver.Capability>(
  driver: Driver.Driver<C>,
  { limit: wanted, store }: Settings
): Driver.Driver<C> => {
  const limit = Math.min(wanted, driver.limits.payload)

  const check = (message: Message): Effect.Effect<Message, BusError> => {
    const { format, payload, publishedAt } = message
    if (!isLarge(payload, limit)) return Effect.succeed(message)
    return Effect.suspend(() => {
      const day = new Date(publishedAt).toISOString().slice(0, 10)
      const key = `claim-check/${day}/${EventId.uuid7(publishedAt)}`
      const claim = Claims.encode({
        key,
        format,
        text: typeof payload === "string",
        bytes: bytesOf(payload),
        digest: digestOf(payload)
      })
      return Effect.as(Effect.mapError(store.set(key, payload), failed("store")), {
        ...message,
        format: Claims.format,
        payload: claim
      })
    })
  }

  /** Takes what was stored back, where it is certain that no message claims it. */
  const withdraw = (messages: ReadonlyArray<Message>, error: BusError): Effect.Effect<void> =>
    error.reason === "timeout" ? Effect.void : Effect.forEach(messages, (message) => {
      const claim = claimOf(message)
      return claim === undefined || Option.isNone(claim) ? Effect.void : Effect.ignore(store.remove(claim.value.key))
    }, { discard: true })

  const checkAll = <A>(
    messages: ReadonlyArray<Message>,
    send: (messages: ReadonlyArray<Message>) => Effect.Effect<A, BusError>
  ): Effect.Effect<A, BusError> =>
    messages.some(({ payload }) => isLarge(payload, limit))
      ? Effect.flatMap(
        Effect.forEach(messages, (message) => Effect.either(check(message)), { concurrency }),
        (stored) => {
          const checked = stored.filter(Either.isRight).map(({ right }) => right)
          const refused = stored.find(Either.isLeft)
          return Effect.tapError(
            refused === undefined ? send(checked) : Effect.fail(refused.left),
            (error) => withdraw(checked, error)
          )
        }
      )
      : send(messages)

  /** A message with what it claims; as it is where that is not to be had. */
  const redeem = (delivered: Driver.Delivered): Effect.Effect<Driver.Delivered, BusError> => {
    const found = claimOf(delivered.message)
    if (found === undefined || Option.isNone(found)) return Effect.succeed(delivered)
    const { bytes, digest, format, key, text } = found.value
    const stored: Effect.Effect<Option.Option<Serialized>, unknown> = text ? store.get(key) : store.getUint8Array(key)
    return Effect.map(
      Effect.mapError(stored, failed("fetch")),
      (payload) =>
        Option.isSome(payload) && bytesOf(payload.value) === bytes && digestOf(payload.value) === digest
          ? { ...delivered, message: { ...(delivered.message as Message), format, payload: payload.value } }
          : delivered
    )
  }

  const pullThrough = ({ pull, settle }: Driver.Consumer) => (max: number) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(restore(pull(max)), (pulled) => {
        if (!pulled.some(({ message }) => claimOf(message) !== undefined)) return Effect.succeed(pulled)
        return Effect.onError(restore(Effect.forEach(pulled, redeem, { concurrency })), () =>
          Effect.ignore(settle(pulled.map(({ receipt }) => ({ _tag: "return", receipt, counted: false } as const)))))
      })
    )

  return {
    ...driver,
    limits: { ...driver.limits, payload: Math.max(maximum, driver.limits.payload) },
    publish: (messages) => checkAll(messages, driver.publish),
    redeliver: (group, again) =>
      checkAll(
        again.map(({ message }) => message),
        (messages) =>
          driver.redeliver(group, messages.map((message, index) => ({ message, state: again[index]!.state })))
      ),
    consume: (group) =>
      Effect.map(
        driver.consume(group),
        (consumer) => group.name === cleaner ? consumer : { settle: consumer.settle, pull: pullThrough(consumer) }
      )
  }
}
