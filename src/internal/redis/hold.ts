import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import { globalValue } from "effect/GlobalValue"
import { randomUUID } from "node:crypto"
import type * as Driver from "../../store/Driver.ts"
import { StoreError } from "../../store/StoreError.ts"
import { rowsOf } from "../store/appendedRows.ts"
import * as AppendScripts from "./appendScripts.ts"
import * as Batch from "./batch.ts"
import type { Client, Runner } from "./connection.ts"
import { type Gate, heldDelay } from "./groupCommit.ts"
import * as Keys from "./keys.ts"

/** The token by which the fiber, which runs a hook, holds a log; with whose log it is. */
const current = globalValue(
  "effect-skald/store/redis/hold",
  () =>
    FiberRef.unsafeMake<
      { readonly client: Client; readonly base: string; readonly token: string } | undefined
    >(undefined)
)

/** For how long a log is kept for a hook whose process does not renew it, and how often it does. */
const lease = 5_000
const renewEvery = "1500 millis"

const operation = "EventStore.append"

/**
 * Appends with hooks. Redis has no transaction that a hook could run in, so that one is made: what is appended stands beyond
 * the head, where no reader sees it, and the whole log is held, so that nobody else appends, until the hook has
 * succeeded and the head moves, or has not and all of it is taken back. What a hook appends itself joins it. When the
 * process dies, others take it back when the time of the hold is over.
 */
export const make = (options: {
  readonly client: Client
  readonly base: string
  readonly runner: Runner
  /** Tries again where the connection was lost; twice sent does no harm. */
  readonly writing: <A>(effect: Effect.Effect<A, StoreError>) => Effect.Effect<A, StoreError>
  readonly onCommit: (position: number) => void
}) => {
  const { base, client, onCommit, runner, writing } = options
  const turns = Effect.unsafeMakeSemaphore(1)
  const onOpen: Array<() => void> = []
  let isHeld = false

  const settle = (...args: ReadonlyArray<string>) =>
    Effect.map(writing(runner.run(operation, AppendScripts.settle, args)), (answer) => answer === 1)

  const lost = () =>
    new StoreError({
      operation,
      reason: "timeout",
      cause: new Error("the log was held for a hook and the server took it back: nothing was appended")
    })

  /** Writes beyond the head. */
  const write = (request: Driver.AppendRequest, token: string, mode: "begin" | "join") =>
    Effect.suspend(() => {
      const prepared = Batch.prepare(request)
      const once = writing(
        runner.run(operation, AppendScripts.append, Batch.parameters([prepared], { token, mode, lease }))
      )
      const attempt: Effect.Effect<Driver.AppendResult, Driver.Refusal> = Effect.flatMap(
        once,
        ([reply]: ReadonlyArray<"held" | "lost" | Batch.Reply>): Effect.Effect<Driver.AppendResult, Driver.Refusal> => {
          if (reply === "held") return Effect.zipRight(Effect.sleep(heldDelay), attempt)
          if (reply === "lost" || reply === undefined) return lost()
          const answer = Batch.answer(prepared, reply)
          return "_tag" in answer ? Effect.fail(answer) : Effect.succeed(answer)
        }
      )
      return attempt
    })

  const runHook = (request: Driver.AppendRequest, result: Driver.AppendResult, hook: Driver.Hook) =>
    Effect.mapError(
      hook(rowsOf(request, result)),
      (cause) => new StoreError({ reason: "hook", operation, cause })
    )

  const renewing = (token: string): Effect.Effect<never, StoreError> =>
    Effect.forever(Effect.zipRight(
      Effect.sleep(renewEvery),
      Effect.flatMap(settle(token, "renew", String(lease)), (isOurs) => isOurs ? Effect.void : lost())
    ))

  /** Holds the log from its first write to its end. */
  const outermost = (request: Driver.AppendRequest, hook: Driver.Hook) =>
    Effect.suspend(() => {
      const token = randomUUID()
      let held = true
      const commit = (result: Driver.AppendResult) => {
        const id = request.groups.find(({ events }) => events.length > 0)!.events[0]!.id
        return Effect.flatMap(
          settle(token, "commit", "0", Keys.tenant(request.tenant), id, String(result.events[0]!.position)),
          (isOurs) => {
            held = false
            if (!isOurs) return lost()
            onCommit(Batch.lastPosition(result))
            return Effect.succeed(result)
          }
        )
      }
      return Effect.suspend(() => {
        isHeld = true
        return write(request, token, "begin")
      }).pipe(
        Effect.flatMap((result) => {
          if (result.repeated) {
            held = false
            return Effect.succeed(result)
          }
          const work = Effect.locally(runHook(request, result, hook), current, { client, base, token })
          return Effect.zipRight(Effect.raceFirst(work, renewing(token)), Effect.uninterruptible(commit(result)))
        }),
        Effect.ensuring(Effect.suspend(() =>
          held
            ? Effect.catchAll(settle(token, "end", "0"), (error) => Effect.logDebug("a hold runs out", error))
            : Effect.void
        )),
        Effect.ensuring(Effect.sync(() => {
          isHeld = false
          for (const run of onOpen) {
            run()
          }
        }))
      )
    })

  /** Inside a hook: what fails is taken back alone. */
  const within = (token: string, request: Driver.AppendRequest, hook: Driver.Hook | undefined) =>
    Effect.flatMap(
      write(request, token, "join"),
      (result) =>
        hook === undefined || result.repeated ? Effect.succeed(result) : Effect.as(
          Effect.onError(
            runHook(request, result, hook),
            () => Effect.ignore(settle(token, "undo", String(result.events[0]!.position - 1)))
          ),
          result
        )
    )

  const gate: Gate = {
    isClosed: () => isHeld,
    onOpen: (run) => onOpen.push(run)
  }

  return {
    gate,
    /** Who holds this log, if the fiber runs a hook of it. */
    token: Effect.map(
      FiberRef.get(current),
      (found) => found?.client === client && found.base === base ? found.token : undefined
    ),
    within,
    append: (request: Driver.AppendRequest, hook: Driver.Hook) => turns.withPermits(1)(outermost(request, hook))
  }
}
