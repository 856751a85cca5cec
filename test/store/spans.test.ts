import { assert, it } from "@effect/vitest"
import * as EventStore from "effect-skald/store/EventStore"
import { Effect, Layer, Option, Stream, Tracer } from "effect"

const append = Effect.gen(function*() {
  const store = yield* EventStore.EventStore
  yield* store.append([{ stream: "a-1", events: [{ type: "A", payload: {} }, { type: "A", payload: {} }] }])
  return Option.getOrThrow(yield* Stream.runHead(store.read("a-1")))
})

/** The tracer as it is, and the spans that were begun. */
const recording = Effect.map(Effect.tracer, (tracer) => {
  const spans: Array<Tracer.Span> = []
  const recorder = Tracer.make({
    ...tracer,
    span: (...options) => {
      const span = tracer.span(...options)
      spans.push(span)
      return span
    }
  })
  return { spans, layer: Layer.setTracer(recorder) }
})

it.effect("without spans, an event carries the trace of the span it was appended in, if any", () =>
  Effect.gen(function*() {
    const { layer, spans } = yield* recording
    const event = yield* append.pipe(Effect.withSpan("outer"), Effect.provide([EventStore.layerMemory, layer]))
    assert.deepStrictEqual(spans.map((span) => span.name), ["outer"])
    const [outer] = spans
    assert.deepStrictEqual(event.metadata.trace, { traceparent: `00-${outer!.traceId}-${outer!.spanId}-01` })
    const alone = yield* Effect.provide(append, EventStore.layerMemory)
    assert.isUndefined(alone.metadata.trace)
  }))

it.effect("with spans, each append is one", () =>
  Effect.gen(function*() {
    const { layer, spans } = yield* recording
    const traced = EventStore.layerMemory.pipe(Layer.provide(Layer.succeed(EventStore.Spans, true)))
    const event = yield* append.pipe(Effect.provide([traced, layer]))
    assert.deepStrictEqual(spans.map((span) => span.name), ["EventStore.append"])
    const [span] = spans
    assert.strictEqual(span!.attributes.get("db.operation.batch.size"), 2)
    assert.deepStrictEqual(event.metadata.trace, { traceparent: `00-${span!.traceId}-${span!.spanId}-01` })
  }))
