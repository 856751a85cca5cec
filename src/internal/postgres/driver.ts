import type { PgClient } from "@effect/sql-pg/PgClient"
import type { SqlError } from "@effect/sql/SqlError"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { StreamNotFound, StreamTombstoned, VersionConflict } from "../../store/AppendError.ts"
import type * as Driver from "../../store/Driver.ts"
import { StoreError } from "../../store/StoreError.ts"
import { rowsOf } from "../store/appendedRows.ts"
import * as Batch from "./batch.ts"
import { Lost, rawCause, storeError } from "./errors.ts"
import * as GroupCommit from "./groupCommit.ts"
import * as Hints from "./hints.ts"
import * as Locks from "./locks.ts"
import * as Reads from "./reads.ts"
import * as Retry from "./retry.ts"
import * as Transaction from "./transaction.ts"
import * as Transfer from "./transfer.ts"

/** What a driver is made with, besides its client. */
export interface Settings {
  readonly prefix: string
  readonly pollInterval: Duration.Duration
  readonly listen: boolean
  /** How often a lost connection, and what another transaction was in the way of, are tried again. */
  readonly retry: Schedule.Schedule<unknown, StoreError>
}

/** The driver over tables that are there. */
export const make = (
  client: PgClient,
  { listen, pollInterval, prefix, retry }: Settings
): Effect.Effect<Driver.Driver<"transactions" | "durable" | "shared">, never, Scope.Scope> =>
  Effect.gen(function*() {
    const sql = client.withoutTransforms()
    const table = (name: string) => `${prefix}${name}`
    const channel = listen ? `${prefix}appended` : undefined

    const query = (
      text: string,
      params: ReadonlyArray<unknown>
    ): Effect.Effect<ReadonlyArray<ReadonlyArray<any>>, SqlError> =>
      Effect.suspend(() => sql.unsafe(text, params).values)

    const retried = Retry.retried(retry)
    const outside = Retry.outside(retry)

    const read = (operation: string, plan: Reads.Plan) =>
      outside(Effect.mapError(query(plan.text, plan.params), (error) => storeError(operation, error)))

    // ---------------------------------------------------------------------------------------------------- the head

    const headPlan = { text: `SELECT head, settled FROM ${table("head")}()`, params: [] }
    const headOf = (rows: ReadonlyArray<ReadonlyArray<any>>): Hints.Head => ({
      position: Number(rows[0]![0]),
      settled: rows[0]![1] === true
    })
    /** How far readers were last told that they may read: what is settled stays so. */
    let settled = 0
    const head = Effect.map(read("EventStore.head", headPlan), (rows) => {
      const found = headOf(rows)
      if (found.position > settled) settled = found.position
      return found
    })
    // In a transaction, the head may be an event that is rolled back.
    const headInside = Effect.map(read("EventStore.head", headPlan), headOf)
    const hints = yield* Hints.make({ config: client.config, channel, head, pollInterval })

    // ------------------------------------------------------------------------------------------------------ appends

    const appendText = `SELECT * FROM ${table("append")}(${
      Array.from({ length: Batch.parameterCount }, (_, index) => `$${index + 1}`).join(", ")
    })`

    const send = (batch: ReadonlyArray<Batch.Prepared>, wait: boolean, channel: string) =>
      Effect.suspend(() => {
        const locks = Batch.locksOf(batch)
        return Effect.map(
          query(appendText, Batch.parameters(batch, locks, wait, channel)),
          (rows) => ({ locks, rows: rows as unknown as ReadonlyArray<Batch.AnswerRow> })
        )
      })

    /**
     * Ids make it safe to send a batch again whose answer was lost. When it stays lost, nobody knows whether it was
     * written: that is a `timeout`.
     */
    const sendAgain = (batch: ReadonlyArray<Batch.Prepared>, wait: boolean) =>
      Effect.suspend(() => {
        let sent = false
        return retried(Effect.mapError(send(batch, wait, ""), (error) => {
          const failure = storeError(operation, error)
          if (failure.reason !== "unavailable") return failure
          sent ||= error.message !== "Failed to acquire connection"
          return sent ? new StoreError({ operation, reason: "timeout", cause: new Lost(rawCause(error)) }) : failure
        }))
      })

    const append = yield* GroupCommit.make(
      {
        attempt: (batch) =>
          Effect.map(sendAgain(batch, false), ({ locks, rows }) =>
            rows[0]![0] === "busy"
              ? { taken: new Set(rows[0]![5]!.map((index) => locks[Number(index) - 1]![0])) }
              : Batch.answers(batch, rows)),
        wait: (prepared) => Effect.map(sendAgain([prepared], true), ({ rows }) => Batch.answers([prepared], rows)[0]!)
      },
      hints.committed,
      connectionsOf(client)
    )

    /** In the fiber's transaction, or in one of its own; a refusal or a failing hook undoes this append alone. */
    const appendWithin = (request: Driver.AppendRequest, hook: Driver.Hook | undefined, channel: string) =>
      Transaction.transact(sql, operation)(Effect.suspend(() => {
        const prepared = Batch.prepare(request)
        return Effect.flatMap(
          Effect.mapError(send([prepared], true, channel), (error) => storeError(operation, error)),
          ({ rows }): Effect.Effect<Driver.AppendResult, Driver.Refusal> => {
            const answer = Batch.answers([prepared], rows)[0]!
            if ("_tag" in answer) return Effect.fail(answer)
            if (hook === undefined || answer.repeated) return Effect.succeed(answer)
            return Effect.mapBoth(hook(rowsOf(request, answer)), {
              onSuccess: () => answer,
              onFailure: (cause) => new StoreError({ reason: "hook", operation, cause })
            })
          }
        )
      }))

    const appendWith = (request: Driver.AppendRequest, hook: Driver.Hook) =>
      Effect.tap(retried(appendWithin(request, hook, "")), () => Effect.sync(hints.committed))

    // -------------------------------------------------------------------------------------------------------- reads

    const select = (page: Driver.LogPage) =>
      Effect.map(
        Effect.suspend(() => read("EventStore.readAll", Reads.logPage(table, page))),
        (rows) => rows.map(Reads.toRow)
      )

    /** A page up to a head: its rows, and whether there may be more of them. */
    const pageTo = (page: Driver.LogPage, upTo: number): Effect.Effect<Driver.LogRows, StoreError> => {
      const to = Math.min(page.to, upTo)
      if (to <= page.after) return Effect.succeed({ rows: [], upTo: to })
      return Effect.map(select({ ...page, to }), (rows) => {
        const full = rows.length === page.limit && rows.length > 0
        return { rows, upTo: full ? rows[rows.length - 1]!.position : to }
      })
    }

    const readNew = (page: Driver.LogPage) => Effect.flatMap(head, ({ position }) => pageTo(page, position))

    /** What is known to be settled is read without asking again, so that catching up costs one round trip a page. */
    const readLog = (page: Driver.LogPage): Effect.Effect<Driver.LogRows, StoreError> => {
      const known = settled
      if (page.backwards || known <= page.after) return readNew(page)
      return Effect.flatMap(pageTo(page, known), (found) => {
        if (found.rows.length === page.limit || page.to <= known) return Effect.succeed(found)
        return Effect.flatMap(
          head,
          ({ position }) => position <= known ? Effect.succeed(found) : pageTo(page, position)
        )
      })
    }

    // ---------------------------------------------------------------------------------------------------- lifecycle

    const statusText = `SELECT coalesce(mark.version, 0),
        coalesce((SELECT max(version) FROM ${table("events")} WHERE stream = $1 AND tenant = $2), 0),
        coalesce(mark.first_version, 1), coalesce(mark.tombstoned, false)
      FROM (SELECT 1) AS one LEFT JOIN ${table("marks")} AS mark ON mark.stream = $1 AND mark.tenant = $2`

    const removeText = `SELECT version, tombstoned, fits FROM ${table("remove")}(${
      Array.from({ length: 19 }, (_, index) => `$${index + 1}`).join(", ")
    })`

    /** Removes what stands below a version; with a mark, ends the stream. */
    const remove = (
      operation: string,
      target: { readonly tenant: string; readonly stream: string },
      before: number,
      end: Driver.Tombstoning | undefined
    ) =>
      Effect.withFiberRuntime<
        { readonly version: number; readonly fits: boolean },
        StreamNotFound | StreamTombstoned | StoreError
      >((fiber) => {
        const { stream, tenant } = target
        const locks = Locks.inOrder(Locks.ofStreams(tenant, stream, end?.mark.type))
        const texts: Array<unknown> = []
        const bytes: Array<unknown> = []
        if (end !== undefined) Batch.addPayload(end.mark.payload, texts, bytes)
        const params = [
          tenant,
          stream,
          locks.map(([key]) => key),
          locks.map(([, exclusive]) => exclusive),
          before,
          end === undefined ? -1 : Batch.expectation(end.expected),
          end !== undefined,
          end?.category ?? null,
          end?.mark.id ?? null,
          end?.mark.schemaVersion ?? null,
          end?.mark.format ?? null,
          texts[0] ?? null,
          bytes[0] ?? null,
          end?.mark.metadata ?? null,
          end?.mark.correlationId ?? null,
          end?.mark.source ?? null,
          end?.mark.occurredAt ?? null,
          end?.mark.content ?? null,
          Transaction.isInside(fiber) ? channel ?? "" : ""
        ]
        return Effect.flatMap(
          outside(Effect.mapError(query(removeText, params), (error) => storeError(operation, error))),
          (rows): Effect.Effect<
            { readonly version: number; readonly fits: boolean },
            StreamNotFound | StreamTombstoned
          > => {
            const [version, tombstoned, fits] = rows[0]!
            if (tombstoned === true) return Effect.fail(new StreamTombstoned({ stream }))
            if (Number(version) === 0) return Effect.fail(new StreamNotFound({ stream }))
            return Effect.succeed({ version: Number(version), fits: fits === true })
          }
        )
      })

    const driver: Driver.Driver<"transactions" | "durable" | "shared"> = {
      name: "postgres",
      capabilities: ["transactions", "durable", "shared"],
      limits: { events: 100_000, streams: 10_000, payload: 67_108_864 },
      append: (request, hook) =>
        Effect.withFiberRuntime((fiber) =>
          Transaction.isInside(fiber)
            ? appendWithin(request, hook, channel ?? "")
            : hook === undefined
            ? append(request)
            : appendWith(request, hook)
        ),
      readStream: (page) =>
        Effect.map(read("EventStore.read", Reads.streamPage(table, page)), (rows) => rows.map(Reads.toRow)),
      readLog: (page) =>
        Effect.withFiberRuntime((fiber) =>
          Transaction.isInside(fiber)
            ? Effect.flatMap(headInside, ({ position }) => pageTo(page, position))
            : readLog(page)
        ),
      // a transaction has one connection, and its caller may want that for something else
      readsAhead: Effect.withFiberRuntime((fiber) => Effect.succeed(!Transaction.isInside(fiber))),
      head: Effect.withFiberRuntime((fiber) =>
        Effect.map(Transaction.isInside(fiber) ? headInside : head, ({ position }) => position)
      ),
      streamStatus: (tenant, stream) =>
        Effect.map(read("EventStore.streamState", { text: statusText, params: [stream, tenant] }), (rows) => {
          const [marked, last, first, tombstoned] = rows[0]!
          const firstVersion = Number(first)
          if (tombstoned === true) return { state: "tombstoned", version: Number(marked), firstVersion }
          const version = Math.max(Number(marked), Number(last))
          return { state: version === 0 ? "missing" : "live", version, firstVersion }
        }),
      find: (tenant, id) =>
        Effect.map(
          read("EventStore.find", {
            text: `SELECT stream, version, position FROM ${table("events")} WHERE id = $1 AND tenant = $2
              UNION ALL SELECT stream, version, position FROM ${table("retired")} WHERE id = $1 AND tenant = $2`,
            params: [id, tenant]
          }),
          ([found]) =>
            found === undefined
              ? undefined
              : { stream: found[0], version: Number(found[1]), position: Number(found[2]) }
        ),
      truncate: ({ before, stream, tenant }) =>
        Effect.map(
          remove("EventStore.truncate", { tenant, stream }, before, undefined),
          ({ fits, version }) => fits ? { state: "done" as const } : { state: "beyond" as const, version }
        ),
      tombstone: (end) =>
        Effect.flatMap(
          remove("EventStore.tombstone", end, 0, end),
          ({ fits, version }) =>
            fits
              ? Effect.sync(hints.committed)
              : Effect.fail(new VersionConflict({ stream: end.stream, expected: end.expected, actual: version }))
        ),
      transfer: Transfer.make({
        table,
        read: (text, params) => read("EventStore.transfer", { text, params }),
        write: (effect) =>
          Effect.tap(
            Transaction.transact(sql, "EventStore.transfer")(effect),
            () => Effect.sync(hints.committed)
          )
      }),
      awaitBeyond: hints.awaitBeyond,
      withTransaction: (effect) =>
        Effect.tap(Transaction.transact(sql, "EventStore.withTransaction")(effect), () => Effect.sync(hints.committed))
    }
    return driver
  })

const operation = "EventStore.append"

/** How many of the pool's connections appends use at once, and how many wait for locks; others are left for readers. */
const connectionsOf = (
  client: PgClient
): { readonly calls: number; readonly fullCalls: number; readonly waits: number } => {
  const most = client.config.maxConnections ?? 10
  return {
    calls: Math.max(1, Math.min(2, most - 2)),
    fullCalls: Math.max(1, Math.min(2, most - 2), Math.min(4, most - 4)),
    waits: Math.max(1, Math.min(4, Math.floor(most / 3)))
  }
}
