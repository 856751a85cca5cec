import { assert, describe, it } from "@effect/vitest"
import { Chunk, Effect, FastCheck, Fiber, Schema, Stream, TestClock } from "effect"
import * as Join from "effect-skald/cep/Join"
import * as MachineLaws from "effect-skald/testing/MachineLaws"

interface Row {
  readonly id: number
  readonly key: string | undefined
  readonly at: number
}
const Row: Schema.Schema<Row> = Schema.Struct({
  id: Schema.Number,
  key: Schema.UndefinedOr(Schema.String),
  at: Schema.Number
})
type Input = Join.Input<Row, Row>

const sideOf = (lateness: number): Join.Side<Row> => ({ timestamp: ({ at }) => at, keyBy: ({ key }) => key, lateness })
const joinOf = <K extends Join.Kind>(kind: K, before: number, after: number, lateness = 0) =>
  Join.make({ kind, left: sideOf(lateness), right: sideOf(lateness), within: { before, after } })

const event = (side: "left" | "right", row: Row): Input => ({ side, input: { _tag: "Event", event: row } })
const time = (side: "left" | "right", time: number): Input => ({ side, input: { _tag: "Time", time } })
const ends: ReadonlyArray<Input> = [
  time("left", Number.POSITIVE_INFINITY),
  time("right", Number.POSITIVE_INFINITY)
]

const shown = (outputs: ReadonlyArray<Join.Output<Row, Row, Join.Kind>>): ReadonlyArray<string> =>
  outputs.map((output) => {
    switch (output._tag) {
      case "Pair":
        return `${output.left.id}-${output.right.id}`
      case "LeftOnly":
        return `${output.event.id}-`
      case "RightOnly":
        return `-${output.event.id}`
      default:
        return `${output._tag} ${output.event.id}`
    }
  })

/** Everything is kept, and looked through each time. */
const reference = (kind: Join.Kind, before: number, after: number, lateness: number) => {
  const rows: Array<{ readonly side: "left" | "right"; readonly row: Row; matched: boolean; told: boolean }> = []
  const sides = { left: { time: -Infinity, idle: false }, right: { time: -Infinity, idle: false } }
  let watermark = -Infinity
  return ({ input, side }: Input): ReadonlyArray<string> => {
    const told: Array<string> = []
    if (input._tag === "Event") {
      const row = input.event
      if (row.at <= watermark) told.push(`Late ${row.id}`)
      else {
        const own = { side, row, matched: false, told: false }
        for (const other of rows) {
          if (other.side === side || row.key === undefined || other.row.key !== row.key) continue
          const [left, right] = side === "left" ? [row, other.row] : [other.row, row]
          if (right.at < left.at - before || right.at > left.at + after) continue
          own.matched = other.matched = true
          told.push(`${left.id}-${right.id}`)
        }
        rows.push(own)
      }
    }
    const of = sides[side]
    of.idle = input._tag === "Idle"
    if (input._tag !== "Idle") {
      of.time = Math.max(of.time, input._tag === "Event" ? input.event.at - lateness - 1 : input.time)
    }
    const waited = [sides.left, sides.right].filter(({ idle, time }) => !idle && time < Number.POSITIVE_INFINITY)
    const over = [sides.left, sides.right].every(({ time }) => time === Number.POSITIVE_INFINITY)
    if (waited.length > 0) watermark = Math.max(watermark, Math.min(...waited.map(({ time }) => time)))
    else if (over) watermark = Number.POSITIVE_INFINITY
    for (const one of rows) {
      if (one.told || one.row.at + (one.side === "left" ? after : before) > watermark) continue
      one.told = true
      if (one.matched || (kind !== "full" && kind !== one.side)) continue
      told.push(one.side === "left" ? `${one.row.id}-` : `-${one.row.id}`)
    }
    return told
  }
}

const inputs: FastCheck.Arbitrary<ReadonlyArray<Input>> = FastCheck.array(
  FastCheck.record({
    side: FastCheck.constantFrom<"left" | "right">("left", "right"),
    what: FastCheck.constantFrom("event", "event", "event", "event", "twice", "time", "idle"),
    key: FastCheck.constantFrom("a", "a", "b", undefined),
    step: FastCheck.integer({ min: -15, max: 6 })
  }),
  { maxLength: 60 }
).map((steps) => {
  let base = 100
  let id = 0
  return steps.flatMap(({ key, side, step, what }): ReadonlyArray<Input> => {
    if (what === "idle") return [{ side, input: { _tag: "Idle" } }]
    if (what === "time") return [time(side, base + step)]
    base = Math.max(base, base + step)
    const row = () => event(side, { id: id++, key, at: base + Math.min(0, step) })
    return what === "twice" ? [row(), row()] : [row()]
  })
})
const kinds = FastCheck.constantFrom<Join.Kind>("inner", "left", "right", "full")
const bounds = FastCheck.nat(12)

