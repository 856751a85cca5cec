import { assert, describe, it } from "@effect/vitest"
import * as CircuitBreaker from "effect-skald/resilience/CircuitBreaker"
import * as CircuitBreakers from "effect-skald/resilience/CircuitBreakers"
import * as Retryability from "effect-skald/resilience/Retryability"
import * as RetryPolicy from "effect-skald/resilience/RetryPolicy"
import { forAll } from "effect-skald/testing/ForAll"
import {
  Cause,
  Chunk,
  Clock,
  DateTime,
  Deferred,
  Duration,
  Effect,
  Either,
  Exit,
  FastCheck,
  Fiber,
  Metric,
  Ref,
  Schema,
  Stream,
  TestClock
} from "effect"
import { equal } from "../support/assert.ts"

const { defaultFailures, defaultOpenFor, defaultSuccesses, defaultTrials } = CircuitBreaker

class Down extends Schema.TaggedError<Down>()("Down", {}, Retryability.retryable) {}
class Bad extends Schema.TaggedError<Bad>()("Bad", {}, Retryability.permanent) {}

const failing = (breaker: CircuitBreaker.CircuitBreaker) => Effect.flip(breaker.protect(new Down()))
const succeeding = (breaker: CircuitBreaker.CircuitBreaker) => breaker.protect(Effect.succeed("answer"))
const tag = (breaker: CircuitBreaker.CircuitBreaker) => Effect.map(breaker.state, (state) => state._tag)
const settle = Effect.repeatN(Effect.yieldNow(), 20)

/** A call that ends when it is told how. */
const call = (breaker: CircuitBreaker.CircuitBreaker) =>
  Effect.gen(function*() {
    const answer = yield* Deferred.make<string, Down | Bad>()
    const began = yield* Ref.make(false)
    const fiber = yield* Effect.fork(breaker.protect(Effect.zipRight(Ref.set(began, true), Deferred.await(answer))))
    yield* settle
    return { admitted: yield* Ref.get(began), answer, fiber }
  })

const opened = (options?: CircuitBreaker.Options) =>
  Effect.gen(function*() {
    const breaker = yield* CircuitBreaker.make("test", options)
    yield* breaker.open
    return breaker
  })

