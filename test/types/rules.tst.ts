import type * as EventBus from "effect-skald/bus/EventBus"
import * as OnError from "effect-skald/bus/OnError"
import * as Pattern from "effect-skald/cep/Pattern"
import * as Rules from "effect-skald/cep/Rules"
import * as Event from "effect-skald/event/Event"
import type { Layer } from "effect"
import { Effect, Schema } from "effect"
import { describe, expect, test } from "tstyche"

const Failed = Event.make("Failed", { user: Schema.String, at: Schema.Number })
const Login = Event.make("Login", { user: Schema.String, at: Schema.Number })
const Other = Event.make("Other", {})
class Down extends Schema.TaggedError<Down>()("Down", {}) {}

const pattern = Pattern.begin("failures", Failed, { times: { min: 3 } }).pipe(Pattern.followedBy("login", Login))

describe("Rules", () => {
  test("an action is given what the pattern binds", () => {
    const rule = Rules.layer("guessed", {
      events: [Failed, Login],
      pattern,
      keyBy: (event) => event.user,
      action: ({ failures, login }, { id }) => Effect.log(failures[0].user, login.at, id)
    })
    expect<Layer.Layer.Context<typeof rule>>().type.toBe<Rules.Rules | EventBus.EventBus>()
  })

  test("events are those that the pattern names, where nothing else is said", () => {
    const rule = Rules.layer("guessed", {
      pattern,
      keyBy: (event) => event.user,
      action: ({ failures, login }) => Effect.log(failures[0].user, login.at)
    })
    expect<Layer.Layer.Context<typeof rule>>().type.toBe<Rules.Rules | EventBus.EventBus>()
  })

  test("more events than the pattern names may be listed", () => {
    expect(Rules.layer("guessed", { events: [Failed, Login, Other], pattern, action: () => Effect.void })).type.not
      .toBe<never>()
  })

  test("an event that the pattern names must be listed", () => {
    // @ts-expect-error the pattern names events that are not listed
    Rules.layer("guessed", { events: [Failed], pattern, action: () => Effect.void })
  })

  test("each error of the action has a verdict", () => {
    Rules.layer("guessed", {
      events: [Failed, Login],
      pattern,
      action: () => Effect.fail(new Down()),
      onError: { Down: OnError.deadLetter }
    })
    // @ts-expect-error No overload matches this call
    Rules.layer("guessed", { events: [Failed, Login], pattern, action: () => Effect.fail(new Down()) })
  })
})
