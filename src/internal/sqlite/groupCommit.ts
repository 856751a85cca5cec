import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import type * as Driver from "../../store/Driver.ts"
import type * as SqliteClient from "../../store/SqliteClient.ts"
import { StoreError } from "../../store/StoreError.ts"
import type { Answer, Appender } from "./appender.ts"
import * as Errors from "./errors.ts"

/** One append on its way: on the list, then being written, then answered (or its appender has gone). */
interface Entry {
  readonly request: Driver.AppendRequest
  state: "waiting" | "writing" | "ended"
  answer: Answer | StoreError | undefined
  /** Called when the transaction has ended. */
  readonly settle: (answer: Answer | StoreError) => void
  /** The fiber that asks, where it may be interrupted while it waits. */
  readonly fiber: Fiber.RuntimeFiber<any, any> | undefined
  /** Where a hook runs: called when its rows are written; the transaction goes on when `end` is called. */
  readonly grant: ((turn: Turn) => void) | undefined
  /** One who was interrupted and waits for the end. */
  onEnd: (() => void) | undefined
}

/** The stretch of a transaction in which the hook of one append runs. */
interface Turn {
  readonly savepoint: SqliteClient.Transaction
  readonly result: Driver.AppendResult
  readonly end: (exit: Exit.Exit<void, unknown>) => void
}

/** Appends that share transactions: those that wait when the writer is free are committed together. */
export interface GroupCommit {
  /** Given the fiber that asks, unless it is in an uninterruptible region. */
  readonly append: (
    request: Driver.AppendRequest,
    fiber: Fiber.RuntimeFiber<any, any> | undefined
  ) => Effect.Effect<Driver.AppendResult, Driver.Refusal>
  readonly appendWith: (
    request: Driver.AppendRequest,
    hook: (result: Driver.AppendResult) => Effect.Effect<void, unknown>
  ) => Effect.Effect<Driver.AppendResult, Driver.Refusal>
}

const operation = "EventStore.append"

/** The most appends of one transaction, so that in a flood of them the first do not wait for the last. */
const maxGroup = 512

/** After so many appends on microtasks alone, timers, signals and sockets get their turn. */
const maxInRow = 128

/**
 * All that is asked for in one turn of the event loop lands in one transaction, which is begun by the first of them on the
 * next microtask: no fiber, no timer, and nothing to wait for unless the lock is taken or a hook runs. Now and then it is
 * begun on the next turn of the event loop instead, which callers that append again at once would never let come.
 */
