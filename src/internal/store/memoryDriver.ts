import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import { globalValue } from "effect/GlobalValue"
import type * as Scope from "effect/Scope"
import * as Position from "../../event/Position.ts"
import {
  ConditionFailed,
  type DuplicateEvent,
  StreamNotFound,
  StreamTombstoned,
  VersionConflict
} from "../../store/AppendError.ts"
import type * as Driver from "../../store/Driver.ts"
import * as Query from "../../store/Query.ts"
import { StoreError } from "../../store/StoreError.ts"
import * as AppendNow from "./appendNow.ts"
import * as Changes from "./changes.ts"
import * as Idempotency from "./idempotency.ts"
import { type Entry, Index, keyOf, none, rowOf, type StreamLog, upperBound } from "./memoryLog.ts"
import * as Transfer from "./memoryTransfer.ts"

const knownOf = ({ given, owner, position, recordedAt, version }: Entry): Idempotency.Known => ({
  stream: owner.stream,
  version,
  position,
  recordedAt,
  content: given.content
})

/** The one name that the events of a tenant are listed under. */
const theTenant: ReadonlyArray<string> = [""]

/** Whether the fiber runs a hook, and so holds the lock. */
const insideHook = globalValue("effect-skald/store/memory/insideHook", () => FiberRef.unsafeMake(false))

