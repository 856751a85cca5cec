import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { afterAll } from "vitest"
import { find, notice } from "./setup/servers.ts"

describe("the notice about servers", () => {
  const root = fs.mkdtempSync(path.join(os.tmpdir(), "skald-notice-"))
  afterAll(() => fs.rmSync(root, { recursive: true }))

  it("says so when no suite needs a server", () => {
    assert.deepStrictEqual(find(root), [])
    assert.include(notice([], {}), "no server suites exist yet")
  })

  it("finds suites by their literals and names each one that is left out", () => {
    fs.mkdirSync(path.join(root, "store"))
    fs.writeFileSync(
      path.join(root, "store", "pg.test.ts"),
      [
        "Servers.suite(\"postgres\", \"store on PostgreSQL\", (url) => {})",
        "Servers.suite(\n  \"redis\",\n  \"store on Redis\", (url) => {})",
        "// Servers.suite(\"nats\", \"not one\", () => {})"
      ].join("\n")
    )
    const suites = find(root)
    assert.deepStrictEqual(suites, [
      { server: "postgres", title: "store on PostgreSQL", file: path.join("store", "pg.test.ts") },
      { server: "redis", title: "store on Redis", file: path.join("store", "pg.test.ts") }
    ])
    const text = notice(suites, { SKALD_REDIS_URL: "redis://127.0.0.1:1" })
    assert.include(text, "LEFT OUT: 1 of 2")
    assert.include(text, "store on PostgreSQL (needs postgres")
    assert.notInclude(text, "store on Redis")
    assert.include(
      notice(suites, { SKALD_REDIS_URL: "redis://127.0.0.1:1", SKALD_POSTGRES_URL: "postgres://127.0.0.1:2" }),
      "all 2 server suites had their server"
    )
  })
})