describe("CircuitBreaker", () => {
  it.effect("opens after five failures in a row, and not after five with a success between them", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make("test")
      for (let failure = 1; failure < defaultFailures; failure++) yield* failing(breaker)
      yield* succeeding(breaker)
      yield* failing(breaker)
      assert.strictEqual(yield* tag(breaker), "Closed")
      for (let failure = 2; failure < defaultFailures; failure++) yield* failing(breaker)
      assert.strictEqual(yield* tag(breaker), "Closed")
      yield* failing(breaker)
      assert.strictEqual(yield* tag(breaker), "Open")
    }))

  it.effect("refuses at once while open, runs nothing, and says when to try again", () =>
    Effect.gen(function*() {
      const breaker = yield* opened()
      yield* TestClock.adjust("10 seconds")
      const ran = yield* Ref.make(false)
      const error = yield* Effect.flip(breaker.protect(Ref.set(ran, true)))
      assert.isFalse(yield* Ref.get(ran))
      assert.instanceOf(error, CircuitBreaker.CircuitOpen)
      equal([error.name, error.state], ["test", "open"])
      equal(Duration.toMillis(error.retryAfter), Duration.toMillis(defaultOpenFor) - 10_000)
      equal(DateTime.toEpochMillis(error.retryAt), Duration.toMillis(defaultOpenFor))
      assert.strictEqual(error.message, "circuit \"test\" is open for another 20s")
      const stored = Schema.encodeSync(CircuitBreaker.CircuitOpen)(error)
      equal(Schema.decodeSync(CircuitBreaker.CircuitOpen)(stored), error)
    }))

  it.effect("admits three trials at once after 30 s, not before, and three successes close it", () =>
    Effect.gen(function*() {
      const breaker = yield* opened()
      yield* TestClock.adjust(Duration.subtract(defaultOpenFor, "1 millis"))
      assert.strictEqual((yield* Effect.flip(succeeding(breaker))).state, "open")
      yield* TestClock.adjust("1 millis")
      const trials = yield* Effect.replicateEffect(call(breaker), defaultTrials + 2)
      equal(trials.map((trial) => trial.admitted), [true, true, true, false, false])
      const refused = yield* Effect.flip(Effect.flatMap(call(breaker), ({ fiber }) => Fiber.join(fiber)))
      assert.instanceOf(refused, CircuitBreaker.CircuitOpen)
      assert.strictEqual(refused.state, "half-open")
      assert.strictEqual(Duration.toMillis(refused.retryAfter), 0)
      equal(yield* breaker.state, {
        _tag: "HalfOpen",
        since: DateTime.unsafeMake(Duration.toMillis(defaultOpenFor)),
        running: 3,
        succeeded: 0
      })
      for (const { answer } of trials.slice(0, defaultSuccesses - 1)) yield* Deferred.succeed(answer, "yes")
      yield* settle
      assert.strictEqual(yield* tag(breaker), "HalfOpen")
      // places are free again
      assert.isTrue((yield* call(breaker)).admitted)
      yield* Deferred.succeed(trials[2]!.answer, "yes")
      yield* settle
      assert.strictEqual(yield* tag(breaker), "Closed")
    }))

  it.effect("one failed trial opens it again, for the whole time", () =>
    Effect.gen(function*() {
      const breaker = yield* opened()
      yield* TestClock.adjust(defaultOpenFor)
      yield* succeeding(breaker)
      yield* succeeding(breaker)
      yield* failing(breaker)
      const state = yield* breaker.state
      assert.strictEqual(state._tag, "Open")
      if (state._tag === "Open") {
        equal(DateTime.toEpochMillis(state.until), 2 * Duration.toMillis(defaultOpenFor))
      }
      // what succeeded before does not count for the next round
      yield* TestClock.adjust(defaultOpenFor)
      yield* succeeding(breaker)
      yield* succeeding(breaker)
      assert.strictEqual(yield* tag(breaker), "HalfOpen")
      yield* succeeding(breaker)
      assert.strictEqual(yield* tag(breaker), "Closed")
    }))

  it.effect("calls that began in an earlier state count nowhere", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make("test")
      const slow = yield* Effect.replicateEffect(call(breaker), 4)
      yield* breaker.open
      yield* TestClock.adjust(defaultOpenFor)
      assert.strictEqual(yield* tag(breaker), "HalfOpen")
      yield* Deferred.fail(slow[0]!.answer, new Down())
      for (const { answer } of slow.slice(1)) yield* Deferred.succeed(answer, "late")
      yield* settle
      equal(
        yield* Effect.map(breaker.state, (state) => state._tag === "HalfOpen" && [state.running, state.succeeded]),
        [
          0,
          0
        ]
      )
    }))

  it.effect("an interrupted trial frees its place, and an interrupted call counts as nothing", () =>
    Effect.gen(function*() {
      const breaker = yield* opened({ trials: 1 })
      yield* TestClock.adjust(defaultOpenFor)
      for (let turn = 0; turn < 10; turn++) {
        const trial = yield* call(breaker)
        assert.isTrue(trial.admitted)
        assert.isFalse((yield* call(breaker)).admitted)
        yield* Fiber.interrupt(trial.fiber)
      }
      assert.strictEqual(yield* tag(breaker), "HalfOpen")
      yield* breaker.close
      for (let turn = 0; turn < 2 * defaultFailures; turn++) {
        yield* Effect.flatMap(call(breaker), ({ fiber }) => Fiber.interrupt(fiber))
      }
      assert.strictEqual(yield* tag(breaker), "Closed")
    }))

  it.effect("interrupted before or while it begins, it holds no place", () =>
    Effect.gen(function*() {
      const breaker = yield* opened({ trials: 1 })
      yield* TestClock.adjust(defaultOpenFor)
      for (let yields = 0; yields < 6; yields++) {
        const fiber = yield* Effect.fork(breaker.protect(Effect.never))
        yield* Effect.repeatN(Effect.yieldNow(), yields)
        yield* Fiber.interrupt(fiber)
        const state = yield* breaker.state
        assert.isTrue(state._tag === "HalfOpen" && state.running === 0, `after ${yields} yields`)
      }
    }))

  it.effect("errors marked permanent do not count; defects and time-outs do; a predicate changes it", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make("test", { trip: CircuitBreaker.consecutive(2) })
      yield* failing(breaker)
      for (let bad = 0; bad < 5; bad++) yield* Effect.flip(breaker.protect(new Bad()))
      assert.strictEqual(yield* tag(breaker), "Closed")
      // it is no success either
      yield* Effect.exit(breaker.protect(Effect.die("defect")))
      assert.strictEqual(yield* tag(breaker), "Open")
      yield* breaker.close
      for (let turn = 0; turn < 2; turn++) {
        const fiber = yield* Effect.fork(Effect.exit(breaker.protect(Effect.timeout(Effect.never, "1 second"))))
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(fiber)
      }
      assert.strictEqual(yield* tag(breaker), "Open")
      const picky = yield* CircuitBreaker.make("picky", {
        trip: CircuitBreaker.consecutive(1),
        counts: (error) => error instanceof Bad
      })
      yield* failing(picky)
      assert.strictEqual(yield* tag(picky), "Closed")
      yield* Effect.flip(picky.protect(new Bad()))
      assert.strictEqual(yield* tag(picky), "Open")
    }))

  it.effect("a trial that fails with what does not count frees its place", () =>
    Effect.gen(function*() {
      const breaker = yield* opened({ trials: 1 })
      yield* TestClock.adjust(defaultOpenFor)
      for (let turn = 0; turn < 3; turn++) yield* Effect.flip(breaker.protect(new Bad()))
      equal(
        yield* Effect.map(breaker.state, (state) => state._tag === "HalfOpen" && [state.running, state.succeeded]),
        [
          0,
          0
        ]
      )
    }))

  it.effect("a predicate that throws is a defect, and its place is free", () =>
    Effect.gen(function*() {
      const breaker = yield* opened({
        trials: 1,
        counts: () => {
          throw new Error("no")
        }
      })
      yield* TestClock.adjust(defaultOpenFor)
      const exit = yield* Effect.exit(breaker.protect(new Down()))
      assert.isTrue(Exit.isFailure(exit) && Cause.isDie(exit.cause))
      yield* TestClock.adjust(defaultOpenFor)
      assert.strictEqual(yield* succeeding(breaker), "answer")
    }))

  it.effect("what the effect says is passed on unchanged", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make("test", { trip: CircuitBreaker.consecutive(100) })
      for (
        const exit of [
          Exit.succeed(1),
          Exit.fail("no"),
          Exit.die("defect"),
          Exit.failCause(Cause.parallel(Cause.fail("a"), Cause.die("b")))
        ]
      ) {
        equal(yield* Effect.exit(breaker.protect(exit as Exit.Exit<number, string>)), exit)
        equal(yield* Effect.exit(CircuitBreaker.withBreaker(exit as Exit.Exit<number, string>, breaker)), exit)
      }
      const inside = yield* breaker.protect(Effect.checkInterruptible(Effect.succeed))
      assert.isTrue(inside, "it is as interruptible as its caller")
      assert.isFalse(yield* Effect.uninterruptible(breaker.protect(Effect.checkInterruptible(Effect.succeed))))
    }))

  it.effect("changes are a stream, with why and when", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make("test")
      const changes = yield* Effect.fork(Stream.runCollect(Stream.take(breaker.changes, 5)))
      yield* settle
      for (let failure = 0; failure < defaultFailures; failure++) yield* failing(breaker)
      yield* TestClock.adjust(defaultOpenFor)
      yield* failing(breaker)
      yield* TestClock.adjust(defaultOpenFor)
      for (let success = 0; success < defaultSuccesses; success++) yield* succeeding(breaker)
      const seen = Chunk.toReadonlyArray(yield* Fiber.join(changes))
      equal(
        seen.map(({ at, from, to, why }) => [from, to, why, DateTime.toEpochMillis(at)]),
        [
          ["Closed", "Open", "tripped", 0],
          ["Open", "HalfOpen", "waited", 30_000],
          ["HalfOpen", "Open", "trial failed", 30_000],
          ["Open", "HalfOpen", "waited", 60_000],
          ["HalfOpen", "Closed", "recovered", 60_000]
        ]
      )
    }))

  it.effect("metrics count calls by outcome and changes, and tell the state", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make("metrics of this test", { trip: CircuitBreaker.consecutive(2) })
      const metric = (name: string, label?: string) =>
        Effect.map(Metric.snapshot, (pairs) => {
          const found = pairs.filter(({ metricKey }) => {
            const labels = metricKey.tags.map(({ value }) => value)
            return metricKey.name === `skald.circuit_breaker.${name}` && labels.includes(breaker.name) &&
              (label === undefined || labels.includes(label))
          })
          assert.strictEqual(found.length, 1)
          const state = found[0]!.metricState as { readonly count?: number; readonly value?: number }
          return state.count ?? state.value
        })
      const gauge = metric("state")
      yield* succeeding(breaker)
      yield* Effect.flip(breaker.protect(new Bad()))
      yield* failing(breaker)
      assert.strictEqual(yield* gauge, 0)
      yield* failing(breaker)
      assert.strictEqual(yield* gauge, 2)
      yield* Effect.flip(succeeding(breaker))
      equal(
        yield* Effect.forEach(["success", "failure", "uncounted", "rejected"], (outcome) => metric("calls", outcome)),
        [1, 2, 1, 1]
      )
      yield* TestClock.adjust(defaultOpenFor)
      yield* succeeding(breaker)
      assert.strictEqual(yield* gauge, 1)
      assert.strictEqual(yield* metric("transitions", "Open"), 1)
    }))

  it.effect("who waits for it to admit waits until the time has come, a place is free, or it is closed", () =>
    Effect.gen(function*() {
      const breaker = yield* opened({ trials: 1, successes: 2 })
      const waited = (until: Effect.Effect<unknown>) =>
        Effect.gen(function*() {
          const fiber = yield* Effect.fork(breaker.admitting)
          yield* settle
          assert.isTrue((yield* Fiber.poll(fiber))._tag === "None")
          yield* until
          yield* settle
          assert.isTrue((yield* Fiber.poll(fiber))._tag === "Some")
        })
      yield* waited(TestClock.adjust(defaultOpenFor))
      const trial = yield* call(breaker)
      yield* waited(Fiber.interrupt(trial.fiber))
      const other = yield* call(breaker)
      yield* waited(Deferred.succeed(other.answer, "yes"))
      yield* breaker.open
      yield* waited(breaker.close)
      yield* breaker.admitting
      // waiting leaves nothing behind when it is interrupted
      yield* breaker.open
      yield* Effect.flatMap(Effect.fork(breaker.admitting), (fiber) => Effect.zipRight(settle, Fiber.interrupt(fiber)))
      yield* waited(TestClock.adjust(defaultOpenFor))
    }))

  it.effect("an endless one stays open until it is told", () =>
    Effect.gen(function*() {
      const breaker = yield* opened({ openFor: Duration.infinity })
      yield* TestClock.adjust("1000 weeks")
      const error = yield* Effect.flip(succeeding(breaker))
      assert.isFalse(Duration.isFinite(error.retryAfter))
      const fiber = yield* Effect.fork(breaker.admitting)
      yield* settle
      yield* breaker.close
      yield* Fiber.join(fiber)
      assert.strictEqual(yield* succeeding(breaker), "answer")
    }))

  it.effect("with a retry that waits as long as the error says, a call succeeds as soon as a trial is admitted", () =>
    Effect.gen(function*() {
      const breaker = yield* opened()
      const policy = RetryPolicy.fixed("1 second").pipe(
        RetryPolicy.notBefore((error: CircuitBreaker.CircuitOpen) => error.retryAfter)
      )
      const fiber = yield* Effect.fork(
        succeeding(breaker).pipe(Effect.retry(policy), Effect.zipRight(Clock.currentTimeMillis))
      )
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(yield* Fiber.join(fiber), Duration.toMillis(defaultOpenFor))
    }))

  it.effect("a breaker with numbers that mean nothing is a defect", () =>
    Effect.gen(function*() {
      for (const bad of [0, -1, 1.5, Number.NaN]) {
        assert.throws(() => CircuitBreaker.consecutive(bad), RangeError)
        assert.throws(() => CircuitBreaker.rate({ failures: 0.5, over: "1 second", minimum: bad }), RangeError)
        for (const options of [{ trials: bad }, { successes: bad }]) {
          assert.isTrue(Exit.isFailure(yield* Effect.exit(CircuitBreaker.make("test", options))))
        }
      }
      for (const failures of [0, -1, 1.1, Number.NaN]) {
        assert.throws(() => CircuitBreaker.rate({ failures, over: "1 second", minimum: 1 }), RangeError)
      }
      for (const over of [0, Duration.infinity]) {
        assert.throws(() => CircuitBreaker.rate({ failures: 0.5, over, minimum: 1 }), RangeError)
      }
    }))
})

