/**
 * Archiving: events that a policy does not keep go to files or to another store, in batches with a manifest each, and are
 * dropped only after what was written has been read back and found whole.
 *
 * A batch holds each event as a line of JSON with everything that is recorded of it. {@link history} reads a stream from
 * its first archived event to its last live one, exactly as they were recorded; {@link restore} brings archived streams into
 * another store.
 *
 * @since 0.1.0
 */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Arr from "effect/Array"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { createHash } from "node:crypto"
import * as Correlation from "../event/Correlation.ts"
import type { Raw } from "../event/Envelope.ts"
import * as EventLine from "../internal/store/eventLine.ts"
import * as Faults from "../internal/faults.ts"
import type { AppendError } from "./AppendError.ts"
import { EventStore, type Operations, type ReadError } from "./EventStore.ts"
import * as Retention from "./Retention.ts"

const Range = <A, I>(of: Schema.Schema<A, I>) => Schema.Struct({ from: of, to: of })

/**
 * Schema of what stands beside a batch.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Manifest = Schema.Struct({
  /** Made of its positions and its hash: the same events, the same id. */
  id: Schema.NonEmptyString,
  /** The tenant of its events; `""` when there is none. */
  tenant: Schema.String,
  count: Schema.Int,
  /** Which versions of which streams, inclusive. */
  streams: Schema.Array(Schema.Struct({ stream: Schema.String, from: Schema.Int, to: Schema.Int })),
  positions: Range(Schema.Int),
  occurredAt: Range(Schema.DateTimeUtc),
  recordedAt: Range(Schema.DateTimeUtc),
  /** Of the bytes of the batch, in hexadecimal digits. */
  sha256: Schema.String
})

/**
 * What stands beside a batch.
 *
 * @since 0.1.0
 * @category models
 */
export interface Manifest extends Schema.Schema.Type<typeof Manifest> {}

/**
 * What went wrong with an archive; no event of the batch was dropped.
 *
 * - `unavailable`: it cannot be read or written;
 * - `corrupt`: a batch is not what its manifest says;
 * - `gap`: the archive, or the store that it is restored to, lacks versions that must come before;
 * - `truncated`: the store that it is restored to has dropped these versions, and does not take them again.
 *
 * @since 0.1.0
 * @category errors
 */
export class ArchiveError extends Schema.TaggedError<ArchiveError>("effect-skald/store/ArchiveError")("ArchiveError", {
  reason: Schema.Literal("unavailable", "corrupt", "gap", "truncated"),
  /** The batch, file or stream. */
  of: Schema.String,
  problem: Schema.String,
  cause: Schema.optional(Schema.Defect)
}) {
  override get message(): string {
    return `${this.of}: ${this.problem}`
  }
}

/**
 * A place for batches. What is written twice under one id is the same.
 *
 * @since 0.1.0
 * @category models
 */
export interface Archive {
  readonly write: (manifest: Manifest, batch: string) => Effect.Effect<void, ArchiveError>
  readonly read: (manifest: Manifest) => Effect.Effect<string, ArchiveError>
  readonly manifests: Stream.Stream<Manifest, ArchiveError>
}

const ManifestText = Schema.parseJson(Manifest)
const encodeManifest = Schema.encodeSync(ManifestText)
const decodeManifest = Schema.decode(ManifestText)

const unavailable = (of: string, problem: string) => (cause: unknown) =>
  new ArchiveError({ reason: "unavailable", of, problem, cause })

