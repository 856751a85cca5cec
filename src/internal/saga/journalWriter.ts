import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as RuntimeFlags from "effect/RuntimeFlags"
import * as Correlation from "../../event/Correlation.ts"
import type { Generator } from "../../event/EventId.ts"
import type { JournalEvent } from "../../saga/SagaJournal.ts"
import { idOf, Sagas } from "../../saga/SagaJournal.ts"
import { type Appended, EventStore, type Group, type NewEvent, type Operations } from "../../store/EventStore.ts"
import type { AppendError } from "../../store/AppendError.ts"
import * as AppendNow from "../store/appendNow.ts"
import { entryOf } from "./entry.ts"

/** Why a journal takes no more of this process's events: another owner wrote, or the store broke in a way not foreseen. */
export type Lost = { readonly _tag: "Fenced" } | { readonly _tag: "Broken"; readonly cause: Cause.Cause<unknown> }

export interface Stored {
  readonly event: JournalEvent
  readonly at: number
}

interface Entry {
  readonly events: ReadonlyArray<JournalEvent>
  /** When they happened, where that was not when they are written. */
  readonly at: number | undefined
  /** Nobody waits for it. */
  readonly alone: boolean
  /** Whether it is still to be written, where others have written first. */
  readonly when: (() => boolean) | undefined
  exit: Exit.Exit<boolean, TooMuch> | undefined
  waiter: ((exit: Exit.Exit<boolean, TooMuch>) => void) | undefined
}

const entry = (
  events: ReadonlyArray<JournalEvent>,
  at: number | undefined,
  alone: boolean,
  when?: () => boolean
): Entry => ({
  events,
  at,
  alone,
  when,
  exit: undefined,
  waiter: undefined
})

const settle = (entry: Entry, exit: Exit.Exit<boolean, TooMuch>): void => {
  if (entry.exit !== undefined) return
  entry.exit = exit
  entry.waiter?.(exit)
}

const written = (entry: Entry): Effect.Effect<boolean, TooMuch> =>
  entry.exit === undefined
    ? Effect.async((resume) => {
      if (entry.exit === undefined) entry.waiter = resume
      else resume(entry.exit)
    })
    : entry.exit

/** What is left to do where all is done. */
const nothing: Effect.Effect<void> = Exit.void

const yes: Exit.Exit<boolean> = Exit.succeed(true)
const no: Exit.Exit<boolean> = Exit.succeed(false)

/** What others have written may have made it pointless: an operator has cancelled what was to begin, or to be committed. */
const stillWanted = (entry: Entry): boolean => {
  if (entry.when === undefined || entry.when()) return true
  settle(entry, Exit.succeed(false))
  return false
}

/** What cannot be written, whoever tries: a value that is no JSON, or too large. */
export class TooMuch {
  readonly _tag = "TooMuch"
  readonly cause: unknown
  constructor(cause: unknown) {
    this.cause = cause
  }
}

/** Events that others than a saga's owner write: they do not fence it. */
export const external = (event: JournalEvent): boolean =>
  event._tag === "SagaSignalReceived" || event._tag === "SagaOperatorActed"

/**
 * The one who writes to a saga's journal. Appends come one after the other, each expecting the version that the one before has
 * led to; what is to be written meanwhile goes together in the next.
 */
export class JournalWriter {
  private readonly store: Operations
  private readonly appendNow: AppendNow.AppendNow | undefined
  private readonly key: string
  private readonly stream: string
  private readonly correlation: Correlation.Correlation
  private readonly ids: Generator
  private readonly now: () => number
  private readonly onStored: (stored: Stored, position: number) => void
  private readonly onLost: (lost: Lost) => void
  private readonly wait: (attempt: number) => Effect.Effect<void>
  private readonly fork: (effect: Effect.Effect<unknown>) => unknown
  private queue: Array<Entry> = []
  private writing = false
  private closed = false
  /** Whether others have written while an append was on its way, that may not have met it. */
  private behind = false
  /** Whether what waits for the next append will be written without one. */
  private flushing = false
  version: number

  constructor(options: {
    readonly store: Operations
    readonly saga: string
    readonly id: string
    readonly version: number
    /** The saga's conversation and tenant, in which it writes whatever the fiber's are. */
    readonly correlation: Correlation.Correlation
    readonly ids: Generator
    readonly now: () => number
    /** In the order of the journal, each once: own events and those of others. */
    readonly onStored: (stored: Stored, position: number) => void
    readonly onLost: (lost: Lost) => void
    /** Before an append is tried again that the store could not take. */
    readonly wait: (attempt: number) => Effect.Effect<void>
    /** Starts a fiber of the engine's. */
    readonly fork: (effect: Effect.Effect<unknown>) => unknown
  }) {
    this.store = options.store
    this.appendNow = AppendNow.of(options.store)
    this.key = idOf(options.saga, options.id)
    this.stream = `${Sagas.name}-${this.key}`
    this.correlation = options.correlation
    this.version = options.version
    this.ids = options.ids
    this.now = options.now
    this.onStored = options.onStored
    this.onLost = options.onLost
    this.wait = options.wait
    this.fork = options.fork
  }

