/** Numbers that look drawn and are made of what is said, so that every run on every store draws the same. */

/** A number from 0 to 99. */
export const percentile = (text: string): number => fnv1a(text) % 100

/** 32 bits, as Fowler, Noll and Vo have it. */
const fnv1a = (text: string): number => {
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193) >>> 0
  return hash
}
