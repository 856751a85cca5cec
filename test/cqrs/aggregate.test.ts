import { assert, describe, it } from "@effect/vitest"
import { Chunk, DateTime, Effect, Either, FastCheck, Layer, Schedule, Schema, Stream, TestClock } from "effect"
import * as Aggregate from "effect-skald/cqrs/Aggregate"
import * as Decider from "effect-skald/cqrs/Decider"
import * as Correlation from "effect-skald/event/Correlation"
import type { Recorded } from "effect-skald/event/Envelope"
import * as Event from "effect-skald/event/Event"
import { InvalidInput } from "effect-skald/event/InvalidInput"
import * as Memory from "effect-skald/Memory"
import * as RetryPolicy from "effect-skald/resilience/RetryPolicy"
import * as Sqlite from "effect-skald/Sqlite"
import type { AsOf } from "effect-skald/store/AsOf"
import * as Category from "effect-skald/store/Category"
import * as EventStore from "effect-skald/store/EventStore"
import * as Snapshot from "effect-skald/store/Snapshot"
import { forAll } from "effect-skald/testing/ForAll"
import { equal, includes } from "../support/assert.ts"
import { onBoth, withRival, withStore } from "../support/embedded.ts"
import { tempFile } from "../support/tempDirectory.ts"
import {
  deposit,
  Deposited,
  drain,
  look,
  Overdrawn,
  Wallet,
  WalletContract,
  Wallets,
  wallets,
  withdraw,
  Withdrawn
} from "../support/wallet.ts"

/** The ways to keep states between commands: none of them may be seen from outside. */
const keeping = {
  plain: {},
  cache: { cache: 10 },
  snapshots: { snapshot: Snapshot.every(2) },
  both: { cache: 10, snapshot: Snapshot.every(3) }
}
const keptBy = (how: keyof typeof keeping) =>
  Aggregate.make(Wallet, Wallets, keeping[how] as { readonly snapshot: Snapshot.Policy })

const recorded = (id: string) =>
  Effect.map(Stream.runCollect(Wallets.read(id)), (events) => Chunk.toReadonlyArray(events))

const failure = Effect.flip

const fromOutside = (json: string): any => JSON.parse(json)

