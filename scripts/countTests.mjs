#!/usr/bin/env node
/**
 * Adds up the reports of the test runners: vitest's JSON, and what tstyche prints. Prints `N passed, N failed, N skipped`
 * and fails when a test failed, or when a report is missing, unreadable or empty. A stage that failed (`--failed=name`)
 * without a failed test, as one of checks does and one whose runner died, counts as one that failed.
 *
 * countTests.mjs [--failed=name…] name=report.json name=tstyche.log …
 */
import * as fs from "node:fs"
import process from "node:process"

const ofVitest = (text) => {
  const report = JSON.parse(text)
  // A file that could not be loaded has no tests to fail: it counts as one.
  const broken =
    report.testResults.filter((file) =>
      file.status === "failed" && !file.assertionResults.some((test) => test.status === "failed")
    ).length
  return {
    passed: report.numPassedTests,
    failed: Math.max(report.numFailedTests + broken, report.success ? 0 : 1),
    skipped: report.numPendingTests + report.numTodoTests
  }
}

const ofTstyche = (text) => {
  const count = (line, word) => Number(new RegExp(`^${line}:.*?(\\d+) ${word}`, "m").exec(text)?.[1] ?? 0)
  if (!/^Tests:/m.test(text)) throw new Error("no summary")
  const failed = count("Tests", "failed")
  return {
    passed: count("Tests", "passed"),
    failed: failed === 0 && (count("Test files", "failed") > 0 || count("Targets", "failed") > 0) ? 1 : failed,
    skipped: count("Tests", "skipped") + count("Tests", "todo")
  }
}

const total = { passed: 0, failed: 0, skipped: 0 }
let faults = 0
const given = process.argv.slice(2)
const flag = "--failed="
const failed = new Set(given.filter((argument) => argument.startsWith(flag)).map((name) => name.slice(flag.length)))
for (const argument of given.filter((argument) => !argument.startsWith(flag))) {
  const [name, file] = argument.split("=")
  let counts
  try {
    const text = fs.readFileSync(file, "utf8")
    counts = file.endsWith(".json") ? ofVitest(text) : ofTstyche(text)
  } catch (error) {
    console.error(`${name}: no report (${error.message})`)
    counts = { passed: 0, failed: 1, skipped: 0 }
  }
  if (counts.passed + counts.failed === 0) {
    console.error(`${name}: not one test ran`)
    faults++
  }
  if (failed.delete(name) && counts.failed === 0) {
    console.error(`${name}: it failed, though no test did`)
    counts.failed = 1
  }
  console.error(`${name}: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`)
  for (const key of Object.keys(total)) total[key] += counts[key]
}
for (const name of failed) {
  console.error(`${name}: failed`)
  total.failed++
}
if (total.passed === 0) faults++
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`)
process.exit(total.failed + faults === 0 ? 0 : 1)
