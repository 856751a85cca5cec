/** The forms of a saga are equal in every feature: a list and a body write one journal, and `transaction` does what an engine does. */
import { describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Option, Schedule, Schema, Stream, TestClock } from "effect"
import * as FromSteps from "effect-skald/saga/FromSteps"
import * as Saga from "effect-skald/saga/Saga"
import { SagaEngine } from "effect-skald/saga/SagaEngine"
import * as Journal from "effect-skald/saga/SagaJournal"
import { layerMemory } from "effect-skald/store/EventStore"
import { equal } from "../support/assert.ts"
import { define, eventually, Failed, operator, over, pause, test, until } from "../support/sagaFeatures.ts"

/** What happens outside: what was done and undone, with which keys and data. */
class World {
  readonly log: Array<string> = []
  open = false
  runs = 0
  say(...what: ReadonlyArray<unknown>): void {
    this.log.push(what.map((each) => typeof each === "string" ? each : JSON.stringify(each)).join(" "))
  }
}

type Data = { readonly [name: string]: unknown }

interface Part {
  readonly kind: "step" | "pivot" | "retriable" | "sleep"
  readonly name: string
  /** As `Saga.step` and the list's `step` know them, but for what is made below. */
  readonly options?: { readonly [option: string]: unknown }
  readonly fails?: (world: World) => Effect.Effect<unknown, Failed> | undefined
  /** Whether it has a compensation, and what that fails with. */
  readonly undo?: {
    readonly fails?: (world: World) => Effect.Effect<void, unknown>
    readonly retry?: Schedule.Schedule<unknown>
    readonly exhausted?: "intervene" | "continue"
  }
  readonly knows?: boolean
}

const gives = (name: string) => ({ [name]: Schema.Number })

const execute = (world: World, part: Part, data: Data, key: string): Effect.Effect<Data, Failed> =>
  Effect.suspend((): Effect.Effect<any, Failed> => {
    world.runs++
    world.say("do", part.name, data, key)
    return Effect.as(part.fails?.(world) ?? Effect.void, { [part.name]: part.name.length })
  })

const undo = (world: World, part: Part, told: { readonly _tag: string; readonly data: unknown }, key: string) =>
  Effect.suspend(() => {
    world.say("undo", part.name, told._tag, told.data, key)
    return part.undo?.fails?.(world) ?? Effect.void
  })

const resolve = (world: World, part: Part, data: Data, key: string) =>
  Effect.sync(() => {
    world.say("ask", part.name, data, key)
    return part.knows === true ? Option.some({ [part.name]: 77 }) : Option.none()
  })

/** As a body. */
const asBody = (world: World, parts: ReadonlyArray<Part>): Effect.Effect<string, Failed, Saga.Running> =>
  Effect.gen(function*() {
    let data: Data = { id: "x" }
    for (const part of parts) {
      if (part.kind === "sleep") {
        yield* Saga.sleep(part.name, "1 hour")
        continue
      }
      const before = data
      const make = Saga[part.kind] as (name: string, options: unknown) => Effect.Effect<Data, Failed, Saga.Running>
      const given = yield* make(part.name, {
        success: Schema.Struct(gives(part.name)),
        execute: (key: string) => execute(world, part, before, key),
        ...part.options,
        ...(part.options?.["onUnknown"] === "ask"
          ? { resolve: (key: string) => resolve(world, part, before, key) }
          : {}),
        ...(part.undo === undefined ? {} : {
          compensate: (outcome: Saga.Outcome<Data>, key: string) =>
            undo(
              world,
              part,
              { _tag: outcome._tag, data: outcome._tag === "Done" ? { ...before, ...outcome.value } : before },
              key
            ),
          ...(part.undo.retry === undefined ? {} : {
            compensateRetry: part.undo.retry,
            compensateExhausted: part.undo.exhausted
          })
        })
      })
      data = { ...before, ...given }
    }
    return JSON.stringify(data)
  })

/** As a list. */
const asList = (world: World, parts: ReadonlyArray<Part>) => {
  let list: any = FromSteps.make<{ readonly id: string }>()
  const compensate: { [name: string]: unknown } = {}
  for (const part of parts) {
    if (part.kind === "sleep") {
      list = list.sleep(part.name, "1 hour")
      continue
    }
    list = list[part.kind](part.name, {
      gives: gives(part.name),
      execute: (data: Data, key: string) => execute(world, part, data, key),
      ...part.options,
      ...(part.options?.["onUnknown"] === "ask"
        ? { resolve: (data: Data, key: string) => resolve(world, part, data, key) }
        : {})
    })
    const { undo: how } = part
    if (how === undefined) continue
    const run = (told: any, key: string) => undo(world, part, told, key)
    compensate[part.name] = how.retry === undefined ? run : { undo: run, retry: how.retry, exhausted: how.exhausted }
  }
  return list.body({ compensate, result: (data: Data) => JSON.stringify(data) }) as (
    payload: { readonly id: string }
  ) => Effect.Effect<string, Failed, Saga.Running>
}

