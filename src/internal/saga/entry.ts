import type { JournalEvent } from "../../saga/SagaJournal.ts"
import { Sagas } from "../../saga/SagaJournal.ts"
import type { NewEvent } from "../../store/EventStore.ts"
import * as Instant from "../instant.ts"
import * as Json from "../json.ts"

const utc = Instant.utcs()

/**
 * An event of a journal as the store takes it. The Schemas of the journal encode every event as it stands (a test holds them to
 * it), and the library itself has made it: to have it checked and copied by its Schema would cost more than to append it. Whether
 * the values in it are JSON is looked at by the store.
 */
export const entryOf = (event: JournalEvent, id: string, at: number): NewEvent => {
  const { tagsOf, version } = Sagas.codec.entries.get(event._tag)!
  return {
    type: event._tag,
    schemaVersion: version,
    payload: event,
    tags: tagsOf === undefined ? undefined : tagsOf(event),
    id,
    occurredAt: utc(at)
  }
}

/** So many characters fit into an event of every store. */
const smallAt = 1_000

const spent = (value: unknown, left: number): number => {
  switch (typeof value) {
    case "string":
      return left - value.length
    case "object": {
      if (value === null) return left - 1
      let rest = left - 2
      for (const key in value) {
        rest = spent((value as Record<string, unknown>)[key], rest - key.length)
        if (rest < 0) return rest
      }
      return rest
    }
    default:
      return left - 1
  }
}

/** Whether a value can be journaled beyond doubt: it is JSON, and small. */
export const isSmall = (value: unknown): boolean =>
  value === undefined || (spent(value, smallAt) >= 0 && Json.isValue(value))
