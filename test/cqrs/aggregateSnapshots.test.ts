import { assert, it } from "@effect/vitest"
import { DateTime, Effect, Either, Equal, HashMap, type Layer, Option, Schema, TestClock } from "effect"
import * as Aggregate from "effect-skald/cqrs/Aggregate"
import * as Decider from "effect-skald/cqrs/Decider"
import * as Event from "effect-skald/event/Event"
import { StreamVersion } from "effect-skald/event/Position"
import * as Category from "effect-skald/store/Category"
import * as EventStore from "effect-skald/store/EventStore"
import * as Snapshot from "effect-skald/store/Snapshot"
import * as SnapshotStore from "effect-skald/store/SnapshotStore"
import { StoreError } from "effect-skald/store/StoreError"
import { equal } from "../support/assert.ts"
import { onBoth, withStore } from "../support/embedded.ts"
import { deposit, Deposited, Wallet, WalletContract, Wallets, wallets, WalletState } from "../support/wallet.ts"

/** The snapshots that were taken, and how many events were read: what snapshots are for. */
const watched = <A, E, R>(
  use: (seen: { readonly saved: Array<number>; readonly read: () => number }) => Effect.Effect<A, E, R>,
  change: (store: SnapshotStore.Service) => Partial<SnapshotStore.Service> = () => ({})
) =>
  Effect.flatMap(SnapshotStore.SnapshotStore, (store) => {
    const saved: Array<number> = []
    let read = 0
    const watching: SnapshotStore.Service = {
      ...store,
      save: (snapshot) =>
        Effect.tap(store.save(snapshot), (kept) => Effect.sync(() => kept && saved.push(snapshot.version))),
      ...change(store)
    }
    const counted = () => {
      const now = read
      read = 0
      return now
    }
    return use({ saved, read: counted }).pipe(
      Effect.provideService(SnapshotStore.SnapshotStore, watching),
      withStore((events) => ({
        readPage: (stream, options) =>
          Effect.tap(events.readPage(stream, options), (page) => Effect.sync(() => read += page.events.length))
      }))
    )
  })

const every = (events: number, options?: Aggregate.Options & { readonly version?: number }) =>
  Aggregate.make(Wallet, Wallets, { ...options, snapshot: Snapshot.every(events) })

const deposits = (times: number) => Array.from({ length: times }, () => Deposited({ amount: 1 }))

const stateOf = (balance: number) => ({ state: { balance, moves: balance }, version: balance })

/** The stored snapshot of a stream, found by its fingerprint. */
const fingerprint = (version = 1) => Either.getOrThrow(Snapshot.fingerprint("wallet", version, WalletState))
const stored = Effect.flatMap(SnapshotStore.SnapshotStore, (store) => store.load(":wallet-a", fingerprint()))

