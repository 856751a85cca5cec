/**
 * Crashes a saga at every point where it can crash, and looks whether all or nothing has happened in the end.
 *
 * The saga runs over services of yours that keep their effects in a {@link Ledger}. Each case is a world of its own, with a store,
 * a clock and one engine after the other: a crash stops all that an engine does, between two effects or two writes to its
 * journal, and the next engine goes on from there. Time costs nothing: retries that wait for hours are tried at once.
 *
 * @since 0.1.0
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Engine from "../internal/saga/engine.ts"
import * as MemoryTimers from "../internal/saga/memoryTimers.ts"
import * as Placement from "../internal/saga/placement.ts"
import * as Verify from "../internal/testing/sagaCrash.ts"
import * as Simulation from "../internal/testing/simulation.ts"
import type * as Saga from "../saga/Saga.ts"
import * as SagaEngine from "../saga/SagaEngine.ts"
import * as Journal from "../saga/SagaJournal.ts"
import * as Timers from "../saga/Timers.ts"
import * as EventStore from "../store/EventStore.ts"

/**
 * Before an effect has happened, or after it, when only its answer is lost.
 *
 * @since 0.1.0
 * @category models
 */
export type When = "before" | "after"

/**
 * What goes wrong in a case, beside crashes: a step fails, at its first attempt or at all of them, and a compensation fails at
 * its first one.
 *
 * @since 0.1.0
 * @category models
 */
export interface Scenario {
  readonly step?: { readonly name: string; readonly when: When; readonly times: "once" | "always" } | undefined
  readonly undo?: { readonly name: string; readonly when: When } | undefined
}

/**
 * What the services of a saga keep their effects in. An effect is told by its step and its idempotency key: one with the same
 * key happens once.
 *
 * @since 0.1.0
 * @category models
 */
export interface Ledger {
  /** What a step does. Fails with what is given, where the case says that this step fails. */
  readonly perform: <E>(step: string, key: string, failure: () => E) => Effect.Effect<void, E>
  /** What its compensation does; where it can fail, say with what, and the cases have it fail. */
  readonly undo: <E = never>(step: string, key: string, failure?: (() => E) | undefined) => Effect.Effect<void, E>
}

/**
 * What is crashed, and how often.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<P, A, Err> {
  readonly saga: Saga.Saga<P, A, Err>
  /** The input of the case of a number; ids must differ where cases share a store. */
  readonly payload: (number: number) => P
  /** The saga's layer, over services with this ledger. */
  readonly live: (ledger: Ledger) => Layer.Layer<never, never, SagaEngine.SagaEngine>
  /** The store; each case builds it anew when not given, in memory. */
  readonly store?: Layer.Layer<EventStore.EventStore, unknown> | undefined
  /** Whether the store talks to something outside of this process: milliseconds to wait for it. */
  readonly quiet?: number | undefined
  /** Crashes of one case: every point, and every pair of points, when 2 is given; 2 when not given. */
  readonly crashes?: 0 | 1 | 2 | undefined
  /** So many cases, drawn at random from all; all of them when not given. */
  readonly maxCases?: number | undefined
  /** Of the draw; 1 when not given. */
  readonly seed?: number | undefined
  /** The most attempts of one step, or of one compensation, without any crash; each crash may add one. 10 when not given. */
  readonly maxAttempts?: number | undefined
}

/**
 * What was tried.
 *
 * @since 0.1.0
 * @category models
 */
export interface Report {
  readonly cases: number
  readonly completed: number
  readonly compensated: number
  readonly crashes: number
}

/**
 * A case in which something was left half done.
 *
 * @since 0.1.0
 * @category errors
 */
export class CrashBroken extends Schema.TaggedError<CrashBroken>("effect-skald/testing/CrashBroken")("CrashBroken", {
  saga: Schema.String,
  /** What is wrong, in words. */
  problems: Schema.Array(Schema.String),
  scenario: Schema.String,
  /** The numbers of the points at which its engines crashed. */
  crashes: Schema.Array(Schema.Number),
  /** All that happened: effects, writes and crashes. */
  trace: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return [
      `saga "${this.saga}", ${this.scenario}, crashed at [${this.crashes.join(", ")}]:`,
      ...this.problems.map((problem) => `  ${problem}`),
      "what happened:",
      ...this.trace.map((line) => `  ${line}`)
    ].join("\n")
  }
}

