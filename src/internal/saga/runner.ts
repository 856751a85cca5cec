import type * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as DefaultServices from "effect/DefaultServices"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as HashMap from "effect/HashMap"
import type * as Correlation from "../../event/Correlation.ts"
import type { Generator } from "../../event/EventId.ts"
import { type Definition, Running } from "../../saga/SagaDefinition.ts"
import type { InvalidStep } from "../../saga/SagaError.ts"
import * as Journal from "../../saga/SagaJournal.ts"
import type { Operations } from "../../store/EventStore.ts"
import * as Body from "./body.ts"
import type { Compensate } from "./compensation.ts"
import { host } from "./host.ts"
import { JournalWriter, type Lost, type Stored, type TooMuch } from "./journalWriter.ts"
import * as Machine from "./machine.ts"
import * as Questions from "./questions.ts"
import { type Activity, activity, type SagaState } from "./state.ts"
import { Quiet } from "./quiet.ts"
import { Replay } from "./replay.ts"

/** Why a run of the body is over. */
export type Turn =
  | { readonly _tag: "Exit"; readonly exit: Exit.Exit<unknown, unknown> }
  /** A rollback is wanted, or a replay has asked for all there is. */
  | { readonly _tag: "Over" }
  /** It does not fit the journal. */
  | { readonly _tag: "Mismatch"; readonly detail: string }

/** Starts a fiber, which begins at once where nothing else is said. */
export type Fork = (
  effect: Effect.Effect<unknown>,
  options?: { readonly immediate: boolean }
) => Fiber.RuntimeFiber<unknown>

export interface RunnerOptions {
  readonly definition: Definition
  readonly store: Operations
  readonly ids: Generator
  readonly state: SagaState
  readonly correlation: Correlation.Correlation
  readonly services: Context.Context<DefaultServices.DefaultServices>
  readonly patience: Duration.Duration
  /** Starts a fiber of the engine's. */
  readonly fork: Fork
  readonly onStored: (runner: Runner, before: SagaState, stored: Stored, position: number) => void
  readonly onGone: (runner: Runner) => void
  /** One of its fibers waits, or has ended: the saga may only wait now. */
  readonly onQuiet: (runner: Runner) => void
}

const isPivoting = (pivot: ReturnType<typeof Questions.pivotState>): boolean => pivot === "open" || pivot === "passed"

/** One saga in this process: its state, its journal, and the fiber that runs its body. What comes next is decided elsewhere. */
export class Runner {
  readonly definition: Definition
  readonly services: Context.Context<DefaultServices.DefaultServices>
  readonly correlation: Correlation.Correlation
  readonly writer: JournalWriter
  readonly options: RunnerOptions
  state: SagaState
  /** This process has nothing more to do with it. */
  closed = false
  /** The body is being stopped, to run again. */
  halted = false
  /** Set in the turn in which a decision is on its way to the journal: nothing begins after it. */
  deciding: "commit" | "rollback" | undefined
  /** Why a rollback is wanted that is not journaled yet. */
  wanted: Journal.Reason | undefined
  /** Whether a pivot's intent is on its way to the journal, or was journaled, in this round. */
  pivoting: boolean
  deadlinePassed = false
  replay: Replay
  readonly compensations = new Map<string, Compensate>()
  /** What the body has asked for in this run. */
  readonly claimed = new Set<string>()
  /** Fibers that a body's interruption does not reach: pivots, and rollbacks of nested sagas. */
  readonly apart = new Set<Fiber.RuntimeFiber<any, any>>()
  private present: Deferred.Deferred<Turn> | undefined
  /** What is left to do after the first run of the body, while the body's own fiber may do it. */
  private first: ((turn: Turn) => Effect.Effect<void>) | undefined
  broken: Cause.Cause<unknown> | undefined
  /** A step that no saga can have, and that the body asked for in this run. */
  invalid: InvalidStep | undefined
  /** Another owner has written to the journal. */
  fenced = false
  /** What its fibers wait for. */
  readonly quiet: Quiet
  private body: Fiber.RuntimeFiber<unknown, unknown> | undefined
  private readonly fibers = new Set<Fiber.RuntimeFiber<unknown, unknown>>()
  /** What is waited for, made when somebody does. */
  private readonly waits = new Map<string, Deferred.Deferred<void>>()
  private changed: Deferred.Deferred<void> | undefined
  private gone: Deferred.Deferred<void> | undefined
  private semaphore: Effect.Semaphore | undefined

