import { NodeFileSystem } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import Database from "better-sqlite3"
import { Chunk, DateTime, Effect, Layer, Random, Schedule, Stream } from "effect"
import { EventStore } from "effect-skald/store/EventStore"
import { build } from "esbuild"
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll } from "vitest"
import * as Job from "../../examples/flights/Job.ts"
import * as Names from "../../examples/flights/Names.ts"
import { Screen } from "../../examples/flights/Screen.ts"
import * as Store from "../../examples/flights/Store.ts"
import * as Postgres from "../support/postgres.ts"
import * as Redis from "../support/redis.ts"
import * as Servers from "../support/servers.ts"
import { tempDirectory } from "../support/tempDirectory.ts"

// ------------------------------------------------------------- the report once more, by nothing but a loop over the data

interface Line {
  readonly date: string
  readonly delay: number
  readonly origin: string
}

const data = (): ReadonlyArray<Line> => JSON.parse(fs.readFileSync(Names.flights(), "utf8"))

const minutes = ({ date }: Line) => {
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0] = date.split(/\D/).map(Number)
  return Date.UTC(year, month - 1, day, hour, minute) / 60_000
}

const isLate = (lines: ReadonlyArray<Line>) => lines.filter(({ delay }) => delay >= 15).length

const by = (lines: ReadonlyArray<Line>, key: (line: Line) => string) => {
  const groups: Record<string, Array<Line>> = {}
  for (const line of lines) (groups[key(line)] ??= []).push(line)
  return Object.entries(groups).sort(([a], [b]) => a < b ? -1 : 1)
}

/** What became of one airport: when it was disrupted, and when it recovered. */
const walk = (lines: ReadonlyArray<Line>) => {
  const disruptions: Array<number> = []
  const recoveries: Array<number> = []
  let since = 0
  for (let index = 0; index < lines.length; index++) {
    const line = lines[index]!
    if (disruptions.length === recoveries.length) {
      const near = lines.slice(since, index + 1).filter((other) =>
        other.delay >= 30 && minutes(line) - minutes(other) < 180
      )
      if (line.delay < 30 || near.length < 3) continue
      disruptions.push(minutes(line))
      since = index + 1
    } else if (index - since >= 2 && lines.slice(index - 2, index + 1).every(({ delay }) => delay < 15)) {
      recoveries.push(minutes(line))
      since = index + 1
    }
  }
  return { disruptions, recoveries }
}

/** What the desk does with a notice, by a number that is made of what it says. */
const moodOf = (tag: string, airport: string, minute: number) => {
  let hash = 2_166_136_261n
  for (const byte of Buffer.from(`${tag} ${airport} ${new Date(minute * 60_000).toISOString()}`)) {
    hash = (hash ^ BigInt(byte)) * 16_777_619n % 4_294_967_296n
  }
  const number = Number(hash % 100n)
  return number < 3 ? "refused" : number < 8 ? "closed" : number < 25 ? "busy" : "open"
}

const deskOf = (lines: ReadonlyArray<Line>) => {
  const moods = by(lines, ({ origin }) => origin).flatMap(([code, flights]) => {
    const { disruptions, recoveries } = walk(flights)
    return [
      ...disruptions.map((minute) => moodOf("AirportDisrupted", code, minute)),
      ...recoveries.map((minute) => moodOf("AirportRecovered", code, minute))
    ]
  })
  const count = (...of: ReadonlyArray<string>) => moods.filter((mood) => of.includes(mood)).length
  return {
    delivered: count("open", "busy", "closed"),
    retried: count("busy", "closed"),
    deadLettered: count("closed", "refused"),
    reprocessed: count("closed")
  }
}

