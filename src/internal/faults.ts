import * as Either from "effect/Either"
import * as Predicate from "effect/Predicate"
import { Fault, InvalidInput } from "../event/InvalidInput.ts"

/** Gathers what is wrong with an input, so that all of it can be said at once. */
export interface Faults {
  readonly all: Array<Fault>
  readonly add: (path: string, problem: string) => void
}

/** A class, since one is made for every event that is encoded, and closures cost more there. */
class Gathered implements Faults {
  readonly all: Array<Fault>
  constructor(all: Array<Fault>) {
    this.all = all
  }
  add(path: string, problem: string): void {
    this.all.push(new Fault({ path, problem }))
  }
}

export const make = (): Faults => new Gathered([])

/** Gathers into a list of the caller's. */
export const into = (all: Array<Fault>): Faults => new Gathered(all)

/** The value, or the typed refusal when there was a fault. */
export const orInvalid = <A>(faults: Faults, value: () => A): Either.Either<A, InvalidInput> => {
  const [first, ...rest] = faults.all
  return first === undefined ? Either.right(value()) : Either.left(new InvalidInput({ faults: [first, ...rest] }))
}

/** The refusal of one thing. */
export const invalid = (path: string, problem: string): InvalidInput =>
  new InvalidInput({ faults: [new Fault({ path, problem })] })

/** Shows a value from outside in a message, shortened. */
export const show = (value: unknown): string => {
  if (typeof value === "number" || typeof value === "bigint" || value === null || value === undefined) {
    return String(value)
  }
  let text: string
  try {
    text = typeof value === "function" ? "a function" : JSON.stringify(value) ?? String(value)
  } catch {
    text = Predicate.isRecord(value) ? "an object" : typeof value
  }
  return text.length > 60 ? `${text.slice(0, 57).replace(/[\ud800-\udbff]$/, "")}…` : text
}

/** The longest name, in UTF-16 code units, that every driver keeps. */
export const maxName = 512

// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const control = /[\u0000-\u001f\u007f-\u009f]/

/**
 * What is wrong with a name (of a stream, type, tag, id …), or `undefined`.
 * A name is well-formed Unicode without NUL or control characters, neither empty nor too long.
 */
export const nameProblem = (value: unknown, max = maxName): string | undefined => {
  if (typeof value !== "string") return `must be a string, got ${show(value)}`
  if (value.length === 0) return "must not be empty"
  if (value.length > max) return `must have at most ${max} UTF-16 code units, has ${value.length}`
  if (control.test(value)) return `must not hold control characters, got ${show(value)}`
  if (!isWellFormed(value)) return `must be well-formed Unicode, got ${show(value)}`
  return undefined
}

/** A check for a place where one name comes again and again: the last that was good is not looked at twice. */
export const remembering = (check: (value: unknown) => string | undefined): (value: unknown) => string | undefined => {
  let good: unknown
  return (value) => {
    if (value === good && value !== undefined) return undefined
    const problem = check(value)
    if (problem === undefined) good = value
    return problem
  }
}

const isWellFormed: (value: string) => boolean = (() => {
  const native = (String.prototype as { isWellFormed?: (this: string) => boolean }).isWellFormed
  // oxlint-disable-next-line no-misleading-character-class -- lone surrogates are what it looks for
  const lone = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/
  return native === undefined ? (value) => !lone.test(value) : (value) => native.call(value)
})()

export { isWellFormed }

/** What is wrong with a whole number that counts from `min`, or `undefined`. */
export const countProblem = (value: unknown, min: number): string | undefined => {
  if (typeof value !== "number") return `must be a number, got ${show(value)}`
  if (!Number.isSafeInteger(value)) return `must be a whole number, got ${value}`
  if (value < min) return `must be at least ${min}, got ${value}`
  return undefined
}