describe("Join: as the obvious way does it", () => {
  it("each input tells the same, whatever the kind, bound and lateness", () => {
    FastCheck.assert(
      FastCheck.property(kinds, bounds, bounds, FastCheck.constantFrom(0, 4, 20), inputs, (
        kind,
        before,
        after,
        lateness,
        inputs
      ) => {
        const expected = reference(kind, before, after, lateness)
        const session = Join.open(joinOf(kind, before, after, lateness))
        for (const input of [...inputs, ...ends]) {
          assert.deepStrictEqual(
            [...shown(session.push([input]))].sort(),
            [...expected(input)].sort(),
            JSON.stringify(input)
          )
        }
        assert.strictEqual(session.stats().waiting, 0)
        assert.deepStrictEqual(session.snapshot().rows, [])
      }),
      { numRuns: 1_000, seed: 21 }
    )
  })

  it("each pair once, every unmatched row once, and nothing lost", () => {
    FastCheck.assert(
      FastCheck.property(bounds, inputs, (bound, inputs) => {
        const session = Join.open(joinOf("full", bound, bound, 1_000))
        const rows = inputs.flatMap(({ input, side }) => input._tag === "Event" ? [{ side, row: input.event }] : [])
        const told = shown(session.push([...rows.map(({ row, side }) => event(side, row)), ...ends]))
        assert.strictEqual(new Set(told).size, told.length)
        const [lefts, rights] = [
          rows.filter(({ side }) => side === "left"),
          rows.filter(({ side }) => side === "right")
        ]
        const pairs = lefts.flatMap(({ row: left }) =>
          rights.flatMap(({ row: right }) =>
            left.key !== undefined && left.key === right.key && Math.abs(left.at - right.at) <= bound
              ? [`${left.id}-${right.id}`]
              : []
          )
        )
        const has = (id: number) => pairs.some((pair) => pair.split("-").includes(String(id)))
        const alone = rows.flatMap(({ row, side }) =>
          has(row.id) ? [] : [side === "left" ? `${row.id}-` : `-${row.id}`]
        )
        assert.sameMembers([...told], [...pairs, ...alone])
      }),
      { numRuns: 500, seed: 22 }
    )
  })
})

describe("Join: a machine", () => {
  it.effect("chunks and snapshots make no difference", () => {
    const schema = Join.SnapshotOf(Row, Row)
    return MachineLaws.check({
      machine: Join.machine(joinOf("full", 5, 8, 3)),
      inputs,
      stateEquals: (left, right) => JSON.stringify(left) === JSON.stringify(right),
      snapshot: (state) =>
        Schema.decodeUnknownSync(schema)(JSON.parse(JSON.stringify(Schema.encodeSync(schema)(state))))
    }, { numRuns: 60, seed: 23 })
  })
})

describe("Join: over two streams", () => {
  it("is told what a session is, each pair and each unmatched row once, however they are cut and mixed", () =>
    FastCheck.assert(
      FastCheck.asyncProperty(
        kinds,
        bounds,
        bounds,
        inputs,
        FastCheck.integer({ min: 1, max: 9 }),
        async (kind, before, after, inputs, size) => {
          const join = joinOf(kind, before, after, 1_000)
          const rows = inputs.filter(({ input }) => input._tag === "Event")
          const expected = shown(Join.open(join).push([...rows, ...ends]))
          const of = (side: "left" | "right") =>
            Stream.fromIterable(
              rows.flatMap((row) => row.side === side && row.input._tag === "Event" ? [row.input.event] : [])
            ).pipe(Stream.rechunk(size))
          const told = await Effect.runPromise(Stream.runCollect(Join.streams(join, of("left"), of("right"))))
          assert.sameMembers([...shown(Chunk.toReadonlyArray(told))], [...expected])
          assert.strictEqual(told.length, expected.length)
        }
      ),
      { numRuns: 150, seed: 24 }
    ))

  it.effect("a side from which nothing comes is not waited for, once it is idle", () =>
    Effect.gen(function*() {
      const left = Stream.concat(
        Stream.make({ id: 1, key: "k", at: 0 }, { id: 2, key: "k", at: 1_000 }),
        Stream.never
      )
      const told = yield* Join.streams(joinOf("full", 5, 5), left, Stream.never as Stream.Stream<Row>, {
        idleAfter: "1 minute"
      }).pipe(Stream.runHead, Effect.fork)
      yield* TestClock.adjust("59 seconds")
      assert.strictEqual((yield* Fiber.poll(told))._tag, "None")
      yield* TestClock.adjust("1 second")
      const head = yield* Fiber.join(told)
      assert.deepStrictEqual(head._tag === "Some" ? shown([head.value]) : [], ["1-"])
    }))
})

