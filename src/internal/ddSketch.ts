import * as Schema from "effect/Schema"
import { AnyNumber } from "./numberSchema.ts"

/**
 * A DDSketch: how many numbers fell into each bucket, whose bounds grow by a factor. Bucket `i` holds what is above
 * `gamma^(i-1)` and at most `gamma^i`; numbers below 0 have buckets of their own.
 */
export interface Sketch {
  zeros: number
  readonly above: Map<number, number>
  readonly below: Map<number, number>
}

export const empty = (): Sketch => ({ zeros: 0, above: new Map(), below: new Map() })

/** What is nearer to 0 counts as 0. */
const tiny = 1e-9

export const add = (sketch: Sketch, value: number, scale: number): Sketch => {
  if (value > tiny) more(sketch.above, Math.ceil(Math.log(value) * scale), 1)
  else if (value < -tiny) more(sketch.below, Math.ceil(Math.log(-value) * scale), 1)
  else if (!Number.isNaN(value)) sketch.zeros++
  return sketch
}

export const merge = (left: Sketch, right: Sketch): Sketch => {
  left.zeros += right.zeros
  for (const [bucket, count] of right.above) more(left.above, bucket, count)
  for (const [bucket, count] of right.below) more(left.below, bucket, count)
  return left
}

export const copy = (sketch: Sketch): Sketch => ({
  zeros: sketch.zeros,
  above: new Map(sketch.above),
  below: new Map(sketch.below)
})

export const quantile = (sketch: Sketch, quantile: number, gamma: number): number | undefined => {
  const total = sketch.zeros + sizeOf(sketch.above) + sizeOf(sketch.below)
  if (total === 0) return undefined
  let rank = Math.floor(quantile * (total - 1))
  // the value in the middle of a bucket, as far from its bounds in relation; its upper one may be beyond all numbers
  const middle = (bucket: number): number => gamma ** (bucket - 1) * ((2 * gamma) / (gamma + 1))
  for (const [bucket, count] of [...sketch.below].sort(([a], [b]) => b - a)) {
    if (rank < count) return -middle(bucket)
    rank -= count
  }
  if (rank < sketch.zeros) return 0
  rank -= sketch.zeros
  for (const [bucket, count] of [...sketch.above].sort(([a], [b]) => a - b)) {
    if (rank < count) return middle(bucket)
    rank -= count
  }
  return undefined
}

const sizeOf = (buckets: ReadonlyMap<number, number>): number => {
  let size = 0
  for (const count of buckets.values()) size += count
  return size
}

const more = <K>(counts: Map<K, number>, key: K, by: number): void => {
  counts.set(key, (counts.get(key) ?? 0) + by)
}

/** The bucket of what is infinite is infinite, too. */
const Buckets = Schema.Map({ key: AnyNumber, value: Schema.Number })

export const Stored: Schema.Schema<Sketch, any> = Schema.mutable(
  Schema.Struct({ zeros: Schema.Number, above: Buckets, below: Buckets })
)
