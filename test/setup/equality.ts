import { addEqualityTesters } from "@effect/vitest"

// Test files share a process, and the testers are the process's: once is enough.
const added = Symbol.for("effect-skald/test/equality")

if (!(added in globalThis)) {
  Object.assign(globalThis, { [added]: true })
  addEqualityTesters()
}
