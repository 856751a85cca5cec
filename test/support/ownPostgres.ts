/** A PostgreSQL of one's own, to be crashed: made with the programs of the one that a run can reach. */
import { Effect, type Scope } from "effect"
import { type ChildProcess, execFile, spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import { type AddressInfo, createServer } from "node:net"
import * as path from "node:path"
import { promisify } from "node:util"
import * as Postgres from "./postgres.ts"
import { tempDirectory } from "./tempDirectory.ts"

export interface OwnServer {
  readonly url: string
  /** What transactions that do not wait for the disk have committed stays in memory from now on, until one that does comes. */
  readonly hold: Effect.Effect<void>
  /** Ends all of the server's processes but the first, which starts anew from what was written; waits until it answers. */
  readonly crash: Effect.Effect<void>
}

const run = promisify(execFile)

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const listener = createServer()
    listener.listen(0, "127.0.0.1", () => {
      const { port } = listener.address() as AddressInfo
      listener.close(() => resolve(port))
    })
  })

/** PostgreSQL does not run as root. */
const user = async (): Promise<{ readonly uid: number; readonly gid: number } | undefined> => {
  if (process.getuid?.() !== 0) return undefined
  const idOf = async (flag: string) => Number((await run("id", [flag, "postgres"])).stdout)
  return { uid: await idOf("-u"), gid: await idOf("-g") }
}

/** `reachable` is the address of the server that the run can reach. */
export const make = (reachable: string): Effect.Effect<OwnServer, never, Scope.Scope> =>
  Effect.gen(function*() {
    const directory = yield* tempDirectory
    const admin = yield* Postgres.connection(reachable)
    return yield* Effect.map(
      Effect.acquireRelease(
        Effect.promise(async () => {
          const { rows } = await admin.query("SELECT setting FROM pg_config WHERE name = 'BINDIR'")
          const bin: string = rows[0].setting
          const as = await user()
          if (as !== undefined) fs.chownSync(directory, as.uid, as.gid)
          const data = path.join(directory, "data")
          const options = { ...as, cwd: directory }
          await run(
            path.join(bin, "initdb"),
            ["-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "-N"],
            options
          )
          const port = await freePort()
          const settings = ["listen_addresses=127.0.0.1", "fsync=off", "max_connections=60", "shared_buffers=32MB"]
          const server = spawn(
            path.join(bin, "postgres"),
            ["-D", data, "-p", String(port), "-k", directory, ...settings.flatMap((setting) => ["-c", setting])],
            { ...options, stdio: "ignore" }
          )
          const url = `postgres://postgres@127.0.0.1:${port}/postgres`
          await answers(url, server)
          return { server, url }
        }),
        ({ server }) =>
          Effect.promise(async () => {
            const ended = once(server, "exit")
            // what it would write goes with its folder
            server.kill("SIGQUIT")
            await ended
          })
      ),
      ({ server, url }): OwnServer => {
        const signal = (name: NodeJS.Signals) => async () => {
          const client = await Postgres.connect(url)
          const { rows } = await client.query("SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'")
          await client.end()
          process.kill(rows[0].pid, name)
        }
        return {
          url,
          hold: Effect.promise(signal("SIGSTOP")),
          crash: Effect.promise(async () => {
            const before = await started(url)
            await signal("SIGKILL")()
            while (await started(url).catch(() => before) === before) await new Promise((next) => setTimeout(next, 20))
            await answers(url, server)
          })
        }
      }
    )
  })

/** When the processes of a server were started. */
const started = async (url: string): Promise<string> => {
  const client = await Postgres.connect(url)
  try {
    const { rows } = await client.query(
      "SELECT min(backend_start)::text AS at FROM pg_stat_activity WHERE backend_type = 'checkpointer'"
    )
    return rows[0].at
  } finally {
    await client.end()
  }
}

const answers = async (url: string, server: ChildProcess): Promise<void> => {
  for (;;) {
    if (server.exitCode !== null) throw new Error(`postgres ended with ${server.exitCode}`)
    try {
      const client = await Postgres.connect(url)
      await client.end()
      return
    } catch {
      await new Promise((next) => setTimeout(next, 20))
    }
  }
}
