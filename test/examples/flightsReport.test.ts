import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Either, Redacted, TestClock } from "effect"
import * as Cli from "../../examples/flights/Cli.ts"
import * as Progress from "../../examples/flights/Progress.ts"
import * as Report from "../../examples/flights/Report.ts"
import { Screen } from "../../examples/flights/Screen.ts"

const others: Parameters<typeof Report.make>[2] = {
  desk: { delivered: 3, retried: 1, deadLettered: 2, reprocessed: 1 },
  recovery: {
    committed: 1,
    compensated: 1,
    retried: 2,
    pools: [{ pool: "crews", size: 8, held: 1, free: 7 }, { pool: "rooms", size: 1_800, held: 40, free: 1_760 }],
    balanced: true
  },
  knockOns: {
    matches: 3,
    days: [{ day: "2001-02-01", airport: "CCC", hit: ["AAA", "BBB"] }],
    mostPartialMatches: 1
  },
  stretches: {
    windows: 1_000,
    poor: 2,
    poorest: [{ airport: "CCC", from: "2001-02-01T09:00:00.000Z", departures: 12, late: 9 }]
  },
  inbound: { flights: 5, most: 3, unmet: 1 }
}

const report = Report.make({ flights: 1_010, events: 1_014 }, {
  airports: [
    { code: "AAA", departures: 4, totalDelay: -6, disruptions: 0, recoveries: 0 },
    { code: "BBB", departures: 6, totalDelay: 60, disruptions: 1, recoveries: 1 },
    { code: "CCC", departures: 1_000, totalDelay: 2_500, disruptions: 1, recoveries: 1 }
  ],
  days: [
    { day: "2001-01-31", departures: 10, late: 5 },
    { day: "2001-02-01", departures: 1_000, late: 250 }
  ]
}, others)

const at = (instant: string) => DateTime.unsafeMake(instant)

const details: Report.Details = {
  names: new Map([["CCC", "Ceeville"]]),
  imported: { malformed: 2, flights: 1_000, events: 1_004, seconds: 0.5 },
  asOf: at("2001-02-14T12:00:00Z"),
  then: [
    ["CCC", { departures: 7, operation: { _tag: "Disrupted", since: at("2001-02-14T09:30:00Z"), punctual: 1 } }],
    ["BBB", { departures: 1, operation: { _tag: "Normal", late: [] } }]
  ]
}

