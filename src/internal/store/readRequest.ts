import type * as Either from "effect/Either"
import type { InvalidInput } from "../../event/InvalidInput.ts"
import * as StreamId from "../../event/StreamId.ts"
import type * as Driver from "../../store/Driver.ts"
import type { Filter, ReadAllOptions, ReadOptions, SubscribeOptions } from "../../store/EventStore.ts"
import * as Query from "../../store/Query.ts"
import * as Faults from "../faults.ts"
import * as Instant from "../instant.ts"

/** Beyond any version, position, instant or count. */
const unbounded = Number.MAX_SAFE_INTEGER

const count = (value: unknown, min: number, path: string, otherwise: number, faults: Faults.Faults): number => {
  if (value === undefined) return otherwise
  const problem = Faults.countProblem(value, min)
  if (problem === undefined) return value as number
  faults.add(path, problem)
  return otherwise
}

const flag = (value: unknown, path: string, faults: Faults.Faults): boolean => {
  if (value !== undefined && typeof value !== "boolean") {
    faults.add(path, `must be true or false, got ${Faults.show(value)}`)
  }
  return value === true
}

/** A read of one stream, checked. */
export const stream = (
  name: string,
  options: ReadOptions | undefined,
  tenant: string
): Either.Either<Driver.StreamPage, InvalidInput> => {
  const faults = Faults.make()
  const problem = StreamId.problem(name)
  if (problem !== undefined) faults.add("stream", problem)
  const page: Driver.StreamPage = {
    tenant,
    stream: name,
    from: Math.max(1, count(options?.from, 0, "from", 1, faults)),
    to: count(options?.to, 0, "to", unbounded, faults),
    backwards: flag(options?.backwards, "backwards", faults),
    limit: count(options?.limit, 0, "limit", unbounded, faults)
  }
  return Faults.orInvalid(faults, () => page)
}

/** A read of the log, checked. */
export const log = (
  options: ReadAllOptions | undefined,
  tenant: string
): Either.Either<Driver.LogPage, InvalidInput> => {
  const faults = Faults.make()
  const page: Driver.LogPage = {
    ...filter(options, tenant, faults),
    after: count(options?.after, 0, "after", 0, faults),
    to: count(options?.to, 0, "to", unbounded, faults),
    backwards: flag(options?.backwards, "backwards", faults),
    limit: count(options?.limit, 0, "limit", unbounded, faults)
  }
  return Faults.orInvalid(faults, () => page)
}

/** A subscription, checked: where it begins, and the pages that it asks for. */
export const subscription = (
  options: SubscribeOptions,
  tenant: string
): Either.Either<{ readonly start: number | "latest"; readonly page: Driver.LogPage }, InvalidInput> => {
  const faults = Faults.make()
  const after = options.after ?? "latest"
  const start = after === "latest" ? after : after === "earliest" ? 0 : count(after, 0, "after", 0, faults)
  const page = { ...filter(options, tenant, faults), after: 0, to: unbounded, backwards: false, limit: unbounded }
  return Faults.orInvalid(faults, () => ({ start, page }))
}

const filter = (
  options: Filter | undefined,
  tenant: string,
  faults: Faults.Faults
): Omit<Driver.LogPage, "after" | "to" | "backwards" | "limit"> => {
  const add = (path: string, problem: string | undefined) => {
    if (problem !== undefined) faults.add(path, problem)
  }
  if (options?.stream !== undefined) add("stream", StreamId.problem(options.stream))
  if (options?.category !== undefined) add("category", StreamId.categoryProblem(options.category))
  if (options?.correlationId !== undefined) add("correlationId", Faults.nameProblem(options.correlationId))
  if (options?.query !== undefined) Query.check(options.query, "query", faults)
  if (options?.types !== undefined) {
    if (!Array.isArray(options.types) || options.types.length === 0) add("types", "must be a list that names a type")
    else options.types.forEach((type, index) => add(`types[${index}]`, Faults.nameProblem(type)))
  }
  const time = options?.time ?? "occurredAt"
  if (time !== "occurredAt" && time !== "recordedAt") {
    add("time", `must be "occurredAt" or "recordedAt", got ${Faults.show(time)}`)
  }
  const since = options?.since === undefined ? -unbounded : Instant.millis(options.since, "since", faults)
  const until = options?.until === undefined ? unbounded : Instant.millis(options.until, "until", faults)
  return {
    tenant: flag(options?.allTenants, "allTenants", faults) ? undefined : tenant,
    stream: options?.stream,
    category: options?.category,
    types: options?.types,
    query: options?.query?._tag === "All" ? undefined : options?.query,
    correlationId: options?.correlationId,
    time: options?.since === undefined && options?.until === undefined ? undefined : { of: time, since, until }
  }
}

/** Whether a page cannot hold anything, so that no driver need be asked. */
export const isEmpty = (page: Driver.LogPage): boolean =>
  page.limit <= 0 || page.after >= page.to || (page.time !== undefined && page.time.since >= page.time.until)
