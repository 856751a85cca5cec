import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import type { Scheduler, Task } from "effect/Scheduler"
import { clearTimeout, setTimeout } from "node:timers"
import { setImmediate } from "node:timers/promises"
import { Heap } from "../heap.ts"
import * as RealTime from "../realTime.ts"

/** The machine's own clock, for what is outside. */
const real = Clock.make()

interface Sleep {
  readonly at: number
  readonly order: number
  readonly resume: Resume
  readonly alive: () => boolean
  cancelled: boolean
}

type Resume = (effect: Effect.Effect<void>) => void

/** Where nobody sleeps, somebody outside may still have to answer: for so long, in real milliseconds. */
const longestAnswer = 10_000

/** What `setTimeout` takes. */
const longestRest = 2 ** 31 - 1

/** How often fibers may give way to each other while no time passes. */
const maxRounds = 100_000

/** The same once the world is over. */
const maxLastRounds = 1_000

/** Nothing is left to do and nobody sleeps, or time passes for ever, and the program has not ended. */
export class Stuck extends Error {
  constructor(why: string) {
    super(why)
    this.name = "Stuck"
  }
}

/**
 * A world of its own for a program: its fibers run one after the other, and its clock stands still while one of them can run,
 * then jumps to the next instant that somebody waits for. When the program has ended the world is over: what its fibers would
 * have done is not done any more, as when a process is killed.
 */
export class Simulation {
  #now = 0
  #order = 0
  #tasks: Array<Task> = []
  readonly #sleeps = new Heap<Sleep>((a, b) => a.at < b.at || (a.at === b.at && a.order < b.order))
  /** How long to wait, in real milliseconds, for what happens outside; in memory nothing does. */
  readonly #quiet: number

  /** What is let go of when the world is over. */
  readonly #last: Effect.Effect<void>

  constructor(options?: { readonly quiet?: number | undefined; readonly last?: Effect.Effect<void> | undefined }) {
    this.#quiet = options?.quiet ?? 0
    this.#last = options?.last ?? Effect.void
  }

