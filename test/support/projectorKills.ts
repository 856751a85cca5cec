import { assert } from "@effect/vitest"
import { SqlClient } from "@effect/sql"
import Database from "better-sqlite3"
import { Effect, Fiber, Layer, Random, Ref } from "effect"
import * as Sqlite from "effect-skald/Sqlite"
import * as Program from "./program.ts"
import { tempFile } from "./tempDirectory.ts"
import { Deposited, Wallets } from "./wallet.ts"

/** How long others may take to replace one who was killed. */
export const takeOverWithin = 10_000

/** What a series of kills came to. */
export interface Outcome {
  readonly kills: number
  readonly events: number
  /** The longest and the middle time between a kill and the first row of another process, in milliseconds. */
  readonly longest: number
  readonly median: number
}

interface Row {
  readonly amount: number
  readonly process: number
}

const wait = (millis: number) => Effect.promise(() => new Promise((resolve) => setTimeout(resolve, millis)))

/** A file, a process that appends to it (this one), and what its table of rows says. */
const make = Effect.gen(function*() {
  const filename = yield* tempFile()
  const services = yield* Layer.build(Sqlite.layer({ filename }))
  yield* Effect.provide(
    Effect.flatMap(
      SqlClient.SqlClient,
      (sql) => sql`CREATE TABLE by_process (position INTEGER, amount INTEGER, process INTEGER)`
    ),
    services
  )
  const program = yield* Effect.acquireRelease(
    Effect.promise(() => Program.bundle("test/support/projectorStandby.ts")),
    ({ remove }) => Effect.sync(remove)
  )
  const start = (ttl?: number) =>
    Effect.acquireRelease(
      Effect.promise(async () => {
        const running = Program.run(program.file, filename, ...(ttl === undefined ? [] : [String(ttl)]))
        await running.spoken
        return running
      }),
      (running) => Effect.promise(running.kill)
    )
  const appended = yield* Ref.make(0)
  const appending = yield* Effect.forkScoped(
    Effect.forever(Effect.gen(function*() {
      const from = yield* Ref.get(appended)
      yield* Wallets.append(`${from % 7}`, Array.from({ length: 10 }, (_, n) => Deposited({ amount: from + n })))
      yield* Ref.set(appended, from + 10)
      yield* wait(4)
    })).pipe(Effect.provide(services))
  )
  const onDisk = yield* Effect.acquireRelease(
    Effect.sync(() => new Database(filename, { readonly: true })),
    (connection) => Effect.sync(() => connection.close())
  )
  const after = onDisk.prepare<[number], Row>("SELECT amount, process FROM by_process WHERE rowid > ? ORDER BY rowid")
  let checked = 0
  /** Every row since the last time is the next one: none is missing, none is there twice. Answers who wrote the last. */
  const check = (): number | undefined => {
    const rows = after.all(checked)
    for (const { amount } of rows) {
      if (amount !== checked) assert.fail(`row ${checked + 1} is of event ${amount}, expected ${checked}`)
      checked++
    }
    return rows.at(-1)?.process
  }
  /** Waits for a row of a process that passes, and answers which. */
  const awaitRow = (passes: (process: number) => boolean, within: number) =>
    Effect.promise(async () => {
      const from = performance.now()
      while (performance.now() - from < within) {
        const process = check()
        if (process !== undefined && passes(process)) return { process, after: performance.now() - from }
        await new Promise((resolve) => setTimeout(resolve, 10))
      }
      return assert.fail(`nobody has taken over within ${within} ms`)
    })
  /** Lets the one who works come to the end, and tells how many events there are. */
  const finish = Effect.gen(function*() {
    yield* Fiber.interrupt(appending)
    const events = yield* Ref.get(appended)
    while (true) {
      check()
      if (checked >= events) break
      yield* wait(20)
    }
    assert.strictEqual(checked, events)
    return events
  })
  return { filename, start, awaitRow, finish, check }
})

/**
 * Two processes run one projection of a file. The one that works is killed, again and again, at random moments: the other
 * takes over, and a new one stands by. In the end each event is in one row, in order.
 */
export const run = (kills: number) =>
  Effect.gen(function*() {
    const { awaitRow, finish, start } = yield* make
    const running = new Map<number, Program.Running>()
    for (let n = 0; n < 2; n++) {
      const started = yield* start()
      running.set(started.process.pid!, started)
    }
    const times: Array<number> = []
    let { process } = yield* awaitRow((process) => running.has(process), takeOverWithin)
    for (let kill = 1; kill <= kills; kill++) {
      yield* wait(yield* Random.nextIntBetween(0, 150))
      yield* Effect.promise(running.get(process)!.kill)
      running.delete(process)
      const found = yield* awaitRow((process) => running.has(process), takeOverWithin)
      times.push(found.after)
      process = found.process
      const started = yield* start()
      running.set(started.process.pid!, started)
    }
    const events = yield* finish
    times.sort((a, b) => a - b)
    return {
      kills,
      events,
      longest: Math.round(times.at(-1)!),
      median: Math.round(times[Math.floor(times.length / 2)]!)
    } satisfies Outcome
  })

/** One who is stopped for longer than its lease lasts is replaced; let go on, it commits nothing any more. */
export const stale = Effect.gen(function*() {
  const { awaitRow, check, filename, finish, start } = yield* make
  const one = yield* start(1_000)
  const { process } = yield* awaitRow(() => true, takeOverWithin)
  assert.strictEqual(process, one.process.pid)
  const two = yield* start(1_000)
  // not in the middle of a transaction: it would hold the whole file, and nobody could take over
  const isFree = Effect.sync(() => {
    const connection = new Database(filename, { timeout: 200 })
    try {
      connection.exec("BEGIN IMMEDIATE; ROLLBACK")
      return true
    } catch {
      return false
    } finally {
      connection.close()
    }
  })
  while (true) {
    one.process.kill("SIGSTOP")
    yield* wait(20)
    if (yield* isFree) break
    one.process.kill("SIGCONT")
    yield* wait(10)
  }
  yield* awaitRow((process) => process === two.process.pid, takeOverWithin)
  one.process.kill("SIGCONT")
  // long enough for many chunks: the first process has events to project, and believes that it may
  for (let n = 0; n < 20; n++) {
    yield* wait(25)
    const writer = check()
    if (writer !== undefined) assert.strictEqual(writer, two.process.pid)
  }
  return yield* finish
})