/**
 * Batches as files of a folder, which is made: `<id>.ndjson` and, written after it, `<id>.manifest.json`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const files = (folder: string): Effect.Effect<Archive, ArchiveError, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    yield* Effect.mapError(fs.makeDirectory(folder, { recursive: true }), unavailable(folder, "cannot be made"))
    // a file is there whole or not at all
    const write = (name: string, text: string) => {
      const path = `${folder}/${name}`
      return fs.writeFileString(`${path}.part`, text).pipe(
        Effect.zipRight(fs.rename(`${path}.part`, path)),
        Effect.mapError(unavailable(path, "cannot be written"))
      )
    }
    const read = (name: string) =>
      Effect.mapError(fs.readFileString(`${folder}/${name}`), unavailable(`${folder}/${name}`, "cannot be read"))
    return {
      write: (manifest, batch) =>
        Effect.zipRight(
          write(`${manifest.id}.ndjson`, batch),
          write(`${manifest.id}.manifest.json`, encodeManifest(manifest))
        ),
      read: ({ id }) => read(`${id}.ndjson`),
      manifests: Stream.fromIterableEffect(
        Effect.mapError(fs.readDirectory(folder), unavailable(folder, "cannot be read"))
      ).pipe(
        Stream.filter((name) => name.endsWith(".manifest.json")),
        Stream.mapEffect((name) =>
          Effect.flatMap(
            read(name),
            (text) =>
              Effect.mapError(decodeManifest(text), (cause) =>
                new ArchiveError({ reason: "corrupt", of: name, problem: "is no manifest", cause }))
          )
        )
      )
    }
  })

/**
 * Batches in another event store, one stream `archive-<id>` each: an event for each line, and the manifest as the last.
 *
 * @since 0.1.0
 * @category constructors
 */
export const inStore = (store: Operations): Archive => ({
  write: (manifest, batch) =>
    store.append([{
      stream: `archive-${manifest.id}`,
      expected: "noStream",
      events: [
        ...linesOf(batch).map((line, index) => ({
          id: `${manifest.id}/${index}`,
          type: "ArchivedEvent",
          payload: { line }
        })),
        { id: `${manifest.id}/manifest`, type: "ArchiveManifest", payload: { manifest: encodeManifest(manifest) } }
      ]
    }]).pipe(Effect.mapError(unavailable(manifest.id, "cannot be written")), Effect.asVoid, untouched),
  read: ({ id }) =>
    store.readAll({ stream: `archive-${id}`, types: ["ArchivedEvent"] }).pipe(
      Stream.map((event) => `${(event.payload as { readonly line: string }).line}\n`),
      Stream.runFold("", (text, line) => text + line),
      Effect.mapError(unavailable(id, "cannot be read")),
      untouched
    ),
  manifests: Stream.fromIterableEffect(
    store.readAll({ category: "archive", types: ["ArchiveManifest"] }).pipe(
      Stream.mapEffect((event) => decodeManifest((event.payload as { readonly manifest: string }).manifest)),
      Stream.runCollect,
      Effect.mapError(unavailable("archive", "cannot be read")),
      untouched
    )
  )
})

/** All tenants' batches stand together, told by their manifests. */
const untouched = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.locally(effect, Correlation.currentCorrelation, Correlation.empty)

const linesOf = (batch: string): ReadonlyArray<string> => batch.split("\n").slice(0, -1)

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex")

const manifestOf = (tenant: string, events: Arr.NonEmptyReadonlyArray<Raw>, batch: string): Manifest => {
  const hash = sha256(batch)
  const streams = new Map<string, { readonly stream: string; readonly from: number; to: number }>()
  for (const { stream, version } of events) {
    const known = streams.get(stream)
    if (known === undefined) streams.set(stream, { stream, from: version, to: version })
    else known.to = version
  }
  const range = <A>(of: (event: Raw) => A, rank: (value: A) => number) => {
    const sorted = events.map(of).sort((a, b) => rank(a) - rank(b))
    return { from: sorted[0]!, to: sorted[sorted.length - 1]! }
  }
  const positions = range((event): number => event.position, (value) => value)
  return {
    id: `${positions.from}-${positions.to}-${hash.slice(0, 16)}`,
    tenant,
    count: events.length,
    streams: Array.from(streams.values()),
    positions,
    occurredAt: range((event) => event.occurredAt, (value) => value.epochMillis),
    recordedAt: range((event) => event.recordedAt, (value) => value.epochMillis),
    sha256: hash
  }
}

