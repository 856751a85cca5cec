import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Database from "../support/postgres.ts"
import * as Readers from "../support/postgresReaders.ts"
import * as Servers from "../support/servers.ts"
import * as Soak from "../support/soak.ts"

Servers.suite("postgres", "PostgreSQL readers never skip and never reorder, at length", (url) => {
  it.scopedLive("under slow, failing, killed and disconnected writers", () =>
    Effect.gen(function*() {
      const prefix = yield* Database.prefix(url)
      const events = Soak.times(30_000)
      const kills = Soak.times(20)
      const { committed, slowest, terminated, ...faults } = yield* Readers.run({
        url,
        prefix,
        events,
        kills,
        writers: 20,
        readers: 4,
        streams: 16,
        seed: "soak"
      })
      Soak.report(
        "postgresReaders",
        `${committed} events of 20 writers, seen by each of 4 readers once and in order; ${kills} writers killed, ` +
          `${terminated} connections cut; the last reader was there ${slowest} ms after the writers had stopped`
      )
      assert.deepStrictEqual(faults, { missing: 0, repeated: 0, disordered: 0, strangers: 0, unacknowledged: 0 })
      assert.isAtLeast(committed, events)
      assert.isBelow(slowest, 2_000)
    }))
})
