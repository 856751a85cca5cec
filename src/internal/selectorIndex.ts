import type { Addressed, Router, Selector } from "../bus/Selector.ts"

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

/** One place in the tree of patterns: what ends here, and where each next segment leads. */
interface Node<A> {
  readonly ends: Set<A>
  readonly next: Map<string, Node<A>>
}

const node = <A>(): Node<A> => ({ ends: new Set(), next: new Map() })

/** How many routes are remembered before they are forgotten all at once: subjects are few, ids in them are many. */
const remembered = 10_000

interface Expression<A> {
  readonly target: A
  readonly expression: RegExp
}

export const make = <A>(): Router<A> => {
  /** Each target, with the order in which it came. */
  const targets = new Map<A, { readonly order: number; readonly selector: Selector }>()
  const everything = new Set<A>()
  const byType = new Map<string, Set<A>>()
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

  const insert = (target: A, selector: Selector): void => {
    switch (selector._tag) {
      case "All":
        return void everything.add(target)
      case "Types":
        for (const type of selector.types) {
          const found = byType.get(type)
          if (found === undefined) byType.set(type, new Set([target]))
          else found.add(target)
        }
        return
      case "Subject":
        return void place(selector.pattern).ends.add(target)
      case "Expression":
        return void expressions.push({ target, expression: new RegExp(selector.source, selector.flags) })
      case "Any":
        for (const each of selector.selectors) insert(target, each)
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

  const withdraw = (target: A, selector: Selector): void => {
    switch (selector._tag) {
      case "All":
        return void everything.delete(target)
      case "Types":
        for (const type of selector.types) {
          const found = byType.get(type)
          found?.delete(target)
          if (found?.size === 0) byType.delete(type)
        }
        return
      case "Subject":
        return prune(root, selector.pattern.split("."), 0, target)
      case "Expression":
        expressions = expressions.filter((each) => each.target !== target)
        return
      case "Any":
        for (const each of selector.selectors) withdraw(target, each)
    }
  }

  /** Takes a target away, and the branches that nothing ends in any more. */
  const prune = (at: Node<A>, segments: ReadonlyArray<string>, depth: number, target: A): void => {
    if (depth === segments.length) return void at.ends.delete(target)
    const segment = segments[depth]!
    const next = at.next.get(segment)
    if (next === undefined) return
    prune(next, segments, depth + 1, target)
    if (next.ends.size === 0 && next.next.size === 0) at.next.delete(segment)
  }

  const walk = (at: Node<A>, segments: ReadonlyArray<string>, depth: number, found: Set<A>): void => {
    const any = at.next.get("**")
    if (any !== undefined) {
      for (let rest = depth; rest <= segments.length; rest++) walk(any, segments, rest, found)
    }
    if (depth === segments.length) {
      for (const target of at.ends) found.add(target)
      return
    }
    const exact = at.next.get(segments[depth]!)
    if (exact !== undefined) walk(exact, segments, depth + 1, found)
    const one = at.next.get("*")
    if (one !== undefined) walk(one, segments, depth + 1, found)
  }

  const compute = ({ subject, type }: Addressed): ReadonlyArray<A> => {
    const found = new Set(everything)
    for (const target of byType.get(type) ?? []) found.add(target)
    walk(root, subject.split("."), 0, found)
    for (const { expression, target } of expressions) if (expression.test(subject)) found.add(target)
    return Array.from(found).sort((a, b) => targets.get(a)!.order - targets.get(b)!.order)
  }

  const remove = (target: A): void => {
    const placed = targets.get(target)
    if (placed === undefined) return
    forget()
    withdraw(target, placed.selector)
    targets.delete(target)
  }

  return {
    add: (target, selector) => {
      remove(target)
      forget()
      targets.set(target, { order: count++, selector })
      insert(target, selector)
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