  /** Whether something is on its way to the journal, or from it. */
  get busy(): boolean {
    return this.writing || this.queue.length > 0
  }

  /** From here on nothing is written: those who wait are interrupted. */
  close(): void {
    if (this.closed) return
    this.closed = true
    const waiting = this.queue
    this.queue = []
    for (const each of waiting) settle(each, interrupted)
  }

  /**
   * Resolves when the events stand in the journal; is interrupted where they will not. `when` is asked in the same turn in
   * which they are put in the queue, and again where others have written meanwhile; where it says no, nothing is written and the
   * answer is false.
   */
  write(events: ReadonlyArray<JournalEvent>, when?: () => boolean): Effect.Effect<boolean, TooMuch> {
    return Effect.withFiberRuntime((fiber, { runtimeFlags }) => {
      const written = this.writeBy(fiber, events, when)
      return Exit.isExit(written) || !RuntimeFlags.interruption(runtimeFlags)
        ? written
        : Effect.uninterruptible(written)
    })
  }

  /** The same, asked by the fiber that is given, which is not interrupted; an Exit where it is done already. */
  writeBy(
    fiber: Fiber.RuntimeFiber<any, any>,
    events: ReadonlyArray<JournalEvent>,
    when?: () => boolean
  ): Effect.Effect<boolean, TooMuch> {
    if (this.closed) return Effect.interrupt
    if (when !== undefined && !when()) return no
    const own = entry(events, undefined, false, when)
    this.queue.push(own)
    if (this.writing) return written(own)
    this.writing = true
    const all = this.queue
    this.queue = []
    const drained = this.drain(all, 0, fiber)
    const done = () => this.behind || this.queue.length > 0 || this.closed ? this.handOver(own) : this.rest(own)
    return this.carry(fiber, drained === nothing ? done() : Effect.flatMap(drained, done))
  }

  /**
   * Journals with what is written next, or soon by itself. Nobody waits for it: what comes after it in the journal, and the
   * effects that wait for that, find it there.
   */
  later(events: ReadonlyArray<JournalEvent>, at: number, fiber: Fiber.RuntimeFiber<any, any>): void {
    if (this.closed) return
    this.queue.push(entry(events, at, true))
    if (this.writing || this.flushing) return
    this.flushing = true
    fiber.currentScheduler.scheduleTask(() => {
      this.flushing = false
      if (this.writing || this.closed || this.queue.length === 0) return
      this.writing = true
      this.fork(this.within(Effect.uninterruptible(this.next())))
    }, 0)
  }

  /** Takes in what others have written since. */
  readonly refresh: Effect.Effect<void> = Effect.suspend(() => {
    if (this.closed) return Effect.void
    if (this.writing) {
      this.behind = true
      return Effect.void
    }
    this.writing = true
    return this.within(Effect.uninterruptible(
      Effect.zipRight(Effect.asVoid(this.takeIn), Effect.suspend(() => this.next()))
    ))
  })

  /** In the saga's conversation and tenant, whatever the body has made of the fiber's. */
  private carry<A, E>(fiber: Fiber.RuntimeFiber<any, any>, effect: Effect.Effect<A, E>): Effect.Effect<A, E> {
    return Exit.isExit(effect) || fiber.getFiberRef(Correlation.currentCorrelation) === this.correlation
      ? effect
      : Effect.locally(effect, Correlation.currentCorrelation, this.correlation)
  }

  private within<A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> {
    return Effect.withFiberRuntime((fiber) => this.carry(fiber, effect))
  }

  private rest(own: Entry): Effect.Effect<boolean, TooMuch> {
    this.writing = false
    return written(own)
  }

  /** What was queued while one wrote is written by a fiber of its own. */
  private handOver(own: Entry): Effect.Effect<boolean, TooMuch> {
    return Effect.zipRight(this.next(), Effect.suspend(() => written(own)))
  }

  private next(): Effect.Effect<void> {
    if (this.behind && !this.closed) {
      this.behind = false
      return Effect.zipRight(this.takeIn, Effect.suspend(() => this.next()))
    }
    if (this.queue.length === 0 || this.closed) {
      this.writing = false
      return Effect.void
    }
    const entries = this.queue
    this.queue = []
    const drained = Effect.zipRight(this.drain(entries, 0), Effect.suspend(() => this.next()))
    return Effect.asVoid(Effect.forkDaemon(Effect.uninterruptible(drained)))
  }

  /** With the fiber that runs this, it may be done when this returns: then {@link nothing} is left to do. */
  private drain(
    entries: ReadonlyArray<Entry>,
    attempt: number,
    fiber?: Fiber.RuntimeFiber<any, any>
  ): Effect.Effect<void> {
    if (entries.length === 0) return nothing
    if (this.closed) return this.lose(entries)
    const now = this.now()
    const stored: Array<Stored> = []
    const events: Array<NewEvent> = []
    for (const each of entries) {
      const at = each.at ?? now
      for (const event of each.events) {
        stored.push({ event, at })
        events.push(entryOf(event, this.ids(at), at))
      }
    }
    if (fiber === undefined || this.appendNow === undefined) return this.append(entries, stored, events, attempt)
    const appended = this.appendNow(fiber, this.correlation, this.groups(events))
    if (appended === undefined) return this.append(entries, stored, events, attempt)
    return appended._tag === "Success"
      ? this.appended(entries, stored, appended.value)
      : this.refused(entries, stored, events, attempt, appended.cause)
  }