describe("the report", () => {
  it("as data has exactly what was agreed on", () => {
    assert.deepStrictEqual(report, {
      flights: 1_010,
      events: 1_014,
      airports: [
        { code: "AAA", departures: 4, meanDelay: -1.5, disruptions: 0, recoveries: 0 },
        { code: "BBB", departures: 6, meanDelay: 10, disruptions: 1, recoveries: 1 },
        { code: "CCC", departures: 1_000, meanDelay: 2.5, disruptions: 1, recoveries: 1 }
      ],
      days: [
        { day: "2001-01-31", departures: 10, late: 5 },
        { day: "2001-02-01", departures: 1_000, late: 250 }
      ],
      ...others
    })
  })

  it("as text is this", () => {
    assert.strictEqual(
      `\n${Report.text(report, details, { columns: 80, colors: false })}`,
      `
Flights from 2001-01-31 to 2001-02-01
  flights      1,010  from 3 airports
  late           255  25.2 % of them, by 15 minutes or more
  mean delay     2.5  minutes
  disruptions      2  and 2 recoveries
  events       1,014  in the log
  malformed        2  records of the input, left out

The 2 airports most disrupted
                 flights  mean delay  disruptions
  CCC  Ceeville    1,000         2.5            1  ████████████████████
  BBB                  6        10.0            1  ████████████████████

The operations desk
  delivered    3  notices of disruptions and recoveries
  retried      1  of them, where the desk was busy or closed at first
  put aside    2  as dead letters
  reprocessed  1  of these, when the desk was open again

Recovery, a saga for each disruption
  committed     1  with a crew, a gate and rooms from what the airport has
  compensated   1  where one of them was not to be had, and the others were given back
  retried       2  requests that were put off
  crews         1  held, and 7 free: the 8 that there were
  rooms        40  held, and 1,760 free: the 1,800 that there were

Knock-on days, late departures in a row and then late ones where they flew to
  2001-02-01  CCC  then AAA, BBB
  1 day, 3 matches; 1 partial match held at most

Poorest six hours of an airport
  CCC  from 2001-02-01 09:00 UTC  9 of 12 departures late
  of 1,000 windows 2 had half of their departures late, or more
  5 flights were on the way to a disruption, 3 to one of them at most; 1 disruption met none

Departures by day   █ late  ░ in time
  1,000 ┤ ░
        ┤ ░
        ┤ ░
        ┤ ░
        ┤ ░
        ┤ ░
    500 ┤ ░
        ┤ ░
        ┤ ░
        ┤ █
        ┤ █
        ┤ █
         01-31
  The worst day was 2001-01-31: 50.0 % of its departures were late.

As of 2001-02-14 12:00 UTC
                 flights
  CCC  Ceeville        7  disrupted since 2001-02-14 09:30 UTC
  BBB                  1  in normal operation

This run
  1,000 flights and 1,004 events recorded in 0.5 s: 2,000 flights/s, 2,008 events/s
`
    )
  })

  it("says where the pools do not balance", () => {
    const recovery = { ...others.recovery, balanced: false }
    const shown = Report.text({ ...report, recovery }, details, { columns: 80, colors: false })
    assert.include(shown, "crews         1  held, and 7 free: not the 8 that there were")
  })

  it("says the same in colour", () => {
    const colored = Report.text(report, details, { columns: 80, colors: true })
    assert.include(colored, "\u001b[")
    assert.strictEqual(
      colored.split("\u001b[").map((part, index) => index === 0 ? part : part.slice(part.indexOf("m") + 1)).join(""),
      Report.text(report, details, { columns: 80, colors: false })
    )
  })

  it("fits into the columns that there are, on several charts if need be", () => {
    const days = Array.from({ length: 100 }, (_, index) => ({
      day: DateTime.formatIsoDateUtc(DateTime.add(at("2001-01-01T00:00:00Z"), { days: index })),
      departures: 100 + index,
      late: index
    }))
    const text = Report.text({ ...report, days }, details, { columns: 60, colors: false })
    const charts = text.split("\n").filter((line) => line.includes("┤") || /^ +\d\d-\d\d/.test(line))
    assert.isTrue(charts.every((line) => line.length <= 66))
    assert.strictEqual(charts.filter((line) => line.includes("199")).length, 2)
  })

  it("of nothing is a report, too", () => {
    const nothing = Report.make({ flights: 0, events: 0 }, { airports: [], days: [] }, {
      desk: { delivered: 0, retried: 0, deadLettered: 0, reprocessed: 0 },
      recovery: { committed: 0, compensated: 0, retried: 0, pools: [], balanced: true },
      knockOns: { matches: 0, days: [], mostPartialMatches: 0 },
      stretches: { windows: 0, poor: 0, poorest: [] },
      inbound: { flights: 0, most: 0, unmet: 0 }
    })
    const imported = { malformed: 0, flights: 0, events: 0, seconds: 0 }
    assert.strictEqual(
      `\n${Report.text(nothing, { ...details, imported, then: [] }, { columns: 80, colors: false })}`,
      `
Flights
  flights      0  from 0 airports
  late         0  0 % of them, by 15 minutes or more
  mean delay   -  minutes
  disruptions  0  and 0 recoveries
  events       0  in the log

There was nothing new to record.
`
    )
  })

  it("names the most disrupted first, and of equals the busier", () => {
    const codes = (howMany: number) => Report.mostDisrupted(report, howMany).map(({ code }) => code)
    assert.deepStrictEqual(codes(10), ["CCC", "BBB"])
    assert.deepStrictEqual(codes(1), ["CCC"])
  })
})

