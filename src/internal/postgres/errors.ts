import { SqlError } from "@effect/sql/SqlError"
import { StoreError, type StoreReason } from "../../store/StoreError.ts"

/** The error that `pg` raised, out of whatever wraps it. */
export const rawCause = (error: unknown): unknown =>
  error instanceof SqlError || error instanceof StoreError
    ? error.cause === undefined ? error : rawCause(error.cause)
    : error

/** PostgreSQL's codes, and those of sockets; a longer beginning wins by standing first. */
const codes: ReadonlyArray<readonly [prefix: string, reason: StoreReason]> = [
  // the server is shutting down, starting, or has no connection to spare
  ["57P0", "unavailable"],
  ["53300", "unavailable"],
  ["08", "unavailable"],
  ["58030", "unavailable"],
  ["ECONN", "unavailable"],
  ["EPIPE", "unavailable"],
  ["ENOTFOUND", "unavailable"],
  ["EAI_AGAIN", "unavailable"],
  ["EHOSTUNREACH", "unavailable"],
  ["ENETUNREACH", "unavailable"],
  ["ETIMEDOUT", "unavailable"],
  // deadlock, serialization failure, lock timeout
  ["40", "busy"],
  ["55P03", "busy"],
  ["53", "full"],
  ["25006", "readOnly"],
  ["57014", "timeout"],
  ["XX001", "corrupt"],
  ["XX002", "corrupt"]
]

const lost = /connection terminated|connection ended|not queryable|connection error|timeout exceeded when trying/i

export const reasonOf = (error: unknown): StoreReason => {
  const raw = rawCause(error)
  if (!(raw instanceof Error)) return "unknown"
  const code = (raw as { readonly code?: unknown }).code
  if (typeof code === "string") {
    for (const [prefix, reason] of codes) if (code.startsWith(prefix)) return reason
    return "unknown"
  }
  if (/after calling end on the pool/.test(raw.message)) return "closed"
  return lost.test(raw.message) ? "unavailable" : "unknown"
}

export const storeError = (operation: string, error: unknown): StoreError =>
  error instanceof StoreError
    ? error
    : new StoreError({ operation, reason: reasonOf(error), cause: rawCause(error) })

/** The connection was lost after the statement was sent. */
export class Lost extends Error {
  override readonly name = "Lost"
  constructor(cause: unknown) {
    super("the connection was lost while the answer was awaited", { cause })
  }
}
