import * as SqlClient from "@effect/sql/SqlClient"
import type { Connection } from "@effect/sql/SqlConnection"
import type { SqlError } from "@effect/sql/SqlError"
import type Database from "better-sqlite3"
import { Chunk, Context, Effect, Option, type Scope, Stream } from "effect"
import type { RuntimeFiber } from "effect/Fiber"
import type { RowMode } from "../../store/SqliteClient.ts"
import type * as Mutex from "../mutex.ts"
import type { Connections } from "./connections.ts"
import * as Errors from "./errors.ts"
import { type Frame, RolledBack } from "./transactions.ts"

/** Rows that a stream reads at a time. */
const streamChunk = 512

type Statement = Database.Statement<Array<unknown>, any>
type Transform = (<A extends object>(rows: ReadonlyArray<A>) => ReadonlyArray<A>) | undefined
/** `raw` answers what better-sqlite3 answers for statements without rows. */
type Mode = RowMode | "raw"

/** How an answer is read from a statement. */
interface Call {
  readonly sql: string
  readonly params: ReadonlyArray<unknown>
  readonly mode: Mode
  readonly safeIntegers: boolean
  readonly cached: boolean
}

/** What the statements of one client need of it. */
export interface Host {
  readonly connections: Connections
  readonly lock: Mutex.Mutex
  readonly retryBusy: <A>(restore: Mutex.Restore, attempt: () => A) => Effect.Effect<A, unknown>
  readonly readConnection: Effect.Effect<Database.Database, SqlError, Scope.Scope>
}

/** Only these can be readers; `WITH` may also write, and then `readonly` says so. */
const mayRead = /^(?:\s|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)*(?:select|with|values|explain)\b/i

const explains = /\bexplain\b/i

/** SQLite knows no booleans, and JavaScript's `undefined` is its NULL. */
const toParameter = (value: unknown): unknown =>
  typeof value === "boolean" ? (value ? 1 : 0) : value === undefined ? null : value

const toParameters = (params: ReadonlyArray<unknown>): Array<unknown> => {
  for (const value of params) if (value === undefined || typeof value === "boolean") return params.map(toParameter)
  return params as Array<unknown>
}

/** The connection behind one frame, or behind no transaction at all; one class, so that it is told from strangers'. */
export class SqliteConnection implements Connection {
  readonly host: Host
  readonly frame: Frame | undefined
  /** Whether its user holds the lock, and begins and ends transactions by statements of its own. */
  readonly reserved: boolean

  constructor(host: Host, frame: Frame | undefined, reserved = false) {
    this.host = host
    this.frame = frame
    this.reserved = reserved
  }

  execute(sql: string, params: ReadonlyArray<unknown>, transform: Transform) {
    return this.#rows(sql, params, transform, true)
  }

  executeUnprepared(sql: string, params: ReadonlyArray<unknown>, transform: Transform) {
    return this.#rows(sql, params, transform, false)
  }

  executeRaw(sql: string, params: ReadonlyArray<unknown>) {
    return this.#run(sql, params, "raw", true)
  }

  executeValues(
    sql: string,
    params: ReadonlyArray<unknown>
  ): Effect.Effect<ReadonlyArray<ReadonlyArray<unknown>>, SqlError> {
    return this.#run(sql, params, "array", true)
  }

  executeStream(sql: string, params: ReadonlyArray<unknown>, transform: Transform): Stream.Stream<any, SqlError> {
    const host = this.host
    return Stream.unwrapScoped(Effect.withFiberRuntime<Stream.Stream<any, SqlError>, SqlError, Scope.Scope>((fiber) => {
      const safeIntegers = wantsSafeIntegers(fiber)
      const pull = this.frame !== undefined
        ? streamInFrame(this, this.frame, {
          sql,
          params: toParameters(params),
          mode: "object",
          safeIntegers,
          cached: true
        })
        : this.reserved || host.connections.memory || !isReader(host.connections, sql)
        ? Effect.map(this.execute(sql, params, undefined), once)
        : streamOutside(host, sql, toParameters(params), safeIntegers)
      return Effect.map(pull, (next) =>
        Stream.repeatEffectChunkOption(
          transform === undefined
            ? next
            : Effect.map(next, (rows) => Chunk.unsafeFromArray(transform(Chunk.toReadonlyArray(rows))))
        ))
    }))
  }

