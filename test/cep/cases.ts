/** The worked cases of pattern semantics, test/fixtures/cep-cases.json, as patterns of this library. */
import * as Pattern from "effect-skald/cep/Pattern"
import * as fs from "node:fs"
import * as path from "node:path"

interface CaseStep {
  readonly name?: string
  readonly contiguity: "start" | "strict" | "relaxed" | "any" | "notNext" | "notFollowedBy"
  readonly cond?: CaseCondition
  readonly quant?: { readonly min: number; readonly max: number | null; readonly gapWithin?: number }
  readonly inner?: "strict" | "any"
  readonly optional?: boolean
  readonly greedy?: boolean
  readonly until?: CaseCondition
  readonly group?: ReadonlyArray<CaseStep>
}

interface CaseCondition {
  readonly op: string
  readonly v?: string | number
  readonly of?: string
  readonly cmp?: string
  readonly a?: ReadonlyArray<CaseCondition>
}

export interface CaseEvent {
  readonly _tag: "Case"
  readonly name: string
  readonly ts: number | null
  readonly price: number
  readonly volume?: number
  readonly sub?: boolean
}

export interface Case {
  readonly id: string
  readonly steps: ReadonlyArray<CaseStep>
  readonly within: { readonly ms: number } | null
  readonly afterMatchSkip: { readonly type: string; readonly to?: string } | null
  readonly input: ReadonlyArray<Omit<CaseEvent, "_tag">>
  readonly matches: ReadonlyArray<{
    readonly emittedAtInput: number | null
    readonly events: ReadonlyArray<readonly [string, number]>
  }>
}

export const all: ReadonlyArray<Case> = JSON.parse(
  fs.readFileSync(path.join(import.meta.dirname, "../fixtures/cep-cases.json"), "utf8")
).cases

export const events = (one: Case): ReadonlyArray<CaseEvent> =>
  one.input.map((event) => ({ ...event, _tag: "Case" as const }))

type Bound = Record<string, ReadonlyArray<CaseEvent>>

const compare = (left: number, comparison: string | undefined, right: number): boolean => {
  switch (comparison) {
    case "<":
      return left < right
    case "<=":
      return left <= right
    case ">=":
      return left >= right
    default:
      throw new RangeError(`no comparison ${comparison}`)
  }
}

const where =
  (condition: CaseCondition) => (event: CaseEvent, soFar: Bound, own: ReadonlyArray<CaseEvent>): boolean => {
    const { a, cmp, of, op, v } = condition
    const sum = () => [soFar[of ?? ""] ?? []].flat().reduce((sum, event) => sum + event.price, 0)
    switch (op) {
      case "nameEq":
        return event.name === v
      case "nameContains":
        return event.name.includes(String(v))
      case "nameStartsWith":
        return event.name.startsWith(String(v))
      case "isSub":
        return event.sub === true
      case "volumeGt":
        return (event.volume ?? 0) > Number(v)
      case "priceGt":
        return event.price > Number(v)
      case "priceEq":
        return event.price === v
      case "sum":
        return compare(sum(), cmp, Number(v))
      case "sumPlusSelf":
        return compare(sum() + event.price, cmp, Number(v))
      case "and":
        return (a ?? []).every((one) => where(one)(event, soFar, own))
      case "or":
        return (a ?? []).some((one) => where(one)(event, soFar, own))
      default:
        throw new RangeError(`no condition ${op}`)
    }
  }

const options = (step: CaseStep): any => ({
  ...(step.cond && { where: where(step.cond) }),
  ...(step.until && { until: where(step.until) }),
  ...(step.quant && {
    times: {
      min: step.quant.min,
      ...(step.quant.max !== null && { max: step.quant.max }),
      ...(step.quant.gapWithin !== undefined && { within: step.quant.gapWithin })
    }
  }),
  ...(step.inner === "strict" && { consecutive: true }),
  ...(step.inner === "any" && { allowCombinations: true }),
  ...(step.optional === true && { optional: true }),
  ...(step.greedy === true && { greedy: true })
})

const steps: any = { strict: Pattern.next, relaxed: Pattern.followedBy, any: Pattern.followedByAny }
const parts: any = {
  strict: Pattern.nextPattern,
  relaxed: Pattern.followedByPattern,
  any: Pattern.followedByAnyPattern
}

const sequence = (all: ReadonlyArray<CaseStep>): any =>
  all.reduce((pattern: any, step) => {
    const { contiguity, group, name } = step
    if (contiguity === "notNext") return Pattern.notNext(Pattern.anyEvent, options(step))(pattern)
    if (contiguity === "notFollowedBy") return Pattern.notFollowedBy(Pattern.anyEvent, options(step))(pattern)
    if (group !== undefined) {
      const { optional, ...rest } = options(step)
      const part = sequence(group).pipe(Pattern.group({ ...rest, ...(optional === true && { optional }) }))
      return pattern === undefined ? part : parts[contiguity](part)(pattern)
    }
    return pattern === undefined
      ? Pattern.begin(name ?? "", Pattern.anyEvent, options(step))
      : steps[contiguity](name ?? "", Pattern.anyEvent, options(step))(pattern)
  }, undefined)

export const pattern = (one: Case): Pattern.Pattern<any, CaseEvent> => {
  let pattern = sequence(one.steps)
  if (one.within !== null) pattern = Pattern.within(one.within.ms)(pattern)
  const { to, type } = one.afterMatchSkip ?? { type: "noSkip", to: "" }
  switch (type) {
    case "noSkip":
      return pattern
    case "skipToNext":
      return Pattern.skipToNext(pattern)
    case "skipPastLastEvent":
      return Pattern.skipPastLast(pattern)
    case "skipToFirst":
      return Pattern.skipToFirst<any, string>(to ?? "")(pattern)
    case "skipToLast":
      return Pattern.skipToLast<any, string>(to ?? "")(pattern)
    default:
      throw new RangeError(`no skip strategy ${type}`)
  }
}

/** Matches as a case states them: a multiset of events and where they are reported. */
export const sorted = (
  matches: ReadonlyArray<{ readonly events: ReadonlyArray<readonly [string, number]>; readonly at: number | null }>
): ReadonlyArray<string> => matches.map(({ at, events }) => JSON.stringify([at, events])).sort()

export const expected = (one: Case): ReadonlyArray<string> =>
  sorted(one.matches.map(({ emittedAtInput, events }) => ({ events, at: emittedAtInput })))