describe("conditions", () => {
  it("a rate over a window: what a list of all calls says", () => {
    const calls = FastCheck.array(
      FastCheck.record({
        failed: FastCheck.boolean(),
        after: FastCheck.oneof(FastCheck.nat(50), FastCheck.nat(2_000))
      }),
      { maxLength: 60 }
    )
    FastCheck.assert(FastCheck.property(
      calls,
      FastCheck.integer({ min: 1, max: 10 }),
      FastCheck.integer({ min: 1, max: 10 }),
      (calls, tenths, minimum) => {
        const trip = CircuitBreaker.rate({ failures: tenths / 10, over: "1 second", minimum })
        let seen = trip.initial
        let now = 1_700_000_000_037
        const all: Array<{ readonly slice: number; readonly failed: boolean }> = []
        for (const { after, failed } of calls) {
          now += after
          const frozen = JSON.stringify(seen)
          const next = trip.observe(seen, failed, now)
          assert.strictEqual(JSON.stringify(seen), frozen, "it changes nothing that it was given")
          seen = next
          const slice = Math.floor(now / 100)
          all.push({ slice, failed })
          const window = all.filter((call) => call.slice > slice - 10)
          const failures = window.filter((call) => call.failed).length
          const expected = window.length >= minimum && failures > 0 && failures * 10 >= tenths * window.length
          assert.strictEqual(trip.trips(seen), expected)
        }
      }
    ))
  })

  it.effect("a custom one opens the circuit, and begins anew when it closes", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make("test", {
        trip: CircuitBreaker.custom({
          initial: 0,
          observe: (seen, failed) => failed ? seen + 1 : seen,
          trips: (seen) => seen >= 3
        })
      })
      const row = Effect.zipRight(failing(breaker), succeeding(breaker))
      yield* Effect.repeatN(row, 1)
      assert.strictEqual(yield* tag(breaker), "Closed")
      yield* failing(breaker)
      assert.strictEqual(yield* tag(breaker), "Open")
      yield* breaker.close
      yield* Effect.repeatN(row, 1)
      assert.strictEqual(yield* tag(breaker), "Closed")
    }))
})