  constructor(options: RunnerOptions) {
    this.options = options
    this.definition = options.definition
    this.services = options.services
    this.correlation = options.correlation
    this.state = options.state
    this.replay = new Replay(options.state)
    this.deciding = options.state.decision?.decision
    this.pivoting = isPivoting(Questions.pivotState(options.state))
    this.quiet = new Quiet(() => options.onQuiet(this))
    this.writer = new JournalWriter({
      store: options.store,
      saga: options.definition.contract.name,
      id: options.state.id,
      version: options.state.version,
      correlation: options.correlation,
      ids: options.ids,
      now: () => this.now(),
      onStored: (stored, position) => this.stored(stored, position),
      onLost: (lost) => this.lost(lost),
      wait: (attempt) => this.restOrGone(Math.min(5_000, 50 * 2 ** attempt)),
      fork: (effect) => this.options.fork(effect)
    })
  }

  /** Signals and operators, one after the other. */
  get commands(): Effect.Semaphore {
    return this.semaphore ??= Effect.unsafeMakeSemaphore(1)
  }

  /** How the present run of the body ends. */
  get turn(): Deferred.Deferred<Turn> {
    return this.present ??= Deferred.unsafeMake(FiberId.none)
  }

  now(): number {
    return Context.get(this.services, Clock.Clock).unsafeCurrentTimeMillis()
  }

  activity(id: string): Activity | undefined {
    return activity(this.state, id)
  }

  /** Whether the body may begin nothing new. */
  blocked(): boolean {
    return this.closed || this.halted || this.deciding !== undefined
  }

  /** Whether the decision to commit is on its way to the journal. */
  get isCommitting(): boolean {
    return this.deciding === "commit" && this.state.decision === undefined && !this.closed
  }

  /** Whether the body is beyond all that the journal holds, and goes on. */
  isAhead(): boolean {
    return this.replay.isOver && !this.blocked()
  }

  // ------------------------------------------------------------------------------------------------------------- journal

  /** In the saga's conversation and tenant, whatever the body has made of the fiber's. */
  write(events: ReadonlyArray<Journal.JournalEvent>, when?: () => boolean): Effect.Effect<boolean, TooMuch> {
    return this.writer.write(events, when)
  }

  /** Writes what the library itself makes, which can always be written. */
  note(events: ReadonlyArray<Journal.JournalEvent>, when?: () => boolean): Effect.Effect<boolean> {
    return Effect.orDie(this.write(events, when))
  }

  /** Takes in what others have written. */
  get refresh(): Effect.Effect<void> {
    return this.writer.refresh
  }

  private stored(stored: Stored, position: number): void {
    const before = this.state
    this.state = Machine.apply(before, stored.event, stored.at)
    this.options.onStored(this, before, stored, position)
    const { event } = stored
    switch (event._tag) {
      case "SagaSignalReceived":
      case "SagaDecided":
        return this.wakeAll()
      case "SagaOperatorActed": {
        // Settled, or to be tried again: not so where another pivot's intent is on its way.
        const pivot = Questions.pivotState(this.state)
        if (pivot !== Questions.pivotState(before)) this.pivoting = isPivoting(pivot)
        this.consider()
        return this.wakeAll()
      }
      case "SagaStepFailed":
        if (event.step === this.state.pivot) this.pivoting = false
        this.consider()
        return this.wake(event.step)
      case "SagaInterventionNeeded":
      case "SagaEnded":
        return this.tellChange()
      default:
        if ("step" in event) this.wake(event.step)
    }
  }

  private wake(id: string): void {
    const waiting = this.waits.get(id)
    if (waiting === undefined) return
    this.waits.delete(id)
    Deferred.unsafeDone(waiting, Exit.void)
  }

  private wakeAll(): void {
    if (this.waits.size > 0) { for (const id of Array.from(this.waits.keys())) this.wake(id) }
    this.tellChange()
  }

  private tellChange(): void {
    const { changed } = this
    if (changed === undefined) return
    this.changed = undefined
    Deferred.unsafeDone(changed, Exit.void)
  }

