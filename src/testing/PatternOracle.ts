/**
 * What a pattern matches, by trying everything: no automaton, no state, no cleverness. It is the executable specification of
 * `effect-skald/cep/Pattern`; engines are tested against it.
 *
 * A match is found by asking, from the events taken so far, which events may be the next one taken: for each thing that the
 * pattern may await there (`Wait`), all later events are looked at, and a rule says which of them will do. The numbers in
 * the comments are those of the rules in `docs/patterns.md`. It takes exponential time: give it some ten events.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import * as Pattern from "../cep/Pattern.ts"
import * as Element from "../internal/cep/element.ts"

// -------------------------------------------------------------------------------------------------------------- models

/**
 * A match: what it binds, its events as step and index of the event, and the index of the event that it was reported on;
 * none where only the passing of time after the last event reported it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Found<B> {
  readonly match: B
  readonly events: ReadonlyArray<readonly [step: string, index: number]>
  readonly reportedAt: number | undefined
}

/**
 * The run of events that a match was on the way of when its time was over.
 *
 * @since 0.1.0
 * @category models
 */
export interface TimedOut {
  readonly events: ReadonlyArray<readonly [step: string, index: number]>
  readonly reportedAt: number | undefined
}

/**
 * All that a pattern says of a sequence of events. `missed` is the match after which `skipToFirst` or `skipToLast` had
 * nowhere to go, if that was to fail: nothing is reported after it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Answer<B> {
  readonly matches: ReadonlyArray<Found<B>>
  readonly timedOut: ReadonlyArray<TimedOut>
  readonly missed: Found<B> | undefined
}

/**
 * How events are told: in the order in which they are given.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<Ev> {
  /** Milliseconds; never less than for the event before. All events are at 0 when not given. */
  readonly timestamp?: ((event: Ev) => number) | undefined
  /** How far time went on after the last event, in milliseconds; `Infinity` for ever. */
  readonly end?: number | undefined
}

/**
 * When something is known: while the event of an index is processed, or before it, as time moves up to it. The end of the
 * input counts as one more event.
 */
interface Moment {
  readonly index: number
  /** The time that is reached; infinite while the event itself is processed. */
  readonly time: number
}

const never: Moment = { index: Number.POSITIVE_INFINITY, time: 0 }
const on = (index: number): Moment => ({ index, time: Number.POSITIVE_INFINITY })
const order = (left: Moment, right: Moment): number =>
  left.index === right.index ? (left.time === right.time ? 0 : left.time - right.time) : left.index - right.index
const earlier = (left: Moment, right: Moment): Moment => order(left, right) <= 0 ? left : right
const later = (left: Moment, right: Moment): Moment => order(left, right) >= 0 ? left : right
const isTime = (moment: Moment): boolean => Number.isFinite(moment.index) && Number.isFinite(moment.time)

/** What is left of a pattern. */
type Rest =
  | undefined
  | {
    readonly _tag: "Sequence"
    readonly elements: ReadonlyArray<Element.Element>
    /** Overrides the contiguity of the first element: a part follows as its whole does. */
    readonly entry?: Element.Contiguity | undefined
    readonly then: Rest
  }
  | {
    readonly _tag: "Loop"
    readonly of: Element.Step | Element.Group
    readonly taken: number
    readonly then: Rest
  }
  | {
    readonly _tag: "Remaining"
    readonly of: Element.AnyOrder
    readonly parts: ReadonlyArray<ReadonlyArray<Element.Element>>
    readonly then: Rest
  }

/** What forbids to pass over events, or to take one. */
type Guard =
  | { readonly _tag: "Negation"; readonly of: Element.Negation }
  | { readonly _tag: "Greedy"; readonly of: Element.Step }

/** A step that is awaited. */
interface Wait {
  readonly _tag: "Wait"
  readonly step: Element.Step
  readonly contiguity: Element.Contiguity
  readonly guards: ReadonlyArray<Guard>
  /** Whether it is another element of the loop, not the first. */
  readonly again: boolean
  readonly gap: number
  readonly then: Rest
}

/** Nothing more is awaited, but for what must not come. */
interface End {
  readonly _tag: "End"
  readonly negations: ReadonlyArray<Element.Negation>
}

// -------------------------------------------------------------------------------------------- what may be awaited next