/**
 * The events of a batch, after checking all that its manifest says of them.
 *
 * @since 0.1.0
 * @category accessors
 */
export const verify = (archive: Archive, manifest: Manifest): Effect.Effect<ReadonlyArray<Raw>, ArchiveError> =>
  Effect.flatMap(archive.read(manifest), (batch) => {
    const corrupt = (problem: string) => new ArchiveError({ reason: "corrupt", of: manifest.id, problem })
    if (sha256(batch) !== manifest.sha256) return corrupt("its SHA-256 is not that of its manifest")
    const events: Array<Raw> = []
    for (const [index, line] of linesOf(batch).entries()) {
      const event = EventLine.read(line)
      if (Either.isLeft(event)) return corrupt(`line ${index + 1}: ${event.left}`)
      events.push(event.right)
    }
    const expected = Arr.isNonEmptyReadonlyArray(events) ? manifestOf(manifest.tenant, events, batch) : undefined
    return expected !== undefined && encodeManifest(expected) === encodeManifest(manifest)
      ? Effect.succeed(events)
      : corrupt("its events are not those of its manifest")
  })

/**
 * Archives what a policy does not keep and what is covered, and drops it: of each batch only after it was read back and
 * verified. Tells the manifests. Run again after a crash, it goes on; a batch that was written and not yet dropped is
 * written again.
 *
 * @example
 * ```ts
 * import * as NodeContext from "@effect/platform-node/NodeContext"
 * import * as Archive from "effect-skald/store/Archive"
 * import * as Retention from "effect-skald/store/Retention"
 * import { Effect, Schema, Stream } from "effect"
 *
 * const Account = { name: "account", state: Schema.Struct({ balance: Schema.Number }) }
 *
 * const yearly = Effect.flatMap(Archive.files("archive"), (to) =>
 *   Archive.run({
 *     of: { category: "account" },
 *     keep: Retention.byAge("365 days"),
 *     covered: Retention.bySnapshots(Account),
 *     to
 *   }).pipe(Stream.runForEach(({ count, id }) => Effect.logInfo(`${id}: ${count} events`)))
 * ).pipe(Effect.provide(NodeContext.layer))
 * ```
 *
 * @since 0.1.0
 * @category runners
 */
export const run = <E, R>(
  options: Retention.Options<E, R> & {
    readonly to: Archive
    /** How many events a batch holds at most; 1,000 when not given. */
    readonly batch?: number | undefined
  }
): Stream.Stream<Manifest, Retention.RunError | ArchiveError | E, EventStore | R> =>
  Stream.unwrap(Effect.gen(function*() {
    const store = yield* EventStore
    const { tenant = "" } = yield* Correlation.current
    const size = options.batch ?? Retention.defaultBatch
    const problem = Faults.countProblem(size, 1)
    if (problem !== undefined) return yield* Faults.invalid("batch", problem)
    return Retention.plan(options).pipe(
      Stream.filter(({ before, firstVersion }) => before > firstVersion),
      Stream.flatMap(({ before, stream }) => store.read(stream, { to: before - 1 })),
      Stream.grouped(size),
      Stream.mapEffect((chunk) =>
        Effect.gen(function*() {
          const events = Chunk.toReadonlyArray(chunk) as Arr.NonEmptyReadonlyArray<Raw>
          const batch = events.map((event) => `${EventLine.write(event)}\n`).join("")
          const manifest = manifestOf(tenant, events, batch)
          yield* options.to.write(manifest, batch)
          yield* verify(options.to, manifest)
          for (const { stream, to } of manifest.streams) yield* store.truncate(stream, { before: to + 1 })
          return manifest
        })
      )
    )
  }))

