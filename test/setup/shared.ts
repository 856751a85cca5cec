/** What test files would leave to the next ones in their process, which they share. */
import { it } from "@effect/vitest"

const key = Symbol.for("effect-skald/test/it")
const shared: typeof globalThis & { [key]?: object } = globalThis

// `it.layer` writes the tests that have its layer into `it` itself, where they would stay.
shared[key] ??= { ...it }
Object.assign(it, shared[key])
