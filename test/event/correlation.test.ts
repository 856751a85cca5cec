import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, FastCheck as fc, Fiber, FiberRef, Layer, ManagedRuntime, Stream } from "effect"
import * as Correlation from "effect-skald/event/Correlation"
import * as Arbitraries from "effect-skald/testing/Arbitraries"

const correlation: fc.Arbitrary<Correlation.Correlation> = fc.tuple(
  Arbitraries.metadata,
  fc.option(fc.string({ minLength: 1 }), { nil: undefined })
).map(([metadata, source]) => source === undefined ? metadata : { ...metadata, source })

const within = <A>(...layers: ReadonlyArray<Correlation.Correlation>) => (effect: Effect.Effect<A>): A =>
  Effect.runSync(layers.reduceRight<Effect.Effect<A>>((inner, each) => Correlation.locally(inner, each), effect))

describe("merging", () => {
  it("has the empty one as its unit, and is associative", () => {
    fc.assert(fc.property(correlation, correlation, correlation, (a, b, c) => {
      assert.deepStrictEqual(Correlation.merge(Correlation.empty, a), a)
      assert.deepStrictEqual(Correlation.merge(a, Correlation.empty), a)
      assert.deepStrictEqual(
        Correlation.merge(Correlation.merge(a, b), c),
        Correlation.merge(a, Correlation.merge(b, c))
      )
      assert.deepStrictEqual(Correlation.merge(b)(a), Correlation.merge(a, b))
    }))
  })

  it("lets the second win in what both say, header by header", () => {
    assert.deepStrictEqual(
      Correlation.merge(
        { tenant: "a", actor: "x", headers: { one: "1", two: "2" } },
        { tenant: "b", headers: { two: "zwei", three: "3" } }
      ),
      { tenant: "b", actor: "x", headers: { one: "1", two: "zwei", three: "3" } }
    )
  })

  it("changes neither", () => {
    fc.assert(fc.property(correlation, correlation, (a, b) => {
      const before = structuredClone([a, b])
      Correlation.merge(a, b)
      assert.deepStrictEqual([a, b], before as never)
    }))
  })
})

