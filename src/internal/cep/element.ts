import * as Condition from "./condition.ts"

/** What a pattern is made of, as data; only `where` and `until` may hold functions. */

/** How the first event of an element follows the event taken before it. */
export type Contiguity = "next" | "followedBy" | "followedByAny"

export interface Times {
  readonly min: number
  /** None: no upper bound. */
  readonly max?: number | undefined
  /** Milliseconds between an element of the loop and the one before it, exclusive. */
  readonly gap?: number | undefined
}

export type Where = Condition.Condition | Condition.Test

export interface Step {
  readonly _tag: "Step"
  readonly name: string
  readonly contiguity: Contiguity
  /** The event tags; none: any event. */
  readonly tags: ReadonlyArray<string>
  readonly where: ReadonlyArray<Where>
  readonly times?: Times | undefined
  /** How elements of a loop follow each other. */
  readonly inner: Contiguity
  readonly optional: boolean
  readonly greedy: boolean
  readonly maximal: boolean
  readonly until: ReadonlyArray<Where>
  /** Milliseconds since the event taken before, exclusive; for every element of a loop. */
  readonly gap?: number | undefined
}

export interface Negation {
  readonly _tag: "Negation"
  readonly contiguity: "notNext" | "notFollowedBy"
  readonly tags: ReadonlyArray<string>
  readonly where: ReadonlyArray<Where>
}

export interface Group {
  readonly _tag: "Group"
  readonly contiguity: Contiguity
  readonly elements: ReadonlyArray<Element>
  readonly times?: Times | undefined
  readonly inner: Contiguity
  readonly optional: boolean
}

export interface Alternatives {
  readonly _tag: "Or"
  readonly contiguity: Contiguity
  readonly of: ReadonlyArray<ReadonlyArray<Element>>
}

export interface AnyOrder {
  readonly _tag: "And"
  readonly contiguity: Contiguity
  /** How the parts follow each other. */
  readonly inner: Contiguity
  readonly of: ReadonlyArray<ReadonlyArray<Element>>
}

export type Positive = Step | Group | Alternatives | AnyOrder

export type Element = Positive | Negation

export type Skip =
  | { readonly _tag: "none" }
  | { readonly _tag: "toNext" }
  | { readonly _tag: "pastLast" }
  | { readonly _tag: "toFirst" | "toLast"; readonly step: string; readonly failOnMiss: boolean }

export interface Definition {
  readonly elements: ReadonlyArray<Element>
  /** Milliseconds between the first and the last event, exclusive. */
  readonly within?: number | undefined
  readonly skip: Skip
}

/** Whether an event is one that a step or a negation names, given what is bound so far. */
export const satisfies = (
  what: { readonly tags: ReadonlyArray<string>; readonly where: ReadonlyArray<Where> },
  event: { readonly _tag: string },
  soFar: Condition.SoFar,
  own: ReadonlyArray<unknown>
): boolean =>
  (what.tags.length === 0 || what.tags.includes(event._tag)) && what.where.every((one) => ask(one, event, soFar, own))

/** Asks one condition. */
export const ask = (where: Where, event: unknown, soFar: Condition.SoFar, own: ReadonlyArray<unknown>): boolean =>
  typeof where === "function" ? where(event, soFar, own) : Condition.holds(where, event, soFar)

/** How often an element is to be taken, at the least. */
export const least = (element: Step | Group): number => element.times?.min ?? 1

/** How often an element may be taken, at the most. */
export const most = (element: Step | Group): number =>
  element.times === undefined ? 1 : element.times.max ?? Number.POSITIVE_INFINITY

/** Whether an element may be left out. */
export const skippable = (element: Element): boolean => {
  switch (element._tag) {
    case "Negation":
      return true
    case "Step":
    case "Group":
      return element.optional || least(element) === 0
    default:
      return false
  }
}

/** The steps of a list of elements, in the order in which they are written. */
export const stepsOf = (elements: ReadonlyArray<Element>): ReadonlyArray<Step> =>
  elements.flatMap((element): ReadonlyArray<Step> => {
    switch (element._tag) {
      case "Negation":
        return []
      case "Step":
        return [element]
      case "Group":
        return stepsOf(element.elements)
      default:
        return element.of.flatMap(stepsOf)
    }
  })

/** What an error calls an element. */
export const describe = (element: Element): string => {
  switch (element._tag) {
    case "Step":
      return element.name
    case "Negation":
      return `${element.contiguity} ${element.tags.join(" | ") || "*"}`
    case "Group":
      return `group of ${stepsOf(element.elements).map((step) => step.name).join(", ")}`
    default:
      return `${element._tag === "Or" ? "or" : "and"} of ${
        element.of.flatMap(stepsOf).map((step) => step.name).join(", ")
      }`
  }
}

/** How the events of each step are shown in a match. */
export interface Shapes {
  readonly steps: ReadonlyArray<string>
  /** The steps that are shown as lists. */
  readonly many: ReadonlySet<string>
  /** Lists that are there though they are empty: always, or once one of some steps has taken an event. */
  readonly empty: ReadonlyArray<readonly [step: string, when: true | ReadonlyArray<string>]>
}

/** The shapes of the steps of a pattern. */
export const shapesOf = (elements: ReadonlyArray<Element>): Shapes => {
  const shapes = new Map<string, { readonly many: boolean; readonly empty: boolean | ReadonlyArray<string> }>()
  const walk = (elements: ReadonlyArray<Element>, repeated: boolean, scope: ReadonlyArray<string> | true): void => {
    for (const element of elements) {
      switch (element._tag) {
        case "Negation":
          break
        case "Step": {
          const empty = repeated || (!element.optional && element.times?.min === 0)
          shapes.set(element.name, { many: repeated || element.times !== undefined, empty: empty && scope })
          break
        }
        case "Group":
          walk(
            element.elements,
            repeated || element.times !== undefined,
            element.optional ? stepsOf(element.elements).map((step) => step.name) : scope
          )
          break
        case "And":
          for (const part of element.of) walk(part, repeated, scope)
          break
        case "Or":
          for (const part of element.of) walk(part, repeated, stepsOf(part).map((step) => step.name))
      }
    }
  }
  walk(elements, false, true)
  const all = [...shapes]
  return {
    steps: [...shapes.keys()],
    many: new Set(all.flatMap(([step, { many }]) => many ? [step] : [])),
    empty: all.flatMap(([step, { empty }]) => empty === false ? [] : [[step, empty] as const])
  }
}

/** What a list of taken events binds, step by step. */
export const bind = (
  { empty, many }: Shapes,
  taken: ReadonlyArray<{ readonly step: string; readonly event: unknown }>
): Record<string, unknown> => {
  const bound: Record<string, unknown> = {}
  for (const { event, step } of taken) {
    if (!many.has(step)) bound[step] = event
    else if (step in bound) (bound[step] as Array<unknown>).push(event)
    else bound[step] = [event]
  }
  for (const [step, when] of empty) {
    if (!(step in bound) && (when === true || when.some((other) => other in bound))) bound[step] = []
  }
  return bound
}
