/** Copies of a store by a process that is killed at random moments and begun again, until it has been killed so many times. */
import { assert } from "@effect/vitest"
import { Chunk, Context, Effect, Layer, Random, Redacted, type Scope, Stream } from "effect"
import * as Correlation from "effect-skald/event/Correlation"
import { EventStore, layerMemory, type Operations } from "effect-skald/store/EventStore"
import * as Export from "effect-skald/store/Export"
import * as Postgres from "effect-skald/store/Postgres"
import * as Sqlite from "effect-skald/store/Sqlite"
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Database from "./postgres.ts"
import * as Program from "./program.ts"
import { tempDirectory } from "./tempDirectory.ts"

/** Events of several streams and tenants, some truncated and some ended. */
const fill = (store: Operations, events: number) =>
  Effect.gen(function*() {
    for (let from = 0; from < events; from += 500) {
      const groups = Array.from({ length: 10 }, (_, group) => ({
        stream: `order-${from / 500}-${group}`,
        events: Array.from({ length: 50 }, (_, n) => ({
          type: "Placed",
          payload: { n: from + group * 50 + n, note: "ü\n\"🦜".repeat(n % 7) },
          tags: [`group:${group}`]
        }))
      }))
      yield* Effect.gen(function*() {
        yield* store.append(groups)
        if (from % 1_000 === 500) return
        yield* store.truncate(`order-${from / 500}-1`, { before: 21 })
        yield* store.tombstone(`order-${from / 500}-2`)
      }).pipe(Correlation.locally(from % 1_500 === 0 ? { tenant: "acme" } : {}))
    }
  })

const textOf = (store: Operations) =>
  Effect.map(
    Stream.runCollect(Export.text()).pipe(Effect.provideService(EventStore, store)),
    (parts) => Chunk.toReadonlyArray(parts).join("")
  )

const inSqlite = (filename: string) => Effect.map(Layer.build(Sqlite.layerFile({ filename })), Context.get(EventStore))

interface Target {
  readonly args: ReadonlyArray<string>
  /** What the whole copy has become. */
  readonly text: Effect.Effect<string, unknown, Scope.Scope>
  readonly forget: Effect.Effect<void>
}

/** Begins and kills until it has killed so often; a copy that was ended meanwhile is looked at, and another one is begun. */
const killing = (mode: string, target: Effect.Effect<Target, unknown, Scope.Scope>, expected: string, kills: number) =>
  Effect.gen(function*() {
    const program = yield* Effect.acquireRelease(
      Effect.promise(() => Program.bundle("test/support/copier.ts")),
      ({ remove }) => Effect.sync(remove)
    )
    let killed = 0
    let copies = 0
    let resumed = 0
    /** How long one whole copy took, from its beginning: kills come within that. */
    let whole = 400
    while (true) {
      yield* Effect.scoped(Effect.gen(function*() {
        const { args, forget, text } = yield* target
        let runs = 0
        while (true) {
          runs++
          const running = Program.run(program.file, mode, ...args)
          yield* Effect.promise(() => running.spoken)
          const began = performance.now()
          const isLast = killed >= kills
          const wait = isLast ? 60_000 : yield* Random.nextRange(0, whole)
          const ended = yield* Effect.raceFirst(
            Effect.as(
              Effect.async<void>((resume) => void running.process.once("close", () => resume(Effect.void))),
              true
            ),
            Effect.as(Effect.sleep(wait), false)
          )
          yield* Effect.promise(running.kill)
          if (!ended && running.process.signalCode === "SIGKILL") {
            killed++
            continue
          }
          assert.strictEqual(running.process.exitCode, 0, `run ${runs}: ${running.lines.at(-1) ?? ""}`)
          assert.strictEqual(running.lines.at(-1), "done")
          whole = Math.max(50, (performance.now() - began) * 1.2)
          break
        }
        assert.isTrue((yield* text) === expected, `copy ${copies + 1} differs after ${runs} runs`)
        copies++
        if (runs > 1) resumed++
        yield* forget
      }))
      if (killed >= kills) break
    }
    assert.isAbove(resumed, 0)
    return { kills: killed, copies, resumed, bytes: Buffer.byteLength(expected) }
  })

export const exports = (events: number, kills: number) =>
  Effect.gen(function*() {
    const directory = yield* tempDirectory
    const [db, file] = [join(directory, "from.db"), join(directory, "log.ndjson")]
    const expected = yield* Effect.scoped(Effect.gen(function*() {
      const store = yield* inSqlite(db)
      yield* fill(store, events)
      return yield* textOf(store)
    }))
    const target = Effect.succeed<Target>({
      args: [db, "", file],
      text: Effect.sync(() => readFileSync(file, "utf8")),
      forget: Effect.sync(() => rmSync(file))
    })
    return yield* killing("export", target, expected, kills)
  })

/** A file to import from. */
const written = (events: number) =>
  Effect.gen(function*() {
    const file = join(yield* tempDirectory, "log.ndjson")
    const store = yield* Effect.map(Layer.build(layerMemory), Context.get(EventStore))
    yield* fill(store, events)
    const text = yield* textOf(store)
    writeFileSync(file, text)
    return { file, text }
  })

export const importsIntoSqlite = (events: number, kills: number) =>
  Effect.gen(function*() {
    const { file, text } = yield* written(events)
    const db = join(yield* tempDirectory, "to.db")
    const target = Effect.succeed<Target>({
      args: [db, "", file],
      text: Effect.flatMap(inSqlite(db), textOf),
      forget: Effect.sync(() => {
        for (const suffix of ["", "-wal", "-shm"]) if (existsSync(db + suffix)) rmSync(db + suffix)
      })
    })
    return yield* killing("import", target, text, kills)
  })

export const importsIntoPostgres = (url: string, events: number, kills: number) =>
  Effect.gen(function*() {
    const { file, text } = yield* written(events)
    const target = Effect.map(Database.prefix(url), (prefix): Target => ({
      args: [url, prefix, file],
      text: Effect.flatMap(Layer.build(Postgres.layerServer({ url: Redacted.make(url), prefix, maxConnections: 2 })), (
        context
      ) => textOf(Context.get(context, EventStore))),
      forget: Effect.void
    }))
    return yield* killing("import", target, text, kills)
  })
