import { SqlError } from "@effect/sql/SqlError"
import { StoreError, type StoreReason } from "../../store/StoreError.ts"

/** What an error of better-sqlite3 is about; see `SqliteClient.Kind`. */
export type Kind = "busy" | "full" | "readOnly" | "corrupt" | "constraint" | "io" | "closed" | "unknown"

/** The extended result codes of one family begin with its name: `SQLITE_IOERR_WRITE`, `SQLITE_BUSY_SNAPSHOT`. */
const families: ReadonlyArray<readonly [prefix: string, kind: Kind]> = [
  ["SQLITE_BUSY", "busy"],
  ["SQLITE_LOCKED", "busy"],
  ["SQLITE_FULL", "full"],
  ["SQLITE_READONLY", "readOnly"],
  ["SQLITE_CORRUPT", "corrupt"],
  ["SQLITE_NOTADB", "corrupt"],
  ["SQLITE_FORMAT", "corrupt"],
  ["SQLITE_CONSTRAINT", "constraint"],
  ["SQLITE_IOERR", "io"],
  ["SQLITE_CANTOPEN", "io"],
  ["SQLITE_PERM", "io"],
  ["SQLITE_PROTOCOL", "io"]
]

/** The error that better-sqlite3 threw, out of whatever wraps it. */
export const rawCause = (error: unknown): unknown =>
  error instanceof SqlError || error instanceof StoreError
    ? error.cause === undefined ? error : rawCause(error.cause)
    : error

export const classify = (error: unknown): Kind => {
  const raw = rawCause(error)
  if (!(raw instanceof Error)) return "unknown"
  const code = (raw as { readonly code?: unknown }).code
  if (typeof code === "string") {
    for (const [prefix, kind] of families) if (code.startsWith(prefix)) return kind
    return "unknown"
  }
  return raw.message.includes("database connection is not open") ? "closed" : "unknown"
}

const reasons: { readonly [kind in Kind]: StoreReason } = {
  busy: "busy",
  full: "full",
  readOnly: "readOnly",
  corrupt: "corrupt",
  constraint: "unknown",
  io: "unavailable",
  closed: "closed",
  unknown: "unknown"
}

export const storeError = (operation: string, error: unknown): StoreError =>
  error instanceof StoreError
    ? error
    : new StoreError({ operation, reason: reasons[classify(error)], cause: rawCause(error) })

export const sqlError = (message: string, cause: unknown): SqlError =>
  cause instanceof SqlError ? cause : new SqlError({ message, cause })
