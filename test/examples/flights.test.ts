import { NodeFileSystem } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import Database from "better-sqlite3"
import { Chunk, DateTime, Effect, Layer, Random, Redacted, Schedule, Stream } from "effect"
import { build } from "esbuild"
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll } from "vitest"
import { Airports } from "../../examples/flights/Airport.ts"
import * as Job from "../../examples/flights/Job.ts"
import { Screen } from "../../examples/flights/Screen.ts"
import * as Store from "../../examples/flights/Store.ts"
import { computed, data, minutes, walk } from "../support/flightsDirect.ts"
import * as Postgres from "../support/postgres.ts"
import * as Redis from "../support/redis.ts"
import * as Servers from "../support/servers.ts"
import { tempDirectory } from "../support/tempDirectory.ts"

// ----------------------------------------------------------------------------------------------------- as a real program

const root = fileURLToPath(new URL("../../", import.meta.url))
const main = "examples/flights/main.ts"

/** The program in one file: straight from its sources, each start takes seconds. */
const bundle = join(root, "node_modules", ".cache", `flights-${process.pid}.mjs`)

beforeAll(() =>
  build({
    absWorkingDir: root,
    entryPoints: [main],
    bundle: true,
    external: ["better-sqlite3"],
    banner: { js: "import { createRequire as r } from \"node:module\"; const require = r(import.meta.url)" },
    platform: "node",
    format: "esm",
    outfile: bundle,
    logLevel: "warning"
  })
)
afterAll(() => fs.rmSync(bundle, { force: true }))

const start = (args: ReadonlyArray<string>, program: ReadonlyArray<string> = [bundle]) => {
  const child = spawn(process.execPath, [...program, ...args], {
    cwd: root,
    stdio: ["ignore", "pipe", "pipe"]
  })
  let stdout = ""
  let stderr = ""
  child.stdout.setEncoding("utf8").on("data", (text: string) => stdout += text)
  child.stderr.setEncoding("utf8").on("data", (text: string) => stderr += text)
  const closed = once(child, "close") as Promise<[number | null, NodeJS.Signals | null]>
  return {
    kill: (signal: NodeJS.Signals) => child.kill(signal),
    ended: Effect.map(
      Effect.promise(() => closed),
      ([code, signal]) => ({ code, signal, stdout, stderr })
    )
  }
}

const run = (args: ReadonlyArray<string>, program?: ReadonlyArray<string>) =>
  Effect.flatMap(
    Effect.acquireRelease(Effect.sync(() => start(args, program)), ({ kill }) => Effect.sync(() => kill("SIGKILL"))),
    ({ ended }) => ended
  ).pipe(Effect.scoped)

const readJson = (file: string): unknown => JSON.parse(fs.readFileSync(file, "utf8"))

/** How many rows a table has, as another process sees it; none while there is no table. */
const rows = (file: string, table: string): number => {
  try {
    const db = new Database(file, { readonly: true })
    try {
      return db.prepare(`SELECT count(*) FROM ${table}`).pluck().get() as number
    } finally {
      db.close()
    }
  } catch {
    return 0
  }
}

/** Waits until a condition holds in a database file, and lets nobody write to it from that moment on, until released. */
const held = (file: string, condition: (db: Database.Database) => boolean) =>
  Effect.async<() => void>((resume) => {
    const db = new Database(file)
    const look = () => {
      db.exec("BEGIN IMMEDIATE")
      if (condition(db)) {
        return resume(Effect.succeed(() => {
          db.exec("ROLLBACK")
          db.close()
        }))
      }
      db.exec("ROLLBACK")
      setTimeout(look, 1)
    }
    look()
  })

// ------------------------------------------------------------------------------------------------------ in this process

