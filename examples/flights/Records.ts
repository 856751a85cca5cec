/**
 * Cuts text into records, each with its place: the elements of a JSON array, or else its lines.
 *
 * No more than one record is held, however large the file. Nothing is refused here: what is no JSON is a record, too, to the
 * end of its line or up to the next object, and an object that is not closed ends where another can only begin. So one
 * that is broken costs itself, and hardly ever its neighbours.
 */

/** A record's text and where it begins; all three count from 1. */
export interface Piece {
  readonly record: number
  readonly line: number
  readonly column: number
  readonly text: string
}

/** The most characters that are kept of a record. What is longer is cut there, and thus no JSON. */
export const maxLength = 65_536

export interface Cutter {
  /** The records that a chunk of the text completes. */
  readonly push: (chunk: string) => ReadonlyArray<Piece>
  /** What is left at the end of the text. */
  readonly end: () => ReadonlyArray<Piece>
}

export const cutter = (): Cutter => {
  /** What is read now. `other` is an element of an array that is no object: a number, say, or something broken. */
  let reading: "start" | "between elements" | "object" | "other" | "between lines" | "line" = "start"
  let pieces: Array<Piece> = []
  let records = 0
  let line = 1
  let column = 1
  // the record that has begun: where, what earlier chunks hold of it, and where it goes on in this one
  let begun = { line, column }
  let held = ""
  let from = 0
  let chunk = ""
  let at = 0
  // in an object
  let depth = 0
  let inString = false
  let escaped = false
  let significant = ""

  const textTo = (end: number): string => (held + chunk.slice(from, end)).slice(0, maxLength)

  const begin = (as: "object" | "other" | "line"): void => {
    reading = as
    begun = { line, column }
    held = ""
    from = at
    depth = 1
    inString = escaped = false
    significant = "{"
  }

  const finish = (then: "between elements" | "between lines", end: number): void => {
    pieces.push({ record: ++records, ...begun, text: textTo(end).trimEnd() })
    reading = then
    held = ""
  }

  const object = (char: string): void => {
    if (inString) {
      // a string ends on its line, even where its quote is missing
      if (char === "\n" || (char === "\"" && !escaped)) inString = false
      escaped = char === "\\" && !escaped
      return
    }
    if (isBlank(char)) return
    if (char === "\"") inString = true
    else if (char === "{" && depth === 1 && significant !== ":") {
      // in an object, another one stands after a colon only
      finish("between elements", at)
      begin("object")
    } else if (char === "{" || char === "[") depth++
    else if (char === "}" || char === "]") depth--
    significant = char
    if (depth === 0) finish("between elements", at + 1)
  }

  const other = (char: string): void => {
    const ends = char === "\n" || char === "{" || ((char === "," || char === "]") && isJson(textTo(at)))
    if (ends) finish("between elements", at)
    if (char === "{") begin("object")
  }

  const step = (char: string): void => {
    switch (reading) {
      case "start":
        if (char === "[") reading = "between elements"
        else if (!isBlank(char)) begin("line")
        return
      case "between elements":
        if (!isBlank(char) && char !== "," && char !== "]") begin(char === "{" ? "object" : "other")
        return
      case "object":
        return object(char)
      case "other":
        return other(char)
      case "between lines":
        if (!isBlank(char)) begin("line")
        return
      case "line":
        if (char === "\n") finish("between lines", at)
    }
  }

  const taken = (): ReadonlyArray<Piece> => {
    const done = pieces
    pieces = []
    return done
  }

  const inRecord = (): boolean => reading === "object" || reading === "other" || reading === "line"

  return {
    push: (next) => {
      chunk = next
      from = 0
      for (at = 0; at < chunk.length; at++) {
        const char = chunk.charAt(at)
        step(char)
        column++
        if (char === "\n") {
          line++
          column = 1
        }
      }
      if (inRecord()) held = textTo(at)
      if (reading === "object" && held.length === maxLength) reading = "other"
      return taken()
    },
    end: () => {
      chunk = ""
      from = at = 0
      if (inRecord()) finish("between elements", 0)
      return taken()
    }
  }
}

const isBlank = (char: string): boolean => char === " " || char === "\n" || char === "\r" || char === "\t"

const isJson = (text: string): boolean => {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
