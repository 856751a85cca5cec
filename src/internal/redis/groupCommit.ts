import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import type * as Driver from "../../store/Driver.ts"
import type { StoreError } from "../../store/StoreError.ts"
import * as GroupCommit from "../store/groupCommit.ts"
import * as Batch from "./batch.ts"

/** What writes a batch by one call of the script: the answers, or that somebody's hook holds the log. */
export type Write = (
  batch: ReadonlyArray<Batch.Prepared>
) => Effect.Effect<ReadonlyArray<Batch.Answer> | "held", StoreError>

/** Whether this process holds the log for a hook of its own, and when that ends. */
export interface Gate {
  readonly isClosed: () => boolean
  readonly onOpen: (run: () => void) => void
}

type Entry = GroupCommit.Entry<Batch.Prepared>

/** The most of one call, so that others' commands do not wait long for it; an append beyond it goes by itself. */
const maxAppends = 128
const maxEvents = 512
const maxBytes = 4_194_304

/** How many calls are on their way at once: one is made ready while the server works on another. */
const maxCalls = 2

/** How soon a log is asked for again that another process holds for a hook. */
export const heldDelay = "5 millis"

/**
 * Appends that share calls: all that are asked for in one turn of the event loop, or while earlier ones are on their way.
 * Each is judged and written by itself; one that is refused or fails does not touch the others.
 */
export const make = (
  write: Write,
  gate: Gate,
  onCommit: (position: number) => void
): Effect.Effect<
  (request: Driver.AppendRequest) => Effect.Effect<Driver.AppendResult, Driver.Refusal>,
  never,
  Scope.Scope
> =>
  Effect.gen(function*() {
    const fork = Runtime.runFork(yield* Effect.runtime())
    let list: Array<Entry> = []
    let calls = 0
    let scheduled = false
    let closed = false
    let waits = false
    let onIdle: (() => void) | undefined

    const schedule = (): void => {
      if (scheduled) return
      scheduled = true
      queueMicrotask(() => {
        scheduled = false
        dispatch()
      })
    }

    const dispatch = (): void => {
      for (;;) {
        if (calls >= maxCalls || list.length === 0 || waits || gate.isClosed()) break
        const batch = take()
        if (batch.length > 0) call(batch)
      }
      if (calls === 0 && list.length === 0) onIdle?.()
    }

    const take = (): ReadonlyArray<Entry> => {
      const batch: Array<Entry> = []
      let events = 0
      let bytes = 0
      let index = 0
      for (; index < list.length; index++) {
        const entry = list[index]!
        if (entry.state === "ended") continue
        events += entry.prepared.events
        bytes += entry.prepared.size
        if (batch.length > 0 && (batch.length >= maxAppends || events > maxEvents || bytes > maxBytes)) break
        batch.push(entry)
      }
      list = index === list.length ? [] : list.slice(index)
      return batch
    }

    const call = (entries: ReadonlyArray<Entry>): void => {
      calls++
      for (const entry of entries) entry.state = "writing"
      fork(
        Effect.map(
          Effect.either(Effect.catchAllCause(write(entries.map(({ prepared }) => prepared)), GroupCommit.asFailure)),
          (result) => {
            calls--
            if (Either.isLeft(result)) GroupCommit.end(entries, () => result.left)
            else if (result.right === "held") again(entries)
            else {
              const answers = result.right
              let last = 0
              for (const answer of answers) {
                if (!("_tag" in answer) && !answer.repeated) last = Math.max(last, Batch.lastPosition(answer))
              }
              if (last > 0) onCommit(last)
              GroupCommit.end(entries, (index) => answers[index]!)
            }
            dispatch()
          }
        )
      )
    }

    /** Nothing was written: they stand first again, and wait for the log. */
    const again = (entries: ReadonlyArray<Entry>): void => {
      list = [...entries.filter(GroupCommit.again), ...list]
      if (waits) return
      waits = true
      fork(Effect.zipRight(
        Effect.sleep(heldDelay),
        Effect.sync(() => {
          waits = false
          dispatch()
        })
      ))
    }

    gate.onOpen(dispatch)

    yield* Effect.addFinalizer(() =>
      Effect.async<void>((resume) => {
        closed = true
        if (calls === 0 && list.length === 0) resume(Effect.void)
        else onIdle = () => resume(Effect.void)
      })
    )

    return (request) =>
      Effect.async((resume) => {
        if (closed) return resume(GroupCommit.closed)
        const entry = GroupCommit.entry(Batch.prepare(request), resume)
        list.push(entry)
        schedule()
        return GroupCommit.leave(entry)
      })
  })