/** Runs the job on a store; gives the report, what was shown and noted, and the events of the airports. */
const job = (
  store: Store.Store,
  { data, limit = 1_000_000, rebuild = false }: {
    readonly data?: string
    readonly limit?: number
    readonly rebuild?: boolean
  }
) =>
  Effect.gen(function*() {
    const json = join(yield* tempDirectory, "report.json")
    const shown: Array<string> = []
    const notes: Array<string> = []
    const screen = Layer.succeed(Screen, {
      isTerminal: false,
      hasColors: false,
      columns: 100,
      show: (text) => Effect.sync(() => void shown.push(text)),
      note: (line) => Effect.sync(() => void notes.push(data === undefined ? line : line.replace(data, "FILE"))),
      status: () => Effect.void,
      settle: Effect.void
    })
    const events = yield* Job.run({ data, json, limit, rebuild }).pipe(
      Effect.zipRight(Stream.runCollect(Airports.readAll())),
      Effect.provide([Store.layer(store), screen, NodeFileSystem.layer])
    )
    return { report: readJson(json), shown: shown.join("\n"), notes, events: Chunk.toReadonlyArray(events) }
  }).pipe(Effect.scoped)

/** Runs the job on a file with some records. */
const jobOf = (db: string, text: string, limit?: number) => {
  const data = `${db}.input`
  fs.writeFileSync(data, text)
  return job({ _tag: "Sqlite", filename: db }, { data, ...(limit === undefined ? {} : { limit }) })
}

const tempDb = Effect.map(tempDirectory, (directory) => join(directory, "flights.db"))

// --------------------------------------------------------------------------------------------------- as a real program, run

/** How many departures the rows of a table count; none while there is no table. */
const departures = (db: Database.Database, table: string): number =>
  db.prepare("SELECT count(*) FROM sqlite_master WHERE name = ?").pluck().get(table) === 0
    ? 0
    : db.prepare(`SELECT coalesce(sum(departures), 0) FROM ${table}`).pluck().get() as number

/** The events of the airports in a file: what the report counts. */
const ofAirports = "skald_events WHERE category = 'airport'"

/** What of the text does not tell of its own run. */
const shown = (text: string) => text.slice(0, text.indexOf("This run"))

/** Kills a process once a condition holds, and waits for its end. */
const killWhen = (
  child: ReturnType<typeof start>,
  condition: Effect.Effect<boolean>,
  signal: NodeJS.Signals = "SIGKILL"
) =>
  condition.pipe(
    Effect.repeat({ schedule: Schedule.spaced("10 millis"), until: (holds) => holds }),
    Effect.zipRight(Effect.sync(() => child.kill(signal))),
    Effect.raceFirst(child.ended),
    Effect.zipRight(child.ended),
    Effect.ensuring(Effect.sync(() => child.kill("SIGKILL")))
  )