const no = () => new Failed({ why: "no" })
const twice = Schedule.recurs(1)
const ends: Part = { kind: "step", name: "ends", fails: no }
const first: Part = { kind: "step", name: "first", undo: {} }
const block = ({ open, runs }: World) => open || runs > 3 ? undefined : Effect.never

interface Case {
  readonly parts: ReadonlyArray<Part>
  /** What is done with the saga until it ends; just to wait when not given. */
  readonly then?: (saga: string, world: World) => Effect.Effect<unknown, unknown, SagaEngine>
  /** Whether a first engine stops while the second part runs. */
  readonly restarts?: boolean
}

const act = (
  saga: string,
  how: (engine: typeof SagaEngine.Service, ref: { readonly saga: string; readonly id: string }) => Effect.Effect<
    unknown,
    unknown
  >
) =>
  Effect.flatMap(SagaEngine, (engine) => {
    const ref = { saga, id: "x" }
    return Effect.zipRight(
      eventually(Effect.map(engine.status(ref), ({ interventions }) => interventions.length > 0)),
      Effect.suspend(() => how(engine, ref))
    )
  })
const opened = (saga: string, world: World) =>
  act(saga, (engine, ref) => {
    world.open = true
    return engine.retry(ref, operator)
  })

/** Where nobody has to act, and no engine stops: `transaction` does the same. */
const inMemory: { readonly [feature: string]: Case } = {
  "all goes well": { parts: [first, { kind: "step", name: "second", undo: {} }] },
  "the last fails": { parts: [first, { ...ends, undo: {} }] },
  "retries that fail": { parts: [first, { ...ends, undo: {}, options: { retry: Schedule.recurs(2) } }] },
  "retries that come to an end": {
    parts: [first, {
      kind: "step",
      name: "again",
      options: { retry: Schedule.recurs(5) },
      fails: ({ runs }) => runs < 4 ? no() : undefined
    }]
  },
  "a failure without effect": { parts: [first, { ...ends, undo: {}, options: { noEffectOn: () => true } }] },
  "a key for each attempt": { parts: [first, { ...ends, undo: {}, options: { keyPer: "attempt", retry: twice } }] },
  "a defect": { parts: [first, { kind: "step", name: "dies", undo: {}, fails: () => Effect.die("a bug") }] },
  "a pivot that succeeds, and what comes after it": {
    parts: [first, { kind: "pivot", name: "pivot" }, { kind: "retriable", name: "after" }]
  },
  "a pivot that fails": { parts: [first, { kind: "pivot", name: "pivot", fails: no }] },
  "a compensation that is tried again": {
    parts: [first, {
      kind: "step",
      name: "second",
      undo: {
        fails: (world) => world.log.length < 6 ? Effect.fail("down") : Effect.void,
        retry: Schedule.recurs(5),
        exhausted: "intervene"
      }
    }, ends]
  },
  "a compensation that is left": {
    parts: [first, {
      kind: "step",
      name: "second",
      undo: { fails: () => Effect.fail("down"), retry: twice, exhausted: "continue" }
    }, ends]
  },
  "a sleep": { parts: [first, { kind: "sleep", name: "nap" }, { kind: "step", name: "second" }] },
  "a time limit": {
    parts: [first, {
      kind: "step",
      name: "slow",
      undo: {},
      options: { timeout: "1 minute" },
      fails: () => Effect.never
    }]
  }
}

