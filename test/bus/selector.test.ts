import { describe, expect, it } from "@effect/vitest"
import * as Selector from "effect-skald/bus/Selector"
import { Either, FastCheck as fc, Schema } from "effect"

const made = (input: Selector.Input) => Either.getOrThrow(Selector.make(input))
const selects = (input: Selector.Input, subject: string, type = "T") => Selector.matches(made(input), { type, subject })

describe("selector", () => {
  it.each([
    ["order.placed", "order.placed", true],
    ["order.placed", "order.paid", false],
    ["order.*", "order.placed", true],
    ["order.*", "order", false],
    ["order.*", "order.item.added", false],
    ["*.placed", "order.placed", true],
    ["order.**", "order", true],
    ["order.**", "order.placed", true],
    ["order.**", "order.item.added", true],
    ["order.**", "orders.placed", false],
    ["**.added", "order.item.added", true],
    ["**.added", "added", true],
    ["a.**.z", "a.z", true],
    ["a.**.z", "a.b.c.z", true],
    ["a.**.z", "a.b.c", false],
    ["*", "order.item.added", true],
    ["**", "order", true]
  ])("%s on %s: %s", (pattern, subject, expected) => {
    expect(selects(pattern, subject)).toBe(expected)
  })

  it("a regular expression looks at the subject", () => {
    expect(selects(/^order\.(placed|paid)$/i, "Order.Paid")).toBe(true)
    expect(selects(/^order\./, "payment.order.")).toBe(false)
  })

  it("several select what one of them does", () => {
    expect(selects(["order.*", /^payment/], "payment.made")).toBe(true)
    expect(selects(["order.*", /^payment/], "parcel.sent")).toBe(false)
  })

  it.each<[string, unknown, string]>([
    ["an empty pattern", "", "must not be empty"],
    ["an empty segment", "order..placed", "must have no empty segment, got \"order..placed\""],
    ["a dot at the end", "order.", "must have no empty segment, got \"order.\""],
    ["a wildcard in a segment", "order.pl*", "must have wildcards only as whole segments, got \"order.pl*\""],
    ["three stars", "order.***", "must have wildcards only as whole segments, got \"order.***\""],
    ["a control character", "a\nb", "must not hold control characters, got \"a\\nb\""],
    ["an empty list", [], "must not be empty"],
    ["a global expression", /x/g, "must not have the flags g or y, got /x/g"],
    ["a number", 7, "must be a pattern or a regular expression, got 7"]
  ])("refuses %s", (_, input, problem) => {
    const refused = Selector.make(input as Selector.Input)
    expect(Either.isLeft(refused) && refused.left.faults.map((fault) => [fault.path, fault.problem])).toEqual([
      ["select", problem]
    ])
  })

  it("names each faulty one of several", () => {
    const refused = Selector.make(["order.*", "a..b", /x/y])
    expect(Either.isLeft(refused) && refused.left.faults.map(({ path }) => path)).toEqual(["select[1]", "select[2]"])
  })

  it.each([
    ["order.placed", undefined],
    ["OrderPlaced", undefined],
    ["order.*", "must not hold *, got \"order.*\""],
    [".order", "must have no empty segment, got \".order\""]
  ])("the subject %s", (subject, problem) => {
    expect(Selector.subjectProblem(subject)).toBe(problem)
  })
})

const segment = fc.constantFrom("a", "b", "c")
const subjects = fc.array(segment, { minLength: 1, maxLength: 5 }).map((segments) => segments.join("."))
const patterns = fc.array(fc.oneof({ weight: 2, arbitrary: segment }, fc.constantFrom("*", "**")), {
  minLength: 1,
  maxLength: 5
}).map((segments) => segments.join("."))
const messages = fc.record({ type: fc.constantFrom("A", "B"), subject: subjects })
const selectors: fc.Arbitrary<Selector.Selector> = fc.oneof(
  patterns.map(made),
  fc.constantFrom(/^a/, /b\.c/, /A/i).map(made),
  fc.subarray(["A", "B", "C"]).map(Selector.types),
  fc.array(patterns, { minLength: 2, maxLength: 3 }).map(made)
)

describe("laws of selectors", () => {
  it("a pattern matches as its translation to a regular expression does", () => {
    fc.assert(fc.property(patterns, subjects, (pattern, subject) => {
      const expression = pattern.split(".").reduce(
        (text, each) => each === "**" ? `${text}(?:\\.[^.]+)*` : `${text}\\.${each === "*" ? "[^.]+" : each}`,
        ""
      )
      expect(Selector.matches({ _tag: "Subject", pattern }, { type: "T", subject })).toBe(
        new RegExp(`^${expression}$`).test(`.${subject}`)
      )
    }))
  })

  it("a router routes to those that match, each once, in the order in which they came, whatever came and went", () => {
    const steps = fc.array(
      fc.oneof(
        { weight: 3, arbitrary: fc.record({ add: fc.integer({ min: 0, max: 9 }), selector: selectors }) },
        fc.record({ remove: fc.integer({ min: 0, max: 9 }) }),
        { weight: 3, arbitrary: fc.record({ route: messages }) }
      ),
      { maxLength: 40 }
    )
    fc.assert(fc.property(steps, (all) => {
      const router = Selector.router<number>()
      const model = new Map<number, Selector.Selector>()
      for (const step of all) {
        if ("add" in step) {
          router.add(step.add, step.selector)
          model.delete(step.add)
          model.set(step.add, step.selector)
        } else if ("remove" in step) {
          router.remove(step.remove)
          model.delete(step.remove)
        } else {
          expect(router.route(step.route)).toEqual(
            Array.from(model).filter(([, selector]) => Selector.matches(selector, step.route)).map(([target]) => target)
          )
        }
      }
    }))
  })

  it("a selector is data, and matches the same when it was stored", () => {
    const codec = Schema.parseJson(Selector.Selector)
    fc.assert(fc.property(selectors, messages, (selector, message) => {
      const stored = Schema.decodeSync(codec)(Schema.encodeSync(codec)(selector))
      expect(Selector.matches(stored, message)).toBe(Selector.matches(selector, message))
    }))
  })
})
