/**
 * A machine driven from a Stream: opened once for each run of the stream, pushed chunk by chunk, gone with it.
 */
import type * as Cause from "effect/Cause"
import * as Channel from "effect/Channel"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import type { Machine } from "../../event/Machine.ts"
import * as internal from "./machine.ts"

/** What a chunk of inputs gives downstream, and the failure that ends the stream after it. */
interface Pumped<A, E> {
  readonly elements: ReadonlyArray<A>
  readonly failure: { readonly error: E } | undefined
}

type Loop<A, I, E> = Channel.Channel<Chunk.Chunk<A>, Chunk.Chunk<I>, E, E, unknown, unknown>

const through = <I, A, E>(pump: (inputs: ReadonlyArray<I>) => Pumped<A, E>): Loop<A, I, E> => {
  const loop: Loop<A, I, E> = Channel.readWithCause({
    onInput: (chunk: Chunk.Chunk<I>): Loop<A, I, E> => {
      const { elements, failure } = pump(Chunk.toReadonlyArray(chunk))
      const rest: Loop<A, I, E> = failure === undefined ? loop : Channel.fail(failure.error)
      return elements.length === 0 ? rest : Channel.flatMap(Channel.write(Chunk.unsafeFromArray(elements)), () => rest)
    },
    onFailure: (cause: Cause.Cause<E>) => Channel.failCause(cause),
    onDone: () => Channel.void
  })
  return loop
}

export const toStream =
  <S, I, O, E>(self: Machine<S, I, O, E>) => <E2, R>(stream: Stream.Stream<I, E2, R>): Stream.Stream<O, E | E2, R> =>
    Stream.suspend(() => {
      let outputs: Array<O> = []
      const instance = internal.open(self, self.initial, (output) => {
        outputs.push(output)
      })
      return Stream.pipeThroughChannel(
        stream,
        through<I, O, E | E2>((inputs) => {
          outputs = []
          const failure = internal.feed<I, O, E>(instance.push, inputs, outputs)
          return { elements: outputs, failure }
        })
      )
    })

export const toStreamFrom = <S, I, O, E>(self: Machine<S, I, O, E>, from: S) =>
<E2, R>(
  stream: Stream.Stream<I, E2, R>
): Stream.Stream<readonly [state: S, outputs: ReadonlyArray<O>], E | E2, R> =>
  Stream.suspend(() => {
    let state = from
    let outputs: Array<O> = []
    const instance = internal.open(self, state, (output) => {
      outputs.push(output)
    })
    return Stream.pipeThroughChannel(
      stream,
      through<I, readonly [S, ReadonlyArray<O>], E | E2>((inputs) => {
        if (inputs.length === 0) return { elements: [], failure: undefined }
        outputs = []
        const failure = internal.feed<I, O, E>(instance.push, inputs, outputs)
        if (failure === undefined) {
          state = instance.state()
          return { elements: [[state, outputs]], failure }
        }
        const elements: ReadonlyArray<readonly [S, ReadonlyArray<O>]> = failure.index === 0
          ? []
          : [[internal.before(self, state, inputs, failure.index), outputs]]
        return { elements, failure }
      })
    )
  })

export const toSink = <S, I, O, E>(self: Machine<S, I, O, E>, from: S): Sink.Sink<S, I, never, E> =>
  Sink.suspend(() => {
    const instance = internal.open(self, from, () => {})
    const feed = (chunk: Chunk.Chunk<I>): Effect.Effect<void, E> => {
      const stop = internal.feed<I, O, E>(instance.push, Chunk.toReadonlyArray(chunk), [])
      return stop === undefined ? Effect.void : Effect.fail(stop.error)
    }
    return Sink.map(Sink.forEachChunk(feed), instance.state)
  })
