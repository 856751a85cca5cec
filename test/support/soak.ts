/**
 * Long proofs. A soak is a file `test/soak/<name>.soak.ts` with tests as anywhere else, whose loops are as long as
 * `Soak.times` says and which tells what it did with `Soak.report`. `npm run soak` runs all of them whole and writes
 * docs/soak/<name>.md; CI runs them at a tenth and writes nothing.
 */
import * as fs from "node:fs"
import * as path from "node:path"

/** How much of each soak is run: 1 is whole. */
export const scale = Number(process.env["SKALD_SOAK"] ?? "0.1")

/** So many times out of `whole`, at least once. */
export const times = (whole: number): number => Math.max(1, Math.round(whole * scale))

/** One line of what a soak did, `report("kills", "50 kills, 61,204 acknowledged appends, 0 lost")` for example. */
export const report = (name: string, line: string): void => {
  const folder = process.env["SKALD_SOAK_REPORT"]
  process.stderr.write(`soak ${name}: ${line}\n`)
  if (folder === undefined || folder === "") return
  fs.mkdirSync(folder, { recursive: true })
  fs.appendFileSync(path.join(folder, `${name}.jsonl`), JSON.stringify({ name, line }) + "\n")
}
