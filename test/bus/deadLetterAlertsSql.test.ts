// needs: native addon
import { assert, describe, it } from "@effect/vitest"
import * as DeadLetterAlerts from "effect-skald/bus/DeadLetterAlerts"
import * as EventBus from "effect-skald/bus/EventBus"
import * as OnError from "effect-skald/bus/OnError"
import * as Publisher from "effect-skald/bus/Publisher"
import * as SqlBus from "effect-skald/bus/Sql"
import * as StoreBus from "effect-skald/bus/StoreBus"
import * as Subscription from "effect-skald/bus/Subscription"
import * as Event from "effect-skald/event/Event"
import * as Retryability from "effect-skald/resilience/Retryability"
import * as Sqlite from "effect-skald/Sqlite"
import * as SqliteClient from "effect-skald/store/SqliteClient"
import { Effect, Layer, Schedule, Schema, type Scope, Stream } from "effect"
import * as Postgres from "../support/postgres.ts"
import * as Servers from "../support/servers.ts"
import { tempFile } from "../support/tempDirectory.ts"

const Placed = Event.make("Placed", { n: Schema.Number })
const bus = Publisher.make([Placed])

class Wrong extends Schema.TaggedError<Wrong>()("Wrong", {}, Retryability.permanent) {}

const numbers = (count: number, from = 0) => Array.from({ length: count }, (_, n) => from + n)

/** Waits for what other programs do, in real time. */
const until = (what: () => string, condition: () => boolean) =>
  Effect.suspend(() => condition() ? Effect.void : Effect.fail(what())).pipe(
    Effect.retry(Schedule.spaced("10 millis").pipe(Schedule.upTo("15 seconds")))
  )

/** Handles so many messages, of which every fifth is put aside, and ends. */
const handles = (
  program: Layer.Layer<EventBus.EventBus, unknown>,
  name: string,
  messages: ReadonlyArray<number>
) =>
  Effect.gen(function*() {
    let seen = 0
    yield* Subscription.run(name, {
      events: [Placed],
      handler: ({ n }) => Effect.suspend(() => ++seen && n % 5 === 0 ? Effect.fail(new Wrong()) : Effect.void),
      onError: { Wrong: OnError.deadLetter }
    })
    yield* bus.publishAll(messages.map((n) => Placed({ n })))
    yield* until(() => `${seen} of ${messages.length}`, () => seen === messages.length)
  }).pipe(Effect.scoped, Effect.provide(program))

/** Who looks, and handles nothing. */
const looks = (program: Layer.Layer<EventBus.EventBus, unknown>, options?: DeadLetterAlerts.Options) =>
  Effect.gen(function*() {
    const alerts: Array<DeadLetterAlerts.Alert> = []
    yield* DeadLetterAlerts.alerts(options).pipe(
      Stream.runForEach((alert) => Effect.sync(() => void alerts.push(alert))),
      Effect.provide(program),
      Effect.forkScoped
    )
    // its first look is what it counts from
    yield* Effect.sleep("500 millis")
    return alerts
  })

const told = (alerts: ReadonlyArray<DeadLetterAlerts.Alert>) =>
  alerts.map(({ failures, messages, rate, subscription }) => [subscription, failures, messages, rate])

/** `open` is a program of its own, with its own connections, over one database. */
const cases = (
  open: Effect.Effect<() => Layer.Layer<EventBus.EventBus, unknown>, never, Scope.Scope>
) => {
  it.scopedLive("one alert for what two programs put aside together, told to a third that handles nothing", () =>
    Effect.gen(function*() {
      const program = yield* open
      const alerts = yield* looks(program())
      // 2 of 10 in each: too few to say in either of them, and just enough together
      yield* handles(program(), "mail", numbers(10))
      yield* handles(program(), "mail", numbers(10, 10))
      yield* until(() => "no alert", () => alerts.length > 0)
      assert.deepStrictEqual(told(alerts), [["mail", 4, DeadLetterAlerts.defaultMinimum, 0.2]])
      // what one who comes later did not see does not count for it, and the first has told of it
      const later = yield* looks(program())
      yield* handles(program(), "mail", numbers(10, 20))
      yield* Effect.sleep("1500 millis")
      assert.deepStrictEqual([alerts.length, later.length], [1, 0])
    }))
}

describe("alerts over one SQLite file", () => {
  cases(
    Effect.map(
      tempFile(),
      (filename) => () => Layer.fresh(Layer.provide(SqlBus.layer(), SqliteClient.layer({ filename })))
    )
  )

  it.scopedLive("a bus backed by the store counts each message once", () =>
    Effect.gen(function*() {
      const filename = yield* tempFile()
      const program = () => Layer.fresh(Layer.provide(StoreBus.layer(), Sqlite.layer({ filename })))
      const alerts = yield* looks(program())
      yield* handles(program(), "mail", numbers(10))
      yield* handles(program(), "mail", numbers(10, 10))
      yield* until(() => "no alert", () => alerts.length > 0)
      assert.deepStrictEqual(told(alerts), [["mail", 4, 20, 0.2]])
    }))

  it.scopedLive("what a subscription did that has ended is forgotten when a program begins", () =>
    Effect.gen(function*() {
      const filename = yield* tempFile()
      const program = Layer.fresh(Layer.provide(SqlBus.layer(), SqliteClient.layer({ filename })))
      const names = Effect.flatMap(
        EventBus.EventBus,
        ({ tallies }) => Effect.map(tallies!, (all) => all.map(({ subscription }) => subscription).sort())
      )
      yield* Effect.gen(function*() {
        let seen = 0
        const handler = () => Effect.sync(() => void seen++)
        yield* Subscription.run("passing", { events: [Placed], kept: false, handler })
        yield* Subscription.run("lasting", { events: [Placed], handler })
        yield* bus.publish(Placed({ n: 1 }))
        yield* until(() => `${seen}`, () => seen === 2)
        // told by the bus's end
      }).pipe(Effect.scoped, Effect.provide(program))
      yield* Effect.gen(function*() {
        yield* names.pipe(
          Effect.filterOrFail((all) => all.length === 1),
          Effect.retry(Schedule.spaced("10 millis").pipe(Schedule.upTo("10 seconds")))
        )
        assert.deepStrictEqual(yield* names, ["lasting"])
      }).pipe(Effect.provide(program))
    }))
})

Servers.suite("postgres", "alerts over one PostgreSQL", (url) => {
  cases(
    Effect.map(
      Postgres.prefix(url),
      (prefix) => () => Layer.fresh(Layer.provide(SqlBus.layer({ prefix }), Postgres.client(url)))
    )
  )
})
