import type Database from "better-sqlite3"
import { Cause, Context, Effect, Exit, FiberRef, Tracer } from "effect"
import type { RuntimeFiber } from "effect/Fiber"
import type { Transaction } from "../../store/SqliteClient.ts"
import * as Mutex from "../mutex.ts"
import type { Connections } from "./connections.ts"

/** What a statement, a savepoint or a COMMIT meets after SQLite rolled the whole transaction back by itself. */
export class RolledBack extends Error {
  override readonly name = "RolledBack"
  constructor(cause: unknown) {
    super("SQLite rolled this transaction back by itself; nothing of it was written", { cause })
  }
}

/** A transaction or a savepoint. */
export class Frame implements Transaction {
  readonly writer: Database.Database
  readonly parent: Frame | undefined
  readonly depth: number
  ended = false
  child: Frame | undefined
  /** The fiber that runs inside this frame, where an Effect opened it. */
  owner: RuntimeFiber<any, any> | undefined
  hooks: Array<() => void> | undefined
  /** The error after which SQLite had rolled back by itself; kept on the outermost frame. */
  lostBy: unknown
  #mutex: Mutex.Mutex | undefined

  constructor(writer: Database.Database, parent: Frame | undefined) {
    this.writer = writer
    this.parent = parent
    this.depth = parent === undefined ? 0 : parent.depth + 1
  }

  /** Held while a savepoint of this frame is open; statements and savepoints of *other* fibers wait for it. */
  get mutex(): Mutex.Mutex {
    return this.#mutex ??= Mutex.make()
  }

  get root(): Frame {
    return this.parent === undefined ? this : this.parent.root
  }

  readonly isActive = (): boolean => {
    if (this.ended) return false
    return this.parent === undefined ? this.writer.inTransaction : this.parent.isActive()
  }

  readonly onCommit = (callback: () => void): void => {
    if (this.hooks === undefined) this.hooks = [callback]
    else this.hooks.push(callback)
  }

  /** Whether a statement of this fiber may run now: no savepoint of somebody else stands in between. */
  isFreeFor(fiber: RuntimeFiber<any, any>): boolean {
    return this.child === undefined || this.child.owner === fiber
  }

  /** Throws where the transaction is gone although nobody ended it. */
  check(): void {
    if (!this.isActive()) throw new RolledBack(this.root.lostBy)
  }
}

/** The synchronous half, which group commits use. All of it needs the writer's lock. */
export interface Primitives {
  readonly begin: () => Frame
  readonly savepoint: (parent: Frame) => Frame
  /** As `savepoint`, for one who holds the parent's mutex; gives it back when it throws. */
  readonly savepointHeld: (parent: Frame) => Frame
  readonly commit: (frame: Frame) => void
  readonly rollback: (frame: Frame) => void
}

export const primitives = (
  { prepare, writer }: Connections,
  options: { readonly readonly: boolean; readonly onHookError: (error: unknown) => void }
): Primitives => {
  // A connection that cannot write cannot take the write lock either; its transactions are snapshots.
  const beginSql = options.readonly ? "BEGIN" : "BEGIN IMMEDIATE"

  const undo = (): void => {
    if (writer.inTransaction) prepare("writer", "ROLLBACK").run()
  }

  const undoTo = (frame: Frame): void => {
    if (!writer.inTransaction) return
    prepare("writer", `ROLLBACK TO skald_${frame.depth}`).run()
    prepare("writer", `RELEASE skald_${frame.depth}`).run()
  }

  const end = (frame: Frame): void => {
    frame.ended = true
    const parent = frame.parent
    if (parent !== undefined && parent.child === frame) {
      parent.child = undefined
      parent.mutex.release()
    }
  }

  const runHooks = (hooks: ReadonlyArray<() => void>): void => {
    for (const hook of hooks) {
      try {
        hook()
      } catch (error) {
        options.onHookError(error)
      }
    }
  }

  const savepointHeld = (parent: Frame): Frame => {
    try {
      parent.check()
      const frame = new Frame(writer, parent)
      prepare("writer", `SAVEPOINT skald_${frame.depth}`).run()
      parent.child = frame
      return frame
    } catch (error) {
      parent.mutex.release()
      throw error
    }
  }

  return {
    begin: () => {
      undo()
      prepare("writer", beginSql).run()
      return new Frame(writer, undefined)
    },
    savepoint: (parent) => {
      if (!parent.mutex.tryAcquire()) throw new Error("another savepoint of this transaction is open")
      return savepointHeld(parent)
    },
    savepointHeld,
    commit: (frame) => {
      if (frame.ended) throw new Error("this transaction has ended")
      try {
        frame.check()
        // Its work so far would be committed and the rest not: an inner transaction must end before its outer one.
        if (frame.child !== undefined) throw new Error("a transaction nested in this one is still running")
        prepare("writer", frame.parent === undefined ? "COMMIT" : `RELEASE skald_${frame.depth}`).run()
      } catch (error) {
        try {
          if (frame.parent === undefined) undo()
          else undoTo(frame)
        } finally {
          end(frame)
        }
        throw error
      }
      end(frame)
      if (frame.hooks === undefined) return
      if (frame.parent === undefined) runHooks(frame.hooks)
      else for (const hook of frame.hooks) frame.parent.onCommit(hook)
    },
    rollback: (frame) => {
      if (frame.ended) return
      try {
        if (frame.parent === undefined) undo()
        else if (frame.isActive()) undoTo(frame)
      } finally {
        end(frame)
      }
    }
  }
}

