import { assert, describe, it } from "@effect/vitest"
import { Chunk, Duration, Effect, FastCheck, Fiber, Schema, Stream, TestClock } from "effect"
import * as Aggregation from "effect-skald/cep/Aggregation"
import * as Watermark from "effect-skald/cep/Watermark"
import * as Window from "effect-skald/cep/Window"
import * as Machine from "effect-skald/event/Machine"
import * as MachineLaws from "effect-skald/testing/MachineLaws"
import * as Reference from "./windowReference.ts"

type Reading = Reference.Reading
const Reading: Schema.Schema<Reading> = Schema.Struct({
  id: Schema.Number,
  key: Schema.UndefinedOr(Schema.String),
  at: Schema.Number,
  n: Schema.Number
})

const ids = Aggregation.map(
  Aggregation.collect(Reading),
  (readings) => readings.map(({ id }) => id).sort((a, b) => a - b)
)

/** The same, and what windows share of it is kept merged. */
const lists = Aggregation.make<Reading, ReadonlyArray<number>, ReadonlyArray<number>>({
  empty: () => [],
  add: (ids, { id }) => [...ids, id],
  merge: (left, right) => [...left, ...right],
  result: (ids) => [...ids].sort((a, b) => a - b),
  state: Schema.Array(Schema.Number)
})

/** The same, and what leaves a window is taken out of it. */
const taken = Aggregation.make({
  ...lists,
  unmerge: (left, right) => {
    const rest = [...left]
    for (const id of right) {
      const at = rest.indexOf(id)
      assert.isAtLeast(at, 0)
      rest.splice(at, 1)
    }
    return rest
  }
})

const windowOf = <S>(
  settings: Reference.Settings,
  aggregate: Aggregation.Aggregation<Reading, S, ReadonlyArray<number>>
) =>
  Window.make({
    shape: settings.shape,
    aggregate,
    // fractions are cut off, also before 1970
    timestamp: ({ at, id }: Reading) => at + (id % 4) / 4,
    keyBy: ({ key }: Reading) => key,
    lateness: settings.lateness,
    allowedLateness: settings.allowed,
    emission: settings.emission
  })

const shown = (outputs: ReadonlyArray<Window.Output<ReadonlyArray<number>, Reading>>): ReadonlyArray<Reference.Told> =>
  outputs.map((output): Reference.Told =>
    output._tag === "Late" || output._tag === "Untimed"
      ? ["Late", output.event.id]
      : [output._tag, output.key, output.start, output.end, output.value, output.count, output.update]
  )

/** Of what is told at one moment, windows that end together are in an order of their own. */
const inOrder = (told: ReadonlyArray<Reference.Told>): ReadonlyArray<string> =>
  told.map((one) => JSON.stringify(one)).sort()
const endsOf = (told: ReadonlyArray<Reference.Told>): ReadonlyArray<number> =>
  told.flatMap((one) => one[0] === "Result" ? [one[3]] : [])

const shapes = FastCheck.oneof(
  FastCheck.record({ every: FastCheck.integer({ min: 1, max: 12 }), more: FastCheck.nat(20), offset: FastCheck.nat(9) })
    .map(({ every, more, offset }): Window.Shape => ({ _tag: "Sliding", size: every + more, every, offset })),
  FastCheck.integer({ min: 1, max: 12 }).map((gap): Window.Shape => ({ _tag: "Session", gap })),
  FastCheck.record({ every: FastCheck.integer({ min: 1, max: 5 }), more: FastCheck.nat(6) }).map((
    { every, more }
  ): Window.Shape => ({ _tag: "Count", size: every + more, every }))
)
const settings: FastCheck.Arbitrary<Reference.Settings> = FastCheck.record({
  shape: shapes,
  lateness: FastCheck.constantFrom(0, 3, 15),
  allowed: FastCheck.constantFrom(0, 5, 40),
  emission: FastCheck.constantFrom<Window.Emission>("accumulating", "discarding", "retracting")
})

