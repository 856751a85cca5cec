import * as Schema from "effect/Schema"
import type { Aggregation } from "../../cep/Aggregation.ts"
import type { Shape, Snapshot } from "../../cep/Window.ts"
import { Instant } from "./timeSchema.ts"

/** Snapshots of windows as JSON values. */
export const schema = (shape: Shape, { state }: Aggregation<any, any, any>): Schema.Schema<Snapshot, unknown> => {
  const panes = Schema.Array(Schema.Tuple(Schema.Number, Schema.Number, state))
  const kept = {
    Sliding: Schema.Array(Schema.Tuple(Schema.String, Schema.Boolean, panes)),
    Session: Schema.Struct({
      seq: Schema.Number,
      sessions: Schema.Array(Schema.Struct({
        key: Schema.String,
        seq: Schema.Number,
        first: Schema.Number,
        last: Schema.Number,
        told: Schema.Boolean,
        update: Schema.Boolean,
        count: Schema.Number,
        state
      }))
    }),
    Count: Schema.Array(Schema.Tuple(Schema.String, Schema.Number, panes))
  }[shape._tag] as Schema.Schema<any, any>
  return Schema.Struct({
    watermark: Instant,
    counts: Schema.mutable(Schema.Struct({
      events: Schema.Number,
      late: Schema.Number,
      unkeyed: Schema.Number,
      untimed: Schema.Number,
      results: Schema.Number
    })),
    kept
  }) as Schema.Schema<Snapshot, any>
}
