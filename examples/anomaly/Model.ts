/** What is learned of the sequences of each sensor: which level comes after the three before it, and how often. */
import { Schema } from "effect"
import * as Projection from "effect-skald/cqrs/Projection"
import * as Machine from "effect-skald/event/Machine"
import { AnomalyDetected, levelOf, ReadingTaken } from "./Readings.ts"

/** Before so many readings after the same three levels nothing is flagged. */
export const warmUp = 20

/** What came in less than this share of them is. */
export const rare = 0.02

const Counts = Schema.Struct({ low: Schema.Int, normal: Schema.Int, high: Schema.Int })

export const Model = Schema.Record({
  key: Schema.String,
  value: Schema.Struct({
    /** The last levels, at most three, the newest last. */
    recent: Schema.Array(Schema.Literal("low", "normal", "high")),
    after: Schema.Record({ key: Schema.String, value: Counts })
  })
})
export type Model = typeof Model.Type

const unseen = { low: 0, normal: 0, high: 0 }

/** Predicts first, then learns, so that what is new is judged by what came before it alone. */
export const detector: Machine.Machine<Model, ReadingTaken, AnomalyDetected> = Machine.make({
  initial: {} as Model,
  step: (model, { celsius, number, sensor }: ReadingTaken) => {
    const level = levelOf(celsius)
    const known = model[sensor] ?? { recent: [], after: {} }
    const recent = [...known.recent, level].slice(-3)
    if (known.recent.length < 3) return [{ ...model, [sensor]: { ...known, recent } }, []]
    const after = known.recent.join(" ")
    const counts = known.after[after] ?? unseen
    const of = counts.low + counts.normal + counts.high
    const learned = { ...known.after, [after]: { ...counts, [level]: counts[level] + 1 } }
    return [
      { ...model, [sensor]: { recent, after: learned } },
      of >= warmUp && counts[level] < of * rare
        ? [AnomalyDetected({ sensor, number, after, level, times: counts[level], of })]
        : []
    ]
  }
})

/** The model as it stands: a projection like any other, made anew from the log whenever that is wanted. */
export const Learned = Projection.make("sensor-model", {
  state: Model,
  events: [ReadingTaken],
  initial: detector.initial,
  apply: (model, reading) => Machine.step(detector, model, reading)[0]
})