const computed = (lines: ReadonlyArray<Line>) => {
  const airports = by(lines, ({ origin }) => origin).map(([code, flights]) => ({
    code,
    departures: flights.length,
    meanDelay: flights.reduce((sum, { delay }) => sum + delay, 0) / flights.length,
    disruptions: walk(flights).disruptions.length,
    recoveries: walk(flights).recoveries.length
  }))
  return {
    flights: lines.length,
    events: airports.reduce((sum, each) => sum + each.departures + each.disruptions + each.recoveries, 0),
    airports,
    days: by(lines, ({ date }) => date.slice(0, 10).replaceAll("/", "-")).map(([day, flights]) => ({
      day,
      departures: flights.length,
      late: isLate(flights)
    })),
    desk: deskOf(lines)
  }
}

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

/** How many departures the rows of a table count; none while there is no table. */
const departures = (db: Database.Database, table: string): number =>
  db.prepare("SELECT count(*) FROM sqlite_master WHERE name = ?").pluck().get(table) === 0
    ? 0
    : db.prepare(`SELECT coalesce(sum(departures), 0) FROM ${table}`).pluck().get() as number

describe("npm start", () => {
  it.live(
    "reports what a direct computation over the same file gives; started again, it doubles nothing",
    () =>
      Effect.gen(function*() {
        const directory = yield* tempDirectory
        const db = join(directory, "flights.db")
        const json = join(directory, "report.json")
        const jsonAgain = join(directory, "again.json")
        const first = yield* run(["--db", db, "--json", json])
        assert.strictEqual(first.code, 0, first.stderr)
        const expected = computed(data())
        assert.deepStrictEqual(readJson(json), expected)

        // what a person reads
        const most = [...expected.airports]
          .sort((a, b) => b.disruptions - a.disruptions || b.departures - a.departures)
          .slice(0, 10)
        for (const [index, { code, departures, disruptions, meanDelay }] of most.entries()) {
          const line = first.stdout.split("\n").find((line) => line.startsWith(`  ${code}  `)) ?? ""
          for (const part of [departures.toLocaleString("en-US"), meanDelay.toFixed(1), ` ${disruptions}  █`]) {
            assert.include(line, part, `place ${index + 1}`)
          }
        }
        assert.include(first.stdout, "Chicago O'Hare International")
        assert.match(first.stderr, /^100 %  20,000 of 20,000 flights  [\d,]+\/s  done$/m)
        assert.notInclude(first.stderr, "malformed")
        assert.notInclude(first.stderr + first.stdout, "\u001b")

        // how things stood at noon of a day in the past
        const noon = Date.UTC(2001, 1, 14, 12) / 60_000
        const [, then = ""] = first.stdout.split("As of 2001-02-14 12:00 UTC")
        for (const { code } of most.slice(0, 5)) {
          const before = data().filter((line) => line.origin === code && minutes(line) <= noon)
          const { disruptions, recoveries } = walk(before)
          const line = then.split("\n").find((line) => line.startsWith(`  ${code} `)) ?? ""
          assert.include(line, ` ${before.length}  `)
          assert.include(line, disruptions.length > recoveries.length ? "disrupted since" : "in normal operation")
        }

        assert.isAbove(rows(db, "skald_snapshots"), 20)
        assert.strictEqual(rows(db, "skald_events"), expected.events)
        const again = yield* run(["--db", db, "--json", jsonAgain])
        assert.strictEqual(again.code, 0, again.stderr)
        assert.deepStrictEqual(readJson(jsonAgain), expected)
        assert.strictEqual(rows(db, "skald_events"), expected.events)
        assert.include(again.stdout, "There was nothing new to record.")

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
        const between = yield* run(["--db", db, "--json", jsonAgain])
        assert.strictEqual(between.code, 0, between.stderr)
        assert.deepStrictEqual(readJson(jsonAgain), expected)

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
          assert.isAbove(rows(db, `${table}_1`), 80)
        }
        const shown = (text: string) => text.slice(0, text.indexOf("This run"))
        assert.strictEqual(shown(rebuilt.stdout), shown(first.stdout))
        assert.strictEqual(rows(db, "skald_events"), expected.events)
      }).pipe(Effect.scoped),
    120_000
  )

  it.live("reports the same in memory, and leaves nothing", () =>
    Effect.gen(function*() {
      const directory = yield* tempDirectory
      const json = join(directory, "report.json")
      const ended = yield* run(["--store", "memory", "--json", json, "--limit", "500"])
      assert.strictEqual(ended.code, 0, ended.stderr)
      assert.deepStrictEqual(readJson(json), computed(data().slice(0, 500)))
      assert.deepStrictEqual(fs.readdirSync(directory), ["report.json"])
    }).pipe(Effect.scoped), 60_000)

  it.live("killed in the middle again and again, or stopped, ends with the same report", () =>
    Effect.gen(function*() {
      const directory = yield* tempDirectory
      const db = join(directory, "flights.db")
      const json = join(directory, "report.json")
      const limit = 3_000
      const args = ["--db", db, "--json", json, "--limit", String(limit)]
      const events = computed(data().slice(0, limit)).events
      let before = 0
      for (const [index, signal] of (["SIGKILL", "SIGINT", "SIGKILL"] as const).entries()) {
        const least = Math.max(before + 1, Math.floor(events * index / 4))
        const until = yield* Random.nextIntBetween(least, Math.floor(events * (index + 1) / 4))
        const child = start(args)
        const recorded = Effect.sync(() => rows(db, "skald_events"))
        const ended = yield* recorded.pipe(
          Effect.repeat({ schedule: Schedule.spaced("20 millis"), until: (count) => count >= until }),
          Effect.zipRight(Effect.sync(() => child.kill(signal))),
          Effect.raceFirst(child.ended),
          Effect.zipRight(child.ended),
          Effect.ensuring(Effect.sync(() => child.kill("SIGKILL")))
        )
        assert.strictEqual(ended.signal ?? ended.code, signal === "SIGINT" ? 130 : signal, ended.stderr)
        if (signal === "SIGINT") assert.include(ended.stderr, "Stopped. Start again on the same store to go on.")
        assert.isFalse(fs.existsSync(json))
        const count = rows(db, "skald_events")
        assert.isTrue(count >= until && count < events, `${count} events after kill ${index + 1}`)
        before = count
      }
      const last = yield* run(args)
      assert.strictEqual(last.code, 0, last.stderr)

      assert.deepStrictEqual(readJson(json), computed(data().slice(0, limit)))
      assert.strictEqual(rows(db, "skald_events"), events)
    }).pipe(Effect.scoped), 120_000)

  it.live(
    "ends with 2 where options are wrong, 1 where files are, and says why in a line",
    () =>
      Effect.gen(function*() {
        const directory = yield* tempDirectory
        const none = join(directory, "none.json")
        const empty = join(directory, "empty.db")
        const noDatabase = join(directory, "no.db")
        fs.writeFileSync(noDatabase, "this is no database, and it is not touched")
        const [help, usage, missing, unusable, inMemory, nothing] = yield* Effect.all([
          run(["--help"], ["--import", "tsx", main]),
          run(["--limit", "many", "--speed"]),
          run(["--data", none, "--db", join(directory, "a.db")]),
          run(["--limit", "1", "--db", noDatabase]),
          run(["--store", "memory", "--rebuild"]),
          run(["--db", empty, "--rebuild"])
        ])
        assert.deepInclude(help, { code: 0, stderr: "" })
        for (
          const option of ["--data FILE", "--db FILE", "--store URL", "--limit N", "--json FILE", "--rebuild", "--help"]
        ) {
          assert.include(help.stdout, option)
        }
        assert.deepInclude(usage, { code: 2, stdout: "", stderr: "Unknown option '--speed'.\nTry --help.\n" })
        assert.deepInclude(missing, { code: 1, stdout: "" })
        assert.match(missing.stderr, /^Failed: .*none\.json.*\n$/)
        assert.deepInclude(inMemory, {
          code: 2,
          stderr:
            "--rebuild needs a store that keeps events: in memory there is nothing to rebuild from.\nTry --help.\n"
        })
        assert.deepInclude(nothing, {
          code: 1,
          stderr: "Failed: the store holds no events to rebuild from; leave --rebuild out to read some\n"
        })
        assert.deepInclude(unusable, { code: 1, stdout: "" })
        assert.match(unusable.stderr, /^Failed: cannot open SQLite file ".*no\.db" \(corrupt\): .*\n$/)
        assert.strictEqual(fs.readFileSync(noDatabase, "utf8"), "this is no database, and it is not touched")
      }).pipe(Effect.scoped),
    120_000
  )
})

