import Database from "better-sqlite3"
import type { RowMode } from "../../store/SqliteClient.ts"
import { classify } from "./errors.ts"

/** How a file is opened; every value has been checked. */
export interface OpenOptions {
  readonly filename: string
  readonly readonly: boolean
  readonly synchronous: "off" | "normal" | "full"
  readonly busyTimeout: number
}

/** The connections of one file, and the statements prepared on them. */
export interface Connections {
  readonly memory: boolean
  readonly writer: Database.Database
  readonly reader: Database.Database
  readonly prepare: (on: "writer" | "reader", sql: string, mode?: RowMode) => Database.Statement<Array<unknown>, any>
  /** A read-only connection for one user at a time. */
  readonly takeReader: () => Database.Database
  readonly giveReader: (connection: Database.Database) => void
  readonly close: () => void
}

/** A file whose file system has no shared memory stays out of WAL mode, and two connections would block each other. */
export class NoWal extends Error {
  override readonly name = "NoWal"
  constructor(mode: unknown) {
    super(`the database cannot be put into WAL mode (it is in "${String(mode)}"); is it on a network file system?`)
  }
}

/** Statements made from changing text (lists of parameters, say) must not pile up. */
const maxStatements = 512

/** Connections that wait for the next stream. */
const maxIdle = 4

const statementCache = (connection: Database.Database) => {
  const modes: { readonly [mode in RowMode]: Map<string, Database.Statement<Array<unknown>, any>> } = {
    object: new Map(),
    array: new Map(),
    first: new Map()
  }
  return (sql: string, mode: RowMode): Database.Statement<Array<unknown>, any> => {
    const cache = modes[mode]
    const known = cache.get(sql)
    if (known !== undefined) return known
    const statement = connection.prepare<Array<unknown>, any>(sql)
    if (statement.reader) {
      if (mode === "array") statement.raw(true)
      else if (mode === "first") statement.pluck(true)
    }
    if (cache.size >= maxStatements) {
      const oldest = cache.keys().next()
      if (oldest.done !== true) cache.delete(oldest.value)
    }
    cache.set(sql, statement)
    return statement
  }
}

/** Takes the write lock once. That another process has it just now is no reason not to open. */
const probe = (writer: Database.Database): void => {
  try {
    writer.exec("BEGIN IMMEDIATE")
    writer.exec("ROLLBACK")
  } catch (error) {
    if (classify(error) !== "busy") throw error
  }
}

const configure = (writer: Database.Database, options: OpenOptions, memory: boolean): void => {
  if (!options.readonly && !memory) {
    const mode = writer.pragma("journal_mode = WAL", { simple: true })
    if (mode !== "wal") throw new NoWal(mode)
  }
  writer.pragma(`synchronous = ${options.synchronous.toUpperCase()}`)
  writer.pragma("foreign_keys = ON")
  // SQLite falls back to reading where it may not write; that shows here, and not at the first append.
  if (options.readonly) writer.pragma("schema_version")
  else probe(writer)
}

/** Opens the connections or throws, leaving nothing open. */
export const open = (options: OpenOptions): Connections => {
  const memory = options.filename === ":memory:"
  const readers = { readonly: true, fileMustExist: true, timeout: options.busyTimeout }
  const writer = new Database(
    options.filename,
    options.readonly ? readers : { timeout: options.busyTimeout }
  )
  let reader = writer
  try {
    configure(writer, options, memory)
    if (!memory) reader = new Database(options.filename, readers)
    reader.pragma("schema_version")
  } catch (error) {
    reader.close()
    writer.close()
    throw error
  }

  const onWriter = statementCache(writer)
  const onReader = memory ? onWriter : statementCache(reader)
  const idle: Array<Database.Database> = []
  let closed = false

  const close = (): void => {
    if (closed) return
    closed = true
    for (const connection of idle.splice(0)) connection.close()
    if (!memory) reader.close()
    // A transaction that is still open here belongs to somebody who outlived the scope: it was never acknowledged.
    if (writer.inTransaction) writer.exec("ROLLBACK")
    // What cannot be moved out of the WAL now, because another process reads it, is moved by the next one that opens it.
    if (!memory && !options.readonly) writer.pragma("wal_checkpoint(TRUNCATE)")
    writer.close()
  }

  return {
    memory,
    writer,
    reader,
    prepare: (on, sql, mode = "object") => on === "writer" ? onWriter(sql, mode) : onReader(sql, mode),
    takeReader: () => {
      if (closed) throw new TypeError("The database connection is not open")
      return idle.pop() ?? new Database(options.filename, readers)
    },
    giveReader: (connection) => {
      if (closed || idle.length >= maxIdle || connection.inTransaction) connection.close()
      else idle.push(connection)
    },
    close
  }
}
