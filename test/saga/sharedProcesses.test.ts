/** Sagas that several processes carry through over one PostgreSQL, and what becomes of those of one that dies or stands still. */
import { assert, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Schema, Stream } from "effect"
import * as Saga from "effect-skald/saga/Saga"
import * as SagaEngine from "effect-skald/saga/SagaEngine"
import * as SagaJournal from "effect-skald/saga/SagaJournal"
import * as Placement from "effect-skald/saga/Placement"
import * as Timers from "effect-skald/saga/Timers"
import * as PostgresStore from "effect-skald/store/Postgres"
import { equal } from "../support/assert.ts"
import * as Hand from "../support/handPlacement.ts"
import * as Postgres from "../support/postgres.ts"
import { bundle, run } from "../support/program.ts"
import * as Servers from "../support/servers.ts"

const Order = Saga.make("order", {
  version: 1,
  payload: Schema.Struct({ id: Schema.String }),
  success: Schema.String,
  error: Schema.String,
  idempotencyKey: ({ id }) => id
})

const until = (what: string, isSo: () => boolean, millis = 15_000) =>
  Effect.promise(async () => {
    const end = Date.now() + millis
    while (!isSo() && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 20))
    assert.isTrue(isSo(), what)
  })

const ids = Array.from({ length: 12 }, (_, number) => `o-${number}${number % 2 === 0 ? "-long" : ""}`)

Servers.suite("postgres", "Sagas of several processes on PostgreSQL", (url) => {
  it.scopedLive(
    "a killed one is replaced in less than 10 s, one that stood still cannot write, and every step is done",
    () =>
      Effect.gen(function*() {
        const prefix = yield* Postgres.prefix(url)
        const program = yield* Effect.acquireRelease(
          Effect.promise(() => bundle("test/support/sagaHost.ts")),
          ({ remove }) => Effect.sync(remove)
        )
        const child = (host: string, idleAfter = "500 millis") =>
          Effect.acquireRelease(
            Effect.sync(() => run(program.file, url, prefix, host, idleAfter)),
            ({ kill }) => Effect.promise(kill)
          )
        type Child = Effect.Effect.Success<ReturnType<typeof child>>
        const owns = (process: Child) =>
          Number(process.lines.findLast((line) => line.includes(" owns "))?.split(" ")[2])
        const done = (step: string, ...processes: ReadonlyArray<Child>) =>
          new Set(
            processes.flatMap(({ lines }) => lines.filter((line) => line.includes(` do ${step} `))).map((line) =>
              line.split(" ")[3]
            )
          ).size

        const first = yield* child("first")
        yield* until("the first has all", () => owns(first) === 8)
        const second = yield* child("second", "1 hour")
        yield* until("they share", () => owns(first) === 4 && owns(second) === 4)

        // this process has no shard: it starts sagas, tells them things, and hears of their ends
        const context = yield* Layer.build(
          SagaEngine.layerSharedOf(Order.toLayer(() => Effect.die("not here")), { host: "asking" }).pipe(
            Layer.provideMerge(PostgresStore.layer({ prefix })),
            Layer.provide([
              Postgres.client(url),
              Timers.layerMemory,
              Layer.succeed(Placement.Placement, Context.get(Hand.make().layerContext("none"), Placement.Placement))
            ])
          )
        )
        const here = Effect.provide(context)
        const journal = (id: string) =>
          Effect.map(
            here(Stream.runCollect(SagaJournal.Sagas.read(SagaJournal.idOf("order", id)))),
            (events) => Array.from(events, ({ payload }) => payload)
          )
        yield* Effect.forEach(ids, (id) => here(Order.start({ id })), { discard: true })
        yield* until("all have begun", () => done("a", first, second) === ids.length)

        // killed while some sleep in memory, and some were let go
        const killed = Date.now()
        yield* Effect.promise(first.kill)
        yield* until("all have slept", () => done("b", first, second) === ids.length)
        assert.isBelow(Date.now() - killed, 10_000)

        // stands still for longer than its leases, with sagas that wait in memory and some that do not
        const third = yield* child("third")
        yield* until("they share", () => owns(third) === 4 && owns(second) === 4)
        second.process.kill("SIGSTOP")
        yield* until("the third has all", () => owns(third) === 8)
        const results = yield* Effect.fork(
          Effect.forEach(ids, (id) => here(Order.run({ id })), { concurrency: "unbounded" })
        )
        yield* Effect.forEach(ids, (id) => here(Order.signal(id, { name: "go", schema: Schema.String, value: "!" })), {
          concurrency: 4,
          discard: true
        })
        equal(new Set(yield* Fiber.join(results)), new Set(["third"]))
        // it still has sagas in memory that wait for the signal, which it is about to hear
        const said = second.lines.length
        second.process.kill("SIGCONT")
        yield* until("it goes on", () => second.lines.length > said)
        yield* until("they share again", () => owns(third) === 4 && owns(second) === 4)

        for (const id of ids) {
          const events = yield* journal(id)
          // after the third has said that it has the saga nobody else writes what an owner does
          const taken = events.findIndex((event) => event._tag === "SagaResumed" && event.host === "third")
          assert.isAbove(taken, 0)
          // (a busy machine may make it lose and take a shard again: it says so once more)
          equal(events.slice(taken + 1).filter((event) => event._tag === "SagaResumed" && event.host !== "third"), [])
          equal(events.filter((event) => event._tag === "SagaStepDone").map(({ step }) => step), ["a", "b", "c"])
          equal(events.at(-1)?._tag, "SagaEnded")
        }
        const lines = [first, second, third].flatMap((each) => each.lines)
        equal(lines.filter((line) => line.includes("undo")), [], "no shutdown, and no takeover, undoes anything")
        equal(second.lines.filter((line) => line.includes(" do c ")), [])
      }),
    180_000
  )
})
