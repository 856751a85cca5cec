import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { StreamId } from "../../event/StreamId.ts"
import type { Operations, ReadError } from "../../store/EventStore.ts"
import * as Marks from "./marks.ts"

/** The streams of a category that have an event to read, each once, in the order of the first one; their names are held. */
export const streamsOf = (store: Operations, category: string): Stream.Stream<StreamId, ReadError> =>
  Stream.suspend(() => {
    const seen = new Set<string>()
    return Stream.filterMap(store.readAll({ category }), ({ stream, type }) => {
      if (type === Marks.tombstoned || seen.has(stream)) return Option.none()
      seen.add(stream)
      return Option.some(stream)
    })
  })