/** What may be awaited when `rest` is left; `guards` are those of elements that were left out or left on the way. */
const awaited = (rest: Rest, guards: ReadonlyArray<Guard>): ReadonlyArray<Wait | End> => {
  if (rest === undefined) {
    // 7: a negation that only a left-out step followed asks nothing, but for `notNext`, whose event must exist
    return [{
      _tag: "End",
      negations: guards.flatMap((guard) =>
        guard._tag === "Negation" && guard.of.contiguity === "notNext" ? [guard.of] : []
      )
    }]
  }
  switch (rest._tag) {
    case "Sequence": {
      const [element, ...others] = rest.elements
      if (element === undefined) return awaited(rest.then, guards)
      const then: Rest = { _tag: "Sequence", elements: others, then: rest.then }
      if (element._tag === "Negation") {
        const trailing = rest.then === undefined && others.every(({ _tag }) => _tag === "Negation")
        if (!trailing) return awaited(then, [...guards, { _tag: "Negation", of: element }])
        // 8: at the end of the pattern
        return awaited(undefined, guards).map((end) => ({
          ...end as End,
          negations: [...(end as End).negations, ...rest.elements as ReadonlyArray<Element.Negation>]
        }))
      }
      const entered = enter(element, rest.entry ?? element.contiguity, 1, then, guards)
      // 4: the step after it follows directly, as it says itself
      return Element.skippable(element) ? [...entered, ...awaited(then, leaving(element, guards))] : entered
    }
    case "Loop": {
      // 3: another element, or on to the next step
      const { of, taken, then } = rest
      const again = taken < Element.most(of)
        ? enter(of, of.inner, taken + 1, then, [...guards, ...negationsAfter(then)])
        : []
      return taken >= Element.least(of) ? [...again, ...awaited(then, leaving(of, guards))] : again
    }
    case "Remaining":
      return parts(rest.of, rest.parts, rest.of.inner, rest.then, guards)
  }
}

/** 5: who leaves a greedy loop, or leaves it out, leaves none of its events behind. */
const leaving = (element: Element.Element, guards: ReadonlyArray<Guard>): ReadonlyArray<Guard> =>
  element._tag === "Step" && element.greedy ? [...guards, { _tag: "Greedy", of: element }] : guards

/**
 * A negation after a loop is armed after every element of it; also where the loop ends a part of the pattern that is not
 * itself a loop.
 */
const negationsAfter = (rest: Rest): ReadonlyArray<Guard> => {
  switch (rest?._tag) {
    case "Sequence": {
      const [element, ...others] = rest.elements
      if (element === undefined) return negationsAfter(rest.then)
      return element._tag === "Negation"
        ? [{ _tag: "Negation", of: element }, ...negationsAfter({ ...rest, elements: others })]
        : []
    }
    case "Loop":
      return Element.most(rest.of) === 1 ? negationsAfter(rest.then) : []
    case "Remaining":
      return rest.parts.length === 0 ? negationsAfter(rest.then) : []
    default:
      return []
  }
}

const enter = (
  element: Element.Positive,
  contiguity: Element.Contiguity,
  count: number,
  then: Rest,
  guards: ReadonlyArray<Guard>
): ReadonlyArray<Wait | End> => {
  switch (element._tag) {
    case "Step": {
      const gap = Math.min(element.gap ?? Infinity, count > 1 ? element.times?.gap ?? Infinity : Infinity)
      const loop: Rest = { _tag: "Loop", of: element, taken: count, then }
      return [{ _tag: "Wait", step: element, contiguity, guards, again: count > 1, gap, then: loop }]
    }
    case "Group": {
      const loop: Rest = { _tag: "Loop", of: element, taken: count, then }
      const gap = count > 1 ? element.times?.gap ?? Infinity : Infinity
      return awaited({ _tag: "Sequence", elements: element.elements, entry: contiguity, then: loop }, guards)
        .map((one) => one._tag === "Wait" ? { ...one, gap: Math.min(one.gap, gap) } : one)
    }
    case "Or":
      return element.of.flatMap((part) =>
        awaited({ _tag: "Sequence", elements: part, entry: contiguity, then }, guards)
      )
    case "And":
      return parts(element, element.of, contiguity, then, guards)
  }
}

