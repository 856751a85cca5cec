import { Effect, Layer } from "effect"
import * as Memory from "effect-skald/Memory"
import * as Sqlite from "effect-skald/Sqlite"
import * as EventStore from "effect-skald/store/EventStore"
import { describe, expect, test } from "tstyche"

/** Needs transactions of the store's driver. */
const both = Effect.gen(function*() {
  const store = yield* EventStore.capable("transactions")
  yield* store.withTransaction(store.append([{ stream: "order-1", events: [{ type: "Placed", payload: {} }] }]))
})
const plain = Effect.flatMap(EventStore.EventStore, (store) => store.head)

const sqlite = Sqlite.layer({ filename: "shop.db" })
const run = <A, E>(program: Effect.Effect<A, E>): Effect.Effect<A, E> => program

describe("what not every driver can do", () => {
  test("stands in the program's requirements", () => {
    expect<Effect.Effect.Context<typeof both>>().type.toBe<EventStore.Capable<"transactions">>()
    expect<Effect.Effect.Context<typeof plain>>().type.toBe<EventStore.EventStore>()
  })

  test("a program that needs transactions runs over SQLite, and does not type-check over memory", () => {
    expect(run).type.toBeCallableWith(Effect.provide(both, sqlite))
    expect(run).type.not.toBeCallableWith(Effect.provide(both, Memory.layer))
    expect<Effect.Effect.Context<ReturnType<typeof overMemory>>>().type.toBe<EventStore.Capable<"transactions">>()
  })

  test("one that does not runs over both", () => {
    expect(run).type.toBeCallableWith(Effect.provide(plain, sqlite))
    expect(run).type.toBeCallableWith(Effect.provide(plain, Memory.layer))
  })

  test("the store itself has no transactions where they were not asked for", () => {
    expect<EventStore.Service>().type.not.toHaveProperty("withTransaction")
    expect<EventStore.Service<"transactions">>().type.toHaveProperty("withTransaction")
    expect<EventStore.Service<"durable">>().type.not.toHaveProperty("withTransaction")
  })

  test("SQLite gives all that memory gives, and what it can do beside", () => {
    type Given = Layer.Layer.Success<typeof sqlite>
    expect<Memory.Services>().type.toBeAssignableTo<Given>()
    expect<EventStore.Capable<"durable" | never>>().type.toBeAssignableTo<Given>()
    expect<EventStore.Capable<"transactions">>().type.not.toBeAssignableTo<Memory.Services>()
    expect(EventStore.capable).type.not.toBeCallableWith("magic")
  })
})

declare const overMemory: () => ReturnType<typeof provideMemory>
const provideMemory = () => Effect.provide(both, Memory.layer)
