import * as Chunk from "effect/Chunk"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as Correlation from "../../event/Correlation.ts"
import type { Raw } from "../../event/Envelope.ts"
import * as EventId from "../../event/EventId.ts"
import { InvalidInput } from "../../event/InvalidInput.ts"
import { PayloadFormat } from "../../event/PayloadFormat.ts"
import { expectedProblem, type ExpectedVersion, type Position, type StreamVersion } from "../../event/Position.ts"
import * as StreamId from "../../event/StreamId.ts"
import type { AppendError } from "../../store/AppendError.ts"
import type * as Driver from "../../store/Driver.ts"
import type { Appended, AppendedEvent, Operations, ReadError, Service, StreamState } from "../../store/EventStore.ts"
import { PayloadTransform } from "../../store/PayloadTransform.ts"
import { SnapshotStore } from "../../store/SnapshotStore.ts"
import type { StoreError } from "../../store/StoreError.ts"
import { Tombstoned } from "../../store/Tombstone.ts"
import * as AppendNow from "./appendNow.ts"
import * as AppendRequest from "./appendRequest.ts"
import * as Faults from "../faults.ts"
import * as LogAhead from "./logAhead.ts"
import * as Marks from "./marks.ts"
import * as ReadRequest from "./readRequest.ts"
import * as Reconnect from "./reconnect.ts"
import * as Rows from "../rows.ts"
import * as Traceparent from "../event/traceparent.ts"
import { tenantKey } from "./tenantKey.ts"

