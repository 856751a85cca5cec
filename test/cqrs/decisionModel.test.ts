import { assert, describe, it } from "@effect/vitest"
import * as DecisionModel from "effect-skald/cqrs/DecisionModel"
import * as Event from "effect-skald/event/Event"
import type { InvalidInput } from "effect-skald/event/InvalidInput"
import * as Category from "effect-skald/store/Category"
import * as EventStore from "effect-skald/store/EventStore"
import { Effect, Either, Schedule, Schema, Stream } from "effect"

const Registered = Event.make("Registered", { name: Schema.String }, { tags: ({ name }) => [`name:${name}`] })
const Released = Event.make("Released", { name: Schema.String }, { tags: ({ name }) => [`name:${name}`] })
const Users = Category.make("user", { events: [Registered, Released] })

class Taken extends Schema.TaggedError<Taken>()("Taken", { name: Schema.String }) {}

const taken = DecisionModel.view({
  events: [Registered, Released],
  initial: false,
  evolve: (_, { _tag }) => _tag === "Registered"
})

/** What a decision does beside deciding, while it is being made. */
const registering = (beside: () => void = () => {}) =>
  DecisionModel.make("register", {
    commands: Schema.Struct({ id: Schema.String, name: Schema.NonEmptyString }),
    views: { taken },
    tags: ({ name }) => ({ taken: [`name:${name}`] }),
    decide: ({ name }, { taken }) => {
      beside()
      return taken ? Either.left(new Taken({ name })) : Either.right([Registered({ name })])
    },
    category: Users,
    id: ({ id }) => id
  })

const Register = registering()

const test = <E>(name: string, body: () => Effect.Effect<void, E, EventStore.EventStore>) =>
  it.effect(name, () => Effect.provide(Effect.asVoid(body()), EventStore.layerMemory))

const names = Effect.flatMap(
  EventStore.EventStore,
  (store) =>
    Stream.runCollect(Category.decoded(Users.codec, store.readAll())).pipe(
      Effect.map((all) => Array.from(all, ({ payload, stream }) => `${stream} ${payload._tag} ${payload.name}`))
    )
)

describe("DecisionModel", () => {
  test("a fact of any stream is decided on, by its tags alone", () =>
    Effect.gen(function*() {
      yield* Register.execute({ id: "u-1", name: "alice" })
      const refused = yield* Effect.flip(Register.execute({ id: "u-2", name: "alice" }))
      assert.deepStrictEqual(refused, new Taken({ name: "alice" }))
      yield* Register.execute({ id: "u-2", name: "bob" })
      yield* Users.append("u-1", [Released({ name: "alice" })])
      yield* Register.execute({ id: "u-3", name: "alice" })
      assert.deepStrictEqual(yield* names, [
        "user-u-1 Registered alice",
        "user-u-2 Registered bob",
        "user-u-1 Released alice",
        "user-u-3 Registered alice"
      ])
    }))

  test("what a command would be decided on, and up to where", () =>
    Effect.gen(function*() {
      const { position } = yield* Register.execute({ id: "u-1", name: "alice" })
      assert.deepStrictEqual(yield* Register.state({ id: "", name: "alice" }), {
        position: position!,
        states: { taken: true }
      })
      assert.deepStrictEqual(yield* Register.state({ id: "", name: "bob" }), {
        position: position!,
        states: { taken: false }
      })
    }))

  test("a rival's event that the query matches lets it decide again; one of other tags does not", () =>
    Effect.gen(function*() {
      const context = yield* Effect.context<EventStore.EventStore>()
      let decided = 0
      const raced = (name: string) =>
        registering(() => {
          if (decided++ === 0) Effect.runSync(Effect.provide(Users.append("rival", [Registered({ name })]), context))
        })
      const lost = yield* Effect.flip(
        raced("alice").execute({ id: "u-1", name: "alice" }, { retry: Schedule.recurs(3) })
      )
      assert.strictEqual(lost._tag, "Taken")
      assert.strictEqual(decided, 2)
      decided = 0
      yield* raced("carol").execute({ id: "u-1", name: "bob" })
      assert.strictEqual(decided, 1)
      decided = 0
      const never = yield* Effect.flip(raced("dave").execute({ id: "u-1", name: "dave" }, { retry: Schedule.stop }))
      assert.strictEqual(never._tag, "ConditionFailed")
      assert.strictEqual(decided, 1)
    }))

  test("a command of an id that was executed leads to what it led to then, though the states are others now", () =>
    Effect.gen(function*() {
      const first = yield* Register.execute({ id: "u-1", name: "alice" }, { commandId: "c-1" })
      assert.isFalse(first.repeated)
      const again = yield* Register.execute({ id: "u-1", name: "alice" }, { commandId: "c-1" })
      assert.deepStrictEqual(again, { ...first, repeated: true })
      assert.strictEqual((yield* names).length, 1)
      const other = yield* Effect.flip(Register.execute({ id: "u-1", name: "alice" }, { commandId: "c-2" }))
      assert.strictEqual(other._tag, "Taken")
    }))

  test("whatever cannot be used is refused at once, each fault with its path, and nothing is recorded", () =>
    Effect.gen(function*() {
      const refused = yield* Effect.flip(
        Register.execute({ id: "u-1", name: "" }, { commandId: "", occurredAt: "yesterday" })
      )
      assert.deepStrictEqual(
        (refused as InvalidInput).faults.map(({ path }) => path),
        ["command.name", "commandId", "occurredAt"]
      )
      assert.isTrue(Either.isLeft(Register.query({ id: "u-1", name: "" })))
      const stream = yield* Effect.flip(Register.execute({ id: "", name: "alice" }))
      assert.strictEqual(stream._tag, "InvalidInput")
      assert.deepStrictEqual(yield* names, [])
    }))

  it("a model of no view, and one whose view is none, are refused when they are built", () => {
    const built = (views: object) => () => DecisionModel.make("x", { ...options, views } as never)
    const options = {
      commands: Schema.Struct({ id: Schema.String }),
      tags: () => ({}),
      decide: () => Either.right([Registered({ name: "x" })]),
      category: Users,
      id: ({ id }: { readonly id: string }) => id
    }
    assert.throws(built({}), /views: must hold a view/)
    assert.throws(built({ taken: {} }), /views\.taken: must have events, initial and evolve/)
  })
})
