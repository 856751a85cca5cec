/** The acceptance cases of store and deciders, by their numbers. */
import { assert, it } from "@effect/vitest"
import { Chunk, Effect, Either, type Layer, Option, Schema, Stream, TestClock } from "effect"
import * as Aggregate from "effect-skald/cqrs/Aggregate"
import * as Decider from "effect-skald/cqrs/Decider"
import * as Projection from "effect-skald/cqrs/Projection"
import * as Envelope from "effect-skald/event/Envelope"
import * as Event from "effect-skald/event/Event"
import * as Category from "effect-skald/store/Category"
import { EventStore } from "effect-skald/store/EventStore"
import * as Snapshot from "effect-skald/store/Snapshot"
import { SnapshotStore } from "effect-skald/store/SnapshotStore"
import { equal, includes } from "../support/assert.ts"
import { onBoth } from "../support/embedded.ts"

// -------------------------------------------------------------------------------------------------------------- a shop

const Created = Event.make("Created", { lines: Schema.mutable(Schema.Array(Schema.Number)) })
const Updated = Event.make("Updated", { lines: Schema.mutable(Schema.Array(Schema.Number)) })
const Deleted = Event.make("Deleted", {})
const Cancelled = Event.make("Cancelled", { total: Schema.Number })

const Create = Schema.TaggedStruct("Create", { lines: Schema.mutable(Schema.Array(Schema.Number)) })
const Update = Schema.TaggedStruct("Update", { lines: Schema.mutable(Schema.Array(Schema.Number)) })
const Delete = Schema.TaggedStruct("Delete", {})
const Cancel = Schema.TaggedStruct("Cancel", {})

class Rejected extends Schema.TaggedError<Rejected>()("Rejected", { why: Schema.String }) {}

const sum = (lines: ReadonlyArray<number>) => lines.reduce((total, line) => total + line, 0)

const Order = Decider.make("order", {
  state: Schema.Struct({ status: Schema.Literal("none", "open", "cancelled"), total: Schema.Number }),
  commands: Schema.Union(Create, Update, Delete, Cancel),
  events: Schema.Union(Created, Updated, Deleted, Cancelled),
  errors: Rejected
})({
  initial: { status: "none", total: 0 },
  decide: (command, state) => {
    if (command._tag === "Create") {
      return state.status === "none" ? Either.right([Created(command)]) : Either.left(new Rejected({ why: "exists" }))
    }
    if (state.status !== "open") return Either.left(new Rejected({ why: `it is ${state.status}` }))
    switch (command._tag) {
      case "Update":
        return Either.right([Updated(command)])
      case "Delete":
        return Either.right([Deleted()])
      case "Cancel":
        return Either.right([Cancelled({ total: state.total })])
    }
  },
  evolve: (state, event) => {
    switch (event._tag) {
      case "Created":
      case "Updated":
        return { status: "open", total: sum(event.lines) }
      case "Deleted":
        return { status: "none", total: 0 }
      case "Cancelled":
        return { ...state, status: "cancelled" }
    }
  }
})

const Orders = Category.make("order", { events: [Created, Updated, Deleted, Cancelled] })
const orders = Aggregate.make(Order, Orders)

const Revenue = Projection.make("revenue", {
  events: [Created, Cancelled],
  state: Schema.Number,
  initial: 0,
  apply: (revenue, event) => event._tag === "Created" ? revenue + sum(event.lines) : revenue - event.total
})

const list = <A, E, R>(stream: Stream.Stream<A, E, R>) => Effect.map(Stream.runCollect(stream), Chunk.toReadonlyArray)

