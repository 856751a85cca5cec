import { assert, describe, it } from "@effect/vitest"
import * as RetryPolicy from "effect-skald/resilience/RetryPolicy"
import * as SchedulePosition from "effect-skald/resilience/SchedulePosition"
import { forAll } from "effect-skald/testing/ForAll"
import * as Law from "effect-skald/testing/Law"
import * as ScheduleLaws from "effect-skald/testing/ScheduleLaws"
import {
  Clock,
  Duration,
  Effect,
  Either,
  Exit,
  FastCheck,
  Fiber,
  Random,
  Ref,
  Schedule,
  ScheduleDecision,
  ScheduleInterval,
  Schema,
  TestClock
} from "effect"
import { equal } from "../support/assert.ts"

class Busy extends Schema.TaggedError<Busy>()("Busy", { seconds: Schema.Number, since: Schema.Date }) {}

// ------------------------------------------------------------------------------------------ random Schedules, as data

type Plan =
  | { readonly _tag: "shape"; readonly name: keyof typeof shapes; readonly millis: number }
  | { readonly _tag: "change"; readonly name: keyof typeof changes; readonly plan: Plan; readonly n: number }
  | { readonly _tag: "both"; readonly name: keyof typeof both; readonly left: Plan; readonly right: Plan }

type Policy = Schedule.Schedule<unknown, Busy>

const shapes = {
  spaced: (millis: number): Policy => Schedule.spaced(millis),
  fixed: (millis: number): Policy => Schedule.fixed(millis),
  windowed: (millis: number): Policy => Schedule.windowed(millis + 1),
  exponential: (millis: number): Policy => Schedule.exponential(millis),
  fibonacci: (millis: number): Policy => Schedule.fibonacci(millis),
  linear: (millis: number): Policy => Schedule.linear(millis),
  fromDelays: (millis: number): Policy => Schedule.fromDelays(millis, 1, millis * 2, 3),
  cron: (): Policy => Schedule.cron("*/5 8-17 * * MON-FRI"),
  forever: (): Policy => Schedule.forever,
  once: (): Policy => Schedule.once,
  elapsed: (): Policy => Schedule.elapsed,
  decorrelated: (millis: number): Policy => RetryPolicy.decorrelated(millis, { cap: "1 hour" }),
  ours: (millis: number): Policy => RetryPolicy.exponential(millis, { jitter: "full", cap: "10 minutes", times: 9 }),
  within: (millis: number): Policy => RetryPolicy.linear(millis, { within: "1 hour" })
}
const changes = {
  fullJitter: (policy: Policy): Policy => RetryPolicy.fullJitter(policy),
  jittered: (policy: Policy): Policy => Schedule.jittered(policy),
  capped: (policy: Policy, n: number): Policy => RetryPolicy.capped(policy, n * 1_000),
  upToRetries: (policy: Policy, n: number): Policy => RetryPolicy.upToRetries(policy, n),
  upTo: (policy: Policy, n: number): Policy => Schedule.upTo(policy, n * 100_000),
  upToElapsed: (policy: Policy, n: number): Policy => RetryPolicy.upToElapsed(policy, n * 100_000),
  whileInput: (policy: Policy, n: number): Policy =>
    Schedule.whileInput(policy, (error: Busy) => error.seconds < n * 5),
  notBefore: (policy: Policy): Policy => RetryPolicy.notBefore(policy, (error: Busy) => `${error.seconds} seconds`),
  resetAfter: (policy: Policy, n: number): Policy => Schedule.resetAfter(policy, n * 10_000),
  repetitions: (policy: Policy): Policy => Schedule.repetitions(policy),
  collect: (policy: Policy): Policy => Schedule.collectAllOutputs(policy),
  randomly: (policy: Policy): Policy =>
    Schedule.whileOutputEffect(policy, () => Random.next.pipe(Effect.map((n) => n < 0.9))),
  clocked: (policy: Policy): Policy =>
    Schedule.mapEffect(policy, () => Effect.map(Clock.currentTimeMillis, (now) => now % 1_000))
}
const both = {
  union: (left: Policy, right: Policy): Policy => Schedule.union(left, right),
  intersect: (left: Policy, right: Policy): Policy => Schedule.intersect(left, right),
  andThen: (left: Policy, right: Policy): Policy => Schedule.andThen(left, right)
}
const build = (plan: Plan): Policy => {
  switch (plan._tag) {
    case "shape":
      return shapes[plan.name](plan.millis)
    case "change":
      return changes[plan.name](build(plan.plan), plan.n)
    case "both":
      return both[plan.name](build(plan.left), build(plan.right))
  }
}
const namesOf = <K extends string>(record: { readonly [name in K]: unknown }) =>
  FastCheck.constantFrom(...Object.keys(record) as Array<K>)

