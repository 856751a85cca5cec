import { assert, describe, it } from "@effect/vitest"
import * as Machine from "effect-skald/event/Machine"
import * as MachineLaws from "effect-skald/testing/MachineLaws"
import { Chunk, Data, Effect, Either, Exit, FastCheck, HashMap, Option, Stream } from "effect"

const left = Either.left
const right = Either.right
type Wire = Either.Either<string, string>

const letters = ["a", "b"]
const words = FastCheck.array(FastCheck.constantFrom(...letters), { maxLength: 12 })
const machine = MachineLaws.arbitrary({ inputs: letters, outputs: letters })
const wires: ReadonlyArray<Wire> = [right("a"), right("b"), left("a"), left("b")]
const body = MachineLaws.arbitrary({ inputs: wires, outputs: wires, maxOutputs: 2 })
const failing = MachineLaws
  .arbitrary<string, Either.Either<string, string>>({ inputs: letters, outputs: [right("a"), right("b"), left("no")] })
  .map(Machine.absolve)

const outputs = <S, I, O>(self: Machine.Machine<S, I, O>, inputs: Iterable<I>) =>
  Machine.run(self, self.initial, inputs)[1]

/** The definitions, written as plainly as they can be: a state, and a step that answers with a tuple. */
interface Plain<S, I, O> {
  readonly initial: S
  readonly step: (state: S, input: I) => readonly [S, ReadonlyArray<O>]
}
const plain = <S, I, O>(self: Machine.Machine<S, I, O>): Plain<S, I, O> => ({
  initial: self.initial,
  step: (state, input) => Machine.step(self, state, input)
})
const many = <S, I, O>(self: Plain<S, I, O>, state: S, inputs: ReadonlyArray<I>): readonly [S, ReadonlyArray<O>] =>
  inputs.reduce<readonly [S, ReadonlyArray<O>]>(([s, all], input) => {
    const [next, more] = self.step(s, input)
    return [next, [...all, ...more]]
  }, [state, []])

const agree = <S, I, O>(self: Machine.Machine<S, I, O>, definition: Plain<S, I, O>, inputs: ReadonlyArray<I>) => {
  assert.deepStrictEqual(Machine.run(self, self.initial, inputs), many(definition, definition.initial, inputs))
  // step by step as well, so that each output belongs to its own input
  let state = self.initial
  let expected = definition.initial
  for (const input of inputs) {
    const [next, given] = Machine.step(self, state, input)
    const [nextExpected, wanted] = definition.step(expected, input)
    assert.deepStrictEqual([next, given], [nextExpected, wanted])
    state = next
    expected = nextExpected
  }
}

