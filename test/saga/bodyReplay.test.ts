/** A body that runs again over its journal sees what it saw before; what is its own ends with it. */
import { assert, describe } from "@effect/vitest"
import { Clock, Effect, Random, Schema, TestClock } from "effect"
import * as Saga from "effect-skald/saga/Saga"
import { equal } from "../support/assert.ts"
import { define, eventually, leave, over, running, step, test, until } from "../support/sagaFeatures.ts"

const hear = (name: string) => Effect.orDie(Saga.signal(name, { schema: Schema.String }))

const tell = (saga: ReturnType<typeof define>, name: string, value: string) =>
  saga.signal("x", { name, schema: Schema.String, value })

describe("a body that runs again", () => {
  test("draws the same numbers and reads the same times, before and after its steps", () => {
    const Draws = define("draws")
    const log: Array<string> = []
    const seen: Array<ReadonlyArray<number>> = []
    const live = Draws.toLayer(() =>
      Effect.gen(function*() {
        const before = [yield* Random.next, yield* Clock.currentTimeMillis]
        yield* step(log, "a")
        yield* Saga.sleep("nap", "1 hour")
        const after = [yield* Random.next, yield* Clock.currentTimeMillis]
        seen.push([...before, ...after])
        return yield* hear("go")
      })
    )
    return Effect.gen(function*() {
      yield* TestClock.adjust("1 day")
      yield* leave(Draws, live, "waiting")
      yield* TestClock.adjust("1 hour")
      yield* eventually(Effect.sync(() => seen.length === 1)).pipe(over(live))
      yield* TestClock.adjust("5 hours")
      yield* Effect.gen(function*() {
        yield* until(Draws, "x", "waiting")
        yield* tell(Draws, "go", "gone")
        equal(yield* Draws.run({ id: "x" }), "gone")
      }).pipe(over(live))
      // it is let go, too, where it only waits
      assert.isAtLeast(seen.length, 2)
      equal(seen, seen.map(() => seen[0]))
      const [drawn, begun, again, woken] = seen[0]!
      equal([drawn === again, begun, woken], [false, 86_400_000, 90_000_000])
      equal(log, ["a"])
    })
  })

  test("has the winner of a race that it had, although the loser's signal has come since", () => {
    const Races = define("races")
    const live = Races.toLayer(() =>
      Effect.gen(function*() {
        const won = yield* Effect.raceFirst(hear("answer"), Effect.as(Saga.sleep("limit", "1 hour"), "limit"))
        return `${won}, ${yield* hear("go")}`
      })
    )
    return Effect.gen(function*() {
      yield* leave(Races, live, "waiting")
      yield* TestClock.adjust("2 hours")
      const steps = Effect.map(Races.status("x"), (status) => status.steps.map(({ name, state }) => `${name} ${state}`))
      const lost = ["answer lost", "limit done", "go waiting"]
      yield* eventually(Effect.map(steps, (all) => all.toSorted().join() === lost.toSorted().join())).pipe(over(live))
      yield* Effect.gen(function*() {
        yield* tell(Races, "answer", "yes")
        yield* tell(Races, "go", "gone")
        equal(yield* Races.run({ id: "x" }), "limit, gone")
      }).pipe(over(live))
    })
  })

  test("has a Scope of its own that closes whenever it stops, with no compensation, and at its end", () => {
    const Opens = define("opens")
    const log: Array<string> = []
    const live = Opens.toLayer(() =>
      Effect.gen(function*() {
        yield* Effect.acquireRelease(Effect.sync(() => log.push("open")), () => Effect.sync(() => log.push("close")))
        yield* step(log, "a")
        return yield* hear("go")
      })
    )
    return Effect.gen(function*() {
      yield* leave(Opens, live, "waiting")
      equal(log, ["open", "a", "close"])
      yield* Effect.zipRight(tell(Opens, "go", "gone"), Opens.run({ id: "x" })).pipe(over(live))
      equal(log, ["open", "a", "close", "open", "close"])
    })
  })
})

describe("a deadline that passes", () => {
  test("after the pivot: the saga goes on forwards, and is said to be late", () => {
    const Late = define("late", { deadline: "1 hour" })
    const log: Array<string> = []
    const live = Late.toLayer(() =>
      Effect.gen(function*() {
        yield* step(log, "a")
        yield* Saga.pivot("p", { success: Schema.Void, execute: () => Effect.sync(() => void log.push("p")) })
        yield* Saga.sleep("nap", "2 hours")
        return "done"
      })
    )
    return Effect.gen(function*() {
      const end = yield* running(Late.run({ id: "x" }))
      yield* until(Late, "x", "waiting")
      equal((yield* Late.status("x")).late, false)
      yield* TestClock.adjust("1 hour")
      yield* eventually(Effect.map(Late.status("x"), ({ late }) => late))
      equal((yield* Late.status("x")).state, "waiting")
      yield* TestClock.adjust("1 hour")
      const exit = yield* end
      equal([exit._tag, (yield* Late.status("x")).state, (yield* Late.status("x")).late], [
        "Success",
        "completed",
        true
      ])
      equal(log, ["a", "p"])
    }).pipe(over(live))
  })
})