const { plan } = FastCheck.letrec<{ plan: Plan }>((tie) => ({
  plan: FastCheck.oneof(
    { maxDepth: 4, withCrossShrink: true },
    FastCheck.record({
      _tag: FastCheck.constant("shape" as const),
      name: namesOf(shapes),
      millis: FastCheck.integer({ min: 1, max: 60_000 })
    }),
    FastCheck.record({
      _tag: FastCheck.constant("change" as const),
      name: namesOf(changes),
      plan: tie("plan"),
      n: FastCheck.integer({ min: 0, max: 9 })
    }),
    FastCheck.record({
      _tag: FastCheck.constant("both" as const),
      name: namesOf(both),
      left: tie("plan"),
      right: tie("plan")
    })
  )
}))

/** Milliseconds survive being stored, so that a date is what it was. */
const busy = FastCheck.record({ seconds: FastCheck.nat(60), since: FastCheck.nat(2 ** 40) }).map(({ seconds, since }) =>
  new Busy({ seconds, since: new Date(since) })
)

const drawsOrClocks = (plan: Plan): boolean => {
  switch (plan._tag) {
    case "shape":
      return plan.name === "decorrelated" || plan.name === "ours"
    case "change":
      return ["fullJitter", "jittered", "randomly", "clocked"].includes(plan.name) || drawsOrClocks(plan.plan)
    case "both":
      return drawsOrClocks(plan.left) || drawsOrClocks(plan.right)
  }
}

