import { assert, describe, it } from "@effect/vitest"
import * as EventBus from "effect-skald/bus/EventBus"
import * as OnError from "effect-skald/bus/OnError"
import * as Publisher from "effect-skald/bus/Publisher"
import * as Subscription from "effect-skald/bus/Subscription"
import * as Event from "effect-skald/event/Event"
import * as Machine from "effect-skald/event/Machine"
import * as Memory from "effect-skald/Memory"
import * as Choreography from "effect-skald/saga/Choreography"
import * as SqlTimers from "effect-skald/saga/SqlTimers"
import * as Timers from "effect-skald/saga/Timers"
import * as Sqlite from "effect-skald/Sqlite"
import * as Category from "effect-skald/store/Category"
import * as ChoreographyLaws from "effect-skald/testing/ChoreographyLaws"
import * as Law from "effect-skald/testing/Law"
import { Clock, Effect, FastCheck, Layer, Ref, Schedule, Schema, TestClock, TestServices } from "effect"
import { tempFile } from "../support/tempDirectory.ts"

const order = { order: Schema.String }
const Placed = Event.make("Placed", { ...order, total: Schema.Number })
const Paid = Event.make("Paid", order)
const Packed = Event.make("Packed", { ...order, item: Schema.String })
const Cancelled = Event.make("Cancelled", order)
const Overdue = Event.make("Overdue", order)

const Reserve = Event.make("Reserve", { ...order, total: Schema.Number })
const Release = Event.make("Release", order)
const Ship = Event.make("Ship", { ...order, total: Schema.Number })
const Recall = Event.make("Recall", { ...order, because: Schema.String })
const Label = Event.make("Label", { ...order, item: Schema.String })
const Tear = Event.make("Tear", { ...order, item: Schema.String })

type Command =
  | typeof Reserve.Type
  | typeof Release.Type
  | typeof Ship.Type
  | typeof Recall.Type
  | typeof Label.Type
  | typeof Tear.Type

const Orders = Choreography.make("orders", {
  events: [Placed, Paid, Packed, Cancelled, Overdue],
  saga: (event) => event.order,
  key: (event) => event._tag === "Packed" ? event.item : "",
  rules: [
    Choreography.rule("reserve", {
      on: [Placed],
      command: ({ order, total }) => Reserve({ order, total }),
      undoneBy: [Cancelled, Overdue],
      compensate: (by) => Release({ order: by.order })
    }),
    Choreography.rule("ship", {
      on: [Placed, Paid],
      command: ({ order, total }) => Ship({ order, total }),
      undoneBy: [Cancelled],
      compensate: (by, placed) => Recall({ order: placed.order, because: by._tag })
    }),
    Choreography.rule("label", {
      on: [Packed, Paid],
      command: ({ item, order }) => Label({ order, item }),
      undoneBy: [Cancelled],
      compensate: (_by, packed) => Tear({ order: packed.order, item: packed.item })
    })
  ],
  deadlines: [
    Choreography.deadline("unpaid", {
      on: [Placed],
      after: "14 days",
      unless: [Paid, Cancelled],
      event: ({ order }) => Overdue({ order })
    })
  ]
})

const names = FastCheck.constantFrom("o-1", "o-2")
const anyEvent: FastCheck.Arbitrary<(typeof Orders)["saga"] extends (event: infer E) => string ? E : never> = FastCheck
  .oneof(
    FastCheck.record({ order: names, total: FastCheck.nat(99) }).map((of) => Placed(of)),
    names.map((order) => Paid({ order })),
    FastCheck.record({ order: names, item: FastCheck.constantFrom("a", "b/c", "__proto__") }).map((of) => Packed(of)),
    names.map((order) => Cancelled({ order })),
    names.map((order) => Overdue({ order }))
  )
const events = FastCheck.array(anyEvent, { maxLength: 12 })

