import type * as Element from "./element.ts"

/** The parser of patterns in text: recursive descent, one function for each rule of the grammar. */

/** What was read where something else was expected. */
export class Unexpected {
  readonly at: number
  readonly expected: string
  constructor(at: number, expected: string) {
    this.at = at
    this.expected = expected
  }
}

const units: ReadonlyMap<string, number> = new Map([
  ["ms", 1],
  ["milli", 1],
  ["millisecond", 1],
  ["s", 1_000],
  ["sec", 1_000],
  ["second", 1_000],
  ["min", 60_000],
  ["minute", 60_000],
  ["h", 3_600_000],
  ["hour", 3_600_000],
  ["d", 86_400_000],
  ["day", 86_400_000],
  ["week", 604_800_000]
])

const word = /[\p{L}_$][\p{L}\p{M}\p{N}_.$-]*/uy
const number = /\d+(?:\.\d+)?/y

/** So deep may parentheses stand in each other: whoever walks over a pattern goes down as deep. */
const maxDepth = 100

/**
 * Reads a pattern. Throws {@link Unexpected} at the first character that does not fit.
 */
export const parse = (text: string, tags: ReadonlySet<string> | undefined): Element.Definition => {
  let at = 0
  let depth = 0
  const names = new Map<string, number>()

  const space = () => {
    while (/\s/.test(text[at] ?? "")) at++
  }
  const is = (what: string): boolean => {
    space()
    return text.startsWith(what, at)
  }
  const take = (what: string): boolean => {
    if (!is(what)) return false
    at += what.length
    return true
  }
  const read = (what: RegExp): string | undefined => {
    space()
    what.lastIndex = at
    const found = what.exec(text)?.[0]
    if (found !== undefined) at += found.length
    return found
  }
  /** A word, whose `-` is not that of an arrow. */
  const readWord = (): string | undefined => {
    const from = at
    const found = read(word)
    if (found === undefined) return undefined
    const arrow = text[at] === ">" && found.endsWith("-")
    if (arrow) at--
    const end = arrow ? found.replace(/-+$/, "") : found
    if (arrow) at -= found.length - 1 - end.length
    if (end === "") at = from
    return end === "" ? undefined : end
  }
  const need = (what: string, expected: string): void => {
    if (!take(what)) fail(expected)
  }
  const fail = (expected: string, position = (space(), at)): never => {
    throw new Unexpected(position, expected)
  }

  const unique = (name: string, given: boolean, position: number): string => {
    const count = (names.get(name) ?? 0) + 1
    names.set(name, count)
    if (count === 1) return name
    return given ? fail(`a name that no other step has, for ${JSON.stringify(name)} is taken`, position) : unique(
      `${name}${count}`,
      false,
      position
    )
  }

  const arrow = (): "next" | "followedBy" | "followedByAny" | undefined =>
    take("->") ? "followedBy" : take("=>") ? "next" : take("~>") ? "followedByAny" : undefined

  const pattern = (): Element.Definition => {
    const elements = sequence()
    const within = keyword("within") ? duration() : undefined
    space()
    if (at < text.length) fail("an arrow (-> => ~>), & | or the end")
    return { elements, within, skip: { _tag: "none" } }
  }

  const keyword = (what: string): boolean => {
    const from = at
    if (readWord() === what) return true
    at = from
    return false
  }

  const duration = (): number => {
    const count = Number(read(number) ?? fail("a number"))
    space()
    const position = at
    const unit = readWord() ?? fail("a unit of time: ms, s, minutes, hours, days or weeks")
    const millis = units.get(unit) ?? units.get(unit.replace(/s$/, ""))
    if (millis === undefined) return fail("a unit of time: ms, s, minutes, hours, days or weeks", position)
    return count === 0 ? fail("more than no time", position) : count * millis
  }

  const sequence = (): ReadonlyArray<Element.Element> => {
    const elements = [...unit("followedBy")]
    for (let contiguity = arrow(); contiguity !== undefined; contiguity = arrow()) elements.push(...unit(contiguity))
    return elements
  }

  const unit = (contiguity: Element.Contiguity): ReadonlyArray<Element.Element> => {
    const position = (space(), at)
    if (take("!")) {
      if (contiguity === "followedByAny") fail("-> or => before a negation", position)
      return [{
        _tag: "Negation",
        contiguity: contiguity === "next" ? "notNext" : "notFollowedBy",
        tags: tag("an event or *"),
        where: []
      }]
    }
    const parts = [conjunction()]
    while (take("|")) parts.push(conjunction())
    return [single(contiguity, parts.length === 1 ? parts[0] ?? [] : [{ _tag: "Or", contiguity, of: parts }])]
  }

  const single = (contiguity: Element.Contiguity, elements: ReadonlyArray<Element.Element>): Element.Element => {
    const [first] = elements
    return elements.length === 1 && first !== undefined && first._tag !== "Negation"
      ? { ...first, contiguity }
      : { _tag: "Group", contiguity, elements, inner: "followedBy", optional: false }
  }

  const conjunction = (): ReadonlyArray<Element.Element> => {
    const parts = [atom()]
    while (take("&")) parts.push(atom())
    return parts.length === 1
      ? parts[0] ?? []
      : [{ _tag: "And", contiguity: "followedBy", inner: "followedBy", of: parts }]
  }

  const tag = (expected: string): ReadonlyArray<string> => {
    const position = (space(), at)
    if (take("*")) return []
    const name = take("\"") ? quoted() : readWord()
    if (name === undefined) return fail(expected)
    if (tags !== undefined && !tags.has(name)) fail(`one of the events ${[...tags].join(", ")}`, position)
    return [name]
  }

  /** What is left of a text in quotes: all characters stand for themselves, but `\"` and `\\`. */
  const quoted = (): string => {
    let found = ""
    for (; text[at] !== "\""; at++) {
      if (at >= text.length) fail("a closing \"", text.length)
      if (text[at] === "\\") {
        at++
        if (text[at] !== "\"" && text[at] !== "\\") fail("\" or \\ after \\", at)
      }
      found += text[at]
    }
    if (found === "") fail("a name", at)
    at++
    return found
  }

  const atom = (): ReadonlyArray<Element.Element> => {
    if (is("(")) {
      if (depth === maxDepth) fail(`at most ${maxDepth} parentheses in each other`)
      at++
      depth++
      const elements = sequence()
      depth--
      need(")", "an arrow (-> => ~>), & | or )")
      const quantified = quantifier()
      return quantified === undefined
        ? elements
        : [{ _tag: "Group", contiguity: "followedBy", elements, inner: "followedBy", ...quantified }]
    }
    const position = (space(), at)
    if (is("!")) fail("an event, *, or (: only what stands between arrows can be negated")
    const given = label()
    const tags = tag(given === undefined ? "an event, *, or (" : "an event or *")
    const name = given ?? unique(tags[0] ?? "any", false, position)
    return [{
      _tag: "Step",
      name,
      contiguity: "followedBy",
      tags,
      where: [],
      inner: "followedBy",
      greedy: false,
      maximal: false,
      until: [],
      ...quantifier() ?? { optional: false }
    }]
  }

  /** The name of a step, before a colon. */
  const label = (): string | undefined => {
    const from = (space(), at)
    const name = readWord()
    if (name !== undefined && take(":")) return unique(name, true, from)
    at = from
    return undefined
  }

  const quantifier = (): { readonly times?: Element.Times; readonly optional: boolean } | undefined => {
    if (take("?")) return { optional: true }
    if (take("+")) return { times: { min: 1 }, optional: false }
    if (take("*")) return { times: { min: 0 }, optional: false }
    if (!take("{")) return undefined
    const position = (space(), at)
    const min = integer()
    if (take("}")) {
      if (min === undefined) fail("a count", position)
      if (min === 0) fail("more than zero times", position)
      return { times: { min: min ?? 0, max: min }, optional: false }
    }
    need(",", min === undefined ? "a count or a comma" : "a comma or }")
    const upper = (space(), at)
    const max = integer()
    if (max !== undefined && max < Math.max(1, min ?? 0)) fail(`at least ${Math.max(1, min ?? 0)}`, upper)
    if (min === undefined && max === undefined) fail("a count")
    need("}", "}")
    return { times: { min: min ?? 0, max }, optional: false }
  }

  const integer = (): number | undefined => {
    const found = read(/\d+/y)
    return found === undefined ? undefined : Number(found)
  }

  return pattern()
}
