import { assert, describe, it } from "@effect/vitest"
import { Chunk, DateTime, Effect, Either, FastCheck, HashMap, Layer, Option, Schema, Stream } from "effect"
import * as Projection from "effect-skald/cqrs/Projection"
import * as Projections from "effect-skald/cqrs/Projections"
import * as Correlation from "effect-skald/event/Correlation"
import * as Envelope from "effect-skald/event/Envelope"
import * as Event from "effect-skald/event/Event"
import { InvalidInput } from "effect-skald/event/InvalidInput"
import * as Memory from "effect-skald/Memory"
import * as Category from "effect-skald/store/Category"
import * as EventStore from "effect-skald/store/EventStore"
import { forAll } from "effect-skald/testing/ForAll"
import { equal, includes } from "../support/assert.ts"
import { onBoth } from "../support/embedded.ts"
import { Deposited, Wallets, Withdrawn } from "../support/wallet.ts"

const Ticked = Event.make("Ticked", {})
const Clocks = Category.make("clock", { events: [Ticked] })

const totals = {
  events: [Deposited, Withdrawn] as const,
  state: Schema.Struct({ count: Schema.Number, sum: Schema.Number }),
  initial: { count: 0, sum: 0 },
  apply: ({ count, sum }: { readonly count: number; readonly sum: number }, event: { readonly amount: number }) => ({
    count: count + 1,
    sum: sum + event.amount
  })
}

/** Moves of money at any time from 1970 to 2100, of four wallets, some of them near midnight. */
const day = 86_400_000
const instant = FastCheck.oneof(
  FastCheck.integer({ min: 0, max: 40_000 * day }),
  FastCheck.tuple(FastCheck.integer({ min: 11_000, max: 11_004 }), FastCheck.integer({ min: -2, max: 2 })).map(
    ([days, off]) => days * day + off
  )
)
const moves = FastCheck.array(
  FastCheck.record({
    wallet: FastCheck.constantFrom("a", "b", "c", "d"),
    type: FastCheck.constantFrom("Deposited", "Withdrawn", "Ticked"),
    amount: FastCheck.nat(99),
    at: instant,
    tenant: FastCheck.constantFrom(undefined, undefined, "one")
  }),
  { maxLength: 25, size: "max" }
)

interface Move {
  readonly wallet: string
  readonly type: string
  readonly amount: number
  readonly at: number
  readonly tenant: string | undefined
}

const record = ({ amount, at, tenant, type, wallet }: Move) =>
  (type === "Ticked"
    ? Clocks.append(wallet, [Envelope.make(Ticked(), { occurredAt: at })])
    : Wallets.append(wallet, [
      Envelope.make(type === "Deposited" ? Deposited({ amount }) : Withdrawn({ amount }), { occurredAt: at })
    ])).pipe(tenant === undefined ? (effect) => effect : Correlation.locally({ tenant }))

/** What is expected of a keyed projection, computed in the plainest way. */
const reference = (moves: ReadonlyArray<Move>, keyOf: (move: Move) => string) => {
  const found: Record<string, { count: number; sum: number }> = {}
  for (const move of moves) {
    if (move.type === "Ticked") continue
    const total = (found[keyOf(move)] ??= { count: 0, sum: 0 })
    total.count++
    total.sum += move.amount
  }
  return found
}

const plain = <A>(map: HashMap.HashMap<string, A>): Record<string, A> => Object.fromEntries(HashMap.toEntries(map))

/** The day of an instant in New York, by the calendar of the platform. */
const calendar = new Intl.DateTimeFormat("en-CA", {
  timeZone: "America/New_York",
  year: "numeric",
  month: "2-digit",
  day: "2-digit"
})
const dayIn = (at: number) => calendar.format(at)