describe("Choreography as a machine", () => {
  for (const law of ChoreographyLaws.laws({ choreography: Orders, events })) {
    it.effect(law.name, () => Law.check(law, { numRuns: 400 }))
  }

  it.effect("a rule that can be undone but does not say how breaks the law", () => {
    const reserve = Choreography.rule("reserve", { on: [Placed], command: ({ order }) => Release({ order }) })
    const careless = Choreography.make("careless", {
      events: [Placed, Paid, Packed, Cancelled, Overdue],
      saga: (event) => event.order,
      rules: [{ ...reserve, undoneBy: ["Cancelled"] }]
    })
    const law = ChoreographyLaws.confluence({ choreography: careless, events })
    return Effect.map(Effect.flip(Law.check(law, { numRuns: 400 })), (broken) => {
      assert.strictEqual(broken.reason, "counterexample")
    })
  })

  const actionsOf = (...events: ReadonlyArray<typeof anyEvent extends FastCheck.Arbitrary<infer E> ? E : never>) => {
    const machine = Choreography.toMachine(Orders)
    return Machine.run(machine, machine.initial, events.map((event, at) => ({ event, at })))[1].map((action) =>
      action._tag === "Send" ? `${action.id} ${action.command._tag}` : action.id
    )
  }

  it("an event that undoes before its forward event is remembered: the forward one then starts nothing", () => {
    assert.deepStrictEqual(
      actionsOf(Cancelled({ order: "o" }), Placed({ order: "o", total: 1 }), Paid({ order: "o" })),
      []
    )
  })

  it("compensations follow once, for what was sent, and duplicates of anything change nothing", () => {
    const [placed, cancelled] = [Placed({ order: "o", total: 1 }), Cancelled({ order: "o" })]
    assert.deepStrictEqual(
      actionsOf(placed, placed, cancelled, placed, cancelled, Overdue({ order: "o" }), Paid({ order: "o" })),
      ["do/reserve Reserve", "arm/unpaid", "undo/reserve Release", "disarm/unpaid"]
    )
  })

  it("a rule with a key is there once for each, and waits for all of its events", () => {
    const packed = (item: string) => Packed({ order: "o", item })
    assert.deepStrictEqual(
      actionsOf(packed("a"), packed("b"), packed("a"), Paid({ order: "o" }), packed("c/d")),
      ["do/label/a Label", "do/label/b Label", "do/label/c%2Fd Label"]
    )
  })

  it("what cannot be a choreography is refused, every fault of it", () => {
    const rule = Choreography.rule("a/b", { on: [Placed], command: () => Release({ order: "o" }) })
    let error: unknown
    try {
      Choreography.make("x/y", {
        events: [Paid],
        saga: (event) => event.order,
        rules: [rule, rule] as never,
        deadlines: [
          Choreography.deadline("late", {
            on: [Paid],
            after: "-1 seconds" as never,
            event: () => Paid({ order: "o" })
          }),
          Choreography.deadline("long", { on: [Paid], after: Infinity, event: () => Paid({ order: "o" }) })
        ]
      })
    } catch (thrown) {
      error = thrown
    }
    const faults = (error as { readonly faults: ReadonlyArray<{ readonly path: string }> }).faults
    assert.includeMembers(faults.map(({ path }) => path), [
      "name",
      "rules[0].name",
      "rules[1].name",
      "rules[0]",
      "deadlines[1].after"
    ])
  })
})

// ----------------------------------------------------------------------------------------------------------------- running

/** What was sent, in order; the services that handle it take a command once for each id. */
const ledger = Effect.sync(() => {
  const sent: Array<{ readonly id: string; readonly command: Command; readonly saga: string }> = []
  const send: Choreography.Send<Command, never, never> = (command, { id, saga }) =>
    Effect.sync(() => {
      sent.push({ id, command, saga })
    })
  return { sent, send, ids: () => sent.map(({ id }) => id) }
})

const live = <A, E, R>(effect: Effect.Effect<A, E, R>) => TestServices.provideLive(effect)

