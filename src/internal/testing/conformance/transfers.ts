import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as MessagePack from "../../../event/MessagePack.ts"
import * as PayloadFormat from "../../../event/PayloadFormat.ts"
import * as Correlation from "../../../event/Correlation.ts"
import type { Driver, Remembered, Shortened, Transfer, WholeRow } from "../../../store/Driver.ts"
import { driverMemory, makeEncoded } from "../../../store/EventStore.ts"
import * as Query from "../../../store/Query.ts"
import { check, collect, equal, event, events, read, refused, section, type Store } from "./case.ts"

/** All that a log holds, read in pages of a size. */
export interface Dump {
  readonly head: number
  readonly removed: number
  readonly rows: ReadonlyArray<WholeRow>
  readonly remembered: ReadonlyArray<Remembered>
  readonly streams: ReadonlyArray<Shortened>
}

export const dump = (transfer: Transfer, limit: number) =>
  Effect.gen(function*() {
    const { head, removed } = yield* transfer.state
    const rows: Array<WholeRow> = []
    for (;;) {
      const page = yield* transfer.rows({ after: rows.at(-1)?.position ?? 0, to: head, limit })
      rows.push(...page.map((row) => ({ ...row, payload: bytesOf(row.payload) })))
      if (page.length < limit) break
    }
    const remembered: Array<Remembered> = []
    for (;;) {
      const page = yield* transfer.remembered({ after: remembered.at(-1), limit })
      remembered.push(...page)
      if (page.length < limit) break
    }
    const streams: Array<Shortened> = []
    for (;;) {
      const page = yield* transfer.streams({ after: streams.at(-1), to: head, limit })
      streams.push(...page)
      if (page.length < limit) break
    }
    return { head, removed, rows, remembered, streams } satisfies Dump
  })

const bytesOf = (payload: PayloadFormat.Serialized) => typeof payload === "string" ? payload : Uint8Array.from(payload)

/** Writes a dump in parts of a size. */
const write = (transfer: Transfer, { remembered, rows, streams }: Dump, size: number) =>
  Effect.gen(function*() {
    let head = 0
    const none = { rows: [], remembered: [], streams: [] }
    for (let from = 0; from < rows.length; from += size) {
      const part = rows.slice(from, from + size)
      equal(yield* transfer.write({ ...none, head, rows: part }), { state: "done" })
      head = part.at(-1)!.position
    }
    for (let from = 0; from < remembered.length; from += size) {
      const part = remembered.slice(from, from + size)
      equal(yield* transfer.write({ ...none, head, remembered: part }), { state: "done" })
      head = Math.max(head, ...part.map((each) => each.position))
    }
    for (let from = 0; from < streams.length; from += size) {
      equal(yield* transfer.write({ ...none, head, streams: streams.slice(from, from + size) }), { state: "done" })
    }
  })

/** Runs an effect in no tenant: names are then what they are called here. */
const inNone = Effect.locally(Correlation.currentCorrelation, Correlation.empty)

const inAcme = Correlation.locally({ tenant: "acme" })

/** Live, truncated, emptied and tombstoned streams of two tenants; the last events of the log are gone. */
const fill = (store: Store, packed: Store) =>
  Effect.gen(function*() {
    yield* store.append([
      { stream: "live-1", events: events(2, { tags: ["t", "u"] }) },
      { stream: "cut-1", events: events(4, { tags: ["t"] }) },
      { stream: "plain", events: [event({ nul: "\u0000", text: "ü🦜" })] }
    ])
    yield* inAcme(packed.append([{ stream: "live-1", events: events(3) }]))
    yield* store.append([{ stream: "gone-1", events: events(2) }, { stream: "empty-1", events: events(3) }])
    yield* store.truncate("cut-1", { before: 3 })
    yield* inAcme(
      store.append([{ stream: "\ud83e\udd9c-1", events: events(1) }, { stream: "\uff5e-1", events: events(1) }])
    )
    yield* inAcme(store.tombstone("\uff5e-1"))
    yield* inAcme(store.tombstone("\ud83e\udd9c-1"))
    yield* store.tombstone("gone-1")
    yield* store.append([{ stream: "empty-1", events: events(2) }])
    yield* store.truncate("empty-1", { before: 6 })
  })

const storesOf = (driver: Pick<Driver<any>, "name">) =>
  Effect.gen(function*() {
    const store = (yield* makeEncoded(driver as Driver)) as Store
    const packed = (yield* makeEncoded(driver as Driver).pipe(
      Effect.provideService(PayloadFormat.PayloadFormat, PayloadFormat.formats(MessagePack.format, PayloadFormat.json))
    )) as Store
    return [store, packed] as const
  })

