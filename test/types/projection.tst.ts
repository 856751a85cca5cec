import type { Effect, HashMap, Layer, Stream } from "effect"
import { Effect as E, Schema } from "effect"
import * as Projection from "effect-skald/cqrs/Projection"
import type * as ProjectionRebuild from "effect-skald/cqrs/ProjectionRebuild"
import * as Projections from "effect-skald/cqrs/Projections"
import * as ProjectionShards from "effect-skald/cqrs/ProjectionShards"
import type { ProjectionStopped } from "effect-skald/cqrs/ProjectionStopped"
import * as ProjectionTakeOver from "effect-skald/cqrs/ProjectionTakeOver"
import * as Replay from "effect-skald/cqrs/Replay"
import type { Recorded } from "effect-skald/event/Envelope"
import * as Event from "effect-skald/event/Event"
import type { InvalidInput } from "effect-skald/event/InvalidInput"
import type * as Machine from "effect-skald/event/Machine"
import type { ReadError } from "effect-skald/store/Category"
import type { CheckpointConflict, CheckpointStore } from "effect-skald/store/CheckpointStore"
import type { EventStore } from "effect-skald/store/EventStore"
import type { Lease } from "effect-skald/store/Lease"
import type { ParkedEvents } from "effect-skald/store/ParkedEvents"
import type { SnapshotStore } from "effect-skald/store/SnapshotStore"
import type { StoreError } from "effect-skald/store/StoreError"
import { describe, expect, test } from "tstyche"

const Placed = Event.make("Placed", { total: Schema.Number })
const Paid = Event.make("Paid", { by: Schema.String })
type OrderEvent = typeof Placed.Type | typeof Paid.Type

const Status = Schema.Struct({ status: Schema.Literal("quiet", "busy") })
type Status = typeof Status.Type

const Busy = Projection.make("busy", {
  events: [Placed, Paid],
  state: Status,
  initial: { status: "quiet" },
  // TypeScript forgets the literals of what a function answers in a generic call: it is annotated
  apply: (state, event): Status => event._tag === "Placed" && event.total > 10 ? { status: "busy" } : state
})

class Down extends Schema.TaggedError<Down>()("Down", {}) {}
class Mailer extends E.Tag("Mailer")<Mailer, { readonly send: (text: string) => Effect.Effect<void, Down> }>() {}

const Mails = Projection.handler("mails", {
  events: [Placed],
  handle: Projection.each((event, recorded) => {
    expect(event).type.toBe<typeof Placed.Type>()
    expect(recorded).type.toBe<Recorded<typeof Placed.Type>>()
    return Mailer.send(`${event.total}`)
  })
})

describe("definitions", () => {
  test("carry their name, state and events; the state keeps its literals", () => {
    expect(Busy).type.toBe<Projection.Projection<"busy", Status, OrderEvent>>()
    expect(Mails).type.toBe<Projection.Handler<"mails", typeof Placed.Type, Down, Mailer>>()
    expect(Busy).type.toBeAssignableTo<Projection.Any>()
    expect(Mails).type.toBeAssignableTo<Projection.Any>()
  })

  test("what apply answers must be a state", () => {
    const options = { events: [Placed] as const, state: Status }
    expect(Projection.make<"p", Status, Status, readonly [typeof Placed]>).type.not.toBeCallableWith("p", {
      ...options,
      initial: { status: "quiet" },
      apply: () => ({ status: "gone" })
    })
    // @ts-expect-error a state that is none
    Projection.make("p", { ...options, initial: { status: "gone" }, apply: (state: Status) => state })
  })

  test("two event types with one tag do not go together", () => {
    Projection.make("p", {
      // @ts-expect-error two event types with the tag
      events: [Placed, Placed],
      state: Status,
      initial: { status: "quiet" },
      apply: (state) => state
    })
  })

  test("as a machine", () => {
    expect(Projection.toMachine(Busy)).type.toBe<Machine.Machine<Status, Recorded<OrderEvent>, never>>()
  })
})

describe("running", () => {
  test("a state needs the snapshot store, a handler the checkpoints and what it needs itself", () => {
    expect(Projection.layerAsync(Busy)).type.toBe<
      Layer.Layer<Projection.Running<"busy">, StoreError | InvalidInput, EventStore | SnapshotStore>
    >()
    expect(Projection.layerAsync(Mails)).type.toBe<
      Layer.Layer<Projection.Running<"mails">, StoreError | InvalidInput, EventStore | CheckpointStore | Mailer>
    >()
  })

  test("catching up fails as the reads, the checkpoint and the handler do", () => {
    expect(Projection.catchUp(Busy)).type.toBe<
      Effect.Effect<Projection.CaughtUp<Status>, ReadError, EventStore | SnapshotStore>
    >()
    expect(Projection.catchUp(Mails)).type.toBe<
      Effect.Effect<
        Projection.CaughtUp<void>,
        Down | ReadError | CheckpointConflict,
        EventStore | CheckpointStore | Mailer
      >
    >()
  })

  test("on demand it needs the event store alone, and a handler cannot be asked", () => {
    expect(Projection.live(Busy, { position: 1 })).type.toBe<Effect.Effect<Status, ReadError, EventStore>>()
    expect(Projection.live).type.not.toBeCallableWith(Mails)
    expect(Projection.live).type.not.toBeCallableWith(Busy, { version: 1 })
  })

  test("what runs is known by its name", () => {
    expect(Projection.get(Busy)).type.toBe<Effect.Effect<Status, never, Projection.Running<"busy">>>()
    expect(Projection.awaitPosition(Mails, 3)).type.toBe<
      Effect.Effect<void, ProjectionStopped, Projection.Running<"mails">>
    >()
    expect<Projection.Running<"busy">>().type.not.toBeAssignableTo<Projection.Running<"mails">>()
  })
})

