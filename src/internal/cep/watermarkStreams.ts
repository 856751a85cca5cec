import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { FromSource } from "../../cep/Watermark.ts"

/** What a source says: its events, that nothing has come for a time, and in the end that time is over. */
export const fromSource = <Ev, E, R>(
  events: Stream.Stream<Ev, E, R>,
  idleAfter: Duration.DurationInput | undefined
): Stream.Stream<FromSource<Ev>, E, R> => {
  const inputs = events.pipe(
    Stream.map((event): FromSource<Ev> => ({ _tag: "Event", event })),
    Stream.concat(Stream.succeed<FromSource<Ev>>({ _tag: "Time", time: Number.POSITIVE_INFINITY }))
  )
  return idleAfter === undefined ? inputs : withPauses(inputs, Duration.toMillis(idleAfter))
}

/** Says so when nothing has come for a time, once for each such pause. */
const withPauses = <Ev, E, R>(
  inputs: Stream.Stream<FromSource<Ev>, E, R>,
  after: number
): Stream.Stream<FromSource<Ev>, E, R> =>
  Stream.unwrap(Effect.map(Clock.currentTimeMillis, (began) => {
    let last = began
    let idle = false
    const seen = Stream.mapChunksEffect(inputs, (chunk) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        last = now
        idle = false
        return chunk
      }))
    const wait: Effect.Effect<void> = Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const left = last + after - now
      if (!idle && left <= 0) {
        idle = true
        return Effect.void
      }
      return Effect.zipRight(Effect.sleep(idle ? after : left), wait)
    })
    const pauses = Stream.repeatEffect(Effect.map(wait, (): FromSource<Ev> => ({ _tag: "Idle" })))
    return Stream.merge(seen, pauses, { haltStrategy: "left" })
  }))