describe("npm start", () => {
  it.live(
    "reports what a direct computation over the whole data gives, though it was killed among its sagas",
    () =>
      Effect.gen(function*() {
        const directory = yield* tempDirectory
        const db = join(directory, "flights.db")
        const json = join(directory, "report.json")
        const first = start(["--db", db, "--json", json])
        // the desk is told just before the sagas begin
        yield* Effect.repeat(Effect.sync(() => rows(db, "operations_desk")), {
          schedule: Schedule.spaced("20 millis"),
          until: (told) => told > 0
        }).pipe(Effect.raceFirst(first.ended))
        const sagas = (db: Database.Database, type: string) =>
          db.prepare("SELECT count(*) FROM skald_events WHERE category = 'saga' AND type = ?").pluck().get(
            type
          ) as number
        const release = yield* held(db, (db) => {
          const ended = sagas(db, "SagaEnded")
          return ended > 4 && ended < sagas(db, "SagaStarted")
        })
        first.kill("SIGKILL")
        const killed = yield* first.ended
        release()
        assert.strictEqual(killed.signal, "SIGKILL", killed.stderr)
        assert.match(killed.stderr, /^100 %  20,000 of 20,000 flights  [\d,]+\/s  done$/m)
        assert.notInclude(killed.stderr, "malformed")
        assert.isFalse(fs.existsSync(json))

        const ended = yield* run(["--db", db, "--json", json])
        assert.strictEqual(ended.code, 0, ended.stderr)
        const expected = computed(data())
        assert.deepStrictEqual(readJson(json), expected)
        assert.include(ended.stdout, "There was nothing new to record.")
        assert.strictEqual(rows(db, ofAirports), expected.events)
        assert.isAbove(rows(db, "skald_snapshots"), 20)
        assert.isAbove(rows(db, "skald_events WHERE type = 'SagaResumed'"), 0)
        const { compensated, committed, pools } = expected.recovery
        assert.isTrue(committed > 20 && compensated > 5 && expected.knockOns.matches > 10)

        // what a person reads
        assert.notInclude(ended.stderr + ended.stdout, "\u001b")
        assert.include(ended.stdout, "Chicago O'Hare International")
        const lineOf = (text: string, start: string) =>
          text.split("\n").find((line) => line.startsWith(`  ${start} `)) ?? ""
        const most = [...expected.airports]
          .sort((a, b) => b.disruptions - a.disruptions || b.departures - a.departures)
          .slice(0, 10)
        for (const [index, { code, departures, disruptions, meanDelay }] of most.entries()) {
          for (const part of [departures.toLocaleString("en-US"), meanDelay.toFixed(1), ` ${disruptions}  █`]) {
            assert.include(lineOf(ended.stdout, code), part, `place ${index + 1}`)
          }
        }
        assert.include(lineOf(ended.stdout, "committed"), ` ${committed} `)
        for (const { free, pool } of pools) {
          assert.include(lineOf(ended.stdout, pool), ` ${free.toLocaleString("en-US")} free: the `)
        }
        for (const { airport, day, hit } of expected.knockOns.days) {
          assert.include(ended.stdout, `  ${day}  ${airport}  then ${hit.join(", ")}\n`)
        }
        assert.include(ended.stdout, ` ${expected.knockOns.mostPartialMatches} partial matches held at most`)

        // how things stood at noon of a day in the past
        const noon = Date.UTC(2001, 1, 14, 12) / 60_000
        const [, then = ""] = ended.stdout.split("As of 2001-02-14 12:00 UTC")
        for (const { code } of most.slice(0, 5)) {
          const before = data().filter((line) => line.origin === code && minutes(line) <= noon)
          const { disruptions, recoveries } = walk(before)
          assert.include(lineOf(then, code), ` ${before.length}  `)
          assert.include(
            lineOf(then, code),
            disruptions.length > recoveries.length ? "disrupted since" : "in normal operation"
          )
        }
      }).pipe(Effect.scoped),
    300_000
  )

  it.live(
    "killed in the middle again and again, or stopped, ends with the same report; so does a rebuild",
    () =>
      Effect.gen(function*() {
        const directory = yield* tempDirectory
        const db = join(directory, "flights.db")
        const json = join(directory, "report.json")
        const limit = 1_500
        const args = ["--db", db, "--json", json, "--limit", String(limit)]
        const expected = computed(data().slice(0, limit))
        let before = 0
        for (const [index, signal] of (["SIGKILL", "SIGINT"] as const).entries()) {
          const least = Math.max(before + 1, Math.floor(expected.events * index / 3))
          const until = yield* Random.nextIntBetween(least, Math.floor(expected.events * (index + 1) / 3))
          const recorded = Effect.sync(() => rows(db, ofAirports) >= until)
          const ended = yield* killWhen(start(args), recorded, signal)
          assert.strictEqual(ended.signal ?? ended.code, signal === "SIGINT" ? 130 : signal, ended.stderr)
          if (signal === "SIGINT") assert.include(ended.stderr, "Stopped. Start again on the same store to go on.")
          assert.isFalse(fs.existsSync(json))
          const count = rows(db, ofAirports)
          assert.isTrue(count >= until && count < expected.events, `${count} events after kill ${index + 1}`)
          before = count
        }
        const last = yield* run(args)
        assert.strictEqual(last.code, 0, last.stderr)
        assert.deepStrictEqual(readJson(json), expected)
        assert.strictEqual(rows(db, ofAirports), expected.events)
        assert.isAbove(expected.recovery.committed, 0)

        // what was made of the events is made anew: killed, stopped, and killed once more, it goes on where it was
        const jsonRebuilt = join(directory, "rebuilt.json")
        const rebuild = ["--db", db, "--json", jsonRebuilt, "--rebuild"]
        let projected = 0
        for (
          const [signal, projection] of [
            ["SIGKILL", "punctuality_by_airport"],
            ["SIGINT", "punctuality_by_airport"],
            ["SIGKILL", "punctuality_by_day"]
          ] as const
        ) {
          if (projection === "punctuality_by_day") projected = 0
          const before = rows(db, "punctuality_by_day")
          const done = projected
          const child = start(rebuild)
          const release = yield* held(db, (db) => {
            projected = departures(db, `${projection}_1`)
            return projected > done
          })
          child.kill(signal)
          if (signal === "SIGINT") release()
          const ended = yield* child.ended
          if (signal !== "SIGINT") release()
          assert.strictEqual(ended.signal ?? ended.code, signal === "SIGINT" ? 130 : signal, ended.stderr)
          if (signal === "SIGINT") {
            assert.include(ended.stderr, "Going on with punctuality-by-airport after position ")
            assert.include(ended.stderr, "Stopped. Start it again with --rebuild to go on")
          }
          assert.isFalse(fs.existsSync(jsonRebuilt))
          assert.strictEqual(rows(db, "punctuality_by_day"), before, "the old model answers")
        }
        // without --rebuild it reports from what is there, old and new
        const between = yield* job({ _tag: "Sqlite", filename: db }, { limit })
        assert.deepStrictEqual(between.report, expected)

        const rebuilt = yield* run(rebuild)
        assert.strictEqual(rebuilt.code, 0, rebuilt.stderr)
        assert.deepStrictEqual(readJson(jsonRebuilt), expected)
        assert.notInclude(rebuilt.stderr, "by-airport", "what was swapped in is not made once more")
        assert.match(rebuilt.stderr, /^Going on with punctuality-by-day after position [\d,]+\.$/m)
        assert.match(rebuilt.stderr, /^100 %  ([\d,]+) of \1 positions  [\d,]+\/s  done$/m)
        const made = /^ {2}2 projections made anew of ([\d,]+) events in/m.exec(rebuilt.stdout)?.[1] ?? ""
        assert.isBelow(Number(made.replace(",", "")), 2 * expected.events, "it goes on where it was")
        for (const table of ["punctuality_by_airport", "punctuality_by_day"]) {
          assert.strictEqual(rows(db, table), 0, "the old table is gone")
          assert.isAbove(rows(db, `${table}_1`), 5)
        }
        assert.strictEqual(shown(rebuilt.stdout), shown(last.stdout))
        assert.strictEqual(rows(db, ofAirports), expected.events)
      }).pipe(Effect.scoped),
    300_000
  )

  it.live("reports the same in memory, straight from its sources, and leaves nothing", () =>
    Effect.gen(function*() {
      const directory = yield* tempDirectory
      const json = join(directory, "report.json")
      const ended = yield* run(["--store", "memory", "--json", json, "--limit", "600"], ["--import", "tsx", main])
      assert.strictEqual(ended.code, 0, ended.stderr)
      assert.deepStrictEqual(readJson(json), computed(data().slice(0, 600)))
      assert.deepStrictEqual(fs.readdirSync(directory), ["report.json"])
    }).pipe(Effect.scoped), 60_000)

  it.live(
    "ends with 2 where options are wrong, 1 where files are, and says why in a line",
    () =>
      Effect.gen(function*() {
        const directory = yield* tempDirectory
        const noDatabase = join(directory, "no.db")
        fs.writeFileSync(noDatabase, "this is no database, and it is not touched")
        const [help, usage, unusable] = yield* Effect.all([
          run(["--help"]),
          run(["--limit", "many", "--speed"]),
          run(["--limit", "1", "--db", noDatabase])
        ], { concurrency: 2 })
        assert.deepInclude(help, { code: 0, stderr: "" })
        for (
          const option of ["--data FILE", "--db FILE", "--store URL", "--limit N", "--json FILE", "--rebuild", "--help"]
        ) {
          assert.include(help.stdout, option)
        }
        assert.deepInclude(usage, { code: 2, stdout: "", stderr: "Unknown option '--speed'.\nTry --help.\n" })
        assert.deepInclude(unusable, { code: 1, stdout: "" })
        assert.match(unusable.stderr, /^Failed: cannot open SQLite file ".*no\.db" \(corrupt\): .*\n$/)
        assert.strictEqual(fs.readFileSync(noDatabase, "utf8"), "this is no database, and it is not touched")
      }).pipe(Effect.scoped),
    300_000
  )
})

