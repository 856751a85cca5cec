import * as Condition from "./condition.ts"
import * as Element from "./element.ts"
import { namedIn, tagsOf } from "./interest.ts"
import { list, type Path } from "./path.ts"

/**
 * A pattern as states: what may be awaited after the events taken so far, with counted loops rolled out. A state is made when
 * it is first reached, so that a loop of a million elements costs nothing before it has taken any.
 */

/** What is asked of an event: its type, and then conditions. One object for each place in the pattern that asks. */
export interface Test {
  /** None: any type. */
  readonly tags: ReadonlySet<string> | undefined
  /** None: nothing more is asked. */
  readonly asks: ((event: { readonly _tag: string }, path: Path | undefined) => boolean) | undefined
  /** Whether it looks at the event alone, so that the answer is the same whatever was taken before. */
  readonly alone: boolean
  /** The event that was asked about last, and the answer; for those who ask all partial matches at once. */
  asked: number
  answer: boolean
}

export const holds = (test: Test, event: { readonly _tag: string }, path: Path | undefined): boolean =>
  (test.tags === undefined || test.tags.has(event._tag)) && (test.asks === undefined || test.asks(event, path))

export interface Greedy {
  readonly test: Test
  readonly until: Test | undefined
}

export interface Wait {
  readonly step: string
  readonly test: Test
  readonly contiguity: Element.Contiguity
  readonly again: boolean
  readonly until: Test | undefined
  readonly gap: number
  readonly greedy: ReadonlyArray<Greedy>
  readonly notNext: ReadonlyArray<Test>
  readonly notFollowedBy: ReadonlyArray<Test>
  readonly maximal: boolean
  readonly to: () => State
}

export interface End {
  readonly notNext: ReadonlyArray<Test>
  readonly notFollowedBy: ReadonlyArray<Test>
  /** The wait of a maximal loop, which must close first. */
  readonly holding: number
}

export interface Fresh {
  readonly waits: ReadonlyArray<boolean>
  readonly ended: ReadonlyArray<ReadonlyArray<boolean>>
  readonly fresh: boolean
  readonly ending: boolean
  readonly nextPassed: boolean
  readonly windowPassed: boolean
}

export interface State {
  readonly id: number
  /** The state and the wait from which it was first reached; none for the root. Numbers differ from run to run, this does not. */
  readonly via: { readonly from: number; readonly wait: number } | undefined
  readonly waits: ReadonlyArray<Wait>
  readonly end: End | undefined
  /** A run that has just come here. */
  readonly fresh: Fresh
  /** The tags that change something; none: every event does. */
  readonly tags: ReadonlySet<string> | undefined
}

/** What partial matches are of, and how many of them there may be. */
export interface Bounded {
  readonly program: Program
  readonly maxRunsPerKey: number
  readonly maxRuns: number
  readonly policy: "fail" | "dropOldest" | "dropNewest"
}

export interface Program {
  readonly root: State
  readonly shapes: Element.Shapes
  readonly window: number
  readonly skip: Element.Skip
  /** Every state, in the order in which they are numbered; limited, where loops are long. */
  readonly state: (id: number) => State
  readonly states: () => number
  /** The tags that change anything; none: every event does. */
  readonly tags: ReadonlySet<string> | undefined
  /** The tags that steps and negations name. */
  readonly named: ReadonlySet<string>
}

interface Guards {
  readonly greedy: ReadonlyArray<Greedy>
  readonly notNext: ReadonlyArray<Interested>
  readonly notFollowedBy: ReadonlyArray<Interested>
}

interface Interested {
  readonly test: Test
  readonly tags: ReadonlyArray<string>
}

interface Awaited extends Omit<Wait, "notNext" | "notFollowedBy" | "to"> {
  readonly guards: Guards
  readonly tags: ReadonlyArray<string> | undefined
  readonly to: Next
}

interface Options {
  readonly waits: ReadonlyArray<Awaited>
  readonly ends: ReadonlyArray<Guards>
}