export const make: Effect.Effect<Driver.Driver, never, Scope.Scope> = Effect.gen(function*() {
  const changes = yield* Changes.make()
  /** In the order of positions. */
  const log: Array<Entry> = []
  const streams = new Map<string, StreamLog>()
  const ids = new Map<string, Entry>()
  const byCategory = new Index(log, ({ owner }) => [owner.category])
  const byType = new Index(log, ({ given }) => [given.type])
  const byTag = new Index(log, ({ given }) => given.tags)
  const byCorrelation = new Index(log, ({ given }) => [given.correlationId])
  const byTenant = new Index(log, () => theTenant)
  /** The tenant of all events, while there is but one. */
  let sole: string | undefined
  let mixed = false
  let recordedAt = 0
  /** The position of the last event, and of one that was removed. */
  let last = 0
  /** How far readers see, and how many events that are: a hook may still undo what lies beyond. */
  let head = 0
  let shown = 0
  /** How much was ever removed. */
  let removed = 0
  /** Held while hooks run. */
  const lock = Effect.unsafeMakeSemaphore(1)
  let hooksRunning = false

  const add = (entry: Entry): void => {
    last = entry.position
    log.push(entry)
    entry.owner.entries.push(entry)
    ids.set(keyOf(entry.owner.tenant, entry.given.id), entry)
  }

  const removeLast = (): void => {
    const { given, owner, position } = log.pop()!
    last = position - 1
    owner.entries.pop()
    if (owner.entries.length === 0) streams.delete(keyOf(owner.tenant, owner.stream))
    ids.delete(keyOf(owner.tenant, given.id))
  }

  const isKept = (entry: Entry): boolean => entry.version >= entry.owner.firstVersion

  /** The first match after a position. What lies beyond the head belongs to the append that asks: its hook appends. */
  const firstMatch = (tenant: string, query: Query.Query, after: number): number | undefined => {
    let first: number | undefined
    const lists = candidates(tenant, query)
    for (const list of log.length === shown ? lists : [...lists, log.slice(shown)]) {
      for (let index = upperBound(list, after); index < list.length; index++) {
        const entry = list[index]!
        if (first !== undefined && entry.position >= first) break
        if (entry.owner.tenant === tenant && isKept(entry) && Query.matches(query, entry.given)) {
          first = entry.position
          break
        }
      }
    }
    return first
  }

  /** A list that holds all events of a tenant. */
  const ofTenant = (tenant: string): ReadonlyArray<Entry> =>
    mixed ? byTenant.get(tenant, "", shown) : sole === tenant ? log : none

  /** Lists that together hold every match of a query. */
  const candidates = (tenant: string, query: Query.Query): ReadonlyArray<ReadonlyArray<Entry>> =>
    query._tag === "All" ?
      [ofTenant(tenant)] :
      query.items.flatMap((item) =>
        item.tags !== undefined && item.tags.length > 0
          ? [shortest(item.tags.map((tag) => byTag.get(tenant, tag, shown)))]
          : item.types!.map((type) => byType.get(tenant, type, shown))
      )

  const refuse = (
    request: Driver.AppendRequest
  ): Driver.AppendResult | DuplicateEvent | VersionConflict | StreamTombstoned | ConditionFailed | undefined => {
    const judged = Idempotency.judge(request.groups, (id) => {
      const entry = ids.get(keyOf(request.tenant, id))
      return entry === undefined ? undefined : knownOf(entry)
    })
    if (judged !== undefined) return judged
    for (const { expected, stream } of request.groups) {
      const found = streams.get(keyOf(request.tenant, stream))
      if (found?.tombstoned === true) return new StreamTombstoned({ stream })
      const actual = found?.entries.length ?? 0
      if (!Position.meets(expected, actual)) return new VersionConflict({ stream, expected, actual })
    }
    if (request.failIf !== undefined) {
      const position = firstMatch(request.tenant, request.failIf.query, request.failIf.after)
      if (position !== undefined) return new ConditionFailed({ query: request.failIf.query, position })
    }
    return undefined
  }

  const note = (tenant: string): void => {
    if (tenant === sole) return
    mixed ||= sole !== undefined
    sole = tenant
  }

  const write = (request: Driver.AppendRequest): Driver.AppendResult => {
    recordedAt = Math.max(recordedAt, request.now)
    const events: Array<{ readonly version: number; readonly position: number }> = []
    const { groups, tenant } = request
    note(tenant)
    for (const { category, events: rows, stream } of groups) {
      if (rows.length === 0) continue
      const key = keyOf(tenant, stream)
      let owner = streams.get(key)
      if (owner === undefined) {
        owner = { tenant, stream, category, entries: [], firstVersion: 1, tombstoned: false }
        streams.set(key, owner)
      }
      for (const given of rows) {
        const version = owner.entries.length + 1
        const position = last + 1
        add({ given, owner, version, position, recordedAt })
        events.push({ version, position })
      }
    }
    return { repeated: false, recordedAt, events }
  }

  const publish = (): void => {
    head = last
    shown = log.length
    changes.advance(head)
  }

  const appendNow = (request: Driver.AppendRequest): Driver.AppendResult | Driver.Refusal => {
    const refused = refuse(request)
    if (refused !== undefined) return refused
    const result = write(request)
    publish()
    return result
  }

  const answer = (request: Driver.AppendRequest): Effect.Effect<Driver.AppendResult, Driver.Refusal> => {
    const given = appendNow(request)
    return "_tag" in given ? Effect.fail(given) : Effect.succeed(given)
  }

  /** Writes, runs the hook, and undoes what was written if that fails: what a hook appends is undone with it. */
  const appendHooked = (request: Driver.AppendRequest, hook: Driver.Hook) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.suspend((): Effect.Effect<Driver.AppendResult, Driver.Refusal> => {
        const refused = refuse(request)
        if (refused !== undefined) return "_tag" in refused ? Effect.fail(refused) : Effect.succeed(refused)
        const before = log.length
        const result = write(request)
        return Effect.locally(restore(hook(log.slice(before).map(rowOf))), insideHook, true).pipe(
          Effect.tapErrorCause(() =>
            Effect.sync(() => {
              while (log.length > before) removeLast()
            })
          ),
          Effect.mapBoth({
            onSuccess: () => result,
            onFailure: (cause) => new StoreError({ reason: "hook", operation: "EventStore.append", cause })
          })
        )
      })
    )

  const appendWith = (request: Driver.AppendRequest, hook: Driver.Hook) =>
    lock.withPermits(1)(Effect.suspend(() => {
      hooksRunning = true
      return Effect.ensuring(
        appendHooked(request, hook),
        Effect.sync(() => {
          hooksRunning = false
          publish()
        })
      )
    }))

  /** The last version that readers see. */
  const visibleVersion = ({ entries }: StreamLog): number => {
    let version = entries.length
    while (version > 0 && (entries[version - 1]?.position ?? 0) > head) version--
    return version
  }

  /** What a read looks through: the shortest list that holds all it asks for. */
  const source = (page: Driver.LogPage): ReadonlyArray<Entry> => {
    const { tenant } = page
    if (tenant === undefined) return log
    const lists: Array<ReadonlyArray<Entry>> = [ofTenant(tenant)]
    if (page.stream !== undefined) lists.push(streams.get(keyOf(tenant, page.stream))?.entries ?? none)
    if (page.category !== undefined) lists.push(byCategory.get(tenant, page.category, shown))
    if (page.correlationId !== undefined) lists.push(byCorrelation.get(tenant, page.correlationId, shown))
    if (page.types?.length === 1) lists.push(byType.get(tenant, page.types[0]!, shown))
    if (page.query !== undefined) {
      const found = candidates(tenant, page.query)
      if (found.length === 1) lists.push(found[0]!)
    }
    return shortest(lists)
  }

  const asksFor = (page: Driver.LogPage, entry: Entry): boolean => {
    const { given, owner } = entry
    return (page.tenant === undefined || owner.tenant === page.tenant) &&
      (page.stream === undefined || owner.stream === page.stream) &&
      (page.category === undefined || owner.category === page.category) &&
      (page.correlationId === undefined || given.correlationId === page.correlationId) &&
      (page.types === undefined || page.types.includes(given.type)) &&
      (page.query === undefined || Query.matches(page.query, given)) &&
      (page.time === undefined || isWithin(page.time, entry)) &&
      isKept(entry)
  }

  const readLog = (page: Driver.LogPage): Driver.LogRows => {
    const list = source(page)
    const low = upperBound(list, page.after)
    const high = upperBound(list, Math.min(page.to, head)) - 1
    const rows: Array<Driver.Row> = []
    for (let step = 0; step <= high - low && rows.length < page.limit; step++) {
      const entry = list[page.backwards ? high - step : low + step]!
      if (asksFor(page, entry)) rows.push(rowOf(entry))
    }
    const full = rows.length === page.limit && rows.length > 0
    return { rows, upTo: full ? rows[rows.length - 1]!.position : Math.min(page.to, head) }
  }

  const readStream = (page: Driver.StreamPage): ReadonlyArray<Driver.Row> => {
    const found = streams.get(keyOf(page.tenant, page.stream))
    if (found === undefined || found.tombstoned) return []
    const low = Math.max(page.from, found.firstVersion)
    const high = Math.min(page.to, visibleVersion(found))
    const entries = page.backwards
      ? found.entries.slice(Math.max(low, high - page.limit + 1) - 1, Math.max(high, low - 1)).reverse()
      : found.entries.slice(low - 1, Math.max(low - 1, Math.min(high, low + page.limit - 1)))
    return entries.map(rowOf)
  }

  const shorten = (stream: StreamLog, before: number): void => {
    if (before <= stream.firstVersion) return
    removed += before - stream.firstVersion
    stream.firstVersion = before
  }

  const existing = (tenant: string, stream: string) =>
    Effect.suspend((): Effect.Effect<StreamLog, StreamNotFound | StreamTombstoned> => {
      const found = streams.get(keyOf(tenant, stream))
      return found === undefined
        ? Effect.fail(new StreamNotFound({ stream }))
        : found.tombstoned
        ? Effect.fail(new StreamTombstoned({ stream }))
        : Effect.succeed(found)
    })

  const driver: Driver.Driver = {
    name: "memory",
    capabilities: [],
    limits: { events: 1_000_000, streams: 100_000, payload: 67_108_864 },
    append: (request, hook) =>
      hook === undefined
        ? Effect.suspend(() =>
          hooksRunning ? lock.withPermits(1)(Effect.suspend(() => answer(request))) : answer(request)
        )
        : Effect.flatMap(FiberRef.get(insideHook), (inside) =>
          inside ? appendHooked(request, hook) : appendWith(request, hook)),
    readStream: (page) => Effect.sync(() => readStream(page)),
    readLog: (page) => Effect.sync(() => readLog(page)),
    head: Effect.sync(() => head),
    streamStatus: (tenant, stream) =>
      Effect.sync(() => {
        const found = streams.get(keyOf(tenant, stream))
        const version = found === undefined ? 0 : visibleVersion(found) - (found.tombstoned ? 1 : 0)
        return found === undefined || version === 0 ? { state: "missing", version: 0, firstVersion: 1 } : {
          state: found.tombstoned ? "tombstoned" : "live",
          version,
          firstVersion: found.firstVersion
        }
      }),
    find: (tenant, id) =>
      Effect.sync(() => {
        const entry = ids.get(keyOf(tenant, id))
        return entry === undefined || entry.position > head
          ? undefined
          : { stream: entry.owner.stream, version: entry.version, position: entry.position }
      }),
    truncate: ({ before, stream, tenant }) =>
      lock.withPermits(1)(Effect.map(existing(tenant, stream), (found) => {
        if (before > found.entries.length + 1) return { state: "beyond", version: found.entries.length }
        shorten(found, before)
        return { state: "done" }
      })),
    tombstone: ({ expected, mark, now, stream, tenant }) =>
      lock.withPermits(1)(Effect.flatMap(existing(tenant, stream), (found) => {
        const actual = found.entries.length
        if (!Position.meets(expected, actual)) return Effect.fail(new VersionConflict({ stream, expected, actual }))
        shorten(found, actual + 1)
        removed++
        found.tombstoned = true
        recordedAt = Math.max(recordedAt, now)
        add({ given: mark, owner: found, version: actual + 1, position: last + 1, recordedAt })
        publish()
        return Effect.void
      })),
    transfer: Transfer.make({
      log,
      streams,
      ids,
      state: () => ({ head, removed }),
      import: (batch) =>
        lock.withPermits(1)(Effect.sync(() => {
          if (batch.head !== last) return { state: "other", head: last }
          const added = Transfer.read(batch, streams, ids)
          for (const entry of added.entries) {
            note(entry.owner.tenant)
            log.push(entry)
          }
          for (const { firstVersion, of, tombstoned } of added.shortened) {
            shorten(of, firstVersion)
            if (tombstoned && !of.tombstoned) removed++
            of.tombstoned = tombstoned
          }
          last = Math.max(last, added.position)
          recordedAt = Math.max(recordedAt, added.recordedAt)
          publish()
          return { state: "done" }
        }))
    }),
    awaitBeyond: changes.awaitBeyond,
    withTransaction: undefined as never
  }
  return AppendNow.offer(driver, (request) => hooksRunning ? undefined : appendNow(request))
})

const isWithin = (time: NonNullable<Driver.LogPage["time"]>, { given, recordedAt }: Entry): boolean => {
  const instant = time.of === "recordedAt" ? recordedAt : given.occurredAt
  return instant >= time.since && instant < time.until
}

const shortest = (lists: ReadonlyArray<ReadonlyArray<Entry>>): ReadonlyArray<Entry> =>
  lists.reduce((best, list) => list.length < best.length ? list : best)
