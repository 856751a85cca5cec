#!/usr/bin/env node
/**
 * The package as a stranger meets it: packed, linted (publint, attw), installed into an empty project together with
 * its peers, type-checked from ten lines of a strict NodeNext consumer, and run. `--keep` keeps that project.
 */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import process from "node:process"

const root = path.join(import.meta.dirname, "..")
const project = fs.mkdtempSync(path.join(os.tmpdir(), "skald-consumer-"))
process.on("exit", () => {
  if (process.argv.includes("--keep")) console.log(`kept ${project}`)
  else fs.rmSync(project, { recursive: true, force: true })
})

const bin = (name) => path.join(root, "node_modules", ".bin", name)
/** Runs a step, quietly unless it fails. */
const run = (what, command, args, cwd, expected = 0) => {
  const started = performance.now()
  const result = spawnSync(command, args, {
    cwd,
    encoding: "utf8",
    maxBuffer: 1 << 28,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, NO_COLOR: "1", FORCE_COLOR: undefined }
  })
  const passed = expected === "failure" ? result.status !== 0 : result.status === expected
  console.log(`${passed ? "ok  " : "FAIL"} ${what} (${((performance.now() - started) / 1000).toFixed(1)} s)`)
  if (!passed) {
    console.log(`${result.stdout ?? ""}${result.stderr ?? ""}${result.error ?? ""}`.trim().replace(/^/gm, "     "))
    process.exit(1)
  }
  return result.stdout
}

run("build", "npm", ["run", "build"], root)
const packed = JSON.parse(run("pack", "npm", ["pack", "--json", "--pack-destination", project], root))[0]
const tarball = path.join(project, packed.filename)
const names = packed.files.map((file) => file.path)
const strange = names.filter((name) =>
  !/^(dist|src)\//.test(name) && !["package.json", "README.md", "CHANGELOG.md", "LICENSE"].includes(name)
)
if (strange.length > 0) {
  console.log(`FAIL the package holds ${strange.join(", ")}`)
  process.exit(1)
}
for (const needed of ["dist/index.js", "dist/index.d.ts", "dist/index.d.ts.map", "src/index.ts", "LICENSE"]) {
  if (!names.includes(needed)) {
    console.log(`FAIL the package lacks ${needed}`)
    process.exit(1)
  }
}
run("publint", bin("publint"), ["run", tarball, "--strict"], root)
run("attw", bin("attw"), [tarball, "--profile", "esm-only", "--format", "ascii"], root)

// The peers at the versions that we have here, as the README's install line pins them.
const version = (name) =>
  JSON.parse(fs.readFileSync(path.join(root, "node_modules", name, "package.json"), "utf8")).version
const peers = ["effect", "@effect/platform", "@effect/sql", "@effect/experimental", "typescript", "@types/node"]
fs.writeFileSync(
  path.join(project, "package.json"),
  JSON.stringify({ name: "consumer", private: true, type: "module" }, null, 2)
)
run(
  "install into an empty project",
  "npm",
  [
    "install",
    "--no-audit",
    "--no-fund",
    "--omit=optional",
    ...peers.map((name) => `${name}@${version(name)}`),
    tarball
  ],
  project
)

fs.writeFileSync(
  path.join(project, "tsconfig.json"),
  JSON.stringify({
    compilerOptions: {
      target: "ES2022",
      lib: ["ES2023"],
      module: "NodeNext",
      moduleResolution: "NodeNext",
      strict: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      verbatimModuleSyntax: true,
      types: ["node"],
      skipLibCheck: false,
      outDir: "out"
    },
    include: ["*.ts"]
  })
)
fs.copyFileSync(path.join(root, "scripts", "consumer", "consumer.ts"), path.join(project, "consumer.ts"))
const tsc = path.join(project, "node_modules", ".bin", "tsc")
run("type-check a consumer", tsc, ["--noEmit", "--skipLibCheck"], project)
run("build the consumer", tsc, ["--skipLibCheck"], project)
const printed = run("run the consumer", process.execPath, ["out/consumer.js"], project).trim()
if (printed !== "ok") {
  console.log(`FAIL the consumer printed ${JSON.stringify(printed)}`)
  process.exit(1)
}

/** What the declarations promise must hold without skipLibCheck too, in our own files. */
const whole = spawnSync(tsc, ["--noEmit"], { cwd: project, encoding: "utf8" })
const ours = whole.stdout.split("\n").filter((line) => line.includes("node_modules/effect-skald/"))
if (ours.length > 0) {
  console.log(`FAIL our declarations do not type-check:\n${ours.join("\n")}`)
  process.exit(1)
}
console.log("ok   our declarations without skipLibCheck")

const specifierOf = (name) =>
  name === "dist/index.js" ? "effect-skald" : name.replace("dist/", "effect-skald/").replace(".js", "")
const internal = names.find((name) => /^dist\/internal\/[^/]+\.js$/.test(name))
if (internal !== undefined) {
  const closed = run(
    "internal modules are closed",
    process.execPath,
    [
      "--input-type=module",
      "-e",
      `import("${specifierOf(internal)}").then(() => process.exit(1), (e) => console.log(e.code))`
    ],
    project
  )
  if (closed.trim() !== "ERR_PACKAGE_PATH_NOT_EXPORTED") {
    console.log(`FAIL ${specifierOf(internal)} gave ${closed.trim()}`)
    process.exit(1)
  }
}
/** Imports each module by the name that users write, in one process. */
const load = (what, modules) =>
  run(
    what,
    process.execPath,
    [
      "--input-type=module",
      "-e",
      `for (const name of ${JSON.stringify(modules)}) { await import(name); console.log(name) }`
    ],
    project
  )
const modules = names.filter((name) => /^dist\/.*\.js$/.test(name) && !/^dist\/(internal|testing)\//.test(name))
const isNative = (name) => /\/Sqlite[A-Za-z0-9]*\.js$/.test(name)

/** The servers whose modules need a client that only their users install. */
const servers = [
  { server: "PostgreSQL", isOf: (name) => /\/Postgres[A-Za-z0-9]*\.js$/.test(name), clients: ["@effect/sql-pg", "pg"] },
  { server: "Redis", isOf: (name) => /\/Redis[A-Za-z0-9]*\.js$/.test(name), clients: ["ioredis"] }
]

// Nobody who does not use SQLite or a server needs the addon or the client, which are not installed yet.
load(
  "load every module but the databases', without their clients",
  modules.filter((name) => !isNative(name) && !servers.some(({ isOf }) => isOf(name))).map(specifierOf)
)
if (modules.some(isNative)) {
  // The consumer gets the build of better-sqlite3 that this checkout has, rather than compile another one.
  for (const name of ["better-sqlite3", "bindings", "file-uri-to-path"]) {
    fs.cpSync(path.join(root, "node_modules", name), path.join(project, "node_modules", name), { recursive: true })
  }
  load("load SQLite's modules", modules.filter(isNative).map(specifierOf))
}
for (const { clients, isOf, server } of servers) {
  const own = modules.filter(isOf)
  if (own.length === 0) continue
  run(
    `install ${server}'s client`,
    "npm",
    ["install", "--no-audit", "--no-fund", "--omit=optional", ...clients.map((name) => `${name}@${version(name)}`)],
    project
  )
  load(`load ${server}'s modules`, own.map(specifierOf))
}
console.log(`package checked: ${names.length} files, ${modules.length} public modules`)
