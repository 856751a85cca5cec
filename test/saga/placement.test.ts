import { assert, describe, it } from "@effect/vitest"
import * as Placement from "effect-skald/saga/Placement"
import { layerMemory as leasesInMemory, Lease } from "effect-skald/store/Lease"
import * as SqlLeases from "effect-skald/store/SqlLeases"
import * as SqliteClient from "effect-skald/store/SqliteClient"
import { Effect, Exit, Layer, Option, Scope, Stream, TestClock } from "effect"
import { bundle, run } from "../support/program.ts"
import * as Postgres from "../support/postgres.ts"
import * as Servers from "../support/servers.ts"
import { tempFile } from "../support/tempDirectory.ts"

/** One process among those that share a `Lease`: its placement, and its end. */
const join = (options?: Placement.Options) =>
  Effect.gen(function*() {
    const scope = yield* Scope.fork(yield* Effect.scope, { _tag: "Sequential" })
    const context = yield* Layer.buildWithScope(Layer.fresh(Placement.layer(options)), scope)
    const placement = yield* Placement.Placement.pipe(Effect.provide(context))
    return { placement, numbers: numbersOf(placement), leave: Scope.close(scope, Exit.void) }
  })

const numbersOf = (placement: Placement.Service) =>
  Effect.map(placement.owned, (owned) => owned.map(({ number }) => number))

const seconds = (count: number) => Effect.repeatN(TestClock.adjust("1 seconds"), count - 1)

const all = [0, 1, 2, 3, 4, 5, 6, 7]

const inMemory = Effect.provide(leasesInMemory)