  /** Waits for the next event about an activity, and for those that may concern any, from the turn in which this is called. */
  awaitActivity(id: string): Effect.Effect<void> {
    let waiting = this.waits.get(id)
    if (waiting === undefined) this.waits.set(id, waiting = Deferred.unsafeMake(FiberId.none))
    return this.quiet.waiting(Infinity, Deferred.await(waiting))
  }

  /** Waits for an operator, a decision, a need of intervention, or the end, from the turn in which this is asked for. */
  get awaitChange(): Effect.Effect<void> {
    return this.quiet.waiting(Infinity, this.nextChange)
  }

  /** The same, for who is no part of the saga. */
  get nextChange(): Effect.Effect<void> {
    return Deferred.await(this.changed ??= Deferred.unsafeMake(FiberId.none))
  }

  // -------------------------------------------------------------------------------------------------------------- wishes

  /** Wants a rollback, where one may still be decided. While a pivot is open nothing is. */
  want(reason: Journal.Reason): void {
    if (this.blocked() || this.pivoting || this.state.ended !== undefined) return
    this.deciding = "rollback"
    this.wanted = reason
    this.over({ _tag: "Over" })
    this.wakeAll()
  }

  consider(): void {
    if (this.state.cancel !== undefined) this.want("cancelled")
    if (this.deadlinePassed) this.want("timedOut")
  }

  /** Whether the saga stands still for a person; `""` stands for the saga itself. */
  isStuck(subject: string): boolean {
    return HashMap.has(this.state.interventions, subject)
  }

  /** Says that a person is needed, once, and waits until one has acted, or a rollback is wanted. */
  intervene(
    reason: Journal.InterventionReason,
    step: string | undefined,
    failure: Journal.Failure | undefined,
    before: ReadonlyArray<Journal.JournalEvent> = []
  ): Effect.Effect<void> {
    const needed = Journal.InterventionNeeded({
      saga: this.state.saga,
      id: this.state.id,
      reason,
      ...(step === undefined ? {} : { step }),
      ...(failure === undefined ? {} : { failure })
    })
    return Effect.zipRight(
      this.isStuck(step ?? "") ? Effect.void : this.note([...before, needed]),
      this.awaitAct(step ?? "")
    )
  }

  awaitAct(subject: string): Effect.Effect<void> {
    return Effect.suspend(() =>
      this.isStuck(subject) && this.wanted === undefined
        ? Effect.zipRight(this.awaitChange, this.awaitAct(subject))
        : Effect.void
    )
  }

  // ---------------------------------------------------------------------------------------------------------------- time

  /** Waits until an instant. A timer of JavaScript holds 24 days at most. */
  until(instant: number): Effect.Effect<void> {
    return Effect.suspend(() => instant <= this.now() ? Effect.void : this.quiet.waiting(instant, this.sleep(instant)))
  }

  private sleep(instant: number): Effect.Effect<void> {
    return Effect.suspend(() => {
      const left = instant - this.now()
      return left <= 0 ? Effect.void : Effect.zipRight(
        Context.get(this.services, Clock.Clock).sleep(Duration.millis(Math.min(left, 86_400_000))),
        this.sleep(instant)
      )
    })
  }

