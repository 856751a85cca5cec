import type * as Reactivity from "@effect/experimental/Reactivity"
import * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as SqlStatement from "@effect/sql/Statement"
import type Database from "better-sqlite3"
import { Context, Effect, Runtime, Schedule, type Scope } from "effect"
import type { OpenReason, Service, SqliteOpenError, Transaction } from "../../store/SqliteClient.ts"
import type { StoreError } from "../../store/StoreError.ts"
import * as Mutex from "../mutex.ts"
import * as Connections from "./connections.ts"
import * as Errors from "./errors.ts"
import { type Host, SqliteConnection } from "./statements.ts"
import * as Transactions from "./transactions.ts"

/** Every option of `SqliteClient.Options`, with its default. */
export interface Options extends Connections.OpenOptions {
  readonly busyRetry: Schedule.Schedule<unknown>
  readonly spanAttributes: ReadonlyArray<readonly [string, unknown]>
  readonly transformQueryNames: ((name: string) => string) | undefined
  readonly transformResultNames: ((name: string) => string) | undefined
  readonly onOpenError: (reason: typeof OpenReason.Type, problem: string, cause: unknown) => SqliteOpenError
}

/** What cannot be opened, said before anything is touched. */
const invalid = (options: Options): string | undefined => {
  const { filename } = options
  if (typeof filename !== "string" || filename.trim() === "") return "filename: must not be empty"
  if (filename !== filename.trim()) return "filename: must not begin or end with white space"
  if (filename.includes("\0")) return "filename: must not hold NUL"
  if (/^file:/i.test(filename)) return "filename: must be a path, not a URI"
  if (filename === ":memory:" && options.readonly) return "readonly: a database in memory cannot be read-only"
  if (!["off", "normal", "full"].includes(options.synchronous)) return "synchronous: must be off, normal or full"
  if (!(options.busyTimeout >= 0 && options.busyTimeout <= 0x7fffffff)) return "busyTimeout: must be finite"
  return undefined
}

const openReasons: { readonly [kind in Errors.Kind]: typeof OpenReason.Type } = {
  busy: "busy",
  full: "unknown",
  readOnly: "readOnly",
  corrupt: "corrupt",
  constraint: "unknown",
  io: "path",
  closed: "unknown",
  unknown: "unknown"
}

const openError = (options: Options, error: unknown): SqliteOpenError => {
  const message = error instanceof Error ? error.message : String(error)
  const reason = error instanceof Connections.NoWal
    ? "noWal"
    : /directory does not exist/.test(message)
    ? "path"
    : /bindings|\.node\b|NODE_MODULE_VERSION/.test(message)
    ? "driver"
    : openReasons[Errors.classify(error)]
  return options.onOpenError(reason, message, error)
}

/** Tries at once, and by the Schedule while another process is in the way; only the sleeps are restored. */
const makeRetryBusy = (schedule: Schedule.Schedule<unknown>) =>
<A>(
  restore: Mutex.Restore,
  attempt: () => A
): Effect.Effect<A, unknown> => {
  const once = (onBusy: (error: unknown) => Effect.Effect<A, unknown>): Effect.Effect<A, unknown> => {
    try {
      return Effect.succeed(attempt())
    } catch (error) {
      return Errors.classify(error) === "busy" ? onBusy(error) : Effect.fail(error)
    }
  }
  return Effect.suspend(() =>
    once((error) =>
      Effect.flatMap(Schedule.driver(schedule), (driver) => {
        const again = (error: unknown): Effect.Effect<A, unknown> =>
          Effect.matchEffect(restore(driver.next(error)), {
            onFailure: () => Effect.fail(error),
            onSuccess: () => once(again)
          })
        return again(error)
      })
    )
  )
}

let clients = 0

