import { assert, it } from "@effect/vitest"
import * as Postgres from "effect-skald/store/Postgres"
import { Effect, Layer } from "effect"
import * as Database from "../support/postgres.ts"
import * as Readers from "../support/postgresReaders.ts"
import * as Servers from "../support/servers.ts"

Servers.suite("postgres", "PostgreSQL readers never skip and never reorder", (url) => {
  const options = { url, events: 3_000, writers: 20, readers: 4, streams: 16, kills: 3, seed: "readers" }

  it.scopedLive("under slow, failing, killed and disconnected writers", () =>
    Effect.gen(function*() {
      const prefix = yield* Database.prefix(url)
      const { committed, slowest, terminated, ...faults } = yield* Readers.run({ ...options, prefix })
      assert.deepStrictEqual(faults, { missing: 0, repeated: 0, disordered: 0, strangers: 0, unacknowledged: 0 })
      assert.isAtLeast(committed, options.events)
      assert.isAbove(terminated, 0)
      assert.isBelow(slowest, 2_000)
    }), 120_000)

  it.scopedLive("and without the barrier they do skip, and this harness sees it", () =>
    Effect.gen(function*() {
      const prefix = yield* Database.prefix(url)
      yield* Effect.scoped(
        Effect.provide(Postgres.make({ prefix }), yield* Layer.build(Database.client(url)))
      )
      yield* Readers.switchBarrierOff(url, prefix)
      const report = yield* Readers.run({ ...options, prefix, events: 1_500, kills: 0 })
      assert.isAbove(report.missing, 0)
      assert.strictEqual(report.unacknowledged, 0)
    }), 120_000)
})
