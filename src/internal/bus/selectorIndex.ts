import type { Addressed, Router, Selector } from "../../bus/Selector.ts"

/** Whether the segments of a pattern match those of a subject. */
export const matchesSegments = (
  pattern: ReadonlyArray<string>,
  subject: ReadonlyArray<string>,
  atPattern = 0,
  atSubject = 0
): boolean => {
  for (; atPattern < pattern.length; atPattern++, atSubject++) {
    const segment = pattern[atPattern]!
    if (segment === "**") {
      for (let rest = atSubject; rest <= subject.length; rest++) {
        if (matchesSegments(pattern, subject, atPattern + 1, rest)) return true
      }
      return false
    }
    if (atSubject === subject.length || (segment !== "*" && segment !== subject[atSubject])) return false
  }
  return atSubject === subject.length
}

/** A target, with its place among all of them. */
interface Entry<A> {
  readonly target: A
  readonly order: number
  readonly selector: Selector
}

/** One place in the tree of patterns: what ends here, and where each next segment leads. */
interface Node<A> {
  readonly ends: Set<Entry<A>>
  readonly next: Map<string, Node<A>>
}

const node = <A>(): Node<A> => ({ ends: new Set(), next: new Map() })

/** How many routes are remembered before they are forgotten all at once: subjects are few, ids in them are many. */
const remembered = 10_000

interface Expression<A> {
  readonly entry: Entry<A>
  readonly expression: RegExp
}

export const make = <A>(): Router<A> => {
  const targets = new Map<A, Entry<A>>()
  const everything = new Set<Entry<A>>()
  const byType = new Map<string, Set<Entry<A>>>()
  const root = node<A>()
  let expressions: Array<Expression<A>> = []
  let count = 0
  /** By type, then subject: a key put together of both would have to be hashed for each message. */
  const routes = new Map<string, Map<string, ReadonlyArray<A>>>()
  let known = 0
  const forget = (): void => {
    if (known === 0) return
    routes.clear()
    known = 0
  }

  const insert = (entry: Entry<A>, selector: Selector): void => {
    switch (selector._tag) {
      case "All":
        return void everything.add(entry)
      case "Types":
        for (const type of selector.types) {
          const found = byType.get(type)
          if (found === undefined) byType.set(type, new Set([entry]))
          else found.add(entry)
        }
        return
      case "Subject":
        return void place(selector.pattern).ends.add(entry)
      case "Expression":
        return void expressions.push({ entry, expression: new RegExp(selector.source, selector.flags) })
      case "Any":
        for (const each of selector.selectors) insert(entry, each)
    }
  }

  const place = (pattern: string): Node<A> => {
    let at = root
    for (const segment of pattern.split(".")) {
      let next = at.next.get(segment)
      if (next === undefined) at.next.set(segment, next = node())
      at = next
    }
    return at
  }

  const withdraw = (entry: Entry<A>, selector: Selector): void => {
    switch (selector._tag) {
      case "All":
        return void everything.delete(entry)
      case "Types":
        for (const type of selector.types) {
          const found = byType.get(type)
          found?.delete(entry)
          if (found?.size === 0) byType.delete(type)
        }
        return
      case "Subject":
        return prune(root, selector.pattern.split("."), 0, entry)
      case "Expression":
        expressions = expressions.filter((each) => each.entry !== entry)
        return
      case "Any":
        for (const each of selector.selectors) withdraw(entry, each)
    }
  }

  /** Takes a target away, and the branches that nothing ends in any more. */
  const prune = (at: Node<A>, segments: ReadonlyArray<string>, depth: number, entry: Entry<A>): void => {
    if (depth === segments.length) return void at.ends.delete(entry)
    const segment = segments[depth]!
    const next = at.next.get(segment)
    if (next === undefined) return
    prune(next, segments, depth + 1, entry)
    if (next.ends.size === 0 && next.next.size === 0) at.next.delete(segment)
  }

  const walk = (at: Node<A>, segments: ReadonlyArray<string>, depth: number, found: Array<Entry<A>>): void => {
    const any = at.next.get("**")
    if (any !== undefined) {
      for (let rest = depth; rest <= segments.length; rest++) walk(any, segments, rest, found)
    }
    if (depth === segments.length) {
      for (const entry of at.ends) found.push(entry)
      return
    }
    const exact = at.next.get(segments[depth]!)
    if (exact !== undefined) walk(exact, segments, depth + 1, found)
    const one = at.next.get("*")
    if (one !== undefined) walk(one, segments, depth + 1, found)
  }

  const compute = ({ subject, type }: Addressed): ReadonlyArray<A> => {
    const found = Array.from(everything)
    const ofType = byType.get(type)
    if (ofType !== undefined) { for (const entry of ofType) found.push(entry) }
    walk(root, subject.split("."), 0, found)
    for (const { entry, expression } of expressions) if (expression.test(subject)) found.push(entry)
    found.sort((a, b) => a.order - b.order)
    const route: Array<A> = []
    // one that is found in several ways stands next to itself
    for (let at = 0; at < found.length; at++) if (found[at] !== found[at - 1]) route.push(found[at]!.target)
    return route
  }

  const remove = (target: A): void => {
    const placed = targets.get(target)
    if (placed === undefined) return
    forget()
    withdraw(placed, placed.selector)
    targets.delete(target)
  }

  return {
    add: (target, selector) => {
      remove(target)
      forget()
      const entry: Entry<A> = { target, order: count++, selector }
      targets.set(target, entry)
      insert(entry, selector)
    },
    remove,
    route: (message) => {
      const found = routes.get(message.type)?.get(message.subject)
      if (found !== undefined) return found
      if (known === remembered) forget()
      known++
      const route = compute(message)
      const ofType = routes.get(message.type)
      if (ofType === undefined) routes.set(message.type, new Map([[message.subject, route]]))
      else ofType.set(message.subject, route)
      return route
    }
  }
}
