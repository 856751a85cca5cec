import type * as Element from "./element.ts"

/** What a pattern takes notice of: times, and types of events. */

/** Whether a pattern asks when events were. */
export const isTimed = ({ elements, within }: Element.Definition): boolean => within !== undefined || hasGaps(elements)

/** Whether the time between an event and the one before it is limited somewhere. */
export const hasGaps = (elements: ReadonlyArray<Element.Element>): boolean => elements.some(hasGap)

const hasGap = (element: Element.Element): boolean => {
  switch (element._tag) {
    case "Negation":
      return false
    case "Step":
      return element.gap !== undefined || element.times?.gap !== undefined
    case "Group":
      return element.times?.gap !== undefined || hasGaps(element.elements)
    default:
      return element.of.some(hasGaps)
  }
}

/** The tags that steps and negations name. */
export const namedIn = (elements: ReadonlyArray<Element.Element>): ReadonlySet<string> =>
  new Set(elements.flatMap((element): ReadonlyArray<string> => {
    switch (element._tag) {
      case "Negation":
      case "Step":
        return element.tags
      case "Group":
        return [...namedIn(element.elements)]
      default:
        return element.of.flatMap((part) => [...namedIn(part)])
    }
  }))

/** The tags of events that change anything; none where the very next event may, whatever it is. */
export const tagsOf = (elements: ReadonlyArray<Element.Element>): ReadonlySet<string> | undefined => {
  const all = new Set<string>()
  const walk = (element: Element.Element): boolean => {
    switch (element._tag) {
      case "Negation":
        for (const tag of element.tags) all.add(tag)
        return element.contiguity === "notFollowedBy" && element.tags.length > 0
      case "Step": {
        for (const tag of element.tags) all.add(tag)
        const loops = element.times !== undefined && element.inner === "next"
        return element.contiguity !== "next" && !loops && !element.greedy && element.until.length === 0 &&
          element.tags.length > 0
      }
      case "Group":
        return element.contiguity !== "next" && element.inner !== "next" && element.elements.every(walk)
      case "Or":
        return element.contiguity !== "next" && element.of.every((part) => part.every(walk))
      case "And":
        return element.contiguity !== "next" && element.inner !== "next" &&
          element.of.every((part) => part.every(walk))
    }
  }
  return elements.every(walk) ? all : undefined
}