/** Cases about copying a log as it stands; each with a log of its own. */
export const transferSection = section<Driver<any>>("copies of a log", {
  "a log in memory is copied, whatever the size of the parts, and the copy is copied back": (driver) =>
    Effect.gen(function*() {
      const origin = yield* driverMemory
      const [store, packed] = yield* storesOf(origin)
      yield* inNone(fill(store, packed))
      const all = yield* dump(origin.transfer, 1000)
      equal(all.rows.length > 8 && all.remembered.length > 8, true)
      equal(
        all.streams.map(({ firstVersion, stream, tenant, tombstoned, version }) => [
          stream,
          tenant,
          version,
          firstVersion,
          tombstoned
        ]),
        [
          ["cut-1", "", 4, 3, false],
          ["empty-1", "", 5, 6, false],
          ["gone-1", "", 2, 3, true],
          // by the bytes of their UTF-8, not by UTF-16
          ["\uff5e-1", "acme", 1, 2, true],
          ["\ud83e\udd9c-1", "acme", 1, 2, true]
        ]
      )
      yield* write(driver.transfer, all, 3)
      for (const limit of [1, 2, 1000]) equal(yield* dump(driver.transfer, limit), all)
      const back = yield* driverMemory
      yield* write(back.transfer, yield* dump(driver.transfer, 7), 2)
      equal(yield* dump(back.transfer, 1000), all)
    }),
  "a log of the driver is copied into memory, and is the same there": (driver) =>
    Effect.gen(function*() {
      const [store, packed] = yield* storesOf(driver)
      yield* inNone(fill(store, packed))
      const all = yield* dump(driver.transfer, 4)
      const copy = yield* driverMemory
      yield* write(copy.transfer, all, 5)
      equal(yield* dump(copy.transfer, 1000), all)
      const [, copied] = yield* storesOf(copy)
      equal(
        (yield* collect(copied.readAll({ allTenants: true }))).map((raw) => [raw.position, raw.id, raw.payload]),
        (yield* collect(packed.readAll({ allTenants: true }))).map((raw) => [raw.position, raw.id, raw.payload])
      )
    }),
  "a copy goes on where the log ended: versions, positions, ids, ends, conditions, times": (driver) =>
    Effect.gen(function*() {
      const origin = yield* driverMemory
      const [first, packed] = yield* storesOf(origin)
      yield* inNone(fill(first, packed))
      const known = yield* dump(origin.transfer, 1000)
      yield* write(driver.transfer, known, 100)
      const [store] = yield* storesOf(driver)
      yield* inNone(Effect.gen(function*() {
        equal(yield* store.head, known.head)
        equal(yield* store.streamState("cut-1"), { _tag: "live", version: 4, firstVersion: 3 })
        equal(yield* store.streamState("empty-1"), { _tag: "live", version: 5, firstVersion: 6 })
        equal(yield* store.streamState("gone-1"), { _tag: "tombstoned", version: 2 })
        equal((yield* read(store, "cut-1")).map(({ version }) => version as number), [3, 4])
        const remembered = known.remembered.find((each) => each.stream === "empty-1" && each.version === 5)!
        const found = yield* store.find(remembered.id)
        equal(found._tag === "Some" && [found.value.version, found.value.position], [5, remembered.position])
        yield* refused(store.append([{ stream: "gone-1", events: [event()] }]), "StreamTombstoned")
        yield* refused(
          store.append([{ stream: "live-1", events: [event({}, { id: remembered.id })] }]),
          "DuplicateEvent",
          { reason: "elsewhere" }
        )
        yield* refused(
          store.append([{ stream: "x-1", events: [event()] }], { failIf: Query.unsafeMake({ tags: ["t", "u"] }) }),
          "ConditionFailed",
          { position: 1 }
        )
        const appended = yield* store.append([
          { stream: "empty-1", expected: 5, events: [event()] },
          { stream: "cut-1", expected: 4, events: [event()] }
        ])
        equal(appended.events.map(({ version }) => version as number), [6, 5])
        check(appended.events[0]!.position > known.head, "a position was drawn twice")
        check(
          appended.recordedAt.epochMillis >= Math.max(...known.rows.map((row) => row.recordedAt)),
          "recordedAt has decreased"
        )
        equal((yield* collect(store.readAll({ category: "empty" }))).map(({ version }) => version as number), [6])
        yield* store.truncate("cut-1", { before: 5 })
        yield* store.tombstone("live-1", { expected: 2 })
      }))
    }),
  "gaps between positions are kept": (driver) =>
    Effect.gen(function*() {
      const origin = yield* driverMemory
      const [store] = yield* storesOf(origin)
      yield* store.append([{ stream: "a-1", events: events(3) }])
      const all = yield* dump(origin.transfer, 10)
      const wide = { ...all, head: 3000, rows: all.rows.map((row) => ({ ...row, position: row.position * 1000 })) }
      yield* write(driver.transfer, wide, 1)
      equal(yield* dump(driver.transfer, 2), wide)
      const [copy] = yield* storesOf(driver)
      yield* Correlation.locally({ tenant: all.rows[0]!.tenant })(Effect.gen(function*() {
        equal(
          (yield* collect(copy.readAll({ after: 1500 }))).map(({ position }) => position as number),
          [2000, 3000]
        )
        const { position } = yield* copy.append([{ stream: "a-1", expected: 3, events: [event()] }])
        check(position > 3000, `the next position is ${position}`)
        const to = yield* collect(copy.readAll({ after: 2000, to: position }))
        equal(to.map(({ version }) => version as number), [3, 4])
      }))
    }),
  "a part for another head is refused, and changes nothing": (driver) =>
    Effect.gen(function*() {
      const origin = yield* driverMemory
      const [store] = yield* storesOf(origin)
      yield* store.append([{ stream: "a-1", events: events(4) }])
      const all = yield* dump(origin.transfer, 10)
      const part = { remembered: [], streams: [] }
      const [held] = yield* storesOf(driver)
      const { position } = yield* held.append([{ stream: "other-1", events: events(2) }])
      const before = yield* dump(driver.transfer, 10)
      equal(yield* driver.transfer.write({ ...part, head: 0, rows: all.rows }), { state: "other", head: position })
      equal(yield* dump(driver.transfer, 10), before)
    }),
  "a copy is seen by those who wait": (driver) =>
    Effect.gen(function*() {
      const origin = yield* driverMemory
      const [store] = yield* storesOf(origin)
      yield* store.append([{ stream: "a-1", events: events(1) }])
      const all = yield* dump(origin.transfer, 10)
      const waiting = yield* Effect.fork(driver.awaitBeyond(0))
      yield* write(driver.transfer, all, 10)
      yield* Fiber.join(waiting)
      equal(yield* driver.head, 1)
    })
})