onBoth("Aggregate", (layer) => {
  const test = (title: string, body: () => Effect.Effect<void, unknown, Layer.Layer.Success<typeof layer>>) =>
    it.effect(title, () => Effect.provide(body(), layer))

  test("a command records what it decides, and answers with it", () =>
    Effect.gen(function*() {
      const first = yield* wallets.execute("a", deposit(25))
      equal(first, {
        state: { balance: 25, moves: 1 },
        version: 1,
        events: [Deposited({ amount: 25 })],
        position: first.position,
        repeated: false
      })
      const second = yield* wallets.execute("a", drain(100))
      equal(second.events, [10, 10, 5].map((amount) => Withdrawn({ amount })))
      equal(second.state, { balance: 0, moves: 4 })
      const events = yield* recorded("a")
      equal(events.map((event) => event.version), [1, 2, 3, 4])
      assert.strictEqual(second.position, events[3]!.position)
      equal(yield* wallets.state("a"), { state: { balance: 0, moves: 4 }, version: 4 })
      equal(yield* wallets.state("nobody"), { state: Wallet.initial, version: 0 })
    }))

  test("a refusal is the decider's own error, decided once, and records nothing", () =>
    Effect.gen(function*() {
      let decisions = 0
      const counted = Aggregate.make(
        WalletContract({ ...Wallet, decide: (command, state) => (decisions++, Wallet.decide(command, state)) }),
        Wallets
      )
      yield* counted.execute("a", deposit(5))
      decisions = 0
      const refused = yield* failure(counted.execute("a", withdraw(6)))
      equal(refused, new Overdrawn({ balance: 5 }))
      assert.strictEqual(decisions, 1)
      assert.lengthOf(yield* recorded("a"), 1)
    }))

  test("a command that changes nothing records nothing, and is decided again", () =>
    Effect.gen(function*() {
      const first = yield* wallets.execute("a", look, { commandId: "c" })
      includes(first, { version: 0, events: [], position: undefined, repeated: false })
      yield* wallets.execute("a", deposit(5))
      const second = yield* wallets.execute("a", look, { commandId: "c" })
      includes(second, { state: { balance: 5, moves: 1 }, version: 1, repeated: false })
      // the id is still free, for a command that does something
      assert.isFalse((yield* wallets.execute("a", deposit(1), { commandId: "c" })).repeated)
    }))

  // ------------------------------------------------------------------------------------------------------ command ids

  for (const how of ["plain", "cache", "snapshots", "both"] as const) {
    test(`a repeated command has one effect and gives the first answer (${how})`, () =>
      Effect.gen(function*() {
        const kept = keptBy(how)
        yield* kept.execute("a", deposit(35))
        const first = yield* kept.execute("a", drain(25), { commandId: "drain-1" })
        assert.lengthOf(first.events, 3)
        const again = { ...first, repeated: true }
        equal(yield* kept.execute("a", drain(25), { commandId: "drain-1" }), again)
        for (let more = 0; more < 5; more++) yield* kept.execute("a", deposit(1), { commandId: `more-${more}` })
        equal(yield* kept.execute("a", drain(25), { commandId: "drain-1" }), again)
        // another process: nothing is in its memory
        equal(yield* keptBy(how).execute("a", drain(25), { commandId: "drain-1" }), again)
        // whatever is asked now, and where: the id tells
        equal(
          yield* kept.execute("a", deposit(9), { commandId: "drain-1", expected: 1, occurredAt: 0 }),
          again
        )
        equal(yield* kept.state("a"), { state: { balance: 15, moves: 9 }, version: 9 })
      }))
  }

  test("an id belongs to its aggregate and tenant", () =>
    Effect.gen(function*() {
      for (const tenant of [undefined, "acme", "emca"]) {
        for (const id of ["a", "b"]) {
          const executed = yield* wallets.execute(id, deposit(1), { commandId: "c" }).pipe(
            tenant === undefined ? (effect) => effect : Correlation.locally({ tenant })
          )
          includes(executed, { version: 1, repeated: false })
        }
      }
    }))

  test("many at once with one id: one effect, and all get its answer", () =>
    Effect.gen(function*() {
      yield* wallets.execute("a", deposit(100))
      const answers = yield* Effect.all(
        Array.from({ length: 25 }, (_, n) =>
          Effect.yieldNow().pipe(
            Effect.repeatN(n % 3),
            Effect.zipRight(wallets.execute("a", drain(25), { commandId: "c", occurredAt: n }))
          )),
        { concurrency: "unbounded" }
      ).pipe(withStore((store) => ({
        append: (groups, options) => Effect.zipRight(Effect.yieldNow(), store.append(groups, options))
      })))
      assert.lengthOf(answers.filter((answer) => !answer.repeated), 1)
      for (const answer of answers) {
        equal({ ...answer, repeated: false }, answers.find((each) => !each.repeated))
      }
      equal(yield* wallets.state("a"), { state: { balance: 75, moves: 4 }, version: 4 })
    }))

  const lost: ReadonlyArray<readonly [title: string, rival: Effect.Effect<unknown, unknown, EventStore.EventStore>]> = [
    ["at the same place", wallets.execute("a", drain(25), { commandId: "c" })],
    ["at the same place, at another time", wallets.execute("a", drain(25), { commandId: "c", occurredAt: 7 })],
    [
      "at another place",
      Effect.zipRight(wallets.execute("a", deposit(1)), wallets.execute("a", drain(25), { commandId: "c" }))
    ],
    [
      "with fewer events",
      Effect.zipRight(wallets.execute("a", withdraw(95)), wallets.execute("a", drain(25), { commandId: "c" }))
    ]
  ]
  for (const [title, rival] of lost) {
    test(`a race against oneself that was lost ${title} is a repeat`, () =>
      Effect.gen(function*() {
        yield* wallets.execute("a", deposit(100))
        const answer = yield* wallets.execute("a", drain(25), { commandId: "c", occurredAt: 3 }).pipe(
          withRival((append) => append === 1 ? rival : Effect.void)
        )
        assert.isTrue(answer.repeated)
        const events = (yield* recorded("a")).filter((event) => event.metadata.causationId === "c")
        equal(answer.events, events.map((event) => event.payload))
        assert.strictEqual(answer.version, events[events.length - 1]!.version)
        equal(answer.state, (yield* wallets.state("a")).state)
      }))
  }

  test("what the command of an event's handler did is told from what else the handler did", () =>
    Effect.gen(function*() {
      // both are caused by the event; only the first is the command's
      const handle = Effect.gen(function*() {
        const first = yield* wallets.execute("a", deposit(10), { commandId: "event-1" })
        yield* wallets.execute("a", deposit(5))
        return first
      }).pipe(Correlation.causedBy({ id: "event-1", metadata: {} }))
      const first = yield* handle
      const again = yield* handle
      equal(again, { ...first, repeated: true })
      assert.lengthOf(again.events, 1)
    }))

  test("ids survive the truncation of their events: still no second effect", () =>
    Effect.gen(function*() {
      const store = yield* EventStore.EventStore
      const kept = keptBy("snapshots")
      yield* kept.execute("a", deposit(10), { commandId: "c" })
      yield* kept.execute("a", deposit(1))
      yield* store.truncate("wallet-a", { before: 2 })
      // what it led to then is gone: the state is the present one
      const again = yield* kept.execute("a", deposit(10), { commandId: "c" })
      equal(again.state, { balance: 11, moves: 2 })
      includes(again, { repeated: true, version: 2, events: [] })
      assert.lengthOf(yield* recorded("a"), 1)
      // without the snapshot nothing is told, and nothing happens
      const blind = yield* failure(wallets.execute("a", deposit(10), { commandId: "c" }))
      includes(blind, { _tag: "HistoryTruncated", stream: "wallet-a", firstVersion: 2 })
      assert.lengthOf(yield* recorded("a"), 1)
    }))

  // --------------------------------------------------------------------------------------------- conflicts and retries

  test("a command that is overtaken decides again, and gives up after the retries with the conflict", () =>
    Effect.gen(function*() {
      yield* wallets.execute("a", deposit(1))
      let tries = 0
      const rival = Effect.zipRight(Effect.sync(() => tries++), Wallets.append("a", [Deposited({ amount: 1 })]))
      const fiber = yield* Effect.fork(failure(wallets.execute("a", withdraw(1)).pipe(withRival(() => rival))))
      yield* TestClock.adjust("10 seconds")
      const error = yield* fiber
      assert.strictEqual(error._tag, "VersionConflict")
      assert.strictEqual(tries, RetryPolicy.conflictRetries + 1)
      includes(error, { stream: "wallet-a", expected: tries, actual: tries + 1 })
    }))

  test("retries wait as the Schedule says, and none is made where it says so", () =>
    Effect.gen(function*() {
      const rival = Wallets.append("a", [Deposited({ amount: 1 })])
      const times = (retry: Schedule.Schedule<unknown>) =>
        Effect.gen(function*() {
          const from = yield* DateTime.now
          const tried: Array<number> = []
          const aggregate = Aggregate.make(Wallet, Wallets, { retry })
          const fiber = yield* Effect.fork(failure(
            aggregate.execute("a", deposit(1)).pipe(
              withRival(() =>
                Effect.zipRight(Effect.map(DateTime.now, (now) => tried.push(DateTime.distance(from, now))), rival)
              )
            )
          ))
          yield* TestClock.adjust("1 minute")
          assert.strictEqual((yield* fiber)._tag, "VersionConflict")
          return tried
        })
      equal(yield* times(Schedule.stop), [0])
      equal(
        yield* times(Schedule.intersect(Schedule.spaced("3 seconds"), Schedule.recurs(2))),
        [0, 3000, 6000]
      )
    }))

  test("of many who race each has one effect or none, and the state is what their answers say", () =>
    Effect.gen(function*() {
      yield* wallets.execute("a", deposit(10))
      const fiber = yield* Effect.fork(
        Effect.all(
          Array.from(
            { length: 30 },
            (_, n) => Effect.either(wallets.execute("a", n % 2 === 0 ? deposit(1) : withdraw(3)))
          ),
          { concurrency: "unbounded" }
        ).pipe(withStore((store) => ({
          append: (groups, options) => Effect.zipRight(Effect.yieldNow(), store.append(groups, options))
        })))
      )
      yield* TestClock.adjust("10 seconds")
      const answers = yield* fiber
      let balance = 10
      let moves = 1
      let conflicts = 0
      for (const answer of answers) {
        if (Either.isRight(answer)) {
          for (const event of answer.right.events) balance += event._tag === "Deposited" ? event.amount : -event.amount
          moves += answer.right.events.length
        } else if (answer.left._tag === "VersionConflict") conflicts++
        else assert.strictEqual(answer.left._tag, "Overdrawn")
      }
      // all of them began on one version: without retries one would have got through
      assert.isAbove(moves, 5)
      assert.isBelow(conflicts, 29)
      equal(yield* wallets.state("a"), { state: { balance, moves }, version: moves })
      assert.isAtLeast(balance, 0)
    }))

  test("the version that a caller decided upon is held, and not retried", () =>
    Effect.gen(function*() {
      yield* wallets.execute("a", deposit(1), { expected: 0 })
      const error = yield* failure(wallets.execute("a", deposit(1), { expected: 0 }))
      includes(error, { _tag: "VersionConflict", stream: "wallet-a", expected: 0, actual: 1 })
      includes(yield* failure(wallets.execute("a", look, { expected: 2 })), { expected: 2, actual: 1 })
      assert.strictEqual((yield* wallets.execute("a", deposit(1), { expected: 1 })).version, 2)
      // overtaken after the read: still no second try
      let tries = 0
      const overtaken = yield* failure(
        wallets.execute("a", deposit(1), { expected: 2 }).pipe(
          withRival(() => Effect.zipRight(Effect.sync(() => tries++), Wallets.append("a", [Deposited({ amount: 1 })])))
        )
      )
      includes(overtaken, { _tag: "VersionConflict", expected: 2, actual: 3 })
      assert.strictEqual(tries, 1)
    }))

  // --------------------------------------------------------------------------------------------------------- bad input

  test("whatever cannot be used is refused at once, each fault with its path", () =>
    Effect.gen(function*() {
      const faults = <A, E>(effect: Effect.Effect<A, E, EventStore.EventStore>) =>
        Effect.map(failure(effect), (error) => {
          assert.instanceOf(error, InvalidInput)
          return (error as InvalidInput).faults.map((fault) => fault.path)
        })
      equal(
        yield* faults(wallets.execute("", { _tag: "Deposit", amount: 0.5 } as never, {
          commandId: "",
          expected: -1,
          occurredAt: "yesterday"
        })),
        ["id", "command.amount", "commandId", "occurredAt", "expected"]
      )
      const cases: ReadonlyArray<readonly [Effect.Effect<unknown, unknown, EventStore.EventStore>, string]> = [
        [wallets.execute("a\u0000", deposit(1)), "id"],
        [wallets.execute("x".repeat(510), deposit(1)), "id"],
        [wallets.execute(7 as never, deposit(1)), "id"],
        [wallets.execute("a", deposit(1), { commandId: "\u0007" }), "commandId"],
        [wallets.execute("a", deposit(1), { commandId: "x".repeat(513) }), "commandId"],
        [wallets.execute("a", deposit(1), { expected: 1.5 }), "expected"],
        [wallets.execute("a", deposit(1), { expected: Number.NaN }), "expected"],
        [wallets.execute("a", fromOutside("{ \"_tag\": \"Burn\" }")), "command._tag"],
        [wallets.execute("a", undefined as never), "command"],
        [wallets.state(""), "id"],
        [wallets.stateAt("a", { version: -1 }), "asOf.version"],
        [wallets.stateAt("a", { version: 0.5 }), "asOf.version"],
        [wallets.stateAt("a", { position: -1 }), "asOf.position"],
        [wallets.stateAt("a", { occurredAt: "noon" }), "asOf.occurredAt"],
        [wallets.stateAt("a", { recordedAt: Number.NaN }), "asOf.recordedAt"],
        [wallets.stateAt("a", fromOutside("{}")), "asOf"],
        [wallets.stateAt("a", fromOutside("null")), "asOf"],
        [Stream.runDrain(wallets.history("a", { version: -1 })), "asOf.version"],
        [wallets.all({ position: 1.5 }), "asOf.position"],
        [wallets.states(["a", ""]), "id"]
      ]
      for (const [effect, path] of cases) assert.include(yield* faults(effect), path)
      assert.lengthOf(yield* recorded("a"), 0)
    }))

  // --------------------------------------------------------------------------------------------------- events' envelope

  test("events carry the command as their cause, the conversation, the given time and metadata", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(1_000)
      yield* wallets.execute("a", deposit(25)).pipe(Correlation.locally({ correlationId: "talk", actor: "bob" }))
      yield* wallets.execute("a", drain(15), {
        commandId: "c-1",
        occurredAt: "2001-02-14T12:00:00Z",
        metadata: { actor: "alice", headers: { via: "test" } }
      }).pipe(Correlation.locally({ correlationId: "talk", causationId: "e-0", actor: "bob" }))
      yield* wallets.execute("a", deposit(1), { commandId: "c-2", metadata: { causationId: "no" } })
      const [plain, ...events] = yield* recorded("a")
      includes(plain!.metadata, { correlationId: "talk", actor: "bob" })
      assert.strictEqual(plain!.occurredAt.epochMillis, 1_000)
      for (const event of events.slice(0, 2)) {
        equal(event.metadata, {
          correlationId: "talk",
          causationId: "c-1",
          actor: "alice",
          headers: { via: "test" }
        })
        assert.strictEqual(DateTime.formatIso(event.occurredAt), "2001-02-14T12:00:00.000Z")
        assert.strictEqual(event.recordedAt.epochMillis, 1_000)
      }
      includes(events[2]!.metadata, { causationId: "c-2", correlationId: events[2]!.id })
    }))

  // --------------------------------------------------------------------------------------------------------- the cache

  test("a kept state is never stale: others append, commands fail, streams end", () =>
    Effect.gen(function*() {
      const [one, other] = [keptBy("cache"), keptBy("cache")]
      yield* one.execute("a", deposit(5))
      yield* other.execute("a", deposit(5))
      yield* Wallets.append("a", [Withdrawn({ amount: 3 })])
      equal(yield* one.state("a"), { state: { balance: 7, moves: 3 }, version: 3 })
      equal(yield* failure(one.execute("a", withdraw(8))), new Overdrawn({ balance: 7 }))
      assert.strictEqual((yield* other.execute("a", withdraw(7))).state.balance, 0)
      const store = yield* EventStore.EventStore
      yield* store.tombstone("wallet-a")
      equal(yield* one.state("a"), yield* wallets.state("a"))
      assert.strictEqual((yield* failure(one.execute("a", deposit(1))))._tag, "StreamTombstoned")
    }))

  test("a kept state is used: only what was appended since is read", () =>
    Effect.gen(function*() {
      const read: Array<number> = []
      const kept = Aggregate.make(Wallet, Wallets, { cache: 1 })
      const counted = withStore((store) => ({
        readPage: (stream, options) =>
          Effect.tap(store.readPage(stream, options), (page) => Effect.sync(() => read.push(page.events.length)))
      }))
      yield* Effect.gen(function*() {
        for (let times = 0; times < 20; times++) yield* kept.execute("a", deposit(1))
        assert.isBelow(Math.max(...read), 2)
        // the cache holds one: the least recently used is given up, and folded again
        yield* kept.execute("b", deposit(1))
        read.length = 0
        assert.strictEqual((yield* kept.execute("a", deposit(1))).state.balance, 21)
        equal(read, [20])
      }).pipe(counted)
    }))

  test("one aggregate over two stores keeps their states apart", () =>
    Effect.gen(function*() {
      const kept = keptBy("cache")
      const inStore = <A, E>(effect: Effect.Effect<A, E, Memory.Services>, services: Layer.Layer<Memory.Services>) =>
        Effect.provide(effect, services)
      const [one, two] = yield* Effect.all([Layer.memoize(Memory.layer), Layer.memoize(Memory.layer)])
      // the ids of the last events are equal, being made of the command's
      yield* inStore(kept.execute("a", deposit(1)), one)
      yield* inStore(kept.execute("a", deposit(100)), two)
      yield* inStore(kept.execute("a", deposit(1), { commandId: "c" }), one)
      assert.strictEqual((yield* inStore(kept.execute("a", deposit(1), { commandId: "c" }), two)).state.balance, 101)
      assert.strictEqual((yield* inStore(kept.state("a"), one)).state.balance, 2)
      assert.strictEqual((yield* inStore(kept.state("a"), two)).state.balance, 101)
    }).pipe(Effect.scoped))

  test("tenants do not see each other's aggregates, kept or not", () =>
    Effect.gen(function*() {
      for (const how of ["plain", "cache", "snapshots", "both"] as const) {
        const kept = keptBy(how)
        const as = (tenant: string) => Correlation.locally({ tenant: `${how} ${tenant}` })
        for (const [tenant, amount] of [["one", 1], ["two", 100]] as const) {
          for (let times = 0; times < 4; times++) yield* kept.execute("a", deposit(amount)).pipe(as(tenant))
        }
        for (const [tenant, balance] of [["one", 4], ["two", 400], ["three", 0]] as const) {
          assert.strictEqual((yield* kept.state("a").pipe(as(tenant))).state.balance, balance, `${how} ${tenant}`)
          assert.strictEqual((yield* kept.stateAt("a", { version: 4 }).pipe(as(tenant))).state.balance, balance)
          const all = yield* kept.all().pipe(as(tenant))
          equal(all.map(([id, { state }]) => [id, state.balance]), balance === 0 ? [] : [["a", balance]])
        }
      }
    }))

  test("marks of the library in a stream are passed over, however many", () =>
    Effect.gen(function*() {
      const store = yield* EventStore.EventStore
      const mark = { type: "$mark", payload: {} }
      yield* store.append([{ stream: "wallet-a", events: Array.from({ length: 300 }, () => mark) }])
      for (const how of ["plain", "cache", "snapshots", "both"] as const) {
        const kept = keptBy(how)
        yield* kept.execute("a", deposit(1))
        yield* kept.execute("a", deposit(1))
        yield* store.append([{ stream: "wallet-a", events: [mark] }])
        yield* kept.execute("a", deposit(1))
      }
      equal(yield* wallets.state("a"), { state: { balance: 12, moves: 12 }, version: 316 })
    }))

  // ---------------------------------------------------------------------------------------------------------- the past

  test("as of any moment, states are what the events up to it lead to", () => {
    const move = FastCheck.record({
      id: FastCheck.constantFrom("a", "b"),
      amount: FastCheck.integer({ min: 1, max: 9 }),
      /** Some occurred long before they were recorded, or after. */
      occurred: FastCheck.integer({ min: 0, max: 12 }),
      wait: FastCheck.integer({ min: 0, max: 3 })
    })
    return forAll(
      FastCheck.record({
        moves: FastCheck.array(move, { maxLength: 10 }),
        at: FastCheck.integer({ min: 0, max: 12 }),
        how: FastCheck.constantFrom("plain", "cache", "snapshots", "both")
      }),
      ({ at, how, moves }) =>
        Effect.gen(function*() {
          const kept = keptBy(how as "plain")
          for (const { amount, id, occurred, wait } of moves) {
            yield* TestClock.adjust(wait)
            yield* kept.execute(id, deposit(amount), { occurredAt: occurred })
          }
          const log = Chunk.toReadonlyArray(yield* Stream.runCollect(Wallets.readAll()))
          const start = yield* Effect.map(DateTime.now, DateTime.toEpochMillis)
          const moments: ReadonlyArray<readonly [AsOf, (event: Recorded<unknown>) => boolean]> = [
            [{ version: at }, (event) => event.version <= at],
            [{ position: at }, (event) => event.position <= at],
            [{ occurredAt: at }, (event) => event.occurredAt.epochMillis <= at],
            [{ recordedAt: start - at }, (event) => event.recordedAt.epochMillis <= start - at]
          ]
          const ids = ["a", "b"]
          for (const [asOf, counts] of moments) {
            const expected = ids.map((id) => {
              const events = log.filter((event) => event.stream === `wallet-${id}` && counts(event))
              return [id, {
                state: Decider.evolveAll(Wallet, Wallet.initial, events.map((event) => event.payload)),
                version: events[events.length - 1]?.version ?? 0
              }] as const
            })
            equal(yield* kept.states(ids, asOf), expected)
            for (const [id, current] of expected) {
              const steps = Chunk.toReadonlyArray(yield* Stream.runCollect(kept.history(id, asOf)))
              assert.lengthOf(steps, current.state.moves)
              equal(steps[steps.length - 1]?.state ?? Wallet.initial, current.state)
              steps.forEach((step, index) => assert.strictEqual(step.state.moves, index + 1))
            }
            if (!("version" in asOf)) {
              const inOrder = Array.from(new Set(log.filter(counts).map((event) => event.stream)))
              const all = yield* kept.all(asOf)
              equal(all.map(([id]) => `wallet-${id}`), inOrder)
              equal(
                all,
                inOrder.map((stream) => expected.find(([id]) => `wallet-${id}` === stream)) as never
              )
            }
          }
          equal(yield* kept.states(ids), yield* wallets.states(ids, { version: 1_000 }))
        }).pipe(Effect.provide(Layer.fresh(layer))),
      { numRuns: 25 }
    )
  })

  test("a stream longer than a page is folded whole", () =>
    Effect.gen(function*() {
      yield* Wallets.append("a", Array.from({ length: 600 }, () => Deposited({ amount: 1 })))
      assert.strictEqual((yield* wallets.state("a")).state.balance, 600)
      assert.strictEqual((yield* wallets.stateAt("a", { version: 512 })).state.balance, 512)
      assert.strictEqual((yield* wallets.execute("a", withdraw(600))).version, 601)
    }))

  test("an event that cannot be read is a typed failure, of a command as of a read", () =>
    Effect.gen(function*() {
      const store = yield* EventStore.EventStore
      yield* wallets.execute("a", deposit(1))
      yield* store.append([{ stream: "wallet-a", events: [{ type: "Stolen", payload: {} }] }])
      for (const effect of [wallets.execute("a", deposit(1)), wallets.state("a"), wallets.all()]) {
        includes(yield* failure(effect as Effect.Effect<unknown, unknown, EventStore.EventStore>), {
          _tag: "UnknownEventType",
          type: "Stolen",
          version: 2
        })
      }
      assert.strictEqual((yield* wallets.stateAt("a", { version: 1 })).state.balance, 1)
    }))
})