describe("progress", () => {
  const screen = (isTerminal: boolean) => {
    const shown: Array<string> = []
    const push = (line: string) => Effect.sync(() => void shown.push(line))
    return {
      shown,
      service: {
        isTerminal,
        hasColors: false,
        columns: 80,
        show: push,
        note: push,
        status: push,
        settle: Effect.sync(() => void shown.push("settled"))
      }
    }
  }

  it("is a line with a bar where it fits", () => {
    const standing = { done: 8_400, total: 20_000, rate: 3_912.4, left: 2.9 }
    assert.strictEqual(Progress.line(standing), " 42 %  8,400 of 20,000 flights  3,912/s  3 s left")
    assert.strictEqual(
      Progress.bar(standing, 80),
      "███████████▊░░░░░░░░░░░░░░░░  42 %  8,400 of 20,000 flights  3,912/s  3 s left".replace(
        "░░░░░░░░░░░░░░░░  42",
        "░░░░░░░░░░░░░░░░   42"
      )
    )
    assert.strictEqual(Progress.bar(standing, 20), " 42 %  8,400 of 20,")
    for (const columns of [40, 60, 80, 200]) assert.isBelow(Progress.bar(standing, columns).length, columns)
  })

  it("says how long it takes, in words that fit", () => {
    const left = (left: number) => Progress.line({ done: 0, total: 10, rate: 0, left }).split("  ").at(-1)
    assert.deepStrictEqual([Infinity, 0.2, 89, 120, 7_200].map(left), [
      "? left",
      "1 s left",
      "89 s left",
      "2 min left",
      "2.0 h left"
    ])
    assert.strictEqual(
      Progress.line({ done: 0, total: 0, rate: 0, left: Infinity }),
      "100 %  0 of 0 flights  0/s  done"
    )
  })

  it.effect("comes every second where there is no terminal, and once more in the end", () =>
    Effect.gen(function*() {
      const { service, shown } = screen(false)
      yield* Effect.gen(function*() {
        const progress = yield* Progress.make({ before: 100, total: 400 })
        progress.add(50)
        yield* TestClock.adjust("1 second")
        progress.add(150)
        yield* TestClock.adjust("1 second")
        progress.add(100)
      }).pipe(Effect.scoped, Effect.provideService(Screen, service))
      assert.deepStrictEqual(shown.slice(-4), [
        " 37 %  150 of 400 flights  50/s  5 s left",
        " 75 %  300 of 400 flights  100/s  1 s left",
        "100 %  400 of 400 flights  150/s  done",
        "settled"
      ])
    }))

  it.effect("is drawn ten times a second on a terminal", () =>
    Effect.gen(function*() {
      const { service, shown } = screen(true)
      yield* Effect.zipRight(Progress.make({ before: 0, total: 1 }), TestClock.adjust("1 second")).pipe(
        Effect.scoped,
        Effect.provideService(Screen, service)
      )
      assert.isAtLeast(shown.length, 10)
      assert.isTrue(shown.slice(0, -1).every((line) => line.startsWith("░░░")))
    }))
})

