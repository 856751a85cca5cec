import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { createHash } from "node:crypto"
import * as Matcher from "../../cep/Matcher.ts"
import type { Raw } from "../../event/Envelope.ts"
import * as EventCodec from "../../event/EventCodec.ts"
import * as Compile from "./compile.ts"
import * as Element from "./element.ts"
import * as History from "./ruleHistory.ts"
import { unrecorded } from "../unrecorded.ts"

/** An event that rules look at: as it was recorded, or as somebody has it at hand. */
export type Fact =
  | { readonly _tag: "Raw"; readonly raw: Raw }
  | { readonly _tag: "Known"; readonly id: string; readonly event: { readonly _tag: string } }

/** One event of a match, as it is sent. */
export interface Sent {
  readonly step: string
  readonly id: string
  readonly type: string
  readonly schemaVersion: number
  readonly payload: unknown
}

/** A match that a rule has found. */
export interface Detected {
  readonly id: string
  readonly rule: string
  readonly key: string
  readonly time: number
  readonly events: ReadonlyArray<Sent>
}

/** What is told of a rule beside its matches. */
export type Told = Exclude<Matcher.Output<unknown, unknown>, { readonly _tag: "Matches" }> | EventCodec.DecodeError

export interface Definition {
  readonly name: string
  readonly matcher: Matcher.Matcher<any, any>
  /** Where it is of the last events: the matcher is that of a key. */
  readonly history: History.History<any> | undefined
  readonly codec: EventCodec.EventCodec<any>
  /** The names that its events are stored under. */
  readonly types: ReadonlyArray<string>
  /** The most matches of one moment that are told; more are counted. */
  readonly maxMatches: number
}

type Session =
  & Pick<Matcher.Session<any, any>, "push" | "advance" | "partialMatches" | "stats">
  & { readonly snapshot: () => unknown }

/** A rule at work. */
interface Working {
  readonly definition: Definition
  readonly session: Session
  readonly counts: Counts
  paused: boolean
}

export interface Stats extends Matcher.Stats {
  /** Matches that were told. */
  readonly detected: number
  /** Matches beyond the most of one moment. */
  readonly cut: number
  readonly undecodable: number
}

interface Counts {
  detected: number
  cut: number
  undecodable: number
}

const Counted: Schema.Schema<{ readonly counted?: Counts | undefined }> = Schema.Struct({
  counted: Schema.optional(
    Schema.mutable(Schema.Struct({ detected: Schema.Number, cut: Schema.Number, undecodable: Schema.Number }))
  )
})

export interface Snapshot {
  readonly [rule: string]: unknown
}

/** Rules by name, and which of them an event is for. Plain synchronous code: what it costs depends on those it is for alone. */
export class RuleSet {
  readonly #rules = new Map<string, Working>()
  /** Lists, which are made anew: they are read for each event, and rules come and go seldom. */
  readonly #byType = new Map<string, ReadonlyArray<Working>>()
  readonly #told: (rule: string, told: Told) => void
  /** The ids of the events that rules have at hand. One for all of them: each of its own, they cost the collector much. */
  readonly #ids = new WeakMap<object, string>()

  constructor(told: (rule: string, told: Told) => void) {
    this.#told = told
  }

