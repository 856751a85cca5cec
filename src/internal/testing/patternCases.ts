import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Pattern from "../../cep/Pattern.ts"
import * as Condition from "../cep/condition.ts"
import type * as Element from "../cep/element.ts"

/** The events of random patterns: four tags, a number, and when it happened. */
export interface Letter {
  readonly _tag: "A" | "B" | "C" | "D"
  readonly x: number
  readonly at: number
}

/** A pattern, events in order of time, and how far time goes on after the last one. */
export interface Case<Ev> {
  readonly pattern: Pattern.Pattern<any, Ev>
  readonly events: ReadonlyArray<Ev>
  readonly end: number
}

/** A value, or none so many times as often. */
const sometimes = <A>(arbitrary: FastCheck.Arbitrary<A>, none: number): FastCheck.Arbitrary<A | undefined> =>
  FastCheck.oneof({ weight: none, arbitrary: FastCheck.constant(undefined) }, { weight: 1, arbitrary })

const tag = FastCheck.constantFrom<Letter["_tag"]>("A", "A", "A", "B", "B", "B", "C", "D")

const events: FastCheck.Arbitrary<ReadonlyArray<Letter>> = FastCheck.array(
  FastCheck.record({ _tag: tag, x: FastCheck.nat(2), wait: FastCheck.constantFrom(0, 1, 1, 1, 1, 2, 4) }),
  { minLength: 4, maxLength: 9 }
).map((all) => {
  let at = 0
  return all.map(({ _tag, wait, x }) => ({ _tag, x, at: at += wait }))
})

const contiguity = FastCheck.constantFrom<Element.Contiguity>(
  "followedBy",
  "followedBy",
  "followedBy",
  "next",
  "followedByAny",
  "followedByAny"
)

/** Of the names, only those of earlier steps will do; which those are is known when the pattern is put together. */
const condition: FastCheck.Arbitrary<(earlier: ReadonlyArray<string>) => ReadonlyArray<Condition.Condition>> = FastCheck
  .oneof(
    { weight: 12, arbitrary: FastCheck.constant(() => []) },
    {
      weight: 2,
      arbitrary: FastCheck.nat(2).map((x) => () => [
        {
          _tag: "Compare" as const,
          left: { _tag: "Field" as const, path: "x" },
          is: "<=" as const,
          right: { _tag: "Literal" as const, value: x }
        }
      ])
    },
    {
      weight: 2,
      arbitrary: FastCheck.tuple(
        FastCheck.nat(),
        FastCheck.constantFrom("first" as const, "last" as const, "sum" as const, "count" as const, "max" as const),
        FastCheck.constantFrom("<=" as const, ">=" as const, "=" as const)
      ).map(([at, take, is]) => (earlier: ReadonlyArray<string>): ReadonlyArray<Condition.Condition> => {
        const step = earlier[at % Math.max(1, earlier.length)]
        return step === undefined
          ? []
          : [{
            _tag: "Compare",
            left: { _tag: "Field", path: "x" },
            is,
            right: { _tag: "Bound", step, take, path: take === "count" ? undefined : "x" }
          }]
      })
    },
    {
      weight: 1,
      arbitrary: FastCheck.nat().map((at) => (earlier: ReadonlyArray<string>): ReadonlyArray<Condition.Condition> => {
        const step = earlier[at % Math.max(1, earlier.length)]
        return step === undefined ? [] : [{ _tag: "Joined", field: "x", step }]
      })
    }
  )

/** Gives names out, and remembers them. */
interface Names {
  readonly next: () => string
  readonly all: ReadonlyArray<string>
}

type Make<A> = (names: Names) => A

const names = (): Names => {
  const all: Array<string> = []
  return { all, next: () => all[all.push(`s${all.length}`) - 1] ?? "" }
}

const times: FastCheck.Arbitrary<Element.Times> = FastCheck.record({
  min: FastCheck.nat(2),
  more: sometimes(FastCheck.nat(2), 1),
  gap: sometimes(FastCheck.integer({ min: 2, max: 5 }), 4)
}).map(({ gap, min, more }) => ({ min, max: more === undefined ? undefined : Math.max(1, min + more), gap }))

