import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as RuntimeFlags from "effect/RuntimeFlags"
import type * as Scope from "effect/Scope"
import * as Position from "../../event/Position.ts"
import { StreamNotFound, StreamTombstoned, VersionConflict } from "../../store/AppendError.ts"
import type * as Driver from "../../store/Driver.ts"
import type * as SqliteClient from "../../store/SqliteClient.ts"
import { StoreError } from "../../store/StoreError.ts"
import { rowsOf } from "../store/appendedRows.ts"
import * as Changes from "../store/changes.ts"
import * as Appender from "./appender.ts"
import * as Errors from "./errors.ts"
import * as Reads from "./eventReads.ts"
import * as EventSql from "./eventSql.ts"
import * as GroupCommit from "./groupCommit.ts"
import * as Transfer from "./transfer.ts"

/** The driver over tables that are there. */
export const make = (
  client: SqliteClient.Service,
  prefix: string,
  pollInterval: Duration.Duration
): Effect.Effect<Driver.Driver<"transactions" | "durable" | "shared">, never, Scope.Scope> =>
  Effect.gen(function*() {
    const sql = EventSql.make(prefix)
    const shared = client.filename !== ":memory:"

    /** Runs synchronously in the transaction that the fiber is in, or in one of its own. */
    const inTransaction = <A>(operation: string, run: (transaction: SqliteClient.Transaction) => A) =>
      Effect.mapError(
        client.withTransaction(
          Effect.withFiberRuntime<A, StoreError>((fiber) => attempt(operation, () => run(transactionOf(fiber))))
        ),
        (error) => renamed(operation, error)
      )

    const transactionOf = (fiber: Fiber.RuntimeFiber<any, any>) => {
      const transaction = client.transactionOf(fiber.currentContext as never)
      if (transaction === undefined) throw new Error("outside of its transaction")
      return transaction
    }

    /** Runs reads synchronously: on the connection that reads, or inside the transaction that the fiber is in. */
    const read = <A>(operation: string, run: (reads: Reads.Run) => A): Effect.Effect<A, StoreError> =>
      Effect.withFiberRuntime<A, StoreError>((fiber) => {
        if (client.inTransaction(fiber.currentContext as never)) {
          return inTransaction(operation, () => run(onWriter))
        }
        // A database in memory has one connection, which shows what others have not committed yet.
        if (!shared) return client.lock.withLock(Effect.suspend(() => attempt(operation, () => run(onWriter))))
        try {
          return Effect.succeed(run(onReader))
        } catch (error) {
          return Errors.classify(error) === "busy"
            ? client.retryBusy(operation, () => run(onReader))
            : Effect.fail(Errors.storeError(operation, error))
        }
      })

    const onWriter: Reads.Run = (text, params) => client.prepare("writer", text, "array").all(...params) as any
    const onReader: Reads.Run = (text, params) => client.prepare("reader", text, "array").all(...params) as any

    const headOf = (run: Reads.Run) => run(sql.head, [])[0]![0] as number
    const head = read("EventStore.head", headOf)
    const changes = yield* Changes.make(shared ? { every: pollInterval, head } : undefined)
    const appender = Appender.make(client, sql)
    const group = yield* GroupCommit.make(client, appender, changes.advance)

    /** Joins the transaction that the fiber is in; a refusal undoes this append alone. */
    const join = (request: Driver.AppendRequest, hook: Driver.Hook | undefined) =>
      client.withTransaction(
        Effect.withFiberRuntime<Driver.AppendResult, Driver.Refusal>((fiber) =>
          Effect.flatMap(
            attempt(operation, () => {
              // What this transaction wrote is its own affair until it is committed: nothing is remembered.
              const own = Appender.make(client, sql)
              own.load()
              const answer = own.append(request)
              const position = own.position()
              transactionOf(fiber).onCommit(() => changes.advance(position))
              return answer
            }),
            (answer): Effect.Effect<Driver.AppendResult, Driver.Refusal> =>
              "_tag" in answer
                ? Effect.fail(answer)
                : hook === undefined || answer.repeated
                ? Effect.succeed(answer)
                : Effect.mapBoth(hook(rowsOf(request, answer)), {
                  onSuccess: () => answer,
                  onFailure: (cause) => new StoreError({ reason: "hook", operation, cause })
                })
          )
        )
      ).pipe(Effect.mapError((error) => error._tag === "StoreError" ? renamed(operation, error) : error))

    const status = (run: Reads.Run, tenant: string, stream: string): Driver.StreamStatus => {
      const [last, marked, firstVersion, tombstoned] = run(sql.status, [stream, tenant, stream, tenant])[0] as [
        number,
        number,
        number,
        number
      ]
      const version = Math.max(last, marked)
      return tombstoned === 1
        ? { state: "tombstoned", version: marked, firstVersion }
        : { state: version === 0 ? "missing" : "live", version, firstVersion }
    }

    const write = (text: string, ...params: ReadonlyArray<unknown>) => client.prepare("writer", text).run(...params)

    /** Removes the events of a stream below a version; their ids are kept. */
    const remove = (tenant: string, stream: string, before: number): void => {
      write(sql.changed)
      write(sql.retire, stream, tenant, before)
      write(sql.removeTags, stream, tenant, before)
      write(sql.removeEvents, stream, tenant, before)
    }

    const driver: Driver.Driver<"transactions" | "durable" | "shared"> = {
      name: "sqlite",
      capabilities: ["transactions", "durable", "shared"],
      limits: { events: 100_000, streams: 10_000, payload: 67_108_864 },
      append: (request, hook) =>
        Effect.withFiberRuntime((fiber, { runtimeFlags }) =>
          client.inTransaction(fiber.currentContext as never)
            ? join(request, hook)
            : hook === undefined
            ? group.append(request, RuntimeFlags.interruptible(runtimeFlags) ? fiber : undefined)
            : group.appendWith(request, (result) => hook(rowsOf(request, result)))
        ),
      readStream: (page) =>
        read("EventStore.read", (run) =>
          run(page.backwards ? sql.streamBackwards : sql.streamForwards, [
            page.stream,
            page.tenant,
            page.from,
            page.to,
            page.limit
          ]).map(Reads.toRow)),
      // The head is read first: an event that is recorded in between belongs to the next page.
      readLog: (page) =>
        read("EventStore.readAll", (run) => {
          const to = Math.min(page.to, headOf(run))
          const { params, text } = Reads.plan(sql, { ...page, to }, run)
          const rows = run(text, params).map(Reads.toRow)
          const full = rows.length === page.limit && rows.length > 0
          return { rows, upTo: full ? rows[rows.length - 1]!.position : to }
        }),
      find: (tenant, id) =>
        read("EventStore.find", (run) => {
          const [found] = run(sql.known, [id, tenant, id, tenant])
          return found === undefined ? undefined : { stream: found[0], version: found[1], position: found[2] }
        }),
      head,
      streamStatus: (tenant, stream) => read("EventStore.streamState", (run) => status(run, tenant, stream)),
      truncate: ({ before, stream, tenant }) =>
        Effect.flatten(inTransaction(
          "EventStore.truncate",
          (): Effect.Effect<Truncated, StreamNotFound | StreamTombstoned> => {
            const { firstVersion, state, version } = status(onWriter, tenant, stream)
            if (state !== "live") return Effect.fail(gone(state, stream))
            if (before > version + 1) return Effect.succeed({ state: "beyond", version })
            if (before > firstVersion) {
              remove(tenant, stream, before)
              write(sql.mark, stream, tenant, version, before, 0)
            }
            return Effect.succeed({ state: "done" })
          }
        )),
      tombstone: ({ category, expected, mark, now, stream, tenant }) =>
        Effect.flatten(inTransaction(
          "EventStore.tombstone",
          (transaction): Effect.Effect<void, VersionConflict | StreamNotFound | StreamTombstoned> => {
            const { state, version } = status(onWriter, tenant, stream)
            if (state !== "live") return Effect.fail(gone(state, stream))
            if (!Position.meets(expected, version)) {
              return Effect.fail(new VersionConflict({ stream, expected, actual: version }))
            }
            remove(tenant, stream, version + 1)
            write(sql.mark, stream, tenant, version, version + 1, 1)
            const position = headOf(onWriter) + 1
            const recordedAt = Math.max(onWriter(sql.recordedAtOf, [])[0]![0] as number, now)
            Transfer.insert(write, sql, mark, { tenant, stream, category, version: version + 1, position, recordedAt })
            transaction.onCommit(() => changes.advance(position))
            return Effect.void
          }
        )),
      transfer: Transfer.make(sql, {
        read,
        write: (operation, run) =>
          inTransaction(operation, (transaction) =>
            run({
              head: headOf(onWriter),
              write,
              onCommit: (position) => transaction.onCommit(() => changes.advance(position))
            }))
      }),
      awaitBeyond: changes.awaitBeyond,
      withTransaction: client.withTransaction
    }
    return driver
  })

type Truncated = { readonly state: "done" } | { readonly state: "beyond"; readonly version: number }

const operation = "EventStore.append"

const attempt = <A>(operation: string, run: () => A): Effect.Effect<A, StoreError> => {
  try {
    return Effect.succeed(run())
  } catch (error) {
    return Effect.fail(Errors.storeError(operation, error))
  }
}

/** A failure of the transaction around an operation, under the operation's name. */
const renamed = (operation: string, { cause, reason }: StoreError): StoreError =>
  new StoreError({ operation, reason, cause })

const gone = (state: "missing" | "tombstoned", stream: string) =>
  state === "missing" ? new StreamNotFound({ stream }) : new StreamTombstoned({ stream })
