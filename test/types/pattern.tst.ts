import { Schema } from "effect"
import * as Pattern from "effect-skald/cep/Pattern"
import * as Event from "effect-skald/event/Event"
import { describe, expect, test } from "tstyche"

const Placed = Event.make("Placed", { order: Schema.String, customer: Schema.String })
const Failed = Event.make("Failed", { order: Schema.String })
const Paid = Event.make("Paid", { order: Schema.String, total: Schema.Number })
class Moved extends Schema.TaggedClass<Moved>()("Moved", { to: Schema.String }) {}

type Placed = typeof Placed.Type
type Failed = typeof Failed.Type
type Paid = typeof Paid.Type

const placed = Pattern.begin("placed", Placed)

describe("the match's type follows from the pattern", () => {
  test("the stuck order", () => {
    const stuck = Pattern.begin("placed", Placed).pipe(
      Pattern.followedBy("failures", Failed, {
        times: { min: 3 },
        where: (failed, { placed }) => failed.order === placed.order
      }),
      Pattern.notFollowedBy(Paid, { where: (paid, { placed }) => paid.order === placed.order }),
      Pattern.within("10 minutes")
    )
    expect<Pattern.Match<typeof stuck>>().type.toBe<
      { readonly placed: Placed; readonly failures: readonly [Failed, ...Array<Failed>] }
    >()
    expect<Pattern.Events<typeof stuck>>().type.toBe<Placed | Failed | Paid>()
  })

  test("one, maybe one, many, maybe none", () => {
    const all = placed.pipe(
      Pattern.next("paid", Paid, { optional: true }),
      Pattern.followedByAny("moves", Moved, { times: { min: 0 } }),
      Pattern.followedBy("failures", Failed, { times: { min: 1, max: 3, within: "1 second" }, optional: true })
    )
    expect<Pattern.Match<typeof all>>().type.toBe<
      {
        readonly placed: Placed
        readonly paid?: Paid
        readonly moves: ReadonlyArray<Moved>
        readonly failures?: readonly [Failed, ...Array<Failed>]
      }
    >()
  })

  test("conditions see what is bound so far, and what their own loop has taken", () => {
    placed.pipe(
      Pattern.followedBy("failures", Failed, {
        times: { min: 2 },
        where: (failed, soFar, own) => {
          expect(failed).type.toBe<Failed>()
          expect(soFar).type.toBe<{ readonly placed: Placed }>()
          expect(own).type.toBe<ReadonlyArray<Failed>>()
          return true
        },
        until: (_failed, { placed }) => placed.order === ""
      })
    )
  })

  test("groups, alternatives, all in any order", () => {
    const paidOrFailed = Pattern.or(Pattern.begin("paid", Paid), Pattern.begin("failed", Failed))
    const either = placed.pipe(Pattern.followedByPattern(paidOrFailed))
    expect<Pattern.Match<typeof either>>().type.toBe<
      { readonly placed: Placed; readonly paid: Paid } | { readonly placed: Placed; readonly failed: Failed }
    >()
    const both = Pattern.and([Pattern.begin("paid", Paid), Pattern.begin("failed", Failed)])
    expect<Pattern.Match<typeof both>>().type.toBe<{ readonly paid: Paid; readonly failed: Failed }>()
    const loop = Pattern.begin("failed", Failed).pipe(
      Pattern.followedBy("paid", Paid, { optional: true }),
      Pattern.group({ times: { min: 2 } })
    )
    expect<Pattern.Match<typeof loop>>().type.toBe<
      { readonly failed: ReadonlyArray<Failed>; readonly paid: ReadonlyArray<Paid> }
    >()
    const maybe = Pattern.begin("failed", Failed).pipe(Pattern.group({ optional: true }))
    expect<Pattern.Match<typeof maybe>>().type.toBe<{ readonly failed?: Failed }>()
  })

  test("any event", () => {
    const any = placed.pipe(Pattern.next("any", Pattern.anyEvent))
    expect<Pattern.Match<typeof any>>().type.toBe<
      { readonly placed: Placed; readonly any: { readonly _tag: string } }
    >()
  })
})

