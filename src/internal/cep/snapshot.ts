import * as Schema from "effect/Schema"
import type { Snapshot } from "../../cep/Matcher.ts"
import { Instant } from "./timeSchema.ts"

/** Snapshots of a matcher as JSON values. */

export const schema = <Ev, I>(events: Schema.Schema<Ev, I>): Schema.Schema<Snapshot, unknown> => {
  const all: Schema.Schema<Snapshot, any> = Schema.Struct({
    fingerprint: Schema.String,
    seq: Schema.Number,
    time: Instant,
    newest: Instant,
    closed: Instant,
    failed: Schema.Boolean,
    counts: Schema.mutable(Schema.Struct({
      events: Schema.Number,
      late: Schema.Number,
      unkeyed: Schema.Number,
      matches: Schema.Number,
      timedOut: Schema.Number,
      overflowed: Schema.Number
    })),
    waiting: Schema.Array(Schema.Struct({ time: Instant, event: events })),
    events: Schema.Array(Schema.Struct({ seq: Schema.Number, time: Instant, event: events })),
    paths: Schema.Array(Schema.Struct({
      before: Schema.Number,
      step: Schema.String,
      event: Schema.Number,
      done: Schema.Boolean
    })),
    states: Schema.Array(Schema.Struct({ from: Schema.Number, wait: Schema.Number })),
    keys: Schema.Array(Schema.Struct({
      key: Schema.String,
      floor: Schema.Number,
      moment: Schema.Number,
      held: Schema.Array(Schema.Struct({ path: Schema.Number, moment: Schema.Number }))
    })),
    runs: Schema.Array(Schema.Struct({
      key: Schema.Number,
      path: Schema.Number,
      state: Schema.Number,
      waits: Schema.Array(Schema.Boolean),
      ended: Schema.Array(Schema.Array(Schema.Boolean)),
      fresh: Schema.Boolean,
      ending: Schema.Boolean,
      nextPassed: Schema.Boolean,
      windowPassed: Schema.Boolean
    })),
    nodes: Schema.Array(Schema.Struct({
      event: Schema.Number,
      step: Schema.String,
      left: Schema.Number,
      right: Schema.Number
    })),
    sets: Schema.Array(Schema.Struct({
      key: Schema.String,
      of: Schema.Array(Schema.Struct({
        done: Schema.Boolean,
        waiting: Schema.Array(Schema.Struct({
          state: Schema.Number,
          waits: Schema.Array(Schema.Boolean),
          ended: Schema.Array(Schema.Array(Schema.Boolean)),
          fresh: Schema.Boolean,
          ending: Schema.Boolean,
          nextPassed: Schema.Boolean
        })),
        node: Schema.Number
      }))
    }))
  })
  return all
}
