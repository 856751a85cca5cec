/**
 * Builds the benches and runs them. They are bundled by esbuild first: run straight from TypeScript by tsx, every function
 * that is made would be given its name again (`keepNames`), and that is what would be measured.
 */
import { build } from "esbuild"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"

const root = path.join(import.meta.dirname, "..")
// inside the project, so that packages are found; one for each run, so that two do not disturb each other
const outdir = path.join(root, `node_modules/.cache/bench-${process.pid}`)
process.on("exit", () => fs.rmSync(outdir, { recursive: true, force: true }))
await build({
  entryPoints: fs.readdirSync(path.join(root, "bench")).filter((name) => name.endsWith(".ts"))
    .map((name) => path.join(root, "bench", name)),
  bundle: true,
  splitting: true,
  packages: "external",
  plugins: [{
    // as the paths of tsconfig.json: `effect-skald/store/Category` is src/store/Category.ts
    name: "source",
    setup: (esbuild) => {
      esbuild.onResolve({ filter: /^effect-skald(\/|$)/ }, ({ path: name }) => ({
        path: path.join(root, "src", `${name.slice("effect-skald/".length) || "index"}.ts`)
      }))
    }
  }],
  platform: "node",
  format: "esm",
  target: "node20",
  sourcemap: true,
  outExtension: { ".js": ".mjs" },
  outdir,
  logLevel: "warning"
})
const { status } = spawnSync(
  process.execPath,
  ["--enable-source-maps", "--expose-gc", path.join(outdir, "run.mjs"), ...process.argv.slice(2)],
  { stdio: "inherit", cwd: root }
)
process.exit(status ?? 1)
