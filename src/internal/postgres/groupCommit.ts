import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import type * as Driver from "../../store/Driver.ts"
import { StoreError } from "../../store/StoreError.ts"
import * as GroupCommit from "../store/groupCommit.ts"
import * as Batch from "./batch.ts"

/** What writes a batch: in one round trip, one transaction. */
export interface Writer {
  /** Without waiting for a lock: the answers, or which of the locks are taken, and then nothing was written. */
  readonly attempt: (
    batch: ReadonlyArray<Batch.Prepared>
  ) => Effect.Effect<ReadonlyArray<Batch.Answer> | { readonly taken: ReadonlySet<number> }, StoreError>
  /** Waits for the locks of one append. */
  readonly wait: (prepared: Batch.Prepared) => Effect.Effect<Batch.Answer, StoreError>
}

/** An append on its way, and who runs it where it waits for locks: one who is interrupted does not wait for them. */
interface Entry extends GroupCommit.Entry<Batch.Prepared> {
  runner: Fiber.RuntimeFiber<void> | undefined
}

/**
 * The most of one transaction, so that in a flood of appends the first do not wait for the last, and so that one call is made
 * ready here while the server works on another.
 */
const maxAppends = 256
const maxEvents = 1_024
const maxBytes = 8_388_608
const maxLocks = 1_024
/**
 * What is on the list is shared out among the calls that are free, so that one half is written while the other is made
 * ready, but not into pieces whose own costs would be more than that gains.
 */
const leastEvents = 256

/**
 * Appends that share transactions: all that are asked for in one turn of the event loop, or while earlier ones are on their
 * way, are written by one call. A few calls are on their way at once: more of them
 * while whole ones are waiting, and otherwise few, so that there is something to share.
 *
 * A call of several appends never waits for a lock: an append whose lock is taken by another connection is taken out of
 * it and waits by itself, so that nobody waits for a lock that he does not need. While it waits, or is being written,
 * further appends that need one of its locks stay on the list.
 */
export const make = (
  writer: Writer,
  onCommit: () => void,
  limits: { readonly calls: number; readonly fullCalls: number; readonly waits: number }
): Effect.Effect<
  (request: Driver.AppendRequest) => Effect.Effect<Driver.AppendResult, Driver.Refusal>,
  never,
  Scope.Scope