/**
 * Tries a saga: every failing step, before and after its effect, once and always, and every failing compensation, each with every
 * single and double crash.
 *
 * In every case the saga comes to an end; when it is completed all of its effects stand, when it is compensated none does; what
 * is undone is undone in reverse order; no step runs more often than it may; and its keys are the same each time.
 *
 * @example
 * ```ts
 * import * as Saga from "effect-skald/saga/Saga"
 * import * as SagaCrash from "effect-skald/testing/SagaCrash"
 * import { Schema } from "effect"
 *
 * class Refused extends Schema.TaggedError<Refused>()("Refused", {}) {}
 * const Pay = Saga.make("pay", {
 *   version: 1,
 *   payload: Schema.String,
 *   success: Schema.Void,
 *   error: Refused,
 *   idempotencyKey: (order) => order
 * })
 *
 * export const program = SagaCrash.check({
 *   saga: Pay,
 *   payload: (number) => `order-${number}`,
 *   live: (ledger) =>
 *     Pay.toLayer(() =>
 *       Saga.step("charge", {
 *         success: Schema.Void,
 *         execute: (key) => ledger.perform("charge", key, () => new Refused()),
 *         compensate: (_outcome, key) => ledger.undo("charge", key)
 *       })
 *     )
 * })
 * ```
 *
 * @since 0.1.0
 * @category checks
 */
export const check = <P, A, Err>(options: Options<P, A, Err>): Effect.Effect<Report, CrashBroken> =>
  Effect.gen(function*() {
    const crashes = options.crashes ?? 2
    let number = 0
    const report = { cases: 0, completed: 0, compensated: 0, crashes: 0 }
    const one = (scenario: Scenario, points: ReadonlyArray<number>) =>
      Effect.gen(function*() {
        const ran = yield* Effect.promise(() => runCase(options, number++, scenario, points))
        const problems = Verify.problems(ran, options.maxAttempts ?? 10)
        if (problems.length > 0) {
          return yield* new CrashBroken({
            saga: options.saga.name,
            problems,
            scenario: describe(scenario),
            crashes: points,
            trace: ran.trace
          })
        }
        report.cases++
        report.crashes += ran.crashed
        if (ran.ending === "completed") report.completed++
        else report.compensated++
        return ran
      })

    const dry = yield* one({}, [])
    const scenarios: Array<Scenario> = [{}]
    for (const name of dry.steps) {
      for (const when of ["before", "after"] as const) {
        scenarios.push({ step: { name, when, times: "once" } })
        const scenario: Scenario = { step: { name, when, times: "always" } }
        scenarios.push(scenario)
        // Where only some are drawn, whatever is undone when the last step fails will do: the rest comes to nothing.
        const sampled = options.maxCases !== undefined && (name !== dry.steps.at(-1) || when === "before")
        const undoable = sampled ? [] : (yield* one(scenario, [])).undoable
        for (const undone of undoable) {
          for (const undoneWhen of ["before", "after"] as const) {
            scenarios.push({ ...scenario, undo: { name: undone, when: undoneWhen } })
          }
        }
      }
    }

    // How many points a scenario has is known once it has run; a second crash has as many as are left, or fewer.
    const lengths = new Map<Scenario, number>()
    const lengthOf = (scenario: Scenario) =>
      Effect.gen(function*() {
        const known = lengths.get(scenario)
        if (known !== undefined) return known
        const length = (yield* one(scenario, [])).points[0]!
        lengths.set(scenario, length)
        return length
      })
    if (options.maxCases === undefined) {
      for (const scenario of scenarios) {
        const length = yield* lengthOf(scenario)
        const points = Array.from({ length: crashes > 0 ? length : 0 }, (_, index) => index + 1)
        for (const first of points) {
          yield* one(scenario, [first])
          for (const second of crashes > 1 ? points : []) yield* one(scenario, [first, second])
        }
      }
      return report
    }
    const random = Random.make(options.seed ?? 1)
    while (report.cases < options.maxCases) {
      const scenario = scenarios[yield* random.nextIntBetween(0, scenarios.length)]!
      const length = yield* lengthOf(scenario)
      if (report.cases >= options.maxCases) break
      const count = crashes === 0 ? 0 : (yield* random.nextIntBetween(0, length + 1)) === 0 ? 1 : crashes
      const points: Array<number> = []
      for (let crash = 0; crash < count; crash++) points.push(yield* random.nextIntBetween(1, length + 1))
      yield* one(scenario, points)
    }
    return report
  })

const describe = ({ step, undo }: Scenario): string =>
  [
    step === undefined ? "nothing fails" : `"${step.name}" fails ${step.times}, ${step.when} its effect`,
    ...undo === undefined ? [] : [`its compensation of "${undo.name}" fails once, ${undo.when} its effect`]
  ].join(", ")

/** One after the other: an engine, and those that go on where it was killed. */
class Life {
  readonly scope: Scope.CloseableScope
  crashed = false
  points = 0
  readonly dead = Deferred.unsafeMake<void>(FiberId.none)

  constructor(scope: Scope.CloseableScope) {
    this.scope = scope
  }
}