export const makeEncoded = <C extends Driver.Capability = never>(
  driver: Driver.Driver<C>,
  spans: boolean,
  reconnect: Schedule.Schedule<unknown, StoreError> = Reconnect.schedule
): Effect.Effect<Service<C>> =>
  Effect.gen(function*() {
    const formats = yield* PayloadFormat
    const transform = yield* PayloadTransform
    const nextId = yield* EventId.EventIds
    const formatName = Rows.formatName(formats, transform)
    const toRaws = Rows.reader(formats, transform)
    const toChunk = (rows: ReadonlyArray<Driver.Row>) => Effect.map(toRaws(rows), Chunk.unsafeFromArray)

    const hooks = new Set<(events: ReadonlyArray<Raw>) => Effect.Effect<void, unknown>>()
    // each hook gets events of its own, so that none can change what another sees
    const runHooks: Driver.Hook = (rows) =>
      Effect.forEach(hooks, (hook) => Effect.flatMap(toRaws(rows), hook), { discard: true })

    const send = (request: Driver.AppendRequest) =>
      Effect.map(
        driver.append(request, hooks.size === 0 ? undefined : runHooks),
        (result) => answerOf(request, result)
      )

    const keepsContent = (driver.capabilities as ReadonlyArray<Driver.Capability>).includes("durable")
    // payloads are measured as they are stored
    const limits = transform === undefined ? driver.limits : { ...driver.limits, payload: Infinity }
    const sendTransformed = (request: Driver.AppendRequest): Effect.Effect<Appended, AppendError> => {
      const tooLarge = AppendRequest.excess(request, driver.limits.payload)
      return tooLarge === undefined ? send(request) : Effect.fail(tooLarge)
    }

    const around = (
      fiber: Fiber.RuntimeFiber<any, any>,
      correlation = fiber.getFiberRef(Correlation.currentCorrelation)
    ): AppendRequest.Surroundings => ({
      correlation,
      traceparent: Traceparent.of(fiber),
      // a Clock may tell fractions: TestClock does after a delay with jitter
      now: Math.floor(Context.get(fiber.currentDefaultServices, Clock.Clock).unsafeCurrentTimeMillis()),
      nextId,
      format: formats.write,
      formatName,
      limits,
      keepsContent
    })

    const append: Operations["append"] = (groups, options) =>
      Effect.withFiberRuntime((fiber) => {
        const request = AppendRequest.make(groups, options, around(fiber))
        if ("_tag" in request) return Effect.fail(request)
        return transform === undefined
          ? send(request)
          : Effect.flatMap(Rows.transformed(transform, request), sendTransformed)
      })

    /** The end of a stream, its mark made as an event is. */
    const tombstoning = (
      fiber: Fiber.RuntimeFiber<any, any>,
      stream: string,
      expected: ExpectedVersion
    ): Effect.Effect<Driver.Tombstoning, InvalidInput | StoreError> => {
      const events = [{ type: Marks.tombstoned, payload: Tombstoned.make({}) }]
      const made = AppendRequest.make([{ stream, events }], undefined, { ...around(fiber), marks: true })
      if ("_tag" in made) {
        return made._tag === "InvalidEvent" ? Effect.fail(new InvalidInput({ faults: made.faults })) : Effect.die(made)
      }
      const ready = transform === undefined ? Effect.succeed(made) : Rows.transformed(transform, made)
      return Effect.map(ready, ({ groups: [group], now, tenant }) => ({
        tenant,
        stream,
        category: group!.category,
        expected: expected === 0 ? "noStream" : expected,
        mark: group!.events[0]!,
        now
      }))
    }

    const tombstone: Operations["tombstone"] = (stream, options) =>
      Effect.withFiberRuntime((fiber) =>
        Effect.flatMap(StreamId.parse(stream), (): ReturnType<Operations["tombstone"]> => {
          const expected = options?.expected ?? "any"
          const problem = expectedProblem(expected)
          if (problem !== undefined) return Faults.invalid("expected", problem)
          const end = Effect.flatMap(tombstoning(fiber, stream, expected), driver.tombstone)
          const snapshots = Context.getOption(fiber.currentContext, SnapshotStore)
          if (Option.isNone(snapshots)) return end
          const forget = snapshots.value.remove(tenantKey(tenantOf(fiber), stream))
          const both = Effect.zipRight(end, forget)
          // asked for again, it drops what a crash may have left
          return Effect.catchTag(
            driver.withTransaction === undefined ? both : driver.withTransaction(both),
            "StreamTombstoned",
            (ended) => Effect.zipRight(forget, Effect.fail(ended))
          )
        })
      )

    const read: Operations["read"] = (stream, options) =>
      checkedStream((tenant) => ReadRequest.stream(stream, options, tenant), (request) => {
        const size = pageSize()
        return Stream.paginateChunkEffect(request, (page) => {
          if (page.limit <= 0 || page.from > page.to) return nothing
          const limit = Math.min(page.limit, size.current)
          return Effect.flatMap(driver.readStream({ ...page, limit }), (rows) => {
            size.after(rows)
            const last = rows[rows.length - 1]
            const rest = rows.length < limit || last === undefined ? Option.none() : Option.some({
              ...page,
              ...(page.backwards ? { to: last.version - 1 } : { from: last.version + 1 }),
              limit: page.limit - rows.length
            })
            return Effect.map(toChunk(rows), (chunk) => [chunk, rest] as const)
          })
        })
      })

    const readPage: Operations["readPage"] = (stream, options) =>
      Effect.withFiberRuntime((fiber) => {
        const page = ReadRequest.stream(stream, options, tenantOf(fiber))
        if (Either.isLeft(page)) return Effect.fail(page.left)
        return Effect.flatMap(
          driver.readStream({ ...page.right, limit: foldPage }),
          (rows) => Effect.map(toRaws(rows), (events) => ({ events, more: events.length === foldPage }))
        )
      })

    const readAll: Operations["readAll"] = (options) =>
      checkedStream((tenant) => ReadRequest.log(options, tenant), (request) => {
        const size = pageSize()
        return LogAhead.pages(driver, (read) =>
          Stream.paginateChunkEffect(request, (page) => {
            if (ReadRequest.isEmpty(page)) return nothing
            const limit = Math.min(page.limit, size.current)
            return Effect.flatMap(read.page({ ...page, limit }), ({ rows }) => {
              size.after(rows)
              const last = rows[rows.length - 1]
              if (rows.length < limit || last === undefined) {
                return Effect.map(toChunk(rows), (chunk) => [chunk, Option.none()] as const)
              }
              const rest = {
                ...page,
                ...(page.backwards ? { to: last.position - 1 } : { after: last.position }),
                limit: page.limit - rows.length
              }
              const next = ReadRequest.isEmpty(rest)
                ? Effect.void
                : read.ahead({ ...rest, limit: Math.min(rest.limit, size.current) })
              return Effect.zipRight(next, Effect.map(toChunk(rows), (chunk) => [chunk, Option.some(rest)] as const))
            })
          }))
      })

    const subscribe: Operations["subscribe"] = (options = {}) =>
      checkedStream((tenant) => ReadRequest.subscription(options, tenant), ({ page, start }) =>
        Stream.unwrap(Effect.gen(function*() {
          const { again, answered } = yield* Reconnect.make(options.reconnect ?? reconnect)
          const from = yield* start === "latest" ? again(driver.head) : Effect.succeed(start)
          const size = pageSize()
          const empty = ReadRequest.isEmpty(page)
          let cursor = from
          let told = -1
          const caughtUp = Effect.suspend(() => {
            if (options.onCaughtUp === undefined || told === cursor) {
              return Effect.void
            }
            told = cursor
            return options.onCaughtUp(cursor as Position)
          })
          /** The next events there are; waits where there is none yet. */
          const pull: Effect.Effect<Chunk.Chunk<Raw>, ReadError> = Effect.suspend(() =>
            Effect.flatMap(
              empty ? Effect.never : answered(driver.readLog({ ...page, after: cursor, limit: size.current })),
              ({ rows, upTo }) => {
                size.after(rows)
                const next = Math.max(cursor, upTo)
                if (rows.length > 0) {
                  // only then: what fails to be read is read again
                  return Effect.tap(toChunk(rows), () =>
                    Effect.sync(() => cursor = next))
                }
                cursor = next
                return Effect.zipRight(caughtUp, Effect.zipRight(driver.awaitBeyond(cursor), pull))
              }
            )
          )
          return Stream.repeatEffectChunk(again(pull))
        })))

    const service: Operations = {
      driver: driver.name,
      capabilities: new Set(driver.capabilities),
      append: spans ? traced(driver.name, append) : append,
      read,
      readPage,
      readAll,
      subscribe,
      find: (id) =>
        Effect.withFiberRuntime((fiber) => {
          const problem = EventId.problem(id)
          if (problem !== undefined) {
            return Faults.invalid("id", problem)
          }
          return Effect.map(driver.find(tenantOf(fiber), id), (found) =>
            found === undefined ? Option.none() : Option.some({ id, ...found } as AppendedEvent))
        }),
      streamState: (stream) =>
        forStream(stream, (tenant) => Effect.map(driver.streamStatus(tenant, stream), stateOf)),
      head: driver.head as Effect.Effect<Position, never>,
      truncate: (stream, { before }) =>
        forStream(stream, (tenant): ReturnType<Operations["truncate"]> => {
          const problem = Faults.countProblem(before, 1)
          if (problem !== undefined) return Faults.invalid("before", problem)
          return Effect.flatMap(driver.truncate({ tenant, stream, before }), (answer) =>
            answer.state === "done"
              ? Effect.void
              : Faults.invalid(
                "before",
                `must be at most ${answer.version + 1}, the last version plus one, got ${before}`
              ))
        }),
      tombstone,
      transfer: driver.transfer,
      onAppend: (hook) =>
        Effect.acquireRelease(
          Effect.sync(() => {
            // a hook given twice is two hooks
            const own: typeof hook = (events) => hook(events)
            hooks.add(own)
            return own
          }),
          (own) => Effect.sync(() => hooks.delete(own))
        )
    }
    const made = (driver.withTransaction === undefined
      ? service
      : { ...service, withTransaction: driver.withTransaction }) as Service<C>
    const write = AppendNow.writeOf(driver)
    if (write !== undefined && !spans && transform === undefined) {
      AppendNow.serve(made, (fiber, correlation, groups) => {
        if (hooks.size > 0) return undefined
        try {
          const request = AppendRequest.make(groups, undefined, around(fiber, correlation))
          if ("_tag" in request) return Exit.fail(request)
          const result = write(request)
          if (result === undefined) return undefined
          return "_tag" in result ? Exit.fail(result) : Exit.succeed(answerOf(request, result))
        } catch (defect) {
          return Exit.die(defect)
        }
      })
    }
    return made
  })

