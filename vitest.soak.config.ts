import { defineConfig } from "vitest/config"
import { alias } from "./vitest.config.ts"

const whole = Number(process.env["SKALD_SOAK"] ?? "0.1") >= 1

/** Long proofs: `npm run soak` runs them whole, one file at a time; `npm run soak -- --scale 0.1` at a tenth, two at a time. */
export default defineConfig({
  resolve: { alias },
  test: {
    include: ["test/soak/**/*.soak.ts"],
    setupFiles: ["test/setup/equality.ts", "test/setup/seed.ts"],
    pool: "forks",
    poolOptions: { forks: { minForks: 1, maxForks: whole ? 1 : 2 } },
    fileParallelism: !whole,
    testTimeout: 60 * 60_000,
    hookTimeout: 10 * 60_000,
    passWithNoTests: false
  }
})
