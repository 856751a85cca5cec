import type * as Context from "effect/Context"
import type * as DefaultServices from "effect/DefaultServices"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import type { Generator } from "../../event/EventId.ts"
import type { Service as Placement } from "../../saga/Placement.ts"
import type { Definition } from "../../saga/SagaDefinition.ts"
import type { State } from "../../saga/SagaStatus.ts"
import type { Service as Store } from "../../store/EventStore.ts"
import { keyOf } from "./index.ts"
import type { Stored } from "./journalWriter.ts"
import type { Loaded } from "./load.ts"
import * as Metrics from "./metrics.ts"
import { type Fork, Runner } from "./runner.ts"

/** A saga that waits without a fiber and without its state. */
export interface Parked {
  /** When it goes on by itself; `Infinity` where only the journal can tell. */
  readonly due: number
  /** Of the journal, up to which this process has owned it. */
  readonly version: number
  readonly state: State
}

/** A shard that this process has: the sagas that it has to look at. */
export interface OwnShard {
  readonly keys: Set<string>
  readonly latch: Effect.Latch
}

export interface FleetOptions {
  readonly store: Store
  readonly ids: Generator
  readonly services: Context.Context<DefaultServices.DefaultServices>
  readonly patience: Duration.Duration
  readonly fork: Fork
  readonly placement: Placement
  /** Whether other processes may carry sagas of the same store through. */
  readonly shared: boolean
}

const definitionKey = (saga: string, version: number): string => `${version}/${saga}`

/** The sagas that this process carries through, by their key over all tenants: those that run, and those that are parked. */
export class Fleet {
  readonly options: FleetOptions
  readonly runners = new Map<string, Runner>()
  readonly parked = new Map<string, Parked>()
  /** Those that are being started here. */
  readonly starting = new Map<string, Deferred.Deferred<void>>()
  /** Those that were started here, until their start has been heard of. */
  readonly startedHere = new Set<string>()
  /** Those whose journal is being read, to run them. */
  readonly taking = new Set<string>()
  /** Those that were taken over, until it is known whether they run or only wait. */
  readonly fresh = new Set<Runner>()
  /** Those that were let go, until their fibers have ended. */
  readonly leaving = new Map<string, Deferred.Deferred<void>>()
  readonly owned = new Map<number, OwnShard>()
  stopping = false
  /** Told when a saga's runner only waits, maybe. */
  onQuiet: (runner: Runner) => void = () => undefined
  /** Told when a runner has come to its end here. */
  onEnded: (runner: Runner) => void = () => undefined
  /** Told when another owner has written to the journal of a saga that this process had. */
  onFenced: (key: string) => void = () => undefined
  private readonly definitions = new Map<string, Definition>()
  private readonly followers = new Map<string, Set<Deferred.Deferred<void>>>()
  private readonly settled = Effect.unsafeMakeLatch(false)

  constructor(options: FleetOptions) {
    this.options = options
  }

  // ---------------------------------------------------------------------------------------------------------- definitions

  definition(saga: string, version: number): Definition | undefined {
    return this.definitions.get(definitionKey(saga, version))
  }

  /** False where there is one of that name and version. */
  register(definition: Definition): boolean {
    const key = definitionKey(definition.contract.name, definition.contract.version)
    if (this.definitions.has(key)) return false
    this.definitions.set(key, definition)
    return true
  }

  forget({ contract }: Definition): void {
    this.definitions.delete(definitionKey(contract.name, contract.version))
  }

  // -------------------------------------------------------------------------------------------------------------- whose

  shardOf(key: string): OwnShard | undefined {
    return this.owned.size === 0 ? undefined : this.owned.get(this.options.placement.shardOf(key))
  }

