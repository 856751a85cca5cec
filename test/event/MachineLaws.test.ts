import { assert, describe, it } from "@effect/vitest"
import * as Machine from "effect-skald/event/Machine"
import * as Law from "effect-skald/testing/Law"
import * as MachineLaws from "effect-skald/testing/MachineLaws"
import * as SumLaws from "effect-skald/testing/SumLaws"
import * as TensorLaws from "effect-skald/testing/TensorLaws"
import * as TraceLaws from "effect-skald/testing/TraceLaws"
import { Effect, Either, FastCheck, HashMap, Option, Schema } from "effect"
import { vi } from "vitest"

const left = Either.left
const right = Either.right

/** Random machines from letters to letters, with none, one or many outputs. */
const letters = ["a", "b"]
const letter = FastCheck.constantFrom(...letters)
const words = FastCheck.array(letter, { maxLength: 10 })
const machine = MachineLaws.arbitrary({ inputs: letters, outputs: letters })

/** Random machines that fail on some inputs. */
const failing = MachineLaws.arbitrary({
  inputs: letters,
  outputs: [right("a"), right("b"), right("a"), left("refused")]
}).map(Machine.absolve)
const any = FastCheck.oneof(machine, failing)

const turns = FastCheck.array(TensorLaws.turns(letter, letter), { maxLength: 5 })
const choices = FastCheck.array(SumLaws.choices(letter, letter), { maxLength: 8 })

/** Random bodies of loops: a step sends half a token back on average, so that most of them settle. */
const inward: ReadonlyArray<Either.Either<string, string>> = [right("a"), right("b"), left("a"), left("b")]
const body = MachineLaws.arbitrary({ inputs: inward, outputs: inward, maxOutputs: 2 })
const failingBody = MachineLaws.arbitrary({
  inputs: inward,
  outputs: [...inward.map((one) => right(one)), ...inward.map((one) => right(one)), left("refused")],
  maxOutputs: 2
}).map(Machine.absolve)
const anyBody: FastCheck.Arbitrary<TraceLaws.Body<string, string, string>> = FastCheck.oneof(body, failingBody)

type Wires = Either.Either<string, Either.Either<string, string>>
const twoWires: ReadonlyArray<Wires> = [right("a"), right("b"), left(left("a")), left(right("a")), left(right("b"))]
const outs = FastCheck.array(FastCheck.constantFrom<Array<Wires>>(right("a"), right("b")), { maxLength: 2 })
const backs = FastCheck.array(
  FastCheck.constantFrom<Array<Wires>>(left(left("a")), left(right("a")), left(right("b"))),
  { maxLength: 1 }
)
/** Any number of outputs, at most one token sent back, between them. */
const oneBack = MachineLaws.arbitrary({
  inputs: twoWires,
  outputs: twoWires,
  answers: FastCheck.tuple(outs, backs, outs).map((parts) => parts.flat())
})

const holds = (name: string, law: Law.Law, numRuns = 300) => it.effect(name, () => Law.check(law, { numRuns }))

/** The law does not hold for such machines: a counterexample is found, and small enough to be read. */
const breaks = (name: string, law: Law.Law, expected?: RegExp) =>
  it.effect(name, () =>
    Effect.gen(function*() {
      const broken = yield* Effect.flip(Law.check(law, { numRuns: 20_000, seed: 7 }))
      assert.strictEqual(broken.reason, "counterexample")
      assert.isBelow(broken.counterexample.length, 2000)
      if (expected !== undefined) assert.match(broken.message, expected)
    }))

