/**
 * A saga for each disruption: a standby crew, a gate and rooms for those who are stranded, from what the airport has of them. When
 * one of them is not to be had, what was taken before is given back.
 */
import { Array, DateTime, Effect, Schema } from "effect"
import type { Recorded } from "effect-skald/event/Envelope"
import * as Retryability from "effect-skald/resilience/Retryability"
import * as RetryPolicy from "effect-skald/resilience/RetryPolicy"
import * as Saga from "effect-skald/saga/Saga"
import * as SagaEngine from "effect-skald/saga/SagaEngine"
import type { AirportDisrupted } from "./Airport.ts"
import * as Chance from "./Chance.ts"
import { AirportCode } from "./Flight.ts"
import * as Standby from "./Standby.ts"

/** What became of the sagas. */
export interface Recovered {
  /** All that was needed was there. */
  readonly committed: number
  /** Something was not, and what was taken was given back. */
  readonly compensated: number
  /** Requests that were put off, and made again. */
  readonly retried: number
  /** Of all airports that were disrupted. */
  readonly pools: ReadonlyArray<{
    readonly pool: Standby.Pool
    readonly size: number
    readonly held: number
    readonly free: number
  }>
  /** What is held is what the sagas that were committed have taken, and with what is free it is all there ever was. */
  readonly balanced: boolean
}

/** Not now: the next call may have more luck. */
export class TryLater
  extends Schema.TaggedError<TryLater>("flights/TryLater")("TryLater", { pool: Standby.Pool }, Retryability.retryable)
{}

const Failed = Schema.Union(Standby.NotToBeHad, TryLater)

const Recovery = Saga.make("recovery", {
  version: 1,
  payload: Schema.Struct({
    airport: AirportCode,
    at: Schema.String,
    /** Which of the airport's events its disruption is. */
    version: Schema.Int
  }),
  success: Schema.Struct({ crews: Schema.Int, gates: Schema.Int, rooms: Schema.Int }),
  error: Failed,
  idempotencyKey: ({ airport, version }) => `${airport}-${version}`
})

/** The database is away for a moment. */
const away = RetryPolicy.exponential("50 millis", { times: 8 })

interface Needed {
  readonly airport: AirportCode
  readonly pool: Standby.Pool
  readonly amount: number
  readonly purpose: string
}

/** One call. Where the database stays away a person is needed, and nothing is given back. */
const ask = ({ airport, ...needed }: Needed, key: string) =>
  Standby.standby.execute(airport, { _tag: "Take", key, ...needed }).pipe(
    Effect.retry({ schedule: away, while: (error) => error._tag !== "NotToBeHad" }),
    Effect.catchAll((error) => error._tag === "NotToBeHad" ? Effect.fail(error) : Effect.die(error)),
    Effect.filterOrFail(
      ({ events }) => events.every(({ _tag }) => _tag !== "StandbyPutOff"),
      () => new TryLater({ pool: needed.pool })
    ),
    Effect.as(needed.amount)
  )

const patience = RetryPolicy.exponential("1 millis", { times: 3 }).pipe(RetryPolicy.whileRetryable())

const take = (needed: Needed) =>
  Saga.step(needed.pool, {
    success: Schema.Int,
    error: Failed,
    execute: (key) => ask(needed, key),
    retry: patience,
    onDefect: "intervene",
    compensate: (_, key) => Effect.asVoid(Standby.standby.execute(needed.airport, { _tag: "GiveBack", key })),
    compensateRetry: away,
    compensateExhausted: "intervene"
  })

const RecoveryLive = Recovery.toLayer(({ airport, at }) => {
  const needed = { airport, purpose: `${airport} ${at}` }
  const rooms = 10 + Chance.percentile(needed.purpose) % 31
  return Effect.all({
    crews: take({ ...needed, pool: "crews", amount: 1 }),
    gates: take({ ...needed, pool: "gates", amount: 1 }),
    rooms: take({ ...needed, pool: "rooms", amount: rooms })
  })
})

/** Carries the sagas through, those of one airport one after the other: what is left for the next depends on it. */
export const run = (disruptions: ReadonlyArray<Recorded<typeof AirportDisrupted.Type>>) =>
  Effect.gen(function*() {
    const one = ({ payload: { airport, at }, version }: (typeof disruptions)[number]) =>
      Recovery.run({ airport, at: DateTime.formatIso(at), version }).pipe(
        Effect.asSome,
        Effect.catchTags({ NotToBeHad: () => Effect.succeedNone, TryLater: () => Effect.succeedNone })
      )
    const airports = Object.values(Array.groupBy(disruptions, ({ payload }) => payload.airport))
    const ended = yield* Effect.forEach(airports, Effect.forEach(one), { concurrency: 16 })
    const committed = Array.getSomes(ended.flat())
    const codes = airports.map(([{ payload }]) => payload.airport)
    const states = (yield* Standby.standby.states(codes)).map(([, { state }]) => state)
    const sum = (of: (state: Standby.State) => number) => states.reduce((all, state) => all + of(state), 0)
    const pools = Standby.Pool.literals.map((pool) => ({
      pool,
      size: Standby.sizes[pool] * states.length,
      held: sum(({ held }) =>
        Object.values(held).reduce((all, each) => each.pool === pool ? all + each.amount : all, 0)
      ),
      free: sum(({ free }) => free[pool])
    }))
    return {
      committed: committed.length,
      compensated: disruptions.length - committed.length,
      retried: sum(({ putOff }) => Object.keys(putOff).length),
      pools,
      balanced: pools.every(({ free, held, pool, size }) =>
        held + free === size && held === committed.reduce((all, taken) => all + taken[pool], 0)
      )
    } satisfies Recovered
  }).pipe(Effect.provide(SagaEngine.layerOf(RecoveryLive)))
