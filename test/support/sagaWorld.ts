/** Sagas over a world that remembers, in processes that die at a write to the journal, before it or after it. */
import { assert } from "@effect/vitest"
import { Deferred, Effect, Exit, Layer, Option, Schedule, Schema, Stream } from "effect"
import * as Saga from "effect-skald/saga/Saga"
import * as SagaEngine from "effect-skald/saga/SagaEngine"
import * as SagaJournal from "effect-skald/saga/SagaJournal"
import { EventStore, type Service } from "effect-skald/store/EventStore"
import { equal } from "./assert.ts"

class Refused extends Schema.TaggedError<Refused>()("Refused", { at: Schema.String }) {}

/** What stands in the world outside: effects by idempotency key, and what was done, in order. */
class World {
  readonly effects = new Map<string, string>()
  readonly log: Array<string> = []
  readonly keys = new Map<string, Set<string>>()
  do(name: string, key: string): string {
    this.log.push(`do ${name}`)
    if (!this.effects.has(key)) this.effects.set(key, name)
    this.keys.set(name, (this.keys.get(name) ?? new Set()).add(key))
    return `${name}!`
  }
  undo(name: string, key: string): void {
    this.log.push(`undo ${name}`)
    this.effects.delete(key)
  }
}

export type When = "never" | "before" | "after"

/** A step that fails where it is told to: before its effect, or after it. */
const act = (world: World, name: string, fails: When, options: { readonly retry?: Schedule.Schedule<unknown> } = {}) =>
  Saga.step(name, {
    success: Schema.String,
    execute: (key) =>
      Effect.suspend(() => {
        if (fails === "before") return new Refused({ at: name })
        const done = world.do(name, key)
        return fails === "after" ? new Refused({ at: name }) : Effect.succeed(done)
      }),
    compensate: (outcome, key) =>
      Effect.sync(() => {
        if (outcome._tag === "Done") equal(outcome.value, `${name}!`)
        world.undo(name, key)
      }),
    ...options
  })

type Body = (
  world: World,
  fails: (name: string) => When
) => Effect.Effect<string, Refused, Saga.Running>

export const bodies: { readonly [name: string]: { readonly body: Body; readonly steps: ReadonlyArray<string> } } = {
  sequence: {
    steps: ["a", "b", "c"],
    body: (world, fails) =>
      Effect.gen(function*() {
        const a = yield* act(world, "a", fails("a"))
        const b = yield* act(world, "b", fails("b"), { retry: Schedule.recurs(1) })
        const c = yield* act(world, "c", fails("c"))
        return a + b + c
      })
  },
  parallel: {
    steps: ["a", "b", "c", "d"],
    body: (world, fails) =>
      Effect.gen(function*() {
        const a = yield* act(world, "a", fails("a"))
        const [b, c] = yield* Effect.all([act(world, "b", fails("b")), act(world, "c", fails("c"))], {
          concurrency: "unbounded"
        })
        return a + b + c + (yield* act(world, "d", fails("d")))
      })
  },
  race: {
    steps: ["a", "d"],
    body: (world, fails) =>
      Effect.gen(function*() {
        const slow = Saga.step("slow", {
          success: Schema.String,
          execute: (key) => Effect.zipRight(Effect.sync(() => world.do("slow", key)), Effect.never),
          compensate: (_, key) => Effect.sync(() => world.undo("slow", key))
        })
        const first = yield* Effect.raceFirst(Effect.zipLeft(act(world, "a", fails("a")), Effect.sleep(0)), slow)
        return first + (yield* act(world, "d", fails("d")))
      })
  },
  nested: {
    steps: ["a", "inner/b", "inner/c", "d"],
    body: (world, fails) =>
      Effect.gen(function*() {
        const a = yield* act(world, "a", fails("a"))
        const inner = yield* Saga.nested(
          "inner",
          Effect.zipWith(act(world, "b", fails("inner/b")), act(world, "c", fails("inner/c")), (b, c) => b + c)
        ).pipe(Effect.catchTag("Refused", () => Effect.succeed("-")))
        return a + inner + (yield* act(world, "d", fails("d")))
      })
  },
  pivot: {
    steps: ["a", "p", "r"],
    body: (world, fails) =>
      Effect.gen(function*() {
        const a = yield* act(world, "a", fails("a"))
        const p = yield* Saga.pivot("p", {
          success: Schema.String,
          execute: (key) => fails("p") === "never" ? Effect.sync(() => world.do("p", key)) : new Refused({ at: "p" })
        })
        yield* Saga.sleep("nap", "1 millis")
        const r = yield* Saga.retriable("r", {
          success: Schema.String,
          execute: (key) => Effect.sync(() => world.do("r", key))
        })
        return a + p + r
      })
  }
}

