import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import { pause } from "./journalWriter.ts"
import { inOrder, type SagaState } from "./state.ts"

interface Outcome {
  readonly seq: number
  waiter: Deferred.Deferred<void> | undefined
  given: boolean
}

/**
 * Keeps the order of a journal while a body runs over it: an outcome is given when all that had been begun before it was asked
 * for, and all outcomes before it were given. So who won a race wins it again, and its losers are known before.
 */
export class Replay {
  private readonly intents: Array<{ readonly id: string; readonly seq: number; claimed: boolean }> = []
  private readonly outcomes: Array<Outcome> = []
  private readonly byId = new Map<string, { readonly intent: number; readonly outcome: Outcome | undefined }>()
  private readonly places = new Map<string, string>()
  private nextIntent = 0
  private nextOutcome = 0
  private pumping = false
  private completed: Deferred.Deferred<void> | undefined
  /** How often something was asked for or given: it stands still where the body is stuck. */
  progress = 0

  constructor(state: SagaState) {
    for (const each of inOrder(state)) {
      if (each.round !== state.round) continue
      const settled = each.outcome > 0 && each.state !== "lost"
      const outcome: Outcome | undefined = settled
        ? { seq: each.outcome, waiter: undefined, given: false }
        : undefined
      if (outcome !== undefined) this.outcomes.push(outcome)
      this.byId.set(each.id, { intent: this.intents.length, outcome })
      this.places.set(each.place, each.id)
      this.intents.push({ id: each.id, seq: each.seq, claimed: false })
    }
    this.outcomes.sort((a, b) => a.seq - b.seq)
    this.advance()
  }

  /** What the journal holds and the body has not asked for. */
  unclaimed(): ReadonlyArray<string> {
    return this.intents.slice(this.nextIntent).filter((intent) => !intent.claimed).map((intent) => intent.id)
  }

  /** Resolves when the body has asked for all that the journal holds. */
  get complete(): Deferred.Deferred<void> {
    if (this.completed === undefined) {
      this.completed = Deferred.unsafeMake(FiberId.none)
      if (this.isOver) Deferred.unsafeDone(this.completed, Effect.void)
    }
    return this.completed
  }

  /** Whether the body has asked for all of it. */
  get isOver(): boolean {
    return this.nextIntent === this.intents.length
  }

  /** What the body asked for at a place when the journal was written, where it has not asked for it now. */
  otherAt(place: string, id: string): string | undefined {
    const there = this.places.get(place)
    if (there === undefined || there === id) return undefined
    return this.intents[this.byId.get(there)!.intent]!.claimed ? undefined : there
  }

  claim(id: string): void {
    const known = this.byId.get(id)
    if (known === undefined) return
    this.intents[known.intent]!.claimed = true
    this.progress++
    this.advance()
    this.pump()
  }

  /** Waits until it is an activity's turn. */
  turn(id: string): Effect.Effect<void> {
    return Effect.suspend(() => {
      const outcome = this.byId.get(id)?.outcome
      if (outcome === undefined || outcome.given) return Effect.void
      outcome.waiter = Deferred.unsafeMake(FiberId.none)
      this.pump()
      return Effect.onInterrupt(Deferred.await(outcome.waiter), () => Effect.sync(() => this.give(outcome)))
    })
  }

  /** Does not keep the order any longer: the body takes another way. */
  release(): void {
    this.nextIntent = this.intents.length
    for (const outcome of this.outcomes) this.give(outcome)
  }

  private advance(): void {
    while (this.nextIntent < this.intents.length && this.intents[this.nextIntent]!.claimed) this.nextIntent++
    if (this.isOver && this.completed !== undefined) Deferred.unsafeDone(this.completed, Effect.void)
  }

  private give(outcome: Outcome): void {
    outcome.given = true
    this.progress++
    if (outcome.waiter !== undefined) Deferred.unsafeDone(outcome.waiter, Effect.void)
    while (this.outcomes[this.nextOutcome]?.given === true) this.nextOutcome++
    this.pump()
  }

  private pump(): void {
    const next = this.outcomes[this.nextOutcome]
    if (this.pumping || next === undefined || next.waiter === undefined) return
    const begunBefore = this.intents[this.nextIntent]?.seq ?? Number.POSITIVE_INFINITY
    if (begunBefore < next.seq) return
    this.pumping = true
    next.given = true
    this.nextOutcome++
    while (this.outcomes[this.nextOutcome]?.given === true) this.nextOutcome++
    this.progress++
    Deferred.unsafeDone(next.waiter, Effect.void)
    // Whoever was told acts before the next one is: its siblings may be interrupted by it.
    Effect.runFork(Effect.zipRight(
      pause,
      Effect.sync(() => {
        this.pumping = false
        this.pump()
      })
    ))
  }
}
