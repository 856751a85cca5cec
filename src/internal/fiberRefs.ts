import type * as Fiber from "effect/Fiber"
import type * as FiberId from "effect/FiberId"
import type * as FiberRef from "effect/FiberRef"
import type * as FiberRefs from "effect/FiberRefs"

/** What Effect's fibers have and their types do not tell. */
interface Runtime {
  readonly setFiberRef: <A>(ref: FiberRef.FiberRef<A>, value: A) => void
  readonly getFiberRefs: () => FiberRefs.FiberRefs
  readonly _fiberRefs?: FiberRefs.FiberRefs
}

/**
 * Sets a reference of the fiber that calls it, as `FiberRef.set` does, without an Effect of its own, again and again.
 * Only plain code that the fiber itself runs may call it.
 *
 * Each set copies all references of the fiber, since others may have them. A copy that was made here is the fiber's alone for as
 * long as the fiber has it: whoever asks the fiber for its references (a child that is forked, a `Runtime`) is given another copy,
 * which the fiber goes on with. So it is changed in place until then. An Effect whose fibers hand out what they go on with
 * would be found out, and each set then copies.
 */
export const setterOf = <A>(fiber: Fiber.RuntimeFiber<any, any>, ref: FiberRef.FiberRef<A>): (value: A) => void => {
  const runtime = fiber as unknown as Runtime
  const id = fiber.id() as FiberId.Single
  const handsOutCopies = runtime.getFiberRefs() !== runtime.getFiberRefs()
  let own: FiberRefs.FiberRefs | undefined
  /** What the fibers before this one had. */
  let inherited: ReadonlyArray<readonly [FiberId.Single, any]> = []
  return (value) => {
    if (own !== undefined && own === runtime._fiberRefs) {
      const top = [id, value] as const
      own.locals.set(ref, inherited.length === 0 ? [top] : [top, ...inherited])
      return
    }
    runtime.setFiberRef(ref, value)
    const stack = runtime._fiberRefs?.locals.get(ref)
    own = undefined
    if (!handsOutCopies || stack === undefined || stack[0][1] !== value || stack[0][0] !== id) return
    own = runtime._fiberRefs
    inherited = stack.slice(1)
  }
}
