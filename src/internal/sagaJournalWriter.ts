import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as Envelope from "../event/Envelope.ts"
import type { Generator } from "../event/EventId.ts"
import type { JournalEvent } from "../saga/SagaJournal.ts"
import { idOf, Sagas } from "../saga/SagaJournal.ts"
import { EventStore, type Operations } from "../store/EventStore.ts"

/** Why a journal takes no more of this process's events: another owner wrote, or the store broke in a way not foreseen. */
export type Lost = { readonly _tag: "Fenced" } | { readonly _tag: "Broken"; readonly cause: Cause.Cause<unknown> }

export interface Stored {
  readonly event: JournalEvent
  readonly at: number
}

interface Entry {
  readonly events: ReadonlyArray<JournalEvent>
  readonly done: Deferred.Deferred<void, TooMuch>
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
  private readonly context: Context.Context<EventStore>
  private readonly key: string
  private readonly ids: Generator
  private readonly now: () => number
  private readonly onStored: (stored: Stored, position: number) => void
  private readonly onLost: (lost: Lost) => void
  private readonly wait: (attempt: number) => Effect.Effect<void>
  private queue: Array<Entry> = []
  private writing = false
  private closed = false
  /** Whether others have written while an append was on its way, that may not have met it. */
  private behind = false
  version: number

  constructor(options: {
    readonly store: Operations
    readonly saga: string
    readonly id: string
    readonly version: number
    readonly ids: Generator
    readonly now: () => number
    /** In the order of the journal, each once: own events and those of others. */
    readonly onStored: (stored: Stored, position: number) => void
    readonly onLost: (lost: Lost) => void
    /** Before an append is tried again that the store could not take. */
    readonly wait: (attempt: number) => Effect.Effect<void>
  }) {
    this.context = Context.make(EventStore, options.store as never)
    this.key = idOf(options.saga, options.id)
    this.version = options.version
    this.ids = options.ids
    this.now = options.now
    this.onStored = options.onStored
    this.onLost = options.onLost
    this.wait = options.wait
  }

  /** Whether something is on its way to the journal, or from it. */
  get busy(): boolean {
    return this.writing
  }

  /** From here on nothing is written: those who wait are interrupted. */
  close(): void {
    if (this.closed) return
    this.closed = true
    const waiting = this.queue
    this.queue = []
    for (const { done } of waiting) Deferred.unsafeDone(done, interrupted)
  }

  /**
   * Resolves when the events stand in the journal; is interrupted where they will not. `when` is asked in the same turn in
   * which they are put in the queue; where it says no, nothing is written and the answer is false.
   */
  write(events: ReadonlyArray<JournalEvent>, when?: () => boolean): Effect.Effect<boolean, TooMuch> {
    return Effect.suspend(() => {
      if (this.closed) return Effect.interrupt
      if (when !== undefined && !when()) return Effect.succeed(false)
      const entry: Entry = { events, done: Deferred.unsafeMake(FiberId.none) }
      if (this.writing) {
        this.queue.push(entry)
        return Effect.as(Deferred.await(entry.done), true)
      }
      this.writing = true
      return Effect.uninterruptible(
        Effect.zipRight(this.drain([entry], 0), Effect.suspend(() => this.handOver(entry)))
      )
    })
  }

  /** Takes in what others have written since. */
  readonly refresh: Effect.Effect<void> = Effect.suspend(() => {
    if (this.closed) return Effect.void
    if (this.writing) {
      this.behind = true
      return Effect.void
    }
    this.writing = true
    return Effect.uninterruptible(
      Effect.zipRight(Effect.asVoid(this.takeIn), Effect.suspend(() => this.next()))
    )
  })

  /** What was queued while one wrote is written by a fiber of its own. */
  private handOver(entry: Entry): Effect.Effect<boolean, TooMuch> {
    return Effect.zipRight(this.next(), Effect.as(Deferred.await(entry.done), true))
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
    const written = Effect.zipRight(this.drain(entries, 0), Effect.suspend(() => this.next()))
    return Effect.asVoid(Effect.forkDaemon(Effect.uninterruptible(written)))
  }

  private drain(entries: ReadonlyArray<Entry>, attempt: number): Effect.Effect<void> {
    if (this.closed) return this.lose(entries)
    const at = this.now()
    const events = entries.flatMap((entry) => entry.events)
    return this.append(
      entries,
      events.map((event) => Envelope.make(event, { id: this.ids(at), occurredAt: at })),
      at,
      attempt
    )
  }

  private append(
    entries: ReadonlyArray<Entry>,
    envelopes: ReadonlyArray<Envelope.New<JournalEvent>>,
    at: number,
    attempt: number
  ): Effect.Effect<void> {
    const appended = Sagas.append(this.key, envelopes, { expected: this.version === 0 ? "noStream" : this.version })
    return Effect.matchCauseEffect(Effect.provide(appended, this.context), {
      onSuccess: (result) =>
        Effect.suspend(() => {
          this.version += envelopes.length
          envelopes.forEach(({ event }, index) => this.onStored({ event, at }, result.events[index]!.position))
          return this.tell(entries)
        }),
      onFailure: (cause) => {
        const failure = Cause.failureOrCause(cause)
        if (Either.isRight(failure)) return this.broken(entries, cause)
        const error = failure.left
        switch (error._tag) {
          case "VersionConflict":
          case "DuplicateEvent":
            return Effect.flatMap(this.takeIn, (mine) => mine ? this.drain(entries, attempt) : this.lose(entries))
          case "InvalidEvent":
          case "InvalidInput":
          case "TooLarge":
            return this.refuse(entries, error)
          case "StoreError":
            // With the same ids: what was written although nobody heard of it is not written again.
            return Effect.zipRight(
              this.wait(attempt),
              Effect.suspend(() => this.closed ? this.lose(entries) : this.append(entries, envelopes, at, attempt + 1))
            )
          default:
            return this.broken(entries, cause)
        }
      }
    })
  }

  /** One entry that cannot be written does not take the others with it. */
  private refuse(entries: ReadonlyArray<Entry>, error: unknown): Effect.Effect<void> {
    if (entries.length > 1) return Effect.forEach(entries, (entry) => this.drain([entry], 0), { discard: true })
    Deferred.unsafeDone(entries[0]!.done, Exit.fail(new TooMuch(error)))
    return Effect.void
  }

  /** In the order of the journal, with time between: who hears first acts first. */
  private tell(entries: ReadonlyArray<Entry>): Effect.Effect<void> {
    if (entries.length === 1) {
      Deferred.unsafeDone(entries[0]!.done, Exit.void)
      return Effect.void
    }
    return Effect.forEach(entries, ({ done }) => {
      Deferred.unsafeDone(done, Exit.void)
      return pause
    }, { discard: true })
  }

  private lose(entries: ReadonlyArray<Entry>): Effect.Effect<void> {
    for (const { done } of entries) Deferred.unsafeDone(done, interrupted)
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
    const page = Effect.provide(Sagas.readPage(this.key, { from: this.version + 1 }), this.context)
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