describe("Placement by leases", () => {
  it.scoped("one who is alone has everything; several share evenly, and no shard has two owners", () =>
    Effect.gen(function*() {
      const first = yield* join()
      yield* seconds(1)
      assert.deepStrictEqual(yield* first.numbers, all)
      const second = yield* join()
      const third = yield* join()
      for (let step = 0; step < 30; step++) {
        yield* seconds(1)
        const owners = [...yield* first.numbers, ...yield* second.numbers, ...yield* third.numbers]
        assert.strictEqual(new Set(owners).size, owners.length)
      }
      const parts = [yield* first.numbers, yield* second.numbers, yield* third.numbers]
      assert.deepStrictEqual(parts.flat().toSorted(), all)
      assert.isTrue(parts.every((part) => part.length >= 2 && part.length <= 3), JSON.stringify(parts))
      assert.isTrue(yield* first.placement.isMine(sagaOf(first.placement, parts[0]![0]!)))
      assert.isFalse(yield* second.placement.isMine(sagaOf(first.placement, parts[0]![0]!)))
    }).pipe(inMemory))

  it.scoped("who leaves is replaced at the next look, and tokens rise", () =>
    Effect.gen(function*() {
      const first = yield* join()
      yield* seconds(1)
      const before = yield* first.placement.owned
      const second = yield* join()
      yield* seconds(2)
      yield* first.leave
      assert.deepStrictEqual(yield* first.numbers, [])
      yield* seconds(3)
      const after = yield* second.placement.owned
      assert.deepStrictEqual(after.map(({ number }) => number), all)
      for (const shard of after) {
        yield* shard.check
        const old = before.find(({ number }) => number === shard.number)!
        assert.isAbove(shard.token, old.token)
        assert.strictEqual((yield* Effect.flip(old.check))._tag, "LeaseLost")
      }
    }).pipe(inMemory))

  it.scoped("one more process than shards stands by", () =>
    Effect.gen(function*() {
      const members = yield* Effect.all(Array.from({ length: 4 }, () => join({ shards: 3 })))
      yield* seconds(30)
      const parts = yield* Effect.all(members.map(({ numbers }) => numbers))
      assert.deepStrictEqual(parts.map(({ length }) => length).toSorted(), [0, 1, 1, 1])
      yield* members[parts.findIndex(({ length }) => length === 1)]!.leave
      yield* seconds(10)
      const left = (yield* Effect.all(members.map(({ numbers }) => numbers))).flat()
      assert.deepStrictEqual(left.toSorted(), [0, 1, 2])
    }).pipe(inMemory))

  it.scoped("what is run for a shard has stopped before another process has it", () =>
    Effect.gen(function*() {
      const working = new Map<number, string>()
      const clashes: Array<number> = []
      const work = (who: string) => (shard: Placement.Shard) =>
        Effect.acquireUseRelease(
          Effect.sync(() => {
            if (working.has(shard.number)) clashes.push(shard.number)
            working.set(shard.number, who)
          }),
          () => Effect.never,
          () => Effect.zipRight(Effect.yieldNow(), Effect.sync(() => working.delete(shard.number)))
        )
      const first = yield* join()
      yield* first.placement.run(work("first"))
      yield* seconds(1)
      assert.strictEqual(working.size, 8)
      const second = yield* join()
      yield* second.placement.run(work("second"))
      yield* seconds(30)
      const workers = [...working.values()]
      assert.deepStrictEqual([workers.length, workers.filter((who) => who === "first").length], [8, 4])
      yield* first.leave
      yield* seconds(3)
      assert.deepStrictEqual([...working.values()], Array.from({ length: 8 }, () => "second"))
      yield* second.leave
      assert.strictEqual(working.size, 0)
      assert.deepStrictEqual(clashes, [])
    }).pipe(inMemory))

  it.scoped("run ends with its own scope; what is run later gets the shards that are there", () =>
    Effect.gen(function*() {
      const { placement } = yield* join()
      yield* seconds(1)
      let running = 0
      const work = () =>
        Effect.acquireUseRelease(Effect.sync(() => running++), () => Effect.never, () => Effect.sync(() => running--))
      yield* Effect.scoped(Effect.gen(function*() {
        yield* placement.run(work)
        yield* Effect.yieldNow()
        assert.strictEqual(running, 8)
      }))
      assert.strictEqual(running, 0)
      assert.strictEqual((yield* placement.owned).length, 8)
    }).pipe(inMemory))

  it.scoped("changes tell what is owned now, and then whenever it changes", () =>
    Effect.gen(function*() {
      const first = yield* join({ shards: 2 })
      const told: Array<string> = []
      yield* Effect.fork(Stream.runForEach(first.placement.changes, (owned) =>
        Effect.sync(() =>
          told.push(owned.map(({ number }) => number).join())
        )))
      yield* seconds(2)
      assert.strictEqual(told.at(-1), "0,1")
      const before = told.length
      yield* join({ shards: 2 })
      yield* seconds(20)
      assert.deepStrictEqual(told.slice(before), ["0"])
    }).pipe(inMemory))

  it.scoped("what a frozen process had is another's in less than 10 s, and it is refused when it wakes up", () =>
    Effect.gen(function*() {
      const leases = yield* Lease
      // one that says nothing any more: it holds the leases and does not renew them
      const frozen = yield* Effect.forEach(
        all,
        (number) => Effect.map(leases.tryAcquire(`sagas/shard/${number}`, { renewEvery: "1 days" }), Option.getOrThrow)
      )
      yield* leases.tryAcquire("sagas/member/0", { renewEvery: "1 days" })
      const next = yield* join()
      yield* seconds(4)
      assert.deepStrictEqual(yield* next.numbers, [])
      yield* seconds(6)
      assert.deepStrictEqual(yield* next.numbers, all)
      for (const held of frozen) assert.strictEqual((yield* Effect.flip(held.check))._tag, "LeaseLost")
    }).pipe(inMemory))

  it.scoped("an outage of the store that is longer than a lease gives everything up; afterwards all is owned again", () =>
    Effect.gen(function*() {
      const client = yield* SqliteClient.SqliteClient
      const only = yield* join()
      yield* seconds(1)
      assert.deepStrictEqual(yield* only.numbers, all)
      client.writer.pragma("query_only = ON")
      yield* seconds(8)
      assert.deepStrictEqual(yield* only.numbers, [])
      client.writer.pragma("query_only = OFF")
      yield* seconds(8)
      assert.deepStrictEqual(yield* only.numbers, all)
    }).pipe(
      Effect.provide(
        Layer.unwrapScoped(
          Effect.map(
            tempFile(),
            (filename) => SqlLeases.layer().pipe(Layer.provideMerge(SqliteClient.layer({ filename })))
          )
        )
      )
    ))

  it.effect("bad options are refused, all of them", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(
        Layer.build(Placement.layer({ name: "", shards: 0, lookEvery: 1 })).pipe(Effect.scoped)
      )
      assert.deepStrictEqual(error.faults.map(({ path }) => path), ["name", "shards", "lookEvery"])
    }).pipe(inMemory))
})

