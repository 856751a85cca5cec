import * as Condition from "./condition.ts"
import * as Element from "./element.ts"

/** What makes a pattern illegal. */

export const reasons = [
  "duplicateStep",
  "unknownStep",
  "name",
  "event",
  "count",
  "duration",
  "option",
  "untilWithoutLoop",
  "greedyWithoutLoop",
  "greedyCombinations",
  "maximal",
  "leadingNegation",
  "trailingNegation",
  "emptyPart",
  "parts",
  "nested",
  "gap",
  "skipsToStart"
] as const

export interface Fault {
  readonly step: string
  readonly reason: (typeof reasons)[number]
  readonly problem: string
}

/** So many parts of an `and` at most: it has a state for each set of parts that are still to come. */
export const maxParts = 8

/** The first fault of a pattern. Of a `part`, what only the whole can tell is not asked. */
export const fault = (definition: Element.Definition, part: boolean): Fault | undefined =>
  sequence(definition.elements, "the pattern", true) ?? names(definition) ??
    (part ? undefined : whole(definition))

const count = (times: Element.Times | undefined, step: string): Fault | undefined => {
  if (times === undefined) return undefined
  const { max, min } = times
  const wrong = !Number.isSafeInteger(min) || min < 0
    ? `at least ${min}`
    : max !== undefined && (!Number.isSafeInteger(max) || max < 1 || max < min)
    ? `{${min},${max}}`
    : undefined
  if (wrong !== undefined) return { step, reason: "count", problem: `cannot be taken ${wrong} times` }
  return duration(times.gap, step, "the gap between elements")
}

const duration = (millis: number | undefined, step: string, what: string): Fault | undefined =>
  millis === undefined || (millis > 0 && Number.isFinite(millis))
    ? undefined
    : { step, reason: "duration", problem: `${what} must be more than nothing, and finite` }

const sequence = (elements: ReadonlyArray<Element.Element>, where: string, top: boolean): Fault | undefined => {
  const [first] = elements
  if (first === undefined) return { step: where, reason: "emptyPart", problem: "has no step" }
  if (first._tag === "Negation") {
    return { step: Element.describe(first), reason: "leadingNegation", problem: "has no step before it" }
  }
  const last = elements.at(-1)
  if (!top && last?._tag === "Negation") {
    return {
      step: Element.describe(last),
      reason: "trailingNegation",
      problem: "ends a part of a pattern; only the whole may end with a negation"
    }
  }
  for (const [index, element] of elements.entries()) {
    const found = one(element, top && index === elements.length - 1)
    if (found !== undefined) return found
  }
  return undefined
}

const one = (element: Element.Element, trailing: boolean): Fault | undefined => {
  const name = Element.describe(element)
  switch (element._tag) {
    case "Negation":
      return undefined
    case "Step":
      return step(element, trailing)
    case "Group": {
      const found = count(element.times, name) ?? sequence(element.elements, name, false)
      if (found !== undefined) return found
      return element.elements.every(Element.skippable)
        ? { step: name, reason: "emptyPart", problem: "may take no event at all; make the group optional instead" }
        : undefined
    }
    default: {
      if (element.of.length < 2) return { step: name, reason: "parts", problem: "needs at least two parts" }
      if (element._tag === "And" && element.of.length > maxParts) {
        return { step: name, reason: "parts", problem: `has more than ${maxParts} parts` }
      }
      for (const part of element.of) {
        const found = sequence(part, name, false)
        if (found !== undefined) return found
        if (part.every(Element.skippable)) {
          return { step: name, reason: "emptyPart", problem: "has a part that may take no event at all" }
        }
      }
      return undefined
    }
  }
}

const step = (element: Element.Step, trailing: boolean): Fault | undefined => {
  const { name } = element
  if (name === "") return { step: name, reason: "name", problem: "must have a name" }
  if (name in Object.prototype) {
    return { step: name, reason: "name", problem: "is a name that objects keep for themselves" }
  }
  const found = count(element.times, name) ?? duration(element.gap, name, "within")
  if (found !== undefined) return found
  if (element.until.length > 0 && Element.most(element) !== Number.POSITIVE_INFINITY) {
    return { step: name, reason: "untilWithoutLoop", problem: "has `until` without a loop that has no upper bound" }
  }
  if (element.greedy && element.times === undefined) {
    return { step: name, reason: "greedyWithoutLoop", problem: "is greedy without a loop" }
  }
  if (element.greedy && element.inner === "followedByAny") {
    return { step: name, reason: "greedyCombinations", problem: "is greedy and allows combinations" }
  }
  if (element.maximal && !(element.greedy && trailing)) {
    return { step: name, reason: "maximal", problem: "is maximal, but no greedy loop at the end of the pattern" }
  }
  return undefined
}

