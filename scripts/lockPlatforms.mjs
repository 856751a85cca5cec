#!/usr/bin/env node
/**
 * Completes package-lock.json with the optional packages of other platforms; `--check` only says whether it is whole.
 *
 * npm leaves out of the lock what its registry does not answer for, and a mirror that was only ever asked by one
 * platform answers for that one. `npm ci` then refuses the lock everywhere, here too. Each entry is what npm writes
 * itself, except for the integrity of what was never fetched. Run it after `npm install <package>`.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import process from "node:process"

const file = path.join(import.meta.dirname, "..", "package-lock.json")
const lock = JSON.parse(fs.readFileSync(file, "utf8"))
const systems = ["aix", "android", "darwin", "freebsd", "linux", "netbsd", "openbsd", "openharmony", "sunos", "win32"]
const processors = ["arm64", "arm", "x64", "ia32", "ppc64", "riscv64", "s390x", "loong64", "mips64el"]

const missing = []
for (const [place, entry] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    if (`${place}/node_modules/${name}` in lock.packages || `node_modules/${name}` in lock.packages) continue
    const words = name.split("/").pop().split("-")
    const os = systems.find((system) => words.includes(system))
    const cpu = processors.find((processor) => words.includes(processor))
    if (os === undefined || cpu === undefined || !/^\d/.test(version)) {
      console.error(`${name}@${version} of ${place}: not the package of a platform; run npm install again`)
      process.exit(1)
    }
    const libc = words.some((word) => word.startsWith("musl"))
      ? ["musl"]
      : os === "linux" && words.some((word) => word.startsWith("gnu") || word === "glibc")
      ? ["glibc"]
      : undefined
    missing.push(`${name}@${version}`)
    lock.packages[`node_modules/${name}`] = {
      version,
      cpu: [cpu],
      ...(entry.dev === true ? { dev: true } : {}),
      ...(entry.devOptional === true ? { devOptional: true } : {}),
      ...(libc === undefined ? {} : { libc }),
      ...(entry.license === undefined ? {} : { license: entry.license }),
      optional: true,
      os: [os],
      ...(entry.peer === true ? { peer: true } : {})
    }
  }
}

if (missing.length === 0) {
  console.log("package-lock.json names every platform")
} else if (process.argv.includes("--check")) {
  console.log(`package-lock.json lacks ${missing.join(", ")}: run node scripts/lockPlatforms.mjs`)
  process.exit(1)
} else {
  lock.packages = Object.fromEntries(
    Object.entries(lock.packages).sort(([a], [b]) => (a === "" ? -1 : b === "" ? 1 : a.localeCompare(b, "en")))
  )
  fs.writeFileSync(file, JSON.stringify(lock, null, 2) + "\n")
  console.log(`package-lock.json: added ${missing.length} packages of other platforms`)
}