describe("what a fiber carries", () => {
  it("is nothing at first", () => {
    assert.deepStrictEqual(Effect.runSync(Correlation.current), {})
  })

  it("is what is given around it, the nearest winning", () => {
    fc.assert(fc.property(correlation, correlation, correlation, (outer, middle, inner) => {
      assert.deepStrictEqual(
        within<Correlation.Correlation>(outer, middle, inner)(Correlation.current),
        Correlation.merge(Correlation.merge(outer, middle), inner)
      )
    }))
  })

  it.effect("is as before afterwards, also after a failure, a defect or an interruption", () =>
    Effect.gen(function*() {
      const ends = [
        Effect.void,
        Effect.fail("no"),
        Effect.die("no"),
        Effect.interrupt
      ]
      for (const end of ends) {
        yield* Effect.exit(end.pipe(Correlation.locally({ tenant: "inner" })))
        assert.deepStrictEqual(yield* Correlation.current, { tenant: "outer" })
      }
    }).pipe(Correlation.locally({ tenant: "outer" })))

  it.effect("is inherited by its children, of every kind", () =>
    Effect.gen(function*() {
      const carried = { tenant: "acme", headers: { a: "1" } }
      const forked = yield* Effect.fork(Correlation.current)
      const daemon = yield* Effect.forkDaemon(Correlation.current)
      const scoped = yield* Effect.forkScoped(Correlation.current)
      for (const fiber of [forked, daemon, scoped]) assert.deepStrictEqual(yield* Fiber.join(fiber), carried)
      const all = yield* Effect.all([1, 2, 3].map(() => Correlation.current), { concurrency: "unbounded" })
      assert.deepStrictEqual(all, [carried, carried, carried])
      const streamed = yield* Stream.range(1, 3).pipe(
        Stream.mapEffect(() => Correlation.current, { concurrency: 2 }),
        Stream.runCollect
      )
      assert.deepStrictEqual(Array.from(streamed), [carried, carried, carried])
    }).pipe(Effect.scoped, Correlation.locally({ tenant: "acme", headers: { a: "1" } })))

  it.effect("is not given back by a child that is joined, whatever it set", () =>
    Effect.gen(function*() {
      const set = FiberRef.set(Correlation.currentCorrelation, { tenant: "child" })
      yield* Fiber.join(yield* Effect.fork(set))
      assert.deepStrictEqual(yield* Correlation.current, { tenant: "parent" })
      yield* Effect.all([set, set], { concurrency: 2 })
      assert.deepStrictEqual(yield* Correlation.current, { tenant: "parent" })
      yield* Fiber.inheritAll(yield* Effect.tap(Effect.fork(set), Fiber.await))
      assert.deepStrictEqual(yield* Correlation.current, { tenant: "parent" })
    }).pipe(Correlation.locally({ tenant: "parent" })))

  it.effect("does not change under a child that runs already", () =>
    Effect.gen(function*() {
      const go = yield* Deferred.make<void>()
      const child = yield* Effect.fork(Effect.zipRight(Deferred.await(go), Correlation.current))
      yield* FiberRef.set(Correlation.currentCorrelation, { tenant: "later" })
      yield* Deferred.succeed(go, undefined)
      assert.deepStrictEqual(yield* Fiber.join(child), {})
    }))

  it("is kept apart between two requests of one runtime", async () => {
    const runtime = ManagedRuntime.make(Layer.empty)
    const request = (tenant: string) =>
      Effect.yieldNow().pipe(Effect.zipRight(Correlation.current), Correlation.locally({ tenant }))
    const seen = await Promise.all(["a", "b", "c"].map((tenant) => runtime.runPromise(request(tenant))))
    assert.deepStrictEqual(seen, [{ tenant: "a" }, { tenant: "b" }, { tenant: "c" }])
    await runtime.dispose()
  })
})

describe("what follows from an event", () => {
  it("belongs to its conversation, is caused by it, and takes on its tenant and trace alone", () => {
    fc.assert(fc.property(Arbitraries.eventId, Arbitraries.metadata, (id, metadata) => {
      const following = Correlation.following({ id, metadata })
      assert.strictEqual(following.causationId, id)
      assert.strictEqual(following.correlationId, metadata.correlationId ?? id)
      assert.deepStrictEqual([following.tenant, following.trace], [metadata.tenant, metadata.trace])
      assert.isFalse("actor" in following || "headers" in following || "source" in following)
      for (const member of Object.values(following)) assert.isDefined(member)
    }))
  })

  it("is set around its handler, over what the fiber carries", () => {
    const cause = { id: "e-7", metadata: { correlationId: "c-1", tenant: "acme" } }
    assert.deepStrictEqual(
      within<Correlation.Correlation>({ source: "/shop", actor: "worker", correlationId: "old" })(
        Correlation.current.pipe(Correlation.causedBy(cause))
      ),
      { source: "/shop", actor: "worker", correlationId: "c-1", causationId: "e-7", tenant: "acme" }
    )
    assert.deepStrictEqual(
      Effect.runSync(Correlation.causedBy(Correlation.current, cause)),
      { correlationId: "c-1", causationId: "e-7", tenant: "acme" }
    )
  })

  it("a chain of handlers is one conversation, each caused by the one before", () => {
    fc.assert(fc.property(fc.array(Arbitraries.eventId, { minLength: 1, maxLength: 6 }), (ids) => {
      let metadata = {}
      ids.forEach((id, index) => {
        const carried = within<Correlation.Correlation>()(
          Correlation.current.pipe(Correlation.causedBy({ id, metadata }))
        )
        assert.strictEqual(carried.correlationId, ids[0])
        assert.strictEqual(carried.causationId, ids[index])
        metadata = carried
      })
    }))
  })
})
