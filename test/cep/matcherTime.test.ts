import { assert, describe, it } from "@effect/vitest"
import { Chunk, Effect, FastCheck, Fiber, Stream, TestClock } from "effect"
import * as Matcher from "effect-skald/cep/Matcher"
import * as Watermark from "effect-skald/cep/Watermark"
import * as Machine from "effect-skald/event/Machine"
import { A, type Any, B, C, pattern, timestamp } from "../support/letters.ts"

const lines = (outputs: Iterable<Matcher.Output<any, any>>): ReadonlyArray<string> =>
  Array.from(outputs).flatMap((output) => {
    if (output._tag === "Late") return [`late ${output.event.at}`]
    if (output._tag !== "Matches") return [output._tag]
    return Array.from(
      output.matches,
      ({ events }) =>
        `${output.time}: ${events.map(({ event }) => `${event._tag ?? event.event._tag}${event.at}`).join(" ")}`
    )
  })

/** What stands behind a watermark of its own is put in order by it: the matcher waits for as long as any source may be behind. */
const behind = (text: string) => Matcher.make(pattern(text), { timestamp, lateness: Number.MAX_SAFE_INTEGER })

describe("Matcher: time of several sources", () => {
  const merged = (strategy: { readonly lateness: number }) =>
    Machine.compose(
      Watermark.merge<Any>(["n", "s"], { timestamp, ...strategy }),
      Matcher.machine(behind("A -> B -> C within 20 ms"))
    )
  const event = (source: string, event: Any) => ({ source, input: { _tag: "Event" as const, event } })
  const idle = (source: string) => ({ source, input: { _tag: "Idle" as const } })
  const run = (inputs: ReadonlyArray<Watermark.Sourced<Any>>) => {
    const machine = merged({ lateness: 0 })
    return lines(Machine.run(machine, machine.initial, inputs)[1])
  }

  it("the source that is furthest behind holds a match back, until it has come so far", () => {
    const inputs = [
      event("n", A({ at: 1 })),
      event("n", C({ at: 5 })),
      event("n", C({ at: 9 })),
      event("s", B({ at: 3 }))
    ]
    assert.deepStrictEqual(run(inputs), [])
    // at 5 there may be another event; at 6 there is none
    assert.deepStrictEqual(run([...inputs, event("s", C({ at: 6 }))]), ["5: A1 B3 C5"])
  })

  it("or is idle; what it says then that others are past is late", () => {
    const inputs = [
      event("n", A({ at: 1 })),
      event("n", B({ at: 2 })),
      event("n", C({ at: 5 })),
      event("n", A({ at: 9 }))
    ]
    assert.deepStrictEqual(run(inputs), [])
    assert.deepStrictEqual(run([...inputs, idle("s")]), ["5: A1 B2 C5"])
    assert.deepStrictEqual(run([...inputs, idle("s"), event("s", B({ at: 4 })), event("s", A({ at: 9 }))]), [
      "5: A1 B2 C5",
      "late 4"
    ])
  })

  it("however two sources are cut and mixed, the matches are those of all their events in order", () => {
    const source = FastCheck.array(
      FastCheck.record({ make: FastCheck.constantFrom(A, B, C), wait: FastCheck.integer({ min: 1, max: 6 }) }),
      { maxLength: 12 }
    )
    let found = 0
    FastCheck.assert(
      FastCheck.property(
        source,
        source,
        FastCheck.array(FastCheck.boolean(), { maxLength: 24 }),
        (north, south, turns) => {
          // even times in the north and odd ones in the south, so that the order is one
          const queue = (all: typeof north, first: number) => {
            let at = first
            return all.map(({ make, wait }) => make({ at: at += 2 * wait }))
          }
          const sources = { n: queue(north, 0), s: queue(south, 1) }
          const all = [...sources.n, ...sources.s].sort((left, right) => left.at - right.at)
          const inputs: Array<Watermark.Sourced<Any>> = []
          for (const turn of [...turns, ...all.map(() => true), ...all.map(() => false)]) {
            const name = turn ? "n" : "s"
            const next = sources[name].shift()
            if (next !== undefined) inputs.push(event(name, next))
          }
          const end = { _tag: "Time", time: Number.POSITIVE_INFINITY } as const
          const actual = run([...inputs, { source: "n", input: end }, { source: "s", input: end }])
          const session = Matcher.open(Matcher.make(pattern("A -> B -> C within 20 ms"), { timestamp }))
          const expected = lines(session.push(all))
          found += expected.length
          assert.deepStrictEqual(actual, expected)
        }
      ),
      { numRuns: 200, seed: 91 }
    )
    assert.isAbove(found, 50)
  })
})

