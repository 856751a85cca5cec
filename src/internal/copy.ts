/** A copy of what can be changed in a value: objects and lists, dates, maps and sets. What else there is stays the same. */
export const copy = <A>(value: A): A => copyOf(value) as A

const copyOf = (value: unknown): unknown => {
  if (typeof value !== "object" || value === null) return value
  if (Array.isArray(value)) return value.map(copyOf)
  if (value instanceof Date) return new Date(value.getTime())
  if (value instanceof Map) return new Map(Array.from(value, ([key, member]) => [copyOf(key), copyOf(member)]))
  if (value instanceof Set) return new Set(Array.from(value, copyOf))
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) return value
  const members = Object.entries(value).map(([key, member]) => [key, copyOf(member)] as const)
  return Object.setPrototypeOf(Object.fromEntries(members), prototype)
}
