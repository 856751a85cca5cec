import * as Faults from "../faults.ts"

/** What is wrong with a value of the CloudEvents type String, or `undefined`. */
export const stringProblem = (value: unknown): string | undefined => {
  if (typeof value !== "string") return `must be a string, got ${Faults.show(value)}`
  if (controls.test(value)) return `must not hold control characters, got ${Faults.show(value)}`
  return Faults.isWellFormed(value) ? undefined : `must be well-formed Unicode, got ${Faults.show(value)}`
}

export const nonEmptyProblem = (value: unknown): string | undefined =>
  value === "" ? "must not be empty" : stringProblem(value)

// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const controls = /[\u0000-\u001f\u007f-\u009f]/
const unutterable = /[\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}]/gu

/** Whether a text is a CloudEvents String to the letter, which leaves out Unicode's noncharacters too. */
export const isUtterable = (text: string): boolean => text.search(unutterable) < 0

/** JSON text with the characters escaped that a CloudEvents String may not hold. */
export const utterableJson = (value: unknown): string =>
  JSON.stringify(value).replace(unutterable, (character) =>
    Array.from(
      { length: character.length },
      (_, index) => `\\u${character.charCodeAt(index).toString(16).padStart(4, "0")}`
    ).join(""))

/** RFC 3986, appendix A: a scheme or a relative reference, an authority, a path, a query, a fragment. */
const uri = (() => {
  const escaped = "%[0-9A-Fa-f]{2}"
  const pchar = `(?:[\\w.~!$&'()*+,;=:@-]|${escaped})`
  const authority = `(?:(?:[\\w.~!$&'()*+,;=:-]|${escaped})*@)?`
    + `(?:\\[[0-9A-Fa-f:.vV]+\\]|(?:[\\w.~!$&'()*+,;=-]|${escaped})*)(?::\\d*)?`
  const hierarchy = `(?:\\/\\/${authority}(?:\\/${pchar}*)*|\\/?${pchar}+(?:\\/${pchar}*)*|\\/)?`
  const rest = `(?:\\?(?:${pchar}|[/?])*)?(?:#(?:${pchar}|[/?])*)?`
  const scheme = "[A-Za-z][A-Za-z0-9+.-]*:"
  return {
    absolute: new RegExp(`^${scheme}${hierarchy}${rest}$`),
    reference: new RegExp(`^(?:${scheme}|(?![^/?#]*:))${hierarchy}${rest}$`)
  }
})()

export const isUri = (text: string): boolean => uri.absolute.test(text)

export const isUriReference = (text: string): boolean => text !== "" && uri.reference.test(text)

const rfc3339 =
  /^(\d{4})-(\d\d)-(\d\d)[Tt]((?:[01]\d|2[0-3]):[0-5]\d):([0-5]\d|60)(?:\.(\d+))?([Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/

/** Milliseconds since the epoch of an RFC 3339 timestamp, finer fractions cut off; `undefined` where it is none. */
export const timestamp = (text: string): number | undefined => {
  const parts = rfc3339.exec(text)
  if (parts === null) return undefined
  const [, year, month, day, minutes, seconds, fraction = "", zone] = parts
  const date = Date.parse(`${year}-${month}-${day}T00:00:00Z`)
  // A day that its month does not have reads as one of the next month.
  if (Number.isNaN(date) || new Date(date).getUTCDate() !== Number(day)) return undefined
  const leap = seconds === "60"
  const millis = Date.parse(
    `${year}-${month}-${day}T${minutes}:${leap ? "59" : seconds}.${fraction.slice(0, 3).padEnd(3, "0")}${
      zone!.toUpperCase()
    }`
  )
  return leap ? millis + 1000 : millis
}

const firstInstant = -62_167_219_200_000
const lastInstant = 253_402_300_799_999

/** An instant as an RFC 3339 timestamp, which has the years 0 to 9999 only. */
export const fromInstant = (millis: number): string | undefined =>
  millis >= firstInstant && millis <= lastInstant ? new Date(millis).toISOString() : undefined

const maxInteger = 2_147_483_647

export const isInteger = (value: unknown): value is number =>
  Number.isInteger(value) && Math.abs(value as number + 0.5) <= maxInteger + 0.5

/** A whole number as a CloudEvents Integer, or as its digits where it needs more than 32 bits. */
export const fromCount = (count: number): number | string => isInteger(count) ? count : String(count)

/** A whole number written by {@link fromCount}, or anything else as it is. */
export const toCount = (value: unknown): unknown =>
  typeof value === "string" && /^-?\d{1,16}$/.test(value) ? Number(value) : value

/** Whether a media type declares JSON: `application/json`, or any with a subtype `json` or ending in `+json`. */
export const isJsonMediaType = (mediaType: string): boolean =>
  /^[^/;\s]+\/(?:[^/;\s]+\+)?json\s*(?:;|$)/i.test(mediaType)

export const isMediaType = (text: string): boolean => /^[\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+\s*(?:;.*)?$/.test(text)

export const isBase64 = (text: string): boolean => text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text)
