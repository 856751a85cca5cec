import { assert } from "@effect/vitest"
import { EventStore } from "effect-skald/store/EventStore"
import * as Sqlite from "effect-skald/store/Sqlite"
import { Effect, Random, Stream } from "effect"
import * as Program from "./program.ts"
import { tempFile } from "./tempDirectory.ts"

/** What a series of kills came to. */
export interface Outcome {
  readonly kills: number
  readonly acknowledged: number
  readonly events: number
}

/**
 * Kills a process that appends to one file, again and again at random moments, and checks after each kill: every
 * acknowledged append is there once, none is there in part, and versions have no gap.
 */
export const run = (kills: number) =>
  Effect.gen(function*() {
    const filename = yield* tempFile()
    const program = yield* Effect.acquireRelease(
      Effect.promise(() => Program.bundle("test/support/sqliteAppender.ts")),
      ({ remove }) => Effect.sync(remove)
    )
    const versions = new Map<string, number>()
    let position = 0
    let acknowledged = 0
    let events = 0
    for (let kill = 1; kill <= kills; kill++) {
      const moment = yield* Random.nextIntBetween(0, 120)
      const child = Program.run(program.file, filename, String(kill))
      yield* Effect.promise(() => child.spoken)
      yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, moment)))
      yield* Effect.promise(child.kill)
      acknowledged += child.lines.length

      const found = new Map<string, number>()
      yield* Effect.flatMap(EventStore, (store) =>
        Stream.runForEach(store.readAll({ after: position }), (event) =>
          Effect.sync(() => {
            assert.isAbove(event.position, position)
            position = event.position
            assert.strictEqual(event.version, (versions.get(event.stream) ?? 0) + 1, `a gap in ${event.stream}`)
            versions.set(event.stream, event.version)
            const append = event.id.slice(0, event.id.lastIndexOf("/"))
            found.set(append, (found.get(append) ?? 0) + 1)
            events++
          }))).pipe(Effect.provide(Sqlite.layerFile({ filename })))
      for (const append of child.lines) {
        assert.isTrue(found.has(append), `${append} was acknowledged and is lost`)
      }
      for (const [append, count] of found) {
        assert.strictEqual(count, Number(append.split("/")[1]), `${append} is there in part, or twice`)
      }
    }
    return { kills, acknowledged, events } satisfies Outcome
  })
