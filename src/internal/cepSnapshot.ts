import * as Schema from "effect/Schema"
import type { Snapshot } from "../cep/Matcher.ts"

/** Snapshots of a matcher as JSON values. */

/** Times before any, and after all, are no JSON numbers. */
const Time = Schema.transform(Schema.Union(Schema.Number, Schema.Literal("-Infinity", "Infinity")), Schema.Number, {
  strict: true,
  decode: (time) => typeof time === "number" ? time : Number(time),
  encode: (time) => time === Number.POSITIVE_INFINITY ? "Infinity" : time === -Infinity ? "-Infinity" : time
})

export const schema = <Ev, I>(events: Schema.Schema<Ev, I>): Schema.Schema<Snapshot, unknown> => {
  const all: Schema.Schema<Snapshot, any> = Schema.Struct({
    fingerprint: Schema.String,
    seq: Schema.Number,
    time: Time,
    newest: Time,
    closed: Time,
    failed: Schema.Boolean,
    counts: Schema.mutable(Schema.Struct({
      events: Schema.Number,
      late: Schema.Number,
      unkeyed: Schema.Number,
      matches: Schema.Number,
      timedOut: Schema.Number,
      overflowed: Schema.Number
    })),
    waiting: Schema.Array(Schema.Struct({ time: Time, event: events })),
    events: Schema.Array(Schema.Struct({ seq: Schema.Number, time: Time, event: events })),
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
    }))
  })
  return all
}