/** Out of order and twice, with instants between, before 1970 and after. */
const inputs: FastCheck.Arbitrary<ReadonlyArray<Watermark.Input<Reading>>> = FastCheck.tuple(
  FastCheck.constantFrom(100, -70, -1_000_003, 1_000_000_000_000),
  FastCheck.array(
    FastCheck.oneof(
      {
        weight: 9,
        arbitrary: FastCheck.record({
          key: FastCheck.constantFrom("a", "b", undefined),
          step: FastCheck.integer({ min: -20, max: 8 }),
          n: FastCheck.nat(9),
          twice: FastCheck.boolean()
        })
      },
      { weight: 1, arbitrary: FastCheck.record({ time: FastCheck.integer({ min: 1, max: 30 }) }) }
    ),
    { maxLength: 60 }
  )
).map(([began, steps]) => {
  let base = began
  let id = 0
  return steps.flatMap((step): ReadonlyArray<Watermark.Input<Reading>> => {
    if ("time" in step) return [{ _tag: "Time", time: base + step.time - 20 }]
    base = Math.max(base, base + step.step)
    const event = { key: step.key, at: base + Math.min(0, step.step), n: step.n }
    const input = (): Watermark.Input<Reading> => ({ _tag: "Event", event: { id: id++, ...event } })
    return step.twice ? [input(), input()] : [input()]
  })
})

describe("Window: as the obvious way does it", () => {
  it("each input tells the same, whatever the shape, lateness and emission", () => {
    FastCheck.assert(
      FastCheck.property(settings, inputs, FastCheck.constantFrom(ids, lists, taken), (settings, inputs, aggregate) => {
        const reference = Reference.make(settings)
        const session = Window.open(windowOf<any>(settings, aggregate))
        for (const input of [...inputs, { _tag: "Time" as const, time: Number.POSITIVE_INFINITY }]) {
          const actual = shown(input._tag === "Event" ? session.push([input.event]) : session.advance(input.time))
          const expected = input._tag === "Event" ? reference.event(input.event) : reference.time(input.time)
          assert.deepStrictEqual(inOrder(actual), inOrder(expected), JSON.stringify(input))
          if (input._tag === "Time") assert.deepStrictEqual(endsOf(actual), [...endsOf(actual)].sort((a, b) => a - b))
          if (input._tag === "Event" && input.event.id % 5 > 0) continue
          const open = shown(session.windows().map((one) => ({ _tag: "Result", ...one })))
          assert.deepStrictEqual(inOrder(open), inOrder(reference.open()), `open after ${JSON.stringify(input)}`)
          assert.deepStrictEqual(endsOf(open), [...endsOf(open)].sort((a, b) => a - b))
        }
      }),
      { numRuns: 1_500, seed: 11 }
    )
  })

  it("every event is in as many windows as cover it, or late, and nothing is kept at the end of time", () => {
    FastCheck.assert(
      FastCheck.property(shapes, inputs, FastCheck.constantFrom(lists, taken), (shape, inputs, aggregate) => {
        FastCheck.pre(shape._tag === "Sliding")
        const settings = { shape, lateness: 1_000, allowed: 0, emission: "accumulating" } as const
        const session = Window.open(windowOf(settings, aggregate))
        const events = inputs.flatMap((input) => input._tag === "Event" ? [input.event] : [])
        const told = [...shown(session.push(events)), ...shown(session.advance(Number.POSITIVE_INFINITY))]
        const times = new Map<number, number>()
        for (const one of told) {
          if (one[0] !== "Result") assert.fail(`told ${JSON.stringify(one)}`)
          for (const id of one[4]) times.set(id, (times.get(id) ?? 0) + 1)
        }
        for (const { at, id, key } of events) {
          let covering = 0
          for (let start = at - shape.size + 1; start <= at; start++) {
            if ((((start - shape.offset) % shape.every) + shape.every) % shape.every === 0) covering++
          }
          assert.strictEqual(times.get(id) ?? 0, key === undefined ? 0 : covering)
        }
        assert.deepStrictEqual(session.snapshot().kept, [])
        assert.deepStrictEqual(session.windows(), [])
      }),
      { numRuns: 500, seed: 12 }
    )
  })
})

