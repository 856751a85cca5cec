import * as DateTime from "effect/DateTime"
import type { Metadata, Raw } from "../event/Envelope.ts"

/** What a message says beside its event; a delivery does. */
export interface From {
  readonly subject: string
  readonly metadata: Metadata
  readonly source: string
  readonly occurredAt: DateTime.Utc
  readonly publishedAt: DateTime.Utc
}

const never = DateTime.unsafeMake(0)

/** Of an event that is kept in a match, no more is known, and no more asked. */
const nowhere: From = { subject: "", metadata: {}, source: "/", occurredAt: never, publishedAt: never }

/** An event as though it were recorded, so that it can be decoded, although it is in no log. */
export const unrecorded = (
  { id, payload, schemaVersion, type }: Pick<Raw, "id" | "type" | "schemaVersion" | "payload">,
  { metadata, occurredAt, publishedAt, source, subject }: From = nowhere
): Raw => ({
  id,
  stream: subject as Raw["stream"],
  version: 0 as Raw["version"],
  position: 0 as Raw["position"],
  type,
  schemaVersion,
  payload,
  metadata,
  source,
  tags: [],
  occurredAt,
  recordedAt: publishedAt
})
