import { assert, describe, it } from "@effect/vitest"
import { FastCheck, Schema } from "effect"
import * as Aggregation from "effect-skald/cep/Aggregation"

const of = (value: number): number => value
const numbers = FastCheck.array(FastCheck.integer({ min: -1_000, max: 1_000 }), { maxLength: 40 })

const all = <A, S, R>(aggregation: Aggregation.Aggregation<A, S, R>, values: ReadonlyArray<A>): S =>
  values.reduce((state, value) => aggregation.add(state, value), aggregation.empty())

/** What windows take for granted: however the events were grouped, the result is the same, and copies are copies. */
const monoid = <A, S, R>(
  aggregation: Aggregation.Aggregation<A, S, R>,
  values: FastCheck.Arbitrary<ReadonlyArray<A>>,
  expected: (values: ReadonlyArray<A>) => R,
  close: (actual: R, expected: R) => void = (actual, expected) => assert.deepStrictEqual(actual, expected)
) =>
  FastCheck.assert(
    FastCheck.property(values, values, values, (a, b, c) => {
      const whole = expected([...a, ...b, ...c])
      close(aggregation.result(all(aggregation, [...a, ...b, ...c])), whole)
      const right = all(aggregation, b)
      const before = JSON.stringify(Schema.encodeSync(aggregation.state)(right))
      const merged = aggregation.merge(aggregation.merge(all(aggregation, a), right), all(aggregation, c))
      close(aggregation.result(merged), whole)
      assert.strictEqual(JSON.stringify(Schema.encodeSync(aggregation.state)(right)), before)
      const other = aggregation.merge(all(aggregation, a), aggregation.merge(all(aggregation, b), all(aggregation, c)))
      close(aggregation.result(other), whole)
      if (aggregation.unmerge !== undefined) {
        const left = aggregation.merge(aggregation.merge(all(aggregation, a), right), all(aggregation, c))
        const rest = aggregation.unmerge(left, right)
        assert.deepStrictEqual(rest, aggregation.merge(all(aggregation, a), all(aggregation, c)))
        assert.strictEqual(JSON.stringify(Schema.encodeSync(aggregation.state)(right)), before)
        assert.deepStrictEqual(aggregation.unmerge(rest, rest), aggregation.empty())
      }
      const stored = JSON.parse(JSON.stringify(Schema.encodeSync(aggregation.state)(merged)))
      const copy = aggregation.copy(merged)
      for (const value of a) aggregation.add(merged, value)
      close(aggregation.result(copy), whole)
      close(aggregation.result(Schema.decodeUnknownSync(aggregation.state)(stored)), whole)
    }),
    { numRuns: 200, seed: 31 }
  )

const nearly = (actual: number | undefined, expected: number | undefined) =>
  actual === undefined || expected === undefined
    ? assert.strictEqual(actual, expected)
    : assert.closeTo(actual, expected, 1e-6 * Math.max(1, Math.abs(expected)))

const meanOf = (values: ReadonlyArray<number>) =>
  values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0) / values.length