describe("Window: a machine", () => {
  /** Fractions, whose sum says in its last bits what was added to what. */
  const fractions = Aggregation.make<Reading, number, ReadonlyArray<number>>({
    empty: () => 0,
    add: (sum, { id }) => sum + 1 / (id + 3),
    merge: (left, right) => left + right,
    result: (sum) => [sum],
    state: Schema.Number
  })

  for (
    const [shape, aggregate] of [
      [Window.sliding(20, 6, { offset: 1 }), fractions],
      [Window.sliding(20, 6, { offset: 1 }), taken],
      [Window.tumbling(10), fractions],
      [Window.session(7), fractions],
      [Window.count(7, { every: 1 }), fractions]
    ] as const
  ) {
    const exact = aggregate.unmerge === undefined ? "" : ", where what leaves is taken out"
    it.effect(`chunks and snapshots make no difference: ${JSON.stringify(shape)}${exact}`, () => {
      const window = windowOf<any>({ shape, lateness: 4, allowed: 12, emission: "retracting" }, aggregate)
      const schema = Window.SnapshotOf(window)
      return MachineLaws.check({
        machine: Window.machine(window),
        inputs,
        stateEquals: (left, right) => JSON.stringify(left) === JSON.stringify(right),
        snapshot: (state) =>
          Schema.decodeUnknownSync(schema)(JSON.parse(JSON.stringify(Schema.encodeSync(schema)(state))))
      }, { numRuns: 60, seed: 13 })
    })
  }
})

describe("Window: over a stream", () => {
  it("is told what a session and a machine tell, however the stream is cut into chunks", () =>
    FastCheck.assert(
      FastCheck.asyncProperty(
        settings,
        inputs,
        FastCheck.integer({ min: 1, max: 9 }),
        async (settings, inputs, size) => {
          const window = windowOf<any>(settings, lists)
          const events = inputs.flatMap((input) => input._tag === "Event" ? [input.event] : [])
          const session = Window.open(window)
          const expected = [...session.push(events), ...session.advance(Number.POSITIVE_INFINITY)]
          const streamed = await Effect.runPromise(
            Stream.fromIterable(events).pipe(Stream.rechunk(size), Window.over(window), Stream.runCollect)
          )
          assert.deepStrictEqual(Chunk.toReadonlyArray(streamed), expected)
          const machine = Window.machine(window)
          const timed: ReadonlyArray<Watermark.Input<Reading>> = [
            ...events.map((event) => ({ _tag: "Event" as const, event })),
            { _tag: "Time", time: Number.POSITIVE_INFINITY }
          ]
          assert.deepStrictEqual(Machine.run(machine, machine.initial, timed)[1], expected)
        }
      ),
      { numRuns: 150, seed: 15 }
    ))
})

describe("Window: what is taken back", () => {
  it("is what was told, to the last bit", () => {
    const window = Window.make({
      shape: Window.sliding(24, 2, { offset: 1 }),
      aggregate: Aggregation.sum(({ id }: Reading) => 1 / (id + 3)),
      timestamp: ({ at }: Reading) => at,
      keyBy: ({ key }: Reading) => key,
      allowedLateness: 30,
      emission: "retracting"
    })
    let taken = 0
    FastCheck.assert(
      FastCheck.property(inputs, (inputs) => {
        const session = Window.open(window)
        const told = new Map<string, number>()
        for (const input of inputs) {
          const outputs = input._tag === "Event" ? session.push([input.event]) : session.advance(input.time)
          for (const output of outputs) {
            if (output._tag !== "Result" && output._tag !== "Retraction") continue
            const place = `${output.key} ${output.end}`
            if (output._tag === "Result") told.set(place, output.value)
            else {
              taken++
              assert.strictEqual(output.value, told.get(place))
            }
          }
        }
      }),
      { numRuns: 300, seed: 14 }
    )
    assert.isAbove(taken, 1_000)
  })
})