describe("laws of all machines", () => {
  holds("identity", MachineLaws.identity({ machine: any, inputs: words }))
  holds("associativity", MachineLaws.associativity({ first: any, second: any, third: any, inputs: words }))
  holds("functors", MachineLaws.functor({ machine: any, inputs: words }))
  holds("chunking", MachineLaws.chunking({ machine: any, inputs: words }))
  holds("replay", MachineLaws.replay({ machine: any, inputs: words }))
  holds("purity", MachineLaws.purity({ machine: any, inputs: words }))
  holds("keys", MachineLaws.keyed({ machine: any, inputs: words, key: (one) => one }))

  const composites: Record<string, FastCheck.Arbitrary<Machine.Machine<any, string, string, unknown>>> = {
    compose: FastCheck.tuple(any, any).map(([f, g]) => Machine.compose(f, g)),
    keyed: any.map((f) => Machine.keyed(f, (one) => one)),
    "keyed, forgetting": machine.map((f) => Machine.keyed(f, (one) => one, { done: (state) => state === 2 })),
    catchAll: failing.map((f) => Machine.catchAll(f, (error, input) => [`${error} ${input}`])),
    "catchAll of keyed": failing.map((f) =>
      f.pipe(Machine.keyed((one) => one), Machine.catchAll((error, input) => [`${error} ${input}`]))
    ),
    feedback: anyBody.map((f) => Machine.feedback(f, { maxTurns: 20 }))
  }
  for (const [name, composite] of Object.entries(composites)) {
    it.effect(`chunking, replay and the others, of ${name}`, () =>
      MachineLaws.check({ machine: composite, inputs: words }, { numRuns: 150 }))
  }
  it.effect("chunking, replay and the others, of tensor", () =>
    MachineLaws.check({
      machine: FastCheck.tuple(any, any).map(([f, g]) => Machine.tensor(f, g)),
      inputs: turns
    }, { numRuns: 150 }))
  it.effect("chunking, replay and the others, of either", () =>
    MachineLaws.check({
      machine: FastCheck.tuple(any, any).map(([f, g]) => Machine.either(f, g)),
      inputs: choices
    }, { numRuns: 150 }))

  it.effect("a snapshot that is stored and read makes no difference", () => {
    const snapshot = Schema.HashMap({ key: Schema.String, value: Schema.Number })
    const store = Schema.encodeSync(Schema.parseJson(snapshot))
    const load = Schema.decodeSync(Schema.parseJson(snapshot))
    return Law.check(MachineLaws.replay({
      machine: machine.map(Machine.keyed((one) => one)),
      inputs: words,
      snapshot: (state) => load(store(state))
    }))
  })
})

describe("side by side", () => {
  const square = { left: [any, any], right: [any, any] } as const
  holds("⊗ identity", TensorLaws.identity({ inputs: turns }))
  holds("⊗ interchange", TensorLaws.interchange({ ...square, inputs: turns }))
  holds("⊗ unit", TensorLaws.unit({ machine: any, inputs: words }))
  const nested = FastCheck.array(TensorLaws.turns(TensorLaws.turns(letter, letter), letter), { maxLength: 4 })
  holds("⊗ associativity", TensorLaws.associativity({ first: any, second: any, third: any, inputs: nested }))
  holds("⊗ symmetry", TensorLaws.symmetry({ first: any, second: any, inputs: turns }))

  holds("+ identity", SumLaws.identity({ inputs: choices }))
  holds("+ interchange", SumLaws.interchange({ ...square, inputs: choices }))
  holds("+ unit", SumLaws.unit({ machine: any, inputs: words }))
  const three = FastCheck.array(SumLaws.choices(SumLaws.choices(letter, letter), letter), { maxLength: 8 })
  holds("+ associativity", SumLaws.associativity({ first: any, second: any, third: any, inputs: three }))
  holds("+ symmetry", SumLaws.symmetry({ first: any, second: any, inputs: choices }))
})

describe("feedback", () => {
  const atMostOne = MachineLaws.arbitrary({ inputs: letters, outputs: letters, maxOutputs: 1 })
  holds("tightening on the left", TraceLaws.tighteningLeft({ before: atMostOne, machine: anyBody, inputs: words }))
  holds(
    "tightening on the left, as far as one output goes",
    TraceLaws.tighteningLeft({ before: any, machine: body, inputs: words })
  )
  holds("tightening on the right", TraceLaws.tighteningRight({ machine: anyBody, after: any, inputs: words }))
  const slide = MachineLaws.arbitrary({ inputs: letters, outputs: letters, maxOutputs: 2 })
  holds("sliding", TraceLaws.sliding({ machine: anyBody, slide, inputs: words }), 1000)
  holds("vanishing over nothing", TraceLaws.vanishingUnit({ machine: any, inputs: words }))
  holds("vanishing over two wires", TraceLaws.vanishingTensor({ machine: oneBack, inputs: words }))
  const stateless = MachineLaws.arbitrary({ inputs: twoWires, outputs: twoWires, maxStates: 1, maxOutputs: 2 })
    .map((f) =>
      Machine.make<null, Wires, Wires>({
        initial: null,
        step: (state, input) => [state, Machine.step(f, 0, input)[1]]
      })
    )
  holds("vanishing over two wires, in some order", TraceLaws.vanishingUnordered({ machine: stateless, inputs: words }))
  holds("yanking", TraceLaws.yanking({ inputs: words }))
  const beside = FastCheck.array(SumLaws.choices(letter, letter), { maxLength: 8 })
  holds("superposing", TraceLaws.superposing({ beside: any, machine: anyBody, inputs: beside }))
})