  #rows(sql: string, params: ReadonlyArray<unknown>, transform: Transform, cached: boolean) {
    const rows: Effect.Effect<ReadonlyArray<any>, SqlError> = this.#run(sql, params, "object", cached)
    return transform === undefined ? rows : Effect.map(rows, transform)
  }

  #run(sql: string, params: ReadonlyArray<unknown>, mode: Mode, cached: boolean): Effect.Effect<any, SqlError> {
    return Effect.withFiberRuntime<any, SqlError>((fiber) => {
      const call: Call = { sql, params: toParameters(params), mode, cached, safeIntegers: wantsSafeIntegers(fiber) }
      if (this.frame !== undefined) return this.inFrame(fiber, () => answerWriter(this.host, call))
      return this.reserved ? attempt(this.host, () => answerWriter(this.host, call)) : runOutside(this.host, call)
    })
  }

  /** Runs synchronously inside the frame, after any savepoint of another fiber that is open in it. */
  inFrame<A>(fiber: RuntimeFiber<any, any>, run: () => A): Effect.Effect<A, SqlError> {
    const frame = this.frame!
    const attempt = Effect.suspend(() => {
      try {
        frame.check()
        return Effect.succeed(run())
      } catch (error) {
        // The first error after which the transaction is gone is the cause of all that follow.
        const root = frame.root
        if (root.lostBy === undefined && !(error instanceof RolledBack) && !frame.isActive()) root.lostBy = error
        return failed(error)
      }
    })
    return frame.isFreeFor(fiber) ? attempt : frame.mutex.withLock(attempt)
  }
}

const failed = (error: unknown) => Effect.fail(Errors.sqlError("Failed to execute statement", error))

const wantsSafeIntegers = (fiber: RuntimeFiber<any, any>): boolean =>
  Context.get(fiber.currentContext as Context.Context<never>, SqlClient.SafeIntegers)

const answer = (statement: Statement, call: Call): unknown => {
  if (!statement.reader) {
    const result = statement.run(...call.params)
    return call.mode === "raw" ? result : []
  }
  if (!call.safeIntegers) return statement.all(...call.params)
  statement.safeIntegers(true)
  try {
    return statement.all(...call.params)
  } finally {
    statement.safeIntegers(false)
  }
}

const rowMode = (mode: Mode): RowMode => mode === "raw" ? "object" : mode

const answerWriter = ({ connections: { prepare, writer } }: Host, call: Call): unknown => {
  if (call.cached) return answer(prepare("writer", call.sql, rowMode(call.mode)), call)
  const statement = writer.prepare<Array<unknown>, any>(call.sql)
  if (call.mode === "array" && statement.reader) statement.raw(true)
  return answer(statement, call)
}

/** Whether the reading connection can answer; what it cannot prepare (a temporary table, say) the writer may know. */
const isReader = ({ prepare }: Connections, sql: string): boolean => {
  if (!mayRead.test(sql)) return false
  try {
    const statement = prepare("reader", sql)
    return statement.reader && statement.readonly
  } catch {
    return false
  }
}

const runOutside = (host: Host, call: Call): Effect.Effect<unknown, SqlError> => {
  const { lock, connections: { prepare, reader, writer } } = host
  if (reader !== writer && isReader(host.connections, call.sql)) {
    return attempt(host, () => answer(prepare("reader", call.sql, rowMode(call.mode)), call))
  }
  const write = () => {
    const result = answerWriter(host, call)
    if (!writer.inTransaction) return result
    writer.exec("ROLLBACK")
    throw new Error("a single statement must not begin a transaction; use withTransaction")
  }
  if (!lock.tryAcquire()) return lock.withLock(Effect.suspend(() => attempt(host, write)))
  try {
    return Effect.succeed(write())
  } catch (error) {
    if (Errors.classify(error) !== "busy") return failed(error)
  } finally {
    lock.release()
  }
  return lock.withLock(Effect.suspend(() => attempt(host, write)))
}

/** At once, and again only where another process is in the way. */
const attempt = <A>(host: Host, run: () => A): Effect.Effect<A, SqlError> => {
  try {
    return Effect.succeed(run())
  } catch (error) {
    if (Errors.classify(error) !== "busy") return failed(error)
  }
  return Effect.catchAll(Effect.uninterruptibleMask((restore) => host.retryBusy(restore, run)), failed)
}

