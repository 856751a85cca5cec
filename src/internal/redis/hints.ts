import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { randomUUID } from "node:crypto"
import type { StoreError } from "../../store/StoreError.ts"
import * as Changes from "../store/changes.ts"
import { type Client, listen, send } from "./connection.ts"

/** Wakes those who wait for the log to grow, by hints where there are any, and by looking now and then. */
export interface Hints {
  /** This process has committed up to a position. */
  readonly committed: (position: number) => void
  readonly awaitBeyond: (position: number) => Effect.Effect<void, StoreError>
}

/**
 * A hint of another process says only that something was appended: how far readers see is always asked of the server, by one look
 * for all who wait, and at `pollInterval` without any hint. Without `channel` there are no hints of other processes.
 */
export const make = (options: {
  readonly client: Client
  readonly channel: string | undefined
  readonly head: Effect.Effect<number, StoreError>
  readonly pollInterval: Duration.Duration
}): Effect.Effect<Hints, never, Scope.Scope> =>
  Effect.gen(function*() {
    const { channel, client, head } = options
    const changes = yield* Changes.make({ every: options.pollInterval, head })
    if (channel === undefined) return { committed: changes.advance, awaitBeyond: changes.awaitBeyond }

    const latch = Effect.unsafeMakeLatch(false)
    let waiting = 0
    let isHinted = false
    const hint = (): void => {
      isHinted = true
      if (waiting > 0) latch.unsafeOpen()
    }
    yield* Effect.forkScoped(Effect.forever(Effect.gen(function*() {
      yield* latch.await
      latch.unsafeClose()
      isHinted = false
      // A look that fails is made good by the poll.
      changes.advance(yield* Effect.orElseSucceed(head, () => 0))
    })))

    const self = randomUUID()
    yield* listen(client, channel, (message) => {
      if (message !== self) hint()
    }, hint)

    let isTelling = false
    let again = false
    const tell = (): void => {
      if (isTelling) {
        again = true
        return
      }
      isTelling = true
      send(client, "publish", [channel, self], "utf8", () => {
        isTelling = false
        if (!again) return
        again = false
        tell()
      })
    }

    return {
      committed: (position) => {
        changes.advance(position)
        tell()
      },
      awaitBeyond: (position) =>
        Effect.suspend(() => {
          waiting++
          if (isHinted) latch.unsafeOpen()
          return Effect.ensuring(changes.awaitBeyond(position), Effect.sync(() => waiting--))
        })
    }
  })
