import * as Duration from "effect/Duration"
import { pipeArguments } from "effect/Pipeable"
import * as AST from "effect/SchemaAST"
import type { InvalidPattern, Pattern } from "../../cep/Pattern.ts"
import type * as Event from "../../event/Event.ts"
import * as Check from "./check.ts"
import type * as Element from "./element.ts"
import { describe, stepsOf } from "./element.ts"
import { tagsOfType } from "../event/eventTypes.ts"

/** How patterns are made of elements, and what is refused then. */

export const TypeId = Symbol.for("effect-skald/cep/Pattern")

/** Makes the typed refusal; given by the public module, whose class it is. */
export type Refuse = (fault: Check.Fault) => InvalidPattern

export interface GivenTimes {
  readonly min: number
  readonly max?: number | undefined
  readonly within?: Duration.DurationInput | undefined
}

export interface GivenStep {
  readonly where?: Element.Where | ReadonlyArray<Element.Where> | undefined
  readonly join?: { readonly [field: string]: string | undefined } | undefined
  readonly times?: GivenTimes | undefined
  readonly optional?: true | undefined
  readonly within?: Duration.DurationInput | undefined
  readonly consecutive?: true | undefined
  readonly allowCombinations?: true | undefined
  readonly greedy?: true | undefined
  readonly maximal?: true | undefined
  readonly until?: Element.Where | ReadonlyArray<Element.Where> | undefined
}

export interface GivenGroup {
  readonly times?: GivenTimes | undefined
  readonly optional?: true | undefined
  readonly consecutive?: true | undefined
  readonly allowCombinations?: true | undefined
}

export type Any = { readonly definition: Element.Definition; readonly events: Events }

/** The types that a pattern names; undefined where it is of any event, or is data that does not say. */
export type Events = ReadonlyArray<Event.Any> | undefined

const both = (one: Events, other: Events): Events => one && other && [...new Set([...one, ...other])]

const prototype = {
  [TypeId]: { _B: (_: never) => _, _Ev: (_: never) => _ },
  pipe() {
    return pipeArguments(this, arguments)
  }
}

export const fromDefinition = (refuse: Refuse, definition: Element.Definition, events: Events): Pattern<any, any> => {
  const fault = Check.fault(definition, true)
  if (fault !== undefined) throw refuse(fault)
  return Object.assign(Object.create(prototype), { definition, events })
}

/** A pattern of one element, made of parts. */
export const ofElement = (refuse: Refuse, element: Element.Element, parts: ReadonlyArray<Any>): Pattern<any, any> =>
  fromDefinition(
    refuse,
    { elements: [element], skip: { _tag: "none" } },
    parts.map(({ events }) => events).reduce(both)
  )

const list = (
  where: Element.Where | ReadonlyArray<Element.Where> | undefined
): ReadonlyArray<Element.Where> => where === undefined ? [] : Array.isArray(where) ? where : [where as Element.Where]

const millis = (duration: Duration.DurationInput | undefined): number | undefined =>
  duration === undefined ? undefined : Duration.toMillis(duration)

const timesOf = (times: GivenTimes | undefined): Element.Times | undefined =>
  times && { min: times.min, max: times.max, gap: millis(times.within) }

const known = {
  step: [
    "where",
    "join",
    "times",
    "optional",
    "within",
    "consecutive",
    "allowCombinations",
    "greedy",
    "maximal",
    "until"
  ],
  group: ["times", "optional", "consecutive", "allowCombinations"],
  times: ["min", "max", "within"]
}