/** In a span of its own; the events then carry that span as their trace. */
const traced = (driver: string, append: Operations["append"]): Operations["append"] => (groups, options) =>
  Effect.withSpan(append(groups, options), "EventStore.append", {
    kind: "client",
    captureStackTrace: false,
    attributes: {
      "db.system.name": `skald.${driver}`,
      "db.operation.name": "append",
      "db.operation.batch.size": groups.reduce((sum, group) => sum + group.events.length, 0)
    }
  })

const nothing = Effect.succeed([Chunk.empty<Raw>(), Option.none<never>()] as const)

const tenantOf = (fiber: Fiber.RuntimeFiber<any, any>): string =>
  fiber.getFiberRef(Correlation.currentCorrelation).tenant ?? ""

/** A stream whose request is checked, for the fiber's tenant, when it is run. */
const checkedStream = <Request, A, E>(
  check: (tenant: string) => Either.Either<Request, InvalidInput>,
  run: (request: Request) => Stream.Stream<A, E>
): Stream.Stream<A, E | InvalidInput> =>
  Stream.unwrap(Effect.withFiberRuntime((fiber) => Effect.map(check(tenantOf(fiber)), run)))

const forStream = <A, E>(
  stream: string,
  run: (tenant: string) => Effect.Effect<A, E>
): Effect.Effect<A, E | InvalidInput> =>
  Effect.withFiberRuntime((fiber) => Effect.flatMap(StreamId.parse(stream), () => run(tenantOf(fiber))))

