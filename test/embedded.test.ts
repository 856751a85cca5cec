/** The swap: one program, written once, over memory and over a SQLite file. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Either, Exit, Layer, Option, Predicate, Schema, Stream, TestClock } from "effect"
import * as Aggregate from "effect-skald/cqrs/Aggregate"
import * as Decider from "effect-skald/cqrs/Decider"
import * as Projection from "effect-skald/cqrs/Projection"
import * as Projections from "effect-skald/cqrs/Projections"
import * as Correlation from "effect-skald/event/Correlation"
import type * as Envelope from "effect-skald/event/Envelope"
import * as Event from "effect-skald/event/Event"
import * as EventId from "effect-skald/event/EventId"
import * as Memory from "effect-skald/Memory"
import * as Sqlite from "effect-skald/Sqlite"
import * as Category from "effect-skald/store/Category"
import { CheckpointStore } from "effect-skald/store/CheckpointStore"
import * as EventStore from "effect-skald/store/EventStore"
import { Lease } from "effect-skald/store/Lease"
import * as Query from "effect-skald/store/Query"
import * as Snapshot from "effect-skald/store/Snapshot"
import { SnapshotStore } from "effect-skald/store/SnapshotStore"
import { equal } from "./support/assert.ts"
import { sqlite } from "./support/embedded.ts"
import { Totals, wallets } from "./support/everyService.ts"
import { tempFile } from "./support/tempDirectory.ts"
import { deposit, drain, Overdrawn, Wallet, Wallets, withdraw } from "./support/wallet.ts"

// --------------------------------------------------------------------------------------------------------- the program

const Granted = Event.make("Granted", { wallet: Schema.String }, { tags: ({ wallet }) => [`wallet:${wallet}`] })
const Bonus = Decider.make("bonus", {
  state: Schema.Literal("open", "granted"),
  commands: Schema.TaggedStruct("Grant", { wallet: Schema.String }),
  events: Granted
})({
  initial: "open",
  decide: ({ wallet }, state) => Either.right(state === "open" ? [Granted({ wallet })] : []),
  evolve: () => "granted"
})
const Bonuses = Category.make("bonus", { events: [Granted] })

const bonuses = Aggregate.make(Bonus, Bonuses)

const Statistics = Projections.statistics("statistics")

/** Whoever has put in 100 in one go is granted a bonus, once: a policy that follows the log. */
const Policy = Projection.handler("policy", {
  events: [Wallets.group.types[0]],
  handle: Projection.each((event, recorded) =>
    event.amount < 100
      ? Effect.void
      : bonuses.execute("first", { _tag: "Grant", wallet: recorded.stream }, { commandId: recorded.id })
  )
})

/** Events but for the spans that they were appended in: a transaction of SQLite is one. */
const list = <A, E, R>(stream: Stream.Stream<A, E, R>) =>
  Effect.map(Stream.runCollect(stream), (events) => Array.from(events, (event) => withoutTrace(event)))

const withoutTrace = (event: unknown): unknown => {
  if (!Predicate.hasProperty(event, "metadata")) return event
  const { trace: _, ...metadata } = event.metadata as Envelope.Metadata
  return { ...event, metadata }
}

