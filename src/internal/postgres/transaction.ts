import { TransactionConnection } from "@effect/sql/SqlClient"
import type { SqlClient } from "@effect/sql/SqlClient"
import { SqlError } from "@effect/sql/SqlError"
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import { StoreError } from "../../store/StoreError.ts"
import { rawCause, reasonOf, storeError } from "./errors.ts"

/** Whether a fiber is in a transaction of a SqlClient. */
export const isInside = (fiber: Fiber.RuntimeFiber<any, any>): boolean =>
  (fiber.currentContext as Context.Context<never>).unsafeMap.has(TransactionConnection.key)

/**
 * `sql.withTransaction`, whose own failures are the library's error: there, a COMMIT or ROLLBACK that fails is a defect.
 * After a COMMIT whose answer was lost, nobody knows whether it happened: that is a `timeout`.
 */
export const transact =
  (sql: SqlClient, operation: string) => <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E | StoreError, R> =>
    Effect.suspend(() => {
      let inner: Exit.Exit<A, E> | undefined
      return Effect.catchAllCause(
        sql.withTransaction(Effect.onExit(self, (exit) => Effect.sync(() => inner = exit))),
        (cause): Effect.Effect<A, E | StoreError> => {
          if (inner !== undefined && Exit.isFailure(inner)) return inner
          const failure = Option.orElse(Cause.failureOption(cause), () => Cause.dieOption(cause))
          if (failure._tag === "None" || !(failure.value instanceof SqlError)) {
            return Effect.failCause(cause as Cause.Cause<never>)
          }
          if (inner === undefined) return Effect.fail(storeError(operation, failure.value))
          const reason = reasonOf(failure.value)
          return Effect.fail(
            new StoreError({
              operation,
              reason: reason === "unavailable" ? "timeout" : reason,
              cause: rawCause(failure.value)
            })
          )
        }
      )
    })
