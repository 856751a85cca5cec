import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { afterAll } from "vitest"

describe("the verdict of .ci/run", () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "skald-count-"))
  afterAll(() => fs.rmSync(folder, { recursive: true }))
  const file = (name: string, content: unknown): string => {
    const where = path.join(folder, name)
    fs.writeFileSync(where, typeof content === "string" ? content : JSON.stringify(content))
    return where
  }
  const count = (...reports: ReadonlyArray<string>) => {
    const script = path.join(import.meta.dirname, "..", "scripts", "countTests.mjs")
    const run = spawnSync(process.execPath, [script, ...reports], { encoding: "utf8" })
    return [run.stdout.trim(), run.status === 0] as const
  }
  const vitest = (passed: number, failed: number, pending: number, files: ReadonlyArray<unknown> = []) => ({
    success: failed === 0 && files.length === 0,
    numPassedTests: passed,
    numFailedTests: failed,
    numPendingTests: pending,
    numTodoTests: 0,
    testResults: files
  })

  const good = file("good.json", vitest(5, 0, 1))
  const types = file(
    "types.log",
    "Targets:    1 passed, 1 total\nTest files: 1 passed, 1 total\nTests:      2 passed, 2 total\n"
  )

  it("adds up what the runners report", () => {
    assert.deepStrictEqual(count(`a=${good}`, `b=${types}`), ["7 passed, 0 failed, 1 skipped", true])
  })

  it("fails for a failed test", () => {
    const bad = file("bad.json", vitest(5, 2, 0))
    const mistyped = file(
      "mistyped.log",
      "Targets:    1 failed, 1 total\nTests:      1 failed, 1 passed, 1 skipped, 3 total\n"
    )
    assert.deepStrictEqual(count(`a=${bad}`, `b=${types}`), ["7 passed, 2 failed, 0 skipped", false])
    assert.deepStrictEqual(count(`a=${good}`, `b=${mistyped}`), ["6 passed, 1 failed, 2 skipped", false])
  })

  it("fails for a file that could not be loaded, or not be compiled", () => {
    const broken = file("broken.json", vitest(5, 0, 0, [{ status: "failed", assertionResults: [] }]))
    const uncompiled = file("uncompiled.log", "Targets:    1 failed, 1 total\nTests:      2 passed, 2 total\n")
    assert.deepStrictEqual(count(`a=${broken}`), ["5 passed, 1 failed, 0 skipped", false])
    assert.deepStrictEqual(count(`a=${uncompiled}`), ["2 passed, 1 failed, 0 skipped", false])
  })

  it("counts a stage that failed without a failed test as one", () => {
    const bad = file("two.json", vitest(5, 2, 0))
    assert.deepStrictEqual(count("--failed=a", `a=${good}`), ["5 passed, 1 failed, 1 skipped", false])
    assert.deepStrictEqual(count("--failed=lint", "--failed=b", `a=${good}`, `b=${bad}`), [
      "10 passed, 3 failed, 1 skipped",
      false
    ])
  })

  it("fails for a report that is missing, unreadable or empty", () => {
    const empty = file("empty.json", vitest(0, 0, 3))
    const cut = file("cut.json", "{\"success\":")
    assert.deepStrictEqual(count(`a=${good}`, `b=${path.join(folder, "none.json")}`), [
      "5 passed, 1 failed, 1 skipped",
      false
    ])
    assert.deepStrictEqual(count(`a=${good}`, `b=${cut}`), ["5 passed, 1 failed, 1 skipped", false])
    assert.deepStrictEqual(count(`a=${good}`, `b=${empty}`), ["5 passed, 0 failed, 4 skipped", false])
    assert.deepStrictEqual(count(), ["0 passed, 0 failed, 0 skipped", false])
  })
})