/** Everything that an application asks of the services; its answer is everything that it saw. */
const program = Effect.gen(function*() {
  const seen: Record<string, unknown> = {}
  const see = (what: string) => <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.map(Effect.exit(effect), (exit) => {
      seen[what] = Exit.isSuccess(exit) ? exit.value : Cause.failureOrCause(exit.cause)
    })
  const follow = yield* Layer.build(Layer.mergeAll(Projection.layerAsync(Totals), Projection.layerAsync(Policy)))

  for (let second = 0; second < 5; second++) {
    yield* TestClock.setTime(second * 1_000)
    yield* wallets.execute("a", deposit(10 + second), { commandId: `deposit ${second}` }).pipe(see(`deposit ${second}`))
    yield* wallets.execute("a", deposit(10 + second), { commandId: `deposit ${second}` }).pipe(
      see(`deposit ${second} again`)
    )
  }
  yield* wallets.execute("a", withdraw(1_000)).pipe(see("refused"))
  yield* wallets.execute("a", drain(25), { expected: 5, metadata: { actor: "alice" } }).pipe(see("drained"))
  yield* wallets.execute("a", drain(25), { expected: 5 }).pipe(see("conflict"))
  yield* wallets.execute("", { _tag: "Deposit", amount: -1 }, { expected: 0.5 }).pipe(see("nonsense"))
  yield* wallets.execute("b", deposit(500)).pipe(Correlation.locally({ correlationId: "talk" }), see("b"))

  const store = yield* EventStore.EventStore
  const head = yield* store.head
  // what runs in the background takes its turn, so that the log is the same each time
  yield* Effect.provide(Projection.awaitPosition(Policy, head), follow)
  yield* wallets.execute("a", deposit(1)).pipe(Correlation.locally({ tenant: "other" }), see("tenant"))
  yield* wallets.execute("c", deposit(100)).pipe(see("c"))
  const last = yield* store.head
  yield* Effect.provide(Projection.awaitPosition(Policy, last), follow)
  yield* Effect.provide(Projection.awaitPosition(Totals, last), follow)
  yield* Effect.provide(Projection.get(Totals), follow).pipe(see("totals"))
  yield* bonuses.state("first").pipe(see("bonus"))

  yield* wallets.states(["a", "b", "nobody"], { occurredAt: 2 * 1_000 }).pipe(see("states then"))
  yield* wallets.all({ position: head }).pipe(see("all at a position"))
  yield* list(wallets.history("a", { version: 3 })).pipe(see("history"))
  yield* Projection.catchUp(Statistics).pipe(Effect.map((done) => JSON.parse(JSON.stringify(done))), see("statistics"))
  yield* Projection.live(Totals, { recordedAt: 1_000 }).pipe(see("totals then"))

  yield* list(store.readAll()).pipe(see("log"))
  yield* list(store.readAll({ backwards: true, limit: 3, category: "wallet" })).pipe(see("backwards"))
  yield* list(store.readAll({ query: Query.unsafeMake({ tags: ["wallet:wallet-b"] }) })).pipe(see("tagged"))
  yield* list(store.readAll({ correlationId: "talk" })).pipe(see("conversation"))
  yield* Category.appendAll([
    Wallets.part("d", [], { expected: "noStream" }),
    Bonuses.part("second", [Granted({ wallet: "d" })])
  ], { failIf: Query.unsafeMake({ tags: ["wallet:d"] }) }).pipe(see("append over several"))
  yield* Bonuses.append("third", [Granted({ wallet: "d" })], { failIf: Query.unsafeMake({ tags: ["wallet:d"] }) }).pipe(
    see("condition")
  )
  yield* store.truncate("bonus-second", { before: 2 }).pipe(see("truncated"))
  yield* store.tombstone("wallet-b").pipe(see("tombstoned"))
  yield* wallets.execute("b", deposit(1)).pipe(see("after the tombstone"))
  yield* Effect.all(["wallet-a", "wallet-b", "wallet-z", "bonus-second"].map(store.streamState)).pipe(
    see("stream states")
  )

  const snapshots = yield* SnapshotStore
  const fingerprint = Either.getOrThrow(Snapshot.fingerprint(Wallet.name, 1, Wallet.state))
  yield* snapshots.load(":wallet-a", fingerprint).pipe(Effect.map(Option.getOrThrow), see("snapshot"))
  const checkpoints = yield* CheckpointStore
  yield* checkpoints.get(":projection/policy@1").pipe(Effect.map(Option.isSome), see("checkpoint"))
  const leases = yield* Lease
  yield* leases.tryAcquire("work").pipe(
    Effect.map((held) => Option.getOrThrow(held).token),
    Effect.scoped,
    see("lease")
  )
  return seen
}).pipe(Effect.scoped)

/** Ids that are the same in each run. */
const withCountedIds = <A, E, R>(layer: Layer.Layer<A, E, R>) =>
  Layer.unwrapEffect(Effect.sync(() => {
    let count = 0
    return Layer.provide(layer, Layer.succeed(EventId.EventIds, () => `event-${++count}`))
  }))

const run = <E>(services: Layer.Layer<Memory.Services, E>) => Effect.provide(program, withCountedIds(services))

describe("one program over both embedded layers", () => {
  it.effect("sees the same", () =>
    Effect.gen(function*() {
      const inMemory = yield* run(Memory.layer)
      yield* TestClock.setTime(0)
      const onFile = yield* run(sqlite)
      for (const [what, answer] of Object.entries(inMemory)) equal(onFile[what], answer, what)
      equal(Object.keys(onFile), Object.keys(inMemory))
      // and it saw something: each of these is another kind of answer
      equal(inMemory["refused"], Either.left(new Overdrawn({ balance: 60 })))
      equal(inMemory["totals"], { in: 660, out: 25 })
      equal(inMemory["bonus"], { state: "granted", version: 1 })
      assert.lengthOf(inMemory["log"] as ReadonlyArray<unknown>, 11)
      assert.strictEqual(inMemory["lease"], 1)
    }))

  it.scoped("and on a file, what it did is still there when it is opened again", () =>
    Effect.gen(function*() {
      const filename = yield* tempFile()
      const opened = <A, E>(effect: Effect.Effect<A, E, Memory.Services>) =>
        Effect.provide(effect, Sqlite.layer({ filename }))
      yield* opened(program)
      equal((yield* opened(wallets.state("a"))).state, { balance: 35, moves: 8 })
      equal((yield* opened(Projection.catchUp(Totals))).state, { in: 660, out: 25 })
      assert.strictEqual((yield* opened(Projection.catchUp(Policy))).projected, 0)
      assert.isTrue((yield* opened(wallets.execute("a", deposit(10), { commandId: "deposit 0" }))).repeated)
    }))
})
