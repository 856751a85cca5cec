/**
 * What a body sees of time and chance, and where in it a fiber is: all of it the same each time the body runs over its
 * journal, whatever the order in which its fibers happen to run.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Scope from "effect/Scope"
import type * as Supervisor from "effect/Supervisor"
import * as Correlation from "../../event/Correlation.ts"

type Services = Context.Context<DefaultServices.DefaultServices>
/** The fiber that runs what is given it. Effect keeps to itself that a fiber can be set: `Effect.setFiberRefs` does just this. */
type AnyFiber = Fiber.RuntimeFiber<any, any> & { readonly setFiberRefs?: (refs: FiberRefs.FiberRefs) => void }

/** Where a fiber of a body is. Changed in place by its own fiber alone. */
export interface Place {
  /** After which activity, on which branch. */
  at: string
  /** How many fibers were forked from here. */
  forks: number
  /** The time of the last activity that it saw. */
  now: number
  seed: string
  /** Whether the body had no other fiber before. */
  alone: boolean
  random: Random.Random | undefined
}

const begin = (at: string, now: number, seed: string, alone: boolean): Place => ({
  at,
  forks: 0,
  now,
  seed,
  alone,
  random: undefined
})

const nowhere = begin("", 0, "", false)

export const place: FiberRef.FiberRef<Place> = FiberRef.unsafeMake(nowhere, {
  fork: (parent) => begin(`${parent.at}>${parent.forks++}`, parent.now, parent.seed, false),
  join: (parent, child) => {
    parent.now = Math.max(parent.now, child.now)
    return parent
  }
})

/** Whether a fiber is the only one that its body ever had. */
export const isAlone = (fiber: AnyFiber): boolean => {
  const { alone, forks } = fiber.getFiberRef(place)
  return alone && forks === 0
}

/** Whether somebody has interrupted a fiber, which may not have heard of it. */
export const isInterrupted = (fiber: AnyFiber): boolean => !Cause.isEmpty(fiber.getFiberRef(FiberRef.interruptedCause))

/** A fiber has seen an activity end. */
export const seenBy = (fiber: AnyFiber, id: string, at: number): void => {
  const own = fiber.getFiberRef(place)
  const now = Math.max(own.now, at)
  // one that no body has begun or forked
  if (own === nowhere) return void set(fiber, [[place, begin(id, now, own.seed, false)]])
  own.alone &&= own.forks === 0
  own.at = id
  own.forks = 0
  own.now = now
  own.random = undefined
}

/** The fiber that runs this has seen an activity end. */
export const seen = (id: string, at: number): Effect.Effect<void> =>
  Effect.withFiberRuntime((fiber) => {
    seenBy(fiber, id, at)
    return Effect.void
  })

const here = (): Place | undefined =>
  Option.getOrUndefined(Option.map(Fiber.getCurrentFiber(), (fiber) => fiber.getFiberRef(place)))

/** A clock that tells what time it was at the last activity; what sleeps on it, sleeps in truth. */
const clockOver = (outer: Clock.Clock): Clock.Clock => {
  const now = () => here()?.now ?? outer.unsafeCurrentTimeMillis()
  return {
    [Clock.ClockTypeId]: Clock.ClockTypeId,
    unsafeCurrentTimeMillis: now,
    unsafeCurrentTimeNanos: () => BigInt(Math.floor(now())) * 1_000_000n,
    currentTimeMillis: Effect.sync(now),
    currentTimeNanos: Effect.sync(() => BigInt(Math.floor(now())) * 1_000_000n),
    sleep: (duration) => outer.sleep(duration)
  }
}

/** Numbers drawn from the saga's seed and the fiber's place. */
const random: Random.Random = (() => {
  const own = <A>(f: (random: Random.Random) => Effect.Effect<A>): Effect.Effect<A> =>
    Effect.flatMap(FiberRef.get(place), (at) => f(at.random ??= Random.make(`${at.seed}/${at.at}`)))
  return {
    [Random.RandomTypeId]: Random.RandomTypeId,
    next: own((random) => random.next),
    nextBoolean: own((random) => random.nextBoolean),
    nextInt: own((random) => random.nextInt),
    nextRange: (min, max) => own((random) => random.nextRange(min, max)),
    nextIntBetween: (min, max) => own((random) => random.nextIntBetween(min, max)),
    shuffle: (elements) => own((random) => random.shuffle(elements))
  }
})()

const bodies = new WeakMap<Services, Services>()
const outsides = new WeakMap<Services, Services>()

/** The services of a body over those of the outside. */
const within = (services: Services): Services => {
  let found = bodies.get(services)
  if (found === undefined) {
    found = Context.add(
      Context.add(services, Clock.Clock, clockOver(Context.get(services, Clock.Clock))),
      Random.Random,
      random
    )
    bodies.set(services, found)
    outsides.set(found, services)
  }
  return found
}

