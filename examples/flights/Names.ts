/**
 * Where the data set is, and the names of airports in it: the npm package `vega-datasets`.
 */
import * as FileSystem from "@effect/platform/FileSystem"
import { Effect } from "effect"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"

/** A file of the package, wherever it is installed. */
const dataset = (name: string): string =>
  join(dirname(createRequire(import.meta.url).resolve("vega-datasets")), "..", "data", name)

/** 20,000 flights of January to March 2001. */
export const flights = (): string => dataset("flights-20k.json")

/** The names of airports by their codes: `DTW` is `Detroit Metropolitan-Wayne County`. */
export const names = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const [, ...rows] = parseCsv(yield* fs.readFileString(dataset("airports.csv")))
  return new Map(rows.map(([code = "", name = ""]) => [code, name]))
})

/** Reads CSV as RFC 4180 has it: fields with a comma stand in quotes, and a quote in them is doubled. */
export const parseCsv = (text: string): ReadonlyArray<ReadonlyArray<string>> => {
  const rows: Array<Array<string>> = []
  let row: Array<string> = []
  for (const [, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^,\r\n]*))(,|\r?\n|$)/g)) {
    row.push(quoted?.replaceAll("\"\"", "\"") ?? plain ?? "")
    if (end === ",") continue
    if (row.length > 1 || row[0] !== "") rows.push(row)
    row = []
  }
  return rows
}