describe("each combinator is its definition", () => {
  it("compose", () =>
    FastCheck.assert(FastCheck.property(machine, machine, words, (f, g, inputs) => {
      const [one, two] = [plain(f), plain(g)]
      agree(Machine.compose(f, g), {
        initial: [f.initial, g.initial] as const,
        step: ([s, t], input) => {
          const [s2, between] = one.step(s, input)
          const [t2, outs] = many(two, t, between)
          return [[s2, t2] as const, outs]
        }
      }, inputs)
    })))

  it("tensor", () =>
    FastCheck.assert(
      FastCheck.property(
        machine,
        machine,
        FastCheck.array(FastCheck.tuple(words, words), { maxLength: 5 }),
        (f, g, turns) => {
          agree<readonly [number, number], Machine.Turn<string, string>, Machine.Turn<string, string>>(
            Machine.tensor(f, g),
            {
              initial: [f.initial, g.initial],
              step: ([s, t], [as, bs]) => {
                const [s2, cs] = many(plain(f), s, as)
                const [t2, ds] = many(plain(g), t, bs)
                return [[s2, t2], [[cs, ds]]]
              }
            },
            turns
          )
        }
      )
    ))

  it("either", () =>
    FastCheck.assert(
      FastCheck.property(machine, machine, FastCheck.array(FastCheck.constantFrom(...wires)), (f, g, inputs) => {
        agree<readonly [number, number], Wire, Wire>(Machine.either(f, g), {
          initial: [f.initial, g.initial],
          step: ([s, t], input) => {
            if (Either.isLeft(input)) {
              const [next, outs] = plain(f).step(s, input.left)
              return [[next, t], outs.map((one) => left(one))]
            }
            const [next, outs] = plain(g).step(t, input.right)
            return [[s, next], outs.map((one) => right(one))]
          }
        }, inputs)
      })
    ))

  it("keyed", () =>
    FastCheck.assert(FastCheck.property(machine, words, (f, inputs) => {
      const keyed = Machine.keyed(f, (word) => word)
      let state: ReadonlyMap<string, number> = new Map()
      const expected: Array<string> = []
      for (const input of inputs) {
        const [next, outs] = Machine.step(f, state.get(input) ?? f.initial, input)
        state = new Map([...state, [input, next]])
        expected.push(...outs)
      }
      const [map, outs] = Machine.run(keyed, keyed.initial, inputs)
      assert.deepStrictEqual(outs, expected)
      assert.deepStrictEqual(new Map(map), state)
    })))

  it("feedback", () =>
    FastCheck.assert(
      FastCheck.property(body, words, FastCheck.nat(6), (f, inputs, maxTurns) => {
        const looped = Machine.feedback(f, { maxTurns })
        let state = f.initial
        const expected: Array<string> = []
        for (const [index, input] of inputs.entries()) {
          let [next, answer] = Machine.step(f, state, right(input))
          const own = answer.filter(Either.isRight)
          const queue = answer.filter(Either.isLeft)
          let turns = 0
          while (queue.length > 0 && turns++ < maxTurns) {
            ;[next, answer] = Machine.step(f, next, queue.shift() as Wire)
            own.push(...answer.filter(Either.isRight))
            queue.push(...answer.filter(Either.isLeft))
          }
          if (queue.length > 0) {
            const stopped = Either.flip(Machine.runEither(looped, looped.initial, inputs)).pipe(Either.getOrThrow)
            assert.deepStrictEqual([stopped.state, stopped.outputs, stopped.index], [state, expected, index])
            assert.deepStrictEqual(
              { ...stopped.error },
              { ...new Machine.FeedbackUnsettled({ input, maxTurns, pending: queue.length }) }
            )
            return
          }
          state = next
          expected.push(...own.map((one) => one.right))
        }
        assert.deepStrictEqual(Either.getOrThrow(Machine.runEither(looped, looped.initial, inputs)), [state, expected])
      }),
      { numRuns: 1000 }
    ))

  it("catchAll refuses an input as if it had never come", () =>
    FastCheck.assert(FastCheck.property(failing, words, (f, inputs) => {
      const answering = Machine.catchAll(f, (error, input) => [`${error} ${input}`])
      let state = f.initial
      const expected: Array<string> = []
      for (const input of inputs) {
        const answer = Machine.runEither(f, state, [input])
        if (Either.isLeft(answer)) expected.push(`${answer.left.error} ${input}`)
        else {
          state = answer.right[0]
          expected.push(...answer.right[1])
        }
      }
      assert.deepStrictEqual(Machine.run(answering, answering.initial, inputs), [state, expected])
    })))
})

