import { assert, it } from "@effect/vitest"
import * as EventStoreConformance from "effect-skald/testing/EventStoreConformance"
import { readFileSync } from "node:fs"

/** The cells of the rows of tables in Markdown, however the columns are aligned. */
const cells = (markdown: string): ReadonlyArray<ReadonlyArray<string>> =>
  markdown.split("\n").filter((line) => line.startsWith("|") && !/^\|[\s|-]*\|$/.test(line)).map((line) =>
    line.slice(1, -1).split("|").map((cell) => cell.trim())
  )

it("docs/idempotency.md shows the matrix that the suite runs", () => {
  const page = readFileSync(new URL("../../docs/idempotency.md", import.meta.url), "utf8")
  const matrix = cells(EventStoreConformance.idempotencyTable())
  assert.isAbove(matrix.length, 25)
  assert.deepStrictEqual(cells(page), matrix)
})
