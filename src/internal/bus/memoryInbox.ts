import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type { Service } from "../../bus/Inbox.ts"

/** Whole milliseconds: a TestClock may tell fractions. */
const nowOf = (fiber: Fiber.RuntimeFiber<any, any>): number =>
  Math.floor(Context.get(fiber.currentDefaultServices, Clock.Clock).unsafeCurrentTimeMillis())

export const make = (keep: number): Service => {
  /** When each was handled, the oldest first. */
  const handled = new Map<string, number>()
  const running = new Map<string, Deferred.Deferred<void>>()

  const forget = (now: number): void => {
    for (const [key, at] of handled) {
      if (now - at < keep) return
      handled.delete(key)
    }
  }

  const once = <A, E, R>(subscription: string, id: string, handler: Effect.Effect<A, E, R>): Effect.Effect<
    boolean,
    E,
    R
  > => {
    // neither holds NUL
    const key = `${subscription}\u0000${id}`
    return Effect.uninterruptibleMask((restore) =>
      Effect.withFiberRuntime((fiber) => {
        forget(nowOf(fiber))
        if (handled.has(key)) return Effect.succeed(false)
        const before = running.get(key)
        if (before !== undefined) {
          return restore(Effect.zipRight(Deferred.await(before), Effect.suspend(() => once(subscription, id, handler))))
        }
        const ended = Deferred.unsafeMake<void>(fiber.id())
        running.set(key, ended)
        return Effect.onExit(Effect.as(restore(handler), true), (exit) =>
          Effect.withFiberRuntime<void>((self) => {
            if (Exit.isSuccess(exit)) handled.set(key, nowOf(self))
            running.delete(key)
            Deferred.unsafeDone(ended, Exit.void)
            return Effect.void
          }))
      })
    )
  }
  return { once }
}
