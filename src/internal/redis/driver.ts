import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { StreamNotFound, StreamTombstoned, VersionConflict } from "../../store/AppendError.ts"
import type * as Driver from "../../store/Driver.ts"
import { StoreError } from "../../store/StoreError.ts"
import * as AppendScripts from "./appendScripts.ts"
import * as Batch from "./batch.ts"
import * as CatchUp from "./catchUp.ts"
import * as Connection from "./connection.ts"
import * as GroupCommit from "./groupCommit.ts"
import * as Hints from "./hints.ts"
import * as Hold from "./hold.ts"
import * as Keys from "./keys.ts"
import * as Reads from "./reads.ts"
import * as ReadScripts from "./readScripts.ts"
import * as RemovalScripts from "./removalScripts.ts"
import type { Script } from "./scripts.ts"
import * as Transfer from "./transfer.ts"

/** What a driver is made with, besides its client. */
export interface Settings {
  readonly base: string
  readonly pollInterval: Duration.Duration
  readonly listen: boolean
  readonly retry: Schedule.Schedule<unknown, StoreError>
  readonly durable: boolean
}

/** The driver over a server that was looked at. */
export const make = (
  client: Connection.Client,
  { base, durable, listen, pollInterval, retry }: Settings
): Effect.Effect<Driver.Driver<"durable" | "shared">, never, Scope.Scope> =>
  Effect.gen(function*() {
    const runner = Connection.runner(client, base)
    const writing = Connection.writing(retry)
    const reading = Connection.retrying(retry)

    const read = (operation: string, script: Script, ...args: ReadonlyArray<string>): Effect.Effect<any, StoreError> =>
      reading(runner.run(operation, script, args))
    const readBytes = (
      operation: string,
      script: Script,
      args: ReadonlyArray<string>
    ): Effect.Effect<any, StoreError> => reading(runner.run(operation, script, args, null))

    const head = Effect.map(read("EventStore.head", ReadScripts.head), Number)
    const hints = yield* Hints.make({ client, channel: listen ? `${base}appended` : undefined, head, pollInterval })

    // ------------------------------------------------------------------------------------------------------ appends

    const hold = Hold.make({ client, base, runner, writing, onCommit: hints.committed })

    const append = yield* GroupCommit.make(
      (batch) =>
        Effect.map(
          writing(runner.run("EventStore.append", AppendScripts.append, Batch.parameters(batch))),
          (replies: ReadonlyArray<Batch.Reply | "held">) =>
            replies[0] === "held"
              ? "held"
              : batch.map((prepared, index) => Batch.answer(prepared, replies[index] as Batch.Reply))
        ),
      hold.gate,
      hints.committed
    )

    // -------------------------------------------------------------------------------------------------------- reads

    const catchUp = CatchUp.make(client, base)
    const readLog = (page: Driver.LogPage): Effect.Effect<Driver.LogRows, StoreError> =>
      Effect.flatMap(reading(catchUp(page)), (found) => found === undefined ? readParts(page) : Effect.succeed(found))

    /** A page is read in parts, so that no part holds up the server. */
    const readParts = (page: Driver.LogPage): Effect.Effect<Driver.LogRows, StoreError> =>
      Effect.gen(function*() {
        const plan = Reads.plan(page)
        const rows: Array<Driver.Row> = []
        let { after, to } = page
        let upTo: number | undefined
        while (true) {
          const [headText, cursorText, done, entries] = yield* readBytes("EventStore.readAll", ReadScripts.log, [
            plan,
            String(after),
            String(to),
            page.backwards ? "1" : "0",
            String(page.limit - rows.length)
          ])
          if (upTo === undefined) to = upTo = Math.min(page.to, Number(headText))
          const found = Reads.rows("EventStore.readAll", entries)
          if ("_tag" in found) return yield* found
          rows.push(...found)
          const full = rows.length === page.limit && rows.length > 0
          if (full) return { rows, upTo: rows[rows.length - 1]!.position }
          if (done === 1) return { rows, upTo }
          if (page.backwards) to = Number(cursorText) - 1
          else after = Number(cursorText)
        }
      })

    const readStream = (page: Driver.StreamPage): Effect.Effect<ReadonlyArray<Driver.Row>, StoreError> =>
      Effect.gen(function*() {
        const rows: Array<Driver.Row> = []
        let { from, to } = page
        while (true) {
          const [done, entries] = yield* readBytes("EventStore.read", ReadScripts.stream, [
            Keys.tenant(page.tenant),
            page.stream,
            String(from),
            String(to),
            page.backwards ? "1" : "0",
            String(page.limit - rows.length)
          ])
          const found = Reads.rows("EventStore.read", entries)
          if ("_tag" in found) return yield* found
          rows.push(...found)
          if (done === 1) return rows
          const last = rows[rows.length - 1]!.version
          if (page.backwards) to = last - 1
          else from = last + 1
        }
      })

    // ---------------------------------------------------------------------------------------------------- lifecycle

    /** Takes away what is truncated already, part by part; whoever is stopped in it leaves the rest to the next one. */
    const tidy = (key: string): Effect.Effect<void, StoreError> =>
      Effect.repeat(writing(runner.run("EventStore.truncate", RemovalScripts.tidy, [key])), {
        until: (answer) => answer === 1
      })
    yield* Effect.forkScoped(Effect.catchAll(tidy(""), (error) => Effect.logDebug("truncated events are left", error)))

    type Removed = readonly [
      outcome: "held" | "missing" | "tombstoned" | "version" | "beyond" | "done",
      detail: number,
      position?: number
    ]

    const remove = (
      operation: string,
      script: Script,
      tenant: string,
      stream: string,
      args: ReadonlyArray<Connection.Argument>
    ): Effect.Effect<Removed, StreamNotFound | StreamTombstoned | StoreError> =>
      Effect.gen(function*() {
        if ((yield* hold.token) !== undefined) {
          return yield* new StoreError({
            operation,
            reason: "busy",
            cause: new Error("a hook may append, not truncate or tombstone")
          })
        }
        const key = Keys.tenant(tenant)
        while (true) {
          const answer: Removed = yield* writing(
            runner.run(operation, script, [key, stream, ...args])
          )
          switch (answer[0]) {
            case "held":
              yield* Effect.sleep(GroupCommit.heldDelay)
              continue
            case "missing":
              return yield* new StreamNotFound({ stream })
            case "tombstoned":
              return yield* new StreamTombstoned({ stream })
            case "done":
              if (answer[1] === 0) yield* tidy(`${key}${stream}`)
          }
          return answer
        }
      })

    const driver: Driver.Driver<"durable" | "shared"> = {
      name: "redis",
      capabilities: durable ? ["durable", "shared"] : ["shared"],
      limits: { events: 20_000, streams: 2_000, payload: 67_108_864 },
      append: (request, hook) =>
        Effect.flatMap(hold.token, (token) =>
          token !== undefined
            ? hold.within(token, request, hook)
            : hook === undefined
            ? append(request)
            : hold.append(request, hook)),
      readStream,
      readLog,
      head,
      streamStatus: (tenant, stream) =>
        Effect.map(
          read("EventStore.streamState", ReadScripts.status, Keys.tenant(tenant), stream),
          ([version, firstVersion, tombstoned]) => ({
            state: version === 0 ? "missing" : tombstoned === 1 ? "tombstoned" : "live",
            version,
            firstVersion
          })
        ),
      find: (tenant, id) =>
        Effect.map(read("EventStore.find", ReadScripts.find, Keys.tenant(tenant), id), (found: string | null) => {
          if (found === null) return undefined
          const { position, stream, version } = Batch.place(found)
          return { stream, version, position }
        }),
      truncate: ({ before, stream, tenant }) =>
        Effect.map(
          remove("EventStore.truncate", RemovalScripts.truncate, tenant, stream, [String(before)]),
          ([outcome, version]) => outcome === "beyond" ? { state: "beyond", version } : { state: "done" }
        ),
      tombstone: ({ category, expected, mark, stream, tenant }) =>
        Effect.suspend(() => {
          const args: Array<Connection.Argument> = [Batch.expectation(expected), category ?? ""]
          Batch.pushEvent(args, mark, category)
          return Effect.flatMap(
            remove("EventStore.tombstone", RemovalScripts.tombstone, tenant, stream, args),
            ([outcome, actual, position]) => {
              if (outcome === "version") return new VersionConflict({ stream, expected, actual })
              if (position !== undefined) hints.committed(position)
              return Effect.void
            }
          )
        }),
      transfer: Transfer.make({ runner, reading, writing, tidy: tidy(""), onCommit: hints.committed }),
      awaitBeyond: hints.awaitBeyond,
      withTransaction: undefined as never
    }
    return driver
  })