describe("two at once on one file", () => {
  it.live(
    "double nothing; one that meets the other says so, and a start afterwards ends the work",
    () =>
      Effect.gen(function*() {
        const db = yield* tempDb
        const args = ["--db", db, "--limit", "600"]
        const both = yield* Effect.all([run(args), run(args)], { concurrency: 2 })
        for (const { code, stderr } of both) {
          if (code !== 0) assert.match(stderr, /^Failed: .+$/m)
        }
        const { report } = yield* job({ _tag: "Sqlite", filename: db }, { limit: 600 })
        assert.deepStrictEqual(report, computed(data().slice(0, 600)))
      }).pipe(Effect.scoped),
    300_000
  )
})

Servers.suite("postgres", "npm start on PostgreSQL", (url) => {
  it.live(
    "gives the same report as on SQLite, killed in between or not, and doubles nothing",
    () =>
      Effect.gen(function*() {
        const directory = yield* tempDirectory
        const database = yield* Postgres.database(url)
        const store: Store.Store = { _tag: "Postgres", url: Redacted.make(database) }
        const json = join(directory, "report.json")
        const limit = 600
        const args = ["--store", database, "--limit", String(limit), "--json", json]
        const expected = computed(data().slice(0, limit))

        const client = yield* Postgres.connection(database)
        const recorded = Effect.promise(() =>
          client.query("SELECT count(*)::int4 AS n FROM skald_events WHERE category = 'airport'")
            .then(({ rows }) => rows[0].n as number, () => 0)
        )
        const killed = yield* killWhen(start(args), Effect.map(recorded, (count) => count >= 200))
        assert.strictEqual(killed.signal, "SIGKILL", killed.stderr)
        const before = yield* recorded
        assert.isTrue(before >= 200 && before < expected.events, `${before} events when it was killed`)

        const onServer = yield* run(args)
        assert.strictEqual(onServer.code, 0, onServer.stderr)
        assert.deepStrictEqual(readJson(json), expected)
        assert.strictEqual(yield* recorded, expected.events)
        // what a person reads is the same as well, but for what this run did
        const onFile = yield* job({ _tag: "Sqlite", filename: join(directory, "flights.db") }, { limit })
        assert.deepStrictEqual(onFile.report, expected)
        assert.strictEqual(shown(onServer.stdout), shown(onFile.shown))

        const again = yield* job(store, { limit })
        assert.deepStrictEqual(again.report, expected)
        assert.strictEqual(yield* recorded, expected.events)
        assert.include(again.shown, "There was nothing new to record.")

        // a rebuild that is killed while it waits to swap its second projection in; nothing answers from half of it
        yield* Effect.promise(() => client.query("BEGIN; LOCK TABLE punctuality_by_day IN ACCESS EXCLUSIVE MODE"))
        const waits = Effect.promise(() =>
          client.query("SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'punctuality_by_day'::regclass")
            .then(({ rows }) => rows.length > 0)
        )
        yield* killWhen(start(["--store", database, "--rebuild"]), waits)
        yield* Effect.promise(() => client.query("COMMIT"))
        const ended = yield* job(store, { rebuild: true })
        assert.deepStrictEqual(ended.report, expected)
        assert.notInclude(ended.notes.join("\n"), "by-airport", "what was swapped in is not made once more")
        assert.include(ended.notes.join("\n"), "Going on with punctuality-by-day after position ")
        assert.include(ended.shown, "2 projections made anew")
        assert.strictEqual(shown(ended.shown), shown(onServer.stdout))
      }).pipe(Effect.scoped),
    300_000
  )

  it.live(
    "ends with 1 and a line where there is no such database, and does not tell the password",
    () =>
      Effect.gen(function*() {
        const nowhere = new URL(url)
        nowhere.password = "geheim"
        nowhere.pathname = "/no_such_database"
        const { code, stderr } = yield* run(["--store", nowhere.href, "--limit", "1"])
        assert.strictEqual(code, 1)
        assert.match(stderr, /^Failed: .+\n$/)
        assert.notInclude(stderr, "geheim")
      }),
    60_000
  )
})

