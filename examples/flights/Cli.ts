/**
 * The command line.
 */
import { Either, Schema } from "effect"
import { resolve } from "node:path"
import { parseArgs } from "node:util"
import * as Store from "./Store.ts"

/** What is asked for. */
export type Command =
  | { readonly _tag: "Help" }
  | {
    readonly _tag: "Run"
    /** The flights; those of `vega-datasets` when not given. */
    readonly data: string | undefined
    readonly store: Store.Store
    readonly limit: number
    readonly json: string | undefined
    /** What is in the store is projected anew, and no data is read. */
    readonly rebuild: boolean
  }

/** The command line asks for what there is not. */
export class UsageError extends Schema.TaggedError<UsageError>("flights/UsageError")("UsageError", {
  problems: Schema.NonEmptyArray(Schema.String)
}) {
  override get message(): string {
    return this.problems.join("\n")
  }
}

export const help = `Real US flights through an event store: punctuality, disruptions, and how things stood in the past.

Usage: npm start -- [options]

  --data FILE   the flights: a JSON array, or one flight a line; 20,000 of the npm package vega-datasets when not given
  --db FILE     the SQLite file that everything is kept in, made when missing; flights.db when not given
  --store URL   where everything is kept instead: postgres://user:password@host:5432/database, or sqlite:FILE, or
                redis://host:6379, with the tables that the report is made of in the file of --db; or memory,
                which keeps nothing
  --limit N     read the first N records of the data only
  --json FILE   write the report there as data, too
  --rebuild     read no data: project the events of the store anew, while what was made of them before goes on answering
  --help        show this

Started again on the same store, it goes on where it was, and counts nothing twice; a rebuild, too.`

const defaults = { limit: 1_000_000_000 }

export const parse = (args: ReadonlyArray<string>): Either.Either<Command, UsageError> => {
  const parsed = Either.try({
    try: () =>
      parseArgs({
        args: [...args],
        options: {
          data: { type: "string" },
          db: { type: "string" },
          store: { type: "string" },
          limit: { type: "string" },
          json: { type: "string" },
          rebuild: { type: "boolean" },
          help: { type: "boolean", short: "h" }
        }
      }).values,
    catch: (error) => new UsageError({ problems: [firstSentence(error)] })
  })
  return Either.flatMap(parsed, ({ data, db, help, json, limit, rebuild = false, store: address }) => {
    if (help === true) return Either.right<Command>({ _tag: "Help" })
    const problems: Array<string> = []
    const store = Store.parse(address, db)
    if (typeof store === "string") problems.push(store)
    const kept = typeof store === "object" && "filename" in store ? store.filename : undefined
    const files = { data, [address?.startsWith("sqlite:") === true ? "store" : "db"]: kept, json }
    for (const [name, file] of Object.entries(files)) {
      if (file === "") problems.push(`--${name} must name a file.`)
    }
    if (limit !== undefined && !/^\d{1,9}$/.test(limit)) {
      problems.push(`--limit must be a whole number of at most nine digits, got ${JSON.stringify(limit)}.`)
    }
    if (rebuild && (data ?? limit) !== undefined) {
      problems.push("--rebuild reads no data: leave --data and --limit out.")
    }
    if (rebuild && typeof store === "object" && store._tag === "Memory") {
      problems.push("--rebuild needs a store that keeps events: in memory there is nothing to rebuild from.")
    }
    const same = sameFile(files)
    if (same !== undefined) problems.push(`--${same[0]} and --${same[1]} must not be the same file.`)
    const [first, ...others] = problems
    return first !== undefined || typeof store === "string"
      ? Either.left(new UsageError({ problems: [first ?? "", ...others] }))
      : Either.right<Command>({
        _tag: "Run",
        data,
        store,
        limit: limit === undefined ? defaults.limit : Number(limit),
        json,
        rebuild
      })
  })
}

/** Two options that name one file, which would be the end of it. */
const sameFile = (files: { readonly [name: string]: string | undefined }): readonly [string, string] | undefined => {
  const seen = new Map<string, string>()
  for (const [name, file] of Object.entries(files)) {
    if (file === undefined || file === "") continue
    const other = seen.get(resolve(file))
    if (other !== undefined) return [other, name]
    seen.set(resolve(file), name)
  }
  return undefined
}

const firstSentence = (error: unknown): string => {
  const message = error instanceof Error ? error.message : String(error)
  return `${message.split(/\.\s|\n|\.$/)[0]}.`
}