/** The archived events of a stream of the fiber's tenant, each once, in order. */
const archived = (
  archive: Archive,
  stream: string,
  manifests: ReadonlyArray<Manifest>
): Stream.Stream<Raw, ArchiveError> =>
  Stream.suspend(() => {
    const fromOf = (manifest: Manifest) => manifest.streams.find((each) => each.stream === stream)?.from ?? 0
    const own = manifests.filter((each) => fromOf(each) > 0).sort((a, b) => fromOf(a) - fromOf(b))
    let last: number | undefined
    return Stream.flatMap(Stream.fromIterable(own), (manifest) =>
      Stream.mapConcatEffect(verify(archive, manifest), (events) => {
        const next: Array<Raw> = []
        for (const event of events) {
          if (event.stream !== stream || (last !== undefined && event.version <= last)) {
            continue
          }
          if (last !== undefined && event.version !== last + 1) {
            return gap(stream, last + 1, event.version)
          }
          next.push(event)
          last = event.version
        }
        return Effect.succeed(next)
      }))
  })

const gap = (stream: string, wanted: number, got: number) =>
  new ArchiveError({ reason: "gap", of: stream, problem: `version ${wanted} must come next, and ${got} does` })

const manifestsOfTenant = (archive: Archive): Effect.Effect<ReadonlyArray<Manifest>, ArchiveError> =>
  Effect.flatMap(Correlation.current, ({ tenant = "" }) =>
    archive.manifests.pipe(
      Stream.filter((manifest) => manifest.tenant === tenant),
      Stream.runCollect,
      Effect.map(Chunk.toReadonlyArray)
    ))

/**
 * A stream from its first archived event on, and then what the store has of it: the same events, as they were recorded.
 *
 * @since 0.1.0
 * @category accessors
 */
export const history = (
  archive: Archive,
  stream: string
): Stream.Stream<Raw, ArchiveError | ReadError, EventStore> =>
  Stream.unwrap(Effect.gen(function*() {
    const store = yield* EventStore
    const manifests = yield* manifestsOfTenant(archive)
    let last = 0
    return archived(archive, stream, manifests).pipe(
      Stream.tap((event) => Effect.sync(() => last = event.version)),
      Stream.concat(Stream.suspend(() => store.read(stream, { from: last + 1 })))
    )
  }))

/**
 * Brings the archived streams of the fiber's tenant into another store, with their ids, versions, times, metadata and tags;
 * positions and `recordedAt` are that store's. What is there already is left as it is, so that it may be run again.
 *
 * The store that the events were dropped from does not take them again (`truncated`): {@link history} reads them there.
 *
 * @since 0.1.0
 * @category runners
 */
export const restore = (
  archive: Archive,
  into: Operations
): Stream.Stream<{ readonly stream: string; readonly events: number }, ArchiveError | AppendError | ReadError> =>
  Stream.unwrap(Effect.map(manifestsOfTenant(archive), (manifests) => {
    const streams = new Set(manifests.flatMap((manifest) => manifest.streams.map((each) => each.stream)))
    return Stream.mapEffect(Stream.fromIterable(streams), (stream) =>
      Effect.gen(function*() {
        const state = yield* into.streamState(stream)
        if (state._tag === "live" && state.firstVersion > 1) {
          const problem = "the store has dropped versions of it, and does not take them again"
          return yield* new ArchiveError({ reason: "truncated", of: stream, problem })
        }
        const there = state._tag === "live" ? state.version : 0
        let version: number = there
        yield* archived(archive, stream, manifests).pipe(
          Stream.filter((event) => event.version > there),
          Stream.grouped(Retention.defaultBatch),
          Stream.runForEach((chunk): Effect.Effect<unknown, ArchiveError | AppendError> => {
            const events = Chunk.toReadonlyArray(chunk) as unknown as readonly [Raw, ...Array<Raw>]
            if (events[0].version !== version + 1) return gap(stream, version + 1, events[0].version)
            version += events.length
            return EventLine.append(into, events)
          })
        )
        return { stream, events: version - there }
      }))
  }))
