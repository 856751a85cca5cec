import { Either, Schema } from "effect"
import * as DecisionModel from "effect-skald/cqrs/DecisionModel"
import * as Event from "effect-skald/event/Event"
import * as Category from "effect-skald/store/Category"
import { describe, expect, it } from "tstyche"

const Opened = Event.make("Opened", { places: Schema.Int })
const Taken = Event.make("Taken", { by: Schema.String })
const Seats = Category.make("seat", { events: [Opened, Taken] })
class Full extends Schema.TaggedError<Full>()("Full", {}) {}
class Closed extends Schema.TaggedError<Closed>()("Closed", {}) {}

const Places = DecisionModel.view({ events: [Opened], initial: 0, evolve: (_, { places }) => places })
const Count = DecisionModel.view({ events: [Taken], initial: 0n, evolve: (count) => count + 1n })

const base = {
  commands: Schema.Struct({ by: Schema.String }),
  views: { places: Places, count: Count },
  tags: () => ({ places: [], count: [] }),
  id: () => "1"
}

describe("decision models", () => {
  it("infer states, events and refusals", () => {
    const model = DecisionModel.make("take", {
      ...base,
      category: Seats,
      decide: ({ by }, { count, places }) => {
        expect(count).type.toBe<bigint>()
        expect(places).type.toBe<number>()
        if (places === 0) return Either.left(new Closed())
        return count >= places ? Either.left(new Full()) : Either.right([Taken({ by })])
      }
    })
    expect<typeof model extends DecisionModel.DecisionModel<any, any, any, infer E, any> ? E : never>().type.toBe<
      Event.Of<typeof Taken>
    >()
    expect<typeof model extends DecisionModel.DecisionModel<any, any, any, any, infer Err> ? Err : never>().type.toBe<
      Full | Closed
    >()
  })

  it("are refused where the category does not take what is decided", () => {
    const Others = Category.make("other", { events: [Opened] })
    expect(DecisionModel.make).type.not.toBeCallableWith("take", {
      ...base,
      category: Others,
      decide: ({ by }: { readonly by: string }) => Either.right([Taken({ by })])
    })
  })

  it("are refused where a view has no tags", () => {
    expect(DecisionModel.make).type.not.toBeCallableWith("take", {
      ...base,
      tags: () => ({ places: [] }),
      category: Seats,
      decide: () => Either.right([])
    })
  })
})
