import type * as EventStore from "effect-skald/store/EventStore"
import * as Redis from "effect-skald/store/Redis"
import type { Layer } from "effect"
import { expect, test } from "tstyche"

type Provides<L> = L extends Layer.Layer<infer A, any, any> ? A : never

test("a store in Redis is durable where it was asked to be, and never has transactions", () => {
  const durable = Redis.layer({ durable: true })
  const plain = Redis.layer({ prefix: "shop" })
  const either = Redis.layerServer({ url: "redis://localhost", durable: false })
  expect<EventStore.Capable<"durable">>().type.toBeAssignableTo<Provides<typeof durable>>()
  expect<EventStore.Capable<"durable">>().type.not.toBeAssignableTo<Provides<typeof plain>>()
  expect<EventStore.Capable<"durable">>().type.not.toBeAssignableTo<Provides<typeof either>>()
  expect<EventStore.Capable<"shared">>().type.toBeAssignableTo<Provides<typeof plain>>()
  expect<EventStore.Capable<"transactions">>().type.not.toBeAssignableTo<Provides<typeof durable>>()
})