const conditionsOf = (elements: ReadonlyArray<Element.Element>): ReadonlyArray<readonly [string, Element.Where]> =>
  elements.flatMap((element): ReadonlyArray<readonly [string, Element.Where]> => {
    switch (element._tag) {
      case "Negation":
        return element.where.map((where) => [Element.describe(element), where] as const)
      case "Step":
        return [...element.where, ...element.until].map((where) => [element.name, where] as const)
      case "Group":
        return conditionsOf(element.elements)
      default:
        return element.of.flatMap(conditionsOf)
    }
  })

const names = ({ elements }: Element.Definition): Fault | undefined => {
  const seen = new Set<string>()
  for (const { name } of Element.stepsOf(elements)) {
    if (seen.has(name)) return { step: name, reason: "duplicateStep", problem: "is the name of two steps" }
    seen.add(name)
  }
  return undefined
}

const whole = ({ elements, skip, within }: Element.Definition): Fault | undefined => {
  const steps = Element.stepsOf(elements)
  const known = new Set(steps.map(({ name }) => name))
  for (const [step, where] of conditionsOf(elements)) {
    if (typeof where === "function") continue
    const other = Condition.stepsIn(where).find((name) => !known.has(name))
    if (other !== undefined) {
      return { step, reason: "unknownStep", problem: `has a condition on step ${JSON.stringify(other)}, which is none` }
    }
  }
  const window = duration(within, "the pattern", "within")
  if (window !== undefined) return window
  const last = elements.at(-1)
  if (within === undefined) {
    const negation = trailing(elements).find(({ contiguity }) => contiguity === "notFollowedBy")
    if (negation !== undefined) {
      return {
        step: Element.describe(negation),
        reason: "trailingNegation",
        problem: "ends the pattern, which needs `within`: without it, there is no time at which nothing has followed"
      }
    }
  }
  const wide = within === undefined ? undefined : gaps(elements).find(([, gap]) => gap > within)
  if (wide !== undefined) {
    return { step: wide[0], reason: "gap", problem: "has a gap that is larger than the pattern's window" }
  }
  if (last?._tag === "Step" && last.maximal && !closes(last, within)) {
    return { step: last.name, reason: "maximal", problem: "is maximal, and nothing closes the loop" }
  }
  return skip._tag === "toFirst" || skip._tag === "toLast" ? skipping(elements, skip, known) : undefined
}

/** The times between events that are limited, and where. */
const gaps = (elements: ReadonlyArray<Element.Element>): ReadonlyArray<readonly [step: string, gap: number]> =>
  elements.flatMap((element): ReadonlyArray<readonly [string, number]> => {
    switch (element._tag) {
      case "Negation":
        return []
      case "Step":
        return [[element.name, Math.max(element.gap ?? 0, element.times?.gap ?? 0)]]
      case "Group":
        return [[Element.describe(element), element.times?.gap ?? 0], ...gaps(element.elements)]
      default:
        return element.of.flatMap(gaps)
    }
  })

const closes = (step: Element.Step, within: number | undefined): boolean =>
  within !== undefined || step.gap !== undefined || step.times?.gap !== undefined || step.times?.max !== undefined ||
  step.inner === "next" || step.until.length > 0

const skipping = (
  elements: ReadonlyArray<Element.Element>,
  skip: Extract<Element.Skip, { readonly step: string }>,
  known: ReadonlySet<string>
): Fault | undefined => {
  if (!known.has(skip.step)) return { step: skip.step, reason: "unknownStep", problem: "is skipped to, but is no step" }
  const [first] = elements
  const own = first?._tag === "Step" && first.name === skip.step && !Element.skippable(first) &&
    (skip._tag === "toFirst" || Element.most(first) === 1)
  return own
    ? { step: skip.step, reason: "skipsToStart", problem: "is where every match begins: skipping to it would not end" }
    : undefined
}

/** The negations with which a list of elements ends. */
export const trailing = (elements: ReadonlyArray<Element.Element>): ReadonlyArray<Element.Negation> => {
  const found: Array<Element.Negation> = []
  for (const element of [...elements].reverse()) {
    if (element._tag !== "Negation") break
    found.unshift(element)
  }
  return found
}