describe("running", () => {
  const sums = Machine.scan(0, (sum, n: number) => sum + n)

  it("takes arrays, chunks and any iterable, and none", () => {
    const expected: readonly [number, ReadonlyArray<number>] = [6, [1, 3, 6]]
    assert.deepStrictEqual(Machine.run(sums, 0, [1, 2, 3]), expected)
    assert.deepStrictEqual(Machine.run(sums, 0, Chunk.make(1, 2, 3)), expected)
    assert.deepStrictEqual(Machine.run(sums, 0, new Set([1, 2, 3]).values()), expected)
    assert.deepStrictEqual(Machine.run(sums, 0, []), [0, []])
    assert.deepStrictEqual(sums.pipe(Machine.run(0, [1, 2, 3])), expected)
    assert.strictEqual(sums.pipe(Machine.replay(0, [1, 2, 3])), 6)
    assert.deepStrictEqual(sums.pipe(Machine.step(5, 1)), [6, [6]])
    assert.strictEqual(Machine.replay(Machine.withInitial(sums, 10), 10, []), 10)
  })

  it("fold answers nothing, and replays", () => {
    const fold = Machine.fold(0, (sum, n: number) => sum + n)
    assert.deepStrictEqual(Machine.run(fold, fold.initial, [1, 2, 3]), [6, []])
  })

  it("a failure says what there was before the input that failed, and takes no later input", () => {
    const seen: Array<number> = []
    const careful = Machine.make({
      initial: 0,
      step: (sum, n: number) => {
        seen.push(n)
        return [sum + n, n < 0 ? [right(sum), left("negative")] : [right(sum + n)]]
      }
    }).pipe(Machine.absolve)
    const stopped = Either.flip(Machine.runEither(careful, 10, [1, 2, -1, 100])).pipe(Either.getOrThrow)
    assert.deepStrictEqual(stopped, { error: "negative", index: 2, state: 13, outputs: [11, 13] })
    assert.notInclude(seen, 100)
    // @ts-expect-error a machine that may fail is not run as one that cannot
    assert.throws(() => Machine.run(careful, 0, [-1]))
  })

  it("a throw in a step is a bug and stays one", () => {
    const bug = Machine.lift((_: number): number => {
      throw new Error("bug")
    })
    assert.throws(() => Machine.runEither(bug, null, [1]), /^bug$/)
    assert.throws(() => outputs(Machine.catchAll(bug, () => [0]), [1]), /^bug$/)
  })

  it("a run does not change the state it was given", () => {
    const stock = Machine.keyed(sums, (n) => `${n % 3}`)
    const [before] = Machine.run(stock, stock.initial, [1, 2, 3])
    const copy = new Map(before)
    const [after] = Machine.run(stock, before, [4, 5, 6, 7])
    assert.deepStrictEqual(new Map(before), copy)
    assert.notDeepEqual(new Map(after), copy)
    assert.strictEqual(HashMap.size(stock.initial), 0)
    assert.strictEqual(Machine.run(stock, before, [])[0], before)
  })

  it("prints itself", () => {
    assert.deepStrictEqual(sums.toJSON(), { _id: "Machine", initial: 0 })
    assert.isTrue(Machine.isMachine(sums))
    assert.isFalse(Machine.isMachine({ initial: 0 }))
  })
})