  readonly #scheduler: Scheduler = {
    shouldYield: (fiber) =>
      fiber.currentOpCount > fiber.getFiberRef(FiberRef.currentMaxOpsBeforeYield)
        ? fiber.getFiberRef(FiberRef.currentSchedulingPriority)
        : false,
    scheduleTask: (task) => {
      this.#tasks.push(task)
    }
  }

  /** Those who wait for ever. */
  #stopped: Array<Resume> = []
  #over = false

  /** Whoever comes here never goes on. Once the world is over it is interrupted. */
  readonly stop: Effect.Effect<never> = Effect.async<void>((resume) => {
    if (this.#over) resume(Effect.interrupt)
    else this.#stopped.push(resume)
  }) as Effect.Effect<never>

  /** Of those who rest by the time outside: what they are is kept until then, and no longer than this world. */
  readonly #rests = new Set<NodeJS.Timeout>()
  readonly #outsideClock: Clock.Clock = {
    ...real,
    sleep: (duration) =>
      Effect.async<void>((resume) => {
        const millis = Duration.toMillis(duration)
        if (millis > longestRest) return
        const timer = setTimeout(() => {
          this.#rests.delete(timer)
          resume(Effect.void)
        }, millis)
        this.#rests.add(timer)
        return Effect.sync(() => {
          this.#rests.delete(timer)
          clearTimeout(timer)
        })
      })
  }

  readonly clock: Clock.Clock = this.clockOf(() => true)

  /** The time of this world for those who may be killed in it: whoever waits and is not alive then waits for ever. */
  clockOf(alive: () => boolean): Clock.Clock {
    const clock: Clock.Clock = {
      ...real,
      unsafeCurrentTimeMillis: () => this.#now,
      unsafeCurrentTimeNanos: () => BigInt(Math.round(this.#now * 1e6)),
      currentTimeMillis: Effect.sync(() => this.#now),
      currentTimeNanos: Effect.sync(() => BigInt(Math.round(this.#now * 1e6))),
      sleep: (duration) =>
        Effect.async<void>((resume) => {
          if (this.#over) return resume(Effect.interrupt)
          const sleep: Sleep = {
            at: this.#now + Math.max(0, Duration.toMillis(duration)),
            order: this.#order++,
            resume,
            alive,
            cancelled: false
          }
          this.#sleeps.push(sleep)
          return Effect.sync(() => {
            sleep.cancelled = true
          })
        })
    }
    RealTime.outside.set(clock, this.#outsideClock)
    return clock
  }

  /** Runs a program to its end, at most so many jumps of the clock. */
  async run<A, E>(program: Effect.Effect<A, E>, maxJumps: number): Promise<Exit.Exit<A, E>> {
    try {
      return await this.#run(program, maxJumps)
    } finally {
      this.#bury()
      for (const timer of this.#rests) clearTimeout(timer)
      this.#rests.clear()
    }
  }

  async #run<A, E>(program: Effect.Effect<A, E>, maxJumps: number): Promise<Exit.Exit<A, E>> {
    let ended: Exit.Exit<A, E> | undefined
    const fiber: Fiber.RuntimeFiber<A, E> = Effect.runFork(Effect.withClock(program, this.clock), {
      scheduler: this.#scheduler
    })
    fiber.addObserver((exit) => {
      ended = exit
    })
    for (let jumps = 0;;) {
      this.#drain()
      if (ended !== undefined) return ended
      if (await this.#outside(this.#quiet)) continue
      let next = this.#sleeps.pop()
      while (next !== undefined && (next.cancelled || !next.alive())) {
        if (!next.cancelled) this.#stopped.push(next.resume)
        next = this.#sleeps.pop()
      }
      if (next === undefined && this.#quiet > 0 && await this.#outside(longestAnswer)) continue
      if (next === undefined) throw new Stuck("nothing is left to do, and nobody sleeps")
      if (++jumps > maxJumps) throw new Stuck(`it has not ended after ${maxJumps} jumps of the clock`)
      this.#now = Math.max(this.#now, next.at)
      next.resume(Effect.void)
    }
  }

  /**
   * Effect keeps each fiber that nobody supervises until it ends, with all that it holds. So those that are left are interrupted, in
   * a world where nobody sleeps or waits for ever; what they do then is nobody's business.
   */
  #bury(): void {
    this.#over = true
    for (const fiber of Fiber.unsafeRoots()) {
      if (fiber.getFiberRef(FiberRef.currentScheduler) === this.#scheduler) fiber.unsafeInterruptAsFork(FiberId.none)
    }
    for (let sleep = this.#sleeps.pop(); sleep !== undefined; sleep = this.#sleeps.pop()) {
      if (!sleep.cancelled) this.#stopped.push(sleep.resume)
    }
    for (const resume of this.#stopped) resume(Effect.interrupt)
    this.#stopped = []
    Effect.runFork(Effect.withClock(this.#last, this.clock), { scheduler: this.#scheduler })
    try {
      this.#drain(maxLastRounds)
    } catch {
      this.#tasks = []
    }
  }

  #drain(most = maxRounds): void {
    for (let rounds = 0; this.#tasks.length > 0; rounds++) {
      if (rounds > most) throw new Stuck("its fibers run for ever, and no time passes")
      const tasks = this.#tasks
      this.#tasks = []
      for (const task of tasks) task()
    }
  }

  /** Whether something from outside has given a fiber something to do. */
  async #outside(millis: number): Promise<boolean> {
    const begun = real.unsafeCurrentTimeMillis()
    do {
      await setImmediate()
      if (this.#tasks.length > 0) return true
    } while (real.unsafeCurrentTimeMillis() - begun < millis)
    return false
  }
}