/** What comes after, given what was left out on the way to it. One object for each place in the pattern. */
interface Next {
  readonly options: (guards: Guards) => Options
  /** The negations right there, which also watch over the loop before. */
  readonly armed: Pick<Guards, "notNext" | "notFollowedBy">
}

const nothing: Condition.SoFar = {}
const none: ReadonlyArray<unknown> = []
const unguarded: Guards = { greedy: [], notNext: [], notFollowedBy: [] }
const unarmed = { notNext: [], notFollowedBy: [] }

/** Whether what was bound is known of an event not far back. A long way is gone at once: step by step, each would keep a list. */
const isNear = (path: Path): boolean => {
  let at = path.before
  for (let steps = 0; at !== undefined && at.bound === undefined; at = at.before) {
    if (++steps === 8) return false
  }
  return true
}

const both = (left: Options, right: Options): Options => ({
  waits: [...left.waits, ...right.waits],
  ends: [...left.ends, ...right.ends]
})

export const compile = (definition: Element.Definition): Program => {
  const shapes = Element.shapesOf(definition.elements)
  // where no list is there before it has an event, what is bound is what was, and one event more
  const grows = shapes.empty.length === 0
  const empty = Element.bind(shapes, [])
  const boundOf = (path: Path | undefined): Record<string, unknown> => {
    if (path === undefined) return empty
    if (path.bound === undefined) {
      const { before } = path
      path.bound = grows && isNear(path) ? grown(path) : Element.bind(shapes, list(path))
      // nobody waits there any more: of a long loop, each event would keep a list of all before it
      if (before !== undefined && before.live === 0) before.bound = undefined
    }
    return path.bound
  }
  const grown = ({ before, event, step }: Path): Record<string, unknown> => {
    const many = shapes.many.has(step)
    if (before === undefined) return { [step]: many ? [event] : event }
    const soFar = boundOf(before)
    const own = soFar[step]
    return { ...soFar, [step]: many ? Array.isArray(own) ? [...own, event] : [event] : event }
  }
  const ask = (where: ReadonlyArray<Element.Where>, step: string, alone: boolean): Exclude<Test["asks"], undefined> => {
    const all = where.map((one) => typeof one === "function" ? one : Condition.compiled(one))
    const [only] = all
    if (alone) {
      if (only !== undefined && all.length === 1) return (event) => only(event, nothing, none)
      return (event) => all.every((one) => one(event, nothing, none))
    }
    return (event, path) => {
      const soFar = boundOf(path)
      const own = Condition.listOf(soFar[step])
      return all.every((one) => one(event, soFar, own))
    }
  }
  const test = (tags: ReadonlyArray<string>, where: ReadonlyArray<Element.Where>, step: string): Test => {
    const alone = where.every(Condition.isAlone)
    return {
      tags: tags.length === 0 ? undefined : new Set(tags),
      asks: where.length === 0 ? undefined : ask(where, step, alone),
      alone,
      asked: -1,
      answer: false
    }
  }
  const tests = new Map<Element.Step | Element.Negation, Test>()
  const testOf = (element: Element.Step | Element.Negation): Test => {
    let known = tests.get(element)
    if (known === undefined) {
      known = test(element.tags, element.where, element._tag === "Step" ? element.name : "")
      tests.set(element, known)
    }
    return known
  }
  const untils = new Map<Element.Step, Test>()
  const untilOf = (step: Element.Step): Test | undefined => {
    if (step.until.length === 0) return undefined
    let known = untils.get(step)
    if (known === undefined) untils.set(step, known = test([], step.until, step.name))
    return known
  }
  const leaving = (element: Element.Element, guards: Guards): Guards =>
    element._tag === "Step" && element.greedy
      ? {
        ...guards,
        greedy: [...guards.greedy, {
          test: testOf(element),
          until: untilOf(element)
        }]
      }
      : guards
  const sequence = (
    elements: ReadonlyArray<Element.Element>,
    entry: Element.Contiguity | undefined,
    then: Next
  ): Next => {
    let next = then
    for (let at = elements.length - 1; at >= 0; at--) {
      const element = elements[at]
      if (element === undefined) continue
      const after = next
      if (element._tag === "Negation") {
        const negations = elements.slice(at)
        next = then === finish && negations.every((one) => one._tag === "Negation")
          ? trailing(after, negations)
          : negation(after, element)
      } else {
        const contiguity = at === 0 ? entry ?? element.contiguity : element.contiguity
        const first = positive(element, contiguity, after)
        next = {
          armed: unarmed,
          options: (guards) =>
            Element.skippable(element)
              ? both(first.options(guards), after.options(leaving(element, guards)))
              : first.options(guards)
        }
      }
    }
    return next
  }

  const interested = (element: Element.Negation): Interested => ({
    test: testOf(element),
    tags: element.tags
  })

  const armed = (after: Next, element: Element.Negation, one: Interested): Next["armed"] =>
    element.contiguity === "notNext"
      ? { ...after.armed, notNext: [one, ...after.armed.notNext] }
      : { ...after.armed, notFollowedBy: [one, ...after.armed.notFollowedBy] }

  const negation = (after: Next, element: Element.Negation): Next => {
    const one = interested(element)
    return {
      armed: armed(after, element, one),
      options: (guards) =>
        after.options(
          element.contiguity === "notNext"
            ? { ...guards, notNext: [...guards.notNext, one] }
            : { ...guards, notFollowedBy: [...guards.notFollowedBy, one] }
        )
    }
  }

  /** What is left is negations: those on the way to them ask nothing more, but for the very next event. */
  const trailing = (after: Next, negations: ReadonlyArray<Element.Negation>): Next => {
    const [first] = negations
    const tests = (contiguity: Element.Negation["contiguity"]) =>
      negations.filter((one) => one.contiguity === contiguity).map(interested)
    const notNext = tests("notNext")
    const notFollowedBy = tests("notFollowedBy")
    return {
      armed: first === undefined ? after.armed : armed(after, first, interested(first)),
      options: (guards) => ({
        waits: [],
        ends: [{ greedy: [], notNext: [...guards.notNext, ...notNext], notFollowedBy }]
      })
    }
  }

  const positive = (element: Element.Positive, contiguity: Element.Contiguity, after: Next): Next => {
    switch (element._tag) {
      case "Step":
      case "Group":
        return round(element, contiguity, 1, after, new Map())
      case "Or": {
        const parts = element.of.map((part) => sequence(part, contiguity, after))
        return { armed: unarmed, options: (guards) => parts.map((part) => part.options(guards)).reduce(both) }
      }
      case "And": {
        const known = new Map<number, Next>()
        const remaining = (mask: number, entry: Element.Contiguity): Next => {
          if (mask === 0) return after
          const found = known.get(mask)
          if (found !== undefined) return found
          const parts = element.of.flatMap((part, at) =>
            (mask & (1 << at)) === 0 ? [] : [sequence(part, entry, remaining(mask & ~(1 << at), element.inner))]
          )
          const next: Next = {
            armed: unarmed,
            options: (guards) => parts.map((part) => part.options(guards)).reduce(both)
          }
          known.set(mask, next)
          return next
        }
        return remaining((1 << element.of.length) - 1, contiguity)
      }
    }
  }

  /** The element is taken for the `count`th time; beyond what is asked at least, rounds without an upper bound are one. */
  const round = (
    element: Element.Step | Element.Group,
    contiguity: Element.Contiguity,
    count: number,
    after: Next,
    rounds: Map<number, Next>
  ): Next => {
    const known = rounds.get(count)
    if (known !== undefined) return known
    const least = Element.least(element)
    const most = Element.most(element)
    const following = most === Infinity && count >= Math.max(2, least) ? count : count + 1
    let again: Next | undefined
    const done: Next = {
      armed: most === 1 ? after.armed : unarmed,
      options: (guards) => {
        const out = count >= least ? after.options(leaving(element, guards)) : { waits: [], ends: [] }
        if (count >= most) return out
        again ??= round(element, element.inner, following, after, rounds)
        const inside = again.options({
          greedy: guards.greedy,
          notNext: [...guards.notNext, ...after.armed.notNext],
          notFollowedBy: [...guards.notFollowedBy, ...after.armed.notFollowedBy]
        })
        return both(inside, out)
      }
    }
    const extra = count > 1 ? element.times?.gap ?? Infinity : Infinity
    let next: Next
    if (element._tag === "Step") {
      const wait: Omit<Awaited, "guards"> = {
        step: element.name,
        test: testOf(element),
        contiguity,
        again: count > 1,
        until: untilOf(element),
        gap: Math.min(element.gap ?? Infinity, extra),
        greedy: [],
        maximal: element.maximal,
        tags: element.tags.length === 0 || element.until.length > 0 ? undefined : element.tags,
        to: done
      }
      next = {
        armed: unarmed,
        options: (guards) => ({ waits: [{ ...wait, greedy: guards.greedy, guards }], ends: [] })
      }
    } else {
      const body = sequence(element.elements, contiguity, done)
      next = {
        armed: unarmed,
        options: (guards) => {
          const { ends, waits } = body.options(guards)
          return { ends, waits: waits.map((wait) => ({ ...wait, gap: Math.min(wait.gap, extra) })) }
        }
      }
    }
    rounds.set(count, next)
    return next
  }

  const finish: Next = {
    armed: unarmed,
    options: (guards) => ({ waits: [], ends: [{ greedy: [], notNext: guards.notNext, notFollowedBy: [] }] })
  }

  const ids = new Map<Next, number>()
  const states: Array<State | undefined> = []
  const places: Array<Next> = []
  const vias: Array<State["via"]> = []
  const idOf = (next: Next, via: State["via"]): number => {
    const known = ids.get(next)
    if (known !== undefined) return known
    const id = places.push(next) - 1
    ids.set(next, id)
    vias.push(via)
    return id
  }
  const state = (id: number): State => {
    const known = states[id]
    if (known !== undefined) return known
    const place = places[id]
    if (place === undefined) throw new RangeError(`the pattern has no state ${id}`)
    const { ends, waits } = place.options(unguarded)
    const [end] = ends
    const made: State = {
      id,
      via: vias[id],
      waits: waits.map((wait, at): Wait => {
        const to = idOf(wait.to, { from: id, wait: at })
        return {
          ...wait,
          notNext: wait.guards.notNext.map(({ test }) => test),
          notFollowedBy: wait.guards.notFollowedBy.map(({ test }) => test),
          to: () => state(to)
        }
      }),
      end: end && {
        notNext: end.notNext.map(({ test }) => test),
        notFollowedBy: end.notFollowedBy.map(({ test }) => test),
        holding: waits.findIndex(({ maximal }) => maximal)
      },
      fresh: {
        waits: waits.map(() => true),
        ended: waits.map(({ greedy }) => greedy.map(() => false)),
        fresh: true,
        ending: end !== undefined,
        nextPassed: end?.notNext.length === 0,
        windowPassed: false
      },
      tags: interest(waits, end)
    }
    states[id] = made
    return made
  }
  const interest = (waits: ReadonlyArray<Awaited>, end: Guards | undefined): ReadonlySet<string> | undefined => {
    const all = new Set<string>()
    for (const { contiguity, greedy, guards, tags } of waits) {
      if (contiguity === "next" || guards.notNext.length > 0 || greedy.length > 0 || tags === undefined) {
        return undefined
      }
      for (const tag of tags) all.add(tag)
      for (const one of guards.notFollowedBy) {
        if (one.tags.length === 0) return undefined
        for (const tag of one.tags) all.add(tag)
      }
    }
    if (end !== undefined && end.notNext.length > 0) return undefined
    for (const one of end?.notFollowedBy ?? []) {
      if (one.tags.length === 0) return undefined
      for (const tag of one.tags) all.add(tag)
    }
    return all
  }
  const root = state(idOf(sequence(definition.elements, undefined, finish), undefined))
  return {
    root,
    shapes,
    window: definition.within ?? Infinity,
    skip: definition.skip,
    state,
    states: () => places.length,
    tags: tagsOf(definition.elements),
    named: namedIn(definition.elements)
  }
}