describe("Window: by example", () => {
  const counts = (options: Partial<Window.Options<Reading, number, number>>) =>
    Window.open(Window.make({
      shape: Window.tumbling(10),
      aggregate: Aggregation.count,
      timestamp: ({ at }: Reading) => at,
      keyBy: ({ key }: Reading) => key,
      ...options
    }))
  const at = (at: number, key: string | undefined = "a", id = 0): Reading => ({ id, key, at, n: 1 })

  it("a window is told when time has come to its end, with no event needed", () => {
    const session = counts({})
    assert.deepStrictEqual(session.push([at(0), at(9)]), [])
    assert.deepStrictEqual(session.advance(8), [])
    assert.deepStrictEqual(session.windows(), [{ key: "a", start: 0, end: 10, count: 2, value: 2, update: false }])
    assert.deepStrictEqual(session.advance(9), [
      { _tag: "Result", key: "a", start: 0, end: 10, count: 2, value: 2, update: false }
    ])
  })

  it("what was told before is said to be", () => {
    const session = counts({ allowedLateness: 5 })
    session.push([at(3)])
    assert.deepInclude(session.push([at(12)])[0], { _tag: "Result", value: 1, update: false })
    assert.deepInclude(session.push([at(4)])[0], { _tag: "Result", value: 2, update: true })
    session.advance(14)
    assert.deepStrictEqual(session.push([at(5)]), [{ _tag: "Late", event: at(5) }])
  })

  it("events exactly the gap apart are of one session, and one between two joins them", () => {
    const session = counts({ shape: Window.session(10), lateness: 100 })
    session.push([at(0), at(10), at(25), at(45)])
    assert.deepStrictEqual(
      session.windows().map(({ count, end, start }) => [start, end, count]),
      [[0, 20, 2], [25, 35, 1], [45, 55, 1]]
    )
    session.push([at(35), at(18)])
    assert.deepStrictEqual(session.windows().map(({ count, end, start }) => [start, end, count]), [[0, 55, 6]])
  })

  it("windows of events count them by key, from 0", () => {
    const session = Window.open(Window.make({
      shape: Window.count(3, { every: 2 }),
      aggregate: Aggregation.sum(({ n }: Reading) => n),
      keyBy: ({ key }) => key
    }))
    const told = session.push([..."aabaaba"].map((key) => at(0, key)))
    assert.deepStrictEqual(
      told.map((output) => output._tag === "Result" ? [output.key, output.start, output.end] : output._tag),
      [["a", 0, 3], ["a", 2, 5]]
    )
  })

  it("events of no key, and of no time, are counted", () => {
    const session = counts({})
    assert.deepStrictEqual(session.push([at(1, "none"), at(Number.NaN)]).map(({ _tag }) => _tag), ["Untimed"])
    Window.open(Window.make({ shape: Window.tumbling(10), aggregate: Aggregation.count, timestamp: () => 0 }))
    const unkeyed = counts({ keyBy: () => undefined })
    unkeyed.push([at(1)])
    assert.deepInclude(session.stats(), { events: 2, untimed: 1 })
    assert.deepInclude(unkeyed.stats(), { events: 1, unkeyed: 1 })
  })

  it("events of a time that is no instant are told, and hold up nothing", () => {
    const times = [8.64e15 + 1, Number.MAX_SAFE_INTEGER, 1.7e18, -1e17, 1e300, -1e300, Infinity, -Infinity, Number.NaN]
    const furthest = [-8.64e15, 0, 8.64e15 - 0.5, 8.64e15]
    for (
      const shape of [Window.tumbling(10), Window.sliding(30, 7, { offset: 3 }), Window.session(5), Window.count(9)]
    ) {
      const session = counts({ shape, lateness: Duration.infinity })
      const told = session.push([...times, ...furthest].map((time) => at(time)))
      assert.deepStrictEqual(told.map(({ _tag }) => _tag), times.map(() => "Untimed"))
      session.advance(Number.POSITIVE_INFINITY)
      assert.deepInclude(session.stats(), { events: times.length + furthest.length, untimed: times.length, late: 0 })
      if (shape._tag !== "Count") assert.deepStrictEqual(session.windows(), [])
    }
  })

  it("windows that overlap a hundred times keep one pane for each step between them", () => {
    const session = counts({ shape: Window.sliding(100, 1), keyBy: () => "a" })
    session.push(Array.from({ length: 2_000 }, (_, time) => at(time)))
    const [[key, , panes]] = session.snapshot().kept as [[string, boolean, ReadonlyArray<unknown>]]
    assert.strictEqual(key, "a")
    assert.isAtMost(panes.length, 101)
  })

  it("lengths that are none are refused, all at once", () => {
    assert.throws(
      () =>
        Window.make({
          shape: { _tag: "Sliding", size: 0, every: 0.5, offset: 0 },
          aggregate: Aggregation.count,
          allowedLateness: "1.5 millis"
        }),
      [
        "shape.size: must be a whole number, 1 or more, got 0",
        "shape.every: must be a whole number, 1 or more, got 0.5",
        "shape.every: must not be above the size 0: events between two windows would be lost",
        "timestamp: is needed by windows of time",
        "allowedLateness: must be whole milliseconds, got 1.5"
      ].join("\n")
    )
  })

  it.effect("a stream's end is the end of time", () =>
    Effect.gen(function*() {
      const window = Window.make({
        shape: Window.tumbling(10),
        aggregate: Aggregation.count,
        timestamp: ({ at }: Reading) => at
      })
      const told = yield* Stream.make(at(1), at(2), at(11)).pipe(Window.over(window), Stream.runCollect)
      assert.deepStrictEqual(Chunk.toReadonlyArray(told).map((output) => output._tag === "Result" ? output.value : 0), [
        2,
        1
      ])
    }))
})

