import { Effect, Schema } from "effect"
import { Event } from "effect-skald"
import * as Same from "effect-skald/event/Event"

const Opened = Event.make("AccountOpened", { owner: Schema.NonEmptyString })
const opened: typeof Opened.Type = Opened.make({ owner: "Ada" })

const program = Effect.gen(function*() {
  const read = yield* Schema.decodeUnknown(Opened)({ _tag: "AccountOpened", owner: "Ada" })
  return read.owner === opened.owner && Same.make === Event.make ? "ok" : "not the same"
})

Effect.runPromise(program).then(console.log)