const answerOf = (request: Driver.AppendRequest, result: Driver.AppendResult) => {
  const events: Array<AppendedEvent> = []
  for (const group of request.groups) {
    for (const event of group.events) {
      const { position, version } = result.events[events.length]!
      events.push({
        id: event.id,
        stream: group.stream as StreamId.StreamId,
        version: version as StreamVersion,
        position: position as Position
      })
    }
  }
  return {
    repeated: result.repeated,
    position: events[events.length - 1]!.position,
    recordedAt: instantOf(result.recordedAt),
    events
  }
}

/** Answers of one millisecond share their instant: to make one takes longer than to write an event to memory. */
const instantOf = (() => {
  let last = DateTime.unsafeMake(0)
  return (millis: number): DateTime.Utc => last.epochMillis === millis ? last : last = DateTime.unsafeMake(millis)
})()

const stateOf = (status: Driver.StreamStatus): StreamState =>
  status.state === "missing"
    ? { _tag: "missing" }
    : status.state === "tombstoned"
    ? { _tag: "tombstoned", version: status.version as StreamVersion }
    : {
      _tag: "live",
      version: status.version as StreamVersion,
      firstVersion: status.firstVersion as StreamVersion
    }

/** How many rows the next page asks for: more while rows are small, fewer while they are large, so that memory is bounded. */
const pageSize = () => {
  const size = {
    current: 128,
    after: (rows: ReadonlyArray<Driver.Row>): void => {
      if (rows.length === 0) return
      let length = 0
      for (const row of rows) length += row.payload.length
      const fitting = Math.floor(pageBytes / (length / rows.length + 1))
      size.current = Math.max(1, Math.min(size.current * 2, fitting, 1024))
    }
  }
  return size
}

/** How many events a page of `readPage` holds. */
const foldPage = 256

/** About how many bytes of payload a page holds. */
const pageBytes = 4_194_304