describe("Watermark", () => {
  const run = (inputs: ReadonlyArray<Watermark.Sourced<{ readonly at: number }>>) => {
    const merged = Watermark.merge<{ readonly at: number }>(["n", "s"], { timestamp: ({ at }) => at, lateness: 2 })
    return Machine.run(merged, merged.initial, inputs)[1].flatMap((input) => input._tag === "Time" ? [input.time] : [])
  }
  const event = (source: string, at: number) => ({ source, input: { _tag: "Event" as const, event: { at } } })
  const idle = (source: string) => ({ source, input: { _tag: "Idle" as const } })
  const ended = (source: string) => ({ source, input: { _tag: "Time" as const, time: Number.POSITIVE_INFINITY } })

  it("the source that is furthest behind decides, and time never goes back", () => {
    assert.deepStrictEqual(run([event("n", 10), event("s", 5), event("s", 4), event("s", 20), event("n", 11)]), [
      2,
      7,
      8
    ])
  })

  it("idle sources are not waited for, until they say something", () => {
    assert.deepStrictEqual(run([event("n", 10), idle("s"), event("n", 20), event("s", 15), event("n", 30)]), [7, 17])
  })

  it("a time that is no instant changes nothing", () => {
    assert.deepStrictEqual(run([event("n", 10), event("s", 1e18), event("n", Number.NaN), event("s", 7)]), [4])
  })

  it("while all are idle time stands still; it ends when all have ended", () => {
    assert.deepStrictEqual(run([event("n", 10), event("s", 9), idle("n"), idle("s")]), [6])
    assert.deepStrictEqual(run([ended("n"), event("s", 5), idle("s"), ended("s")]), [2, Number.POSITIVE_INFINITY])
  })

  it("a source that nobody named is an error of the program", () => {
    assert.throws(() => run([event("x", 1)]), `"x" is none of the sources n, s`)
  })

  it.effect("a stream from which nothing comes holds the others back until it is idle", () =>
    Effect.gen(function*() {
      const merged = Watermark.mergeStreams({
        n: Stream.concat(Stream.make({ at: 10 }), Stream.never),
        s: Stream.never as Stream.Stream<{ readonly at: number }>
      }, { timestamp: ({ at }) => at, lateness: 0, idleAfter: "1 minute" })
      const first = yield* merged.pipe(
        Stream.filter(({ _tag }) => _tag === "Time"),
        Stream.runHead,
        Effect.fork
      )
      yield* TestClock.adjust("59 seconds")
      assert.isNull(yield* Fiber.poll(first).pipe(Effect.map((exit) => exit._tag === "None" ? null : exit.value)))
      yield* TestClock.adjust("1 second")
      const exit = yield* Fiber.join(first)
      assert.deepStrictEqual(exit._tag === "Some" ? exit.value : undefined, { _tag: "Time", time: 9 })
    }))

  it.effect("in processing time windows end as the clock goes on", () =>
    Effect.gen(function*() {
      const window = Window.make({
        shape: Window.tumbling("1 minute"),
        aggregate: Aggregation.count,
        timestamp: ({ at }: Watermark.Stamped<string>) => at,
        lateness: Duration.infinity
      })
      const told = yield* Stream.concat(Stream.make("x", "y"), Stream.never).pipe(
        Watermark.processing("10 seconds"),
        Machine.toStream(Window.machine(window)),
        Stream.runHead,
        Effect.fork
      )
      yield* TestClock.adjust("61 seconds")
      const head = yield* Fiber.join(told)
      assert.deepInclude(head._tag === "Some" ? head.value : {}, { start: 0, end: 60_000, value: 2 })
    }))
})
