import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Exit from "effect/Exit"
import * as ParseResult from "effect/ParseResult"
import * as SchedulePosition from "../../resilience/SchedulePosition.ts"
import * as Journal from "../../saga/SagaJournal.ts"
import { compensateAll } from "./compensation.ts"
import * as Failures from "./failure.ts"
import * as Questions from "./questions.ts"
import type { SagaState } from "./state.ts"
import type { Runner, Turn } from "./runner.ts"
import { resumable } from "./schedule.ts"

/**
 * Carries a saga through, from where its journal stands to its end. Runs in a fiber of its own that nobody interrupts but a
 * host that stops: the body's fiber may be interrupted, this one obeys what was decided.
 */
export const live = (runner: Runner): Effect.Effect<void> =>
  Effect.withFiberRuntime((fiber) => {
    runner.quiet.add(fiber)
    const limit = runner.state.deadline
    const timer = limit === undefined ? undefined : runner.fork(deadline(runner, limit))
    runner.consider()
    return Effect.zipRight(
      turns(runner),
      Effect.sync(() => {
        // What has ended is not kept, nor the process, until a deadline that may be a month away.
        timer?.unsafeInterruptAsFork(fiber.id())
        runner.options.onGone(runner)
      })
    )
  })

/** The same for a saga that has just been started here, and runs in one fiber where its body lets it. */
export const begin = (runner: Runner): void => {
  const payload = ParseResult.decodeUnknownEither(runner.definition.contract.payload)(runner.state.payload)
  if (runner.state.deadline !== undefined || Either.isLeft(payload)) {
    // whoever waits for its end does so before it is there
    runner.fork(live(runner), false)
    return
  }
  runner.startFirst(payload.right, (turn) =>
    Effect.withFiberRuntime((fiber) => {
      runner.quiet.add(fiber)
      return Effect.zipRight(
        after(runner, turn),
        Effect.zipRight(turns(runner), Effect.sync(() => runner.options.onGone(runner)))
      )
    }))
}

const turns = (runner: Runner): Effect.Effect<void> =>
  Effect.suspend(() => {
    const { state } = runner
    if (runner.closed || state.ended !== undefined) return Effect.void
    return Effect.zipRight(next(runner, state), turns(runner))
  })

const next = (runner: Runner, state: SagaState): Effect.Effect<void> => {
  if (state.decision !== undefined) return rollBack(runner)
  if (runner.wanted !== undefined) return decide(runner, runner.wanted, undefined)
  // What concerns the saga as a whole is settled before its body runs again.
  if (runner.isStuck("")) return runner.awaitAct("")
  if (state.roundDue !== undefined && state.roundDue > runner.now()) {
    const { roundDue } = state
    return runner.quiet.waiting(roundDue, Effect.raceFirst(runner.until(roundDue), runner.awaitChange))
  }
  const payload = ParseResult.decodeUnknownEither(runner.definition.contract.payload)(state.payload)
  if (Either.isLeft(payload)) return mismatch(runner, "its payload cannot be read")
  runner.startBody(payload.right)
  return Effect.flatMap(runner.quiet.waiting(Infinity, Deferred.await(runner.turn)), (turn) => after(runner, turn))
}

const after = (runner: Runner, turn: Turn): Effect.Effect<void> => {
  switch (turn._tag) {
    case "Over":
      return Effect.void
    case "Mismatch":
      return mismatch(runner, turn.detail)
    case "Exit":
      return ended(runner, turn.exit)
  }
}

const mismatch = (runner: Runner, detail: string): Effect.Effect<void> =>
  Effect.zipRight(
    Effect.suspend(() => {
      runner.halted = true
      return runner.stopBody
    }),
    Effect.suspend(() => {
      runner.halted = false
      return runner.intervene("definitionMismatch", undefined, { kind: "invalid", message: detail })
    })
  )

// ----------------------------------------------------------------------------------------------------------- the body's end

const ended = (runner: Runner, exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (runner.closed || runner.deciding !== undefined) return Effect.void
    const missing = runner.replay.unclaimed()
    if (missing.length > 0) return mismatch(runner, `${missing.join(", ")} is not asked for any more`)
    if (runner.invalid !== undefined) return failed(runner, Cause.die(runner.invalid))
    return exit._tag === "Success" ? commit(runner, exit.value) : failed(runner, exit.cause)
  })

const commit = (runner: Runner, value: unknown): Effect.Effect<void> => {
  const { success } = runner.definition.contract
  const encoded = ParseResult.encodeUnknownEither(success)(value)
  if (Either.isLeft(encoded)) return failed(runner, Cause.die(encoded.left))
  const stray = Questions.strayToUndo(runner.state)
  return Effect.zipRight(
    stray.length === 0 ? Effect.void : compensateAll(runner, stray),
    Effect.suspend(() => {
      const { id, saga } = runner.state
      const left = Questions.leftOver(runner.state)
      const result = encoded.right === undefined ? {} : { value: encoded.right }
      return runner.write(
        [
          { _tag: "SagaDecided", saga, id, decision: "commit" },
          { _tag: "SagaEnded", saga, id, state: "completed", ...result, left }
        ],
        () => {
          // asked again: another process may have cancelled before this came to the journal
          if (runner.deciding === "commit" && runner.state.cancel !== undefined && !runner.pivoting) {
            runner.deciding = undefined
            runner.consider()
          }
          if (runner.deciding === "rollback") return false
          runner.deciding = "commit"
          return true
        }
      ).pipe(
        Effect.asVoid,
        Effect.catchAll((error) => {
          runner.deciding = undefined
          return failed(runner, Cause.die(new Error("the saga's result cannot be journaled", { cause: error.cause })))
        })
      )
    })
  )
}

