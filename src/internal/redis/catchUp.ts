import * as Effect from "effect/Effect"
import type * as Driver from "../../store/Driver.ts"
import { StoreError } from "../../store/StoreError.ts"
import { type Client, failure, isCluster, send } from "./connection.ts"
import * as Reads from "./reads.ts"

const operation = "EventStore.readAll"

/** What the log says of itself: how far readers see, its largest payload, and whether there are several tenants. */
interface Look {
  readonly head: number
  readonly largest: number
  readonly isMixed: boolean
  /** Whether truncated events are still there, which only scripts leave out. */
  readonly hasGone: boolean
}

/** About how many bytes an answer may have. */
const maxBytes = 33_554_432

const maxPosition = String(Number.MAX_SAFE_INTEGER)

/** Somebody else has to answer. */
const unanswered: Effect.Effect<Driver.LogRows | undefined> = Effect.sync(() => undefined)

/**
 * Reads the log as it stands, without a script, which would turn each entry over twice: for pages that ask for
 * everything. The look at the head is sent first on the same connection, so that all up to it is in the answer to the
 * second. Answers `undefined` where a script is needed.
 */
export const make = (client: Client, base: string) => {
  let known: Look | undefined

  const look = (
    settle: (result: Look | Error) => void,
    then: ((resume: (error: Error | null | undefined, entries: any) => void) => void) | undefined,
    read: (entries: ReadonlyArray<Reads.Entry>) => void
  ): void => {
    let hasGone = false
    let found: Look | Error | undefined
    send(client, "exists", [`${base}gone`], "utf8", (error, gone) => {
      if (error) found = error
      else hasGone = gone === 1
    })
    send(client, "hmget", [`${base}meta`, "head", "largest", "mixed"], "utf8", (error, fields) => {
      const [head, largest, isMixed] = (fields ?? []) as ReadonlyArray<string | null>
      found ??= error ?? { head: Number(head), largest: Number(largest), isMixed: isMixed === "1", hasGone }
      if (then === undefined) settle(found)
    })
    then?.((error, entries) => {
      if (error) return settle(error)
      read(entries)
      settle(found ?? new Error("the log said nothing of itself"))
    })
  }

  const isOpen = (page: Driver.LogPage): boolean =>
    (page.tenant === undefined || page.tenant === "") && page.stream === undefined && page.category === undefined &&
    page.types === undefined && page.query === undefined && page.correlationId === undefined && page.time === undefined

  const fits = (page: Driver.LogPage, { hasGone, isMixed, largest }: Look): boolean =>
    !hasGone && (largest + 512) * page.limit <= maxBytes && (page.tenant === undefined || !isMixed)

  /** One look, and what the page asks for if it is known to fit. */
  const attempt = (page: Driver.LogPage): Effect.Effect<Driver.LogRows | undefined, StoreError> =>
    Effect.async((resume) => {
      let entries: ReadonlyArray<Reads.Entry> | undefined
      const range = known === undefined || !fits(page, known)
        ? undefined
        : (answer: (error: Error | null | undefined, entries: any) => void) => {
          const [low, high] = [
            String(page.after + 1),
            page.to > Number.MAX_SAFE_INTEGER ? maxPosition : String(page.to)
          ]
          const args = page.backwards ? [high, low] : [low, high]
          send(
            client,
            page.backwards ? "xrevrange" : "xrange",
            [`${base}log`, ...args, "COUNT", String(page.limit)],
            null,
            answer
          )
        }
      look(
        (found) => {
          if (found instanceof Error) return resume(Effect.fail(failure(client, operation, found)))
          known = found
          resume(
            entries === undefined || !fits(page, found) ? unanswered : answered(page, found, entries)
          )
        },
        range,
        (read) => {
          entries = read
        }
      )
    })

  const answered = (
    page: Driver.LogPage,
    { head }: Look,
    entries: ReadonlyArray<Reads.Entry>
  ): Effect.Effect<Driver.LogRows | undefined, StoreError> => {
    const rows = Reads.rows(operation, entries)
    if ("_tag" in rows) return Effect.fail(rows)
    if (!Number.isSafeInteger(head)) {
      return new StoreError({ operation, reason: "corrupt", cause: new Error("the head of the log is no position") })
    }
    const upTo = Math.min(page.to, head)
    const seen = rows.length > 0 && rows[page.backwards ? 0 : rows.length - 1]!.position > upTo
      ? rows.filter(({ position }) => position <= upTo)
      : rows
    // What an append whose hook still runs has written was among them: a page that is full tells nothing then.
    if (seen.length < rows.length && rows.length === page.limit && page.backwards) return unanswered
    const isFull = seen.length === page.limit && seen.length > 0
    return Effect.succeed({ rows: seen, upTo: isFull ? seen[seen.length - 1]!.position : upTo })
  }

  return (page: Driver.LogPage): Effect.Effect<Driver.LogRows | undefined, StoreError> => {
    if (!isOpen(page) || isCluster(client)) return unanswered
    return known === undefined ? Effect.zipRight(attempt(page), attempt(page)) : attempt(page)
  }
}