/** One chunk, then the end. */
const once = (rows: ReadonlyArray<any>): Effect.Effect<Chunk.Chunk<any>, Option.Option<never>> => {
  let done = false
  return Effect.suspend(() => {
    if (done) return Effect.fail(Option.none())
    done = true
    return Effect.succeed(Chunk.unsafeFromArray(rows))
  })
}

type Pull = Effect.Effect<Chunk.Chunk<any>, Option.Option<SqlError>>

/** An iterator keeps its connection on one snapshot, so that a stream has a connection of its own. */
const streamOutside = (host: Host, sql: string, params: Array<unknown>, safeIntegers: boolean) =>
  Effect.flatMap(host.readConnection, (connection) =>
    Effect.map(
      Effect.acquireRelease(
        Effect.catchAll(
          Effect.uninterruptibleMask((restore) =>
            host.retryBusy(restore, () => {
              const statement = connection.prepare<Array<unknown>, any>(sql)
              if (safeIntegers) statement.safeIntegers(true)
              return statement.iterate(...params)
            })
          ),
          failed
        ),
        (rows) => Effect.sync(() => void rows.return?.())
      ),
      (rows): Pull =>
        Effect.suspend(() => {
          const chunk: Array<unknown> = []
          try {
            while (chunk.length < streamChunk) {
              const next = rows.next()
              if (next.done === true) break
              chunk.push(next.value)
            }
          } catch (error) {
            return Effect.mapError(failed(error), Option.some)
          }
          return chunk.length === 0 ? Effect.fail(Option.none()) : Effect.succeed(Chunk.unsafeFromArray(chunk))
        })
    ))

let streams = 0

/**
 * A stream inside a transaction sees what the transaction wrote, and lets it write on: better-sqlite3 refuses to write
 * while an iterator of the same connection is open. So the rows are first put into a temporary table (on the disk, not in
 * memory), whose columns have no type and change no value, and read from there.
 */
const streamInFrame = (connection: SqliteConnection, frame: Frame, call: Call) => {
  const { connections: { prepare, writer } } = connection.host
  const inFrame = <A>(run: () => A) => Effect.withFiberRuntime<A, SqlError>((fiber) => connection.inFrame(fiber, run))

  const open = inFrame((): { readonly table: string; readonly names: ReadonlyArray<string> } | ReadonlyArray<any> => {
    const statement = prepare("writer", call.sql)
    if (!mayRead.test(call.sql) || !statement.readonly || !statement.reader) {
      return answer(statement, call) as ReadonlyArray<any>
    }
    const names = statement.columns().map((column) => column.name)
    const table = `temp.skald_stream_${++streams}`
    writer.exec(`CREATE TEMP TABLE ${table.slice(5)} (${names.map((_, index) => `c${index}`).join(", ")})`)
    try {
      writer.prepare(`INSERT INTO ${table} ${call.sql}`).run(...call.params)
    } catch (error) {
      if (writer.inTransaction) writer.exec(`DROP TABLE ${table}`)
      // `EXPLAIN` answers with rows but cannot be inserted from; its rows are few.
      if (explains.test(call.sql)) return answer(statement, call) as ReadonlyArray<any>
      throw error
    }
    return { table, names }
  })

  return Effect.map(
    Effect.acquireRelease(open, (source) =>
      Effect.sync(() => {
        if (!("table" in source) || !frame.isActive()) return
        try {
          writer.exec(`DROP TABLE IF EXISTS ${source.table}`)
        } catch {
          // The table is temporary: the end of the connection removes it at the latest.
        }
      })),
    (source): Pull => {
      if (!("table" in source)) return once(source)
      const { names, table } = source
      let last: number | bigint = 0
      return Effect.mapError(
        inFrame(() => {
          const statement = writer.prepare<Array<unknown>, Array<any>>(
            `SELECT rowid, * FROM ${table} WHERE rowid > ? ORDER BY rowid LIMIT ${streamChunk}`
          )
          const rows = statement.raw(true).safeIntegers(call.safeIntegers).all(last)
          return rows.map((row) => {
            last = row[0]
            const object: Record<string, unknown> = {}
            for (let index = 0; index < names.length; index++) object[names[index]!] = row[index + 1]
            return object
          })
        }),
        Option.some
      ).pipe(
        Effect.flatMap((rows): Pull =>
          rows.length === 0 ? Effect.fail(Option.none()) : Effect.succeed(Chunk.unsafeFromArray(rows))
        )
      )
    }
  )
}
