import * as path from "node:path"
import { defineConfig, mergeConfig } from "vitest/config"
import { nativeTests } from "./scripts/nativeTests.ts"
import { find as serverSuites } from "./test/setup/servers.ts"
import base from "./vitest.config.ts"

/** Long properties of plain code: what they say on one Node they say on every other. */
const long = [
  "test/cep/matcherOracle.test.ts",
  "test/cep/matcherSets.test.ts",
  "test/cqrs/decider.test.ts",
  "test/event/MachineLaws.test.ts",
  "test/resilience/schedulePosition.test.ts",
  "test/saga/crash.test.ts",
  "test/testing/**"
]

const root = import.meta.dirname
const ofServers = serverSuites(path.join(root, "test")).map(({ file }) => path.join("test", file))

/** The tests that need no native addon and no server: what runs on a Node for which better-sqlite3 was not built. */
export default mergeConfig(base, defineConfig({ test: { exclude: [...nativeTests(root), ...ofServers, ...long] } }))