// ------------------------------------------------------------------------------- against an obvious model, interleaved

type Command =
  | { readonly _tag: "begin" }
  | { readonly _tag: "end"; readonly which: number; readonly how: "success" | "failure" | "bad" | "die" | "interrupt" }
  | { readonly _tag: "wait"; readonly millis: number }
  | { readonly _tag: "told"; readonly what: "open" | "close" }

const command: FastCheck.Arbitrary<Command> = FastCheck.oneof(
  { weight: 6, arbitrary: FastCheck.constant<Command>({ _tag: "begin" }) },
  {
    weight: 8,
    arbitrary: FastCheck.record({
      _tag: FastCheck.constant("end" as const),
      which: FastCheck.nat(7),
      how: FastCheck.constantFrom(
        ...(["success", "success", "failure", "failure", "failure", "bad", "die", "interrupt"] as const)
      )
    })
  },
  {
    weight: 2,
    arbitrary: FastCheck.record({
      _tag: FastCheck.constant("wait" as const),
      millis: FastCheck.constantFrom(1, 400, 999, 1_000, 1_001)
    })
  },
  {
    weight: 1,
    arbitrary: FastCheck.record({
      _tag: FastCheck.constant("told" as const),
      what: FastCheck.constantFrom(...(["open", "close"] as const))
    })
  }
)