  /** Rests, or wakes when this process has done with the saga; not even an interrupted fiber goes on before. */
  private restOrGone(millis: number): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.closed) return Effect.void
      const rested: Deferred.Deferred<void> = Deferred.unsafeMake(FiberId.none)
      const gone = this.gone ??= Deferred.unsafeMake(FiberId.none)
      const fiber = this.options.fork(
        Effect.zipRight(
          Effect.raceFirst(this.sleep(this.now() + millis), Deferred.await(gone)),
          Deferred.succeed(rested, undefined)
        )
      )
      return Effect.ensuring(Deferred.await(rested), Fiber.interruptFork(fiber))
    })
  }

  // ---------------------------------------------------------------------------------------------------------------- body

  /** Ends the present run of the body; the first one to say why is heard. */
  over(turn: Turn): void {
    const { first } = this
    if (first === undefined) return Deferred.unsafeDone(this.turn, Exit.succeed(turn))
    this.first = undefined
    this.fork(first(turn), false)
  }

  /** What the body asks for does not fit the journal: it is stopped, and a person asked. */
  mismatch(detail: string): Effect.Effect<never> {
    return Effect.suspend(() => {
      this.halted = true
      this.over({ _tag: "Mismatch", detail })
      return Effect.never
    })
  }

  /** Runs the body from its beginning, over what the journal holds. */
  startBody(payload: unknown): void {
    this.claimed.clear()
    this.halted = false
    this.invalid = undefined
    const turn: Deferred.Deferred<Turn> = this.present = Deferred.unsafeMake(FiberId.none)
    const replay = this.replay = new Replay(this.state)
    this.body = this.fork(this.bodyOf(payload, (exit) => {
      Deferred.unsafeDone(turn, Exit.succeed({ _tag: "Exit", exit }))
      return Effect.void
    }))
    this.quiet.add(this.body)
    if (replay.unclaimed().length > 0) this.fork(this.watch(replay))
  }

  /**
   * Runs the body of a saga that has just been started, in the fiber that then does what is left, `rest`. Where the body's end is
   * not what ends this run, or its fiber was interrupted or has others that it began, another one does.
   */
  startFirst(payload: unknown, rest: (turn: Turn) => Effect.Effect<void>): void {
    this.first = rest
    const body = this.body = this.fork(
      this.bodyOf(payload, (exit, fiber) => {
        if (this.first === undefined || this.closed) return Effect.void
        if (Body.isInterrupted(fiber) || !this.quiet.isAlone(fiber)) {
          this.over({ _tag: "Exit", exit })
          return Effect.void
        }
        this.first = undefined
        this.body = undefined
        return rest({ _tag: "Exit", exit })
      }),
      false
    )
    this.quiet.add(body)
  }

  private bodyOf(
    payload: unknown,
    ended: (exit: Exit.Exit<unknown, unknown>, fiber: Fiber.RuntimeFiber<any, any>) => Effect.Effect<void>
  ): Effect.Effect<void> {
    const { body, context } = this.definition
    const { round, seed, startedAt } = this.state
    const own = {
      startedAt,
      seed,
      round,
      context: Context.add(context, Running, host(this, "")),
      supervisor: this.quiet
    }
    return Body.run(Effect.suspend(() => body(payload)), own, ended)
  }

  /** A replay that stands still keeps no order any longer. */
  private watch(replay: Replay): Effect.Effect<void> {
    return Effect.suspend(() => {
      const before = replay.progress
      const rested = this.sleep(this.now() + Duration.toMillis(this.options.patience))
      return Effect.flatMap(
        Effect.raceFirst(Effect.as(rested, false), Effect.as(Deferred.await(replay.complete), true)),
        (complete) => {
          if (complete || replay !== this.replay) return Effect.void
          if (replay.progress !== before) return this.watch(replay)
          replay.release()
          Deferred.unsafeDone(replay.complete, Exit.void)
          return Effect.void
        }
      )
    })
  }

  /** Stops the body and waits until it has stopped. */
  get stopBody(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { body } = this
      this.body = undefined
      if (body === undefined) return this.halted ? Effect.asVoid(Fiber.interruptAll(this.apart)) : Effect.void
      const stopped = Effect.asVoid(Fiber.interrupt(body))
      return this.halted ? Effect.zipRight(Fiber.interruptAll(this.apart), stopped) : stopped
    })
  }

  /** A fiber of this saga's, which ends with its place in this process. It begins at once, or in a turn of its own. */
  fork(effect: Effect.Effect<unknown, unknown>, immediate = true): Fiber.RuntimeFiber<unknown> {
    const fiber = this.options.fork(Body.inConversation(this.correlation, Effect.exit(effect)), { immediate })
    this.fibers.add(fiber)
    fiber.addObserver(() => this.fibers.delete(fiber))
    return fiber
  }

  // ----------------------------------------------------------------------------------------------------------------- end

  private lost(lost: Lost): void {
    this.broken = lost._tag === "Broken" ? lost.cause : undefined
    this.fenced = lost._tag === "Fenced"
    this.options.fork(this.abandon)
  }

  /** Leaves the saga as it is: no compensation runs, nothing is journaled any more. */
  readonly abandon: Effect.Effect<void> = Effect.suspend(() => {
    this.closed = true
    this.writer.close()
    this.tellChange()
    if (this.gone !== undefined) Deferred.unsafeDone(this.gone, Exit.void)
    const fibers = [...this.apart, ...this.fibers]
    return Effect.zipRight(Fiber.interruptAll(fibers), Effect.sync(() => this.options.onGone(this)))
  })
}
