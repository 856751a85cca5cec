/** In which order the test files run. */
import type { TestSpecification } from "vitest/node"
import { BaseSequencer } from "vitest/node"

/** What takes long although its file is short, the longest first: begun last, one core would wait for it in the end. */
const long = [
  "examples/flights",
  "store/conformance-postgres",
  "bus/conformance-postgres",
  "examples/courses",
  "store/conformance-redis",
  "store/conformance-sqlite",
  "bus/sql",
  "store/lease",
  "bus/outboxKills",
  "store/redis",
  "store/postgresReaders",
  "bus/conformance-sqlite",
  "resilience/sqlIdempotency",
  "saga/placement",
  "resilience/schedulePosition",
  "cep/matcherOracle",
  "saga/crash",
  "store/copyKills",
  "store/sqliteKills",
  "cqrs/projectionTakeOver",
  "bus/sqlProcesses",
  "bus/conformance-memory",
  "examples/services"
].map((name) => `/test/${name}.test.ts`)

/** It has modules loaded anew, which those that come after it in its process would not have in common with what is global. */
const last = "/test/event/MachineLaws.test.ts"

const place = ({ moduleId }: TestSpecification): number => {
  if (moduleId.endsWith(last)) return long.length + 1
  const found = long.findIndex((name) => moduleId.endsWith(name))
  return found === -1 ? long.length : found
}

/** The long files first, one last, and the others as vitest has it: the larger first, or what took longer the last time. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: Array<TestSpecification>): Promise<Array<TestSpecification>> {
    const sorted = await super.sort(files)
    return sorted.sort((a, b) => place(a) - place(b))
  }
}
