/** Readings of sensors, and what is told of those that break their pattern. */
import { Schema } from "effect"
import * as Event from "effect-skald/event/Event"
import * as Category from "effect-skald/store/Category"

export const ReadingTaken = Event.make("ReadingTaken", {
  sensor: Schema.String,
  /** Its place among those of the sensor, from 0. */
  number: Schema.Int,
  celsius: Schema.Number
})
export type ReadingTaken = typeof ReadingTaken.Type

export const Sensors = Category.make("sensor", { events: [ReadingTaken] })

export const AnomalyDetected = Event.make("AnomalyDetected", {
  sensor: Schema.String,
  number: Schema.Int,
  /** What came, after what. */
  after: Schema.String,
  level: Schema.Literal("low", "normal", "high"),
  /** How often that had come after it, of how many times. */
  times: Schema.Int,
  of: Schema.Int
})
export type AnomalyDetected = typeof AnomalyDetected.Type

export type Level = "low" | "normal" | "high"

export const levelOf = (celsius: number): Level => celsius < 18 ? "low" : celsius > 24 ? "high" : "normal"