describe("what is refused", () => {
  test("two steps of one name", () => {
    expect(placed.pipe).type.not.toBeCallableWith(Pattern.followedBy("placed", Paid))
    // @ts-expect-error the name is taken
    placed.pipe(Pattern.followedBy("placed", Paid))
    // @ts-expect-error the name is taken in the part
    placed.pipe(Pattern.followedByPattern(Pattern.begin("placed", Paid)))
  })

  test("loops without loops", () => {
    expect(Pattern.begin).type.not.toBeCallableWith("a", Paid, { greedy: true })
    expect(Pattern.begin).type.not.toBeCallableWith("a", Paid, { consecutive: true })
    expect(Pattern.begin).type.not.toBeCallableWith("a", Paid, { allowCombinations: true })
    expect(Pattern.begin).type.not.toBeCallableWith("a", Paid, { until: () => true })
    expect(Pattern.begin).type.not.toBeCallableWith("a", Paid, { maximal: true })
    expect(Pattern.begin).type.toBeCallableWith("a", Paid, { times: { min: 1 }, until: () => true, greedy: true })
  })

  test("until with an upper bound", () => {
    expect(Pattern.begin).type.not.toBeCallableWith("a", Paid, { times: { min: 1, max: 2 }, until: () => true })
  })

  test("combinations that are consecutive, or greedy", () => {
    const times = { min: 1 }
    expect(Pattern.begin).type.toBeCallableWith("a", Paid, { times, allowCombinations: true })
    expect(Pattern.begin).type.not.toBeCallableWith("a", Paid, { times, allowCombinations: true, consecutive: true })
    expect(Pattern.begin).type.not.toBeCallableWith("a", Paid, { times, allowCombinations: true, greedy: true })
  })

  test("maximal that is not greedy", () => {
    expect(Pattern.begin).type.not.toBeCallableWith("a", Paid, { times: { min: 1 }, maximal: true })
    expect(Pattern.begin).type.toBeCallableWith("a", Paid, { times: { min: 1 }, maximal: true, greedy: true })
  })

  test("a quantifier on a negation", () => {
    expect(Pattern.notFollowedBy).type.not.toBeCallableWith(Paid, { times: { min: 1 } })
    expect(Pattern.notNext).type.not.toBeCallableWith(Paid, { optional: true })
  })

  test("words that nothing would come of", () => {
    // @ts-expect-error it is `times`
    Pattern.begin("a", Paid, { tims: { min: 1 } })
    // @ts-expect-error it is `optional`
    placed.pipe(Pattern.followedBy("paid", Paid, { times: { min: 1 }, optionl: true }))
    // @ts-expect-error it is `max`
    placed.pipe(Pattern.followedBy("paid", Paid, { times: { min: 1, most: 3 } }))
    // @ts-expect-error groups are not greedy
    placed.pipe(Pattern.group({ times: { min: 1 }, greedy: true }))
    // @ts-expect-error it is `max`
    placed.pipe(Pattern.group({ times: { min: 1, most: 3 } }))
    placed.pipe(Pattern.group({ times: { min: 1, max: 3, within: "1 second" }, optional: true, consecutive: true }))
  })

  test("joins on fields that the step's events do not have", () => {
    placed.pipe(Pattern.followedBy("paid", Paid, { join: { order: "placed" } }))
    // @ts-expect-error the placed order has no total
    placed.pipe(Pattern.followedBy("paid", Paid, { join: { total: "placed" } }))
    // @ts-expect-error there is no such field
    placed.pipe(Pattern.followedBy("paid", Paid, { join: { nothing: "placed" } }))
  })

  test("skipping to a step that is none", () => {
    placed.pipe(Pattern.followedBy("paid", Paid), Pattern.skipToLast("paid"))
    // @ts-expect-error there is no such step
    placed.pipe(Pattern.followedBy("paid", Paid), Pattern.skipToFirst("pay"))
  })

  test("what is no event", () => {
    expect(Pattern.begin).type.not.toBeCallableWith("a", Schema.Struct({ order: Schema.String }))
  })
})