describe("keyed", () => {
  const count = Machine.scan(0, (n: number, _: { readonly key: unknown }) => n + 1)

  it("compares keys by Equal, and NaN equals nothing, however the history is cut", () => {
    const byKey = Machine.keyed(count, (input) => input.key)
    const keys = [
      Data.struct({ id: 1 }),
      Data.struct({ id: 1 }),
      new Date(0),
      new Date(0),
      0,
      -0,
      "0",
      null,
      null,
      undefined,
      undefined,
      Number.NaN,
      Number.NaN
    ].map((key) => ({ key }))
    const expected = [1, 2, 1, 2, 1, 2, 1, 1, 2, 1, 2, 1, 1]
    assert.deepStrictEqual(outputs(byKey, keys), expected)
    let state = byKey.initial
    const single = keys.flatMap((input) => {
      const [next, outs] = Machine.step(byKey, state, input)
      state = next
      return outs
    })
    assert.deepStrictEqual(single, expected)
    assert.deepStrictEqual(Option.getOrNull(HashMap.get(state, Data.struct({ id: 1 }))), 2)
  })

  it("forgets a key that is done, and starts it afresh", () => {
    const pairs = Machine.keyed(count, (input) => input.key, { done: (n) => n === 2 })
    const inputs = ["a", "b", "a", "a", "b"].map((key) => ({ key }))
    const [state, outs] = Machine.run(pairs, pairs.initial, inputs)
    assert.deepStrictEqual(outs, [1, 1, 2, 1, 2])
    assert.deepStrictEqual([...state], [["a", 1]])
    const objects = Machine.keyed(count, (input) => Data.struct({ key: input.key }), { done: (n) => n === 2 })
    assert.strictEqual(HashMap.size(Machine.run(objects, objects.initial, [...inputs, { key: "a" }])[0]), 0)
    // a key of an earlier run as well
    const [again] = Machine.run(pairs, state, [{ key: "a" }])
    assert.strictEqual(HashMap.size(again), 0)
  })

  it("keeps 100,000 keys over chunks of one", () => {
    const byKey = Machine.keyed(count, (input) => input.key)
    let state = byKey.initial
    for (let n = 0; n < 100_000; n++) state = Machine.step(byKey, state, { key: n })[0]
    assert.strictEqual(HashMap.size(state), 100_000)
  })
})

describe("feedback", () => {
  it("fails with a typed error that names input, bound and what is waiting", () => {
    const forever = Machine.feedback(Machine.make({
      initial: 0,
      step: (n, input: Either.Either<string, string>) => [n + 1, [left(Either.merge(input)), left("more")]]
    }))
    const stopped = Either.flip(Machine.runEither(forever, forever.initial, ["x"])).pipe(Either.getOrThrow)
    assert.instanceOf(stopped.error, Machine.FeedbackUnsettled)
    assert.strictEqual(stopped.error._tag, "FeedbackUnsettled")
    assert.strictEqual(stopped.error.maxTurns, Machine.defaultMaxTurns)
    assert.strictEqual(stopped.error.input, "x")
    assert.strictEqual(stopped.error.pending, Machine.defaultMaxTurns + 2)
    assert.match(stopped.error.message, /did not settle within 1000 turns for one input, 1002 still waiting/)
    assert.deepStrictEqual([stopped.index, stopped.state, stopped.outputs], [0, 0, []])
  })

  it("settles on exactly the bound, and for each input anew", () => {
    const times = Machine.feedback(
      Machine.lift((input: Either.Either<number, number>) => Either.merge(input)).pipe(
        Machine.map((n): Either.Either<string, number> => n === 0 ? right("done") : left(n - 1))
      ),
      { maxTurns: 3 }
    )
    assert.deepStrictEqual(
      Either.map(Machine.runEither(times, null, [3, 3, 0, 3]), ([, outs]) => outs.length),
      right(4)
    )
    assert.isTrue(Either.isLeft(Machine.runEither(times, null, [4])))
    const none = Machine.feedback(Machine.lift((input: Either.Either<number, number>) => Either.flip(input)), {
      maxTurns: 0
    })
    assert.isTrue(Either.isLeft(Machine.runEither(none, null, [1])))
  })

  it("refuses a bound that is none", () => {
    for (const maxTurns of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      assert.throws(() => Machine.feedback(Machine.identity<Wire>(), { maxTurns }), RangeError)
    }
  })
})