/** Keeps everything that has happened, and counts it anew each time. */
const model = (failures: number, trials: number, successes: number) => {
  let period = 0
  let mode: "Closed" | "Open" | "HalfOpen" = "Closed"
  let openedAt = 0
  const begun: Array<{ readonly period: number; done: "success" | "failure" | "neither" | undefined; doneAt: number }> =
    []
  let order = 0
  const enter = (next: typeof mode, now: number) => {
    mode = next
    period++
    openedAt = now
  }
  const tick = (now: number) => {
    if (mode === "Open" && now - openedAt >= 1_000) enter("HalfOpen", now)
  }
  const ofPeriod = () => begun.filter((call) => call.period === period).sort((one, other) => one.doneAt - other.doneAt)
  return {
    mode: (now: number) => {
      tick(now)
      return mode
    },
    begin: (now: number): number | undefined => {
      tick(now)
      const running = ofPeriod().filter((call) => call.done === undefined).length
      if (mode === "Open" || (mode === "HalfOpen" && running >= trials)) return undefined
      return begun.push({ period, done: undefined, doneAt: Infinity }) - 1
    },
    end: (index: number, done: "success" | "failure" | "neither", now: number) => {
      const call = begun[index]!
      call.done = done
      call.doneAt = order++
      if (call.period !== period) return
      const ended = ofPeriod().flatMap(({ done }) => done === "success" || done === "failure" ? [done] : [])
      if (mode === "Closed") {
        const last = ended.slice(-failures)
        if (last.length === failures && last.every((done) => done === "failure")) enter("Open", now)
      } else if (mode === "HalfOpen") {
        if (ended.includes("failure")) enter("Open", now)
        else if (ended.length >= successes) enter("Closed", now)
      }
    },
    told: (what: "open" | "close", now: number) => {
      tick(now)
      enter(what === "open" ? "Open" : "Closed", now)
    }
  }
}