onBoth("projections built in", (layer) => {
  it.effect("are what the plainest computation gives, live, caught up in two parts, and after being stored", () =>
    forAll(
      FastCheck.record({ moves, cut: FastCheck.nat() }),
      ({ cut, moves }) =>
        Effect.gen(function*() {
          const byType = Projections.byType("by type", totals)
          const byAggregate = Projections.byAggregate("by aggregate", totals)
          const byDay = Projections.byDate("by day", totals)
          const byDayThere = Projections.byDate("by day there", { ...totals, timeZone: "America/New_York" })
          const own = moves.filter((move) => move.tenant === undefined)
          const cases = [
            [byType, own, (move: Move) => move.type],
            [byAggregate, own, (move: Move) => `wallet-${move.wallet}`],
            [byDay, own, (move: Move) => new Date(move.at).toISOString().slice(0, 10)],
            [byDayThere, own, (move: Move) => dayIn(move.at)],
            [
              Projections.byAggregate("all tenants", { ...totals, allTenants: true }),
              moves,
              (move: Move) => Projections.tenantStream(move.tenant, `wallet-${move.wallet}`)
            ]
          ] as const
          const statistics = Projections.statistics("statistics")
          const half = cut % (moves.length + 1)
          yield* Effect.forEach(moves.slice(0, half), record)
          for (const [projection] of cases) yield* Projection.catchUp(projection)
          yield* Projection.catchUp(statistics)
          yield* Effect.forEach(moves.slice(half), record)
          for (const [projection, counted, keyOf] of cases) {
            const expected = reference(counted, keyOf)
            equal(plain(yield* Projection.live(projection)), expected, projection.name)
            equal(plain((yield* Projection.catchUp(projection)).state), expected, projection.name)
            equal(plain((yield* Projection.catchUp(projection)).state), expected, projection.name)
          }
          const { byAggregate: aggregates, byType: types, ...rest } = (yield* Projection.catchUp(statistics)).state
          equal(rest, {
            events: own.length,
            ...(own.length === 0 ? {} : {
              occurred: {
                first: DateTime.unsafeMake(Math.min(...own.map((move) => move.at))),
                last: DateTime.unsafeMake(Math.max(...own.map((move) => move.at)))
              }
            })
          })
          const counts = (keyOf: (move: Move) => string) => {
            const found: Record<string, number> = {}
            for (const move of own) found[keyOf(move)] = (found[keyOf(move)] ?? 0) + 1
            return found
          }
          equal(plain(types), counts((move) => move.type))
          equal(plain(aggregates), counts((move) => `${move.type === "Ticked" ? "clock" : "wallet"}-${move.wallet}`))
        }).pipe(Effect.provide(Layer.fresh(layer))),
      { numRuns: 20 }
    ))
})

