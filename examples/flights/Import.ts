/**
 * The work itself: each flight of the input becomes a command to the airport that it leaves from.
 *
 * The flights of one airport go one after the other, as they stand in the input; those of different airports go at once, and
 * the store commits together what comes at the same time.
 *
 * A checkpoint says how far the input has come. What a killed run did beyond it is done again, under the same command ids, and
 * so has no further effect.
 */
import { Array, Chunk, Clock, Effect, Option, Stream } from "effect"
import { Position } from "effect-skald/event/Position"
import { CheckpointStore } from "effect-skald/store/CheckpointStore"
import { airports } from "./Airport.ts"
import * as Input from "./Input.ts"
import * as Progress from "./Progress.ts"
import * as Punctuality from "./Punctuality.ts"
import { Screen } from "./Screen.ts"

/** How many records are worked on before the checkpoint moves. */
export const batch = 2_000

/** How many airports are worked on at once. */
export const concurrency = 64

/** How many malformed records are told one by one; the others are counted. */
export const told = 1_000

/** What came of the input. */
export interface Imported {
  /** Of the whole input, also of what an earlier run has read. */
  readonly malformed: number
  /** What this run recorded. */
  readonly flights: number
  readonly events: number
  readonly seconds: number
}

/** Imports a file, from where an earlier run has left it. */
export const run = (input: Input.Survey) =>
  Effect.gen(function*() {
    const screen = yield* Screen
    const checkpoints = yield* CheckpointStore
    const name = `flights/${input.digest}`
    let checkpoint = yield* checkpoints.get(name)
    const before = Math.min(Option.getOrElse(checkpoint, () => 0), input.records)
    if (before > 0) yield* screen.note(`Going on after record ${before.toLocaleString("en-US")}.`)

    const began = yield* Clock.currentTimeMillis
    const progress = yield* Progress.make({ before, total: input.records })
    let malformed = 0
    let flights = 0
    let events = 0

    const refuse = (entry: Input.Malformed) => {
      malformed += 1
      if (malformed > told + 1) return Effect.void
      return screen.note(
        malformed > told
          ? "More records are malformed; they are counted."
          : `${input.file}:${entry.line}:${entry.column} record ${entry.record} is malformed: ${entry.reason}`
      )
    }

    const report = ({ flight, id }: Input.Reported) => {
      const { at, origin: airport, ...rest } = flight
      return Effect.map(
        airports.execute(airport, { _tag: "ReportFlight", airport, at, ...rest }, { commandId: id, occurredAt: at }),
        (executed) => {
          progress.add(1)
          if (executed.repeated) return
          flights += 1
          events += executed.events.length
        }
      )
    }

    const work = (entries: ReadonlyArray<Input.Entry>) =>
      Effect.gen(function*() {
        const [bad, good] = Array.partition(entries, Input.isReported)
        yield* Effect.forEach(bad, refuse, { discard: true })

        const last = entries[entries.length - 1]
        if (last === undefined || last.record <= before) return
        const reported = good.filter(({ record }) => record > before)
        // those with most flights first, so that none of them is left to go alone in the end
        const byAirport = Object.values(Array.groupBy(reported, ({ flight }) => flight.origin))
          .sort((a, b) => b.length - a.length)
        yield* Effect.forEach(byAirport, Effect.forEach(report, { discard: true }), { concurrency, discard: true })

        yield* Punctuality.catchUp
        const next = Position.make(last.record)
        yield* checkpoints.commit(name, { expected: checkpoint, next, effect: Effect.void })
        checkpoint = Option.some(next)
      })

    yield* Input.read(input.file, input.records).pipe(
      Stream.grouped(batch),
      Stream.runForEach((entries) => work(Chunk.toReadonlyArray(entries)))
    )
    const seconds = ((yield* Clock.currentTimeMillis) - began) / 1_000
    return { malformed, flights, events, seconds } satisfies Imported
  }).pipe(Effect.scoped)