Servers.suite("redis", "npm start on Redis", () => {
  it.live(
    "gives the same report, killed in between or not; what it made of the events is made again where it was lost",
    () =>
      Effect.gen(function*() {
        const directory = yield* tempDirectory
        const server = yield* Redis.ownServer()
        const limit = 600
        const file = (db: string) => join(directory, db)
        const store = (db: string): Store.Store => ({
          _tag: "Redis",
          url: Redacted.make(server.url),
          filename: file(db)
        })
        const expected = computed(data().slice(0, limit))
        const projected = Effect.sync(() => rows(file("first.db"), "punctuality_by_airport"))
        const child = start(["--store", server.url, "--db", file("first.db"), "--limit", String(limit)])
        const begun = Effect.promise(() => server.admin.dbsize().then((keys) => keys > 20, () => false))
        const killed = yield* killWhen(child, begun)
        assert.strictEqual(killed.signal, "SIGKILL", killed.stderr)
        for (const db of ["first.db", "first.db", "other.db"]) {
          assert.deepStrictEqual((yield* job(store(db), { limit })).report, expected)
        }
        assert.strictEqual(yield* projected, expected.airports.length)
        const rebuilt = yield* job(store("first.db"), { rebuild: true })
        assert.include(rebuilt.shown, "3 projections made anew")
        assert.strictEqual(yield* projected, 0)
        for (const db of ["first.db", "other.db"]) {
          assert.deepStrictEqual((yield* job(store(db), { limit })).report, expected)
        }
      }).pipe(Effect.scoped),
    300_000
  )
})

