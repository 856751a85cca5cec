import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, it } from "@effect/vitest"
import { Chunk, Context, Effect, Either, FastCheck as fc, Layer, Schema, Stream, TestClock } from "effect"
import * as Aggregate from "effect-skald/cqrs/Aggregate"
import * as Decider from "effect-skald/cqrs/Decider"
import * as Correlation from "effect-skald/event/Correlation"
import * as Event from "effect-skald/event/Event"
import * as Memory from "effect-skald/Memory"
import * as Archive from "effect-skald/store/Archive"
import * as Category from "effect-skald/store/Category"
import { EventStore, layerMemory } from "effect-skald/store/EventStore"
import * as Retention from "effect-skald/store/Retention"
import * as Snapshot from "effect-skald/store/Snapshot"
import * as Arbitraries from "effect-skald/testing/Arbitraries"
import { readdirSync, readFileSync, unlinkSync, writeFileSync } from "node:fs"
import { onBoth } from "../support/embedded.ts"
import { tempDirectory } from "../support/tempDirectory.ts"

const Added = Event.make("Added", { amount: Schema.Int })
const Counter = Decider.make("counter", {
  state: Schema.Int,
  commands: Schema.TaggedStruct("Add", { amount: Schema.Int }),
  events: Added
})({
  initial: 0,
  decide: ({ amount }) => Either.right([Added({ amount })]),
  evolve: (total, { amount }) => total + amount
})
const Counters = Category.make("counter", { events: [Added] })
const plain = Aggregate.make(Counter, Counters)
const snapshotted = Aggregate.make(Counter, Counters, { snapshot: Snapshot.every(3) })

const collect = <A, E, R>(stream: Stream.Stream<A, E, R>) =>
  Effect.map(Stream.runCollect(stream), Chunk.toReadonlyArray)

const of = { category: "counter" }
const everything = { of, keep: Retention.keepLast(1), covered: Retention.expendable }

const append = (id: string, count: number) =>
  Counters.append(id, Array.from({ length: count }, (_, amount) => Added({ amount })))

/** Another store, in memory. */
const another = Effect.map(Layer.build(layerMemory), Context.get(EventStore))

const places: ReadonlyArray<readonly [string, Effect.Effect<Archive.Archive, unknown, any>]> = [
  ["files", Effect.flatMap(tempDirectory, (folder) => Archive.files(`${folder}/archive`))],
  ["another store", Effect.map(another, Archive.inStore)]
]