/** Those of a fiber with the time and chance of the outside. */
const without = (own: Services, services: Services): Services =>
  own === services || outsides.get(own) === services ? services : Context.add(
    Context.add(own, Clock.Clock, Context.get(services, Clock.Clock)),
    Random.Random,
    Context.get(services, Random.Random)
  )

/** Sets values of the fiber that runs this. To set them one by one would copy all each time, and compare each by structure. */
const set = (
  fiber: AnyFiber,
  values: ReadonlyArray<readonly [FiberRef.FiberRef<any>, unknown]>
): FiberRefs.FiberRefs => {
  const id = fiber.id()
  const locals = new Map(fiber.getFiberRefs().locals)
  for (const [ref, value] of values) locals.set(ref, [[id, value]])
  const refs = FiberRefs.unsafeMake(locals)
  fiber.setFiberRefs!(refs)
  return refs
}

/** In a fiber of its own: what is set stays. */
export const inConversation = <A, E, R>(
  correlation: Correlation.Correlation,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.withFiberRuntime((fiber) => {
    set(fiber, [[Correlation.currentCorrelation, correlation]])
    return effect
  })

/**
 * Runs a body, in a fiber that runs nothing else before: its time begins when the saga did. How it ended is told once its Scope
 * has, and the fiber does what is answered, with nothing of the body's about it.
 */
export const run = <A, E>(
  body: Effect.Effect<A, E, any>,
  from: {
    readonly startedAt: number
    readonly seed: number
    readonly round: number
    readonly context: Context.Context<any>
    readonly supervisor: Supervisor.Supervisor<any>
  },
  ended: (exit: Exit.Exit<A, E>, fiber: Fiber.RuntimeFiber<any, any>) => Effect.Effect<void>
): Effect.Effect<void> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Scope.make(), (scope) =>
      Effect.withFiberRuntime((fiber: AnyFiber) => {
        const before = fiber.getFiberRefs()
        set(fiber, [
          [place, begin("", from.startedAt, `${from.seed}/${from.round}`, true)],
          [DefaultServices.currentServices, within(fiber.currentDefaultServices)],
          [
            FiberRef.currentContext,
            joined(fiber.currentContext as Context.Context<any>, from.context, Scope.Scope, scope)
          ],
          [FiberRef.currentSupervisor, fiber.getFiberRef(FiberRef.currentSupervisor).zip(from.supervisor)]
        ])
        const over = (exit: Exit.Exit<A, E>): Effect.Effect<void> => {
          // whether it was interrupted is one of them
          if (!isInterrupted(fiber)) fiber.setFiberRefs!(before)
          return restore(ended(exit, fiber))
        }
        return Effect.flatMap(Effect.exit(restore(body)), (exit) =>
          Effect.matchCauseEffect(Scope.close(scope, exit), {
            onSuccess: () => over(exit),
            onFailure: (cause) =>
              over(Exit.failCause(Exit.isFailure(exit) ? Cause.sequential(exit.cause, cause) : cause))
          }))
      })) as Effect.Effect<void>
  )

/** Two contexts, the second going before the first, and one service more. */
const joined = <I, S>(
  first: Context.Context<any>,
  second: Context.Context<any>,
  tag: Context.Tag<I, S>,
  service: S
): Context.Context<any> => {
  const services = new Map(first.unsafeMap)
  for (const [key, value] of second.unsafeMap) services.set(key, value)
  services.set(tag.key, service)
  return Context.unsafeMake(services)
}

/**
 * From here on the fiber that runs this is in a step: under the time and chance of the outside, with services of the step's own.
 * What is returned leads it back. Whoever calls this is not interrupted in between.
 */
export const enter = (fiber: AnyFiber, services: Services, context: Context.Context<any>): () => void => {
  const before = fiber.getFiberRefs()
  const { at, now, seed } = fiber.getFiberRef(place)
  const inside = set(fiber, [
    // what a step forks is none of the body's branches
    [place, begin(at, now, seed, false)],
    [DefaultServices.currentServices, without(fiber.currentDefaultServices, services)],
    [FiberRef.currentContext, context]
  ])
  return () => {
    const after = fiber.getFiberRefs()
    if (after === inside) return fiber.setFiberRefs!(before)
    const locals = new Map(after.locals)
    for (const ref of [place, DefaultServices.currentServices, FiberRef.currentContext]) {
      const was = before.locals.get(ref)
      if (was === undefined) locals.delete(ref)
      else locals.set(ref, was)
    }
    fiber.setFiberRefs!(FiberRefs.unsafeMake(locals))
  }
}

/** Runs what belongs to a step; see {@link enter}. */
export const outside = <A, E>(
  effect: Effect.Effect<A, E, any>,
  services: Services,
  context: Context.Context<any>
): Effect.Effect<A, E> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.withFiberRuntime((fiber) => {
      const leave = enter(fiber, services, context)
      return Effect.matchCauseEffect(restore(effect), {
        onFailure: (cause) => {
          leave()
          return Effect.failCause(cause)
        },
        onSuccess: (value) => {
          leave()
          return Effect.succeed(value)
        }
      }) as Effect.Effect<A, E>
    })
  )
