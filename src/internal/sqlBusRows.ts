import type { Depth } from "../bus/BusDriver.ts"
import { BusError } from "../bus/BusError.ts"
import type { Message } from "../bus/Message.ts"
import type { Serialized } from "../event/PayloadFormat.ts"
import type { StoreError } from "../store/StoreError.ts"
import * as BusErrorOf from "./busErrorOf.ts"
import type { Registry } from "./sqlBusDatabase.ts"

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

/** A message out of its columns. */
export const message = (row: {
  readonly occurredAt: number
  readonly publishedAt: number
  readonly readyAt: number
  readonly expiresAt: number | null
  readonly schemaVersion: number
  readonly retries: number | null
  readonly priority: number
  readonly id: string
  readonly type: string
  readonly subject: string
  readonly source: string
  readonly key: string | null
  readonly metadata: string
  readonly format: string
  readonly payload: Serialized
}): Message => {
  const made: { -readonly [K in keyof Message]: Message[K] } = {
    id: row.id,
    type: row.type,
    subject: row.subject,
    schemaVersion: row.schemaVersion,
    source: row.source,
    occurredAt: row.occurredAt,
    publishedAt: row.publishedAt,
    readyAt: row.readyAt,
    priority: row.priority,
    metadata: row.metadata,
    format: row.format,
    payload: row.payload
  }
  if (row.expiresAt !== null) made.expiresAt = row.expiresAt
  if (row.key !== null) made.key = row.key
  if (row.retries !== null) made.retries = row.retries
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