onBoth("archive", (services) => {
  const layer = Layer.merge(services, NodeFileSystem.layer)
  for (const [name, place] of places) {
    const archive = Effect.orDie(place) as Effect.Effect<Archive.Archive>

    it.scoped(`${name}: batches with manifests, over streams; history and restored events are as they were`, () =>
      Effect.gen(function*() {
        const to = yield* archive
        const store = yield* EventStore
        yield* append("a", 7).pipe(Correlation.locally({ actor: "alice", headers: { x: "1" } }))
        yield* TestClock.adjust("1 day")
        yield* append("b", 4)
        const before = yield* collect(store.readAll())
        const manifests = yield* collect(Archive.run({ ...everything, to, batch: 4 }))
        assert.deepStrictEqual(manifests.map(({ count, positions, streams }) => [count, positions, streams]), [
          [4, { from: 1, to: 4 }, [{ stream: "counter-a", from: 1, to: 4 }]],
          [4, { from: 5, to: 9 }, [
            { stream: "counter-a", from: 5, to: 6 },
            { stream: "counter-b", from: 1, to: 2 }
          ]],
          [1, { from: 10, to: 10 }, [{ stream: "counter-b", from: 3, to: 3 }]]
        ])
        assert.deepStrictEqual(
          [manifests[1]!.occurredAt, manifests[1]!.recordedAt].map((
            { from, to }
          ) => [from.epochMillis, to.epochMillis]),
          [[0, 86_400_000], [0, 86_400_000]]
        )
        assert.deepStrictEqual(
          (yield* collect(to.manifests)).map((manifest) => manifest.id).sort(),
          manifests.map((manifest) => manifest.id).sort()
        )
        assert.lengthOf(yield* collect(store.readAll({ category: "counter" })), 2)
        const histories = [
          ...(yield* collect(Archive.history(to, "counter-a"))),
          ...(yield* collect(Archive.history(to, "counter-b")))
        ]
        assert.deepStrictEqual(histories, before)
        // nothing is left to do
        assert.deepStrictEqual(yield* collect(Archive.run({ ...everything, to, batch: 4 })), [])

        const other = yield* another
        const restored = [{ stream: "counter-a", events: 6 }, { stream: "counter-b", events: 3 }]
        const byStream = (all: ReadonlyArray<{ readonly stream: string }>) =>
          [...all].sort((x, y) => x.stream < y.stream ? -1 : 1)
        assert.deepStrictEqual(byStream(yield* collect(Archive.restore(to, other))), restored)
        assert.deepStrictEqual(
          byStream(yield* collect(Archive.restore(to, other))),
          restored.map((each) => ({ ...each, events: 0 }))
        )
        const same = ({ position: _, recordedAt: __, ...event }: typeof before[number]) => event
        assert.deepStrictEqual(
          (yield* collect(other.read("counter-a"))).map(same),
          before.slice(0, 6).map(same)
        )
        const refused = yield* Effect.flip(Stream.runDrain(Archive.restore(to, store)))
        assert.strictEqual(refused._tag === "ArchiveError" && refused.reason, "truncated")
      }).pipe(Effect.provide(layer)))
  }

  it.scoped("acceptance 8: by age without a covering snapshot nothing is archived or dropped; the state is never lost", () =>
    Effect.gen(function*() {
      const to = yield* Effect.map(another, Archive.inStore)
      const options = { of, keep: Retention.byAge(), covered: Retention.bySnapshots(Counter), to }
      for (const amount of [1, 2]) yield* plain.execute("a", { _tag: "Add", amount })
      yield* TestClock.adjust("1000 days")
      assert.deepStrictEqual(yield* collect(Archive.run(options)), [])
      assert.deepStrictEqual(yield* collect(to.manifests), [])
      assert.strictEqual((yield* plain.state("a")).state, 3)
      yield* snapshotted.execute("a", { _tag: "Add", amount: 3 })
      yield* plain.execute("a", { _tag: "Add", amount: 4 })
      yield* TestClock.adjust("1000 days")
      const [manifest] = yield* collect(Archive.run(options))
      assert.strictEqual(manifest?.count, 3)
      assert.strictEqual((yield* snapshotted.state("a")).state, 10)
      const history = yield* collect(Category.decoded(Counters.codec, Archive.history(to, "counter-a")))
      assert.strictEqual(history.reduce((state, event) => Counter.evolve(state, event.payload), 0), 10)
    }).pipe(Effect.provide(layer)))

  it.scoped("drops nothing of a batch that is not read back as it was written", () =>
    Effect.gen(function*() {
      const to = yield* Effect.map(another, Archive.inStore)
      yield* append("a", 5)
      const lies: ReadonlyArray<(batch: string) => string> = [
        (batch) => batch.replace("\"amount\":3", "\"amount\":4"),
        (batch) => batch.slice(0, -1),
        () => ""
      ]
      for (const lie of lies) {
        const bad: Archive.Archive = { ...to, read: (manifest) => Effect.map(to.read(manifest), lie) }
        const error = yield* Effect.flip(Stream.runDrain(Archive.run({ ...everything, to: bad })))
        assert.strictEqual(error._tag === "ArchiveError" && error.reason, "corrupt")
      }
      assert.lengthOf(yield* collect(Counters.read("a")), 5)
      // those were written, and are written again
      assert.lengthOf(yield* collect(Archive.run({ ...everything, to })), 1)
      assert.deepStrictEqual(
        (yield* collect(Archive.history(to, "counter-a"))).map((event) => event.version as number),
        [1, 2, 3, 4, 5]
      )
      const error = yield* Effect.flip(Stream.runDrain(Archive.run({ ...everything, to, batch: 0 })))
      assert.strictEqual(error.message, "batch: must be at least 1, got 0")
    }).pipe(Effect.provide(layer)))

  it.scoped("a batch that was written before a crash, and another cut of the same events, are read once", () =>
    Effect.gen(function*() {
      const to = yield* Effect.map(another, Archive.inStore)
      const store = yield* EventStore
      yield* append("a", 9)
      const crashed = yield* Effect.exit(Effect.provideService(
        Stream.runDrain(Archive.run({ ...everything, to, batch: 5 })),
        EventStore,
        { ...store, truncate: () => Effect.interrupt }
      ))
      assert.strictEqual(crashed._tag, "Failure")
      assert.lengthOf(yield* collect(Counters.read("a")), 9)
      yield* collect(Archive.run({ ...everything, to, batch: 3 }))
      assert.lengthOf(yield* collect(to.manifests), 4)
      assert.deepStrictEqual(
        (yield* collect(Archive.history(to, "counter-a"))).map((event) => event.version as number),
        [1, 2, 3, 4, 5, 6, 7, 8, 9]
      )
    }).pipe(Effect.provide(layer)))

  it.scoped("files that were changed, cut or lost are told, by name", () =>
    Effect.gen(function*() {
      const folder = yield* tempDirectory
      const to = yield* Archive.files(folder)
      yield* append("a", 5)
      const manifests = yield* collect(Archive.run({ ...everything, to, batch: 2 }))
      const reasonOf = Effect.map(
        Effect.flip(Stream.runDrain(Archive.history(to, "counter-a"))),
        (error) => error._tag === "ArchiveError" ? error.reason : error._tag
      )
      const path = `${folder}/${manifests[0]!.id}.ndjson`
      const text = readFileSync(path, "utf8")
      writeFileSync(path, text.replace("\"amount\":1", "\"amount\":7"))
      assert.strictEqual(yield* reasonOf, "corrupt")
      unlinkSync(path)
      assert.strictEqual(yield* reasonOf, "unavailable")
      writeFileSync(path, text)
      assert.lengthOf(yield* collect(Archive.history(to, "counter-a")), 5)
      assert.deepStrictEqual(readdirSync(folder).filter((name) => name.endsWith(".part")), [])
      // a whole batch is missing
      const other = yield* another
      for (const name of [manifests[0]!.id]) unlinkSync(`${folder}/${name}.manifest.json`)
      const error = yield* Effect.flip(Stream.runDrain(Archive.restore(to, other)))
      assert.strictEqual(error._tag === "ArchiveError" && error.reason, "gap")
      writeFileSync(`${folder}/x.manifest.json`, "{}")
      assert.strictEqual(yield* reasonOf, "corrupt")
    }).pipe(Effect.provide(layer)))

  it.scoped("tenants are archived, read and restored apart", () =>
    Effect.gen(function*() {
      const to = yield* Effect.map(another, Archive.inStore)
      const acme = Correlation.locally({ tenant: "acme" })
      yield* append("a", 3)
      yield* append("a", 5).pipe(acme)
      yield* Stream.runDrain(Archive.run({ ...everything, to })).pipe(acme)
      assert.lengthOf(yield* collect(Counters.read("a")), 3)
      assert.lengthOf(yield* acme(collect(Archive.history(to, "counter-a"))), 5)
      const other = yield* another
      assert.deepStrictEqual(yield* collect(Archive.restore(to, other)), [])
      assert.lengthOf(yield* acme(collect(Archive.restore(to, other))), 1)
      assert.lengthOf(yield* acme(collect(other.read("counter-a"))), 4)
    }).pipe(Effect.provide(layer)))
})

