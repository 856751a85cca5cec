/** The sagas of the bench as DBOS workflows. DBOS is loaded when a case asks for it, and keeps its registry in the process. */
import { create, drop, poolSize } from "./postgresServer.ts"

export interface Dbos {
  readonly succeed: (n: number) => Promise<unknown>
  readonly fail: (n: number) => Promise<unknown>
  readonly close: () => Promise<void>
}

const load = async () => {
  const { DBOS } = await import("@dbos-inc/dbos-sdk")
  const step = (name: string, n: number) => DBOS.runStep(() => Promise.resolve(n), { name })

  const succeeding = DBOS.registerWorkflow(async (n: number) => {
    const first = await step("first", n)
    const second = await step("second", first)
    return step("third", second)
  }, { name: "succeeding" })

  const failing = DBOS.registerWorkflow(async (n: number) => {
    const undo: Array<() => Promise<unknown>> = []
    try {
      const first = await step("first", n)
      undo.push(() => step("undo first", first))
      const second = await step("second", first)
      undo.push(() => step("undo second", second))
      return await DBOS.runStep(() => Promise.reject(new Error("refused")), { name: "third" })
    } catch (error) {
      for (const compensate of undo.reverse()) await compensate()
      throw error
    }
  }, { name: "failing" })

  return { DBOS, failing, succeeding }
}

/** Failures are what is measured: to print their stacks would cost it several times the work. */
const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

let loaded: ReturnType<typeof load> | undefined

/** DBOS on an empty database of its own, with as many connections as ours. */
export const open = async (): Promise<Dbos> => {
  const { DBOS, failing, succeeding } = await (loaded ??= load())
  const url = await create()
  DBOS.setConfig({
    name: "bench",
    systemDatabaseUrl: url,
    systemDatabasePoolSize: poolSize,
    logger: silent,
    runAdminServer: false
  })
  await DBOS.launch()
  return {
    succeed: (n) => succeeding(n),
    fail: (n) =>
      failing(n).then(
        () => {
          throw new Error("a saga that fails did not")
        },
        (error: Error) => {
          if (error.message !== "refused") throw error
        }
      ),
    close: async () => {
      await DBOS.shutdown()
      await drop(url)
    }
  }
}
