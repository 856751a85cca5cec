import * as Faults from "./faults.ts"

/** How deep a payload may nest. */
export const maxDepth = 200

/**
 * Says of a value whether JSON gives it back as it is, and adds each place where it would not.
 * `undefined` members of objects are absent, as in JSON; `-0` becomes `0`. A key `__proto__` is refused, since formats and
 * Schemas take it for the prototype.
 */
export const check = (value: unknown, path: string, faults: Faults.Faults): void => {
  checkAt(value, path, faults, 0)
}

/** False where nothing more should be checked: what nests too deep may be a cycle, and its other branches are as deep. */
const checkAt = (value: unknown, path: string, faults: Faults.Faults, depth: number): boolean => {
  switch (typeof value) {
    case "string":
      if (!Faults.isWellFormed(value)) faults.add(path, `must be well-formed Unicode, got ${Faults.show(value)}`)
      return true
    case "number":
      if (!Number.isFinite(value)) faults.add(path, `must be a finite number, got ${value}`)
      return true
    case "boolean":
      return true
    case "object": {
      if (value === null) return true
      if (depth >= maxDepth) {
        faults.add(path, `must not nest deeper than ${maxDepth} levels`)
        return false
      }
      if (Array.isArray(value)) {
        for (let index = 0; index < value.length; index++) {
          if (!isPlain(value[index]) && !checkAt(value[index], `${path}[${index}]`, faults, depth + 1)) return false
        }
        return true
      }
      const prototype = Object.getPrototypeOf(value)
      if (prototype !== Object.prototype && prototype !== null) {
        const name = prototype.constructor?.name ?? "object"
        faults.add(path, `must be a JSON value, got a ${name}: give its Schema an encoding to JSON`)
        return true
      }
      for (const key in value) {
        const member = (value as Record<string, unknown>)[key]
        if (!Faults.isWellFormed(key)) {
          faults.add(path, `must have keys of well-formed Unicode, got ${Faults.show(key)}`)
        }
        if (key === "__proto__") faults.add(path, protoProblem)
        else if (member === undefined || isPlain(member)) continue
        else if (!checkAt(member, `${path}.${key}`, faults, depth + 1)) return false
      }
      return true
    }
    default:
      faults.add(path, `must be a JSON value, got ${typeof value === "bigint" ? "a bigint" : Faults.show(value)}`)
      return true
  }
}

const protoProblem = "must not have a key \"__proto__\""

/** Adds each place of a key `__proto__` in a value that is still to be encoded: a Schema of a record would drop it. */
export const checkKeys = (value: unknown, path: string, faults: Faults.Faults, seen = new Set<unknown>()): void => {
  if (typeof value !== "object" || value === null || seen.has(value)) return
  seen.add(value)
  if (Object.hasOwn(value, "__proto__")) faults.add(path, protoProblem)
  if (Array.isArray(value)) value.forEach((member, index) => checkKeys(member, `${path}[${index}]`, faults, seen))
  else for (const key of Object.keys(value)) checkKeys((value as any)[key], `${path}.${key}`, faults, seen)
}

/** Whether nothing is wrong with a value, for `check` takes longer to say what is. */
export const isValue = (value: unknown, depth = 0): boolean => {
  if (typeof value !== "object") return isPlain(value)
  if (value === null) return true
  if (depth >= maxDepth) return false
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) if (!isValue(value[index], depth + 1)) return false
    return true
  }
  const prototype = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) return false
  for (const key in value) {
    const member = (value as Record<string, unknown>)[key]
    if (key === "__proto__" || !Faults.isWellFormed(key)) return false
    if (member !== undefined && !isValue(member, depth + 1)) return false
  }
  return true
}

/** The common members, which need no path of their own. */
const isPlain = (value: unknown): boolean =>
  typeof value === "boolean" || (typeof value === "string" && Faults.isWellFormed(value)) ||
  (typeof value === "number" && Number.isFinite(value))

/**
 * A text that is equal for equal JSON values and for no others, in whatever order the keys of objects come. It is not JSON:
 * what says how long it is needs no escapes.
 */
export const canonical = (value: unknown): string => {
  switch (typeof value) {
    case "string":
      return `${value.length}"${value}`
    case "number":
      return `${value};`
    case "object":
      return value === null ? "n" : Array.isArray(value) ? canonicalList(value) : canonicalObject(value)
    default:
      return value === true ? "t" : value === false ? "f" : "u"
  }
}

const canonicalList = (list: ReadonlyArray<unknown>): string => {
  let text = "["
  for (let index = 0; index < list.length; index++) text += canonical(list[index])
  return `${text}]`
}

const canonicalObject = (value: object): string => {
  const keys = Object.keys(value)
  for (let index = 1; index < keys.length; index++) {
    if (keys[index - 1]! > keys[index]!) {
      keys.sort()
      break
    }
  }
  let text = "{"
  for (let index = 0; index < keys.length; index++) {
    const key = keys[index]!
    const member = (value as Record<string, unknown>)[key]
    if (member !== undefined) text += `${key.length}"${key}${canonical(member)}`
  }
  return `${text}}`
}