  get names(): ReadonlyArray<string> {
    return [...this.#rules.keys()]
  }

  /** Takes the place of one of the same name. Says whether it goes on from a snapshot: one of another pattern is of no use. */
  add(definition: Definition, from?: unknown): boolean {
    this.remove(definition.name)
    const session = from === undefined ? undefined : restored(definition, this.#ids, from)
    const rule: Working = {
      definition,
      session: session ?? opened(definition),
      counts: { detected: 0, cut: 0, undecodable: 0, ...session && countsOf(from) },
      paused: false
    }
    this.#rules.set(definition.name, rule)
    for (const type of definition.types) {
      const rules = this.#byType.get(type) ?? []
      if (!rules.includes(rule)) this.#byType.set(type, [...rules, rule])
    }
    return session !== undefined
  }

  remove(name: string): boolean {
    const rule = this.#rules.get(name)
    if (rule === undefined) return false
    this.#rules.delete(name)
    for (const type of rule.definition.types) {
      const rules = (this.#byType.get(type) ?? []).filter((other) => other !== rule)
      if (rules.length === 0) this.#byType.delete(type)
      else this.#byType.set(type, rules)
    }
    return true
  }

  /** `undefined` where there is none of the name. */
  isPaused(name: string): boolean | undefined {
    return this.#rules.get(name)?.paused
  }

  pause(name: string, paused: boolean): boolean {
    const rule = this.#rules.get(name)
    if (rule !== undefined) rule.paused = paused
    return rule !== undefined
  }

  /** What is found is added to a list. */
  push(fact: Fact, all: Array<Detected>): void {
    const rules = this.#byType.get(fact._tag === "Raw" ? fact.raw.type : fact.event._tag)
    if (rules === undefined) return
    for (const rule of rules) {
      if (rule.paused) continue
      let event: object
      if (fact._tag === "Known") event = fact.event
      else {
        const decoded = rule.definition.codec.decode(fact.raw)
        if (Either.isLeft(decoded)) {
          rule.counts.undecodable++
          this.#told(rule.definition.name, decoded.left)
          continue
        }
        event = decoded.right.payload
      }
      this.#ids.set(event, fact._tag === "Raw" ? fact.raw.id : fact.id)
      this.#collect(rule, rule.session.push([event]), all)
    }
  }

  advance(time: number): ReadonlyArray<Detected> {
    const all: Array<Detected> = []
    for (const rule of this.#rules.values()) if (!rule.paused) this.#collect(rule, rule.session.advance(time), all)
    return all
  }

  stats(name: string): Stats | undefined {
    const rule = this.#rules.get(name)
    return rule && { ...rule.session.stats(), ...rule.counts }
  }

  partialMatches(name: string): ReadonlyArray<Matcher.PartialMatch<any>> {
    return this.#rules.get(name)?.session.partialMatches() ?? []
  }

  /** How many events a match may take at the least, for those who look at partial ones. */
  steps(name: string): number {
    const rule = this.#rules.get(name)
    return rule === undefined ? 0 : Element.stepsOf(rule.definition.matcher.pattern.definition.elements).length
  }

  snapshot(): Snapshot {
    return Object.fromEntries(
      Array.from(this.#rules, ([name, { counts, definition, session }]) => [
        name,
        { ...Schema.encodeSync(snapshotOf(definition, this.#ids))(session.snapshot() as Kept), counted: { ...counts } }
      ])
    )
  }

  /** Those that are here go on from a snapshot. Answers those that it does not know, or knows otherwise: they begin anew. */
  restore(from: Snapshot): ReadonlyArray<string> {
    return [...this.#rules.values()].flatMap(({ definition, paused }) => {
      const { name } = definition
      const known = this.add(definition, from[name])
      this.pause(name, paused)
      return known ? [] : [name]
    })
  }

  #collect(rule: Working, outputs: ReadonlyArray<Matcher.Output<any, any>>, all: Array<Detected>): void {
    const { counts, definition } = rule
    for (const output of outputs) {
      if (output._tag !== "Matches") {
        this.#told(definition.name, output)
        continue
      }
      let left = definition.maxMatches
      for (const { events } of output.matches) {
        if (left-- === 0) break
        const sent = events.map(({ event, step }): Sent => ({ step, ...sentOf(definition, this.#ids, event) }))
        const id = createHash("sha256").update(JSON.stringify([
          definition.name,
          definition.matcher.fingerprint,
          output.key,
          sent.map(({ id, step }) => [step, id])
        ])).digest("hex")
        counts.detected++
        all.push({ id, rule: definition.name, key: output.key, time: output.time, events: sent })
      }
      counts.cut += Math.max(0, output.matches.count - definition.maxMatches)
    }
  }
}

const sentOf = ({ codec, name }: Definition, ids: WeakMap<object, string>, event: object): Omit<Sent, "step"> => {
  const encoded = EventCodec.encode(codec, event)
  // It has been decoded by the same codec, or was made by its Schema.
  if (Either.isLeft(encoded)) {
    throw new TypeError(`rule "${name}" was given an event that it cannot encode`, { cause: encoded.left })
  }
  const { payload, schemaVersion, type } = encoded.right
  return { id: ids.get(event) ?? "", type, schemaVersion, payload }
}

/** Reads an event that was sent or kept, brought up to the present version. */
export const eventOf = (
  { codec }: Pick<Definition, "codec">,
  event: Omit<Sent, "step">
): Either.Either<object, EventCodec.DecodeError> =>
  Either.map(codec.decode(unrecorded(event)), (recorded) => recorded.payload as object)

/** Events of a rule as they are kept, their ids with them. */
const eventsOf = (definition: Definition, ids: WeakMap<object, string>): Schema.Schema<object, any> =>
  Schema.transformOrFail(
    Schema.Struct({ id: Schema.String, type: Schema.String, schemaVersion: Schema.Number, payload: Schema.Unknown }),
    Schema.Object,
    {
      strict: true,
      decode: (kept, _options, ast) =>
        Either.mapBoth(eventOf(definition, kept), {
          onLeft: (error) => new ParseResult.Type(ast, kept, error.message),
          onRight: (event) => {
            ids.set(event, kept.id)
            return event
          }
        }),
      encode: (event) => ParseResult.succeed(sentOf(definition, ids, event))
    }
  )

type Kept = { readonly fingerprint: string }

const countsOf = (from: unknown): Counts | undefined =>
  Option.getOrUndefined(Schema.decodeUnknownOption(Counted)(from))?.counted

const snapshotOf = (definition: Definition, ids: WeakMap<object, string>): Schema.Schema<Kept, any> =>
  (definition.history === undefined ? Matcher.SnapshotOf : History.SnapshotOf)(eventsOf(definition, ids)) as any

const opened = ({ history, matcher }: Definition, kept?: Kept): Session =>
  history === undefined
    ? Matcher.open(matcher, kept as Matcher.Snapshot | undefined)
    : History.open(history, kept as History.Snapshot | undefined)

const restored = (definition: Definition, ids: WeakMap<object, string>, from: unknown): Session | undefined => {
  const kept = Schema.decodeUnknownEither(snapshotOf(definition, ids))(from)
  return Either.isRight(kept) && kept.right.fingerprint === definition.matcher.fingerprint
    ? opened(definition, kept.right)
    : undefined
}

/** What the events of a match bind, step by step. */
export const bind = (
  definition: Pick<Definition, "codec" | "matcher">,
  events: ReadonlyArray<Sent>
): Either.Either<unknown, EventCodec.DecodeError> => {
  const taken: Array<{ readonly step: string; readonly event: unknown }> = []
  for (const sent of events) {
    const event = eventOf(definition, sent)
    if (Either.isLeft(event)) return Either.left(event.left)
    taken.push({ step: sent.step, event: event.right })
  }
  return Either.right(Element.bind(Compile.compile(definition.matcher.pattern.definition).shapes, taken))
}
