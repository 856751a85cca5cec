import * as Effect from "effect/Effect"
import type { Metadata } from "../../event/Envelope.ts"
import type * as Driver from "../../store/Driver.ts"
import type { StoreError } from "../../store/StoreError.ts"
import { categoryOf } from "../store/categoryOf.ts"
import * as Batch from "./batch.ts"
import type { Argument, Runner } from "./connection.ts"
import { heldDelay } from "./groupCommit.ts"
import * as Keys from "./keys.ts"
import * as Reads from "./reads.ts"
import * as Scripts from "./transferScripts.ts"

type Again = <A>(effect: Effect.Effect<A, StoreError>) => Effect.Effect<A, StoreError>

const operation = "EventStore.transfer"

/** A name with its tenant, as the scripts order them. */
const named = (name: string, tenant: string): string => `${name}\u0000${tenant}\u0000${Keys.tenant(tenant)}`

const after = (name: string | undefined): string => name === undefined ? "-" : `(${name}`

const parts = (name: string): readonly [name: string, tenant: string] => {
  const [first = "", tenant = ""] = name.split("\u0000")
  return [first, tenant]
}

export const make = (options: {
  readonly runner: Runner
  readonly reading: Again
  readonly writing: Again
  /** Takes away what is truncated, so that its ids are among those that are remembered. */
  readonly tidy: Effect.Effect<void, StoreError>
  readonly onCommit: (position: number) => void
}): Driver.Transfer => {
  const { onCommit, reading, runner, tidy, writing } = options
  return {
    state: Effect.map(reading(runner.run(operation, Scripts.state, [])), ([head, removed]) => ({
      head: Number(head),
      removed: Number(removed)
    })),
    rows: ({ after, limit, to }) =>
      Effect.gen(function*() {
        const rows: Array<Driver.WholeRow> = []
        let from = after
        while (rows.length < limit) {
          const [cursor, done, entries, places]: readonly [Buffer, number, Array<Reads.Entry>, Array<Buffer>] =
            yield* reading(
              runner.run(operation, Scripts.rows, [String(from), String(to), String(limit - rows.length)], null)
            )
          const found = Reads.rows(operation, entries)
          if ("_tag" in found) return yield* found
          found.forEach((row, index) => {
            const tenant = Reads.tenantOf(entries[index]!)
            rows.push({ ...row, tenant, content: Batch.place(places[index]!.toString()).content })
          })
          if (done === 1) break
          from = Number(cursor)
        }
        return rows
      }),
    remembered: (page) =>
      Effect.zipRight(
        tidy,
        Effect.map(
          reading(runner.run(operation, Scripts.remembered, [
            after(page.after && named(page.after.id, page.after.tenant)),
            String(page.limit)
          ])),
          (found: ReadonlyArray<string>) => {
            const all: Array<Driver.Remembered> = []
            for (let index = 0; index < found.length; index += 2) {
              const [id, tenant] = parts(found[index]!)
              all.push({ tenant, id, ...Batch.place(found[index + 1]!) })
            }
            return all
          }
        )
      ),
    streams: (page) =>
      Effect.map(
        reading(runner.run(operation, Scripts.streams, [
          after(page.after && named(page.after.stream, page.after.tenant)),
          String(page.to),
          String(page.limit)
        ])),
        (found: ReadonlyArray<string>) => {
          const all: Array<Driver.Shortened> = []
          for (let index = 0; index < found.length; index += 4) {
            const [stream, tenant] = parts(found[index]!)
            all.push({
              tenant,
              stream,
              version: Number(found[index + 1]),
              firstVersion: Number(found[index + 2]),
              tombstoned: found[index + 3] === "1"
            })
          }
          return all
        }
      ),
    write: (batch) =>
      Effect.suspend(() => {
        const position = largest(batch.head, batch, (each) => each.position)
        const args = parameters(batch, position)
        let sent = 0
        const attempt: ReturnType<Driver.Transfer["write"]> = Effect.flatMap(
          writing(Effect.suspend(() => {
            sent++
            return runner.run(operation, Scripts.write, args)
          })),
          ([outcome, head]: ReadonlyArray<string>): ReturnType<Driver.Transfer["write"]> => {
            if (outcome === "held") return Effect.zipRight(Effect.sleep(heldDelay), attempt)
            // It was written, and the answer was lost.
            const isOurs = sent > 1 && position > batch.head && Number(head) === position
            if (outcome === "other" && !isOurs) return Effect.succeed({ state: "other", head: Number(head) })
            onCommit(position)
            return Effect.succeed({ state: "done" })
          }
        )
        return attempt
      })
  }
}

const largest = (
  least: number,
  { remembered, rows }: Driver.TransferBatch,
  of: (each: { readonly position: number; readonly recordedAt: number }) => number
): number => {
  let most = least
  for (const row of rows) most = Math.max(most, of(row))
  for (const each of remembered) most = Math.max(most, of(each))
  return most
}

const parameters = (batch: Driver.TransferBatch, position: number): ReadonlyArray<Argument> => {
  const { remembered, rows, streams } = batch
  const args: Array<Argument> = [
    batch.head,
    position,
    largest(0, batch, (each) => each.recordedAt),
    rows.length,
    remembered.length,
    streams.length
  ].map(String)
  for (const row of rows) {
    const category = categoryOf(row.stream)
    const { position, recordedAt, stream, tenant, version } = row
    args.push(Keys.tenant(tenant), stream, category ?? "", String(version), String(position), String(recordedAt))
    Batch.pushEvent(args, {
      ...row,
      correlationId: (JSON.parse(row.metadata) as Metadata).correlationId ?? row.id,
      tags: row.tags === null ? [] : JSON.parse(row.tags)
    }, category)
  }
  for (const each of remembered) args.push(Keys.tenant(each.tenant), each.id, Batch.placeOf(each))
  for (const { firstVersion, stream, tenant, tombstoned, version } of streams) {
    args.push(Keys.tenant(tenant), stream, String(version), String(firstVersion), tombstoned ? "1" : "0")
  }
  return args
}
