import { describe, expect, it } from "@effect/vitest"
import * as Matcher from "effect-skald/cep/Matcher"
import * as Matches from "effect-skald/cep/Matches"
import * as Pattern from "effect-skald/cep/Pattern"
import * as PatternText from "effect-skald/cep/PatternText"
import * as Event from "effect-skald/event/Event"
import { Chunk, Effect, Either, FastCheck, Schema, Stream } from "effect"

const A = Event.make("A", { at: Schema.Number })
const B = Event.make("B", { at: Schema.Number })
type Letter = typeof A.Type | typeof B.Type

const pairs = Pattern.begin("a", A).pipe(Pattern.followedByAny("b", B), Pattern.within("10 seconds"))
const timestamp = (event: Letter) => event.at

describe("a pattern over a stream", () => {
  it.effect("tells what a session tells, however the stream is cut into chunks", () =>
    Effect.promise(() =>
      FastCheck.assert(
        FastCheck.asyncProperty(
          FastCheck.array(FastCheck.tuple(FastCheck.boolean(), FastCheck.integer({ min: 0, max: 5_000 })), {
            maxLength: 30
          }),
          FastCheck.integer({ min: 1, max: 7 }),
          async (steps, size) => {
            let at = 0
            const events = steps.map(([first, later]) => (first ? A : B)({ at: at += later }))
            const session = Matcher.open(Matcher.make(pairs, { timestamp }))
            const expected = [...session.push(events), ...session.advance(Number.POSITIVE_INFINITY)]
              .flatMap((output) => output._tag === "Matches" ? Array.from(output.matches, ({ match }) => match) : [])
            const actual = await Effect.runPromise(
              Stream.fromIterable(events).pipe(
                Stream.rechunk(size),
                Matches.of(pairs, { timestamp }),
                Stream.runCollect
              )
            )
            expect(Chunk.toReadonlyArray(actual)).toEqual(expected)
          }
        ),
        { numRuns: 200 }
      )
    ))

  it.effect("tells at its end what only waited for time", () =>
    Effect.gen(function*() {
      const alone = Pattern.begin("a", A).pipe(Pattern.notFollowedBy(B), Pattern.within("10 seconds"))
      const found = yield* Stream.make(A({ at: 0 })).pipe(Matches.of(alone, { timestamp }), Stream.runCollect)
      expect(Chunk.toReadonlyArray(found)).toEqual([{ a: A({ at: 0 }) }])
    }))

  it.effect("fails with what there was no room for", () =>
    Effect.gen(function*() {
      const error = yield* Stream.make(A({ at: 0 }), A({ at: 1 }), B({ at: 2 })).pipe(
        Matches.of(pairs, { timestamp, maxPartialMatches: 1 }),
        Stream.runDrain,
        Effect.flip
      )
      expect(error).toMatchObject({ _tag: "MatcherFailed", reason: "overflow", key: "" })
      expect(error.message).toContain("no room")
    }))

  it.effect("leaves what came late to outputs", () =>
    Effect.gen(function*() {
      const events = [A({ at: 20_000 }), A({ at: 0 }), B({ at: 20_001 })]
      const found = yield* Stream.fromIterable(events).pipe(Matches.of(pairs, { timestamp }), Stream.runCount)
      const all = yield* Stream.fromIterable(events).pipe(
        Matches.outputs(Matcher.make(pairs, { timestamp })),
        Stream.runCollect
      )
      expect(found).toBe(1)
      expect(Array.from(all, ({ _tag }) => _tag)).toEqual(["Late", "Matches"])
    }))
})

describe("the event types that a pattern names", () => {
  const a = Pattern.begin("a", A)

  it("are told, each once", () => {
    expect(pairs.events).toEqual([A, B])
    expect(a.pipe(Pattern.followedBy("again", A), Pattern.notFollowedBy(B), Pattern.within("1 second")).events)
      .toEqual([A, B])
    expect(Pattern.or(a, Pattern.begin("b", B)).events).toEqual([A, B])
    expect(Pattern.and([a, Pattern.begin("b", B)]).events).toEqual([A, B])
    expect(Pattern.begin("b", B).pipe(Pattern.followedByPattern(a), Pattern.group({ optional: true })).events)
      .toEqual([B, A])
    expect(Either.getOrThrow(PatternText.parse("A -> B", { events: [A, B] })).events).toEqual([A, B])
  })

  it("are not told where any event is named, or where it is data", () => {
    expect(a.pipe(Pattern.next("any", Pattern.anyEvent)).events).toBeUndefined()
    expect(Either.getOrThrow(PatternText.parse("A -> B")).events).toBeUndefined()
    expect(Either.getOrThrow(Pattern.fromDefinition(pairs.definition)).events).toBeUndefined()
  })
})
