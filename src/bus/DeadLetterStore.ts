/**
 * Where dead letters are kept: what a driver implements of them.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type { BusError } from "./BusError.ts"
import type { DeadLetter, Key, Reason } from "./DeadLetter.ts"
import type { Message } from "./Message.ts"

/**
 * Which dead letters: those that meet all that is given.
 *
 * @since 0.1.0
 * @category models
 */
export interface Filter {
  readonly subscription?: string | undefined
  readonly reasons?: ReadonlyArray<Reason> | undefined
  /** Tags of events. */
  readonly types?: ReadonlyArray<string> | undefined
  /** Ids of messages. */
  readonly ids?: ReadonlyArray<string> | undefined
  /** Put aside at this instant or later, in milliseconds since 1970. */
  readonly since?: number | undefined
  /** Put aside before this instant. */
  readonly until?: number | undefined
  /** What automatic retries have decided: nothing (no `retry`, or `tried`), `waiting`, or `failed` for good. */
  readonly retry?: "undecided" | "waiting" | "failed" | undefined
  /** Waiting, and to be tried again at this instant or before. */
  readonly due?: number | undefined
}

/**
 * How many dead letters of one kind there are.
 *
 * @since 0.1.0
 * @category models
 */
export interface Count {
  readonly subscription: string
  readonly reason: Reason
  /** The tag of the event; empty for what was no message. */
  readonly type: string
  readonly count: number
}

/**
 * A place to keep dead letters.
 *
 * @since 0.1.0
 * @category models
 */
export interface DeadLetterStore {
  /** Puts letters aside. One of the same subscription and message takes the place of the one before. */
  readonly put: (letters: ReadonlyArray<DeadLetter>) => Effect.Effect<void, BusError>
  readonly get: (key: Key) => Effect.Effect<DeadLetter | undefined, BusError>
  /** A page of those that meet a filter, by the instant at which they were put aside, then by key, after a letter. */
  readonly page: (
    filter: Filter,
    after: DeadLetter | undefined,
    limit: number
  ) => Effect.Effect<ReadonlyArray<DeadLetter>, BusError>
  /**
   * How many there were. A letter goes where it still is the one that was read, by `at` and `reprocessed`: one that came back
   * meanwhile, of the same subscription and message, stays.
   */
  readonly remove: (letters: ReadonlyArray<DeadLetter>) => Effect.Effect<number, BusError>
  /** Writes `retry` alone, where the letter still is the one that was read, by `at` and `reprocessed`. */
  readonly plan: (letters: ReadonlyArray<DeadLetter>) => Effect.Effect<void, BusError>
  /** Writes the message alone; answers whether there was such a letter. */
  readonly mend: (key: Key, message: Message) => Effect.Effect<boolean, BusError>
  readonly counts: (filter: Filter) => Effect.Effect<ReadonlyArray<Count>, BusError>
  /** When the first of those that wait for an automatic retry is due; `undefined` where none waits. */
  readonly nextDue: Effect.Effect<number | undefined, BusError>
}