describe("where a law stops", () => {
  it("⊗ on pairs of single values, with all pairs of outputs, has no interchange", () => {
    const pairs = <A, B, C, D>(f: Machine.Machine<any, A, C>, g: Machine.Machine<any, B, D>) =>
      Machine.make({
        initial: [f.initial, g.initial] as const,
        step: ([s, t], [a, b]: readonly [A, B]) => {
          const [s2, cs] = Machine.step(f, s, a)
          const [t2, ds] = Machine.step(g, t, b)
          return [[s2, t2] as const, cs.flatMap((c) => ds.map((d) => [c, d] as const))]
        }
      })
    const count = Machine.scan(0, (n: number, _: string) => n + 1)
    const echo = Machine.make({ initial: null, step: (state, one: string) => [state, [one, one]] })
    const run = <S, I, O>(m: Machine.Machine<S, I, O>, inputs: ReadonlyArray<I>) => Machine.run(m, m.initial, inputs)[1]
    const same = Machine.identity<string>()

    const there = Machine.compose(pairs(echo, same), pairs(same, count))
    const here = pairs(Machine.compose(echo, same), Machine.compose(same, count))
    assert.deepStrictEqual(run(there, [["x", "y"]]), [["x", 1], ["x", 2]])
    assert.deepStrictEqual(run(here, [["x", "y"]]), [["x", 1], ["x", 1]])

    // with one output for each input both agree
    const one = Machine.compose(pairs(same, same), pairs(same, count))
    const other = pairs(Machine.compose(same, same), Machine.compose(same, count))
    assert.deepStrictEqual(run(one, [["x", "y"], ["x", "y"]]), run(other, [["x", "y"], ["x", "y"]]))
  })

  it.effect("A ⊗ I → A → A ⊗ I cuts turns, so it is the identity up to that only", () =>
    Effect.gen(function*() {
      const { tensorUnitRight, tensorWithUnitRight } = yield* Effect.promise(() =>
        import("effect-skald/event/MachineWiring")
      )
      const round = Machine.compose(tensorUnitRight<string>(), tensorWithUnitRight<string>())
      assert.deepStrictEqual(Machine.run(round, round.initial, [[["x", "y"], []]])[1], [[["x"], []], [["y"], []]])
      const back = Machine.compose(tensorWithUnitRight<string>(), tensorUnitRight<string>())
      assert.deepStrictEqual(Machine.run(back, back.initial, ["x", "y"])[1], ["x", "y"])
    }))

  /** Sends a token back for each input, and says how many inputs and tokens it has seen. */
  const log = Machine.make({
    initial: "",
    step: (seen, input: Either.Either<string, string>) => {
      const now = seen + Either.merge(input)
      return [now, Either.isRight(input) ? [right(now), left("u")] : [right(now)]]
    }
  })
  const echo = Machine.make({ initial: null, step: (state, one: string) => [state, [one, one]] })

  it("tightening on the left fails for a machine with two outputs", () => {
    const outside = Machine.compose(echo, Machine.feedback(log))
    const inside = Machine.feedback(Machine.compose(Machine.either(Machine.identity<string>(), echo), log))
    const run = <S>(m: Machine.Machine<S, string, string, Machine.FeedbackUnsettled>) =>
      Either.getOrThrow(Machine.runEither(m, m.initial, ["x"]))[1]
    assert.deepStrictEqual(run(outside), ["x", "xu", "xux", "xuxu"])
    assert.deepStrictEqual(run(inside), ["x", "xx", "xxu", "xxuu"])
  })

  it("vanishing over two wires fails for a machine that sends two tokens back in a step", () => {
    const two = Machine.make({
      initial: "",
      step: (seen, input: Wires): readonly [string, ReadonlyArray<Wires>] => {
        if (Either.isRight(input)) return [seen, [left(left("u")), left(right("v"))]]
        const now = seen + Either.merge(input.left)
        return [now, [right(now)]]
      }
    })
    const law = TraceLaws.vanishingTensor({ machine: two, inputs: FastCheck.constant(["x"]) })
    const once = Machine.feedback(two)
    assert.deepStrictEqual(Either.getOrThrow(Machine.runEither(once, once.initial, ["x"]))[1], ["u", "uv"])
    const twice = two.pipe(
      Machine.contramap((input: Either.Either<Either.Either<string, string>, string>): Wires =>
        Either.isLeft(input)
          ? left(right(input.left))
          : Either.isLeft(input.right)
          ? left(left(input.right.left))
          : right(input.right.right)
      ),
      Machine.map((output): Either.Either<Either.Either<string, string>, string> =>
        Either.isRight(output)
          ? right(right(output.right))
          : Either.isRight(output.left)
          ? left(output.left.right)
          : right(left(output.left.left))
      ),
      Machine.feedback(),
      Machine.feedback()
    )
    assert.deepStrictEqual(Either.getOrThrow(Machine.runEither(twice, twice.initial, ["x"]))[1], ["v", "vu"])
    // the law leaves such cases out, and says so when none is left
    const vacuous = Effect.runSync(Effect.flip(Law.check(law)))
    assert.strictEqual(vacuous.reason, "vacuous")
  })
})

