import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HashSet from "effect/HashSet"
import { type Host, Running } from "../../saga/SagaDefinition.ts"
import * as Journal from "../../saga/SagaJournal.ts"
import { invalid } from "./activity.ts"
import { nameProblem } from "./saga.ts"
import { compensateAll } from "./compensation.ts"
import { identity } from "./identity.ts"
import * as Questions from "./questions.ts"
import type { Runner } from "./runner.ts"

/** A saga within a saga: what it did is undone before its parent hears of its failure. */
export const nested = (
  runner: Runner,
  parent: string,
  name: string,
  key: string | undefined,
  body: Effect.Effect<any, any, any>,
  hostOf: (parent: string) => Host
): Effect.Effect<any, any, any> => {
  const problem = nameProblem(name)
  if (problem !== undefined) return invalid(runner, name, "name", problem)
  const id = identity(parent, name, key, runner.state.round)
  const claim = `${id}/`
  if (runner.claimed.has(claim)) return invalid(runner, id, "duplicate")
  runner.claimed.add(claim)
  return Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Effect.exit(restore(Effect.provideService(body, Running, hostOf(id)))), (exit) => {
      if (Exit.isSuccess(exit) || runner.closed || runner.halted) return exit
      // Past the pivot nothing is undone, and under a rollback of the whole that one does it.
      if (Questions.pivotState(runner.state) === "passed") return exit
      if (!HashSet.has(runner.state.nested, id) && runner.deciding !== undefined) return exit
      const decided = HashSet.has(runner.state.nested, id)
        ? Effect.succeed(true)
        : runner.note([Journal.NestedDecided({ nested: id })], () => !runner.blocked())
      return Effect.flatMap(decided, (known) =>
        // One that was interrupted is undone before the saga commits.
        known && !Exit.isInterrupted(exit) && runner.deciding === undefined
          ? Effect.zipRight(undo(runner, claim), exit)
          : exit)
    })
  )
}

const undo = (runner: Runner, within: string): Effect.Effect<void> =>
  Effect.suspend(() => {
    const plan = Questions.plan(runner.state, within)
    if (plan.length === 0) return Effect.void
    return Effect.flatMap(Effect.forkDaemon(Effect.interruptible(compensateAll(runner, plan))), (fiber) => {
      runner.apart.add(fiber)
      return Effect.ensuring(Fiber.join(fiber), Effect.sync(() => runner.apart.delete(fiber)))
    })
  })