describe("the command line", () => {
  const run = (...args: ReadonlyArray<string>) => Either.getOrThrow(Cli.parse(args))
  const problems = (...args: ReadonlyArray<string>) => Either.getOrThrow(Either.flip(Cli.parse(args))).problems

  it("has defaults for everything", () => {
    assert.deepStrictEqual(run(), {
      _tag: "Run",
      data: undefined,
      store: { _tag: "Sqlite", filename: "flights.db" },
      limit: 1_000_000_000,
      json: undefined,
      rebuild: false
    })
  })

  it("takes options in both forms", () => {
    assert.deepStrictEqual(run("--data", "a", "--db=b", "--limit", "0", "--json=c"), {
      _tag: "Run",
      data: "a",
      store: { _tag: "Sqlite", filename: "b" },
      limit: 0,
      json: "c",
      rebuild: false
    })
    assert.deepStrictEqual(run("--limit=250", "--help"), { _tag: "Help" })
    assert.deepStrictEqual(run("-h"), { _tag: "Help" })
  })

  it("takes a store by its address, and shows its password to nobody", () => {
    assert.deepInclude(run("--store", "sqlite:my flights.db"), { store: { _tag: "Sqlite", filename: "my flights.db" } })
    for (const address of ["postgres://me:secret@host:5432/db", "postgresql://host/db"]) {
      const command = run("--store", address)
      assert.isTrue(command._tag === "Run" && command.store._tag === "Postgres")
      if (command._tag !== "Run" || command.store._tag !== "Postgres") return
      assert.strictEqual(Redacted.value(command.store.url), address)
      assert.notInclude(JSON.stringify(command), "secret")
    }
    assert.deepStrictEqual(problems("--store", "postgres://me:secret@ho st/db"), [
      "--store must be an address such as postgres://user:password@host:5432/database."
    ])
    assert.deepStrictEqual(problems("--store", "mysql://me:secret@host"), [
      "--store must begin with postgres://, redis:// or sqlite:, or be memory, got mysql:."
    ])
    assert.deepStrictEqual(problems("--store", "flights.db"), [
      "--store must begin with postgres://, redis:// or sqlite:, or be memory, got neither."
    ])
    assert.deepStrictEqual(problems("--store", "sqlite:"), ["--store must name a file after sqlite:."])
    const redis = run("--store", "redis://:secret@host", "--db", "tables.db")
    assert.isTrue(redis._tag === "Run" && redis.store._tag === "Redis" && redis.store.filename === "tables.db")
    assert.notInclude(JSON.stringify(redis), "secret")
    assert.deepStrictEqual(problems("--store", "postgres://host/db", "--db", "a"), [
      "--db is for SQLite and Redis: --store names another database."
    ])
    assert.deepInclude(run("--store", "memory"), { store: { _tag: "Memory" } })
    assert.deepStrictEqual(problems("--store", "memory", "--db", "a"), [
      "--db is for SQLite and Redis: --store names memory."
    ])
    assert.deepStrictEqual(problems("--store", "sqlite:a", "--db", "a"), [
      "--db and --store say the same thing: give one of them."
    ])
    assert.deepStrictEqual(problems("--store", "sqlite:./a", "--json", "a"), [
      "--store and --json must not be the same file."
    ])
  })

  it("rebuilds what a store keeps, and reads no data for it", () => {
    assert.deepInclude(run("--rebuild", "--json", "a"), { rebuild: true, json: "a" })
    assert.deepInclude(run("--rebuild", "--store", "redis://host"), { rebuild: true })
    assert.deepStrictEqual(problems("--rebuild", "--store", "memory", "--limit", "5"), [
      "--rebuild reads no data: leave --data and --limit out.",
      "--rebuild needs a store that keeps events: in memory there is nothing to rebuild from."
    ])
    assert.deepStrictEqual(problems("--rebuild", "--data", "a"), [
      "--rebuild reads no data: leave --data and --limit out."
    ])
  })

  it("refuses what there is not, and says so in one sentence", () => {
    assert.deepStrictEqual(problems("--speed", "9"), ["Unknown option '--speed'."])
    assert.deepStrictEqual(problems("flights.json"), ["Unexpected argument 'flights.json'."])
    assert.deepStrictEqual(problems("--data"), ["Option '--data <value>' argument missing."])
    assert.deepStrictEqual(problems("--help=yes"), ["Option '-h, --help' does not take an argument."])
    assert.deepStrictEqual(problems("--db", "--json", "x"), ["Option '--db' argument is ambiguous."])
    for (const limit of ["-5", "1.5", "many", "", "1e3", "12345678901"]) {
      assert.deepStrictEqual(problems(`--limit=${limit}`), [
        `--limit must be a whole number of at most nine digits, got ${JSON.stringify(limit)}.`
      ])
    }
  })

  it("tells all faults at once", () => {
    assert.deepStrictEqual(problems("--data=", "--limit=x", "--db=./a", "--json=b/../a"), [
      "--data must name a file.",
      "--limit must be a whole number of at most nine digits, got \"x\".",
      "--db and --json must not be the same file."
    ])
  })
})