/** A saga of a shard. */
const sagaOf = (placement: Placement.Service, shard: number): string => {
  for (let number = 0;; number++) if (placement.shardOf(`saga-${number}`) === shard) return `saga-${number}`
}

describe("Placement in one process", () => {
  it.scoped("everything is its own from the beginning until the end", () =>
    Effect.gen(function*() {
      const placement = yield* Placement.Placement
      assert.isTrue(yield* placement.isMine("anything"))
      const ran: Array<number> = []
      yield* placement.run((shard) => Effect.sync(() => ran.push(shard.number)))
      yield* Effect.yieldNow()
      assert.deepStrictEqual(ran, [0])
      const [shard] = yield* placement.owned
      yield* shard!.check
    }).pipe(Effect.provide(Placement.layerSingle)))
})

Servers.suite("postgres", "Placement by leases in PostgreSQL", (url) => {
  /** What a child has said last, and when. */
  const latest = (lines: ReadonlyArray<string>) => {
    const [at = "", numbers = "[]"] = (lines.at(-1) ?? "").split("=")
    return { at: Number(at), numbers: JSON.parse(numbers) as ReadonlyArray<number> }
  }
  const until = async (isSo: () => boolean, millis: number) => {
    const end = Date.now() + millis
    while (!isSo() && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 20))
    return isSo()
  }

  it.scopedLive(
    "a process that is killed, or stopped for longer than its leases, is replaced in less than 10 s",
    () =>
      Effect.gen(function*() {
        const prefix = yield* Postgres.prefix(url)
        const program = yield* Effect.acquireRelease(
          Effect.promise(() => bundle("test/support/placementHolder.ts")),
          ({ remove }) => Effect.sync(remove)
        )
        const child = Effect.acquireRelease(
          Effect.sync(() => run(program.file, url, prefix)),
          ({ kill }) => Effect.promise(kill)
        )
        const first = yield* child
        assert.isTrue(yield* Effect.promise(() => until(() => latest(first.lines).numbers.length === 8, 10_000)))
        const second = yield* child
        assert.isTrue(
          yield* Effect.promise(() =>
            until(() => latest(first.lines).numbers.length === 4 && latest(second.lines).numbers.length === 4, 15_000)
          ),
          "they share"
        )
        // stopped, as a virtual machine is: its leases run out, and it learns that when it goes on
        first.process.kill("SIGSTOP")
        const stopped = Date.now()
        assert.isTrue(yield* Effect.promise(() => until(() => latest(second.lines).numbers.length === 8, 12_000)))
        assert.isBelow(latest(second.lines).at - stopped, 10_000)
        const said = first.lines.length
        first.process.kill("SIGCONT")
        assert.isTrue(yield* Effect.promise(() => until(() => first.lines.length > said, 5_000)), "it noticed")
        assert.isTrue(
          yield* Effect.promise(() =>
            until(() => latest(first.lines).numbers.length === 4 && latest(second.lines).numbers.length === 4, 15_000)
          ),
          "they share again"
        )
        const killed = Date.now()
        yield* Effect.promise(first.kill)
        assert.isTrue(yield* Effect.promise(() => until(() => latest(second.lines).numbers.length === 8, 12_000)))
        assert.isBelow(latest(second.lines).at - killed, 10_000)
        // a clean stop leaves the shards free: one who waits has them at its next look
        const third = yield* child
        yield* Effect.promise(() => until(() => latest(third.lines).numbers.length === 4, 15_000))
        const ended = Date.now()
        second.process.kill("SIGTERM")
        assert.isTrue(yield* Effect.promise(() => until(() => latest(third.lines).numbers.length === 8, 10_000)))
        assert.isBelow(latest(third.lines).at - ended, 2_500)
      }),
    60_000
  )
})
