/**
 * Machines against what one would write by hand for the same job: the same state, the same outputs in an array, chunk by
 * chunk. What a machine costs is calls: the loop that is written out has none.
 */
import * as Machine from "effect-skald/event/Machine"
import { Chunk, Effect, Stream } from "effect"
import * as Kit from "./kit.ts"

const size = 1024

interface Given {
  readonly chunk: ReadonlyArray<number>
  readonly times: number
}

const given = (times: number) => (context: Kit.Context): Given => ({
  chunk: Array.from({ length: size }, (_, n) => (n * 7919) % 1000),
  times: context.quick ? Math.ceil(times / 20) : times
})

/** Puts out a rise over the last value; keeps the last value. */
const rises = Machine.makeEmit({
  initial: 0,
  step: (last, price: number, emit: (rise: number) => void) => {
    if (price > last) emit(price - last)
    return price
  }
})
const risesInLists = Machine.make({
  initial: 0,
  step: (last, price: number) => [price, price > last ? [price - last] : []]
})
const sums = Machine.scan(0, (sum, n: number) => (sum + n) | 0)
const chain = rises.pipe(Machine.compose(sums), Machine.compose(Machine.lift((n: number) => n & 0xff)))
const byKey = Machine.keyed(Machine.scan(0, (sum, n: number) => (sum + n) | 0), (n) => n % 50)

/** Runs a machine over the same chunk again and again, each time from the state before. */
const machine = <S, O>(self: Machine.Machine<S, number, O>, times: number): Kit.Side<Given> => ({
  setup: given(times),
  run: ({ chunk, times }) => {
    let state = self.initial
    let outputs = 0
    for (let k = 0; k < times; k++) {
      const answer = Machine.run(self, state, chunk)
      state = answer[0]
      outputs += answer[1].length
    }
    if (outputs === 0) throw new Error("nothing came out")
    return times * size
  }
})

/** The same by hand: a chunk at a time, a fresh array of outputs for each. */
const hand = (
  step: (chunk: ReadonlyArray<number>, outputs: Array<number>) => void,
  times: number
): Kit.Side<Given> => ({
  setup: given(times),
  run: ({ chunk, times }) => {
    let outputs = 0
    for (let k = 0; k < times; k++) {
      const list: Array<number> = []
      step(chunk, list)
      outputs += list.length
    }
    if (outputs === 0) throw new Error("nothing came out")
    return times * size
  }
})

const handRises = () => {
  let last = 0
  return (chunk: ReadonlyArray<number>, outputs: Array<number>) => {
    for (let k = 0; k < chunk.length; k++) {
      const price = chunk[k] as number
      if (price > last) outputs.push(price - last)
      last = price
    }
  }
}
const handChain = () => {
  let last = 0
  let sum = 0
  return (chunk: ReadonlyArray<number>, outputs: Array<number>) => {
    for (let k = 0; k < chunk.length; k++) {
      const price = chunk[k] as number
      if (price > last) {
        sum = (sum + price - last) | 0
        outputs.push(sum & 0xff)
      }
      last = price
    }
  }
}
const handByKey = () => {
  const state = new Map<number, number>()
  return (chunk: ReadonlyArray<number>, outputs: Array<number>) => {
    for (let k = 0; k < chunk.length; k++) {
      const n = chunk[k] as number
      const sum = ((state.get(n % 50) ?? 0) + n) | 0
      state.set(n % 50, sum)
      outputs.push(sum)
    }
  }
}

const streamed = (times: number): Kit.Side<Given> => ({
  setup: given(times),
  run: async ({ chunk, times }) => {
    const source = Stream.fromChunks(...Array.from({ length: times }, () => Chunk.unsafeFromArray(chunk)))
    await Effect.runPromise(source.pipe(Machine.toStream(rises), Stream.runDrain))
    return times * size
  }
})
const mapAccum = (times: number): Kit.Side<Given> => ({
  setup: given(times),
  run: async ({ chunk, times }) => {
    const source = Stream.fromChunks(...Array.from({ length: times }, () => Chunk.unsafeFromArray(chunk)))
    await Effect.runPromise(source.pipe(
      Stream.mapAccum(0, (last, price: number) => [price, price > last ? [price - last] : []] as const),
      Stream.mapConcat((list) => list),
      Stream.runDrain
    ))
    return times * size
  }
})

const loop = "a loop written by hand"

export default [
  Kit.compare("one machine (makeEmit), chunks of 1,024", {
    peer: loop,
    ours: machine(rises, 20_000),
    theirs: hand(handRises(), 20_000)
  }),
  Kit.compare("one machine (make), chunks of 1,024", {
    peer: loop,
    ours: machine(risesInLists, 20_000),
    theirs: hand(handRises(), 20_000)
  }),
  Kit.compare("three in sequence, chunks of 1,024", {
    peer: loop,
    ours: machine(chain, 10_000),
    theirs: hand(handChain(), 10_000)
  }),
  Kit.compare("keyed over 50 keys, chunks of 1,024", {
    peer: "a loop by hand over a mutable Map",
    ours: machine(byKey, 5_000),
    theirs: hand(handByKey(), 5_000)
  }),
  Kit.compare("from a Stream, chunks of 1,024", {
    goal: 1,
    peer: "Stream.mapAccum and mapConcat",
    ours: streamed(5_000),
    theirs: mapAccum(200)
  })
]