const withEngine: { readonly [feature: string]: Case } = {
  "a defect, and a person": {
    parts: [first, {
      kind: "step",
      name: "dies",
      options: { onDefect: "intervene" },
      fails: ({ open }) => open ? undefined : Effect.die("a bug")
    }],
    then: opened
  },
  "a retriable one that is exhausted": {
    parts: [first, { kind: "pivot", name: "pivot" }, {
      kind: "retriable",
      name: "after",
      options: { retry: twice },
      fails: ({ open }) => open ? undefined : no()
    }],
    then: opened
  },
  "a compensation that a person skips": {
    parts: [first, {
      kind: "step",
      name: "second",
      undo: { fails: () => Effect.fail("down"), retry: twice, exhausted: "intervene" }
    }, ends],
    then: (saga) => act(saga, (engine, ref) => engine.skip(ref, { step: "second", ...operator }))
  },
  ...Object.fromEntries(
    (["retry", "ask", "compensate", "intervene"] as const).flatMap((onUnknown) =>
      [true, false].map((knows): readonly [string, Case] => [
        `an outcome that nobody knows: ${onUnknown}${onUnknown === "ask" && knows ? ", and it is known" : ""}`,
        {
          restarts: true,
          parts: [first, { kind: "step", name: "open", knows, undo: {}, options: { onUnknown }, fails: block }],
          ...(onUnknown === "intervene" ? { then: opened } : {})
        }
      ])
    )
  )
}

const journalOf = (saga: string) =>
  Effect.map(
    Stream.runCollect(Journal.Sagas.read(Journal.idOf(saga, "x"))),
    (events) =>
      Array.from(events, ({ payload }) => {
        const moving = ["seed", "due", "instants", "next", "host"]
        return JSON.stringify(payload, (name, value) => moving.includes(name) ? 0 : value).replaceAll(saga, "saga")
      })
  )

/** Time goes on, by minutes, until a fiber has ended. */
const timePasses = <A, E>(fiber: Fiber.RuntimeFiber<A, E>) =>
  Effect.zipRight(
    Effect.iterate(0, {
      while: () => fiber.unsafePoll() === null,
      body: (n) => Effect.as(Effect.zipRight(pause, TestClock.adjust("10 minutes")), n + 1)
    }),
    Fiber.join(fiber)
  )

describe("a list and a body write one journal", () => {
  for (const [feature, { parts, restarts, then }] of Object.entries({ ...inMemory, ...withEngine })) {
    test(feature, () => {
      const ran = (name: string, form: typeof asList) => {
        const world = new World()
        const Made = define(name)
        const live = Made.toLayer(form(world, parts))
        return Effect.gen(function*() {
          if (restarts === true) {
            yield* Effect.zipRight(
              Made.start({ id: "x" }),
              Effect.zipRight(until(Made, "x", "running"), eventually(Effect.sync(() => world.runs === 2)))
            ).pipe(over(live))
            world.open = then === undefined
          }
          const exit = yield* Effect.gen(function*() {
            yield* Made.start({ id: "x" })
            const acted = yield* Effect.fork(then?.(name, world) ?? Effect.void)
            if (then !== undefined) yield* Fiber.join(acted)
            return yield* timePasses(yield* Effect.fork(Effect.exit(Made.run({ id: "x" }))))
          }).pipe(over(live))
          return {
            exit: JSON.stringify(exit).replaceAll(name, "saga"),
            log: world.log.map((entry) => entry.replaceAll(name, "saga")),
            journal: yield* journalOf(name)
          }
        })
      }
      return Effect.gen(function*() {
        const list = yield* ran("listed", asList)
        equal(list, yield* ran("written", (world, parts) => () => asBody(world, parts)))
        equal(list.journal.at(-1)?.includes("SagaEnded"), true)
      })
    })
  }
})

describe("without an engine the same is done and undone, with the same end", () => {
  for (const [feature, { parts }] of Object.entries(inMemory)) {
    it.scoped(feature, () => {
      const Made = define("made")
      const [engine, memory] = [new World(), new World()]
      const keyless = (world: World) => world.log.map((entry) => entry.replace(/(made\/x|transaction\/[^/]*)\//, ""))
      const tags = <A, E>(exit: Exit.Exit<A, E>) =>
        Exit.match(exit, {
          onSuccess: (value) => `${value}`,
          onFailure: (cause) => cause._tag === "Fail" ? JSON.stringify(cause.error) : cause._tag
        })
      return Effect.gen(function*() {
        const durable = yield* Effect.exit(Made.run({ id: "x" })).pipe(Effect.fork, Effect.flatMap(timePasses))
        const plain = yield* Effect.exit(Saga.transaction(asBody(memory, parts))).pipe(
          Effect.fork,
          Effect.flatMap(timePasses)
        )
        equal(keyless(memory), keyless(engine))
        equal(tags(plain), tags(durable))
      }).pipe(
        over(Made.toLayer(() => asBody(engine, parts))),
        Effect.provide(Layer.fresh(layerMemory))
      )
    })
  }
})
