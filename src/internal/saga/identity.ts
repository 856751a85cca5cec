/** The identity of an activity, and what is made of it. */

const escape = (text: string): string => text.replaceAll("%", "%25").replaceAll("/", "%2F").replaceAll("]", "%5D")

/** Parent, name and key, and the round from the second on. */
export const identity = (parent: string, name: string, key: string | undefined, round: number): string => {
  const own = key === undefined ? name : `${name}[${escape(key)}]`
  if (parent !== "") return `${parent}/${own}`
  return round === 1 ? own : `${round}#${own}`
}

/** The name by which a signal is sent. */
export const signalSlot = (name: string, key: string | undefined): string =>
  key === undefined ? name : `${name}[${escape(key)}]`

/** The idempotency key of a step: of all its attempts, or of one. */
export const keyOf = (
  saga: string,
  id: string,
  step: string,
  attempt: number,
  per: "step" | "attempt"
): string => per === "attempt" ? `${saga}/${id}/${step}#${attempt}` : `${saga}/${id}/${step}`