onBoth("snapshots of an aggregate", (layer) => {
  const test = (title: string, body: () => Effect.Effect<void, unknown, Layer.Layer.Success<typeof layer>>) =>
    it.effect(title, () => Effect.provide(body(), layer))

  test("one every so many events since the last one, however they come", () =>
    watched(({ saved }) =>
      Effect.gen(function*() {
        for (const cache of [undefined, 10]) {
          saved.length = 0
          const id = `a${cache}`
          const kept = every(10, { cache })
          yield* Wallets.append(id, deposits(8))
          yield* kept.execute(id, deposit(1))
          equal(saved, [], "9 events")
          yield* Wallets.append(id, deposits(2))
          yield* kept.execute(id, deposit(1))
          equal(saved, [12], "9 → 12 crosses 10")
          for (let more = 0; more < 9; more++) yield* kept.execute(id, deposit(1))
          equal(saved, [12], "21: nine since the last one")
          yield* kept.execute(id, deposit(1))
          equal(saved, [12, 22])
          // another process takes up where the last one stands
          const other = every(10, { cache })
          for (let more = 0; more < 10; more++) yield* other.execute(id, deposit(1))
          equal(saved, [12, 22, 32])
        }
      })
    ))

  test("by age: the first at once, the next when the last one is old enough", () =>
    watched(({ saved }) =>
      Effect.gen(function*() {
        const kept = Aggregate.make(Wallet, Wallets, { snapshot: Snapshot.byAge("1 hour") })
        yield* kept.execute("a", deposit(1))
        yield* TestClock.adjust("59 minutes")
        yield* kept.execute("a", deposit(1))
        equal(saved, [1])
        yield* TestClock.adjust("1 minutes")
        yield* kept.execute("a", deposit(1))
        equal(saved, [1, 3])
      })
    ))

  test("reads begin at the snapshot, and the tail after it is always read", () =>
    watched(({ read }) =>
      Effect.gen(function*() {
        const kept = every(100)
        yield* Wallets.append("a", deposits(150))
        yield* kept.execute("a", deposit(1))
        read()
        equal(yield* kept.state("a"), stateOf(151))
        assert.isAtMost(read(), 1)
        yield* Wallets.append("a", deposits(20))
        equal(yield* kept.state("a"), stateOf(171))
        assert.isAtMost(read(), 21)
        equal(yield* kept.stateAt("a", { version: 160 }), stateOf(160))
        assert.isAtMost(read(), 10)
        // before the snapshot it is of no use
        equal(yield* kept.stateAt("a", { version: 150 }), stateOf(150))
        assert.strictEqual(read(), 150)
        equal(yield* kept.stateAt("a", { version: 0 }), stateOf(0))
      })
    ))

  const broken = new StoreError({ reason: "full", operation: "SnapshotStore.save" })
  const faults: ReadonlyArray<readonly [string, (store: SnapshotStore.Service) => Partial<SnapshotStore.Service>]> = [
    ["saving fails", () => ({ save: () => Effect.fail(broken) })],
    ["saving dies", () => ({ save: () => Effect.die("bug") })],
    ["loading fails", () => ({ load: () => Effect.fail(broken) })],
    ["loading dies", () => ({ load: () => Effect.die("bug") })],
    ["a newer one is there", () => ({ save: () => Effect.succeed(false) })]
  ]
  for (const [title, change] of faults) {
    test(`no command fails where ${title}`, () =>
      watched(() =>
        Effect.gen(function*() {
          for (const cache of [undefined, 10]) {
            const id = `a${cache}`
            for (let times = 1; times <= 4; times++) {
              assert.strictEqual((yield* every(2, { cache }).execute(id, deposit(1))).state.balance, times)
            }
            equal(yield* every(2, { cache }).state(id), stateOf(4))
          }
        }), change))
  }

  test("no command fails where the policy or the state's Schema throws, and what it recorded stands", () =>
    Effect.gen(function*() {
      const throwing = Aggregate.make(Wallet, Wallets, {
        snapshot: Snapshot.custom(() => {
          throw new Error("bug")
        })
      })
      equal((yield* throwing.execute("a", deposit(1))).version, 1)
      // a state that its Schema refuses to encode, and one that it throws for
      const state = Schema.transform(WalletState, WalletState, {
        strict: true,
        decode: (decoded) => decoded,
        encode: (decoded) => {
          if (decoded.balance > 2) throw new Error("bug")
          return decoded.balance === 2 ? { ...decoded, balance: 0.5 } : decoded
        }
      })
      const odd = Aggregate.make(Decider.make("odd", { ...WalletContract, state })(Wallet), Wallets, {
        snapshot: Snapshot.every(1)
      })
      for (let balance = 2; balance <= 4; balance++) {
        assert.strictEqual((yield* odd.execute("a", deposit(1))).state.balance, balance)
      }
    }))

  test("saving is tried again at the next command", () =>
    Effect.gen(function*() {
      let failures = 2
      const kept = every(3, { cache: 1 })
      yield* watched(
        () => Effect.forEach(deposits(7), () => kept.execute("a", deposit(1))),
        (store) => ({ save: (snapshot) => failures-- > 0 ? Effect.fail(broken) : store.save(snapshot) })
      )
      equal(Option.getOrThrow(yield* stored).version, 5)
    }))

  test("texts that cannot be read are ignored", () =>
    Effect.gen(function*() {
      const store = yield* SnapshotStore.SnapshotStore
      yield* Wallets.append("a", deposits(5))
      yield* every(1).execute("a", deposit(1))
      const good = Option.getOrThrow(yield* stored)
      for (const state of ["", "null", "{", "{\"balance\":1e400}", good.state.replaceAll("6", "\"6\"")]) {
        yield* store.save({ ...good, state })
        equal(yield* every(1).state("a"), stateOf(6))
      }
      // the next command replaces it
      yield* every(1).execute("a", deposit(1))
      equal(Option.getOrThrow(yield* stored).version, 7)
    }))

  /** A snapshot that nobody who reads it should believe. */
  const lie = (change: Partial<SnapshotStore.Stored>) =>
    Effect.gen(function*() {
      const store = yield* SnapshotStore.SnapshotStore
      const good = Option.getOrThrow(yield* stored)
      yield* store.save({ ...good, state: good.state.replace("\"balance\":6", "\"balance\":1000"), ...change })
      assert.include(Option.getOrThrow(yield* store.load(good.key, change.fingerprint ?? fingerprint())).state, "1000")
    })

  test("one that is believed is used: the tests below would see a lie", () =>
    Effect.gen(function*() {
      yield* Wallets.append("a", deposits(5))
      yield* every(1).execute("a", deposit(1))
      yield* lie({})
      assert.strictEqual((yield* every(1).state("a")).state.balance, 1000)
    }))

  test("those of another version of the decider, or another state, are ignored", () =>
    Effect.gen(function*() {
      yield* Wallets.append("a", deposits(5))
      yield* every(1).execute("a", deposit(1))
      yield* lie({ fingerprint: fingerprint(2) })
      equal(yield* every(1).state("a"), stateOf(6))
      equal(yield* every(1, { version: 3 }).state("a"), stateOf(6))
      assert.strictEqual((yield* every(1, { version: 2 }).state("a")).state.balance, 1000)
      const renamed = Aggregate.make(Decider.make("purse", WalletContract)(Wallet), Wallets, {
        snapshot: Snapshot.every(1),
        version: 2
      })
      equal(yield* renamed.state("a"), stateOf(6))
    }))

  test("those of another history are ignored: ahead of the stream, or with another event at their version", () =>
    Effect.gen(function*() {
      yield* Wallets.append("a", deposits(5))
      yield* every(1).execute("a", deposit(1))
      yield* lie({ version: StreamVersion.make(9) })
      equal(yield* every(1).state("a"), stateOf(6))
      // the stream grows beyond it: still another history
      yield* Wallets.append("a", deposits(6))
      equal(yield* every(1).state("a"), stateOf(12))
      equal((yield* every(1).execute("a", deposit(1))).state, stateOf(13).state)
      equal(yield* every(1).state("a"), stateOf(13))
    }))

  test("one from a copy of the log that was restored since is ignored", () =>
    Effect.gen(function*() {
      yield* Wallets.append("a", [...deposits(2), Deposited({ amount: 1000 })])
      yield* every(1).execute("a", deposit(1))
      // a log of its own, the same number of events at the same places; the snapshots are those from above
      yield* Effect.gen(function*() {
        yield* Wallets.append("a", deposits(4))
        equal(yield* every(1).state("a"), stateOf(4))
        equal((yield* every(1).execute("a", deposit(1))).state, stateOf(5).state)
        equal(yield* every(1).state("a"), stateOf(5))
      }).pipe(Effect.provide(EventStore.layerMemory))
    }))

  test("a snapshot outlives the events that it covers, and not its stream", () =>
    Effect.gen(function*() {
      const store = yield* EventStore.EventStore
      yield* Wallets.append("a", deposits(5))
      yield* every(1).execute("a", deposit(1))
      yield* store.truncate("wallet-a", { before: 7 })
      equal(yield* every(100).state("a"), stateOf(6))
      yield* every(100).execute("a", deposit(1))
      equal(yield* every(100).state("a"), stateOf(7))
      yield* store.tombstone("wallet-a")
      equal(yield* every(100).state("a"), stateOf(0))
    }))

  test("states of any shape are kept and found", () =>
    Effect.gen(function*() {
      const Noted = Event.make("Noted", { at: Schema.DateTimeUtc, what: Schema.String })
      const Notes = Decider.make("notes", {
        state: Schema.HashMap({ key: Schema.DateTimeUtc, value: Schema.String }),
        commands: Schema.TaggedStruct("Note", { at: Schema.DateTimeUtcFromSelf, what: Schema.String }),
        events: Noted
      })
      const decider = Notes({
        initial: HashMap.empty(),
        decide: (command) => Either.right([Noted(command)]),
        evolve: (notes, { at, what }) => HashMap.set(notes, at, what)
      })
      const notes = Aggregate.make(decider, Category.make("notes", { events: [Noted] }), {
        snapshot: Snapshot.every(1)
      })
      const at = DateTime.unsafeMake("2001-02-14T12:00:00Z")
      const { state } = yield* notes.execute("n", { _tag: "Note", at, what: "\u0000 \"noon\" ✓" })
      const read = (yield* notes.state("n")).state
      assert.isTrue(Equal.equals(read, state))
      assert.isTrue(read !== state, "it was read from the store")
    }))

  test("without snapshots nothing is saved, and no snapshot store is asked", () =>
    Effect.gen(function*() {
      yield* wallets.execute("a", deposit(1))
      assert.isTrue(Option.isNone(yield* stored))
    }))
})