describe("Aggregate over SQLite", () => {
  it.scoped("commands are repeated, and states found again, after a restart", () =>
    Effect.gen(function*() {
      const filename = yield* tempFile()
      const process = <A, E>(effect: Effect.Effect<A, E, Memory.Services>) =>
        Effect.provide(effect, Sqlite.layer({ filename }))
      const first = yield* process(Effect.zipRight(
        keptBy("both").execute("a", deposit(30)),
        keptBy("both").execute("a", drain(25), { commandId: "c" })
      ))
      equal(yield* process(keptBy("both").execute("a", drain(25), { commandId: "c" })), {
        ...first,
        repeated: true
      })
      equal(yield* process(keptBy("both").state("a")), { state: first.state, version: 4 })
    }))

  it.scoped("another process' appends are seen by a cache", () =>
    Effect.gen(function*() {
      const filename = yield* tempFile()
      const [one, two] = yield* Effect.all([
        Layer.build(Sqlite.layer({ filename })),
        Layer.build(Layer.fresh(Sqlite.layer({ filename })))
      ])
      const kept = keptBy("cache")
      yield* Effect.provide(kept.execute("a", deposit(5)), one)
      yield* Effect.provide(kept.execute("a", withdraw(5)), two)
      equal(
        yield* failure(Effect.provide(kept.execute("a", withdraw(1)), one)),
        new Overdrawn({ balance: 0 })
      )
    }))

  it.scoped("a transaction that is rolled back leaves nothing in the cache", () =>
    Effect.gen(function*() {
      const kept = keptBy("both")
      const store = yield* EventStore.capable("transactions")
      const rolledBack = (id: string) =>
        Effect.gen(function*() {
          yield* kept.execute(id, deposit(1))
          const inside = kept.execute(id, deposit(100)).pipe(
            Effect.zipRight(kept.execute(id, deposit(100))),
            Effect.tap((executed) => Effect.sync(() => assert.strictEqual(executed.state.balance, 201))),
            Effect.zipRight(Effect.fail("rolled back"))
          )
          assert.strictEqual(yield* failure(store.withTransaction(inside)), "rolled back")
        })
      yield* rolledBack("a")
      equal(yield* failure(kept.execute("a", withdraw(2))), new Overdrawn({ balance: 1 }))
      // others write the versions that were rolled back, before this one looks again
      yield* rolledBack("b")
      yield* wallets.execute("b", deposit(1))
      yield* wallets.execute("b", deposit(1))
      equal(yield* kept.state("b"), { state: { balance: 3, moves: 3 }, version: 3 })
      equal(yield* failure(kept.execute("b", withdraw(4))), new Overdrawn({ balance: 3 }))
    }).pipe(Effect.provide(Layer.unwrapScoped(Effect.map(tempFile(), (filename) => Sqlite.layer({ filename }))))))
})

