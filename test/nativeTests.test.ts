import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { afterAll } from "vitest"
import { nativeTests } from "../scripts/nativeTests.ts"

describe("which tests reach a native addon", () => {
  const root = fs.mkdtempSync(path.join(os.tmpdir(), "skald-native-"))
  afterAll(() => fs.rmSync(root, { recursive: true }))
  const write = (file: string, ...lines: ReadonlyArray<string>) => {
    fs.mkdirSync(path.join(root, path.dirname(file)), { recursive: true })
    fs.writeFileSync(path.join(root, file), lines.join("\n"))
  }

  it("follows imports, import(), and scripts named in strings, but not types", () => {
    write("src/Driver.ts", "import Database from \"better-sqlite3\"", "export const open = Database")
    write("src/Pure.ts", "import type { Database } from \"better-sqlite3\"", "export type D = Database")
    write("src/index.ts", "export * as Pure from \"./Pure.ts\"")
    write("test/pure.test.ts", "import { Pure } from \"effect-skald\"")
    write("test/direct.test.ts", "import * as Driver from \"effect-skald/Driver\"")
    write("test/deep/lazy.test.ts", "await import(\"../helper.ts\")")
    write("test/helper.ts", "import {", "  open", "} from \"../src/Driver.ts\"")
    write("test/child.test.ts", "const script = new URL(\"./deep/script.ts\", import.meta.url)")
    write("test/deep/script.ts", "import \"effect-skald/Driver\"")
    write("test/hidden.test.ts", "// needs: native addon")
    assert.deepStrictEqual(nativeTests(root), [
      "test/child.test.ts",
      "test/deep/lazy.test.ts",
      "test/direct.test.ts",
      "test/hidden.test.ts"
    ])
  })
})