describe("CircuitBreaker against a model", () => {
  it.effect(
    "admits the same calls and is in the same state, whatever the order of what happens",
    () =>
      Effect.gen(function*() {
        const reached = new Set<string>()
        yield* forAll(
          FastCheck.record({
            commands: FastCheck.array(command, { maxLength: 60, size: "max" }),
            failures: FastCheck.integer({ min: 1, max: 4 }),
            trials: FastCheck.integer({ min: 1, max: 3 }),
            successes: FastCheck.integer({ min: 1, max: 4 })
          }),
          ({ commands, failures, successes, trials }) =>
            Effect.gen(function*() {
              const breaker = yield* CircuitBreaker.make("model", {
                trip: CircuitBreaker.consecutive(failures),
                openFor: "1 second",
                trials,
                successes
              })
              const expected = model(failures, trials, successes)
              const running: Array<
                { readonly index: number; readonly call: Effect.Effect.Success<ReturnType<typeof call>> }
              > = []
              for (const command of commands) {
                const now = yield* Clock.currentTimeMillis
                if (command._tag === "begin") {
                  const began = yield* call(breaker)
                  const index = expected.begin(now)
                  assert.strictEqual(began.admitted, index !== undefined)
                  if (index !== undefined) running.push({ index, call: began })
                  else assert.instanceOf(yield* Effect.flip(Fiber.join(began.fiber)), CircuitBreaker.CircuitOpen)
                } else if (command._tag === "end") {
                  const [ended] = running.splice(command.which % Math.max(1, running.length), 1)
                  if (ended === undefined) continue
                  const { answer, fiber } = ended.call
                  yield* command.how === "success"
                    ? Deferred.succeed(answer, "yes")
                    : command.how === "failure"
                    ? Deferred.fail(answer, new Down())
                    : command.how === "bad"
                    ? Deferred.fail(answer, new Bad())
                    : command.how === "die"
                    ? Deferred.die(answer, "defect")
                    : Fiber.interrupt(fiber)
                  yield* Fiber.await(fiber)
                  expected.end(
                    ended.index,
                    command.how === "success"
                      ? "success"
                      : command.how === "failure" || command.how === "die"
                      ? "failure"
                      : "neither",
                    now
                  )
                } else if (command._tag === "wait") yield* TestClock.adjust(command.millis)
                else {
                  yield* command.what === "open" ? breaker.open : breaker.close
                  expected.told(command.what, now)
                }
                // Looking is part of what happens: it makes an open breaker half-open.
                if (command._tag !== "wait") {
                  const state = yield* tag(breaker)
                  assert.strictEqual(state, expected.mode(yield* Clock.currentTimeMillis))
                  reached.add(state)
                }
              }
              yield* Effect.forEach(running, ({ call }) => Fiber.interrupt(call.fiber))
            }),
          { numRuns: 300 }
        )
        equal([...reached].sort(), ["Closed", "HalfOpen", "Open"])
      }),
    120_000
  )

  it.effect("many fibers at once: never more trials at once than are admitted, and every place comes back", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make("crowd", {
        trip: CircuitBreaker.consecutive(3),
        openFor: "1 second",
        trials: 2,
        successes: 1_000_000
      })
      yield* breaker.open
      yield* TestClock.adjust("1 second")
      const running = yield* Ref.make(0)
      const most = yield* Ref.make(0)
      const body = Effect.acquireUseRelease(
        Effect.flatMap(Ref.updateAndGet(running, (n) => n + 1), (n) => Ref.update(most, (m) => Math.max(m, n))),
        () => Effect.repeatN(Effect.yieldNow(), 3),
        () => Ref.update(running, (n) => n - 1)
      )
      const results = yield* Effect.forEach(
        Array.from({ length: 500 }, (_, n) => n),
        (n) =>
          Effect.repeatN(Effect.yieldNow(), n % 7).pipe(
            Effect.zipRight(Effect.either(breaker.protect(body))),
            (call) => n % 5 === 0 ? Effect.timeoutOption(call, 0) : Effect.asSome(call)
          ),
        { concurrency: "unbounded" }
      ).pipe(Effect.fork, Effect.tap(TestClock.adjust("1 second")), Effect.flatMap(Fiber.join))
      assert.isAtMost(yield* Ref.get(most), 2)
      assert.isAtLeast(results.filter((result) => result._tag === "Some" && Either.isRight(result.value)).length, 2)
      const state = yield* breaker.state
      assert.isTrue(state._tag === "HalfOpen" && state.running === 0)
    }))
})

