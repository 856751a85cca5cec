/** `npm run example -- services …`: starts one of the examples, with what follows its name. */
import { existsSync, readdirSync } from "node:fs"
import { join } from "node:path"

const [name = ""] = process.argv.splice(2, 1)
const main = join(import.meta.dirname, name, "main.ts")

if (/^[a-z]+$/.test(name) && existsSync(main)) {
  await import(main)
} else {
  const names = readdirSync(import.meta.dirname, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
  process.stderr.write(`Usage: npm run example -- NAME [options], where NAME is one of ${names.join(", ")}.\n`)
  process.exitCode = 2
}