/** Any of the parts that are left, then the others. */
const parts = (
  of: Element.AnyOrder,
  left: ReadonlyArray<ReadonlyArray<Element.Element>>,
  contiguity: Element.Contiguity,
  then: Rest,
  guards: ReadonlyArray<Guard>
): ReadonlyArray<Wait | End> =>
  left.length === 0
    ? awaited(then, guards)
    : left.flatMap((part) => {
      const others: Rest = { _tag: "Remaining", of, parts: left.filter((other) => other !== part), then }
      return awaited({ _tag: "Sequence", elements: part, entry: contiguity, then: others }, guards)
    })

// ------------------------------------------------------------------------------------------------------------- running

/** The events taken so far, in order. */
type Taken = ReadonlyArray<readonly [step: string, index: number]>

/** Something that goes on from one moment to another, for matches that begin at `start`. */
interface Alive {
  readonly start: number
  readonly from: Moment
  readonly to: Moment
}

/**
 * All matches of a pattern in a sequence of events, in the order in which they are reported. An illegal pattern is refused
 * by throwing `InvalidPattern`.
 *
 * @example
 * ```ts
 * import * as Pattern from "effect-skald/cep/Pattern"
 * import * as Event from "effect-skald/event/Event"
 * import * as PatternOracle from "effect-skald/testing/PatternOracle"
 *
 * const Asked = Event.make("Asked", {})
 * const Answered = Event.make("Answered", {})
 * const pattern = Pattern.begin("asked", Asked).pipe(Pattern.followedBy("answered", Answered))
 *
 * const { matches } = PatternOracle.run(pattern, [Asked({}), Asked({}), Answered({})])
 * matches.map(({ events }) => events) // [[["asked", 0], ["answered", 2]], [["asked", 1], ["answered", 2]]]
 * ```
 *
 * @since 0.1.0
 * @category destructors
 */