export const make = (
  client: SqliteClient.Service,
  appender: Appender,
  onCommit: (position: number) => void
): Effect.Effect<GroupCommit, never, Scope.Scope> =>
  Effect.gen(function*() {
    const runtime = yield* Effect.runtime()
    const fork = (effect: Effect.Effect<void>) => void Runtime.runFork(runtime)(Effect.uninterruptible(effect))
    let waiting: Array<Entry> = []
    let busy = false
    let closed = false
    let onIdle: (() => void) | undefined
    let inRow = 0

    const schedule = (): void => {
      if (inRow < maxInRow) return queueMicrotask(start)
      inRow = 0
      setImmediate(start)
    }

    const enqueue = (entry: Entry): void => {
      waiting.push(entry)
      if (busy) return
      busy = true
      schedule()
    }

    const start = (): void => {
      if (client.lock.tryAcquire()) begin()
      else fork(Effect.zipRight(client.lock.acquire, Effect.sync(begin)))
    }

    /** The lock is held. */
    const begin = (): void => {
      let transaction: SqliteClient.Transaction
      try {
        transaction = client.begin()
      } catch (error) {
        if (Errors.classify(error) === "busy") {
          return fork(Effect.match(client.retryBusy(operation, client.begin), { onFailure: refuse, onSuccess: run }))
        }
        return refuse(error)
      }
      run(transaction)
    }

    const take = (): ReadonlyArray<Entry> => {
      const group = waiting.length <= maxGroup ? waiting : waiting.slice(0, maxGroup)
      inRow += group.length
      waiting = waiting.length <= maxGroup ? [] : waiting.slice(maxGroup)
      return group
    }

    const refuse = (error: unknown): void => {
      const group = waiting
      waiting = []
      fail(group, error)
    }

    const run = (transaction: SqliteClient.Transaction): void => {
      const group = take()
      let next = 0
      const proceed = (): void => {
        try {
          for (; next < group.length; next++) {
            const entry = group[next]!
            entry.state = hasLeft(entry) ? "ended" : "writing"
            if (entry.state === "ended") continue
            if (entry.grant === undefined) entry.answer = appender.append(entry.request)
            else if (inTurn(entry, entry.grant)) return
          }
          client.commit(transaction)
        } catch (error) {
          return undo(error)
        }
        end(group, undefined)
        onCommit(appender.position())
      }
      /** Whether a hook runs now. */
      const inTurn = (entry: Entry, grant: (turn: Turn) => void): boolean => {
        const savepoint = client.savepoint(transaction)
        const answer = entry.answer = appender.append(entry.request)
        if ("_tag" in answer || answer.repeated) {
          client.rollback(savepoint)
          return false
        }
        let open = true
        grant({
          savepoint,
          result: answer,
          end: (exit) => {
            if (!open) return
            open = false
            next++
            try {
              if (Exit.isSuccess(exit)) client.commit(savepoint)
              else client.rollback(savepoint)
              if (!transaction.isActive()) throw new Error("a hook ended the transaction that it ran in")
              // What the hook appended is there, too, or what was appended with it is not.
              appender.load()
            } catch (error) {
              return undo(error)
            }
            proceed()
          }
        })
        return true
      }
      const undo = (error: unknown): void => {
        try {
          client.rollback(transaction)
        } catch {
          // The next transaction on the connection rolls back first.
        }
        fail(group, error)
      }
      try {
        appender.load()
      } catch (error) {
        return undo(error)
      }
      proceed()
    }

    const fail = (group: ReadonlyArray<Entry>, error: unknown): void => {
      appender.forget()
      end(group, Errors.storeError(operation, error))
    }

    const end = (group: ReadonlyArray<Entry>, failure: StoreError | undefined): void => {
      client.lock.release()
      for (const entry of group) {
        if (entry.state === "ended") continue
        entry.state = "ended"
        entry.settle(failure ?? entry.answer!)
        entry.onEnd?.()
      }
      busy = waiting.length > 0
      if (busy) schedule()
      else onIdle?.()
    }

    yield* Effect.addFinalizer(() =>
      Effect.async<void>((resume) => {
        closed = true
        if (!busy) resume(Effect.void)
        else onIdle = () => resume(Effect.void)
      })
    )

    /** For an append with a hook: one whose turn has not come is passed over; one that is being written is waited for. */
    const leave = (entry: Entry): Effect.Effect<void> =>
      Effect.async((resume) => {
        if (entry.state === "waiting") entry.state = "ended"
        if (entry.state === "ended") resume(Effect.void)
        else entry.onEnd = () => resume(Effect.void)
      })

    const refusedWhenClosed = Effect.suspend(() =>
      Effect.fail(
        new StoreError({ reason: "closed", operation, cause: new Error("the event store's scope has ended") })
      )
    )

    return {
      // What takes notice of an interruption would cost more than the append: who has been interrupted is seen when its
      // turn comes.
      append: (request, fiber) =>
        Effect.async((resume) => {
          if (closed) return resume(refusedWhenClosed)
          enqueue({
            request,
            state: "waiting",
            answer: undefined,
            settle: (answer) => resume(toEffect(answer)),
            fiber,
            grant: undefined,
            onEnd: undefined
          })
        }),
      // The hook runs on the appender's own fiber, so that it sees that fiber's clock, span and correlation.
      appendWith: (request, hook) =>
        Effect.uninterruptibleMask((restore) =>
          Effect.suspend(() => {
            if (closed) return refusedWhenClosed
            let notify: (() => void) | undefined
            let turn: Turn | undefined
            let answer: Answer | StoreError | undefined
            const told = Effect.async<void>((resume) => {
              if (turn !== undefined || answer !== undefined) resume(Effect.void)
              else notify = () => resume(Effect.void)
            })
            const entry: Entry = {
              request,
              state: "waiting",
              answer: undefined,
              settle: (given) => {
                answer = given
                notify?.()
              },
              fiber: undefined,
              grant: (given) => {
                turn = given
                notify?.()
              },
              onEnd: undefined
            }
            enqueue(entry)
            // A turn that is granted to one who is being interrupted is given back here.
            const granted = Effect.onError(restore(told), (cause) =>
              Effect.suspend(() => {
                turn?.end(Exit.failCause(cause))
                return leave(entry)
              }))
            return Effect.flatMap(granted, () => {
              if (turn === undefined) return toEffect(answer!)
              const { end, result, savepoint } = turn
              const run = Effect.exit(restore(client.within(savepoint)(Effect.suspend(() => hook(result)))))
              return Effect.flatMap(run, (exit) => {
                turn = undefined
                notify = undefined
                end(exit)
                return Effect.flatMap(told, (): Effect.Effect<Driver.AppendResult, Driver.Refusal> =>
                  Exit.isSuccess(exit)
                    ? toEffect(answer!)
                    : Effect.mapError(
                      exit as Exit.Exit<never, unknown>,
                      (cause) => new StoreError({ reason: "hook", operation, cause })
                    ))
              })
            })
          })
        )
    }
  })

const hasLeft = ({ fiber, state }: Entry): boolean =>
  state === "ended" || (fiber !== undefined && !Cause.isEmpty(fiber.getFiberRef(FiberRef.interruptedCause)))

const toEffect = (answer: Answer | StoreError): Effect.Effect<Driver.AppendResult, Driver.Refusal> =>
  "_tag" in answer ? Effect.fail(answer) : Effect.succeed(answer)
