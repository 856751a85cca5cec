/**
 * A case of the conformance suite is a named Effect that fails or dies when a driver does not do what it must: no test
 * runner is needed to run it.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as FastCheck from "effect/FastCheck"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { AssertionError } from "node:assert"
import * as assert from "node:assert/strict"
import { randomUUID } from "node:crypto"
import * as Correlation from "../../../event/Correlation.ts"
import type { Raw } from "../../../event/Envelope.ts"
import type * as EventStore from "../../../store/EventStore.ts"
import * as ForAll from "../forAll.ts"

export type Store = EventStore.Operations

/** Something that a `T` must do. */
export interface Case<in T> {
  readonly name: string
  readonly run: (subject: T) => Effect.Effect<void, unknown, Scope.Scope>
}

/** Cases about one thing. */
export interface Section<in T> {
  readonly name: string
  readonly cases: ReadonlyArray<Case<T>>
}

/** Cases by their names. Each runs in a tenant of its own, so that a log may be shared. */
export const section = <T>(
  name: string,
  cases: { readonly [name: string]: (subject: T) => Effect.Effect<unknown, unknown, Scope.Scope> }
): Section<T> => ({
  name,
  cases: Object.entries(cases).map(([name, run]) => ({
    name,
    run: (subject) => Effect.asVoid(inTenant(run(subject)))
  }))
})

/** A name that nobody else has used, in no process: what is left of earlier runs must not matter. */
export const unique = (): string => randomUUID()

/** Runs an effect in a tenant of its own. */
export const inTenant = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.suspend(() => Correlation.locally(effect, { tenant: `tenant ${unique()}` }))

/** Runs an effect at an instant. What it forks waits as ever. */
export const at = (millis: number) => <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
  const clock: Clock.Clock = Clock.make()
  return Effect.withClock(effect, {
    [Clock.ClockTypeId]: Clock.ClockTypeId,
    unsafeCurrentTimeMillis: () => millis,
    unsafeCurrentTimeNanos: () => BigInt(millis) * 1_000_000n,
    currentTimeMillis: Effect.succeed(millis),
    currentTimeNanos: Effect.succeed(BigInt(millis) * 1_000_000n),
    sleep: (duration) => clock.sleep(duration)
  })
}

/** An event of type `A`, where nothing else matters. */
export const event = (
  payload: unknown = {},
  options?: Partial<EventStore.NewEvent>
): EventStore.NewEvent & { readonly id: string } => ({ type: "A", payload, ...options, id: options?.id ?? unique() })

/** Several such events, told apart by their payloads. */
export const events = (count: number, options?: Partial<EventStore.NewEvent>) =>
  Array.from({ length: count }, (_, index) => event({ n: index }, options))

export const collect = <E>(stream: Stream.Stream<Raw, E>): Effect.Effect<ReadonlyArray<Raw>, E> =>
  Effect.map(Stream.runCollect(stream), (chunk) => Array.from(chunk))

/** What a read of the log shows, without the marks that the library leaves in it. */
export const readAll = (store: Store, options?: EventStore.ReadAllOptions) =>
  Effect.map(collect(store.readAll(options)), (all) => all.filter((raw) => !raw.type.startsWith("$")))

export const read = (store: Store, stream: string, options?: EventStore.ReadOptions) =>
  collect(store.read(stream, options))

/** An event with its times as numbers, for comparisons. */
export const plain = (raw: Raw) => ({
  ...raw,
  occurredAt: raw.occurredAt.epochMillis,
  recordedAt: raw.recordedAt.epochMillis,
  metadata: { ...raw.metadata },
  tags: [...raw.tags].sort()
})

export const equal = (actual: unknown, expected: unknown, message?: string): void =>
  assert.deepStrictEqual(actual, expected, message)

/** That two reads show the same events. */
export const same = (actual: ReadonlyArray<Raw>, expected: ReadonlyArray<Raw>, message?: string): void =>
  equal(actual.map(plain), expected.map(plain), message)

export const check = (condition: boolean, message: string): void => assert.ok(condition, message)

export const idsOf = (raws: ReadonlyArray<{ readonly id: string }>) => raws.map((raw) => raw.id)

export const versionsOf = (raws: ReadonlyArray<{ readonly version: number }>): ReadonlyArray<number> =>
  raws.map((raw) => raw.version)

export const positionsOf = (raws: ReadonlyArray<{ readonly position: number }>): ReadonlyArray<number> =>
  raws.map((raw) => raw.position)

export const increasing = (numbers: ReadonlyArray<number>, message: string): void => {
  const place = numbers.findIndex((number, index) => index > 0 && numbers[index - 1]! >= number)
  check(place < 0, `${message} do not increase at ${place}: ${numbers.slice(Math.max(0, place - 2), place + 2)}`)
}

type Fields = { readonly [name: string]: unknown }

/** The failure of an effect, which must fail with this tag and these fields. */
export const refused = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  tag: string,
  fields: Fields = {}
): Effect.Effect<E, never, R> =>
  Effect.flatMap(Effect.exit(effect), (exit) =>
    Effect.sync(() => {
      if (Exit.isSuccess(exit)) throw notRefused(tag, exit.value)
      const failure = Cause.failureOption(exit.cause)
      if (failure._tag === "None") {
        throw new AssertionError({ message: `not refused with ${tag}, but: ${Cause.pretty(exit.cause)}` })
      }
      const error = failure.value as any
      equal(
        { _tag: error._tag, ...Object.fromEntries(Object.keys(fields).map((name) => [name, error[name]])) },
        { _tag: tag, ...fields }
      )
      return failure.value
    }))

const notRefused = (tag: string, value: unknown) =>
  new AssertionError({ message: `was not refused with ${tag}`, actual: value, operator: "refused" })

/** That an effect leaves the tenant's log as it was. */
export const unchanged = <A, E, R>(store: Store, effect: Effect.Effect<A, E, R>): Effect.Effect<A, unknown, R> =>
  Effect.gen(function*() {
    const before = yield* readAll(store)
    const result = yield* effect
    same(yield* readAll(store), before, "the log has changed")
    return result
  })

/** That an effect is refused, and leaves the tenant's log as it was. */
export const refusedUnchanged = <A, E, R>(
  store: Store,
  effect: Effect.Effect<A, E, R>,
  tag: string,
  fields?: Fields
): Effect.Effect<E, unknown, R> => unchanged(store, refused(effect, tag, fields))

/** How often properties are tried, and from which seed; the options of the suite. */
export interface Runs {
  readonly numRuns: number
  readonly seed: number | undefined
}

/** That a property holds for all of some cases, each in a tenant of its own; shows the smallest that breaks it. */
export const forAll = <A>(
  arbitrary: FastCheck.Arbitrary<A>,
  property: (drawn: A) => Effect.Effect<unknown, unknown, Scope.Scope>,
  runs: Runs
): Effect.Effect<void> =>
  ForAll.forAll(
    arbitrary,
    (drawn) => Effect.asVoid(inTenant(Effect.scoped(Effect.suspend(() => property(drawn))))),
    runs
  )
