/**
 * Writers that do all that writers may do to readers, and what the readers saw: the harness of "a
 * reader never skips, never reorders".
 */
import type { Raw } from "effect-skald/event/Envelope"
import * as EventStore from "effect-skald/store/EventStore"
import * as Postgres from "effect-skald/store/Postgres"
import { Clock, Context, Effect, Fiber, Layer, Random, Schedule, type Scope, Stream } from "effect"
import { spawn } from "node:child_process"
import * as path from "node:path"
import * as Database from "./postgres.ts"

export interface Options {
  readonly url: string
  readonly prefix: string
  /** Writers go on until so many events were acknowledged. */
  readonly events: number
  readonly writers: number
  readonly readers: number
  readonly streams: number
  /** Processes that are killed between drawing positions and the commit. */
  readonly kills: number
  readonly seed: string
}

/** What came of it: every number but the first three must be 0. */
export interface Report {
  readonly committed: number
  readonly slowest: number
  readonly terminated: number
  readonly missing: number
  readonly repeated: number
  readonly disordered: number
  readonly strangers: number
  readonly unacknowledged: number
}

type Store = EventStore.Service<"transactions">

/** A store with a pool of its own, as another process has. */
const openStore = (options: Options, name: string, connections: number) =>
  Effect.map(
    Layer.build(
      Postgres.layer({ prefix: options.prefix }).pipe(
        Layer.provide(
          Database.client(options.url, { maxConnections: connections, applicationName: `${options.prefix}${name}` })
        )
      )
    ),
    (context) => Context.get(context, EventStore.capable("transactions")) as Store
  )

const between = (least: number, most: number) => Random.nextIntBetween(least, most + 1)