describe("CircuitBreakers", () => {
  it.effect("one breaker for each name, shared by all who name it, made with the options of the name", () =>
    Effect.gen(function*() {
      const breakers = yield* CircuitBreakers.CircuitBreakers
      const [one, other] = yield* Effect.all([breakers.get("mail"), breakers.get("mail")], { concurrency: 2 })
      assert.strictEqual(one, other)
      const down = Effect.flip(CircuitBreakers.withBreaker(new Down(), "mail"))
      yield* down
      yield* down
      assert.strictEqual((yield* down)._tag, "CircuitOpen")
      assert.strictEqual(yield* CircuitBreakers.withBreaker("search")(Effect.succeed("found")), "found")
      yield* Effect.flip(CircuitBreakers.withBreaker(new Down(), "search"))
      assert.strictEqual(yield* tag(yield* breakers.get("search")), "Open")
      equal([...(yield* breakers.all).keys()], ["mail", "search"])
      const error = yield* Effect.flip(CircuitBreakers.withBreaker(Effect.void, "mail"))
      assert.strictEqual(Duration.toMillis(error.retryAfter), 1_000, "what the name leaves out comes from the defaults")
    }).pipe(Effect.provide(CircuitBreakers.layer({
      defaults: { openFor: "1 second", trip: CircuitBreaker.consecutive(1) },
      breakers: { mail: { trip: CircuitBreaker.consecutive(2) } }
    }))))

  it.effect("names of members of objects are names like others", () =>
    Effect.gen(function*() {
      const breakers = yield* CircuitBreakers.make({ breakers: {} })
      for (const name of ["constructor", "__proto__", "toString"]) {
        const breaker = yield* breakers.get(name)
        assert.strictEqual(breaker.name, name)
        assert.strictEqual(yield* breaker.protect(Effect.succeed(1)), 1)
      }
      assert.strictEqual((yield* breakers.all).size, 3)
    }))

  it.effect("acceptance 15: five in a row open, refused at once, three trials, three successes close, one failure opens", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make("acceptance")
      yield* Effect.repeatN(failing(breaker), 3)
      yield* succeeding(breaker)
      yield* Effect.repeatN(failing(breaker), 3)
      assert.strictEqual(yield* tag(breaker), "Closed")
      yield* failing(breaker)
      assert.strictEqual((yield* Effect.flip(succeeding(breaker)))._tag, "CircuitOpen")
      yield* TestClock.adjust("30 seconds")
      const trials = yield* Effect.replicateEffect(call(breaker), 4)
      equal(trials.map(({ admitted }) => admitted), [true, true, true, false])
      yield* Effect.forEach(trials.slice(0, 3), ({ answer }) => Deferred.succeed(answer, "yes"))
      yield* settle
      assert.strictEqual(yield* tag(breaker), "Closed")
      yield* Effect.repeatN(failing(breaker), 4)
      yield* TestClock.adjust("30 seconds")
      yield* failing(breaker)
      assert.strictEqual(yield* tag(breaker), "Open")
    }))
})