describe("long chains", () => {
  const plus = Machine.scan(0, (n: number, _: number) => n + 1)
  const add = Machine.lift((n: number) => n + 1)
  type Any = Machine.Machine<any, number, number, string>
  const refuse = (at: number): Any =>
    Machine.lift((n: number): Either.Either<number, string> => n === at ? left(`at ${at}`) : right(n)).pipe(
      Machine.absolve
    )
  const nest = {
    left: (list: ReadonlyArray<Any>): Any => list.reduce((one: Any, next) => Machine.compose(one, next)),
    right: (list: ReadonlyArray<Any>): Any => list.reduceRight((next: Any, one) => Machine.compose(one, next))
  }

  for (const [name, chain] of Object.entries(nest)) {
    it(`20,000 machines nested to the ${name} open, run and close`, () => {
      const long = chain(Array.from({ length: 20_000 }, () => add)) as Machine.Machine<any, number, number>
      const [state, outs] = Machine.run(long, long.initial, [0, 1])
      assert.deepStrictEqual(outs, [20_000, 20_001])
      assert.deepStrictEqual(Machine.run(long, state, [2])[1], [20_002])
    })
  }

  it("give the state of each machine its place", () => {
    const list = Array.from({ length: 300 }, () => plus)
    const deep = nest.right(list) as Machine.Machine<any, number, number>
    let [state] = Machine.run(deep, deep.initial, [7, 7])
    for (let k = 0; k < 299; k++) {
      assert.strictEqual(state[0], 2)
      state = state[1]
    }
    assert.strictEqual(state, 2)
  })

  it("report the failure that a short chain reports", () => {
    const echo: Any = Machine.make({ initial: null, step: (state, n: number) => [state, [n, n + 1]] })
    const filler = Array.from({ length: 200 }, () => Machine.identity<number>() as Any)
    // the first output fails far down, the second one early: the first one comes first
    for (const between of [[], filler]) {
      const one = nest.left([echo, refuse(1), ...between, refuse(0)])
      assert.deepStrictEqual(
        Either.mapLeft(Machine.runEither(one, one.initial, [0]), ({ error }) => error),
        left("at 0")
      )
      const two = nest.left([echo, refuse(0), ...between, refuse(1)])
      assert.deepStrictEqual(
        Either.mapLeft(Machine.runEither(two, two.initial, [0]), ({ error }) => error),
        left("at 0")
      )
    }
  })

  it("recover after a failure", () => {
    const long = nest.left([...Array.from({ length: 300 }, () => plus as Any), refuse(2)])
    const answering = Machine.catchAll(long, (error) => [error])
    assert.deepStrictEqual(outputs(answering, [9, 9, 9]), [1, "at 2", "at 2"])
  })
})