onBoth("Acceptance", (layer) => {
  const accept = (title: string, body: () => Effect.Effect<void, unknown, Layer.Layer.Success<typeof layer>>) =>
    it.effect(title, () => Effect.provide(body(), layer))

  accept("1. append one event, read its stream: one event, same id", () =>
    Effect.gen(function*() {
      const appended = yield* Orders.append("1", [Envelope.make(Created({ lines: [1] }), { id: "the-id" })])
      const events = yield* list(Orders.read("1"))
      assert.lengthOf(events, 1)
      assert.strictEqual(events[0]!.id, "the-id")
      equal(events[0]!.payload, Created({ lines: [1] }))
      // and where the store chose the id
      const { events: [own] } = yield* Orders.append("2", [Created({ lines: [1] })])
      equal((yield* list(Orders.read("2"))).map((event) => event.id), [own!.id])
      equal(appended.events.map((event) => event.id), ["the-id"])
    }))

  accept("2. stream at version 1, append expecting 2: VersionConflict, nothing written", () =>
    Effect.gen(function*() {
      yield* Orders.append("1", [Created({ lines: [1] })])
      const error = yield* Effect.flip(Orders.append("1", [Deleted()], { expected: 2 }))
      includes(error, { _tag: "VersionConflict", stream: "order-1", expected: 2, actual: 1 })
      const store = yield* EventStore
      assert.lengthOf(yield* list(store.readAll()), 1)
      includes(yield* store.streamState("order-1"), { _tag: "live", version: 1 })
    }))

  accept("3. created, then updated, then deleted: the state is the empty one", () =>
    Effect.gen(function*() {
      yield* orders.execute("1", Create.make({ lines: [1, 2] }))
      yield* orders.execute("1", Update.make({ lines: [3] }))
      const { state } = yield* orders.execute("1", Delete.make())
      equal(state, Order.initial)
      equal(yield* orders.state("1"), { state: Order.initial, version: 3 })
      equal(yield* orders.stateAt("1", { version: 2 }), { state: { status: "open", total: 3 }, version: 2 })
    }))

  accept(
    "4. replay twice: equal states, log unchanged, also when a projection tries to mutate its input",
    () =>
      Effect.gen(function*() {
        yield* Orders.append("1", [Created({ lines: [1, 2] }), Updated({ lines: [3] })])
        yield* Orders.append("2", [Created({ lines: [4] })])
        const store = yield* EventStore
        const log = yield* list(store.readAll())
        const thief = Projection.make("thief", {
          events: [Created, Updated],
          state: Schema.mutable(Schema.Struct({ stolen: Schema.mutable(Schema.Array(Schema.Number)) })),
          initial: { stolen: [] },
          apply: (state, event) => {
            state.stolen.push(...event.lines.splice(0))
            return state
          }
        })
        for (const replay of [Projection.live(thief), Projection.live(thief), Projection.live(thief)]) {
          equal(yield* replay, { stolen: [1, 2, 3, 4] })
        }
        equal((yield* Projection.catchUp(thief)).state, { stolen: [1, 2, 3, 4] })
        equal(yield* Projection.live(Revenue), yield* Projection.live(Revenue))
        equal(yield* orders.all(), yield* orders.all())
        equal(yield* list(store.readAll()), log)
      })
  )

  accept("5. snapshot every 10 with appends that cross 10 (9 → 12): one snapshot", () =>
    Effect.gen(function*() {
      const Ten = Aggregate.make(Order, Orders, { snapshot: Snapshot.every(10) })
      const snapshots = yield* SnapshotStore
      const saved: Array<number> = []
      const watching = Effect.provideService(SnapshotStore, {
        ...snapshots,
        save: (snapshot) => Effect.tap(snapshots.save(snapshot), () => Effect.sync(() => saved.push(snapshot.version)))
      })
      yield* Orders.append("1", Array.from({ length: 8 }, () => Created({ lines: [1] })))
      yield* Ten.execute("1", Update.make({ lines: [2] })).pipe(watching)
      equal(saved, [], "at 9")
      yield* Orders.append("1", [Updated({ lines: [3] }), Updated({ lines: [4] })])
      yield* Ten.execute("1", Update.make({ lines: [5] })).pipe(watching)
      equal(saved, [12], "9 → 12")
      yield* Ten.execute("1", Update.make({ lines: [6] })).pipe(watching)
      equal(saved, [12])
      equal(yield* Ten.state("1"), { state: { status: "open", total: 6 }, version: 13 })
    }))

  accept(
    "6. a command executed twice with the same id: one effect; events carry the id as causation",
    () =>
      Effect.gen(function*() {
        const first = yield* orders.execute("1", Create.make({ lines: [7] }), { commandId: "request-1" })
        const second = yield* orders.execute("1", Create.make({ lines: [7] }), { commandId: "request-1" })
        assert.isFalse(first.repeated)
        equal(second, { ...first, repeated: true })
        const events = yield* list(Orders.read("1"))
        assert.lengthOf(events, 1)
        assert.strictEqual(events[0]!.metadata.causationId, "request-1")
      })
  )

  accept(
    "7. an order cancelled twice: the decider refuses the second; revenue is never negative",
    () =>
      Effect.gen(function*() {
        const revenues: Array<number> = []
        const look = Effect.map(Projection.catchUp(Revenue), ({ state }) => revenues.push(state))
        yield* look
        yield* orders.execute("1", Create.make({ lines: [10] }))
        yield* look
        yield* orders.execute("1", Cancel.make())
        yield* look
        const refused = yield* Effect.flip(orders.execute("1", Cancel.make()))
        equal(refused, new Rejected({ why: "it is cancelled" }))
        yield* look
        // both at once: one of them is refused
        yield* orders.execute("2", Create.make({ lines: [5] }))
        const both = yield* Effect.fork(
          Effect.all([1, 2].map(() => Effect.option(orders.execute("2", Cancel.make()))), { concurrency: "unbounded" })
        )
        yield* TestClock.adjust("1 second")
        assert.lengthOf((yield* both).filter(Option.isSome), 1)
        yield* look
        equal(revenues, [0, 10, 0, 0, 0])
        assert.strictEqual(yield* Projection.live(Revenue), 0)
      })
  )
})
