import * as Automaton from "./automaton.ts"
import * as Check from "./check.ts"
import * as Condition from "./condition.ts"
import type * as Element from "./element.ts"
import * as Interest from "./interest.ts"

/** How partial matches are kept: all of one configuration as a set, or one by one. */

export interface Tier {
  readonly name: "sets" | "runs"
  readonly why: string
}

const runs = (why: string): Tier => ({ name: "runs", why })

/** Sets, where all partial matches of one configuration have one future. */
export const tierOf = (definition: Element.Definition, options: { readonly timedOut: boolean }): Tier => {
  const { elements, skip, within } = definition
  if (skip._tag !== "none") {
    return runs(`after a match, ${skipNames[skip._tag]} prunes partial matches one by one, by where they began`)
  }
  if (options.timedOut) return runs("partial matches whose time is over are told, one by one")
  for (const [step, where] of asked(elements)) {
    if (!where.every(Condition.isAlone)) {
      return runs(
        `a condition of ${step} looks at more than its own event, or may: each partial match answers for itself`
      )
    }
  }
  if (Interest.hasGaps(elements)) return runs("the time between an event and the one before it is limited")
  if (Check.trailing(elements).some(({ contiguity }) => contiguity === "notFollowedBy")) {
    return runs("it ends with a negation, for which each partial match waits until its own window has passed")
  }
  const last = elements.at(-1)
  if (last?._tag === "Step" && last.maximal && within !== undefined) {
    return runs(`${JSON.stringify(last.name)} is maximal, and may close as the window of a partial match passes`)
  }
  if (asked(elements).filter(([, where]) => where.length > 0).length > Automaton.maxTests) {
    return runs(`it has more than ${Automaton.maxTests} conditions`)
  }
  return {
    name: "sets",
    why: "its conditions look at one event, so partial matches that wait for the same are held as one set"
  }
}

const skipNames = {
  toNext: "skipToNext",
  pastLast: "skipPastLast",
  toFirst: "skipToFirst",
  toLast: "skipToLast"
}

/** What is asked of events, and where. */
const asked = (
  elements: ReadonlyArray<Element.Element>
): ReadonlyArray<readonly [string, ReadonlyArray<Element.Where>]> =>
  elements.flatMap((element): ReadonlyArray<readonly [string, ReadonlyArray<Element.Where>]> => {
    switch (element._tag) {
      case "Negation":
        return [[`a ${element.contiguity}`, element.where]]
      case "Step":
        return [[JSON.stringify(element.name), element.where], [
          `${JSON.stringify(element.name)} (until)`,
          element.until
        ]]
      case "Group":
        return asked(element.elements)
      default:
        return element.of.flatMap(asked)
    }
  })