export const run = <B, Ev extends { readonly _tag: string }>(
  pattern: Pattern.Pattern<B, Ev>,
  events: ReadonlyArray<Ev>,
  options: Options<Ev> = {}
): Answer<B> => {
  const { definition } = Either.getOrThrowWith(Pattern.check(pattern), (error) => error)
  const shapes = Element.shapesOf(definition.elements)
  const window = definition.within ?? Infinity
  const times = events.map((event) => options.timestamp?.(event) ?? 0)
  const end = Math.max(options.end ?? -Infinity, times.at(-1) ?? -Infinity)
  const time = (index: number): number => times[index] ?? Infinity

  /** When time reaches an instant: as it moves up to the first event that is not before it, or at the end. */
  const reached = (instant: number): Moment => {
    const index = times.findIndex((time) => time >= instant)
    if (index >= 0) return { index, time: instant }
    return instant <= end && instant !== Infinity ? { index: events.length, time: instant } : never
  }
  const bound = (taken: Taken) => Element.bind(shapes, taken.map(([step, index]) => ({ step, event: events[index] })))
  /** Whether an event satisfies a condition, given what is taken so far. */
  const is = (
    what: { readonly tags: ReadonlyArray<string>; readonly where: ReadonlyArray<Element.Where> },
    index: number,
    taken: Taken,
    name?: string
  ): boolean => {
    const event = events[index]
    const own = taken.filter(([step]) => step === name).map(([, at]) => events[at])
    return event !== undefined && Element.satisfies(what, event, bound(taken), own)
  }
  const ends = (step: Element.Step, index: number, taken: Taken): boolean =>
    step.until.length > 0 && is({ tags: [], where: step.until }, index, taken, step.name)

  const completed: Array<Known> = []
  const alive: Array<Alive> = []
  /** When each run of events awaits nothing more. */
  const over: Array<Known> = []

  /** Follows all that `rest` allows after the events taken so far. */
  const follow = (taken: Taken, rest: Rest): void => {
    const start = taken[0]?.[1] ?? 0
    const last = taken.at(-1)?.[1] ?? 0
    const deadline = time(start) + window
    /** When this run awaits nothing more. */
    let to = on(last)
    const lasts = (until: Moment) => {
      alive.push({ start, from: on(last), to: until })
      to = later(to, until)
    }
    const options = awaited(rest, [])
    for (const option of options) {
      if (option._tag === "End") {
        const maximal = options.find((other) => other._tag === "Wait" && other.step.maximal)
        const loop = maximal?._tag === "Wait" ? look(maximal, taken, last, deadline) : { takes: [], to: on(last) }
        const { at, until } = closed(option, taken, last, deadline)
        // a maximal loop is reported when it closes: when no other element can follow
        if (at !== never && loop.takes.length === 0 && loop.to !== never) {
          completed.push({ taken, at: later(at, loop.to) })
        }
        lasts(until)
      } else {
        const { takes, to } = look(option, taken, last, deadline)
        lasts(to)
        for (const index of takes) follow([...taken, [option.step.name, index]], option.then)
      }
    }
    over.push({ taken, at: to })
  }

  /** When it is known that what must not come after the last event has not come, and until when that is open. 7, 8. */
  const closed = ({ negations }: End, taken: Taken, last: number, deadline: number) => {
    const due = reached(deadline)
    let at = on(last)
    let broken = never
    for (const negation of negations) {
      if (negation.contiguity === "notFollowedBy") {
        const found = events.findIndex((_, index) => index > last && index < due.index && is(negation, index, taken))
        if (found >= 0) broken = earlier(broken, on(found))
        at = later(at, due)
      } else if (last + 1 < Math.min(events.length, due.index)) {
        if (is(negation, last + 1, taken)) broken = earlier(broken, on(last + 1))
        at = later(at, on(last + 1))
      } else {
        // the event after the last one is not there in time
        broken = earlier(broken, due)
        at = never
      }
    }
    return broken === never ? { at, until: at } : { at: never, until: broken }
  }

  /** Which events may be taken for what is awaited, and the moment from which on none is. */
  const look = (wait: Wait, taken: Taken, last: number, deadline: number) => {
    const { contiguity, step } = wait
    const limit = reached(Math.min(deadline, time(last) + wait.gap))
    let to = limit
    const takes: Array<number> = []
    for (let index = last + 1; index < events.length && index < limit.index; index++) {
      const verdict = allows(wait, taken, last, index)
      if (verdict.take) takes.push(index)
      if (
        verdict.over || (contiguity === "next") || (contiguity === "followedBy" && is(step, index, taken, step.name))
      ) {
        to = earlier(to, on(index))
        break
      }
    }
    return { takes, to }
  }

  /** Whether an event may be taken, and whether it ends the waiting, all events before it having been passed over. */
  const allows = (
    wait: Wait,
    taken: Taken,
    last: number,
    index: number
  ): { readonly take: boolean; readonly over: boolean } => {
    const { again, guards, step } = wait
    for (const guard of guards) {
      if (guard._tag === "Greedy" && clings(guard.of, taken, last, index)) return { take: false, over: true }
      if (guard._tag === "Negation" && guard.of.contiguity === "notNext" && index === last + 1) {
        if (is(guard.of, index, taken)) return { take: false, over: true }
      }
    }
    const until = ends(step, index, taken)
    // 6: an event that ends the loop is neither taken nor passed over
    if (until && again) return { take: false, over: true }
    // 7: strictly between the events taken, hence the event itself may be taken, and then no more
    const negated = guards.some((guard) =>
      guard._tag === "Negation" && guard.of.contiguity === "notFollowedBy" && is(guard.of, index, taken)
    )
    return { take: is(step, index, taken, step.name) && !until, over: negated }
  }

  /** 5: an event of a greedy loop that was left, unless what ends the loop has been seen since. */
  const clings = (step: Element.Step, taken: Taken, last: number, index: number): boolean => {
    for (let seen = last + 1; seen <= index; seen++) if (ends(step, seen, taken)) return false
    return is(step, index, taken, step.name)
  }

  // 1: a match may begin at every event
  const root: Rest = { _tag: "Sequence", elements: definition.elements, then: undefined }
  for (let start = 0; start < events.length; start++) {
    for (const option of awaited(root, [])) {
      if (option._tag === "End" || !is(option.step, start, [], option.step.name) || ends(option.step, start, [])) {
        continue
      }
      if (option.guards.some((guard) => guard._tag === "Greedy" && clings(guard.of, [], start - 1, start))) continue
      follow([[option.step.name, start]], option.then)
    }
  }

  return report(definition.skip, { alive, completed, over }, (taken) => bound(taken) as B, events.length)
}