/** Waits for what a subscription does, which TestClock does not know of. */
const until = (isSo: () => boolean) =>
  Effect.iterate(0, {
    while: (looks) => looks < 400 && !isSo(),
    body: (looks) => Effect.as(Effect.zipRight(TestClock.adjust(0), live(Effect.sleep("5 millis"))), looks + 1)
  })

const services = Layer.mergeAll(Memory.layer, Timers.layerMemory, EventBus.layerMemory)

const incoming = Publisher.make([Placed, Paid, Packed, Cancelled, Overdue])

const placed = Placed({ order: "o-1", total: 7 })

describe("Choreography that runs", () => {
  it.scoped("the same event twice: one set of commands, with the same ids (acceptance 23)", () =>
    Effect.gen(function*() {
      const { ids, send } = yield* ledger
      yield* Layer.build(Choreography.layerBus(Orders, { send, onError: {} }))
      yield* incoming.publish(placed)
      yield* incoming.publish(placed)
      yield* incoming.publish(Paid({ order: "o-1" }))
      yield* until(() => ids().length >= 2)
      yield* incoming.publish(placed)
      yield* incoming.publish(Paid({ order: "o-2" }))
      yield* incoming.publish(Placed({ order: "o-2", total: 1 }))
      yield* until(() => ids().length >= 4)
      assert.deepStrictEqual(ids(), [
        "orders/o-1/do/reserve",
        "orders/o-1/do/ship",
        "orders/o-2/do/reserve",
        "orders/o-2/do/ship"
      ])
    }).pipe(Effect.provide(services)))

  it.scoped("commands go over the bus to the service that handles them, with their id, key and the saga as correlation", () =>
    Effect.gen(function*() {
      const seen: Array<unknown> = []
      yield* Layer.build(Layer.merge(
        Subscription.layer("stock", {
          events: [Reserve, Release],
          handler: (command, { id, key, metadata }) =>
            Effect.sync(() => {
              seen.push([command._tag, id, key, metadata.correlationId])
            })
        }),
        Choreography.layerBus(Orders, {
          send: Choreography.toBus([Reserve, Release, Ship, Recall, Label, Tear]),
          onError: {
            BusError: OnError.deadLetter,
            InvalidEvent: OnError.deadLetter,
            MessageTooLarge: OnError.deadLetter
          }
        })
      ))
      yield* incoming.publish(placed)
      yield* incoming.publish(Cancelled({ order: "o-1" }))
      yield* until(() => seen.length >= 2)
      assert.deepStrictEqual(seen, [
        ["Reserve", "orders/o-1/do/reserve", "o-1", "o-1"],
        ["Release", "orders/o-1/undo/reserve", "o-1", "o-1"]
      ])
    }).pipe(Effect.provide(services)))

  it.effect("what was sent although nobody heard of it is sent again with the same id, and nothing else is", () =>
    Effect.gen(function*() {
      const { ids, sent } = yield* ledger
      const failing = yield* Ref.make(true)
      const send: Choreography.Send<Command, string, never> = (command, { id, saga }) =>
        Effect.gen(function*() {
          sent.push({ id, command, saga })
          if (command._tag === "Ship" && (yield* Ref.getAndSet(failing, false))) return yield* Effect.fail("lost")
        })
      yield* Choreography.take(Orders, { event: placed, at: 0 }, send)
      const paid = { event: Paid({ order: "o-1" }), at: 1 }
      assert.strictEqual(yield* Effect.flip(Choreography.take(Orders, paid, send)), "lost")
      yield* Choreography.take(Orders, paid, send)
      yield* Choreography.take(Orders, paid, send)
      assert.deepStrictEqual(ids(), ["orders/o-1/do/reserve", "orders/o-1/do/ship", "orders/o-1/do/ship"])
    }).pipe(Effect.provide(services)))

  it.effect("an event that comes while the saga is stuck still takes what was open with it", () =>
    Effect.gen(function*() {
      const { ids, send } = yield* ledger
      yield* Effect.flip(Choreography.take(Orders, { event: placed, at: 0 }, () => Effect.fail("down")))
      yield* Choreography.take(Orders, { event: Cancelled({ order: "o-1" }), at: 1 }, send)
      assert.deepStrictEqual(ids(), ["orders/o-1/do/reserve", "orders/o-1/undo/reserve"])
    }).pipe(Effect.provide(services)))

  it.effect("a deadline comes as an event: at its instant, whatever of it came twice or out of order", () =>
    Effect.scoped(Effect.gen(function*() {
      const { ids, sent, send } = yield* ledger
      yield* Layer.build(Choreography.layerDeadlines(Orders, send))
      const day = 86_400_000
      const take = (event: Parameters<(typeof Orders)["saga"]>[0], at: number) =>
        Choreography.take(Orders, { event, at }, send)
      yield* take(placed, 0)
      yield* take(Placed({ order: "paid", total: 1 }), 0)
      yield* take(Paid({ order: "paid" }), 1)
      // an event that was long on its way: its deadline counts from when it happened
      yield* TestClock.adjust(13 * day)
      yield* take(Placed({ order: "late", total: 1 }), 3 * day)
      yield* TestClock.adjust(day - 1)
      assert.deepStrictEqual(ids().filter((id) => id.includes("undo")), [])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(ids().filter((id) => id.includes("undo")), ["orders/o-1/undo/reserve"])
      yield* take(Overdue({ order: "o-1" }), 15 * day)
      yield* TestClock.adjust(3 * day)
      assert.deepStrictEqual(ids().filter((id) => id.includes("undo")), [
        "orders/o-1/undo/reserve",
        "orders/late/undo/reserve"
      ])
      // paid too late: what was undone stays so, and the rest follows as it would have
      yield* take(Paid({ order: "o-1" }), 18 * day)
      assert.strictEqual(sent.at(-1)!.id, "orders/o-1/do/ship")
      const timers = yield* Timers.Timers
      assert.strictEqual(yield* timers.count("choreography/orders"), 0)
    })).pipe(Effect.provide(services)))

  it.effect(
    "any interleaving and duplication, also at once, sends each command once and has the same net effects",
    () =>
      Effect.gen(function*() {
        let run = 0
        const property = FastCheck.asyncProperty(
          events.chain((events) => {
            const unique = events.filter((event, index) =>
              events.findIndex((other) =>
                other._tag === event._tag && other.order === event.order && Orders.key(other) === Orders.key(event)
              ) === index
            )
            return FastCheck.tuple(
              FastCheck.constant(unique),
              FastCheck.shuffledSubarray([...unique, ...unique], { minLength: unique.length * 2 })
            )
          }),
          ([unique, shuffled]) =>
            Effect.gen(function*() {
              run++
              const netOf = (prefix: string, events: typeof shuffled, concurrency: number) =>
                Effect.gen(function*() {
                  const effects = new Map<string, Command>()
                  let twice = 0
                  const send: Choreography.Send<Command, never, never> = (command, { id }) =>
                    Effect.zipRight(
                      Effect.yieldNow(),
                      Effect.sync(() => {
                        const key = id.slice(id.indexOf("/") + 1).replace(prefix, "")
                        if (effects.has(key)) twice++
                        effects.set(key, command)
                      })
                    )
                  yield* Effect.forEach(
                    events,
                    (event, at) =>
                      Choreography.take(Orders, { event: { ...event, order: `${prefix}${event.order}` }, at }, send),
                    {
                      concurrency,
                      discard: true
                    }
                  )
                  const standing = [...effects].filter(([key]) =>
                    key.includes("/do/") && !effects.has(key.replace("/do/", "/undo/"))
                  )
                  return { twice, net: standing.map(([key, command]) => `${key} ${command._tag}`).toSorted() }
                })
              const one = yield* netOf(`r${run}a-`, unique, 1)
              const other = yield* netOf(`r${run}b-`, shuffled, 1)
              const atOnce = yield* netOf(`r${run}c-`, shuffled, 4)
              assert.strictEqual(one.twice + other.twice, 0)
              // a rule that is undone without a compensation stands where it came first
              const comparable = (net: ReadonlyArray<string>) => net.filter((each) => !each.includes("/do/label"))
              assert.deepStrictEqual(comparable(other.net), comparable(one.net))
              assert.deepStrictEqual(comparable(atOnce.net), comparable(one.net))
            }).pipe(Effect.provide(services), Effect.runPromise)
        )
        yield* Effect.promise(() => FastCheck.assert(property, { numRuns: 12, seed: 11 }))
      }),
    30_000
  )

  const Shop = Category.make("shop", { events: [Placed, Paid, Packed, Cancelled, Overdue] })

  it.scoped(
    "over the store: sagas and place survive restarts, and nothing is sent twice",
    () =>
      Effect.gen(function*() {
        const filename = yield* tempFile()
        const { ids, send } = yield* ledger
        const start = Effect.gen(function*() {
          const base = Layer.merge(Sqlite.layer({ filename }), Layer.empty)
          return yield* Layer.build(
            Choreography.layerStore(Orders, { send }).pipe(
              Layer.provideMerge(SqlTimers.layer()),
              Layer.provideMerge(base)
            )
          )
        })
        yield* Effect.scoped(Effect.gen(function*() {
          const context = yield* start
          yield* Effect.provide(Shop.append("a", [placed, Placed({ order: "o-2", total: 2 })]), context)
          yield* until(() => ids().length >= 2)
        }))
        assert.deepStrictEqual(ids(), ["orders/o-1/do/reserve", "orders/o-2/do/reserve"])
        yield* Effect.scoped(Effect.gen(function*() {
          const context = yield* start
          yield* Effect.provide(
            Shop.append("b", [Cancelled({ order: "o-1" }), Paid({ order: "o-2" }), placed]),
            context
          )
          yield* until(() => ids().length >= 4)
          yield* live(Effect.sleep("50 millis"))
        }))
        assert.deepStrictEqual(ids().slice(2), ["orders/o-1/undo/reserve", "orders/o-2/do/ship"])
        // its deadline is kept as well: o-2 was paid, o-1 cancelled, o-3 is overdue after the next restart
        yield* Effect.scoped(Effect.gen(function*() {
          const context = yield* start
          yield* Effect.provide(Shop.append("c", [Placed({ order: "o-3", total: 3 })]), context)
          yield* until(() => ids().length >= 5)
          yield* live(Effect.sleep("50 millis"))
        }))
        yield* TestClock.adjust("20 days")
        yield* Effect.scoped(Effect.gen(function*() {
          yield* start
          yield* until(() => ids().length >= 6)
          yield* live(Effect.sleep("50 millis"))
        }))
        assert.deepStrictEqual(ids().slice(4), ["orders/o-3/do/reserve", "orders/o-3/undo/reserve"])
        assert.isAtLeast(yield* Clock.currentTimeMillis, 1)
      }),
    30_000
  )

  it.scoped("a failing store is tried again by the bus, and what fails for good of the command follows its verdict", () =>
    Effect.gen(function*() {
      const { ids, sent } = yield* ledger
      class Down extends Schema.TaggedError<Down>()("Down", {}) {}
      let failures = 2
      yield* Layer.build(Choreography.layerBus(Orders, {
        send: (command, { id, saga }) =>
          Effect.suspend(() => {
            if (failures-- > 0) return new Down()
            sent.push({ id, command, saga })
            return Effect.void
          }),
        onError: { Down: OnError.retry(Schedule.recurs(5), OnError.deadLetter) }
      }))
      yield* incoming.publish(placed)
      yield* until(() => ids().length >= 1)
      assert.deepStrictEqual(ids(), ["orders/o-1/do/reserve"])
    }).pipe(Effect.provide(services)))
})
