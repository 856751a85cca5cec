/**
 * How far something has come in the log, kept by name and moved by compare-and-set.
 *
 * @since 0.1.0
 */
import { Context, Effect, Layer, Option, Schema } from "effect"
import type { InvalidInput } from "../event/InvalidInput.ts"
import { Position } from "../event/Position.ts"
import * as Faults from "../internal/faults.ts"
import * as Mutex from "../internal/mutex.ts"
import type { StoreError } from "./StoreError.ts"

/**
 * Somebody else moved the checkpoint: it does not stand where the caller thought. Nothing was changed, and the caller's
 * effect did not run or was rolled back.
 *
 * @since 0.1.0
 * @category errors
 */
export class CheckpointConflict extends Schema.TaggedError<CheckpointConflict>("effect-skald/store/CheckpointConflict")(
  "CheckpointConflict",
  {
    name: Schema.String,
    /** Where the caller thought it stood; absent for "nowhere yet". */
    expected: Schema.optional(Position),
    /** Where it stands; absent for "nowhere yet". */
    actual: Schema.optional(Position)
  }
) {
  override get message(): string {
    const show = (position: Position | undefined) => position === undefined ? "nowhere yet" : `at ${position}`
    return `checkpoint "${this.name}" stands ${show(this.actual)}, expected it ${show(this.expected)}`
  }
}

/**
 * A move of a checkpoint, with what happens together with it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Commit<A, E, R, F, RF> {
  /** Where the checkpoint stands now; `undefined` (or none) when it stands nowhere yet. */
  readonly expected: Position | undefined | Option.Option<Position>
  /** Where it stands afterwards. It may go back: a rebuild does. */
  readonly next: Position
  /** What belongs to the move: writing the read model, say. It runs once, after the checks. */
  readonly effect: Effect.Effect<A, E, R>
  /** A check that runs first, in the same transaction: `held.check` of a Lease, so that one who lost it writes nothing. */
  readonly fence?: Effect.Effect<unknown, F, RF> | undefined
}

/**
 * What a checkpoint store does.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /** Where a checkpoint stands, if anywhere. */
  readonly get: (name: string) => Effect.Effect<Option.Option<Position>, StoreError | InvalidInput>
  /**
   * Runs an effect and moves the checkpoint, both or neither.
   *
   * On a database both are one transaction, which is the caller's where there is one. In memory the checkpoint moves after the
   * effect has succeeded; what the effect did elsewhere before it failed stays done. Moves of one name wait for each other.
   */
  readonly commit: <A, E, R, F = never, RF = never>(
    name: string,
    move: Commit<A, E, R, F, RF>
  ) => Effect.Effect<A, E | F | CheckpointConflict | StoreError | InvalidInput, R | RF>
  /** Forgets a checkpoint; it stands nowhere then. */
  readonly remove: (name: string) => Effect.Effect<void, StoreError | InvalidInput>
}

/**
 * Keeps checkpoints.
 *
 * @example
 * ```ts
 * import * as Position from "effect-skald/event/Position"
 * import { CheckpointStore, layerMemory } from "effect-skald/store/CheckpointStore"
 * import { Effect } from "effect"
 *
 * export const program = Effect.gen(function*() {
 *   const checkpoints = yield* CheckpointStore
 *   const expected = yield* checkpoints.get("revenue")
 *   yield* checkpoints.commit("revenue", {
 *     expected,
 *     next: Position.Position.make(10),
 *     effect: Effect.log("the read model is written here")
 *   })
 * }).pipe(Effect.provide(layerMemory))
 * ```
 *
 * @since 0.1.0
 * @category services
 */
export class CheckpointStore extends Context.Tag("effect-skald/store/CheckpointStore")<CheckpointStore, Service>() {}

/**
 * What a driver of checkpoints does; what it is given has been checked.
 *
 * @since 0.1.0
 * @category models
 */
export interface Encoded {
  readonly get: (name: string) => Effect.Effect<Position | undefined, StoreError>
  /** Sets the position where it is the expected one, and answers `undefined`; answers the actual one otherwise. */
  readonly set: (
    name: string,
    expected: Position | undefined,
    next: Position
  ) => Effect.Effect<undefined | { readonly actual: Position | undefined }, StoreError>
  readonly remove: (name: string) => Effect.Effect<void, StoreError>
  /** All or nothing, as far as the driver can; excludes other moves of this name. */
  readonly atomically: (
    name: string
  ) => <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | StoreError, R>
  /** Whether a failure after `set` takes it back; where not, the checkpoint is set after the effect. */
  readonly rollsBack: boolean
}

/**
 * A checkpoint store over a driver: inputs are checked, and conflicts are told.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeEncoded = (driver: Encoded): Service => ({
  get: (name) => Effect.zipRight(checked({ name }), Effect.map(driver.get(name), Option.fromNullable)),
  remove: (name) => Effect.zipRight(checked({ name }), driver.remove(name)),
  commit: (name, move) => {
    const expected = Option.isOption(move.expected) ? Option.getOrUndefined(move.expected) : move.expected
    const set = Effect.flatMap(
      driver.set(name, expected, move.next),
      (conflict) => conflict === undefined ? Effect.void : new CheckpointConflict({ name, expected, ...conflict })
    )
    const peek = Effect.flatMap(
      driver.get(name),
      (actual) => actual === expected ? Effect.void : new CheckpointConflict({ name, expected, actual })
    )
    // The checks come first, so that nothing of a stale mover runs; a database takes the move back if the effect fails.
    const work = driver.rollsBack
      ? Effect.zipRight(set, move.effect)
      : Effect.zipRight(peek, Effect.zipLeft(move.effect, Effect.uninterruptible(set)))
    return Effect.zipRight(
      checked({ name, expected, next: move.next }),
      driver.atomically(name)(move.fence === undefined ? work : Effect.zipRight(move.fence, work))
    )
  }
})

const checked = (
  input: { readonly name: unknown; readonly expected?: unknown; readonly next?: unknown }
): Effect.Effect<void, InvalidInput> =>
  Effect.suspend(() => {
    const faults = Faults.make()
    const check = (path: string, problem: string | undefined) => {
      if (problem !== undefined) faults.add(path, problem)
    }
    check("name", Faults.nameProblem(input.name))
    if (input.expected !== undefined) check("expected", Faults.countProblem(input.expected, 0))
    if ("next" in input) check("next", Faults.countProblem(input.next, 0))
    return Faults.orInvalid(faults, () => undefined)
  })

/**
 * Checkpoints in memory. Nothing survives the process.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerMemory: Layer.Layer<CheckpointStore> = Layer.sync(CheckpointStore, () => {
  const positions = new Map<string, Position>()
  const locks = new Map<string, Mutex.Mutex>()
  return makeEncoded({
    rollsBack: false,
    get: (name) => Effect.sync(() => positions.get(name)),
    set: (name, expected, next) =>
      Effect.sync(() => {
        const actual = positions.get(name)
        if (actual !== expected) return { actual }
        positions.set(name, next)
        return undefined
      }),
    remove: (name) => Effect.sync(() => void positions.delete(name)),
    atomically: (name) => (self) =>
      Effect.suspend(() => {
        let lock = locks.get(name)
        if (lock === undefined) locks.set(name, lock = Mutex.make())
        return lock.withLock(self)
      })
  })
})