export const run = (options: Options): Effect.Effect<Report, unknown, Scope.Scope> =>
  Effect.gen(function*() {
    const { events, prefix, url } = options
    const acknowledged: Array<string> = []
    const stores = yield* Effect.forEach([0, 1, 2, 3], (index) => openStore(options, `writer${index}`, 10))
    const admin = yield* Effect.acquireRelease(
      Effect.promise(() => Database.connect(url)),
      (client) => Effect.promise(() => client.end())
    )
    const elsewhere = yield* Effect.acquireRelease(
      Effect.promise(() => Database.connect(url)),
      (client) => Effect.promise(() => client.end())
    )
    // A transaction elsewhere in the cluster that has written and stays open: it must hold up nobody.
    yield* Effect.promise(() => elsewhere.query(`CREATE TABLE IF NOT EXISTS ${prefix}elsewhere (n int)`))
    yield* Effect.promise(() => elsewhere.query("BEGIN"))
    yield* Effect.promise(() => elsewhere.query(`INSERT INTO ${prefix}elsewhere VALUES (1)`))

    // ------------------------------------------------------------------------------------------------------ readers

    const readers = yield* Effect.forEach(Array.from({ length: options.readers }, (_, index) => index), (index) =>
      Effect.gen(function*() {
        const store = yield* openStore(options, `reader${index}`, 2)
        const seen: Array<Raw> = []
        const follow = Effect.suspend(() =>
          Stream.runForEach(
            store.subscribe({ after: seen.length === 0 ? "earliest" : seen[seen.length - 1]!.position }),
            (raw) =>
              Effect.sync(() => void seen.push(raw))
          )
        )
        const fiber = yield* Effect.forkScoped(Effect.retry(follow, Schedule.spaced("50 millis")))
        return { seen, fiber }
      }))

    // ------------------------------------------------------------------------------------------------------ writers

    const someStreams = Effect.gen(function*() {
      const count = yield* between(1, 3)
      const names = new Set<string>()
      while (names.size < count) {
        names.add(`all-${yield* between(1, options.streams)}`)
      }
      return Array.from(names)
    })
    const someGroups = Effect.gen(function*() {
      const groups: Array<EventStore.Group> = []
      for (const stream of yield* someStreams) {
        const count = yield* between(1, 4)
        groups.push({ stream, events: Array.from({ length: count }, () => ({ type: "Written", payload: { stream } })) })
      }
      return groups
    })
    const write = (store: Store) =>
      Effect.gen(function*() {
        const groups = yield* someGroups
        const what = yield* between(1, 100)
        const hold = Effect.flatMap(between(50, 500), (millis) =>
          Effect.sleep(millis))
        if (what <= 6) return yield* store.withTransaction(Effect.zipLeft(store.append(groups), hold))
        if (what <= 10) {
          return yield* store.withTransaction(
            Effect.zipRight(Effect.zipRight(store.append(groups), hold), Effect.fail("undone"))
          )
        }
        return yield* store.append(groups)
      })
    const writer = (index: number) =>
      Effect.suspend(() => write(stores[index % stores.length]!)).pipe(
        Effect.tap((appended) => Effect.sync(() => void acknowledged.push(...appended.events.map(({ id }) => id)))),
        Effect.ignore,
        Effect.repeat({ until: () => acknowledged.length >= events && killed })
      )
    /** Whether all that are to be killed were: writing goes on meanwhile. */
    let killed = false

    // -------------------------------------------------------------------------------------------------------- chaos

    let terminated = 0
    const terminate = Effect.gen(function*() {
      yield* Effect.sleep(yield* between(100, 400))
      const { rows } = yield* Effect.promise(() =>
        admin.query(
          `SELECT pg_terminate_backend(pid) FROM (
            SELECT pid FROM pg_stat_activity WHERE starts_with(application_name, $1) ORDER BY random() LIMIT 1
          ) AS victim`,
          [prefix]
        )
      )
      terminated += rows.length
    })
    const kill = (index: number) =>
      Effect.async<void>((resume) => {
        const child = spawn(process.execPath, [
          "--import",
          "tsx",
          path.join(import.meta.dirname, "postgresWriter.ts"),
          url,
          prefix,
          `all-${(index % options.streams) + 1}`
        ], { stdio: ["ignore", "pipe", "inherit"] })
        child.stdout.once("data", () => child.kill("SIGKILL"))
        child.once("exit", () => resume(Effect.void))
        return Effect.sync(() => void child.kill("SIGKILL"))
      })

    const chaos = yield* Effect.fork(Effect.forever(terminate))
    const kills = yield* Effect.fork(
      Effect.zipRight(
        Effect.forEach(Array.from({ length: options.kills }, (_, index) => index), kill, { concurrency: 2 }),
        Effect.sync(() => killed = true)
      )
    )
    yield* Effect.forEach(Array.from({ length: options.writers }, (_, index) => index), writer, {
      concurrency: "unbounded",
      discard: true
    })
    yield* Fiber.join(kills)
    yield* Fiber.interrupt(chaos)

    // ------------------------------------------------------------------------------------------------ what they saw

    const since = yield* Clock.currentTimeMillis
    const { rows } = yield* Effect.promise(() =>
      admin.query<{ id: string; stream: string; version: string; position: string }>(
        `SELECT id, stream, version, position FROM ${prefix}events ORDER BY position`
      )
    )
    const last = Number(rows[rows.length - 1]!.position)
    const isThere = () => readers.every(({ seen }) => (seen[seen.length - 1]?.position ?? 0) >= last)
    yield* Effect.sleep("5 millis").pipe(
      Effect.repeat({ until: isThere }),
      Effect.timeoutOption("20 seconds")
    )
    const slowest = isThere() ? (yield* Clock.currentTimeMillis) - since : Infinity
    for (const { fiber } of readers) yield* Fiber.interrupt(fiber)
    yield* Effect.promise(() => elsewhere.query("ROLLBACK"))

    const all = new Set(rows.map(({ id }) => id))
    const report = {
      committed: rows.length,
      slowest,
      terminated,
      missing: 0,
      repeated: 0,
      disordered: 0,
      strangers: 0,
      unacknowledged: acknowledged.filter((id) => !all.has(id)).length
    }
    for (const { seen } of readers) {
      const ids = new Set(seen.map(({ id }) => id))
      const versions = new Map<string, number>()
      report.repeated += seen.length - ids.size
      report.missing += rows.filter(({ id }) => !ids.has(id)).length
      report.strangers += Array.from(ids).filter((id) => !all.has(id)).length
      seen.forEach((raw, index) => {
        if (index > 0 && seen[index - 1]!.position >= raw.position) report.disordered++
        if (index > 0 && seen[index - 1]!.recordedAt.epochMillis > raw.recordedAt.epochMillis) report.disordered++
        if ((versions.get(raw.stream) ?? 0) >= raw.version) report.disordered++
        versions.set(raw.stream, raw.version)
      })
    }
    return report
  }).pipe(Effect.withRandom(Random.make(options.seed)))

/** Replaces what keeps readers from what is not settled by what a naive reader does: as far as anything is committed. */
export const switchBarrierOff = (url: string, prefix: string): Effect.Effect<void> =>
  Effect.promise(async () => {
    const client = await Database.connect(url)
    await client.query(`CREATE OR REPLACE FUNCTION ${prefix}head(OUT head int8, OUT settled boolean) LANGUAGE sql AS
      'SELECT coalesce(max(position), 0), true FROM ${prefix}events'`)
    await client.end()
  })
