/**
 * What an airport has for passengers who are stranded: standby crews, gates, and rooms in hotels, so many of each.
 *
 * Who asks for some of it does so under a key, and is given it once, however often he asks; what was given back is not given
 * again under the same key. Now and then it takes more than one call, or nothing is to be had: by a rule over what it is for,
 * so that every run on every store meets the same answers.
 */
import { Either, Schema } from "effect"
import * as Aggregate from "effect-skald/cqrs/Aggregate"
import * as Decider from "effect-skald/cqrs/Decider"
import * as Event from "effect-skald/event/Event"
import * as Retryability from "effect-skald/resilience/Retryability"
import * as Category from "effect-skald/store/Category"
import * as Chance from "./Chance.ts"
import { AirportCode } from "./Flight.ts"

/** How much of each an airport has. */
export const sizes = { crews: 4, gates: 3, rooms: 90 }

export const Pool = Schema.Literal("crews", "gates", "rooms")
export type Pool = typeof Pool.Type

const what = { key: Schema.String, pool: Pool, amount: Schema.Int.pipe(Schema.positive()) }

export const Granted = Event.make("StandbyGranted", what)
export const PutOff = Event.make("StandbyPutOff", { key: Schema.String })
export const GivenBack = Event.make("StandbyGivenBack", { key: Schema.String })

export const Take = Schema.TaggedStruct("Take", { ...what, purpose: Schema.String })
export const GiveBack = Schema.TaggedStruct("GiveBack", { key: Schema.String })

/** It is not to be had, however often one asks. */
export class NotToBeHad extends Schema.TaggedError<NotToBeHad>("flights/NotToBeHad")(
  "NotToBeHad",
  { pool: Pool, why: Schema.Literal("none left", "out of service", "given back") },
  Retryability.permanent
) {}

export const State = Schema.Struct({
  /** How much of each pool is free. */
  free: Schema.Struct({ crews: Schema.Int, gates: Schema.Int, rooms: Schema.Int }),
  /** What is held, by key. */
  held: Schema.Record({ key: Schema.String, value: Schema.Struct({ pool: Pool, amount: Schema.Int }) }),
  /** How often a request was put off, by key. */
  putOff: Schema.Record({ key: Schema.String, value: Schema.Int }),
  givenBack: Schema.Array(Schema.String)
})
export type State = typeof State.Type

/** How often one is put off before something is there; for good means that it is out of service. */
const putOffs = (pool: Pool, purpose: string): number | "for good" => {
  const number = Chance.percentile(`${pool} ${purpose}`)
  if (number < 5) return "for good"
  return number < 9 ? Number.POSITIVE_INFINITY : number < 22 ? 1 : number < 30 ? 2 : 0
}

export const Standby = Decider.make("standby", {
  state: State,
  commands: Schema.Union(Take, GiveBack),
  events: Schema.Union(Granted, PutOff, GivenBack),
  errors: NotToBeHad
})({
  initial: { free: sizes, held: {}, putOff: {}, givenBack: [] },

  decide: (command, { free, givenBack, held, putOff }) => {
    const { key } = command
    if (command._tag === "GiveBack") return Either.right(givenBack.includes(key) ? [] : [GivenBack({ key })])
    if (held[key] !== undefined) return Either.right([])
    const { amount, pool, purpose } = command
    const refuse = (why: NotToBeHad["why"]) => Either.left(new NotToBeHad({ pool, why }))
    if (givenBack.includes(key)) return refuse("given back")
    const times = putOffs(pool, purpose)
    if (times === "for good") return refuse("out of service")
    if ((putOff[key] ?? 0) < times) return Either.right([PutOff({ key })])
    return free[pool] < amount ? refuse("none left") : Either.right([Granted({ key, pool, amount })])
  },

  evolve: (state, event) => {
    switch (event._tag) {
      case "StandbyPutOff":
        return { ...state, putOff: { ...state.putOff, [event.key]: (state.putOff[event.key] ?? 0) + 1 } }
      case "StandbyGranted": {
        const { amount, key, pool } = event
        return {
          ...state,
          free: { ...state.free, [pool]: state.free[pool] - amount },
          held: { ...state.held, [key]: { pool, amount } }
        }
      }
      case "StandbyGivenBack": {
        const { [event.key]: back, ...held } = state.held
        return {
          ...state,
          free: back === undefined ? state.free : { ...state.free, [back.pool]: state.free[back.pool] + back.amount },
          held,
          givenBack: [...state.givenBack, event.key]
        }
      }
    }
  }
})

/** One stream for each airport that was disrupted: `standby-DTW`. */
export const standby = Aggregate.make(
  Standby,
  Category.make("standby", { id: AirportCode, events: [Granted, PutOff, GivenBack] })
)