describe("streams", () => {
  const chunks = (sizes: ReadonlyArray<number>, inputs: ReadonlyArray<string>) => {
    const list: Array<Chunk.Chunk<string>> = []
    let from = 0
    for (const size of sizes) {
      list.push(Chunk.fromIterable(inputs.slice(from, from + size)))
      from += size
    }
    return Stream.fromChunks(...list, Chunk.fromIterable(inputs.slice(from)))
  }
  const sizes = FastCheck.array(FastCheck.nat(4), { maxLength: 4 })
  const filled = FastCheck.array(FastCheck.integer({ min: 1, max: 4 }), { maxLength: 4 })

  it.effect("toStream is run, however the stream is cut, and each run of it starts afresh", () =>
    Effect.promise(() =>
      FastCheck.assert(FastCheck.asyncProperty(machine, words, sizes, async (f, inputs, cut) => {
        const keyed = Machine.keyed(f, (word) => word)
        const stream = chunks(cut, inputs).pipe(Machine.toStream(keyed))
        const expected = outputs(keyed, inputs)
        assert.deepStrictEqual([...await Effect.runPromise(Stream.runCollect(stream))], expected)
        assert.deepStrictEqual([...await Effect.runPromise(Stream.runCollect(stream))], expected)
      }))
    ))

  it.effect("toStreamFrom gives the state after each chunk with its outputs; toSink the last", () =>
    Effect.promise(() =>
      FastCheck.assert(FastCheck.asyncProperty(machine, words, words, filled, async (f, before, inputs, cut) => {
        const from = Machine.replay(f, f.initial, before)
        const stream = chunks(cut, inputs)
        const pairs = [...await Effect.runPromise(Stream.runCollect(Machine.toStreamFrom(f, from)(stream)))]
        const [state, outs] = Machine.run(f, from, inputs)
        assert.deepStrictEqual(pairs.flatMap(([, some]) => some), outs)
        assert.strictEqual(pairs.at(-1)?.[0] ?? from, state)
        let at = from
        let position = 0
        for (const [index, pair] of pairs.entries()) {
          const size = cut[index] ?? inputs.length
          at = Machine.replay(f, at, inputs.slice(position, position + size))
          position += size
          assert.strictEqual(pair[0], at)
        }
        assert.strictEqual(await Effect.runPromise(Stream.run(stream, Machine.toSink(f, from))), state)
      }))
    ))

  it.effect("a failing machine ends the stream after what it had answered", () =>
    Effect.promise(() =>
      FastCheck.assert(FastCheck.asyncProperty(failing, words, sizes, async (f, inputs, cut) => {
        const answer = Machine.runEither(f, f.initial, inputs)
        const expected = Either.merge(Either.map(answer, ([state, outs]) => ({ state, outputs: outs })))
        const ends = Either.isLeft(answer) ? Exit.fail(answer.left.error) : Exit.void
        const seen: Array<string> = []
        const exit = await Effect.runPromiseExit(
          Stream.runForEach(Machine.toStream(f)(chunks(cut, inputs)), (one) => Effect.sync(() => seen.push(one)))
        )
        assert.deepStrictEqual(seen, [...expected.outputs])
        assert.isTrue(Exit.isSuccess(exit) === Exit.isSuccess(ends))
        const stored: Array<readonly [number, ReadonlyArray<string>]> = []
        const again = await Effect.runPromiseExit(
          Stream.runForEach(Machine.toStreamFrom(f, f.initial)(chunks(cut, inputs)), (one) =>
            Effect.sync(() => stored.push(one)))
        )
        assert.deepStrictEqual(
          stored.flatMap(([, outs]) =>
            outs
          ),
          [...expected.outputs]
        )
        assert.strictEqual(stored.at(-1)?.[0] ?? f.initial, expected.state)
        if (Either.isLeft(answer)) assert.deepStrictEqual(again, Exit.fail(answer.left.error))
        const sunk = await Effect.runPromiseExit(Stream.run(chunks(cut, inputs), Machine.toSink(f, f.initial)))
        assert.deepStrictEqual(
          sunk,
          Either.isLeft(answer) ? Exit.fail(answer.left.error) : Exit.succeed(expected.state)
        )
      }))
    ))

  it.effect("a failure of the stream passes through after the outputs, and a bug is a defect", () =>
    Effect.gen(function*() {
      const sums = Machine.scan(0, (sum, n: number) => sum + n)
      const seen: Array<number> = []
      const exit = yield* Stream.make(1, 2).pipe(
        Stream.concat(Stream.fail("upstream")),
        Machine.toStream(sums),
        Stream.runForEach((n) => Effect.sync(() => seen.push(n))),
        Effect.exit
      )
      assert.deepStrictEqual(seen, [1, 3])
      assert.deepStrictEqual(exit, Exit.fail("upstream"))
      const bug = Machine.lift((_: number): number => {
        throw new Error("bug")
      })
      const died = yield* Stream.make(1).pipe(Machine.toStream(bug), Stream.runDrain, Effect.exit)
      assert.isTrue(Exit.isFailure(died) && died.cause._tag === "Die")
    }))

  it.effect("is pulled chunk by chunk: an endless stream gives what is taken", () =>
    Effect.gen(function*() {
      const sums = Machine.scan(0, (sum, n: number) => sum + n)
      const taken = yield* Stream.iterate(1, (n) => n + 1).pipe(
        Machine.toStream(sums),
        Stream.take(3),
        Stream.runCollect
      )
      assert.deepStrictEqual([...taken], [1, 3, 6])
    }))
})