describe("the job", () => {
  const line = (minute: number, delay: number, origin = "DTW") =>
    JSON.stringify({
      date: `2001/02/14 10:${String(minute).padStart(2, "0")}`,
      delay,
      distance: 9,
      origin,
      destination: "LAS"
    })

  it.scopedLive("leaves malformed records out, tells and counts them, and does the rest", () =>
    Effect.gen(function*() {
      const good = data().slice(0, 300)
      const lines = good.map((flight) => JSON.stringify(flight))
      lines.splice(250, 0, "{\"date\":\"2001/01/01 00:47\",\"delay\":66")
      lines.splice(100, 0, "", "not json at all", JSON.stringify({ ...good[0], delay: "late" }))
      lines.splice(0, 0, JSON.stringify({ ...good[0], origin: null, date: "2001/02/29 10:00" }))
      const { notes, report, shown } = yield* jobOf(yield* tempDb, lines.join("\n"))
      assert.deepStrictEqual(report, computed(good))
      assert.match(shown, /^ {2}malformed +4 {2}records of the input, left out$/m)
      assert.strictEqual(notes.length, 4)
      assert.strictEqual(
        notes[0],
        "FILE:1:1 record 1 is malformed: date must be a time such as 2001/01/31 00:47, got \"2001/02/29 10:00\"; " +
          "origin Expected string, actual null"
      )
      assert.match(notes[1] ?? "", /^FILE:103:1 record 102 is malformed: .*not json/)
      assert.strictEqual(notes[2], "FILE:104:1 record 103 is malformed: delay Expected number, actual \"late\"")
      assert.match(notes[3] ?? "", /^FILE:255:1 record 254 is malformed: .*JSON/)
    }))

  it.scopedLive("tells a thousand malformed records, and counts the others", () =>
    Effect.gen(function*() {
      const { notes, report, shown } = yield* jobOf(yield* tempDb, `${"oops\n".repeat(1_500)}${line(1, 5)}`)
      assert.deepInclude(report, { flights: 1 })
      assert.include(shown, "1,500  records of the input, left out")
      assert.strictEqual(notes.length, 1_001)
      assert.strictEqual(notes[1_000], "More records are malformed; they are counted.")
    }))

  it.scopedLive("tells malformed elements of an array in one line by their columns", () =>
    Effect.gen(function*() {
      const { notes, report } = yield* jobOf(yield* tempDb, `[${line(1, 5)},{"oops":1},17,${line(2, 5)}]`)
      assert.deepInclude(report, { flights: 2, events: 2 })
      const column = line(1, 5).length + 3
      assert.deepStrictEqual(notes, [
        `FILE:1:${column} record 2 is malformed: date is missing; origin is missing; destination is missing; ` +
        "delay is missing; distance is missing",
        notes[1]
      ])
      assert.match(notes[1] ?? "", new RegExp(`^FILE:1:${column + 11} record 3 is malformed: Expected .*17`))
    }))

  it.scopedLive("names the file that is not there", () =>
    Effect.gen(function*() {
      const failed = yield* Effect.flip(
        job({ _tag: "Sqlite", filename: yield* tempDb }, { data: "/no/such/none.json" })
      )
      assert.include(failed.message, "none.json")
    }))

  it.scopedLive("has nothing to rebuild from in a store without events", () =>
    Effect.gen(function*() {
      const failed = yield* Effect.flip(job({ _tag: "Sqlite", filename: yield* tempDb }, { rebuild: true }))
      assert.strictEqual(
        failed.message,
        "the store holds no events to rebuild from; leave --rebuild out to read some"
      )
    }))

  it.scopedLive("goes on after a limit, and with a file that was mended or has grown; equal lines are flights of their own", () =>
    Effect.gen(function*() {
      const db = yield* tempDb
      const lines = [line(1, 40), line(2, 40), line(2, 40), line(3, 0), line(4, 0), line(5, 0, "LAX"), line(6, 0)]
      const counts = ({ events, report }: Effect.Effect.Success<ReturnType<typeof jobOf>>) => [
        (report as { readonly flights: number }).flights,
        events.length
      ]
      assert.deepStrictEqual(counts(yield* jobOf(db, lines.join("\n"), 0)), [0, 0])
      assert.deepStrictEqual(counts(yield* jobOf(db, lines.join("\n"), 2)), [2, 2])
      assert.deepStrictEqual(counts(yield* jobOf(db, lines.join("\n"), 2)), [2, 2])
      // the third late departure disrupts the airport
      assert.deepStrictEqual(counts(yield* jobOf(db, lines.join("\n"), 4)), [4, 5])
      // another file with the same flights and something else before them
      const all = yield* jobOf(db, ["oops", ...lines].join("\n"))
      assert.deepStrictEqual(counts(all), [7, 9])
      assert.strictEqual(all.notes.length, 1)
      assert.deepStrictEqual(counts(yield* jobOf(db, `[${lines.join(",")}]`)), [7, 9])
      assert.deepStrictEqual(
        all.events.filter((event) => event.stream === "airport-DTW").map((event) => event.type),
        ["FlightDeparted", "FlightDeparted", "FlightDeparted", "AirportDisrupted", "FlightDeparted", "FlightDeparted"]
          .concat("FlightDeparted", "AirportRecovered")
      )
      assert.isTrue(all.events.every(({ occurredAt }) => DateTime.formatIsoDateUtc(occurredAt) === "2001-02-14"))
      const again = yield* jobOf(db, [...lines, line(7, 60)].join("\n"))
      assert.deepStrictEqual(counts(again), [8, 10])
      assert.deepInclude(again.report, { days: [{ day: "2001-02-14", departures: 8, late: 4 }] })
    }))
})