describe("Join: by example", () => {
  const row = (id: number, at: number, key = "k"): Row => ({ id, key, at })

  it("28: 60 s apart within 120 s is a pair; unmatched rows come once, at close", () => {
    const session = Join.open(joinOf("full", 120_000, 120_000))
    assert.deepStrictEqual(shown(session.push([event("left", row(1, 0)), event("right", row(2, 60_000))])), ["1-2"])
    assert.deepStrictEqual(shown(session.push([event("left", row(3, 200_000)), event("right", row(4, 330_000))])), [])
    assert.deepStrictEqual(shown(session.push([event("left", row(5, 340_000))])), ["5-4", "3-"])
    assert.deepStrictEqual(shown(session.push(ends)), [])
  })

  it("the bound is inclusive at both ends", () => {
    const session = Join.open(joinOf("inner", 10, 20, 1_000))
    session.push([event("left", row(0, 100))])
    const told = session.push([89, 90, 120, 121].map((at) => event("right", row(at, at))))
    assert.deepStrictEqual(shown(told), ["0-90", "0-120"])
  })

  it("events of no key are told as unmatched where that is asked for, and counted", () => {
    const session = Join.open(joinOf("left", 5, 5))
    const alone = (id: number): Row => ({ id, key: undefined, at: 10 })
    const rows = [event("left", alone(1)), event("right", alone(2)), ...ends]
    assert.deepStrictEqual(shown(session.push(rows)), ["1-"])
    assert.deepInclude(session.stats(), { unkeyed: 2, unmatched: 1, pairs: 0 })
  })

  it("events of no time are told, and change nothing", () => {
    const session = Join.open(joinOf("full", 5, 5))
    const times = [Number.NaN, Number.POSITIVE_INFINITY, 1.7e18, Number.NEGATIVE_INFINITY]
    const rows = times.map((time, id) => event(id % 2 === 0 ? "left" : "right", row(id, time)))
    assert.deepStrictEqual(shown(session.push(rows)), times.map((_, id) => `Untimed ${id}`))
    const told = shown(session.push([event("left", row(8, 1)), event("right", row(9, 2)), ...ends]))
    assert.deepStrictEqual(told, ["8-9"])
    assert.deepInclude(session.stats(), { untimed: 4, pairs: 1, late: 0 })
  })

  it("a bound of no length is refused", () => {
    assert.throws(
      () => joinOf("inner", 0.5, Number.POSITIVE_INFINITY),
      [
        "within.before: must be whole milliseconds, 0 or more, got 0.5",
        "within.after: must be whole milliseconds, 0 or more, got Infinity"
      ].join("\n")
    )
  })

  it("ten thousand keys hold no more than what may still find a partner", () => {
    const session = Join.open(joinOf("inner", 100, 100))
    for (let at = 0; at < 10_000; at++) {
      session.push([event("left", row(at, at, `k${at}`)), event("right", row(at, at, `k${at}`))])
    }
    assert.isAtMost(session.stats().waiting, 204)
    assert.strictEqual(session.stats().pairs, 10_000)
  })

  it.effect("two streams, and what still waits when both have ended", () =>
    Effect.gen(function*() {
      const told = yield* Join.streams(
        joinOf("full", 5, 5),
        Stream.make(row(1, 0), row(2, 100)),
        Stream.make(row(3, 3), row(4, 50))
      ).pipe(Stream.runCollect)
      assert.sameMembers([...shown(Chunk.toReadonlyArray(told))], ["1-3", "2-", "-4"])
    }))
})
