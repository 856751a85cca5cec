import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { StoreError } from "../../store/StoreError.ts"
import * as RealTime from "../realTime.ts"

/** Tells those who wait that the log has grown. One poll serves them all. */
export interface Changes {
  /** Called where this process has committed up to a position. */
  readonly advance: (position: number) => void
  /** Waits until the log may reach beyond a position. */
  readonly awaitBeyond: (position: number) => Effect.Effect<void, StoreError>
}

/**
 * With `poll`, a fiber asks for the head at that interval while somebody waits, so that what other processes commit is
 * seen as well; a failing poll fails those who wait, who then try again as they see fit.
 */
export const make = (poll?: {
  readonly every: Duration.DurationInput
  readonly head: Effect.Effect<number, StoreError>
}): Effect.Effect<Changes, never, Scope.Scope> =>
  Effect.gen(function*() {
    let head = 0
    let error: StoreError | undefined
    const waiting = new Set<{ readonly beyond: number; readonly wake: () => void }>()
    const advance = (position: number) => {
      if (position <= head) return
      head = position
      for (const waiter of waiting) if (waiter.beyond < position) waiter.wake()
    }
    let startPolling = () => {}
    if (poll !== undefined) {
      const latch = Effect.unsafeMakeLatch(false)
      startPolling = () => latch.unsafeOpen()
      yield* latch.await.pipe(
        Effect.zipRight(Effect.suspend(() => {
          if (waiting.size === 0) {
            latch.unsafeClose()
            return Effect.void
          }
          return Effect.matchEffect(poll.head, {
            onSuccess: (position) => Effect.sync(() => advance(position)),
            onFailure: (failure) =>
              Effect.sync(() => {
                error = failure
                for (const waiter of waiting) waiter.wake()
                error = undefined
              })
          })
        })),
        Effect.zipRight(RealTime.rest(poll.every)),
        Effect.forever,
        Effect.interruptible,
        Effect.forkScoped
      )
    }
    return {
      advance,
      awaitBeyond: (position) =>
        Effect.async<void, StoreError>((resume) => {
          if (head > position) return resume(Effect.void)
          const waiter = {
            beyond: position,
            wake: () => {
              waiting.delete(waiter)
              resume(error === undefined ? Effect.void : Effect.fail(error))
            }
          }
          waiting.add(waiter)
          startPolling()
          return Effect.sync(() => {
            waiting.delete(waiter)
          })
        })
    }
  })
