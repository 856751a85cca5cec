import { defineConfig } from "vitest/config"
import { alias } from "./vitest.config.ts"

/** Long proofs: `npm run soak` runs them whole, `npm run soak -- --scale 0.1` at a tenth. One file at a time. */
export default defineConfig({
  resolve: { alias },
  test: {
    include: ["test/soak/**/*.soak.ts"],
    setupFiles: ["test/setup/equality.ts", "test/setup/seed.ts"],
    pool: "forks",
    poolOptions: { forks: { minForks: 1, maxForks: 1 } },
    fileParallelism: false,
    testTimeout: 60 * 60_000,
    hookTimeout: 10 * 60_000,
    passWithNoTests: false
  }
})
