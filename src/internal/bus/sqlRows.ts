import type { Depth } from "../../bus/BusDriver.ts"
import { BusError } from "../../bus/BusError.ts"
import type { Message } from "../../bus/Message.ts"
import type { Serialized } from "../../event/PayloadFormat.ts"
import type { StoreError } from "../../store/StoreError.ts"
import * as BusErrorOf from "./errorOf.ts"
import type { Registry } from "./sqlDatabase.ts"

/** What went wrong in the database, as the bus says it. */
export const busError = (operation: string, error: StoreError | BusError): BusError =>
  error._tag === "BusError" ? error : BusErrorOf.busError(operation, error)

/** The list of subscriptions out of its rows: epoch, id, name, selector; one without a subscription where there is none. */
export const registry = (rows: ReadonlyArray<ReadonlyArray<any>>): Registry => ({
  epoch: Number(rows[0]![0]),
  groups: rows.filter(([, id]) => id !== null).map(([, id, name, selector]) => ({
    id: Number(id),
    name,
    selector: JSON.parse(selector)
  }))
})

/**
 * A message out of the columns of a claim. `rest` is a JSON array of what it does not say of most: when it happened and may be
 * delivered, where that is not when it was published; when it expires, its schema version, its retries, its subject where
 * that is not its type, its source, its format.
 */
export const message = (
  publishedAt: number,
  id: string,
  type: string,
  priority: number,
  key: string | null,
  metadata: string,
  payload: Serialized,
  rest: string | null
): Message => {
  const made: { -readonly [K in keyof Message]: Message[K] } = {
    id,
    type,
    subject: type,
    schemaVersion: 1,
    source: "/",
    occurredAt: publishedAt,
    publishedAt,
    readyAt: publishedAt,
    priority,
    metadata,
    format: "json",
    payload
  }
  if (key !== null) made.key = key
  if (rest === null) return made
  const [occurredAt, readyAt, expiresAt, schemaVersion, retries, subject, source, format] = JSON.parse(rest)
  made.occurredAt = occurredAt
  made.readyAt = readyAt
  made.schemaVersion = schemaVersion
  made.subject = subject
  made.source = source
  made.format = format
  if (expiresAt !== null) made.expiresAt = expiresAt
  if (retries !== null) made.retries = retries
  return made
}

/** Ready, waiting, in flight, oldest. */
export const depth = (row: ReadonlyArray<any>): Depth => ({
  ready: Number(row[0]),
  waiting: Number(row[1]),
  inFlight: Number(row[2]),
  oldest: row[3] === null ? undefined : Number(row[3])
})

/** What is stored is not what was written. */
export const corrupt = (operation: string, cause: unknown): BusError =>
  new BusError({ reason: "corrupt", operation, cause })
