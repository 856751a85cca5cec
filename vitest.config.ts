import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"

const src = fileURLToPath(new URL("./src/", import.meta.url))

/** `effect-skald/X` is what users write; here it means `src/X.ts`. */
export const alias = [
  { find: /^effect-skald$/, replacement: `${src}index.ts` },
  { find: /^effect-skald\/(.+)$/, replacement: `${src}$1.ts` }
]

export default defineConfig({
  resolve: { alias },
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["test/soak/**", "test/types/**", "**/node_modules/**"],
    globalSetup: ["test/setup/servers.ts"],
    setupFiles: ["test/setup/equality.ts", "test/setup/seed.ts"],
    // One process a core: tests open SQLite files and start children, and a native addon is safest in a process of its own.
    pool: "forks",
    poolOptions: { forks: { minForks: 1, maxForks: 2 } },
    testTimeout: 30_000,
    hookTimeout: 60_000,
    passWithNoTests: false,
    sequence: { concurrent: false }
  }
})
