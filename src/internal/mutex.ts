import { Effect } from "effect"

/** What `Effect.uninterruptibleMask` hands out. */
export type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/** One who waits; `resume` is set while its fiber sleeps. */
interface Waiter {
  state: "waiting" | "granted" | "gone"
  resume: ((effect: Effect.Effect<void>) => void) | undefined
}

/** A fair lock for synchronous and asynchronous holders; see `SqliteClient.Lock`. */
export interface Mutex {
  readonly tryAcquire: () => boolean
  readonly release: () => void
  readonly acquire: Effect.Effect<void>
  /** For callers inside an uninterruptible region: only the wait is restored, and no grant is ever lost. */
  readonly acquireWith: (restore: Restore) => Effect.Effect<void>
  readonly withLock: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  readonly held: () => boolean
  readonly waiting: () => number
}

export const make = (): Mutex => {
  let held = false
  // A Set keeps the order of arrival and forgets one who leaves in constant time.
  const queue = new Set<Waiter>()

  const tryAcquire = (): boolean => {
    if (held) return false
    held = true
    return true
  }

  // The lock is handed over, never put down, while somebody waits: so nobody can barge in between.
  const release = (): void => {
    for (const waiter of queue) {
      queue.delete(waiter)
      waiter.state = "granted"
      waiter.resume?.(Effect.void)
      return
    }
    held = false
  }

  const leave = (waiter: Waiter): void => {
    if (waiter.state === "granted") release()
    else queue.delete(waiter)
    waiter.state = "gone"
  }

  // A fiber may be interrupted between the grant and its next step. Only code outside the interruptible region sees
  // that, so the grant is given back there and not by the canceller of the wait.
  const acquireWith = (restore: Restore): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (tryAcquire()) return Effect.void
      const waiter: Waiter = { state: "waiting", resume: undefined }
      queue.add(waiter)
      const wait = Effect.async<void>((resume) => {
        if (waiter.state === "granted") resume(Effect.void)
        else waiter.resume = resume
      })
      return Effect.onError(restore(wait), () => Effect.sync(() => leave(waiter)))
    })

  return {
    tryAcquire,
    release,
    acquire: Effect.uninterruptibleMask(acquireWith),
    acquireWith,
    withLock: (self) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.zipRight(acquireWith(restore), Effect.onExit(restore(self), () => Effect.sync(release)))
      ),
    held: () => held,
    waiting: () => queue.size
  }
}
