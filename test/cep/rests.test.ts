import { assert, describe, it } from "@effect/vitest"
import { FastCheck, Schema } from "effect"
import * as Aggregation from "effect-skald/cep/Aggregation"
import * as Join from "effect-skald/cep/Join"
import * as Watermark from "effect-skald/cep/Watermark"
import * as Window from "effect-skald/cep/Window"
import * as Machine from "effect-skald/event/Machine"

/** Windows, joins and watermarks that rest at every place, through JSON text: what comes after is what comes without it. */

interface Reading {
  readonly key: string | undefined
  readonly at: number
  readonly n: number
}
const Reading: Schema.Schema<Reading> = Schema.Struct({
  key: Schema.UndefinedOr(Schema.String),
  at: Schema.Number,
  n: Schema.Number
})
const timestamp = ({ at }: Reading) => at
const keyBy = ({ key }: Reading) => key

const rests = <S, I, O>(machine: Machine.Machine<S, I, O>, inputs: ReadonlyArray<I>, schema: Schema.Schema<S, any>) => {
  const whole = inputs.map((_, at) => at)
  const outputs: Array<ReadonlyArray<O>> = []
  const states = [machine.initial]
  for (const at of whole) {
    const [state, told] = Machine.run(machine, states[at]!, [inputs[at]!])
    states.push(state)
    outputs.push(told)
  }
  const uninterrupted = Machine.run(machine, machine.initial, inputs)[1]
  assert.deepStrictEqual(outputs.flat(), uninterrupted)
  for (const at of whole) {
    const stored = JSON.stringify(Schema.encodeSync(schema)(states[at]!))
    const [, told] = Machine.run(machine, Schema.decodeUnknownSync(schema)(JSON.parse(stored)), inputs.slice(at))
    assert.deepStrictEqual(told, outputs.slice(at).flat(), `after a rest at ${at}`)
  }
  return uninterrupted.length
}

/** Out of order, some twice, with time told and sources idle in between. */
const steps = FastCheck.array(
  FastCheck.record({
    what: FastCheck.constantFrom("event", "event", "event", "event", "twice", "time", "idle"),
    side: FastCheck.constantFrom<"left" | "right">("left", "right"),
    key: FastCheck.constantFrom("a", "b", undefined),
    step: FastCheck.integer({ min: -12, max: 8 }),
    n: FastCheck.nat(9)
  }),
  { minLength: 10, maxLength: 30 }
).map((all) => {
  let base = 100
  return all.map(({ step, ...rest }) => {
    base = Math.max(base, base + step)
    return { ...rest, base, at: base + Math.min(0, step) }
  })
})

const shapes: ReadonlyArray<Window.Shape> = [
  Window.tumbling(10),
  Window.sliding(20, 6, { offset: 1 }),
  Window.session(7),
  Window.count(5, { every: 2 })
]

describe("a rest at every place makes no difference", () => {
  it.each(
    shapes.flatMap((shape) =>
      (["accumulating", "discarding", "retracting"] as const).map((emission) => [shape._tag, emission, shape] as const)
    )
  )("to windows: %s, %s", (_, emission, shape) => {
    const window = Window.make({
      shape,
      aggregate: Aggregation.struct({
        total: Aggregation.sum(({ n }: Reading) => n),
        mean: Aggregation.mean(({ n }: Reading) => n),
        different: Aggregation.distinct(({ n }: Reading) => `${n}`)
      }),
      timestamp,
      keyBy,
      lateness: 3,
      allowedLateness: 12,
      emission
    })
    let told = 0
    FastCheck.assert(
      FastCheck.property(steps, (steps) => {
        const inputs = steps.flatMap(({ at, base, key, n, what }): ReadonlyArray<Watermark.Input<Reading>> => {
          if (what === "time" || what === "idle") return [{ _tag: "Time", time: base - 2 }]
          const input = { _tag: "Event", event: { key, at, n } } as const
          return what === "twice" ? [input, input] : [input]
        })
        told += rests(
          Window.machine(window),
          [...inputs, { _tag: "Time", time: Number.POSITIVE_INFINITY }],
          Window.SnapshotOf(window)
        )
      }),
      { numRuns: 8, seed: 95 }
    )
    assert.isAbove(told, 15)
  })

  const sourced = (all: Parameters<Parameters<typeof steps.map>[0]>[0]) =>
    all.flatMap(({ at, base, key, n, side, what }): ReadonlyArray<Join.Input<Reading, Reading>> => {
      if (what === "idle") return [{ side, input: { _tag: "Idle" } }]
      if (what === "time") return [{ side, input: { _tag: "Time", time: base - 2 } }]
      const one = { side, input: { _tag: "Event", event: { key, at, n } } } as const
      return what === "twice" ? [one, one] : [one]
    })
  const ends = (["left", "right"] as const).map((side) => ({
    side,
    input: { _tag: "Time", time: Number.POSITIVE_INFINITY } as const
  }))

  it.each(["inner", "left", "right", "full"] as const)("to joins: %s", (kind) => {
    const side = { timestamp, keyBy, lateness: 3 }
    const join = Join.make({ kind, left: side, right: side, within: { before: 5, after: 9 } })
    let told = 0
    FastCheck.assert(
      FastCheck.property(steps, (steps) => {
        told += rests(Join.machine(join), [...sourced(steps), ...ends], Join.SnapshotOf(Reading, Reading))
      }),
      { numRuns: 15, seed: 96 }
    )
    assert.isAbove(told, 20)
  })

  it("to the time of several sources", () => {
    const Instant = Schema.Union(Schema.Number, Schema.Literal("-Infinity", "Infinity")).pipe(
      Schema.transform(Schema.Number, {
        strict: true,
        decode: Number,
        encode: (time) => Number.isFinite(time) ? time : time < 0 ? "-Infinity" as const : "Infinity" as const
      })
    )
    const State: Schema.Schema<Watermark.State, any> = Schema.Struct({
      sources: Schema.Array(Schema.Tuple(Schema.String, Instant, Schema.Boolean)),
      watermark: Instant
    })
    let told = 0
    FastCheck.assert(
      FastCheck.property(steps, (steps) => {
        const inputs = [...sourced(steps), ...ends].map(({ input, side }): Watermark.Sourced<Reading> => ({
          source: side,
          input
        }))
        told += rests(Watermark.merge(["left", "right"], { timestamp, lateness: 3 }), inputs, State)
      }),
      { numRuns: 25, seed: 97 }
    )
    assert.isAbove(told, 100)
  })
})