const tags = FastCheck.oneof(
  { weight: 8, arbitrary: tag.map((one) => [one]) },
  { weight: 1, arbitrary: FastCheck.constant(["A", "B"]) },
  { weight: 1, arbitrary: FastCheck.constant([]) }
)

const step: FastCheck.Arbitrary<Make<Element.Step>> = FastCheck.record({
  contiguity,
  tags,
  condition,
  times: sometimes(times, 2),
  inner: contiguity,
  optional: FastCheck.nat(3).map((n) => n === 0),
  greedy: FastCheck.nat(2).map((n) => n === 0),
  maximal: FastCheck.nat(2).map((n) => n === 0),
  until: FastCheck.nat(8),
  gap: sometimes(FastCheck.integer({ min: 2, max: 5 }), 8)
}).map((given) => (names) => {
  const earlier = [...names.all]
  const name = names.next()
  const loops = given.times !== undefined
  const greedy = loops && given.greedy && given.inner !== "followedByAny"
  return {
    _tag: "Step",
    name,
    contiguity: given.contiguity,
    tags: given.tags,
    // a loop may also look at what it has taken itself
    where: given.condition(loops ? [...earlier, name] : earlier),
    times: given.times,
    inner: loops ? given.inner : "followedBy",
    optional: given.optional,
    greedy,
    maximal: greedy && given.maximal,
    until: loops && given.times?.max === undefined && given.until < 3
      ? [{
        _tag: "Compare",
        left: { _tag: "Field", path: "x" },
        is: "=",
        right: { _tag: "Literal", value: given.until }
      }]
      : [],
    gap: given.gap
  }
})

const negation: FastCheck.Arbitrary<Make<Element.Negation>> = FastCheck.record({
  contiguity: FastCheck.constantFrom("notNext" as const, "notFollowedBy" as const, "notFollowedBy" as const),
  tags,
  condition
}).map(({ condition, contiguity, tags }) => ({ all }) => ({
  _tag: "Negation",
  contiguity,
  tags,
  where: condition(all)
}))

const sequence = (depth: number, top: boolean): FastCheck.Arbitrary<Make<ReadonlyArray<Element.Element>>> =>
  FastCheck.tuple(
    positive(depth),
    FastCheck.array(FastCheck.tuple(sometimes(negation, 4), positive(depth)), {
      maxLength: top ? 3 : 1
    }),
    top ? sometimes(negation, 4) : FastCheck.constant(undefined)
  ).map(([first, rest, last]) => (names) => [
    first(names),
    ...rest.flatMap(([negation, next]) => negation === undefined ? [next(names)] : [negation(names), next(names)]),
    ...last === undefined ? [] : [last(names)]
  ])

const positive = (depth: number): FastCheck.Arbitrary<Make<Element.Element>> =>
  depth === 0 ? step : FastCheck.oneof(
    { weight: 8, arbitrary: step },
    {
      weight: 1,
      arbitrary: FastCheck.record({
        contiguity,
        elements: sequence(depth - 1, false),
        times: sometimes(times, 2),
        inner: contiguity,
        optional: FastCheck.boolean()
      }).map(({ elements, ...given }) => (names: Names): Element.Element => ({
        _tag: "Group",
        ...given,
        elements: elements(names)
      }))
    },
    {
      weight: 1,
      arbitrary: FastCheck.record({
        or: FastCheck.boolean(),
        contiguity,
        inner: contiguity,
        of: FastCheck.array(sequence(depth - 1, false), { minLength: 2, maxLength: 3 })
      }).map(({ contiguity, inner, of, or }) => (names: Names): Element.Element => {
        const parts = of.map((part) => part(names))
        return or ? { _tag: "Or", contiguity, of: parts } : { _tag: "And", contiguity, inner, of: parts }
      })
    }
  )

