import * as Faults from "./faults.ts"

/** How deep a payload may nest. */
export const maxDepth = 200

/**
 * Says of a value whether JSON gives it back as it is, and adds each place where it would not.
 * `undefined` members of objects are absent, as in JSON; `-0` becomes `0`.
 */
export const check = (value: unknown, path: string, faults: Faults.Faults, depth = 0): void => {
  switch (typeof value) {
    case "string":
      if (!Faults.isWellFormed(value)) faults.add(path, `must be well-formed Unicode, got ${Faults.show(value)}`)
      return
    case "number":
      if (!Number.isFinite(value)) faults.add(path, `must be a finite number, got ${value}`)
      return
    case "boolean":
      return
    case "object": {
      if (value === null) return
      if (depth >= maxDepth) return faults.add(path, `must not nest deeper than ${maxDepth} levels`)
      if (Array.isArray(value)) {
        for (let index = 0; index < value.length; index++) check(value[index], `${path}[${index}]`, faults, depth + 1)
        return
      }
      const prototype = Object.getPrototypeOf(value)
      if (prototype !== Object.prototype && prototype !== null) {
        const name = prototype.constructor?.name ?? "object"
        return faults.add(path, `must be a JSON value, got a ${name}: give its Schema an encoding to JSON`)
      }
      for (const key in value) {
        const member = (value as Record<string, unknown>)[key]
        if (!Faults.isWellFormed(key)) faults.add(path, `must have keys of well-formed Unicode, got ${Faults.show(key)}`)
        if (isPlain(member)) continue
        check(member, `${path}.${key}`, faults, depth + 1)
      }
      return
    }
    default:
      faults.add(path, `must be a JSON value, got ${typeof value === "bigint" ? "a bigint" : Faults.show(value)}`)
  }
}

/** The common members, which need no path of their own. */
const isPlain = (value: unknown): boolean =>
  value === undefined || typeof value === "boolean" || (typeof value === "string" && Faults.isWellFormed(value)) ||
  (typeof value === "number" && Number.isFinite(value))

/** The JSON text of a value with the keys of objects in order: equal for equal JSON values. */
export const canonical = (value: unknown): string => {
  if (typeof value !== "object" || value === null) return JSON.stringify(value === 0 ? 0 : value)
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`
  const members: Array<string> = []
  for (const key of Object.keys(value).sort()) {
    const member = (value as Record<string, unknown>)[key]
    if (member !== undefined) members.push(`${JSON.stringify(key)}:${canonical(member)}`)
  }
  return `{${members.join()}}`
}