/** What the effectful half needs of its client. */
export interface TransactionOptions {
  readonly primitives: Primitives
  readonly lock: Mutex.Mutex
  /** The innermost open frame that a context belongs to. */
  readonly frameOf: (context: Context.Context<never>) => Frame | undefined
  readonly provideFrame: (context: Context.Context<never>, frame: Frame) => Context.Context<never>
  /** Tries again while another process holds the file; only its sleeps are restored. Fails with what was thrown. */
  readonly retryBusy: <A>(restore: Mutex.Restore, attempt: () => A) => Effect.Effect<A, unknown>
  readonly spanAttributes: ReadonlyArray<readonly [string, unknown]>
}

/** `withTransaction`, for a failure type of one's own. */
export const makeWithTransaction =
  ({ primitives, ...options }: TransactionOptions) =>
  <F>(toFailure: (message: string, cause: unknown) => F) =>
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E | F, R> => {
    type Result = Effect.Effect<A, E | F, R>

    const end = (frame: Frame, exit: Exit.Exit<A, E>): Effect.Effect<A, E | F> => {
      try {
        if (Exit.isSuccess(exit)) primitives.commit(frame)
        else primitives.rollback(frame)
        return exit
      } catch (error) {
        return Exit.isSuccess(exit)
          ? Effect.fail(toFailure("Failed to commit the transaction", error))
          : Effect.failCause(
            Cause.sequential(exit.cause, Cause.fail(toFailure("Failed to roll the transaction back", error)))
          )
      }
    }

    return Effect.uninterruptibleMask((restore) =>
      Effect.useSpan(
        "sql.transaction",
        { kind: "client", captureStackTrace: false },
        (span) =>
          Effect.withFiberRuntime<A, E | F, R>((fiber) => {
            for (const [key, value] of options.spanAttributes) span.attribute(key, value)
            const context = fiber.currentContext as Context.Context<never>

            const inside = (frame: Frame): Result => {
              frame.owner = fiber
              const inner = Context.add(options.provideFrame(context, frame), Tracer.ParentSpan, span)
              return Effect.flatMap(
                Effect.exit(Effect.locally(restore(self), FiberRef.currentContext, inner as Context.Context<never>)),
                (exit) => end(frame, exit)
              )
            }

            let parent = options.frameOf(context)
            if (parent === undefined) {
              const begin = Effect.mapError(
                options.retryBusy(restore, primitives.begin),
                (error) => toFailure("Failed to begin a transaction", error)
              )
              return Effect.zipRight(
                options.lock.acquireWith(restore),
                Effect.onExit(Effect.flatMap(begin, inside), () => Effect.sync(options.lock.release))
              )
            }
            // A context captured outside a savepoint and used inside it by the same fiber: one must not wait for oneself.
            while (parent.child !== undefined && parent.child.owner === fiber) parent = parent.child
            const enclosing = parent
            return Effect.zipRight(
              enclosing.mutex.acquireWith(restore),
              Effect.suspend((): Result => {
                try {
                  return inside(primitives.savepointHeld(enclosing))
                } catch (error) {
                  return Effect.fail(toFailure("Failed to open a savepoint", error))
                }
              })
            )
          })
      )
    )
  }
