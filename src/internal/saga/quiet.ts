import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as FiberStatus from "effect/FiberStatus"
import * as HashSet from "effect/HashSet"
import * as Option from "effect/Option"
import * as RuntimeFlags from "effect/RuntimeFlags"
import * as Supervisor from "effect/Supervisor"

type AnyFiber = Fiber.RuntimeFiber<any, any>

/**
 * Knows of each fiber of a saga whether it only waits: for an instant, for the journal, or for fibers that do. What a body
 * waits for otherwise, a promise say, is work, and is never taken for waiting.
 */
export class Quiet extends Supervisor.AbstractSupervisor<void> {
  override readonly value = Effect.void
  /** The fibers there are, each with the one that began it. */
  private readonly alive = new Map<AnyFiber, AnyFiber | undefined>()
  /** Those that wait, each with the instant that it waits for. */
  private readonly waits = new Map<AnyFiber, number>()
  private readonly told: () => void
  private changes = 0

  constructor(told: () => void) {
    super()
    this.told = told
  }

  override onStart<A, E, R>(
    _context: Context.Context<R>,
    _effect: Effect.Effect<A, E, R>,
    parent: Option.Option<Fiber.RuntimeFiber<any, any>>,
    fiber: Fiber.RuntimeFiber<A, E>
  ): void {
    this.changes++
    this.alive.set(fiber, Option.getOrUndefined(parent))
  }

  override onEnd<A, E>(_exit: Exit.Exit<A, E>, fiber: Fiber.RuntimeFiber<A, E>): void {
    this.changes++
    this.alive.delete(fiber)
    this.told()
  }

  /** One that was begun outside. */
  add(fiber: AnyFiber): void {
    if (this.alive.has(fiber)) return
    this.changes++
    this.alive.set(fiber, undefined)
    fiber.addObserver((exit) => this.onEnd(exit, fiber))
  }

  /** Waits for an instant, or, with `Infinity`, for the journal alone. */
  waiting<A, E, R>(instant: number, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.withFiberRuntime((fiber) => {
      this.changes++
      this.waits.set(fiber, instant)
      this.told()
      return Effect.ensuring(
        effect,
        Effect.sync(() => {
          this.changes++
          this.waits.delete(fiber)
        })
      )
    })
  }

  /**
   * The first instant that something waits for (`Infinity` where it is the journal alone), once every fiber has told where it
   * is; none where one of them works. The answer holds as long as {@link mark} is what it was, and the journal too.
   */
  readonly ask: Effect.Effect<{ readonly due: number; readonly mark: number } | undefined> = Effect.suspend(() => {
    const mark = this.changes
    return Effect.map(
      // One that was told to go on does so before it answers.
      Effect.forEach(this.alive.keys(), (fiber) => Effect.map(fiber.status, (status) => [fiber, status] as const)),
      (all) => {
        if (mark !== this.changes || !all.every(([fiber, status]) => this.rests(fiber, status))) return undefined
        let due = Number.POSITIVE_INFINITY
        for (const instant of this.waits.values()) due = Math.min(due, instant)
        return { due, mark }
      }
    )
  })

  /** Whether a fiber is the only one there is. */
  isAlone(fiber: AnyFiber): boolean {
    return this.alive.size === 1 && this.alive.has(fiber)
  }

  get mark(): number {
    return this.changes
  }

  private rests(fiber: AnyFiber, status: FiberStatus.FiberStatus): boolean {
    if (this.waits.has(fiber)) return true
    if (!FiberStatus.isSuspended(status)) return false
    return this.awaitsChild(fiber, status.blockingOn) || this.collects(fiber, status)
  }

  /** It has begun a race, or joins what it forked. */
  private awaitsChild(fiber: AnyFiber, blockingOn: FiberId.FiberId): boolean {
    const ids = FiberId.ids(blockingOn)
    for (const [child, parent] of this.alive) {
      if (parent === fiber && HashSet.some(FiberId.ids(child.id()), (id) => HashSet.has(ids, id))) return true
    }
    return false
  }

  /** One that collects the results of parallel effects, which its parent has begun beside it. */
  private collects(fiber: AnyFiber, status: FiberStatus.Suspended): boolean {
    const parent = this.alive.get(fiber)
    if (parent === undefined || RuntimeFlags.interruptible(status.runtimeFlags)) return false
    for (const [other, of] of this.alive) if (of === parent && other !== fiber) return true
    return false
  }
}