describe("two at once on one file", () => {
  it.live(
    "double nothing; one that meets the other says so, and a start afterwards ends the work",
    () =>
      Effect.gen(function*() {
        const directory = yield* tempDirectory
        const json = join(directory, "report.json")
        const args = ["--db", join(directory, "flights.db"), "--limit", "1000", "--json", json]
        const both = yield* Effect.all([run(args), run(args)], { concurrency: 2 })
        for (const { code, stderr } of both) {
          if (code !== 0) assert.match(stderr, /^Failed: .+$/m)
        }
        const last = yield* run(args)
        assert.strictEqual(last.code, 0, last.stderr)
        assert.deepStrictEqual(readJson(json), computed(data().slice(0, 1_000)))
      }).pipe(Effect.scoped),
    120_000
  )
})

Servers.suite("postgres", "npm start on PostgreSQL", (url) => {
  it.live(
    "gives the same report as on SQLite, killed in between or not, and doubles nothing",
    () =>
      Effect.gen(function*() {
        const directory = yield* tempDirectory
        const database = yield* Postgres.database(url)
        const json = (name: string) => join(directory, name)
        const limit = 800
        const args = (
          store: string,
          report: string
        ) => ["--store", store, "--limit", String(limit), "--json", json(report)]
        const expected = computed(data().slice(0, limit))

        const child = start(args(database, "never.json"))
        const client = yield* Postgres.connection(database)
        const recorded = Effect.promise(() =>
          client.query("SELECT count(*)::int4 AS n FROM skald_events").then(({ rows }) => rows[0].n as number, () => 0)
        )
        const killed = yield* recorded.pipe(
          Effect.repeat({ schedule: Schedule.spaced("10 millis"), until: (count) => count >= 200 }),
          Effect.zipRight(Effect.sync(() => child.kill("SIGKILL"))),
          Effect.raceFirst(child.ended),
          Effect.zipRight(child.ended),
          Effect.ensuring(Effect.sync(() => child.kill("SIGKILL")))
        )
        assert.strictEqual(killed.signal, "SIGKILL", killed.stderr)
        const before = yield* recorded
        assert.isTrue(before >= 200 && before < expected.events, `${before} events when it was killed`)

        const [onServer, onFile] = yield* Effect.all([
          run(args(database, "postgres.json")),
          run(args(`sqlite:${join(directory, "flights.db")}`, "sqlite.json"))
        ])
        assert.strictEqual(onServer.code, 0, onServer.stderr)
        assert.strictEqual(onFile.code, 0, onFile.stderr)
        assert.deepStrictEqual(readJson(json("postgres.json")), expected)
        assert.deepStrictEqual(readJson(json("sqlite.json")), expected)
        assert.strictEqual(yield* recorded, expected.events)
        // what a person reads is the same as well, but for what this run did
        const shown = (text: string) => text.slice(0, text.indexOf("This run"))
        assert.strictEqual(shown(onServer.stdout), shown(onFile.stdout))

        const again = yield* run(args(database, "again.json"))
        assert.strictEqual(again.code, 0, again.stderr)
        assert.deepStrictEqual(readJson(json("again.json")), expected)
        assert.strictEqual(yield* recorded, expected.events)
        assert.include(again.stdout, "There was nothing new to record.")

        // a rebuild that is killed while it waits to swap its second projection in; nothing answers from half of it
        const rebuild = ["--store", database, "--json", json("rebuilt.json"), "--rebuild"]
        yield* Effect.promise(() => client.query("BEGIN; LOCK TABLE punctuality_by_day IN ACCESS EXCLUSIVE MODE"))
        const rebuilding = start(rebuild)
        const waits = Effect.promise(() =>
          client.query("SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'punctuality_by_day'::regclass")
            .then(({ rows }) => rows.length > 0)
        )
        yield* waits.pipe(
          Effect.repeat({ schedule: Schedule.spaced("10 millis"), until: (waits) => waits }),
          Effect.zipRight(Effect.sync(() => rebuilding.kill("SIGKILL"))),
          Effect.raceFirst(rebuilding.ended),
          Effect.zipRight(rebuilding.ended),
          Effect.ensuring(Effect.sync(() => rebuilding.kill("SIGKILL")))
        )
        yield* Effect.promise(() => client.query("COMMIT"))
        const ended = yield* run(rebuild)
        assert.strictEqual(ended.code, 0, ended.stderr)
        assert.deepStrictEqual(readJson(json("rebuilt.json")), expected)
        assert.notInclude(ended.stderr, "by-airport", "what was swapped in is not made once more")
        assert.include(ended.stderr, "Going on with punctuality-by-day after position ")
        assert.include(ended.stdout, "2 projections made anew")
        assert.strictEqual(shown(ended.stdout), shown(onServer.stdout))
      }).pipe(Effect.scoped),
    120_000
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
        const limit = 400
        const args = (db: string) => {
          const file = join(directory, db)
          return ["--store", server.url, "--db", file, "--limit", String(limit), "--json", `${file}.json`]
        }
        const expected = computed(data().slice(0, limit))
        const projected = Effect.sync(() => rows(join(directory, "first.db"), "punctuality_by_airport"))
        const child = start(args("first.db"))
        const killed = yield* Effect.promise(() => server.admin.dbsize().catch(() => 0)).pipe(
          Effect.repeat({ schedule: Schedule.spaced("10 millis"), until: (keys) => keys > 20 }),
          Effect.zipRight(Effect.sync(() => child.kill("SIGKILL"))),
          Effect.raceFirst(child.ended),
          Effect.zipRight(child.ended),
          Effect.ensuring(Effect.sync(() => child.kill("SIGKILL")))
        )
        assert.strictEqual(killed.signal, "SIGKILL", killed.stderr)
        for (const db of ["first.db", "first.db", "other.db"]) {
          const ended = yield* run(args(db))
          assert.strictEqual(ended.code, 0, ended.stderr)
          assert.deepStrictEqual(readJson(join(directory, `${db}.json`)), expected)
        }
        assert.strictEqual(yield* projected, expected.airports.length)
        const rebuilt = yield* run(["--store", server.url, "--db", join(directory, "first.db"), "--rebuild"])
        assert.include(rebuilt.stdout, "3 projections made anew", rebuilt.stderr)
        assert.strictEqual(yield* projected, 0)
        for (const db of ["first.db", "other.db"]) {
          const ended = yield* run(args(db))
          assert.strictEqual(ended.code, 0, ended.stderr)
          assert.deepStrictEqual(readJson(join(directory, `${db}.json`)), expected)
        }
      }).pipe(Effect.scoped),
    120_000
  )
})