export const make = (
  options: Options
): Effect.Effect<Service, SqliteOpenError, Scope.Scope | Reactivity.Reactivity> =>
  Effect.gen(function*() {
    const problem = invalid(options)
    if (problem !== undefined) return yield* options.onOpenError("invalid", problem, undefined)
    const runtime = yield* Effect.runtime()
    const retryBusy = makeRetryBusy(options.busyRetry)
    const connections = yield* Effect.acquireRelease(
      Effect.mapError(
        Effect.uninterruptibleMask((restore) => retryBusy(restore, () => Connections.open(options))),
        (error) => openError(options, error)
      ),
      (connections) =>
        Effect.catchAllDefect(
          Effect.sync(connections.close),
          (cause) => Effect.logWarning(`closing SQLite file "${options.filename}" failed`, cause)
        )
    )
    const { reader, writer } = connections
    const lock = Mutex.make()

    const readConnection: Effect.Effect<Database.Database, unknown, Scope.Scope> = connections.memory
      ? Effect.fail(Object.assign(new Error("a database in memory has one connection"), { code: "SQLITE_CANTOPEN" }))
      : Effect.acquireRelease(
        Effect.uninterruptibleMask((restore) => retryBusy(restore, connections.takeReader)),
        (connection) => Effect.sync(() => connections.giveReader(connection))
      )

    const host: Host = {
      connections,
      lock,
      retryBusy,
      readConnection: Effect.mapError(readConnection, (error) => Errors.sqlError("Failed to open a connection", error))
    }
    const outside = new SqliteConnection(host, undefined)

    // The shared tag of @effect/sql says in which transaction a fiber is, whoever's it is. Ours is told by its class and
    // host; a tag of our own still holds it when a transaction of another client has been opened inside.
    const ownTag = Context.GenericTag<SqliteConnection>(`effect-skald/store/SqliteClient/Transaction/${++clients}`)
    const sharedKey = SqlClient.TransactionConnection.key

    const ownFrame = (connection: unknown): Transactions.Frame | undefined =>
      connection instanceof SqliteConnection && connection.host === host ? connection.frame : undefined

    const frameOf = (context: Context.Context<never>): Transactions.Frame | undefined => {
      const shared = context.unsafeMap.get(sharedKey) as readonly [unknown, number] | undefined
      let frame = ownFrame(shared?.[0]) ?? ownFrame(context.unsafeMap.get(ownTag.key))
      while (frame !== undefined && frame.ended) frame = frame.parent
      return frame
    }

    const provideFrame = <R>(context: Context.Context<R>, frame: Transactions.Frame): Context.Context<R> => {
      const connection = new SqliteConnection(host, frame)
      return context.pipe(
        Context.add(ownTag, connection),
        Context.add(SqlClient.TransactionConnection, [connection, frame.depth] as const)
      )
    }

    const acquirer = Effect.withFiberRuntime<SqliteConnection>((fiber) => {
      const frame = frameOf(fiber.currentContext as Context.Context<never>)
      return Effect.succeed(frame === undefined ? outside : new SqliteConnection(host, frame))
    })

    const reserve = Effect.uninterruptibleMask((restore) =>
      Effect.withFiberRuntime<SqliteConnection, never, Scope.Scope>((fiber) => {
        const frame = frameOf(fiber.currentContext as Context.Context<never>)
        if (frame !== undefined) return Effect.succeed(new SqliteConnection(host, frame))
        const release = Effect.sync(() => {
          if (writer.open && writer.inTransaction) writer.exec("ROLLBACK")
          lock.release()
        })
        return lock.acquireWith(restore).pipe(
          Effect.zipRight(Effect.addFinalizer(() => release)),
          Effect.as(new SqliteConnection(host, undefined, true))
        )
      })
    )

    const primitives = Transactions.primitives(connections, {
      readonly: options.readonly,
      onHookError: (error) => {
        Runtime.runFork(runtime)(Effect.logError("a callback after a commit threw; the commit stands", error))
      }
    })
    const withTransaction = Transactions.makeWithTransaction({
      primitives,
      lock,
      frameOf,
      provideFrame,
      retryBusy,
      spanAttributes: options.spanAttributes
    })

    const sql = yield* makeSql(options, acquirer, reserve, withTransaction(Errors.sqlError))

    const service: Service = {
      filename: options.filename,
      readonly: options.readonly,
      sql,
      writer,
      reader,
      readConnection: Effect.mapError(
        readConnection,
        (error) => Errors.storeError("SqliteClient.readConnection", error)
      ),
      prepare: connections.prepare,
      lock,
      begin: primitives.begin,
      savepoint: (parent) => primitives.savepoint(asFrame(parent)),
      commit: (transaction) => primitives.commit(asFrame(transaction)),
      rollback: (transaction) => primitives.rollback(asFrame(transaction)),
      within: (transaction) => <A, E, R>(self: Effect.Effect<A, E, R>) =>
        Effect.mapInputContext(self, (context: Context.Context<R>) => provideFrame(context, asFrame(transaction))),
      transactionOf: frameOf,
      inTransaction: (context) => frameOf(context) !== undefined,
      onCommit: (callback) =>
        Effect.withFiberRuntime((fiber) => {
          const frame = frameOf(fiber.currentContext as Context.Context<never>)
          if (frame === undefined) callback()
          else frame.onCommit(callback)
          return Effect.void
        }),
      withTransaction: withTransaction((_, error): StoreError =>
        Errors.storeError("SqliteClient.withTransaction", error)
      ),
      retryBusy: (operation, attempt) =>
        Effect.mapError(
          Effect.uninterruptibleMask((restore) => retryBusy(restore, attempt)),
          (error) => Errors.storeError(operation, error)
        )
    }
    return service
  })

/** The public face of a transaction back to what it is; only this module makes them. */
const asFrame = (transaction: Transaction): Transactions.Frame => transaction as Transactions.Frame

/** `SqlClient.make`, with statements and transactions that know whose transaction they are in and fail instead of dying. */
const makeSql = (
  options: Options,
  acquirer: Effect.Effect<SqliteConnection>,
  reserve: Effect.Effect<SqliteConnection, never, Scope.Scope>,
  withTransaction: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | SqlError, R>
): Effect.Effect<SqlClient.SqlClient, never, Reactivity.Reactivity> => {
  const compiler = SqlStatement.makeCompilerSqlite(options.transformQueryNames)
  const transformRows = options.transformResultNames === undefined
    ? undefined
    : SqlStatement.defaultTransforms(options.transformResultNames).array
  return Effect.map(
    SqlClient.make({ acquirer, compiler, spanAttributes: options.spanAttributes, transformRows }),
    (base): SqlClient.SqlClient => {
      const face = (statement: SqlStatement.Constructor, plain: () => SqlClient.SqlClient): SqlClient.SqlClient => {
        const client: any = Object.assign(statement, {
          [SqlClient.TypeId]: SqlClient.TypeId,
          reserve,
          withTransaction,
          reactive: base.reactive,
          reactiveMailbox: base.reactiveMailbox,
          withoutTransforms: plain
        })
        client.safe = client
        return client
      }
      const plain: SqlClient.SqlClient = face(
        SqlStatement.make(acquirer, compiler.withoutTransform, options.spanAttributes, undefined),
        () => plain
      )
      if (options.transformQueryNames === undefined && transformRows === undefined) return plain
      // Constructors are cached by their acquirer, so that this one needs another.
      return face(
        SqlStatement.make(Effect.suspend(() => acquirer), compiler, options.spanAttributes, transformRows),
        () => plain
      )
    }
  )
}
