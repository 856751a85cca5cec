/** `copier export|import SQLITE-FILE|postgres://… PREFIX FILE`: copies, and says each step, until it is killed. */
import type { FileSystem } from "@effect/platform/FileSystem"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import type { EventStore } from "effect-skald/store/EventStore"
import * as Export from "effect-skald/store/Export"
import * as Import from "effect-skald/store/Import"
import * as Postgres from "effect-skald/store/Postgres"
import * as Sqlite from "effect-skald/store/Sqlite"
import { Effect, Layer, Redacted, Stream } from "effect"

const [mode, where = "", prefix, file = ""] = process.argv.slice(2)

const copying: Stream.Stream<
  { readonly events: number },
  unknown,
  EventStore | FileSystem
> = mode === "export" ? Export.toFile(file) : Import.fromFile(file)
const say = (line: string) => Effect.sync(() => void process.stdout.write(`${line}\n`))

const program = Effect.zipRight(
  say("began"),
  Stream.runForEach(
    copying,
    ({ events }) => say(`${events}`)
  )
).pipe(
  Effect.zipRight(say("done")),
  Effect.provide(Layer.merge(
    where.startsWith("postgres")
      ? Postgres.layerServer({ url: Redacted.make(where), prefix, maxConnections: 2, listen: false })
      : Sqlite.layerFile({ filename: where }),
    NodeFileSystem.layer
  ))
)

Effect.runPromise(program).catch((error: unknown) => {
  process.stderr.write(`${String(error)}\n`)
  process.exitCode = 1
})
