import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as Driver from "../../store/Driver.ts"
import type { StoreError } from "../../store/StoreError.ts"

/** Pages of the log, one after the other. */
interface Reader {
  readonly page: (page: Driver.LogPage) => Effect.Effect<Driver.LogRows, StoreError>
  /** Asks for the page that comes next, so that the server works on it meanwhile. */
  readonly ahead: (page: Driver.LogPage) => Effect.Effect<void>
}

type Ahead = Fiber.Fiber<Driver.LogRows, StoreError>

/** Reads the log page by page, a page ahead where the driver says that this may be done. */
export const pages = <A, E, R>(
  driver: Driver.Driver<any>,
  read: (reader: Reader) => Stream.Stream<A, E, R>
): Stream.Stream<A, E, R> =>
  driver.readsAhead === undefined
    ? read(plainly(driver))
    : Stream.unwrapScoped(Effect.flatMap(driver.readsAhead, (may) =>
      may
        ? Effect.map(Effect.scope, (scope) => read(ahead(driver, scope)))
        : Effect.succeed(read(plainly(driver)))))

const plainly = (driver: Driver.Driver<any>): Reader => ({ page: driver.readLog, ahead: () => Effect.void })

const ahead = (driver: Driver.Driver<any>, scope: Scope.Scope): Reader => {
  let next: Ahead | undefined
  return {
    page: (page) =>
      Effect.suspend(() => {
        const asked = next
        next = undefined
        return asked === undefined ? driver.readLog(page) : Fiber.join(asked)
      }),
    // Whoever has enough does not wait for it, nor has it cancelled, which takes another connection: a page is read in vain.
    ahead: (page) =>
      Effect.forkIn(Effect.disconnect(Effect.uninterruptible(driver.readLog(page))), scope).pipe(
        Effect.tap((asked) =>
          Effect.sync(() => {
            next = asked
          })
        ),
        // so that it is on its way before this page is worked on
        Effect.zipRight(Effect.yieldNow())
      )
  }
}
