// needs: native addon
import { SqlClient } from "@effect/sql"
import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as Sqlite from "effect-skald/Sqlite"
import { EventStore } from "effect-skald/store/EventStore"
import { equal } from "../support/assert.ts"
import { tables } from "../support/guesses.ts"
import * as Program from "../support/program.ts"
import { tempFile } from "../support/tempDirectory.ts"

const moments = ["found", "published", "acting", "kept", "acted"] as const
const perLife = 9

/** Two failures before each login, of two users by turns. */
const eventAt = (at: number) => ({ user: `u${at % 2}`, type: at % 3 === 2 ? "Login" : "Failed", at })

/** What a person would find: for each failure the next one of its user, and the next login after that. */
const expected = (count: number): ReadonlyArray<string> => {
  const all = Array.from({ length: count }, (_, at) => eventAt(at))
  return all.flatMap(({ at, type, user }) => {
    if (type !== "Failed") return []
    const own = all.filter((event) => event.user === user && event.at > at)
    const second = own.find(({ type }) => type === "Failed")
    const login = second && own.find((event) => event.type === "Login" && event.at > second.at)
    return login === undefined ? [] : [`${user} ${at},${second!.at} ${login.at}`]
  })
}

it.scopedLive(
  "rules over a store, killed before and after each thing they do: each match is acted on, and once",
  () =>
    Effect.gen(function*() {
      const filename = yield* tempFile()
      const program = yield* Effect.acquireRelease(
        Effect.promise(() => Program.bundle("test/support/watcher.ts")),
        ({ remove }) => Effect.sync(remove)
      )
      const services = yield* Layer.build(Sqlite.layer({ filename }))
      yield* Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const store = yield* EventStore
        yield* tables
        let at = 0
        const append = Effect.suspend(() =>
          store.append([{
            stream: "guesses",
            events: Array.from({ length: perLife }, () => {
              const { type, ...event } = eventAt(at++)
              return { type, payload: { _tag: type, ...event } }
            })
          }])
        )
        const alerts = sql<{ readonly what: string }>`SELECT what FROM alerts`

        for (const moment of moments) {
          yield* append
          const running = Program.run(program.file, filename, moment)
          yield* Effect.promise(() => new Promise((resolve) => running.process.once("close", resolve)))
          assert.strictEqual(running.process.signalCode, "SIGKILL", moment)
        }
        yield* append
        const last = Program.run(program.file, filename)
        const found = expected(at)
        while ((yield* alerts).length < found.length) yield* Effect.sleep("20 millis")
        // what would come twice would be on its way by now
        yield* Effect.sleep("150 millis")
        yield* Effect.promise(last.kill)
        equal((yield* alerts).map(({ what }) => what).sort(), [...found].sort())
        const [{ attempts, ids }] = (yield* sql<
          { readonly attempts: number; readonly ids: number }
        >`SELECT count(*) AS attempts, count(DISTINCT id) AS ids FROM attempts`) as [{ attempts: number; ids: number }]
        assert.strictEqual(ids, found.length)
        // that of `acting` was rolled back with its alert, and that of `acted` was delivered again
        assert.isAbove(attempts, ids)
      }).pipe(Effect.provide(services))
    }),
  60_000
)
