import { StoreError, type StoreReason } from "../../store/StoreError.ts"
import * as Scripts from "./scripts.ts"

/** What the server's errors begin with, and what `ioredis` says of its connection. */
const messages: ReadonlyArray<readonly [pattern: RegExp, reason: StoreReason]> = [
  [new RegExp(`${Scripts.corrupt}|WRONGTYPE|ID specified in XADD|value is not a valid|is not an integer`), "corrupt"],
  [/^OOM |No space left on device/, "full"],
  [/^READONLY /, "readOnly"],
  [/^BUSY /, "busy"],
  [/^(LOADING|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|NOREPLICAS|MISCONF) /, "unavailable"],
  [/Command timed out/, "timeout"],
  [/max number of clients|Connection is closed|Stream isn't writeable|connection close|Socket timeout/, "unavailable"],
  [/max retries per request|Failed to refresh slots cache|connect ETIMEDOUT/, "unavailable"]
]

const sockets = /^(ECONN|EPIPE|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT)/

export const reasonOf = (error: unknown): StoreReason => {
  if (!(error instanceof Error)) return "unknown"
  const code = (error as { readonly code?: unknown }).code
  if (typeof code === "string" && sockets.test(code)) return "unavailable"
  return messages.find(([pattern]) => pattern.test(error.message))?.[1] ?? "unknown"
}

export const storeError = (operation: string, error: unknown): StoreError =>
  error instanceof StoreError ? error : new StoreError({ operation, reason: reasonOf(error), cause: error })

/** The connection was lost after the command was sent. */
export class Lost extends Error {
  override readonly name = "Lost"
  constructor(cause: unknown) {
    super("the connection was lost while the answer was awaited", { cause })
  }
}

/** Whether a command that failed for want of a connection had been sent. */
export const wasSent = (error: StoreError): boolean =>
  error.reason === "unavailable" && error.cause instanceof Error &&
  /max retries per request|Connection is closed|connection close|Socket timeout/.test(error.cause.message)

/** What may go away by itself, and left nothing behind that trying again would double. */
export const isPassing = (error: unknown): boolean =>
  error instanceof StoreError &&
  (error.reason === "unavailable" || error.reason === "busy" || error.cause instanceof Lost)
