import { Effect, type Scope } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** A folder of its own for a test, removed when the scope ends. */
export const tempDirectory: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "skald-"))),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
)

/** A path in such a folder; the file is not made. */
export const tempFile = (name = "skald.db"): Effect.Effect<string, never, Scope.Scope> =>
  Effect.map(tempDirectory, (directory) => join(directory, name))