const failed = (runner: Runner, cause: Cause.Cause<unknown>): Effect.Effect<void> =>
  Effect.suspend(() => {
    const { contract } = runner.definition
    const failure = Failures.ofCause(cause, undefined, contract.error)
    if (runner.deciding !== undefined) return Effect.void
    if (runner.pivoting) return runner.intervene("failedAfterPivot", undefined, failure)
    if (contract.onFailure === "suspend" && failure.kind !== "invalid") {
      return runner.intervene("suspended", undefined, failure)
    }
    runner.deciding = "rollback"
    runner.wanted = "failed"
    return decide(runner, "failed", failure)
  })

// ---------------------------------------------------------------------------------------------------------------- rollback

const decide = (
  runner: Runner,
  reason: Journal.Reason,
  failure: Journal.Failure | undefined
): Effect.Effect<void> =>
  Effect.suspend(() => {
    const { id, saga } = runner.state
    const decided = Journal.Decided({
      saga,
      id,
      decision: "rollback",
      reason,
      ...(failure === undefined ? {} : { failure })
    })
    return Effect.zipRight(
      runner.note([decided]),
      Effect.suspend(() => {
        runner.wanted = undefined
        return runner.stopBody
      })
    )
  })

const rollBack = (runner: Runner): Effect.Effect<void> =>
  Effect.zipRight(
    collect(runner),
    Effect.suspend(() => {
      const { state } = runner
      return runner.isStuck("") ? runner.awaitAct("") : Effect.zipRight(
        compensateAll(runner, Questions.plan(state)),
        Effect.suspend(() => afterRollBack(runner))
      )
    })
  )

/** Has the body ask for its steps once more, where a rollback begins without their compensations. */
const collect = (runner: Runner): Effect.Effect<void> =>
  Effect.suspend(() => {
    const missing = () => Questions.plan(runner.state).filter((each) => !runner.compensations.has(each.id))
    if (missing().length === 0) return Effect.void
    return Effect.flatMap(
      Effect.either(ParseResult.decodeUnknown(runner.definition.contract.payload)(runner.state.payload)),
      (payload) => {
        if (Either.isLeft(payload)) return mismatch(runner, "its payload cannot be read")
        runner.startBody(payload.right)
        return Effect.raceFirst(Deferred.await(runner.turn), Deferred.await(runner.replay.complete)).pipe(
          Effect.zipRight(runner.stopBody),
          Effect.zipRight(Effect.suspend(() => {
            runner.halted = false
            const still = missing()
            return still.length === 0
              ? Effect.void
              : mismatch(runner, `${still.map((each) => each.id).join(", ")} is not asked for any more`)
          }))
        )
      }
    )
  })

const afterRollBack = (runner: Runner): Effect.Effect<void> =>
  Effect.suspend(() => {
    const { decision, id, saga } = runner.state
    const again = anotherRound(runner)
    if (again !== undefined) {
      return Effect.map(runner.note([again]), () => {
        runner.deciding = undefined
        runner.pivoting = false
        runner.compensations.clear()
        runner.consider()
      })
    }
    return Effect.asVoid(runner.note([Journal.Ended({
      saga,
      id,
      state: decision!.reason === "timedOut" ? "timedOut" : "compensated",
      reason: decision!.reason ?? "failed",
      left: Questions.leftOver(runner.state),
      ...(decision!.failure === undefined ? {} : { failure: decision!.failure })
    })]))
  })

const anotherRound = (runner: Runner) => {
  const { contract } = runner.definition
  const { cancel, decision, retryPosition, round, seed } = runner.state
  const { failure, reason } = decision!
  if (
    contract.retry === undefined || reason !== "failed" || failure?.kind !== "error" || failure.codec !== "saga" ||
    cancel !== undefined || runner.deadlinePassed || Questions.leftOver(runner.state).length > 0
  ) return undefined
  const taken = Either.flatMap(
    ParseResult.decodeUnknownEither(contract.error)(failure.value),
    (error) =>
      Either.flatMap(
        resumable(contract.retry!, contract.error),
        (driven) => driven.step(retryPosition ?? SchedulePosition.initialWith(seed), runner.now(), error)
      )
  )
  if (Either.isLeft(taken)) return undefined
  const { position } = taken.right
  return position.next === null
    ? undefined
    : Journal.RoundStarted({ round: round + 1, due: position.next, position })
}

// ---------------------------------------------------------------------------------------------------------------- deadline

const deadline = (runner: Runner, due: number): Effect.Effect<void> =>
  Effect.zipRight(
    runner.until(due),
    Effect.suspend(() => {
      runner.deadlinePassed = true
      runner.consider()
      return late(runner)
    })
  )

/** Past the pivot a saga goes on, and is said to be late; while the pivot's outcome is open, that is waited for. */
const late = (runner: Runner): Effect.Effect<void> =>
  Effect.suspend(() => {
    const { id, late: said, pivot, saga } = runner.state
    if (said || runner.deciding !== undefined) return Effect.void
    switch (Questions.pivotState(runner.state)) {
      case "passed":
        return Effect.asVoid(runner.note([Journal.DeadlinePassed({ saga, id })], () => runner.deciding === undefined))
      case "open":
        return Effect.zipRight(runner.awaitActivity(pivot!), late(runner))
      default:
        return Effect.void
    }
  })
