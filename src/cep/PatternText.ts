/**
 * Patterns in a line of text.
 *
 * ```text
 * pattern    = sequence [ "within" number unit ]
 * sequence   = part { arrow part }
 * arrow      = "->" (relaxed)  |  "=>" (strict)  |  "~>" (any)
 * part       = "!" event                               a negation; "-> !A": none until the next step, "=> !A": not next
 *            | all { "|" all }                         alternatives
 * all        = atom { "&" atom }                       all of them, in any order
 * atom       = ( [ name ":" ] event | "(" sequence ")" ) [ quantifier ]
 * event      = tag | "\"" any characters "\"" | "*"    `*` is any event; in quotes, `\"` is a quote and `\\` a backslash
 * quantifier = "?" | "+" | "*" | "{" m "}" | "{" m "," [ n ] "}" | "{" "," n "}"
 * unit       = ms | s | minutes | hours | days | weeks (seconds, min, h, d and singulars, too)
 * ```
 *
 * `&` binds tighter than `|`, and both tighter than arrows. A step is named by its tag, or as the text says (`first:A`);
 * the second step of a tag `A` is `A2`, that of any event `any`. Spaces mean nothing. Parentheses stand in each other a hundred
 * deep at most.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import type * as Event from "../event/Event.ts"
import * as internal from "../internal/cep/text.ts"
import { tagsOfEvents } from "../internal/cep/pattern.ts"
import * as Pattern from "./Pattern.ts"

/**
 * A text is no pattern: where, as an index into the text, and what was expected there. The message shows the line, and counts
 * characters as a reader does, from 1.
 *
 * @since 0.1.0
 * @category errors
 */
export class PatternSyntaxError
  extends Schema.TaggedError<PatternSyntaxError>("effect-skald/cep/PatternSyntaxError")("PatternSyntaxError", {
    text: Schema.String,
    position: Schema.Number,
    expected: Schema.String
  })
{
  override get message(): string {
    const line = this.text.replace(/\s/g, " ")
    // a character beyond the first plane has two places in the text
    const before = Array.from(line.slice(0, this.position)).length
    return `expected ${this.expected} at character ${before + 1}\n${line}\n${" ".repeat(before)}^`
  }
}

/**
 * What a pattern from a text binds: the event, or the events, of each step that has taken any.
 *
 * @since 0.1.0
 * @category models
 */
export interface Bound<Ev> {
  readonly [step: string]: Ev | ReadonlyArray<Ev> | undefined
}

/**
 * Reads a pattern.
 *
 * With `events`, only their tags are known, and the pattern is one over them. What is well written and no legal pattern all
 * the same is an `InvalidPattern`, which names the step.
 *
 * @example
 * ```ts
 * import * as PatternText from "effect-skald/cep/PatternText"
 * import { Either } from "effect"
 *
 * const shipped = PatternText.parse("created:OrderCreated -> OrderPaid & OrderPacked -> OrderShipped within 3 days")
 *
 * Either.mapLeft(PatternText.parse("A -> -> B"), (error) => error.message)
 * // expected an event, *, or ( at character 6
 * // A -> -> B
 * //      ^
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const parse: {
  (
    text: string
  ): Either.Either<
    Pattern.Pattern<Bound<{ readonly _tag: string }>, { readonly _tag: string }>,
    PatternSyntaxError | Pattern.InvalidPattern
  >
  <const Es extends ReadonlyArray<Event.Any>>(
    text: string,
    options: { readonly events: Es }
  ): Either.Either<
    Pattern.Pattern<Bound<Es[number]["Type"]>, Es[number]["Type"]>,
    PatternSyntaxError | Pattern.InvalidPattern
  >
} = (
  text: string,
  options?: { readonly events: ReadonlyArray<Event.Any> }
): Either.Either<Pattern.Pattern<any, any>, PatternSyntaxError | Pattern.InvalidPattern> => {
  const tags = options && tagsOfEvents(options.events)
  return Either.try({
    try: () => internal.parse(text, tags),
    catch: (error) => {
      if (error instanceof internal.Unexpected) {
        return new PatternSyntaxError({ text, position: error.at, expected: error.expected })
      }
      throw error
    }
  }).pipe(
    Either.flatMap((definition) => Pattern.fromDefinition(definition, options?.events)),
    Either.flatMap(Pattern.check)
  )
}
