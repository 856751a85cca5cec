/**
 * One program as a process: it takes commands line by line and answers each when it is done, for good.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import { Effect, Layer, Stream } from "effect"
import { createInterface } from "node:readline"
import * as Database from "./Database.ts"
import { seen } from "./Program.ts"
import { type Name, programs } from "./Programs.ts"

/** What a process says, one JSON value a line. */
export type Said =
  | { readonly _tag: "ready" }
  | { readonly _tag: "done"; readonly command: string }
  | { readonly _tag: "seen"; readonly counts: { readonly [type: string]: number }; readonly twice: number }

const say = (said: Said) => Effect.sync(() => void process.stdout.write(`${JSON.stringify(said)}\n`))

/** Runs until its input ends. */
export const run = (name: Name, address: string) => {
  const { commands, subscription, tables } = programs[name]
  const makeTables = Layer.effectDiscard(
    Effect.flatMap(SqlClient.SqlClient, (sql) => Effect.forEach(tables, (table) => sql.unsafe(table)))
  )
  const answer = (line: string) =>
    Effect.gen(function*() {
      const [word = "", ...args] = line.split(" ")
      if (word === "report") return yield* say({ _tag: "seen", ...yield* seen(name) })
      const command = commands[word]
      if (command === undefined) return yield* Effect.dieMessage(`${name} does not know the command ${word}`)
      yield* command(...args)
      yield* say({ _tag: "done", command: line })
    })
  const lines = Stream.fromAsyncIterable(createInterface({ input: process.stdin }), (error) => error)
  return Effect.zipRight(say({ _tag: "ready" }), Stream.runForEach(lines, answer)).pipe(
    Effect.provide(subscription.pipe(Layer.provideMerge(makeTables), Layer.provideMerge(Database.layer(address))))
  )
}
