import * as Chunk from "effect/Chunk"
import * as Stream from "effect/Stream"

/** A line of a file. */
export interface TextLine {
  /** 1, 2, 3 … */
  readonly number: number
  /** Without its end. */
  readonly text: string
  /** With its end. */
  readonly bytes: Uint8Array
  /** How many bytes there are up to its end. */
  readonly offset: number
  /** Whether it has an end: what was cut off in the middle has none. */
  readonly ended: boolean
}

/** Bytes cut into lines; holds no more than a line and a chunk. */
export const cut = <E, R>(bytes: Stream.Stream<Uint8Array, E, R>): Stream.Stream<TextLine, E, R> =>
  Stream.suspend(() => {
    let pending: Array<Uint8Array> = []
    let number = 0
    let offset = 0
    const line = (last: Uint8Array, ended: boolean): TextLine => {
      const all = pending.length === 0 ? Buffer.from(last) : Buffer.concat([...pending, last])
      pending = []
      offset += all.length
      return {
        number: ++number,
        text: all.toString("utf8", 0, ended ? all.length - 1 : all.length),
        bytes: all,
        offset,
        ended
      }
    }
    const lines = Stream.mapConcatChunk(bytes, (chunk) => {
      const found: Array<TextLine> = []
      let from = 0
      for (;;) {
        const end = chunk.indexOf(10, from)
        if (end < 0) break
        found.push(line(chunk.subarray(from, end + 1), true))
        from = end + 1
      }
      if (from < chunk.length) pending.push(chunk.slice(from))
      return Chunk.unsafeFromArray(found)
    })
    return Stream.concat(
      lines,
      Stream.suspend(() => pending.length === 0 ? Stream.empty : Stream.make(line(nothing, false)))
    )
  })

const nothing = new Uint8Array(0)
