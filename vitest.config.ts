import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"
import { LongestFirst } from "./test/setup/order.ts"

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
    setupFiles: ["test/setup/equality.ts", "test/setup/seed.ts", "test/setup/shared.ts"],
    // One process a core, which runs one file after the other: to load Effect and ourselves anew costs a core a second or two
    // for each file. What a file would leave to the next one, test/setup/shared.ts takes back; `--poolOptions.forks.isolate`
    // gives each file a process of its own.
    pool: "forks",
    poolOptions: { forks: { isolate: false, minForks: 1, maxForks: 2 } },
    testTimeout: 60_000,
    hookTimeout: 60_000,
    passWithNoTests: false,
    sequence: { concurrent: false, sequencer: LongestFirst }
  }
})