/** A process over the store that dies at its n-th append, before or after it was written. */
const dyingAt = (store: Service, at: number, when: "before" | "after") =>
  Effect.map(Deferred.make<void>(), (died) => {
    let appends = 0
    const dying: Service = {
      ...store,
      append: (groups, options) =>
        Effect.suspend(() => {
          appends++
          if (appends < at) return store.append(groups, options)
          const dead = Effect.zipRight(Deferred.succeed(died, undefined), Effect.die("the process is dead"))
          return appends === at && when === "after" ? Effect.zipRight(store.append(groups, options), dead) : dead
        })
    }
    return { dying, died: Deferred.await(died), appends: () => appends }
  })

export const check = (
  name: string,
  failing: string | undefined,
  how: When,
  crashes: ReadonlyArray<readonly [number, "before" | "after"]>
) =>
  Effect.gen(function*() {
    const { body } = bodies[name]!
    const world = new World()
    const Tried = Saga.make(name, {
      version: 1,
      payload: Schema.Struct({ id: Schema.String }),
      success: Schema.String,
      error: Refused,
      idempotencyKey: ({ id }) => id
    })
    const live = Tried.toLayer(() => body(world, (step) => step === failing ? how : "never"))
    const store = yield* EventStore
    let result: Exit.Exit<unknown, unknown> | undefined
    let appends = 0
    for (const [at, when] of [...crashes, [Number.POSITIVE_INFINITY, "before"] as const]) {
      const process = yield* dyingAt(store, at, when)
      const run = Effect.exit(Tried.run({ id: "x" }))
      const engine = SagaEngine.layerOf(live, { patience: "2 seconds" }).pipe(
        Layer.provide(Layer.succeed(EventStore, process.dying))
      )
      const ended = yield* Effect.raceFirst(
        Effect.asSome(run),
        Effect.as(process.died, Option.none())
      ).pipe(
        Effect.provide(engine),
        Effect.timeout("5 seconds"),
        Effect.catchTag("TimeoutException", () =>
          Effect.flatMap(
            Stream.runCollect(SagaJournal.Sagas.read(SagaJournal.idOf(name, "x"))),
            (events) => Effect.die(new Error(`stuck: ${JSON.stringify(Array.from(events, (event) => event.payload))}`))
          )),
        Effect.orDie
      )
      appends = process.appends()
      if (Option.isSome(ended)) result = ended.value
    }
    assert(result !== undefined)
    const journal = Array.from(yield* Stream.runCollect(SagaJournal.Sagas.read(SagaJournal.idOf(name, "x"))))
    const last = journal.at(-1)!.payload
    const told = () =>
      `${name} ${failing} ${how} ${JSON.stringify(crashes)}\n${world.log.join(", ")}\n${
        journal.map((event) => JSON.stringify(event.payload)).join("\n")
      }`
    assert(last._tag === "SagaEnded", told())
    equal(journal.filter((event) => event.type === "SagaEnded").length, 1, told())
    const left = Array.from(world.effects.values()).sort()
    if (last.state === "completed") {
      assert(Exit.isSuccess(result), told())
      const expected = name === "nested" && failing?.startsWith("inner/") === true
        ? ["a", "d"]
        : bodies[name]!.steps.map((step) => step.split("/").at(-1)!).sort()
      equal(left, expected, told())
    } else {
      assert(Exit.isFailure(result), told())
      equal(left, [], told())
      assert(failing !== undefined, told())
    }
    for (const keys of world.keys.values()) equal(keys.size, 1, told())
    return appends
  })