// ------------------------------------------------------------------------------------------------------ in this process

/** Runs the job on a file; gives the report, what was shown and noted, and how many events there are. */
const job = (db: string, text: string, limit = 1_000_000) =>
  Effect.gen(function*() {
    const file = `${db}.input`
    const json = `${db}.json`
    fs.writeFileSync(file, text)
    const shown: Array<string> = []
    const notes: Array<string> = []
    const screen = Layer.succeed(Screen, {
      isTerminal: false,
      hasColors: false,
      columns: 100,
      show: (text) => Effect.sync(() => void shown.push(text)),
      note: (line) => Effect.sync(() => void notes.push(line.replace(file, "FILE"))),
      status: () => Effect.void,
      settle: Effect.void
    })
    const events = yield* Job.run({ data: file, json, limit, rebuild: false }).pipe(
      Effect.zipRight(Effect.flatMap(EventStore, (store) => Stream.runCollect(store.readAll()))),
      Effect.provide([Store.layer({ _tag: "Sqlite", filename: db }), screen, NodeFileSystem.layer])
    )
    return { report: readJson(json), shown: shown.join("\n"), notes, events: Chunk.toReadonlyArray(events) }
  })

const tempDb = Effect.map(tempDirectory, (directory) => join(directory, "flights.db"))

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
      const { notes, report, shown } = yield* job(yield* tempDb, lines.join("\n"))
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
      const { notes, report, shown } = yield* job(yield* tempDb, `${"oops\n".repeat(1_500)}${line(1, 5)}`)
      assert.deepInclude(report, { flights: 1 })
      assert.include(shown, "1,500  records of the input, left out")
      assert.strictEqual(notes.length, 1_001)
      assert.strictEqual(notes[1_000], "More records are malformed; they are counted.")
    }))

  it.scopedLive("tells malformed elements of an array in one line by their columns", () =>
    Effect.gen(function*() {
      const { notes, report } = yield* job(yield* tempDb, `[${line(1, 5)},{"oops":1},17,${line(2, 5)}]`)
      assert.deepInclude(report, { flights: 2, events: 2 })
      const column = line(1, 5).length + 3
      assert.deepStrictEqual(notes, [
        `FILE:1:${column} record 2 is malformed: date is missing; origin is missing; destination is missing; ` +
        "delay is missing; distance is missing",
        notes[1]
      ])
      assert.match(notes[1] ?? "", new RegExp(`^FILE:1:${column + 11} record 3 is malformed: Expected .*17`))
    }))

  it.scopedLive("goes on after a limit, and with a file that was mended or has grown; equal lines are flights of their own", () =>
    Effect.gen(function*() {
      const db = yield* tempDb
      const lines = [line(1, 40), line(2, 40), line(2, 40), line(3, 0), line(4, 0), line(5, 0, "LAX"), line(6, 0)]
      const counts = ({ events, report }: Effect.Effect.Success<ReturnType<typeof job>>) => [
        (report as { readonly flights: number }).flights,
        events.length
      ]
      assert.deepStrictEqual(counts(yield* job(db, lines.join("\n"), 0)), [0, 0])
      assert.deepStrictEqual(counts(yield* job(db, lines.join("\n"), 2)), [2, 2])
      assert.deepStrictEqual(counts(yield* job(db, lines.join("\n"), 2)), [2, 2])
      // the third late departure disrupts the airport
      assert.deepStrictEqual(counts(yield* job(db, lines.join("\n"), 4)), [4, 5])
      // another file with the same flights and something else before them
      const all = yield* job(db, ["oops", ...lines].join("\n"))
      assert.deepStrictEqual(counts(all), [7, 9])
      assert.strictEqual(all.notes.length, 1)
      assert.deepStrictEqual(counts(yield* job(db, `[${lines.join(",")}]`)), [7, 9])
      assert.deepStrictEqual(
        all.events.filter((event) => event.stream === "airport-DTW").map((event) => event.type),
        ["FlightDeparted", "FlightDeparted", "FlightDeparted", "AirportDisrupted", "FlightDeparted", "FlightDeparted"]
          .concat("FlightDeparted", "AirportRecovered")
      )
      assert.isTrue(all.events.every(({ occurredAt }) => DateTime.formatIsoDateUtc(occurredAt) === "2001-02-14"))
      const again = yield* job(db, [...lines, line(7, 60)].join("\n"))
      assert.deepStrictEqual(counts(again), [8, 10])
      assert.deepInclude(again.report, { days: [{ day: "2001-02-14", departures: 8, late: 4 }] })
    }))
})
