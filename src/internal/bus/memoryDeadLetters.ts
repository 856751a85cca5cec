import * as Effect from "effect/Effect"
import { type DeadLetter, type Key, keyOf } from "../../bus/DeadLetter.ts"
import type { Count, DeadLetterStore, Filter } from "../../bus/DeadLetterStore.ts"

/** No name holds NUL. */
const textOf = ({ id, subscription }: Key): string => `${subscription}\u0000${id}`

const typeOf = ({ message }: DeadLetter): string => "_tag" in message ? "" : message.type

export const matches = (filter: Filter, letter: DeadLetter): boolean =>
  (filter.subscription === undefined || filter.subscription === letter.subscription) &&
  (filter.reasons === undefined || filter.reasons.includes(letter.reason)) &&
  (filter.types === undefined || filter.types.includes(typeOf(letter))) &&
  (filter.ids === undefined || filter.ids.includes(letter.message.id)) &&
  (filter.since === undefined || letter.at >= filter.since) &&
  (filter.until === undefined || letter.at < filter.until) &&
  (filter.retry === undefined || filter.retry === decidedOf(letter)) &&
  (filter.due === undefined || dueOf(letter) <= filter.due)

const decidedOf = ({ retry }: DeadLetter): NonNullable<Filter["retry"]> =>
  retry === undefined || retry.status === "tried" ? "undecided" : retry.status

/** Never, where it does not wait. */
const dueOf = ({ retry }: DeadLetter): number =>
  retry?.status === "waiting" ? retry.position.next ?? Infinity : Infinity

const byPlace = (a: DeadLetter, b: DeadLetter): number =>
  a.at - b.at || (textOf(keyOf(a)) < textOf(keyOf(b)) ? -1 : textOf(keyOf(a)) > textOf(keyOf(b)) ? 1 : 0)

export const make = (): DeadLetterStore => {
  const letters = new Map<string, DeadLetter>()
  /** In order, made when it is asked for. */
  let sorted: ReadonlyArray<DeadLetter> | undefined
  const inOrder = () => sorted ??= Array.from(letters.values()).sort(byPlace)
  /** The one that stands there, where it is the same as one that was read. */
  const current = (letter: DeadLetter): DeadLetter | undefined => {
    const stands = letters.get(textOf(keyOf(letter)))
    return stands?.at === letter.at && stands.reprocessed === letter.reprocessed ? stands : undefined
  }
  return {
    put: (given) =>
      Effect.sync(() => {
        sorted = undefined
        for (const letter of given) letters.set(textOf(keyOf(letter)), structuredClone(letter))
      }),
    get: (key) => Effect.sync(() => structuredClone(letters.get(textOf(key)))),
    page: (filter, after, limit) =>
      Effect.sync(() => {
        const page: Array<DeadLetter> = []
        for (const letter of inOrder()) {
          if (page.length === limit) break
          if ((after === undefined || byPlace(after, letter) < 0) && matches(filter, letter)) {
            page.push(structuredClone(letter))
          }
        }
        return page
      }),
    remove: (given) =>
      Effect.sync(() => {
        sorted = undefined
        let removed = 0
        for (const letter of given) {
          if (current(letter) !== undefined && letters.delete(textOf(keyOf(letter)))) removed++
        }
        return removed
      }),
    plan: (given) =>
      Effect.sync(() => {
        sorted = undefined
        for (const letter of given) {
          const stands = current(letter)
          if (stands === undefined) continue
          const { retry: _, ...rest } = stands
          letters.set(textOf(keyOf(letter)), letter.retry === undefined ? rest : { ...rest, retry: letter.retry })
        }
      }),
    mend: (key, message) =>
      Effect.sync(() => {
        const stands = letters.get(textOf(key))
        if (stands === undefined) return false
        sorted = undefined
        letters.set(textOf(key), { ...stands, message: structuredClone(message) })
        return true
      }),
    counts: (filter) =>
      Effect.sync(() => {
        const counts = new Map<string, Count>()
        for (const letter of letters.values()) {
          if (!matches(filter, letter)) continue
          const { reason, subscription } = letter
          const type = typeOf(letter)
          const key = [subscription, reason, type].join("\u0000")
          counts.set(key, { subscription, reason, type, count: (counts.get(key)?.count ?? 0) + 1 })
        }
        return Array.from(counts.values())
      }),
    nextDue: Effect.sync(() => {
      let next = Infinity
      for (const letter of letters.values()) next = Math.min(next, dueOf(letter))
      return next === Infinity ? undefined : next
    })
  }
}