describe("Aggregate.make", () => {
  const Other = Event.make("Other", {})

  it("refuses options and categories that cannot work", () => {
    const invalid = (path: string, build: () => unknown) => {
      const built = Either.merge(Either.try({ try: build, catch: (error) => error }))
      assert.instanceOf(built, InvalidInput)
      equal((built as InvalidInput).faults.map((fault) => fault.path), [path])
    }
    for (const cache of [0, -1, 1.5, Number.NaN]) {
      invalid("options.cache", () => Aggregate.make(Wallet, Wallets, { cache }))
    }
    for (const version of [0, -1, 1.5]) {
      invalid("options.version", () => Aggregate.make(Wallet, Wallets, { version, snapshot: Snapshot.every() }))
    }
    const narrow = Category.make("wallet", { events: [Deposited, Other] })
    invalid("category", () => Aggregate.make(Wallet, narrow as never))
  })

  it("a state without a JSON Schema can be decided on, and not be snapshot", () => {
    const Clock = Decider.make("clock", {
      state: Schema.DateFromSelf,
      commands: Schema.TaggedStruct("Tick", {}),
      events: Other
    })({ initial: new Date(0), decide: () => Either.right([Other()]), evolve: (state) => state })
    const Clocks = Category.make("clock", { events: [Other] })
    Aggregate.make(Clock, Clocks)
    assert.throws(() => Aggregate.make(Clock, Clocks, { snapshot: Snapshot.every() }), Snapshot.NoJsonSchema)
  })
})
