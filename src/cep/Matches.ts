/**
 * Patterns over streams: what goes in are events, what comes out are matches.
 *
 * @since 0.1.0
 */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Matcher from "./Matcher.ts"
import type { Pattern } from "./Pattern.ts"

/**
 * A matcher could not go on: there was no room for another partial match and the policy was `fail`, or a skip strategy had
 * nowhere to go.
 *
 * @since 0.1.0
 * @category errors
 */
export class MatcherFailed
  extends Schema.TaggedError<MatcherFailed>("effect-skald/cep/MatcherFailed")("MatcherFailed", {
    reason: Schema.Literal("skip", "overflow"),
    key: Schema.String,
    /** How many events were in hand: of the partial match there was no room for, or of the match to be skipped after. */
    events: Schema.Number
  })
{
  override get message(): string {
    return this.reason === "overflow"
      ? `there is no room for another partial match of key ${JSON.stringify(this.key)}`
      : `there is nowhere to skip to after a match of key ${JSON.stringify(this.key)}`
  }
}

/**
 * The matches of a pattern, each as what it binds, in the documented order. When the stream ends, so does time: what waited only
 * for that is told.
 *
 * Events that come too late, and partial matches that run out or are dropped, are not told; {@link outputs} tells them.
 *
 * @example
 * ```ts
 * import * as Matches from "effect-skald/cep/Matches"
 * import * as Pattern from "effect-skald/cep/Pattern"
 * import * as Event from "effect-skald/event/Event"
 * import { Schema, Stream } from "effect"
 *
 * const Asked = Event.make("Asked", { question: Schema.String, at: Schema.Number })
 * const Answered = Event.make("Answered", { question: Schema.String, at: Schema.Number })
 * const forgotten = Pattern.begin("asked", Asked).pipe(Pattern.notFollowedBy(Answered), Pattern.within("1 hour"))
 *
 * const questions = Stream.make(Asked({ question: "why?", at: 0 })).pipe(
 *   Matches.of(forgotten, { timestamp: (event) => event.at, keyBy: (event) => event.question, lateness: "5 seconds" }),
 *   Stream.map(({ asked }) => asked.question)
 * )
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const of =
  <B, Ev>(pattern: Pattern<B, Ev>, options?: Matcher.Options<NoInfer<Ev>>) =>
  <E, R>(events: Stream.Stream<Ev, E, R>): Stream.Stream<B, E | MatcherFailed, R> =>
    Stream.unwrap(Effect.sync(() =>
      outputs(Matcher.make(pattern, options))(events).pipe(
        Stream.mapConcatEffect((output) => {
          switch (output._tag) {
            case "Matches":
              return Effect.succeed(bindings(output.matches))
            case "Failed":
              return new MatcherFailed({ reason: output.reason, key: output.key, events: output.events.length })
            default:
              return Effect.succeed([])
          }
        })
      )
    ))

/**
 * All that a matcher answers to a stream of events: matches by key and moment, and also what came late, ran out or had no room.
 * When the stream ends, so does time.
 *
 * @since 0.1.0
 * @category combinators
 */
export const outputs =
  <B, Ev>(matcher: Matcher.Matcher<B, Ev>) =>
  <E, R>(events: Stream.Stream<Ev, E, R>): Stream.Stream<Matcher.Output<B, Ev>, E, R> =>
    Stream.suspend(() => {
      const session = Matcher.open(matcher)
      const end = Stream.suspend(() => Stream.fromIterable(session.advance(Number.POSITIVE_INFINITY)))
      return Stream.concat(
        Stream.mapChunks(events, (chunk) => Chunk.fromIterable(session.push(chunk))),
        end
      )
    })

/** What is bound, match by match: a set may hold many more than anyone will ever ask for. */
function* bindings<B, Ev>(matches: Matcher.MatchSet<B, Ev>): Generator<B> {
  for (const { match } of matches) yield match
}