> =>
  Effect.gen(function*() {
    const runtime = yield* Effect.runtime()
    let list: Array<Entry> = []
    /** How many events are on the list. */
    let listed = 0
    let calls = 0
    let waits = 0
    let scheduled = false
    let closed = false
    let onIdle: (() => void) | undefined
    /** Those whose lock was taken. */
    const contended: Array<Entry> = []
    /** The exclusive locks of what is on its way or contended; how many want each. */
    const locked = new Map<number, number>()

    const hold = ({ prepared }: Entry): void => {
      for (const [key, exclusive] of prepared.locks) if (exclusive) locked.set(key, (locked.get(key) ?? 0) + 1)
    }

    const letGo = ({ prepared }: Entry): void => {
      for (const [key, exclusive] of prepared.locks) {
        if (!exclusive) continue
        const count = locked.get(key)! - 1
        if (count === 0) locked.delete(key)
        else locked.set(key, count)
      }
    }

    const isBlocked = ({ prepared }: Entry): boolean => {
      for (const key of prepared.locks.keys()) if (locked.has(key)) return true
      return false
    }

    const schedule = (): void => {
      if (scheduled) return
      scheduled = true
      queueMicrotask(() => {
        scheduled = false
        dispatch()
      })
    }

    const dispatch = (): void => {
      while (waits < limits.waits && contended.length > 0) {
        const entry = contended.shift()!
        if (entry.state === "ended") letGo(entry)
        else wait(entry)
      }
      while (list.length > 0 && calls < (listed < maxEvents ? limits.calls : limits.fullCalls)) {
        const batch = take()
        if (batch.length > 0) call(batch)
        else break
      }
      if (calls === 0 && waits === 0 && list.length === 0 && contended.length === 0) onIdle?.()
    }

    /** The next batch; what is blocked stays where it is, and so does what does not fit. */
    const take = (): ReadonlyArray<Entry> => {
      const most = Math.min(maxEvents, Math.max(leastEvents, Math.ceil(listed / Math.max(1, limits.calls - calls))))
      const batch: Array<Entry> = []
      const left: Array<Entry> = []
      let events = 0
      let bytes = 0
      let locks = 0
      for (const entry of list) {
        const { prepared } = entry
        if (entry.state === "ended") continue
        const fits = batch.length === 0 ||
          (batch.length < maxAppends && events + prepared.events <= most && bytes + prepared.size <= maxBytes &&
            locks + prepared.locks.size <= maxLocks)
        if (!fits || isBlocked(entry)) left.push(entry)
        else if (Batch.isWide(prepared)) {
          hold(entry)
          contended.push(entry)
        } else {
          batch.push(entry)
          events += prepared.events
          bytes += prepared.size
          locks += prepared.locks.size
        }
      }
      list = left
      listed = left.reduce((sum, { prepared }) => sum + prepared.events, 0)
      for (const entry of batch) hold(entry)
      if (contended.length > 0 && waits < limits.waits) schedule()
      return batch
    }

    const call = (entries: ReadonlyArray<Entry>): void => {
      calls++
      for (const entry of entries) entry.state = "writing"
      const batch = Batch.inOrder(entries.map(({ prepared }) => prepared))
      Runtime.runFork(runtime)(
        Effect.map(Effect.either(Effect.catchAllCause(writer.attempt(batch), GroupCommit.asFailure)), (result) => {
          calls--
          for (const entry of entries) letGo(entry)
          if (Either.isLeft(result)) GroupCommit.end(entries, () => result.left)
          else if ("taken" in result.right) apart(entries, result.right.taken)
          else {
            const answers = new Map(result.right.map((answer, index) => [batch[index]!, answer]))
            onCommit()
            GroupCommit.end(entries, (index) => answers.get(entries[index]!.prepared)!)
          }
          dispatch()
        })
      )
    }

    /** Those whose lock is taken wait by themselves, the others are tried again at once; nothing was written. */
    const apart = (entries: ReadonlyArray<Entry>, taken: ReadonlySet<number>): void => {
      const others: Array<Entry> = []
      for (const entry of entries) {
        if (!GroupCommit.again(entry)) continue
        if (Array.from(entry.prepared.locks.keys()).some((key) => taken.has(key))) {
          hold(entry)
          contended.push(entry)
        } else others.push(entry)
      }
      list = [...others, ...list]
      listed = list.reduce((sum, { prepared }) => sum + prepared.events, 0)
    }

    const wait = (entry: Entry): void => {
      waits++
      entry.state = "writing"
      entry.runner = Runtime.runFork(runtime)(
        Effect.matchEffect(
          Effect.catchAllDefect(writer.wait(entry.prepared), (defect) => GroupCommit.asFailure(Cause.die(defect))),
          {
            onFailure: (error) => Effect.sync(() => GroupCommit.end([entry], () => error)),
            onSuccess: (answer) =>
              Effect.sync(() => {
                onCommit()
                GroupCommit.end([entry], () => answer)
              })
          }
        ).pipe(Effect.ensuring(Effect.sync(() => {
          waits--
          letGo(entry)
          GroupCommit.end([entry], () => new StoreError({ reason: "closed", operation: GroupCommit.operation }))
          dispatch()
        })))
      )
    }

    yield* Effect.addFinalizer(() =>
      Effect.async<void>((resume) => {
        closed = true
        if (calls === 0 && waits === 0 && list.length === 0 && contended.length === 0) resume(Effect.void)
        else onIdle = () => resume(Effect.void)
      })
    )

    /** One that waits for a lock stops waiting. */
    const leave = (entry: Entry): Effect.Effect<void> =>
      Effect.suspend(() =>
        entry.runner === undefined ? GroupCommit.leave(entry) : Effect.asVoid(Fiber.interrupt(entry.runner))
      )

    return (request) =>
      Effect.async((resume) => {
        if (closed) return resume(GroupCommit.closed)
        const entry: Entry = { ...GroupCommit.entry(Batch.prepare(request), resume), runner: undefined }
        list.push(entry)
        listed += entry.prepared.events
        schedule()
        return leave(entry)
      })
  })