describe("machines that break the rules are caught", () => {
  const check = <S>(machine: Machine.Machine<S, string, string>, law: typeof MachineLaws.purity) =>
    law<S, string, string, never>({ machine, inputs: words })

  let calls = 0
  const remembering = Machine.make({ initial: null, step: (state, _: string) => [state, [`${calls++}`]] })
  breaks("a step that remembers outside its state (purity)", check(remembering, MachineLaws.purity), /steps are pure/)
  breaks("a step that remembers outside its state (chunking)", check(remembering, MachineLaws.chunking))
  breaks("a step that remembers outside its state (replay)", check(remembering, MachineLaws.replay))

  const pushing = Machine.make<Array<string>, string, string>({
    initial: [],
    step: (state, input) => {
      state.push(input)
      return [state, [`${state.length}`]]
    }
  })
  breaks("a step that changes its state in place", check(pushing, MachineLaws.purity), /not extensible|read only/)

  const changing = Machine.make({
    initial: 0,
    step: (state, input: { n: number }) => {
      input.n += 1
      return [state + input.n, [input.n]]
    }
  })
  breaks(
    "a step that changes its input",
    MachineLaws.purity({ machine: changing, inputs: FastCheck.array(FastCheck.record({ n: FastCheck.nat() })) })
  )
  breaks(
    "a snapshot that forgets",
    MachineLaws.replay({ machine: Machine.scan(0, (n, _: string) => n + 1), inputs: words, snapshot: () => 0 }),
    /replay\(a \+\+ b\)/
  )
  breaks(
    "a fold that was fused wrongly",
    MachineLaws.foldFusion({
      initial: [] as ReadonlyArray<number>,
      reduce: (all, n: number) => [...all, n],
      through: (all) => all.length,
      fused: (count, n) => n === 0 ? count : count + 1,
      inputs: FastCheck.array(FastCheck.nat())
    }),
    /fused fold/
  )
  holds(
    "a fold that was fused rightly",
    MachineLaws.foldFusion({
      initial: HashMap.empty<string, number>(),
      reduce: (counts, word: string) =>
        HashMap.modifyAt(counts, word, (n) => Option.some(Option.getOrElse(n, () => 0) + 1)),
      through: (counts) => HashMap.reduce(counts, 0, (sum, n) => sum + n),
      fused: (count) => count + 1,
      inputs: words
    })
  )

  it.effect("a counterexample is small, readable, and found again by its seed and path", () =>
    Effect.gen(function*() {
      const law = MachineLaws.chunking({ machine: remembering, inputs: words })
      const broken = yield* Effect.flip(Law.check(law, { seed: 3 }))
      assert.strictEqual(broken.seed, 3)
      assert.include(broken.message, "the law \"chunking does not matter\" does not hold")
      assert.include(broken.message, "inputs: [\"a\"]")
      const again = yield* Effect.flip(Law.check(law, { seed: 3, path: broken.path, numRuns: 1 }))
      assert.strictEqual(again.path.split(":")[0], broken.path.split(":")[0])
      assert.include(again.message, "inputs: [\"a\"]")
    }))
})