describe("Aggregation", () => {
  it("count, sum, least and greatest", () => {
    monoid(Aggregation.count, numbers, (values) => values.length)
    monoid(Aggregation.sum(of), numbers, (values) => values.reduce((sum, value) => sum + value, 0))
    monoid(Aggregation.min(of), numbers, (values) => values.length === 0 ? undefined : Math.min(...values))
    monoid(Aggregation.max(of), numbers, (values) => values.length === 0 ? undefined : Math.max(...values))
  })

  it("mean and variance, also of large numbers close to each other", () => {
    monoid(Aggregation.mean(of), numbers, meanOf, nearly)
    const varianceOf = (values: ReadonlyArray<number>) => {
      const mean = meanOf(values)
      return mean === undefined ? undefined : meanOf(values.map((value) => (value - mean) ** 2))
    }
    monoid(Aggregation.variance(of), numbers, varianceOf, nearly)
    const far = Aggregation.variance((value: number) => value + 1e9)
    nearly(far.result(all(far, [4, 7, 13, 16])), 22.5)
  })

  it("different values, and the most frequent while there is room for all", () => {
    const words = FastCheck.array(FastCheck.constantFrom("a", "b", "c", "d"), { maxLength: 30 })
    monoid(Aggregation.distinct((word: string) => word), words, (all) => new Set(all).size)
    monoid(
      Aggregation.mostFrequent(2, (word: string) => word, { capacity: 4 }),
      words,
      (all) =>
        [...new Set(all)].map((word) => [word, all.filter((other) => other === word).length] as const).sort((
          [a, first],
          [b, second]
        ) => second - first || (a < b ? -1 : 1)).slice(0, 2)
    )
  })

  it("the most frequent of many are never missed, and counted too high by their share of the capacity at most", () => {
    // a few come often and many seldom, in groups that are merged in any order
    const word = FastCheck.oneof(
      { weight: 3, arbitrary: FastCheck.nat(3) },
      { weight: 2, arbitrary: FastCheck.nat(12) },
      { weight: 2, arbitrary: FastCheck.nat(200) }
    ).map((word) => `w${word}`)
    const groups = FastCheck.array(
      FastCheck.record({ words: FastCheck.array(word, { maxLength: 80 }), left: FastCheck.boolean() }),
      { minLength: 1, maxLength: 6 }
    )
    let beyond = 0
    FastCheck.assert(
      FastCheck.property(groups, FastCheck.integer({ min: 2, max: 12 }), word, (groups, capacity, more) => {
        const top = Aggregation.mostFrequent(capacity, (word: string) => word, { capacity })
        const merged = groups.reduce((state, { left, words }) => {
          const other = all(top, words)
          return left ? top.merge(state, other) : top.merge(other, state)
        }, top.empty())
        // and goes on after it was merged
        const state = [more, "often", more, "often"].reduce(top.add, merged)
        const words = [...groups.flatMap(({ words }) => words), more, "often", more, "often"]
        const found = new Map(top.result(state))
        const share = words.length / capacity
        if (new Set(words).size > capacity) beyond++
        assert.isAtMost(found.size, capacity)
        for (const word of new Set(words)) {
          const count = words.filter((other) => other === word).length
          const told = found.get(word)
          if (count > share || new Set(words).size <= capacity) assert.isDefined(told, word)
          if (told === undefined) continue
          assert.isAtLeast(told, count)
          assert.isAtMost(told, new Set(words).size <= capacity ? count : count + share)
        }
        assert.deepStrictEqual(
          top.result(state),
          [...top.result(state)].sort(([a, first], [b, second]) => second - first || (a < b ? -1 : 1))
        )
      }),
      { numRuns: 400, seed: 32 }
    )
    assert.isAbove(beyond, 200)
  })

  it("the largest, first come first", () => {
    const pairs = FastCheck.array(FastCheck.tuple(FastCheck.nat(5), FastCheck.nat(100)), { maxLength: 20 })
    const schema = Schema.Tuple(Schema.Number, Schema.Number)
    const largest = Aggregation.largest(3, ([n]: readonly [number, number]) => n, schema)
    monoid(largest, pairs, (all) => [...all].sort(([a], [b]) => b - a).slice(0, 3))
  })

  it("quantiles are within the relative error that was asked for", () => {
    const reals = FastCheck.array(
      FastCheck.oneof(
        FastCheck.double({ min: -1e6, max: 1e6, noNaN: true }),
        FastCheck.double({ min: 1e-6, max: 1e-3, noNaN: true }),
        FastCheck.constantFrom(0, 5e-324, 1.7e308)
      ),
      { maxLength: 40 }
    )
    const asked = [0, 0.5, 0.9, 1] as const
    const accuracy = 0.02
    monoid(
      Aggregation.quantiles(of, asked, { accuracy }),
      reals,
      (all) => {
        const sorted = [...all].sort((a, b) => a - b)
        const at = (q: number) => sorted[Math.floor(q * (sorted.length - 1))]
        return [at(0), at(0.5), at(0.9), at(1)] as const
      },
      (actual, expected) => {
        for (const [index, value] of expected.entries()) {
          const got = actual[index]
          if (value === undefined || got === undefined) assert.strictEqual(got, value)
          else assert.closeTo(got, value, Math.max(1e-9, Math.abs(value) * accuracy * 1.000001))
        }
      }
    )
  })

  it("any number at all is stored and loaded, also what JSON has no word for, and goes on as it would have", () => {
    const odd = FastCheck.oneof(
      FastCheck.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0, 0, 1.7e308, -1.7e308),
      FastCheck.double()
    )
    const some = FastCheck.array(odd, { maxLength: 6 })
    const aggregations: ReadonlyArray<Aggregation.Aggregation<number, any, unknown>> = [
      Aggregation.sum(of),
      Aggregation.min(of),
      Aggregation.max(of),
      Aggregation.mean(of),
      Aggregation.variance(of),
      Aggregation.quantiles(of, [0, 0.5, 1]),
      Aggregation.distinct((value: number) => Number.isInteger(value) ? `${value}` : value),
      Aggregation.distinct((value: number) => Math.abs(value) < 9 ? String(Number.NaN) : value)
    ]
    for (const aggregation of aggregations) {
      FastCheck.assert(
        FastCheck.property(some, some, (before, after) => {
          const state = all(aggregation, before)
          const stored = JSON.parse(JSON.stringify(Schema.encodeSync(aggregation.state)(state)))
          const loaded = Schema.decodeUnknownSync(aggregation.state)(stored)
          assert.deepStrictEqual(aggregation.result(loaded), aggregation.result(state))
          const more = all(aggregation, after)
          assert.deepStrictEqual(
            aggregation.result(aggregation.merge(after.reduce(aggregation.add, loaded), more)),
            aggregation.result(aggregation.merge(after.reduce(aggregation.add, aggregation.copy(state)), more))
          )
        }),
        { numRuns: 100, seed: 33 }
      )
    }
  })

  it("a sketch of a million numbers stays small", () => {
    const sketch = Aggregation.quantiles(of, [0.5])
    const state = sketch.empty()
    for (let n = 1; n <= 1_000_000; n++) sketch.add(state, n)
    assert.isBelow(state.above.size, 1_000)
    assert.closeTo(sketch.result(state)[0]!, 500_000, 5_000)
  })

  it("several at once", () => {
    const struct = Aggregation.struct({ count: Aggregation.count, mean: Aggregation.mean(of) })
    monoid(struct, numbers, (values) => ({ count: values.length, mean: meanOf(values) }), (actual, expected) => {
      assert.strictEqual(actual.count, expected.count)
      nearly(actual.mean, expected.mean)
    })
    // one that cannot be taken out again, and none can
    assert.isUndefined(struct.unmerge)
    const counts = Aggregation.struct({ count: Aggregation.count })
    assert.isDefined(counts.unmerge)
    monoid(counts, numbers, (values) => ({ count: values.length }))
    const doubled = Aggregation.map(
      Aggregation.contramap(Aggregation.sum(of), (text: string) => text.length),
      (n) => n * 2
    )
    assert.strictEqual(doubled.result(all(doubled, ["ab", "c"])), 6)
  })

  it("what cannot be asked for is refused", () => {
    assert.throws(() => Aggregation.quantiles(of, [1.5]), "a quantile must be from 0 to 1, got 1.5")
    assert.throws(() => Aggregation.quantiles(of, [], { accuracy: 1 }), "accuracy must be between 0 and 1, got 1")
    assert.throws(() => Aggregation.mostFrequent(0, String), "k must be a whole number, 1 or more, got 0")
    assert.throws(
      () => Aggregation.mostFrequent(3, String, { capacity: 2 }),
      "capacity must be a whole number, 3 or more"
    )
  })
})