describe("SchedulePosition", () => {
  it.effect(
    "any Schedule with its inputs kept: resumed anywhere is never interrupted",
    () =>
      forAll(plan, (plan) =>
        Law.check(
          ScheduleLaws.resumes("it", () => SchedulePosition.make(build(plan), Busy), busy),
          { numRuns: 2, seed: 7 }
        ), { numRuns: 100 }),
    120_000
  )

  it.effect(
    "any Schedule that is taken without inputs, with or without instants: the same",
    () =>
      Effect.gen(function*() {
        const taken = yield* Ref.make({ counted: 0, timed: 0, refused: 0 })
        yield* forAll(plan, (plan) =>
          Effect.gen(function*() {
            for (const kind of ["counted", "timed"] as const) {
              const make = () => SchedulePosition[kind](build(plan))
              const made = make()
              yield* Ref.update(
                taken,
                (n) => Either.isLeft(made) ? { ...n, refused: n.refused + 1 } : { ...n, [kind]: n[kind] + 1 }
              )
              if (Either.isLeft(made)) {
                continue
              }
              // Input may be looked at late; that ends it with a typed error, the same in both.
              yield* Effect.catchTag(
                Law.check(ScheduleLaws.resumes("it", make, FastCheck.constant("error")), { numRuns: 2, seed: 7 }),
                "LawBroken",
                (broken) =>
                  broken.counterexample.includes(
                      "cannot be driven: \"a Schedule cannot be resumed: it depends on its inputs"
                    )
                    ? Effect.void
                    : broken
              )
            }
          }), { numRuns: 300 })
        const { counted, refused, timed } = yield* taken
        assert.isAbove(counted, 4)
        assert.isAbove(timed, counted)
        assert.isAbove(refused, 10)
      }),
    120_000
  )

  it.effect("what draws nothing says what Effect's own driver says", () =>
    forAll(
      FastCheck.record({
        plan: plan.filter((plan) => !drawsOrClocks(plan)),
        runs: FastCheck.array(FastCheck.record({ error: busy, late: FastCheck.nat(3_600_000) }), { maxLength: 12 })
      }),
      ({ plan, runs }) =>
        Effect.gen(function*() {
          const schedule = build(plan)
          const resumable = yield* SchedulePosition.make(schedule, Busy)
          let position = SchedulePosition.initialWith(1)
          let state: unknown = schedule.initial
          let now = 1_700_000_000_000
          for (const { error, late } of runs) {
            now += late
            const taken = yield* resumable.step(position, now, error)
            position = taken.position
            const [next, output, decision] = yield* schedule.step(now, error, state)
            state = next
            equal(taken.output, output)
            if (ScheduleDecision.isDone(decision)) {
              assert.isTrue(SchedulePosition.isEnded(position))
              return
            }
            const start = Math.max(now, decision.intervals.intervals.pipe((chunk) => [...chunk][0]!.startMillis))
            assert.strictEqual(position.next, Math.min(Number.MAX_SAFE_INTEGER, Math.ceil(start)))
          }
        }),
      { numRuns: 300 }
    ), 120_000)

  it.effect("under the TestClock, stopped after each failure: runs at the instants of Effect.retry", () =>
    Effect.gen(function*() {
      const policy = RetryPolicy.exponential("1 second", { cap: "5 seconds", times: 6 })
      const started = yield* Clock.currentTimeMillis
      const attempt = (log: Array<number>) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) => {
          log.push(now - started)
          return Effect.fail("down")
        })
      const expected: Array<number> = []
      const plain = yield* Effect.fork(Effect.exit(Effect.retry(attempt(expected), policy)))
      const actual: Array<number> = []
      let saved: string | undefined
      /** The process ends each time that it has stored a position. */
      const life: Effect.Effect<void, string> = Effect.gen(function*() {
        const schedule = Either.getOrThrow(SchedulePosition.counted(policy))
        const from = saved === undefined
          ? undefined
          : yield* Effect.orDie(Schema.decode(Schema.parseJson(SchedulePosition.Position))(saved))
        const exit = yield* Effect.exit(SchedulePosition.retry(attempt(actual), {
          schedule,
          from,
          save: (position) => {
            saved = JSON.stringify(position)
            return SchedulePosition.isEnded(position) ? Effect.void : Effect.fail("killed")
          }
        }))
        if (Exit.isFailure(exit) && exit.cause._tag === "Fail" && exit.cause.error === "killed") return yield* life
        equal(exit, Exit.fail("down"))
      })
      const resumed = yield* Effect.fork(life)
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(plain)
      yield* Fiber.join(resumed)
      equal(expected, [0, 1_000, 3_000, 7_000, 12_000, 17_000, 22_000])
      equal(actual, expected)
    }))

  it.effect("a run that came due while nobody lived happens at once, and only once", () =>
    Effect.gen(function*() {
      const schedule = yield* SchedulePosition.counted(Schedule.spaced("1 minute"))
      const runs = yield* Ref.make(0)
      const from = { seed: 1, steps: 3, next: (yield* Clock.currentTimeMillis) + 60_000 }
      yield* TestClock.adjust("1 hour")
      yield* SchedulePosition.retry(Ref.update(runs, (n) => n + 1), { schedule, from, save: () => Effect.void })
      assert.strictEqual(yield* Ref.get(runs), 1)
    }))

  it.effect("jitter is drawn once for a step, and differently for another seed", () =>
    Effect.gen(function*() {
      const schedule = yield* SchedulePosition.counted(RetryPolicy.exponential("1 hour", { jitter: "full" }))
      const from = (seed: number) => schedule.step(SchedulePosition.initialWith(seed), 0, "error")
      equal(yield* from(1), yield* from(1))
      assert.notStrictEqual((yield* from(1)).position.next, (yield* from(2)).position.next)
    }))

  it.effect("what is kept, and how an ended one stays", () =>
    Effect.gen(function*() {
      const counted = yield* SchedulePosition.counted(Schedule.recurs(1))
      const first = yield* counted.step(SchedulePosition.initialWith(5), 1_000, "a")
      equal(first.position, { seed: 5, steps: 1, next: 1_000 })
      const last = yield* counted.step(first.position, 2_000, "b")
      equal(last.position, { seed: 5, steps: 2, next: null })
      assert.isTrue(SchedulePosition.isEnded(last.position))
      equal((yield* counted.step(last.position, 3_000, "c")).position, last.position)
      const timed = yield* SchedulePosition.timed(Schedule.spaced("1 second"))
      equal((yield* timed.step(SchedulePosition.initialWith(5), 1_000, "a")).position, {
        seed: 5,
        steps: 1,
        instants: [1_000],
        next: 2_000
      })
      const full = yield* SchedulePosition.make(Schedule.spaced("1 second"), Schema.DateFromString)
      const position = (yield* full.step(SchedulePosition.initialWith(5), 1_000, new Date(7))).position
      equal(position.inputs, ["1970-01-01T00:00:00.007Z"])
    }))

  it("what cannot be driven again is refused when built, with the reason", () => {
    const reason = (made: Either.Either<unknown, SchedulePosition.NotResumable>) =>
      Either.match(made, { onLeft: (error) => error.reason, onRight: () => "taken" })
    let count = 0
    const own = Schedule.addDelay(Schedule.forever, () => Duration.millis(count++))
    const waiting = Schedule.mapEffect(Schedule.forever, () => Effect.sleep("1 millis"))
    const promised = Schedule.mapEffect(Schedule.forever, () => Effect.promise(() => Promise.resolve(1)))
    const throwing = Schedule.map(Schedule.forever, () => {
      throw new Error("no")
    })
    const both = { counted: SchedulePosition.counted, timed: SchedulePosition.timed }
    for (const build of Object.values(both)) {
      assert.strictEqual(reason(build(Schedule.whileInput(Schedule.forever, (n: number) => n > 1))), "input")
      assert.strictEqual(reason(build(Schedule.identity())), "input")
      assert.strictEqual(reason(build(RetryPolicy.whileRetryable(RetryPolicy.standard))), "input")
      assert.strictEqual(reason(build(own)), "differs")
      assert.strictEqual(reason(build(waiting)), "waits")
      assert.strictEqual(reason(build(promised)), "waits")
      assert.strictEqual(reason(build(throwing)), "dies")
      assert.strictEqual(reason(build(RetryPolicy.decorrelated("1 second", { cap: "1 minute" }))), "taken")
      assert.strictEqual(reason(build(RetryPolicy.standard)), "taken")
    }
    const timely: ReadonlyArray<Policy> = [
      Schedule.upTo(Schedule.recurs(3), "30 days"),
      RetryPolicy.fixed("1 second", { within: "1 minute", times: 3 }),
      Schedule.cron("0 8 * * *"),
      Schedule.fixed("1 minute"),
      Schedule.windowed("1 minute"),
      Schedule.dayOfWeek(1),
      Schedule.resetAfter(Schedule.exponential("1 second"), "1 hour")
    ]
    for (const schedule of timely) {
      assert.strictEqual(reason(SchedulePosition.counted(schedule)), "instant")
      assert.strictEqual(reason(SchedulePosition.timed(schedule)), "taken")
    }
    assert.strictEqual(reason(SchedulePosition.make(own, Schema.String)), "differs")
    assert.strictEqual(reason(SchedulePosition.make(waiting, Schema.String)), "waits")
    assert.strictEqual(reason(SchedulePosition.make(Schedule.identity<string>(), Schema.String)), "taken")
  })

  it("what shows only later fails at the step that shows it, with the reason", () => {
    const late = Schedule.andThen(
      Schedule.recurs(50),
      Schedule.whileInput(Schedule.forever, (text: string) => text === "a")
    )
    const schedule = Either.getOrThrow(SchedulePosition.counted(late))
    let position = SchedulePosition.initialWith(1)
    const reasons: Array<string> = []
    for (let run = 0; run < 52; run++) {
      const taken = schedule.step(position, run, "a")
      if (Either.isLeft(taken)) reasons.push(`${run} ${taken.left.reason}`)
      else position = taken.right.position
    }
    equal(reasons, ["50 input", "51 input"])
  })

  it("a position of another kind, an input that its Schema refuses, and one that cannot be read any more", () => {
    const counted = Either.getOrThrow(SchedulePosition.counted(Schedule.forever))
    const timed = Either.getOrThrow(SchedulePosition.timed(Schedule.forever))
    const full = Either.getOrThrow(SchedulePosition.make(Schedule.forever, Schema.NumberFromString))
    const start = SchedulePosition.initialWith(1)
    const reason = (made: Either.Either<unknown, SchedulePosition.NotResumable>) =>
      Either.getOrThrow(Either.flip(made)).reason
    const after = Either.getOrThrow(timed.step(start, 0, "x")).position
    assert.strictEqual(reason(counted.step(after, 0, "x")), "stored")
    assert.strictEqual(reason(timed.step({ ...after, steps: 2 }, 0, "x")), "stored")
    assert.strictEqual(reason(full.step(after, 0, 1)), "stored")
    assert.strictEqual(reason(full.step({ ...after, inputs: ["no number"] }, 0, 1)), "stored")
    const strict = Either.getOrThrow(SchedulePosition.make(Schedule.forever, Schema.Int))
    assert.strictEqual(reason(strict.step(start, 0, 1.5)), "input")
  })

  it("the law finds a Schedule with a variable of its own", () => {
    const forgetful = () => {
      let count = 0
      return Schedule.makeWithState(0, (now: number, _: unknown, steps: number) =>
        Effect.sync(() => {
          // Behaves until it was probed.
          const delay = steps > 0 && count++ > 24 ? count : 0
          return [steps + 1, steps, ScheduleDecision.continueWith(ScheduleInterval.after(now + delay))]
        }))
    }
    const broken = Effect.runSync(Effect.flip(Law.check(
      ScheduleLaws.resumes("it", () => SchedulePosition.timed(forgetful()), FastCheck.constant("")),
      { seed: 1, numRuns: 300 }
    )))
    assert.strictEqual(broken.reason, "counterexample")
  })
})