const skip: FastCheck.Arbitrary<Make<Element.Skip>> = FastCheck.tuple(
  FastCheck.constantFrom(
    "none" as const,
    "none" as const,
    "toNext" as const,
    "pastLast" as const,
    "toFirst" as const,
    "toLast" as const
  ),
  FastCheck.nat(),
  FastCheck.boolean()
).map(([_tag, at, failOnMiss]) => ({ all }) => {
  if (_tag !== "toFirst" && _tag !== "toLast") return { _tag }
  return { _tag, step: all[at % all.length] ?? "", failOnMiss }
})

/** Random legal patterns over random events: every construct, alone and inside of others, with conditions as data. */
export const cases: FastCheck.Arbitrary<Case<Letter>> = FastCheck.record({
  elements: FastCheck.oneof({ weight: 3, arbitrary: sequence(1, true) }, { weight: 1, arbitrary: sequence(2, true) }),
  within: sometimes(FastCheck.integer({ min: 2, max: 15 }), 1),
  skip,
  events,
  more: FastCheck.constantFrom(0, 3, Number.POSITIVE_INFINITY)
}).map(({ elements, events, more, skip, within }) => {
  const given = names()
  const definition = { elements: elements(given), within, skip: skip(given) }
  const pattern = Either.flatMap(Pattern.fromDefinition(definition), Pattern.check)
  return { pattern, events, end: (events.at(-1)?.at ?? 0) + more }
}).filter((one): one is typeof one & { pattern: Either.Right<never, Pattern.Pattern<any, any>> } =>
  Either.isRight(one.pattern)
).map(({ end, events, pattern }) => {
  const one: Case<Letter> = { pattern: pattern.right, events, end }
  return Object.assign(one, { [FastCheck.toStringMethod]: () => print(one) })
})

const alone = (where: ReadonlyArray<Element.Where>): ReadonlyArray<Element.Where> => where.filter(Condition.isAlone)
const ungapped = (times: Element.Times | undefined): Element.Times | undefined => times && { ...times, gap: undefined }

/** What is left of elements when no event is asked about another, and time is asked about as a whole alone. */
const simplified = (elements: ReadonlyArray<Element.Element>): ReadonlyArray<Element.Element> =>
  elements.map((element): Element.Element => {
    switch (element._tag) {
      case "Negation":
        return { ...element, where: alone(element.where) }
      case "Step":
        return {
          ...element,
          where: alone(element.where),
          until: alone(element.until),
          times: ungapped(element.times),
          gap: undefined,
          maximal: false
        }
      case "Group":
        return { ...element, times: ungapped(element.times), elements: simplified(element.elements) }
      default:
        return { ...element, of: element.of.map(simplified) }
    }
  })

/** The same, as far as partial matches are held as sets. */
export const setCases: FastCheck.Arbitrary<Case<Letter>> = cases.map(({ end, events, pattern }) => {
  const { elements, within } = pattern.definition
  const last = elements.at(-1)
  const kept = last?._tag === "Negation" && last.contiguity === "notFollowedBy" ? elements.slice(0, -1) : elements
  const simple = Pattern.fromDefinition({ elements: simplified(kept), within, skip: { _tag: "none" } })
  const one: Case<Letter> = { pattern: Either.getOrThrow(simple), events, end }
  return Object.assign(one, { [FastCheck.toStringMethod]: () => print(one) })
})

/** A case as a program that can be run; conditions that are functions are in it by their text. */
export const print = (one: Case<any>): string => {
  const functions: Array<string> = []
  const definition = JSON.stringify(
    one.pattern.definition,
    (_, value) => typeof value === "function" ? `function ${functions.push(String(value)) - 1}` : value
  ).replace(/"function (\d+)"/g, (found, at) => functions[Number(at)] ?? found)
  return [
    `const pattern = Either.getOrThrow(Pattern.fromDefinition(${definition}))`,
    `const events = ${JSON.stringify(one.events)}`,
    `PatternOracle.run(pattern, events, { timestamp: ({ at }) => at, end: ${one.end} })`
  ].join("\n")
}
