import type * as Fiber from "effect/Fiber"
import * as Tracer from "effect/Tracer"

/** The W3C traceparent of the span that a fiber is in; none where a tracer's ids are not of that form. */
export const of = (fiber: Fiber.RuntimeFiber<any, any>): string | undefined => {
  const span = fiber.currentContext.unsafeMap.get(Tracer.ParentSpan.key) as Tracer.AnySpan | undefined
  return span === undefined || !/^[0-9a-f]{32}$/.test(span.traceId) || !/^[0-9a-f]{16}$/.test(span.spanId)
    ? undefined
    : `00-${span.traceId}-${span.spanId}-${span.sampled ? "01" : "00"}`
}