  /** There is something new about a saga; whoever has it looks. */
  notice(key: string): void {
    const runner = this.runners.get(key)
    if (runner !== undefined && !runner.closed) {
      runner.fork(runner.refresh)
      return
    }
    const shard = this.shardOf(key)
    if (shard === undefined || this.stopping) return
    shard.keys.add(key)
    shard.latch.unsafeOpen()
  }

  /** Whether this process carries a saga through, or is about to. */
  carries(key: string): boolean {
    return this.runners.has(key) || this.parked.has(key) || this.taking.has(key) || this.leaving.has(key) ||
      this.shardOf(key)?.keys.has(key) === true
  }

  // ------------------------------------------------------------------------------------------------------------ runners

  launch(key: string, definition: Definition, { correlation, state }: Pick<Loaded, "correlation" | "state">): Runner {
    const { fork, ids, patience, services, store } = this.options
    const runner = new Runner({
      definition,
      store,
      ids,
      state,
      correlation,
      services,
      patience,
      fork,
      onStored: (runner, before, stored) => this.stored(runner, before, stored),
      onQuiet: (runner) => this.onQuiet(runner),
      onGone: (gone) => {
        this.settle(gone)
        this.onEnded(gone)
        if (this.runners.get(key) !== gone) return
        this.runners.delete(key)
        if (gone.fenced) this.onFenced(key)
        this.tell(key)
      }
    })
    this.runners.set(key, runner)
    this.tell(key)
    return runner
  }

  private stored(runner: Runner, before: Runner["state"], stored: Stored): void {
    Metrics.count(runner, before, stored)
    if (stored.event._tag !== "SagaResumed") this.settle(runner)
  }

  keyOf(runner: Runner): string {
    return keyOf(runner.correlation.tenant, runner.state.saga, runner.state.id)
  }

  /** Ends what runs of a saga here, and nothing else: no compensation. Whoever wants to run it anew waits for that. */
  letGo(key: string, runner: Runner): void {
    const done: Deferred.Deferred<void> = Deferred.unsafeMake(FiberId.none)
    this.leaving.set(key, done)
    runner.closed = true
    this.options.fork(Effect.ensuring(
      runner.abandon,
      Effect.sync(() => {
        if (this.leaving.get(key) === done) this.leaving.delete(key)
        Deferred.unsafeDone(done, Exit.void)
      })
    ))
  }

  // -------------------------------------------------------------------------------------------------------------- fresh

  /** It is known of one that was taken over that it runs, or only waits. */
  settle(runner: Runner): void {
    if (this.fresh.delete(runner)) this.settled.unsafeOpen()
  }

  /** Waits until so many that were taken over, at most, are not known to run or only to wait. */
  awaitSettled(atMost: number): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.fresh.size <= atMost) return Effect.void
      this.settled.unsafeClose()
      return Effect.zipRight(this.settled.await, this.awaitSettled(atMost))
    })
  }

  // ---------------------------------------------------------------------------------------------------------- followers

  /** Waits for the next thing that is told about a saga, from now on, until it is forgotten. */
  follow(key: string): { readonly told: Effect.Effect<void>; readonly forget: Effect.Effect<void> } {
    const told: Deferred.Deferred<void> = Deferred.unsafeMake(FiberId.none)
    const followers = this.followers.get(key) ?? new Set()
    followers.add(told)
    this.followers.set(key, followers)
    return {
      told: Deferred.await(told),
      forget: Effect.sync(() => {
        followers.delete(told)
        if (followers.size === 0 && this.followers.get(key) === followers) this.followers.delete(key)
      })
    }
  }

  tell(key: string): void {
    const followers = this.followers.get(key)
    if (followers === undefined) return
    this.followers.delete(key)
    for (const told of followers) Deferred.unsafeDone(told, Exit.void)
  }

  /** Before anything is interrupted it is said that this is a stop, and no failure of any saga. */
  stop(): void {
    this.stopping = true
    for (const runner of this.runners.values()) runner.closed = true
    for (const key of Array.from(this.followers.keys())) this.tell(key)
  }
}