/** An engine as `SagaEngine.layer` makes it; a hundred thousand of them cost less without layers. */
const newEngine = Effect.gen(function*() {
  const placement = yield* Placement.single
  const timers = yield* Timers.makeEncoded(MemoryTimers.make(), { pollInterval: Infinity })
  const { defaultIdleAfter: idleAfter, defaultPatience: patience } = SagaEngine
  return yield* Engine.make({ settle: "1 millis", patience, idleAfter }, { placement, timers, shared: false })
})

/** A case: all that happens in it passes by here. */
const runCase = async <P, A, Err>(
  options: Options<P, A, Err>,
  number: number,
  scenario: Scenario,
  points: ReadonlyArray<number>
): Promise<Verify.Ran> => {
  const record = new Verify.Record()
  const lives: Array<Life> = []
  const simulation = new Simulation.Simulation({
    quiet: options.quiet,
    last: Effect.suspend(() => Effect.forEach(lives, ({ scope }) => Scope.close(scope, Exit.void), { discard: true }))
  })
  const gate = (life: Life, what: string): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (life.crashed) return simulation.stop
      life.points++
      if (life.points !== points[lives.length - 1]) return Effect.void
      life.crashed = true
      record.trace.push(`CRASH ${what}`)
      Deferred.unsafeDone(life.dead, Exit.void)
      return simulation.stop
    })

  const ledgerOf = (life: Life): Ledger => ({
    perform: (step, key, failure) =>
      Effect.gen(function*() {
        yield* gate(life, `before "${step}"`)
        const attempt = record.tried(step, key)
        const fails = scenario.step?.name === step && (scenario.step.times === "always" || attempt === 1)
        if (fails && scenario.step?.when === "before") {
          record.trace.push(`"${step}" fails before its effect`)
          return yield* Effect.fail(failure())
        }
        record.performed(step, key)
        yield* gate(life, `after "${step}"`)
        if (fails) return yield* Effect.fail(failure())
      }),
    undo: (step, key, failure) =>
      Effect.gen(function*() {
        yield* gate(life, `before undoing "${step}"`)
        const attempt = record.triedUndo(step, key, failure !== undefined)
        const fails = failure !== undefined && scenario.undo?.name === step && attempt === 1
        if (fails && scenario.undo?.when === "before") return yield* Effect.fail(failure())
        record.undone(step, key)
        yield* gate(life, `after undoing "${step}"`)
        if (fails) return yield* Effect.fail(failure())
      })
  })

  const mortal = (store: EventStore.Service, life: Life): EventStore.Service => ({
    ...store,
    append: (groups, appendOptions) =>
      Effect.gen(function*() {
        const types = groups.flatMap(({ events }) => events.map(({ type }) => type)).join(", ")
        yield* gate(life, `before writing ${types}`)
        // what is on its way to the store arrives: time goes on for it
        const appended = yield* Effect.either(Effect.withClock(store.append(groups, appendOptions), simulation.clock))
        record.trace.push(`${appended._tag === "Right" ? "wrote" : `${appended.left._tag} for`} ${types}`)
        yield* gate(life, `after writing ${types}`)
        return yield* appended
      }) as never
  })

  const payload = options.payload(number)
  const program = Effect.gen(function*() {
    const store = yield* EventStore.EventStore
    for (;;) {
      const life = new Life(yield* Scope.make())
      lives.push(life)
      const fiber = yield* Effect.gen(function*() {
        const engine = yield* newEngine
        yield* Effect.provideService(Layer.build(options.live(ledgerOf(life))), SagaEngine.SagaEngine, engine)
        yield* Effect.exit(Effect.provideService(options.saga.run(payload), SagaEngine.SagaEngine, engine))
      }).pipe(
        Effect.provideService(EventStore.EventStore, mortal(store, life)),
        Scope.extend(life.scope),
        Effect.withClock(simulation.clockOf(() => !life.crashed)),
        Effect.forkDaemon
      )
      const done = yield* Effect.raceFirst(
        Effect.as(Deferred.await(life.dead), false),
        Effect.as(fiber.await, true)
      )
      if (!done) continue
      yield* Scope.close(life.scope, Exit.void)
      break
    }
    const id = options.saga.contract.idempotencyKey(payload)
    const events = yield* Stream.runCollect(Journal.Sagas.read(Journal.idOf(options.saga.name, id)))
    return Array.from(events, (recorded) => ({ version: recorded.version, event: recorded.payload }))
  })
  const ended = await simulation.run(
    program.pipe(
      Effect.provide(options.store ?? EventStore.layerMemory),
      Logger.withMinimumLogLevel(LogLevel.None)
    ) as Effect.Effect<Verify.Journal, unknown>,
    10_000
  ).catch((error: unknown) => Exit.die(error))
  return record.end(ended, lives.map((life) => life.points), lives.filter((life) => life.crashed).length)
}