it.scoped.prop(
  "archiving and reading the history is the identity on events, whatever they hold",
  [
    fc.array(fc.tuple(fc.constantFrom("x-1", "x-2"), Arbitraries.of(Schema.Struct({ a: Schema.Unknown }))), {
      maxLength: 12
    }),
    fc.integer({ min: 1, max: 5 }),
    fc.integer({ min: 1, max: 4 })
  ],
  ([events, batch, kept]) =>
    Effect.gen(function*() {
      const store = yield* EventStore
      const to = Archive.inStore(yield* another)
      for (const [index, [stream, { a }]] of events.entries()) {
        const payload = JSON.parse(JSON.stringify({ a }))
        const written = yield* Effect.either(
          store.append([{ stream, events: [{ type: "X", payload, tags: [`n:${index}`], occurredAt: index * 1e12 }] }])
        )
        if (Either.isLeft(written)) assert.strictEqual(written.left._tag, "InvalidEvent")
      }
      const before = new Map<string, ReadonlyArray<unknown>>()
      for (const stream of ["x-1", "x-2"]) before.set(stream, yield* collect(store.read(stream)))
      yield* collect(Archive.run({
        of: { category: "x" },
        keep: Retention.keepLast(kept),
        covered: Retention.expendable,
        to,
        batch
      }))
      for (const [stream, all] of before) {
        assert.deepStrictEqual<unknown>(yield* collect(Archive.history(to, stream)), all)
        assert.lengthOf(yield* collect(store.read(stream)), Math.min(kept, all.length))
      }
    }).pipe(Effect.provide(Memory.layer)),
  { fastCheck: { numRuns: 60 } }
)
