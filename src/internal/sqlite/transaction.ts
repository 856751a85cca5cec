import type { SqlClient } from "@effect/sql/SqlClient"
import { Effect } from "effect"
import type { StoreError } from "../../store/StoreError.ts"
import { storeError } from "./errors.ts"

/** Keeps an error of the caller's apart from one of the transaction, which may have the same tag. */
class Own<E> {
  readonly error: E
  constructor(error: E) {
    this.error = error
  }
}

/** `sql.withTransaction`, whose own failures are the library's error. */
export const transact =
  (sql: SqlClient, operation: string) => <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E | StoreError, R> =>
    Effect.mapError(
      sql.withTransaction(Effect.mapError(self, (error) => new Own(error))),
      (error) => error instanceof Own ? error.error : storeError(operation, error)
    )