// ----------------------------------------------------------------------------------------------------------- reporting

interface Tried {
  readonly completed: ReadonlyArray<Known>
  readonly alive: ReadonlyArray<Alive>
  readonly over: ReadonlyArray<Known>
}

/** Something that is known of a run of events from a moment on. */
interface Known {
  readonly taken: Taken
  readonly at: Moment
}

const startOf = ({ taken }: Known): number => taken[0]?.[1] ?? 0

/** By position, event by event; a longer run before its beginning. Of the same events, the step that sorts first. */
const byPositions = (left: Known, right: Known): number => {
  for (const [at, [, index]] of left.taken.entries()) {
    const other = right.taken[at]
    if (other === undefined) return -1
    if (index !== other[1]) return index - other[1]
  }
  if (left.taken.length < right.taken.length) return 1
  const [mine, others] = [left, right].map(({ taken }) => JSON.stringify(taken.map(([step]) => step)))
  return mine === others ? 0 : (mine ?? "") < (others ?? "") ? -1 : 1
}

const byStart = (left: Known, right: Known): number =>
  startOf(left) - startOf(right) || order(left.at, right.at) || byPositions(left, right)

/** The same events under the same names are one match, known from the earliest moment on. */
const distinct = (all: ReadonlyArray<Known>, pick: (left: Moment, right: Moment) => Moment): Map<string, Known> => {
  const found = new Map<string, Known>()
  for (const one of all) {
    const key = JSON.stringify(one.taken)
    const known = found.get(key)
    found.set(key, known === undefined ? one : { taken: one.taken, at: pick(known.at, one.at) })
  }
  return found
}

/** 10: who is reported when, and what it prunes. */
const report = <B>(
  skip: Element.Skip,
  { alive, completed, over }: Tried,
  bind: (taken: Taken) => B,
  length: number
): Answer<B> => {
  const known = distinct(completed, earlier)
  const left = [...known.values()].sort(byStart)
  const late = [...distinct(over, later).values()]
    .filter((one) => isTime(one.at) && !known.has(JSON.stringify(one.taken)))
    .sort((one, other) => order(one.at, other.at) || byStart(one, other))
  const index = (at: Moment) => at.index < length ? at.index : undefined
  const matches: Array<Found<B>> = []
  const timedOut: Array<TimedOut> = []
  /** Matches that begin before this event are pruned. */
  let floor = 0
  const moments = [...left, ...late].map(({ at }) => at).concat(alive.map(({ to }) => to))
    .filter((moment) => moment !== never)
    .sort(order)
  for (const now of moments) {
    while (late[0] !== undefined && order(late[0].at, now) <= 0) {
      const one = late.shift()
      if (one !== undefined && startOf(one) >= floor) timedOut.push({ events: one.taken, reportedAt: index(one.at) })
    }
    for (;;) {
      const one = left.find((one) => startOf(one) >= floor && order(one.at, now) <= 0)
      if (one === undefined) break
      const held = skip._tag !== "none" &&
        alive.some(({ from, start, to }) =>
          start >= floor && start < startOf(one) && order(from, now) <= 0 && order(now, to) < 0
        )
      if (held) break
      left.splice(left.indexOf(one), 1)
      const found = { match: bind(one.taken), events: one.taken, reportedAt: index(now) }
      matches.push(found)
      const next = skipTo(skip, one)
      if (next === undefined) return { matches, timedOut, missed: found }
      floor = Math.max(floor, next)
    }
  }
  return { matches, timedOut, missed: undefined }
}

/** The event at which the next match may begin, after one; none where there is no such event and that is to fail. */
const skipTo = (skip: Element.Skip, one: Known): number | undefined => {
  switch (skip._tag) {
    case "none":
      return 0
    case "toNext":
      return startOf(one) + 1
    case "pastLast":
      return (one.taken.at(-1)?.[1] ?? 0) + 1
    default: {
      const named = one.taken.filter(([step]) => step === skip.step)
      const to = skip._tag === "toFirst" ? named[0] : named.at(-1)
      if (to === undefined) return skip.failOnMiss ? undefined : 0
      return to[1] === startOf(one) ? undefined : to[1]
    }
  }
}
