import { build } from "esbuild"
import { type ChildProcess, spawn } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"

const root = path.join(import.meta.dirname, "..", "..")

/**
 * A program of the tests, built once, so that starting it a hundred times costs as much as Node does. `remove` it in the end.
 */
export const bundle = async (source: string): Promise<{ readonly file: string; readonly remove: () => void }> => {
  const file = path.join(root, "node_modules", ".cache", `${path.parse(source).name}-${process.pid}.mjs`)
  await build({
    entryPoints: [path.join(root, source)],
    bundle: true,
    // all in one file but the addon: a bundle starts several times as fast as the packages it is made of
    external: ["better-sqlite3", "pg-native"],
    // what is CommonJS within asks for modules of Node
    banner: { js: "import { createRequire as r } from \"node:module\"; const require = r(import.meta.url)" },
    platform: "node",
    format: "esm",
    target: "node20",
    outfile: file,
    tsconfig: path.join(root, "tsconfig.json"),
    logLevel: "warning"
  })
  return { file, remove: () => fs.rmSync(file, { force: true }) }
}

/** A process that says things line by line, until it is killed. */
export interface Running {
  readonly process: ChildProcess
  /** What it has said so far. */
  readonly lines: ReadonlyArray<string>
  /** Waits until it has said something. */
  readonly spoken: Promise<void>
  /** Kills it, and waits until all that it said has arrived. */
  readonly kill: () => Promise<void>
}

export const run = (file: string, ...args: ReadonlyArray<string>): Running => {
  const child = spawn(process.execPath, ["--enable-source-maps", file, ...args], {
    cwd: root,
    stdio: ["ignore", "pipe", "inherit"]
  })
  const lines: Array<string> = []
  let rest = ""
  const closed = new Promise<void>((resolve) => child.once("close", () => resolve()))
  const spoken = new Promise<void>((resolve, reject) => {
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      const parts = (rest + text).split("\n")
      rest = parts.pop()!
      lines.push(...parts)
      if (lines.length > 0) resolve()
    })
    child.once(
      "close",
      (code, signal) => reject(new Error(`${file} ended (${signal ?? code}) before it said anything`))
    )
  })
  spoken.catch(() => {})
  return {
    process: child,
    lines,
    spoken,
    kill: () => {
      child.kill("SIGKILL")
      return closed
    }
  }
}
