import type * as Element from "./element.ts"
import * as Json from "../json.ts"

/**
 * A short name of what a pattern is made of: two 32-bit hashes of its definition, in which functions are nameless. The order in
 * which fields were written makes no difference: a pattern that was stored and loaded has the same.
 */
export const fingerprint = (definition: Element.Definition): string => {
  const text = Json.canonical(definition)
  let one = 0x811c9dc5
  let other = 0x1b873593
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    one = Math.imul(one ^ code, 0x01000193)
    other = Math.imul(other ^ code, 0x85ebca6b)
    other ^= other >>> 13
  }
  return [one, other].map((hash) => (hash >>> 0).toString(16).padStart(8, "0")).join("")
}