/** Refuses what nothing would come of: a word that is not known is a mistake, or asks for what there is not. */
const onlyKnown = (refuse: Refuse, step: string, what: keyof typeof known, options: object | undefined): void => {
  for (const [option, value] of Object.entries(options ?? {})) {
    if (value === undefined || known[what].includes(option)) continue
    throw refuse({
      step,
      reason: "option",
      problem: `has no \`${option}\`${what === "times" ? " in its `times`" : ""}: a ${what} takes ${
        known[what].map((one) => `\`${one}\``).join(", ")
      }`
    })
  }
}

const innerOf = (
  refuse: Refuse,
  step: string,
  options: { readonly consecutive?: true | undefined; readonly allowCombinations?: true | undefined }
): Element.Contiguity => {
  if (options.consecutive === true && options.allowCombinations === true) {
    throw refuse({ step, reason: "greedyCombinations", problem: "is consecutive and allows combinations" })
  }
  return options.consecutive === true ? "next" : options.allowCombinations === true ? "followedByAny" : "followedBy"
}

const members = (ast: AST.AST): ReadonlyArray<string> =>
  AST.isUnion(ast) ? ast.types.flatMap(members) : tagsOfType(ast) ?? []

/** The tags of event types. */
export const tagsOfEvents = (events: ReadonlyArray<Event.Any>): ReadonlySet<string> =>
  new Set(events.flatMap((event) => members(event.ast)))

/** The tags of an event type; none of one that is any event's. */
const tagsOf = (refuse: Refuse, step: string, event: Event.Any): ReadonlyArray<string> => {
  const tags = members(event.ast)
  if (tags.length > 0) return [...new Set(tags)]
  if (anyTag(event.ast)) return []
  throw refuse({ step, reason: "event", problem: "must name a Schema of values with a literal `_tag`" })
}

/** The event type itself, where it says which events it is of. */
export const named = (event: Event.Any): Events => members(event.ast).length > 0 ? [event] : undefined

const anyTag = (ast: AST.AST): boolean =>
  AST.getPropertySignatures(AST.typeAST(ast)).some(({ name, type }) => name === "_tag" && AST.isStringKeyword(type))

export const step = (
  refuse: Refuse,
  contiguity: Element.Contiguity,
  name: string,
  event: Event.Any,
  options: GivenStep = {}
): Element.Step => {
  onlyKnown(refuse, name, "step", options)
  onlyKnown(refuse, name, "times", options.times)
  const loops = options.times !== undefined
  if (!loops && (options.consecutive === true || options.allowCombinations === true)) {
    throw refuse({ step: name, reason: "count", problem: "says how a loop goes on, without `times`" })
  }
  const joins = Object.entries(options.join ?? {}).flatMap(([field, step]) =>
    step === undefined ? [] : [{ _tag: "Joined" as const, field, step }]
  )
  return {
    _tag: "Step",
    name,
    contiguity,
    tags: tagsOf(refuse, name, event),
    where: [...joins, ...list(options.where)],
    times: timesOf(options.times),
    inner: innerOf(refuse, name, options),
    optional: options.optional === true,
    greedy: options.greedy === true,
    maximal: options.maximal === true,
    until: list(options.until),
    gap: millis(options.within)
  }
}

export const negation = (
  refuse: Refuse,
  contiguity: Element.Negation["contiguity"],
  event: Event.Any,
  { join, where: given, ...others }: GivenStep = {}
): Element.Negation => {
  const { tags, where } = step(refuse, "next", `${contiguity} of an event`, event, { join, where: given })
  const negation: Element.Negation = { _tag: "Negation", contiguity, tags, where }
  const [other] = Object.entries(others).filter(([, value]) => value !== undefined)
  if (other === undefined) return negation
  throw refuse({
    step: describe(negation),
    reason: "count",
    problem: `is a negation: it asks \`where\` and \`join\`, and has no \`${other[0]}\``
  })
}

/** The elements of a pattern that becomes a part of another. */
export const partOf = (refuse: Refuse, part: Any): ReadonlyArray<Element.Element> => {
  const { elements, skip, within } = part.definition
  if (within === undefined && skip._tag === "none") return elements
  const step = elements[0]?._tag === "Step" ? elements[0].name : "a part"
  throw refuse({
    step,
    reason: "nested",
    problem: "begins a part with `within` or a skip strategy; the whole has them"
  })
}

export const group = (refuse: Refuse, part: Any, options: GivenGroup): Element.Group => {
  const name = `group of ${names(part).join(", ")}`
  onlyKnown(refuse, name, "group", options)
  onlyKnown(refuse, name, "times", options.times)
  const loops = options.times !== undefined
  if (!loops && (options.consecutive === true || options.allowCombinations === true)) {
    throw refuse({ step: name, reason: "count", problem: "says how a loop goes on, without `times`" })
  }
  return {
    _tag: "Group",
    contiguity: "followedBy",
    elements: partOf(refuse, part),
    times: timesOf(options.times),
    inner: innerOf(refuse, name, options),
    optional: options.optional === true
  }
}

/** A part as one element that follows what is before it. */
const single = (contiguity: Element.Contiguity, elements: ReadonlyArray<Element.Element>): Element.Element => {
  const [first] = elements
  return first !== undefined && elements.length === 1 && first._tag !== "Negation"
    ? { ...first, contiguity }
    : { _tag: "Group", contiguity, elements, inner: "followedBy", optional: false }
}

export const append = (refuse: Refuse, self: Any, element: Element.Element, events: Events): Pattern<any, any> =>
  fromDefinition(
    refuse,
    { ...self.definition, elements: [...self.definition.elements, element] },
    both(self.events, events)
  )

export const appendPart = (
  refuse: Refuse,
  self: Any,
  contiguity: Element.Contiguity,
  part: Any
): Pattern<any, any> => append(refuse, self, single(contiguity, partOf(refuse, part)), part.events)

export const names = (self: Any): ReadonlyArray<string> => stepsOf(self.definition.elements).map(({ name }) => name)
