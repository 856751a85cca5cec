import { defineConfig, mergeConfig } from "vitest/config"
import { nativeTests } from "./scripts/nativeTests.ts"
import base from "./vitest.config.ts"

/** The tests that need no native addon: what runs on a Node for which better-sqlite3 was not built. */
export default mergeConfig(base, defineConfig({ test: { exclude: [...nativeTests(import.meta.dirname)] } }))