  private groups(events: ReadonlyArray<NewEvent>): ReadonlyArray<Group> {
    return [{ stream: this.stream, expected: this.version === 0 ? "noStream" : this.version, events }]
  }

  private append(
    entries: ReadonlyArray<Entry>,
    stored: ReadonlyArray<Stored>,
    events: ReadonlyArray<NewEvent>,
    attempt: number
  ): Effect.Effect<void> {
    return Effect.matchCauseEffect(this.store.append(this.groups(events)), {
      onSuccess: (result) => this.appended(entries, stored, result),
      onFailure: (cause) => this.refused(entries, stored, events, attempt, cause)
    })
  }

  private appended(
    entries: ReadonlyArray<Entry>,
    stored: ReadonlyArray<Stored>,
    result: Appended
  ): Effect.Effect<void> {
    this.version += stored.length
    for (let index = 0; index < stored.length; index++) this.onStored(stored[index]!, result.events[index]!.position)
    return this.tell(entries)
  }

  private refused(
    entries: ReadonlyArray<Entry>,
    stored: ReadonlyArray<Stored>,
    events: ReadonlyArray<NewEvent>,
    attempt: number,
    cause: Cause.Cause<AppendError>
  ): Effect.Effect<void> {
    const failure = Cause.failureOrCause(cause)
    if (Either.isRight(failure)) return this.broken(entries, cause)
    const error = failure.left
    switch (error._tag) {
      case "VersionConflict":
      case "DuplicateEvent":
        return Effect.flatMap(
          this.takeIn,
          (mine) => mine ? this.drain(entries.filter(stillWanted), attempt) : this.lose(entries)
        )
      case "InvalidEvent":
      case "TooLarge":
        return this.refuse(entries, error)
      case "StoreError":
        // With the same ids: what was written although nobody heard of it is not written again.
        return Effect.zipRight(
          this.wait(attempt),
          Effect.suspend(() => this.closed ? this.lose(entries) : this.append(entries, stored, events, attempt + 1))
        )
      default:
        return this.broken(entries, cause)
    }
  }

  /** One entry that cannot be written does not take the others with it. */
  private refuse(entries: ReadonlyArray<Entry>, error: unknown): Effect.Effect<void> {
    if (entries.length > 1) return Effect.forEach(entries, (each) => this.drain([each], 0), { discard: true })
    const [only] = entries
    // What comes after it counts on it.
    if (only!.alone) return this.broken(entries, Cause.die(error))
    settle(only!, Exit.fail(new TooMuch(error)))
    return Effect.void
  }

  /** In the order of the journal, with time between: who hears first acts first. */
  private tell(entries: ReadonlyArray<Entry>): Effect.Effect<void> {
    const awaited = entries.length === 1 ? entries : entries.filter((each) => !each.alone)
    if (awaited.length <= 1) {
      for (const each of awaited) settle(each, yes)
      return nothing
    }
    return Effect.forEach(awaited, (each) => {
      settle(each, yes)
      return pause
    }, { discard: true })
  }

  private lose(entries: ReadonlyArray<Entry>): Effect.Effect<void> {
    for (const each of entries) settle(each, interrupted)
    return Effect.void
  }

  private broken(entries: ReadonlyArray<Entry>, cause: Cause.Cause<unknown>): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.close()
      this.onLost({ _tag: "Broken", cause })
      return this.lose(entries)
    })
  }

  /** Reads on; false where another owner has written, who then has the saga. */
  private readonly takeIn: Effect.Effect<boolean> = Effect.suspend(() => {
    const page = Effect.provideService(
      Sagas.readPage(this.key, { from: this.version + 1 }),
      EventStore,
      this.store as never
    )
    return Effect.matchCauseEffect(page, {
      onSuccess: ({ events, more }): Effect.Effect<boolean> => {
        for (const { occurredAt, payload, position } of events) {
          if (!external(payload)) {
            this.close()
            this.onLost({ _tag: "Fenced" })
            return Effect.succeed(false)
          }
          this.version++
          this.onStored({ event: payload, at: occurredAt.epochMillis }, position)
        }
        return more ? this.takeIn : Effect.succeed(true)
      },
      onFailure: (cause) => {
        const failure = Cause.failureOrCause(cause)
        if (Either.isLeft(failure) && failure.left._tag === "StoreError" && !this.closed) {
          return Effect.zipRight(this.wait(0), this.takeIn)
        }
        this.close()
        this.onLost({ _tag: "Broken", cause })
        return Effect.succeed(false)
      }
    })
  })
}

const interrupted: Exit.Exit<never> = Exit.interrupt(FiberId.none)

/** Long enough for those who were told to act before the next are. */
export const pause: Effect.Effect<void> = Effect.replicateEffect(Effect.yieldNow(), 8, { discard: true })