describe("projections built in", () => {
  const test = (title: string, body: () => Effect.Effect<void, unknown, Memory.Services>) =>
    it.effect(title, () => Effect.provide(body(), Memory.layer))

  test("statistics are of a category, or of everything but the library's own marks", () =>
    Effect.gen(function*() {
      const store = yield* EventStore.EventStore
      equal(yield* Projection.live(Projections.statistics("s")), {
        events: 0,
        byType: HashMap.empty(),
        byAggregate: HashMap.empty()
      })
      yield* Wallets.append("a", [Deposited({ amount: 1 }), Withdrawn({ amount: 1 })])
      yield* Clocks.append("c", [Ticked()])
      yield* store.append([{ stream: "wallet-a", events: [{ type: "$mark", payload: {} }] }])
      // undecodable by anybody: it is counted all the same
      yield* store.append([{ stream: "strange", events: [{ type: "Strange", payload: [null] }] }])
      const all = yield* Projection.live(Projections.statistics("s"))
      assert.strictEqual(all.events, 4)
      equal(plain(all.byAggregate), { "wallet-a": 2, "clock-c": 1, strange: 1 })
      const clocks = yield* Projection.live(Projections.statistics("s", { category: "clock" }))
      equal(plain(clocks.byType), { Ticked: 1 })
    }))

  test("equal streams of several tenants are several aggregates", () =>
    Effect.gen(function*() {
      for (const tenant of ["1", "11", ""]) {
        yield* Wallets.append("a", [Deposited({ amount: 1 })]).pipe(Correlation.locally({ tenant }))
      }
      // a stream that is called as another's tenant and stream would be
      yield* Wallets.append("1:wallet-a", [Deposited({ amount: 1 })])
      const statistics = yield* Projection.live(Projections.statistics("s", { allTenants: true }))
      assert.strictEqual(HashMap.size(statistics.byAggregate), 4)
      assert.deepStrictEqual(
        HashMap.get(statistics.byAggregate, Projections.tenantStream("11", "wallet-a")),
        Option.some(1)
      )
      const keyed = yield* Projection.live(Projections.byAggregate("k", { ...totals, allTenants: true }))
      assert.strictEqual(HashMap.size(keyed), 4)
      assert.deepStrictEqual(
        HashMap.get(keyed, Projections.tenantStream(undefined, "wallet-1:wallet-a")),
        Option.some({ count: 1, sum: 1 })
      )
    }))

  test("days begin at midnight there, also where an hour is missing or twice", () =>
    Effect.gen(function*() {
      const moments: ReadonlyArray<readonly [instant: string, utc: string, there: string]> = [
        // the clocks go forward on 2001-04-01 at 07:00Z, back on 2001-10-28 at 06:00Z
        ["2001-04-01T04:59:59.999Z", "2001-04-01", "2001-03-31"],
        ["2001-04-01T05:00:00Z", "2001-04-01", "2001-04-01"],
        ["2001-04-02T03:59:59.999Z", "2001-04-02", "2001-04-01"],
        ["2001-04-02T04:00:00Z", "2001-04-02", "2001-04-02"],
        ["2001-10-28T03:59:59.999Z", "2001-10-28", "2001-10-27"],
        ["2001-10-28T04:00:00Z", "2001-10-28", "2001-10-28"],
        ["2001-10-28T05:30:00Z", "2001-10-28", "2001-10-28"],
        ["2001-10-28T06:30:00Z", "2001-10-28", "2001-10-28"],
        ["2001-10-29T04:59:59.999Z", "2001-10-29", "2001-10-28"],
        ["2001-10-29T05:00:00Z", "2001-10-29", "2001-10-29"],
        ["0099-12-31T23:59:59Z", "0099-12-31", "0099-12-31"],
        ["+010000-01-01T12:00:00Z", "+010000-01-01", "+010000-01-01"],
        ["+010000-01-02T12:00:00Z", "+010000-01-02", "+010000-01-02"]
      ]
      for (const [occurredAt] of moments) {
        yield* Wallets.append("a", [Envelope.make(Deposited({ amount: 1 }), { occurredAt: new Date(occurredAt) })])
      }
      const tally = (days: ReadonlyArray<string>) =>
        days.reduce<Record<string, number>>((found, day) => ({ ...found, [day]: (found[day] ?? 0) + 1 }), {})
      const counts = (timeZone: string | undefined) =>
        Effect.map(
          Projection.live(Projections.byDate("d", { ...totals, timeZone })),
          (days) => Object.fromEntries(HashMap.toEntries(days).map(([day, { count }]) => [day, count]))
        )
      equal(yield* counts(undefined), tally(moments.map(([, utc]) => utc)))
      equal(yield* counts("UTC"), tally(moments.map(([, utc]) => utc)))
      equal(yield* counts("America/New_York"), tally(moments.map(([, , there]) => there)))
    }))

  test("an apply that changes what it is given does not touch other keys, nor later runs", () =>
    Effect.gen(function*() {
      const greedy = Projections.byAggregate("greedy", {
        events: [Deposited],
        state: Schema.mutable(Schema.Struct({ list: Schema.mutable(Schema.Array(Schema.Number)) })),
        initial: { list: [] },
        apply: (state, { amount }) => {
          state.list.push(amount)
          return state
        }
      })
      for (const id of ["a", "b", "a"]) yield* Wallets.append(id, [Deposited({ amount: 1 })])
      for (let times = 0; times < 2; times++) {
        equal(plain(yield* Projection.live(greedy)), { "wallet-a": { list: [1, 1] }, "wallet-b": { list: [1] } })
      }
    }))

  test("what was recorded under a former name counts for the present one", () =>
    Effect.gen(function*() {
      const Paid = Event.make("Paid", { amount: Schema.Int }, { alias: ["Deposited"] })
      yield* Wallets.append("a", [Deposited({ amount: 1 })])
      yield* Category.make("wallet", { events: [Paid] }).append("a", [Paid({ amount: 2 })])
      const byType = Projections.byType("t", { ...totals, events: [Paid] })
      equal(plain(yield* Projection.live(byType)), { Paid: { count: 2, sum: 3 } })
    }))

  it("refuse what cannot work", () => {
    const refused = (build: () => unknown) => Either.merge(Either.try({ try: build, catch: (error) => error }))
    const cases: ReadonlyArray<readonly [() => unknown, string]> = [
      [() => Projections.byDate("d", { ...totals, timeZone: "Europe/Atlantis" }), "timeZone"],
      [() => Projections.byDate("d", { ...totals, timeZone: "" }), "timeZone"],
      [() => Projections.byType("", totals), "name"],
      [() => Projections.byAggregate("a", { ...totals, initial: { count: "0", sum: 0 } as never }), "initial"],
      [() => Projections.statistics("s", { version: 0 }), "version"]
    ]
    for (const [build, path] of cases) {
      const error = refused(build)
      assert.instanceOf(error, InvalidInput)
      includes((error as InvalidInput).faults[0], { path })
    }
  })

  test("a raw projection is given every event as it stands", () =>
    Effect.gen(function*() {
      const types = Projection.makeRaw("types", {
        state: Schema.Array(Schema.Tuple(Schema.String, Schema.Unknown)),
        initial: [],
        apply: (list, payload, recorded) => [...list, [recorded.type, payload] as const]
      })
      yield* Wallets.append("a", [Deposited({ amount: 1 })])
      const raws = Chunk.toReadonlyArray(
        yield* Stream.runCollect(Stream.unwrap(Effect.map(EventStore.EventStore, (store) => store.readAll())))
      )
      equal(yield* Projection.live(types), raws.map((raw) => [raw.type, raw.payload]))
      equal((yield* Projection.catchUp(types)).state, [["Deposited", { _tag: "Deposited", amount: 1 }]])
    }))
})
