#!/usr/bin/env node
/**
 * Every static check, one after the other: `npm run lint`, or `npm run lint -- format boundaries` for some of them.
 * All of them run; the summary names what failed.
 */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import process from "node:process"

const root = path.join(import.meta.dirname, "..")
const bin = (name) => path.join(root, "node_modules", ".bin", name)
const folders = ["src", "test", "bench", "examples", "scripts"].filter((name) => fs.existsSync(path.join(root, name)))

const checks = {
  format: { what: "formatting (npm run format mends it)", run: [bin("dprint"), "check"] },
  oxlint: {
    what: "oxlint",
    run: [
      bin("oxlint"),
      "--deny-warnings",
      ...folders,
      "vitest.config.ts",
      "vitest.soak.config.ts",
      "vitest.pure.config.ts"
    ]
  },
  boundaries: {
    what: "wing boundaries and import cycles",
    run: [bin("depcruise"), "--config", ".dependency-cruiser.cjs", "--output-type", "err-long", ...folders]
  },
  docs: { what: "docs of public exports, Clock and Random", run: [process.execPath, "scripts/checkDocs.mjs"] },
  effect: {
    what: "Effect diagnostics",
    run: [process.execPath, "scripts/effectDiagnostics.mjs"]
  }
}

const wanted = process.argv.slice(2)
for (const name of wanted) {
  if (!(name in checks)) {
    console.error(`There is no check "${name}". Checks: ${Object.keys(checks).join(", ")}`)
    process.exit(2)
  }
}

const results = []
for (const [name, check] of Object.entries(checks)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue
  const started = performance.now()
  const [command, ...args] = check.run
  const result = spawnSync(command, args, {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 1 << 28,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, NO_COLOR: "1" }
  })
  const passed = result.status === 0
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  console.log(`${passed ? "ok  " : "FAIL"} ${check.what} (${seconds} s)`)
  const output = `${result.stdout ?? ""}${result.stderr ?? ""}${result.error ? String(result.error) : ""}`.trim()
  if (!passed || name === "docs") console.log(output.replace(/^/gm, "     "))
  results.push({ name, passed })
}

const failed = results.filter((result) => !result.passed).map((result) => result.name)
if (failed.length > 0) {
  console.log(`\nlint failed: ${failed.join(", ")}`)
  process.exit(1)
}
