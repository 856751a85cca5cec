import type { Metadata } from "../../event/Envelope.ts"
import * as Faults from "../faults.ts"

const traceparent = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/

/** Adds all that is wrong with metadata, but for its tenant. The path is asked for when there is something to tell. */
export const check = (metadata: Metadata, path: () => string, faults: Faults.Faults): void => {
  const { headers, trace } = metadata
  checkName(metadata.correlationId, path, "correlationId", faults)
  checkName(metadata.causationId, path, "causationId", faults)
  checkName(metadata.actor, path, "actor", faults)
  if (trace !== undefined && !traceparent.test(trace.traceparent)) {
    faults.add(`${path()}.trace.traceparent`, `must be a W3C traceparent, got ${Faults.show(trace.traceparent)}`)
  }
  if (trace?.tracestate !== undefined && typeof trace.tracestate !== "string") {
    faults.add(`${path()}.trace.tracestate`, `must be a string, got ${Faults.show(trace.tracestate)}`)
  }
  if (headers === undefined) return
  for (const [name, header] of Object.entries(headers)) {
    const problem = Faults.nameProblem(name)
    if (problem !== undefined) faults.add(`${path()}.headers`, problem)
    if (typeof header !== "string") {
      faults.add(`${path()}.headers.${name}`, `must be a string, got ${Faults.show(header)}`)
    } else if (!Faults.isWellFormed(header)) {
      faults.add(`${path()}.headers.${name}`, "must be well-formed Unicode")
    }
  }
}

const checkName = (name: string | undefined, path: () => string, member: string, faults: Faults.Faults): void => {
  const problem = name === undefined ? undefined : Faults.nameProblem(name)
  if (problem !== undefined) faults.add(`${path()}.${member}`, problem)
}
