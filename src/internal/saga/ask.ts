import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Correlation from "../../event/Correlation.ts"
import type { InvalidInput } from "../../event/InvalidInput.ts"
import type { Ref, Service } from "../../saga/SagaEngine.ts"
import { type AskError, EngineStopped, SagaNotFound } from "../../saga/SagaError.ts"
import * as Journal from "../../saga/SagaJournal.ts"
import { EventStore } from "../../store/EventStore.ts"
import * as Faults from "../faults.ts"
import * as Commands from "./commands.ts"
import type { Fleet } from "./fleet.ts"
import { signalSlot } from "./identity.ts"
import * as Index from "./index.ts"
import { load } from "./load.ts"
import * as Machine from "./machine.ts"
import type { Runner } from "./runner.ts"
import * as View from "./view.ts"

/** What is asked of sagas from outside: of the one that runs here where there is one, else of its journal. */
export const make = (
  fleet: Fleet,
  ready: Effect.Effect<void, AskError>
): Pick<Service, "result" | "status" | "signal" | "cancel" | "retry" | "skip" | "resolve"> => {
  const { shared, store } = fleet.options

  const known = (ref: Ref) =>
    Effect.flatMap(
      load(store, ref.saga, ref.id),
      Option.match({
        onNone: () => Effect.fail(new SagaNotFound({ saga: ref.saga, id: ref.id })),
        onSome: Effect.succeed
      })
    )

  const keyOf = (ref: Ref): Effect.Effect<string, AskError> =>
    Effect.zipRight(ready, Effect.map(Correlation.current, ({ tenant }) => Index.keyOf(tenant, ref.saga, ref.id)))

  /** The saga, where it runs here. */
  const running = (key: string): Runner | undefined => {
    const runner = fleet.runners.get(key)
    return runner === undefined || runner.closed ? undefined : runner
  }

  // ------------------------------------------------------------------------------------------------------------ results

  const result: Service["result"] = (contract, id) => {
    const ref = { saga: contract.name, id }
    return Effect.flatMap(keyOf(ref), (key) => {
      const watch = (runner: Runner): ReturnType<Service["result"]> =>
        Effect.suspend(() => {
          const { state } = runner
          if (state.ended !== undefined) return View.resultOf(contract, state, state.ended)
          const stuck = View.stuckOf(state)
          if (stuck !== undefined) return stuck
          if (runner.broken !== undefined) return Effect.failCause(runner.broken as never)
          return runner.closed ? ask : Effect.zipRight(runner.nextChange, watch(runner))
        })
      const ask: ReturnType<Service["result"]> = Effect.suspend(() => {
        const runner = running(key)
        if (runner !== undefined) return watch(runner)
        // Listens before it reads: what is written in between is heard.
        const { forget, told } = fleet.follow(key)
        const read = Effect.flatMap(known(ref), ({ state }): ReturnType<Service["result"]> => {
          if (state.ended !== undefined) return View.resultOf(contract, state, state.ended)
          const stuck = View.stuckOf(state)
          if (stuck !== undefined) return stuck
          if (fleet.stopping || !(shared || fleet.carries(key))) return new EngineStopped(ref)
          return running(key) === undefined ? Effect.zipRight(told, ask) : ask
        })
        return Effect.ensuring(read, forget)
      })
      return ask
    })
  }

  const status: Service["status"] = (ref) =>
    Effect.flatMap(keyOf(ref), (key) => {
      const runner = running(key)
      return runner === undefined
        ? Effect.map(known(ref), ({ state }) => View.statusOf(state))
        : Effect.succeed(View.statusOf(runner.state))
    })

  // ----------------------------------------------------------------------------------------------------------- commands

  const command = <A, E>(ref: Ref, asked: Commands.Command<A, E>): Effect.Effect<A, E | AskError | SagaNotFound> =>
    Effect.flatMap(keyOf(ref), (key) => {
      const runner = running(key)
      return runner === undefined
        ? elsewhere(key, ref, asked)
        : Effect.uninterruptible(runner.commands.withPermits(1)(here(key, ref, runner, asked)))
    })

  const here = <A, E>(
    key: string,
    ref: Ref,
    runner: Runner,
    asked: Commands.Command<A, E>
  ): Effect.Effect<A, E | AskError | SagaNotFound> =>
    Effect.suspend(() => {
      if (runner.closed && !fleet.stopping) return elsewhere(key, ref, asked)
      const before = runner.state
      const decided = asked.decide(before)
      if (Either.isLeft(decided)) return Effect.fail(decided.left)
      if (decided.right.length === 0) return Effect.succeed(asked.answer(before, before))
      const noted = runner.write(decided.right, () => {
        const now = asked.decide(runner.state)
        if (Either.isLeft(now) || now.right.length === 0 || runner.isCommitting) return false
        if (asked.cancels) runner.want("cancelled")
        return true
      })
      return Effect.flatMap(Effect.exit(noted), (exit) => {
        if (Exit.isSuccess(exit)) {
          return exit.value
            ? Effect.succeed(asked.answer(before, runner.state))
            // What is on its way to the journal settles it: then it is asked once more.
            : Effect.zipRight(
              Effect.suspend(() => runner.isCommitting ? runner.nextChange : Effect.void),
              here(key, ref, runner, asked)
            )
        }
        const tooMuch = Cause.failureOption(exit.cause)
        if (Option.isSome(tooMuch)) return Faults.invalid("value", String(tooMuch.value.cause))
        // It went to another owner, or was let go, before that was written.
        return runner.closed && !fleet.stopping && Cause.isInterruptedOnly(exit.cause)
          ? elsewhere(key, ref, asked)
          : Effect.failCause(exit.cause as Cause.Cause<never>)
      })
    })

  /** A saga that does not run in this process: whoever has it hears of it. */
  const elsewhere = <A, E>(
    key: string,
    ref: Ref,
    asked: Commands.Command<A, E>
  ): Effect.Effect<A, E | AskError | SagaNotFound> =>
    Effect.flatMap(known(ref), ({ state }) => {
      const decided = asked.decide(state)
      if (Either.isLeft(decided)) return Effect.fail(decided.left)
      if (decided.right.length === 0) return Effect.succeed(asked.answer(state, state))
      const appended = Effect.provideService(
        Journal.Sagas.append(Journal.idOf(ref.saga, ref.id), decided.right, { expected: state.version }),
        EventStore,
        store
      )
      return Effect.matchEffect(appended, {
        onSuccess: () =>
          Effect.map(Clock.currentTimeMillis, (at) => {
            fleet.notice(key)
            return asked.answer(state, Machine.fold(decided.right.map((event) => ({ event, at })), state))
          }),
        onFailure: (error) =>
          error._tag === "VersionConflict"
            ? elsewhere(key, ref, asked)
            : error._tag === "StoreError"
            ? error
            : Faults.invalid("value", error.message)
      })
    })

  const by = <A extends { readonly by: string; readonly why: string }, B, E>(
    given: A,
    act: (given: A) => Effect.Effect<B, E>
  ): Effect.Effect<B, E | InvalidInput> => {
    const faults = Faults.make()
    for (const field of ["by", "why"] as const) {
      const problem = Faults.nameProblem(given[field], 2_000)
      if (problem !== undefined) faults.add(field, problem)
    }
    return Effect.flatMap(Faults.orInvalid(faults, () => given), act)
  }

  return {
    result,
    status,
    signal: (ref, { key, name, value }) => command(ref, Commands.signal(signalSlot(name, key), value)),
    cancel: (ref, given) => by(given, () => command(ref, Commands.cancel(given))),
    retry: (ref, given) => by(given, () => command(ref, Commands.retry(given))),
    skip: (ref, given) => by(given, () => command(ref, Commands.skip(given))),
    resolve: (ref, given) => by(given, () => command(ref, Commands.resolve(given)))
  }
}
