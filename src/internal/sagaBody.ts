/**
 * What a body sees of time and chance, and where in it a fiber is: all of it the same each time the body runs over its
 * journal, whatever the order in which its fibers happen to run.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as Option from "effect/Option"
import * as Random from "effect/Random"

/** Where a fiber of a body is. Changed in place by its own fiber alone. */
export interface Place {
  /** After which activity, on which branch. */
  at: string
  /** How many fibers were forked from here. */
  forks: number
  /** The time of the last activity that it saw. */
  now: number
  seed: string
  random: Random.Random | undefined
}

const begin = (at: string, now: number, seed: string): Place => ({ at, forks: 0, now, seed, random: undefined })

export const place: FiberRef.FiberRef<Place> = FiberRef.unsafeMake(begin("", 0, ""), {
  fork: (parent) => begin(`${parent.at}>${parent.forks++}`, parent.now, parent.seed),
  join: (parent, child) => {
    parent.now = Math.max(parent.now, child.now)
    return parent
  }
})

/** A fiber has seen an activity end. */
export const seen = (id: string, at: number): Effect.Effect<void> =>
  FiberRef.update(place, (before) => begin(id, Math.max(before.now, at), before.seed))

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

/** Runs a body: its time begins when the saga did. */
export const run = <A, E, R>(
  body: Effect.Effect<A, E, R>,
  from: { readonly startedAt: number; readonly seed: number; readonly round: number }
): Effect.Effect<A, E, R> =>
  Effect.locallyWith(
    Effect.locally(body, place, begin("", from.startedAt, `${from.seed}/${from.round}`)),
    DefaultServices.currentServices,
    (services) => {
      const outer = Context.get(services, Clock.Clock)
      return Context.add(Context.add(services, Clock.Clock, clockOver(outer)), Random.Random, random)
    }
  )

/** Runs what belongs to a step under the time and chance of the outside. */
export const outside = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  services: Context.Context<DefaultServices.DefaultServices>
): Effect.Effect<A, E, R> =>
  Effect.locallyWith(effect, DefaultServices.currentServices, (own) =>
    Context.add(
      Context.add(own, Clock.Clock, Context.get(services, Clock.Clock)),
      Random.Random,
      Context.get(services, Random.Random)
    ))
