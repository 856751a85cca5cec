/** What an application asks of every service there is, and what it saw: the same on each of them. */
import * as Aggregate from "effect-skald/cqrs/Aggregate"
import * as Projection from "effect-skald/cqrs/Projection"
import * as Projections from "effect-skald/cqrs/Projections"
import * as EventId from "effect-skald/event/EventId"
import { CheckpointStore } from "effect-skald/store/CheckpointStore"
import * as EventStore from "effect-skald/store/EventStore"
import { Lease } from "effect-skald/store/Lease"
import * as Query from "effect-skald/store/Query"
import * as Snapshot from "effect-skald/store/Snapshot"
import { SnapshotStore } from "effect-skald/store/SnapshotStore"
import * as Memory from "effect-skald/Memory"
import { assert } from "@effect/vitest"
import { Config, ConfigProvider, Effect, Either, Layer, Option, type Redacted, Schema, Stream } from "effect"
import { equal } from "./assert.ts"
import { deposit, drain, Overdrawn, Wallet, Wallets, withdraw } from "./wallet.ts"

export const wallets = Aggregate.make(Wallet, Wallets, { snapshot: Snapshot.every(3), cache: 2 })

export const Totals = Projection.make("totals", {
  events: [Wallets.group.types[0], Wallets.group.types[1]],
  state: Schema.Struct({ in: Schema.Int, out: Schema.Int }),
  initial: { in: 0, out: 0 },
  apply: (totals, event) =>
    event._tag === "Deposited"
      ? { ...totals, in: totals.in + event.amount }
      : { ...totals, out: totals.out + event.amount }
})

/** What an application asks of the services; the answer is what it saw, but for the server's own times. */
export const program = Effect.gen(function*() {
  const seen: Record<string, unknown> = {}
  const see = (what: string) => <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.map(Effect.either(effect), (either) => {
      seen[what] = Either.isRight(either) ? { right: either.right } : { left: either.left }
    })
  const told = <A extends { readonly recordedAt?: unknown }, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.map(effect, ({ recordedAt: _, ...rest }) => rest)
  const list = <E, R>(stream: Stream.Stream<any, E, R>) =>
    Effect.map(
      Stream.runCollect(stream),
      (events) =>
        Array.from(events, ({ recordedAt: _, occurredAt: __, metadata, ...event }) => {
          const { trace: ___, ...rest } = metadata
          return { ...event, metadata: rest }
        })
    )

  for (let n = 0; n < 5; n++) {
    for (const which of ["first", "again"]) {
      yield* wallets.execute("a", deposit(10 + n), { commandId: `deposit ${n}` }).pipe(
        Effect.map(({ repeated, state, version }) => ({ repeated, state, version })),
        see(`deposit ${n} ${which}`)
      )
    }
  }
  yield* wallets.execute("a", withdraw(1_000)).pipe(see("refused"))
  yield* Effect.asVoid(wallets.execute("a", drain(25), { expected: 5 })).pipe(see("drained"))
  yield* wallets.execute("a", drain(25), { expected: 5 }).pipe(see("conflict"))
  yield* Effect.asVoid(wallets.execute("b", deposit(500))).pipe(see("b"))

  const store = yield* EventStore.EventStore
  yield* Projection.catchUp(Totals).pipe(Effect.map(({ state }) => state), see("totals"))
  yield* Projection.catchUp(Projections.statistics("statistics")).pipe(
    Effect.map(({ state }) => state.events),
    see("statistics")
  )
  yield* list(store.readAll()).pipe(see("log"))
  yield* list(store.readAll({ backwards: true, limit: 3, category: "wallet" })).pipe(see("backwards"))
  const claim = { stream: "name-1", events: [{ type: "Claimed", payload: null, tags: ["name:x"] }] }
  const failIf = Query.unsafeMake({ tags: ["name:x"] })
  yield* told(store.append([claim], { failIf })).pipe(see("first claim"))
  yield* store.append([{ ...claim, stream: "name-2" }], { failIf }).pipe(see("second claim"))
  yield* Effect.all(["wallet-a", "wallet-z"].map(store.streamState)).pipe(see("stream states"))

  const fingerprint = Either.getOrThrow(Snapshot.fingerprint(Wallet.name, 1, Wallet.state))
  const snapshots = yield* SnapshotStore
  yield* snapshots.load(":wallet-a", fingerprint).pipe(
    Effect.map((snapshot) => Option.map(snapshot, ({ state, version }) => ({ state, version }))),
    see("snapshot")
  )
  const checkpoints = yield* CheckpointStore
  yield* checkpoints.get("elsewhere").pipe(see("no checkpoint"))
  const leases = yield* Lease
  yield* Effect.scoped(Effect.map(leases.tryAcquire("work"), (held) => Option.getOrThrow(held).token)).pipe(
    see("lease")
  )
  return seen
})

/** Ids that are the same in each run. */
export const withCountedIds = <A, E, R>(layer: Layer.Layer<A, E, R>) =>
  Layer.unwrapEffect(Effect.sync(() => {
    let count = 0
    return Layer.provide(layer, Layer.succeed(EventId.EventIds, () => `event-${++count}`))
  }))

/** On a server a program sees what it sees in memory; and opened again, by its configuration, all of it is still there. */
export const asInMemory = <E, E2>(
  layer: Layer.Layer<Needs, E>,
  configured: (options: {
    readonly url: Config.Config<Redacted.Redacted>
    readonly prefix: Config.Config<string>
  }) => Layer.Layer<Needs, E2>,
  values: { readonly url: string; readonly prefix: string }
) =>
  Effect.gen(function*() {
    const inMemory = yield* Effect.provide(program, withCountedIds(Memory.layer))
    const onServer = yield* Effect.provide(program, withCountedIds(layer))
    for (const [what, answer] of Object.entries(inMemory)) equal(onServer[what], answer, what)
    equal(Object.keys(onServer), Object.keys(inMemory))
    // and it saw something
    equal(inMemory["refused"], { left: new Overdrawn({ balance: 60 }) })
    equal(inMemory["totals"], { right: { in: 560, out: 25 } })
    equal(inMemory["lease"], { right: 1 })
    const provider = ConfigProvider.fromMap(new Map([["URL", values.url], ["PREFIX", values.prefix]]))
    const again = configured({ url: Config.redacted("URL"), prefix: Config.string("PREFIX") })
    yield* Effect.gen(function*() {
      equal((yield* wallets.state("a")).state, { balance: 35, moves: 8 })
      assert.strictEqual((yield* Projection.catchUp(Totals)).projected, 0)
      assert.isTrue((yield* wallets.execute("a", deposit(10), { commandId: "deposit 0" })).repeated)
    }).pipe(Effect.provide(Layer.provide(again, Layer.setConfigProvider(provider))))
  })

type Needs = Effect.Effect.Context<typeof program>
