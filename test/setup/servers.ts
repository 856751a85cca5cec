/** Ends every run with a notice of the suites that were left out because their server was not there. */
import * as fs from "node:fs"
import * as path from "node:path"
import { serverVariables } from "../support/serverVariables.ts"

interface ServerSuite {
  readonly server: string
  readonly title: string
  readonly file: string
}

/** The server suites of the project, found by the literals given to `Servers.suite`. */
export const find = (root: string): ReadonlyArray<ServerSuite> => {
  const found: Array<ServerSuite> = []
  for (const entry of fs.readdirSync(root, { recursive: true, encoding: "utf8" })) {
    if (!entry.endsWith(".test.ts")) continue
    const text = fs.readFileSync(path.join(root, entry), "utf8")
    for (const match of text.matchAll(/^\s*Servers\.suite\(\s*"(\w+)",\s*"([^"]+)"/gm)) {
      found.push({ server: match[1] ?? "", title: match[2] ?? "", file: entry })
    }
  }
  return found
}

/** What to print, given the suites and the environment. */
export const notice = (suites: ReadonlyArray<ServerSuite>, env: NodeJS.ProcessEnv): string => {
  if (suites.length === 0) {
    return "Servers: no server suites exist yet; all embedded suites ran."
  }
  const variables: Record<string, string | undefined> = serverVariables
  const missing = suites.filter((suite) => !env[variables[suite.server] ?? ""])
  if (missing.length === 0) {
    return `Servers: all ${suites.length} server suites had their server.`
  }
  const names = [...new Set(missing.map((suite) => suite.server))]
  return [
    "=".repeat(100),
    `LEFT OUT: ${missing.length} of ${suites.length} server suites, because their servers are not running`,
    ...missing.map((suite) => `  - ${suite.title} (needs ${suite.server}; ${suite.file})`),
    `To run them: scripts/services.sh start ${names.join(" ")} && eval "$(scripts/services.sh env ${names.join(" ")})"`,
    "=".repeat(100)
  ].join("\n")
}

export default function setup(): () => void {
  const text = notice(find(path.join(import.meta.dirname, "..")), process.env)
  return () => {
    process.stderr.write(`\n${text}\n`)
  }
}
