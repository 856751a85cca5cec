import * as Cause from "effect/Cause"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import type * as Projection from "../../cqrs/ProjectionDefinition.ts"
import type { Raw } from "../../event/Envelope.ts"
import { UndecodableEvent, UnknownEventType } from "../../event/EventCodec.ts"
import { type Parked, ParkedEvents, type Service } from "../../store/ParkedEvents.ts"
import * as Site from "./projectionSite.ts"
import { tenantKey } from "../store/tenantKey.ts"

/** The failure of an event, told from that of the store that it was committed to. */
export class EventFailed {
  readonly cause: Cause.Cause<unknown>
  attempts = 1
  constructor(cause: Cause.Cause<unknown>) {
    this.cause = cause
  }
  /** Whether another try may help. */
  get mayPass(): boolean {
    if (!Cause.isFailure(this.cause) || Cause.isDie(this.cause)) return false
    const error = Cause.squash(this.cause)
    return !(error instanceof UnknownEventType || error instanceof UndecodableEvent)
  }
}

/** Failures and defects of an effect as those of an event; an interruption stays one. */
export const asEventFailure = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, EventFailed, R> =>
  Effect.catchAllCause(
    effect,
    (cause) =>
      Cause.isInterrupted(cause) ? Effect.failCause(cause as Cause.Cause<never>) : Effect.fail(new EventFailed(cause))
  )

/** What a projection at work does with events that it cannot take. */
export interface Parking {
  /** Those of its streams that stand still; asks only where there are any. */
  readonly standing: Effect.Effect<ReadonlySet<string>, unknown>
  readonly isStanding: (standing: ReadonlySet<string>, raw: Raw) => boolean
  /** Puts an event aside that failed. */
  readonly park: (raw: Raw, failed: EventFailed) => Effect.Effect<void, unknown>
  /** Puts events aside whose stream stands still. */
  readonly behind: (raws: ReadonlyArray<Raw>) => Effect.Effect<void, unknown>
  /** Tries an event again, as the Schedule says, where another try may help. */
  readonly retrying: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

/** A stream of a tenant. */
export const standKey = (entry: { readonly tenant: string | undefined; readonly stream: string }): string =>
  tenantKey(entry.tenant, entry.stream)

const keyOfRaw = (raw: Raw): string => tenantKey(raw.metadata.tenant, raw.stream)

export const open = (
  self: Projection.Any,
  site: Site.Site,
  retry: Schedule.Schedule<unknown> | undefined
): Effect.Effect<Parking, unknown, ParkedEvents> =>
  Effect.gen(function*() {
    const store: Service = yield* ParkedEvents
    // one key for all parts of a sharded projection: a stream is of one part
    const key = yield* Site.checkpointName(self, { generation: site.generation, shard: "" })
    // Nobody else adds for its streams, others only take away: where it knows of none there is none.
    let known: ReadonlySet<string> = new Set((yield* store.list(key)).map(standKey))
    const entry = (raw: Raw, parkedAt: DateTime.Utc, failed?: EventFailed): Parked => ({
      position: raw.position,
      stream: raw.stream,
      tenant: raw.metadata.tenant,
      id: raw.id,
      type: raw.type,
      reason: failed === undefined ? "behind" : "failed",
      problem: failed === undefined ? "" : problemOf(failed.cause),
      attempts: failed?.attempts ?? 0,
      parkedAt
    })
    return {
      standing: Effect.suspend(() =>
        known.size === 0 ? Effect.succeed(known) : Effect.map(store.list(key), (entries) => {
          known = new Set(entries.map(standKey))
          return known
        })
      ),
      isStanding: (standing, raw) => standing.size > 0 && standing.has(keyOfRaw(raw)),
      park: (raw, failed) =>
        Effect.gen(function*() {
          const now = yield* DateTime.now
          yield* store.add(key, [entry(raw, now, failed)])
          known = new Set(known).add(keyOfRaw(raw))
          yield* Effect.logWarning(
            `projection ${self.name} has parked ${raw.type} at ${raw.position}, and with it the stream ${raw.stream}`,
            failed.cause
          )
        }),
      behind: (raws) =>
        raws.length === 0 ? Effect.void : Effect.flatMap(
          DateTime.now,
          (now) => store.add(key, raws.map((raw) => entry(raw, now)))
        ),
      retrying: (effect) => {
        let attempts = 0
        const counted = Effect.tapError(effect, (error) =>
          Effect.sync(() => {
            attempts++
            if (error instanceof EventFailed) error.attempts = attempts
          }))
        return retry === undefined ? counted : Effect.retry(counted, {
          schedule: retry,
          while: (error) => error instanceof EventFailed && error.mayPass
        })
      }
    }
  })

/** What an event failed of, in words that fit a table. */
export const problemOf = (cause: Cause.Cause<unknown>): string => {
  const error = Cause.squash(cause)
  const text = error instanceof Error
    ? `${error.name}: ${error.message}`
    : typeof error === "string"
    ? error
    : show(error)
  // oxlint-disable-next-line no-control-regex -- no database keeps NUL in text
  return Buffer.from(text.slice(0, 2_000)).toString("utf8").replace(/\u0000/g, "\ufffd") +
    (text.length > 2_000 ? "…" : "")
}

const show = (error: unknown): string => {
  try {
    return JSON.stringify(error) ?? String(error)
  } catch {
    return String(error)
  }
}