describe("a wrong combinator is caught by the laws", () => {
  /** The library with some of its internal functions replaced, and the laws over it. */
  const library = async (path?: string, mutate: (original: any, step: typeof stepWith) => object = () => ({})) => {
    vi.resetModules()
    if (path !== undefined) {
      vi.doMock(path, async (importOriginal) => {
        const original = await importOriginal<object>()
        return { ...original, ...mutate(original, stepWith) }
      })
    }
    try {
      return {
        Machine: await import("effect-skald/event/Machine"),
        Law: await import("effect-skald/testing/Law"),
        MachineLaws: await import("effect-skald/testing/MachineLaws"),
        SumLaws: await import("effect-skald/testing/SumLaws"),
        TensorLaws: await import("effect-skald/testing/TensorLaws"),
        TraceLaws: await import("effect-skald/testing/TraceLaws")
      }
    } finally {
      if (path !== undefined) vi.doUnmock(path)
      vi.resetModules()
    }
  }
  type Library = Awaited<ReturnType<typeof library>>

  /** The names of the laws, of these or of all, that are broken there. */
  const examine = (it: Library, names: ReadonlyArray<string>): ReadonlyArray<string> => {
    const machine = it.MachineLaws.arbitrary({ inputs: letters, outputs: letters })
    const failing = it.MachineLaws
      .arbitrary({ inputs: letters, outputs: [right("a"), right("b"), left("refused")] })
      .map((one) => it.Machine.absolve(one))
    const body = it.MachineLaws.arbitrary({ inputs: inward, outputs: inward, maxOutputs: 2 })
    const atMostOne = it.MachineLaws.arbitrary({ inputs: letters, outputs: letters, maxOutputs: 1 })
    const square = { left: [machine, machine], right: [machine, machine] } as const
    const three = { first: machine, second: machine, third: machine }
    const keyed = machine.map((one) => it.Machine.keyed(one, (word) => word))
    const either: FastCheck.Arbitrary<Machine.Machine<any, string, string, unknown>> = FastCheck.oneof(failing, keyed)
    const laws = {
      identity: it.MachineLaws.identity({ machine, inputs: words }),
      associativity: it.MachineLaws.associativity({ ...three, inputs: words }),
      chunking: it.MachineLaws.chunking({ machine: either, inputs: words }),
      keys: it.MachineLaws.keyed({ machine, inputs: words, key: (word) => word }),
      "⊗ identity": it.TensorLaws.identity({ inputs: turns }),
      "⊗ interchange": it.TensorLaws.interchange({ ...square, inputs: turns }),
      "+ identity": it.SumLaws.identity({ inputs: choices }),
      "+ interchange": it.SumLaws.interchange({ ...square, inputs: choices }),
      "left tightening": it.TraceLaws.tighteningLeft({ before: atMostOne, machine: body, inputs: words }),
      "right tightening": it.TraceLaws.tighteningRight({ machine: body, after: machine, inputs: words }),
      sliding: it.TraceLaws.sliding({ machine: body, slide: machine, inputs: words }),
      yanking: it.TraceLaws.yanking({ inputs: words })
    }
    return Object.entries(laws)
      .filter(([name]) => names.length === 0 || names.includes(name))
      .filter(([, law]) => Either.isLeft(Effect.runSync(Effect.either(it.Law.check(law, { numRuns: 400, seed: 1 })))))
      .map(([name]) => name)
  }

  /** One step of a machine, as the plain definition has it. */
  const stepWith = (core: any, machine: any, state: unknown, input: unknown): [unknown, Array<unknown>] => {
    const outputs: Array<unknown> = []
    const instance = core.open(machine, state, (output: unknown) => outputs.push(output))
    instance.push(input)
    return [instance.state(), outputs]
  }

  const core = "effect-skald/internal/event/machine"

  /** `compose` by its definition, with a fault. */
  const composeBy = (fault: { outputs?: (list: ReadonlyArray<unknown>) => ReadonlyArray<unknown>; forget?: boolean }) =>
    library("effect-skald/internal/event/machineCompose", () => ({
      compose: (f: any, g: any) => {
        const step = ([s, t]: any, input: unknown) => {
          const one = plain(f, s, input)
          let state = fault.forget === true ? g.initial : t
          const all: Array<unknown> = []
          for (const output of fault.outputs?.(one[1]) ?? one[1]) {
            const [next, outputs] = plain(g, state, output)
            state = next
            all.push(...outputs)
          }
          return [[one[0], state], all] as const
        }
        return Machine.make<any, any, any>({ initial: [f.initial, g.initial], step })
      }
    }))
  const plain = (machine: any, state: unknown, input: unknown): readonly [unknown, ReadonlyArray<unknown>] =>
    Machine.step<any, any, any>(machine, state, input)

  /** `feedback` with another order of tokens. */
  const feedbackBy = (take: (waiting: Array<unknown>, sent: Array<unknown>) => Array<unknown>, late = false) =>
    library(core, (original, step) => ({
      feedback: (f: any, maxTurns: number, unsettled: any) => (initial: unknown, emit: (output: unknown) => void) => {
        let state = initial
        return {
          state: () => state,
          push: (input: unknown) => {
            let waiting: Array<any> = [right(input)]
            for (let turn = 0; waiting.length > 0; turn++) {
              if (turn > maxTurns) throw new original.Halt(unsettled(input, waiting.length))
              const next = waiting.shift()
              if (late && next.out !== undefined) {
                emit(next.out)
                continue
              }
              const answer = step(original, f, state, next)
              state = answer[0]
              const outs = answer[1].filter((one: any) => Either.isRight(one)).map((one: any) => one.right)
              const sent = answer[1].filter((one: any) => Either.isLeft(one))
              if (late) {
                waiting = take(waiting, answer[1].map((one: any) => Either.isRight(one) ? { out: one.right } : one))
              } else {
                outs.forEach(emit)
                waiting = take(waiting, sent)
              }
            }
          }
        }
      }
    }))

  const cases: Record<string, [() => Promise<Library>, ReadonlyArray<string>]> = {
    "nothing changed": [() => library(), []],
    "compose by its definition": [() => composeBy({}), []],
    "compose that forgets the second state": [() => composeBy({ forget: true }), ["identity"]],
    "compose that passes on the first output only": [() => composeBy({ outputs: (list) => list.slice(0, 1) }), [
      "identity"
    ]],
    "compose that turns outputs round": [() => composeBy({ outputs: (list) => [...list].reverse() }), ["identity"]],
    "a tensor that says nothing in an empty turn": [
      () =>
        library(core, (original) => ({
          tensor: (f: any, g: any) => (state: any, emit: (output: any) => void) =>
            original.tensor(f, g)(state, (turn: any) => {
              if (turn[0].length + turn[1].length > 0) emit(turn)
            })
        })),
      ["⊗ identity"]
    ],
    "a choice that answers on the other side": [
      () =>
        library(core, (original) => ({
          either: (f: any, g: any) => (state: any, emit: (output: any) => void) =>
            original.either(f, g)(state, (output: any) => emit(Either.flip(output)))
        })),
      ["+ identity"]
    ],
    "keys that share one machine": [
      () =>
        library(
          "effect-skald/internal/event/machineKeyed",
          (original) => ({ keyed: (f: any, _key: any, done: any) => original.keyed(f, () => "one", done) })
        ),
      ["keys"]
    ],
    "a failure that forgets the inputs before it": [
      () =>
        library(core, (original) => ({
          runEither: (f: any, state: unknown, inputs: any) =>
            Either.mapLeft(original.runEither(f, state, inputs), (stopped: any) => ({
              ...stopped,
              state
            }))
        })),
      ["chunking"]
    ],
    "feedback, oldest token first": [() => feedbackBy((waiting, sent) => [...waiting, ...sent]), []],
    "feedback, newest token first": [() => feedbackBy((waiting, sent) => [...sent, ...waiting]), ["sliding"]],
    "feedback that sends out late": [() => feedbackBy((waiting, sent) => [...sent, ...waiting], true), [
      "right tightening"
    ]],
    "feedback that loses tokens": [() => feedbackBy(() => []), ["yanking"]]
  }
  for (const [name, [make, expected]] of Object.entries(cases)) {
    it(name, { timeout: 60_000 }, async () => {
      assert.deepStrictEqual(examine(await make(), expected), expected)
    })
  }
})