describe("other ways to run", () => {
  test("what is parked needs its store, and only where it is asked for", () => {
    expect(Projection.layerAsync(Mails, { onFailure: "park" })).type.toBe<
      Layer.Layer<
        Projection.Running<"mails">,
        StoreError | InvalidInput,
        EventStore | CheckpointStore | Mailer | ParkedEvents
      >
    >()
    expect(Projection.layerAsync(Mails, { onFailure: "stop", saveEvery: 3 })).type.toBe<
      Layer.Layer<Projection.Running<"mails">, StoreError | InvalidInput, EventStore | CheckpointStore | Mailer>
    >()
    const unsure: Projection.RunOptions = {}
    expect(Projection.layerAsync(Busy, unsure)).type.toBe<
      Layer.Layer<Projection.Running<"busy">, StoreError | InvalidInput, EventStore | SnapshotStore | ParkedEvents>
    >()
    expect(Projection.layerAsync).type.not.toBeCallableWith(Mails, { onFailure: "skip" })
  })

  test("inline, catching up with the past may fail as the handler does", () => {
    expect(Projection.layerInline(Mails)).type.toBe<
      Layer.Layer<
        Projection.Running<"mails">,
        Down | ReadError | CheckpointConflict,
        EventStore | CheckpointStore | Mailer
      >
    >()
    expect(Projection.layerInline(Busy)).type.toBe<
      Layer.Layer<Projection.Running<"busy">, ReadError | ProjectionStopped, EventStore | SnapshotStore>
    >()
  })

  test("a rebuild fails as its handler and its own effects do", () => {
    class NoRoom extends Schema.TaggedError<NoRoom>()("NoRoom", {}) {}
    expect(Projection.rebuild(Mails, { prepare: () => new NoRoom() })).type.toBe<
      Stream.Stream<
        ProjectionRebuild.Progress,
        Down | NoRoom | ReadError | CheckpointConflict,
        EventStore | CheckpointStore | Mailer
      >
    >()
    expect(Projection.rebuild(Busy)).type.toBe<
      Stream.Stream<ProjectionRebuild.Progress, ReadError, EventStore | SnapshotStore>
    >()
    expect(Projection.rebuild).type.not.toBeCallableWith(Busy, { swap: () => E.void })
  })

  test("several processes share handlers, with a lease; a value is merged from its parts", () => {
    expect(ProjectionTakeOver.layer(Mails)).type.toBe<
      Layer.Layer<
        Projection.Running<"mails">,
        StoreError | InvalidInput,
        EventStore | CheckpointStore | Lease | Mailer
      >
    >()
    expect(ProjectionTakeOver.layer).type.not.toBeCallableWith(Busy)
    expect(ProjectionShards.layer).type.not.toBeCallableWith(Busy, { shards: 2 })
    expect(ProjectionShards.layer(Busy, { shards: 2, merge: (states) => states[0]! })).type.toBe<
      Layer.Layer<Projection.Running<"busy">, StoreError | InvalidInput, EventStore | SnapshotStore>
    >()
  })

  test("a replay of a value starts from a state, that of a handler does not", () => {
    expect(Replay.run(Busy, { snapshot: { state: { status: "busy" }, position: 3 } })).type.toBe<
      Effect.Effect<Replay.Progress<Status>, ReadError, EventStore | SnapshotStore>
    >()
    expect(Replay.run).type.not.toBeCallableWith(Busy, { snapshot: { state: { status: "gone" }, position: 3 } })
    expect(Replay.run(Mails, { stream: "order-1" })).type.toBe<
      Effect.Effect<Replay.Progress<void>, Down | ReadError, EventStore | Mailer>
    >()
    expect(Replay.run).type.not.toBeCallableWith(Mails, { snapshot: "kept" })
  })
})

describe("those built in", () => {
  test("keep a state for each key", () => {
    const options = {
      events: [Placed, Paid] as const,
      state: Schema.Number,
      initial: 0,
      apply: (count: number, event: OrderEvent) => event._tag === "Placed" ? count + 1 : count
    }
    expect(Projections.byType("t", options)).type.toBe<
      Projection.Projection<"t", HashMap.HashMap<string, number>, OrderEvent>
    >()
    expect(Projections.byAggregate("a", options)).type.toBe<Projections.Keyed<"a", number, OrderEvent>>()
    expect(Projections.byDate("d", { ...options, timeZone: "Europe/Berlin" })).type.toBe<
      Projections.Keyed<"d", number, OrderEvent>
    >()
    expect(Projections.statistics("s")).type.toBe<Projection.Projection<"s", Projections.Statistics, unknown>>()
  })
})
