/**
 * Patterns over made-up events, and what a Java peer is told of them. An event is of one of six types, with a key, a value and a
 * time that grows by the same each: nothing is left to chance but what a seed decides.
 */
import * as Matcher from "effect-skald/cep/Matcher"
import * as Pattern from "effect-skald/cep/Pattern"
import * as Event from "effect-skald/event/Event"
import { Schema } from "effect"

const fields = { key: Schema.String, value: Schema.Number, at: Schema.Number }
export const A = Event.make("A", fields)
export const B = Event.make("B", fields)
export const C = Event.make("C", fields)
export const D = Event.make("D", fields)
export const N = Event.make("N", fields)

/** As an event that was decoded: a plain object. */
export interface Ev {
  readonly _tag: string
  readonly key: string
  readonly value: number
  readonly at: number
}

/** How many of a thousand are of each type. */
export interface Mix {
  readonly a?: number
  readonly b?: number
  readonly c?: number
  readonly d?: number
  readonly n?: number
  readonly keys?: number
  /** Of time from one event to the next, by default 1. */
  readonly step?: number
}

const tags = ["A", "B", "C", "D", "N", "X"]

/** Type, key, value and time of each event, as the file of the peers has them. */
export const numbers = (size: number, { a = 0, b = 0, c = 0, d = 0, keys = 1, n = 0, step = 1 }: Mix): Int32Array => {
  const limits = [a, a + b, a + b + c, a + b + c + d, a + b + c + d + n]
  let state = 20_261_121
  const draw = (below: number): number => {
    // xorshift of 32 bits
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
  const all = new Int32Array(size * 4)
  for (let at = 0; at < size; at++) {
    const drawn = draw(1_000)
    const type = limits.findIndex((limit) => drawn < limit)
    all.set([type === -1 ? 5 : type, draw(keys), draw(1_000), at * step], at * 4)
  }
  return all
}

export const chunk = 1_024

/** The same, decoded, in chunks. */
export const chunks = (all: Int32Array): ReadonlyArray<ReadonlyArray<Ev>> => {
  const lists: Array<Array<Ev>> = []
  const keys = new Map<number, string>()
  for (let at = 0; at < all.length; at += 4) {
    if ((at / 4) % chunk === 0) lists.push([])
    const key = keys.get(all[at + 1]!) ?? `k${all[at + 1]}`
    keys.set(all[at + 1]!, key)
    lists.at(-1)!.push({ _tag: tags[all[at]!]!, key, value: all[at + 2]!, at: all[at + 3]! })
  }
  return lists
}

export interface Form {
  /** As the peers know it. */
  readonly form: string
  readonly window: number
  readonly pattern: Pattern.Pattern<any, any>
  readonly keyed: boolean
  readonly mix: Mix
  readonly events: number
  /** What it is compared on before, so that it is known to find the same even where the case finds nothing or does not end. */
  readonly check: { readonly mix: Mix; readonly events: number }
  /** Whether ours only counts its matches; else it makes each of them, as the peers do. */
  readonly counted?: boolean | undefined
}

const window = (millis: number) => Pattern.within(millis)

/** `A;B;C;D`, skip till any match, where no D comes. */
export const any = (millis: number): Form => ({
  form: "any",
  window: millis,
  pattern: Pattern.begin("a", A).pipe(
    Pattern.followedByAny("b", B),
    Pattern.followedByAny("c", C),
    Pattern.followedByAny("d", D),
    window(millis)
  ),
  keyed: false,
  mix: { a: 333, b: 333, c: 334 },
  events: 500_000,
  // about forty events to a window: each of them is passed on the way, and a peer can still write down all matches
  check: { mix: { a: 250, b: 250, c: 250, d: 250, step: Math.floor(millis / 40) }, events: 120 }
})

/** The same, where a D comes now and then. */
export const anyEnded: Form = {
  ...any(100),
  mix: { a: 333, b: 333, c: 333, d: 1 },
  events: 100_000
}
export const sequence = (millis: number) =>
  Pattern.begin("a", A).pipe(Pattern.followedBy("b", B), Pattern.followedBy("c", C), window(millis))
export const relaxed: Form = {
  form: "relaxed",
  window: 2_000,
  pattern: sequence(2_000),
  keyed: true,
  mix: { a: 100, b: 100, c: 100, keys: 100 },
  events: 500_000,
  check: { mix: { a: 100, b: 100, c: 100, keys: 100 }, events: 5_000 }
}
export const sparse: Form = {
  form: "relaxed",
  window: 20_000,
  pattern: sequence(20_000),
  keyed: true,
  mix: { a: 4, b: 3, c: 3, keys: 10 },
  events: 2_000_000,
  check: { mix: { a: 4, b: 3, c: 3, keys: 10 }, events: 50_000 }
}
export const strict: Form = {
  form: "strict",
  window: 0,
  pattern: Pattern.begin("a", A).pipe(Pattern.next("b", B), Pattern.next("c", C)),
  keyed: false,
  mix: { a: 250, b: 250, c: 250 },
  events: 1_000_000,
  check: { mix: { a: 250, b: 250, c: 250 }, events: 5_000 }
}
export const loop: Form = {
  form: "loop",
  window: 0,
  pattern: Pattern.begin("a", A).pipe(
    Pattern.next("b", B, { times: { min: 2 }, consecutive: true }),
    Pattern.next("c", C)
  ),
  keyed: false,
  mix: { a: 150, b: 500, c: 150 },
  events: 1_000_000,
  check: { mix: { a: 150, b: 500, c: 150 }, events: 5_000 }
}
export const negation: Form = {
  form: "negation",
  window: 2_000,
  pattern: Pattern.begin("a", A).pipe(Pattern.notFollowedBy(N), Pattern.followedBy("b", B), window(2_000)),
  keyed: true,
  mix: { a: 100, b: 100, n: 100, keys: 100 },
  events: 500_000,
  check: { mix: { a: 100, b: 100, n: 100, keys: 100 }, events: 5_000 }
}
export const correlated: Form = {
  form: "correlated",
  window: 2_000,
  pattern: Pattern.begin("a", A).pipe(
    Pattern.followedBy("b", B, { where: (b, { a }) => b.value > a.value }),
    Pattern.followedBy("c", C, { where: (c, { b }) => c.value > b.value }),
    window(2_000)
  ),
  keyed: true,
  mix: { a: 100, b: 100, c: 100, keys: 100 },
  events: 500_000,
  check: { mix: { a: 100, b: 100, c: 100, keys: 100 }, events: 5_000 }
}

export const matcherOf = ({ keyed, pattern }: Form): Matcher.Matcher<any, any> =>
  Matcher.make(pattern, {
    timestamp: (event: Ev) => event.at,
    ...(keyed ? { keyBy: (event: Ev) => event.key } : {})
  })

/**
 * The session of the pass before, as in a service one is open all the time: what was compiled goes when the last object of its kind is
 * collected, and each pass would have it compiled anew.
 */
const lasting = new WeakMap<object, unknown>()

/** One pass of a fresh matcher: how many matches. Each is made, unless they are only to be counted. */
export const pass = (
  matcher: Matcher.Matcher<any, any>,
  lists: ReadonlyArray<ReadonlyArray<Ev>>,
  counted = false
): number => {
  const session = Matcher.open(matcher)
  let matches = 0
  for (const list of lists) {
    for (const output of session.push(list)) {
      if (output._tag !== "Matches") throw new Error(`the matcher said ${output._tag}`)
      if (counted) {
        matches += output.matches.count
        continue
      }
      let made = 0
      for (const _ of output.matches) made++
      if (made !== output.matches.count) throw new Error(`${made} matches were made of ${output.matches.count}`)
      matches += made
    }
  }
  lasting.set(matcher, session)
  return matches
}