describe("Matcher: processing time", () => {
  it.effect("what has not come in time is told as the clock goes on, with no event needed", () =>
    Effect.gen(function*() {
      const stamped = Matcher.machine(
        Matcher.make<any, any>(pattern("A -> !B within 60 s"), { timestamp: ({ at }) => at })
      )
      const told = yield* Stream.concat(Stream.make(A({ at: 7 })), Stream.never).pipe(
        Watermark.processing("10 seconds"),
        // the pattern asks the event itself, when it is asks the clock
        Stream.map((input) =>
          input._tag === "Event"
            ? { _tag: "Event" as const, event: { ...input.event.event, at: input.event.at } }
            : input
        ),
        Machine.toStream(stamped),
        Stream.take(1),
        Stream.runCollect,
        Effect.fork
      )
      yield* TestClock.adjust("60 seconds")
      assert.strictEqual((yield* Fiber.poll(told))._tag, "None")
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(lines(Chunk.toReadonlyArray(yield* Fiber.join(told))), ["60000: A0"])
    }))
})

describe("Matcher: lateness", () => {
  it("just so late is in time, and later is told and counted, and changes nothing", () => {
    const session = Matcher.open(Matcher.make(pattern("A -> B"), { timestamp, lateness: 5 }))
    session.push([A({ at: 3 }), C({ at: 20 })])
    assert.deepStrictEqual(lines(session.push([B({ at: 15 }), B({ at: 14 })])), ["15: A3 B15", "late 14"])
    assert.deepStrictEqual(session.push([A({ at: 15 })]), [])
    assert.deepStrictEqual(session.advance(15), [])
    assert.deepStrictEqual(lines(session.push([B({ at: 15 }), B({ at: 16 })])), ["late 15"])
    assert.deepStrictEqual(lines(session.advance(16)), ["16: A15 B16"])
    assert.deepInclude(session.stats(), { late: 2, events: 7, matches: 2 })
  })

  it("an event whose time is no finite number is late, and time does not end with it", () => {
    const times = [Number.NaN, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]
    for (const lateness of [0, 5, Number.POSITIVE_INFINITY]) {
      for (const tier of [undefined, "runs"] as const) {
        const matcher = Matcher.make(pattern("A -> B within 10 ms"), { timestamp, lateness, tier })
        const session = Matcher.open(matcher)
        const late = times.map((time) => `late ${time}`)
        assert.deepStrictEqual(lines(session.push(times.map((at) => A({ at })))), late)
        assert.deepStrictEqual(lines(session.push([A({ at: 1 }), B({ at: Infinity }), B({ at: 3 })])).slice(0, 1), [
          "late Infinity"
        ])
        session.advance(9)
        assert.deepInclude(session.stats(), { events: 6, late: 4, matches: 1 })
      }
    }
  })

  it("without time, events are taken as they come, and the same event twice is two events", () => {
    const session = Matcher.open(Matcher.make(pattern("A -> A")))
    const twice = A({ at: 1 })
    assert.deepStrictEqual(lines(session.push([twice, twice])), ["0: A1 A1"])
    assert.strictEqual(session.stats().events, 2)
  })
})
