import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import type { JournalEvent } from "../../saga/SagaJournal.ts"

/** A journal, as it was read in the end. */
export type Journal = ReadonlyArray<{ readonly version: number; readonly event: JournalEvent }>

/** What a case came to. */
export interface Ran {
  readonly trace: ReadonlyArray<string>
  readonly ending: string
  readonly steps: ReadonlyArray<string>
  /** Steps that were compensated, and whose compensation can fail. */
  readonly undoable: ReadonlyArray<string>
  /** How many points each engine came to. */
  readonly points: ReadonlyArray<number>
  readonly crashed: number
  readonly journal: Journal
  readonly problems: ReadonlyArray<string>
  readonly record: Record
}

/** Counts by a pair of words. */
class Counts {
  readonly all = new Map<string, { readonly step: string; readonly key: string; count: number }>()
  add(step: string, key: string): number {
    const id = `${step}\u0000${key}`
    const known = this.all.get(id)
    if (known !== undefined) return ++known.count
    this.all.set(id, { step, key, count: 1 })
    return 1
  }
}

/** What the services of a case did, outside of all crashes. */
export class Record {
  readonly trace: Array<string> = []
  readonly tries = new Counts()
  readonly undoTries = new Counts()
  /** Effects that stand. */
  readonly standing = new Map<string, { readonly step: string; readonly key: string }>()
  /** What was undone before it was done is never done after. */
  readonly #gone = new Set<string>()
  readonly failable = new Set<string>()
  readonly problems: Array<string> = []

  tried(step: string, key: string): number {
    return this.tries.add(step, key)
  }
  triedUndo(step: string, key: string, canFail: boolean): number {
    if (canFail) this.failable.add(step)
    return this.undoTries.add(step, key)
  }
  performed(step: string, key: string): void {
    const id = `${step}\u0000${key}`
    this.trace.push(`${this.standing.has(id) ? "again, absorbed: " : ""}did "${step}" with ${key}`)
    if (this.#gone.has(id)) this.problems.push(`"${step}" was done after it had been undone`)
    this.standing.set(id, { step, key })
  }
  undone(step: string, key: string): void {
    const id = `${step}\u0000${key}`
    this.trace.push(`undid "${step}" with ${key}`)
    this.standing.delete(id)
    this.#gone.add(id)
  }

  end(exit: Exit.Exit<Journal, unknown>, points: ReadonlyArray<number>, crashed: number): Ran {
    const journal = Exit.isSuccess(exit) ? exit.value : []
    if (Exit.isFailure(exit)) this.problems.push(`it did not end: ${Cause.pretty(exit.cause).split("\n")[0]}`)
    const last = journal.at(-1)?.event
    const ending = last?._tag === "SagaEnded" ? last.state : "none"
    return {
      trace: this.trace,
      ending,
      steps: [...new Set([...this.tries.all.values()].map(({ step }) => step))],
      undoable: [...this.failable],
      points,
      crashed,
      journal,
      problems: this.problems,
      record: this
    }
  }
}

/** What is wrong with a case, in words. */
export const problems = (ran: Ran, maxAttempts: number): ReadonlyArray<string> => {
  const found = [...ran.problems]
  const { record } = ran
  const standing = [...record.standing.values()].map(({ step }) => step)
  if (ran.problems.length === 0 && ran.ending !== "completed" && ran.ending !== "compensated") {
    found.push(`it ended as ${ran.ending}, its journal with ${ran.journal.at(-1)?.event._tag ?? "nothing"}`)
  }
  if (ran.ending === "completed") {
    for (const step of ran.steps) if (!standing.includes(step)) found.push(`it is completed without "${step}"`)
  } else if (standing.length > 0) {
    found.push(`it is ${ran.ending}, and ${standing.map((step) => `"${step}"`).join(", ")} stands`)
  }
  for (const [what, counts] of [["tried", record.tries], ["undone", record.undoTries]] as const) {
    const keys = new Map<string, string>()
    for (const { count, key, step } of counts.all.values()) {
      if (count > maxAttempts + ran.crashed) found.push(`"${step}" was ${what} ${count} times`)
      const known = keys.get(step)
      if (known !== undefined && known !== key) found.push(`"${step}" was ${what} with the keys ${known} and ${key}`)
      keys.set(step, key)
    }
  }
  for (const { key, step } of record.undoTries.all.values()) {
    const tried = [...record.tries.all.values()].find((other) => other.step === step)
    if (tried !== undefined && tried.key !== key) {
      found.push(`"${step}" was tried with the key ${tried.key} and undone with ${key}`)
    }
  }
  ran.journal.forEach(({ version }, index) => {
    if (version !== index + 1) found.push(`its journal has version ${version} at place ${index + 1}`)
  })
  return [...found, ...outOfOrder(ran.journal)]
}

const parentOf = (step: string): string => step.slice(0, Math.max(0, step.lastIndexOf("/")))

/** Whatever is undone started after all that is still to be undone; before the decision, within its nested saga. */
const outOfOrder = (journal: Journal): ReadonlyArray<string> => {
  const found: Array<string> = []
  const open: Array<string> = []
  let decided = false
  for (const { event } of journal) {
    switch (event._tag) {
      case "SagaStepIntended":
        if (event.compensated) open.push(event.step)
        break
      case "SagaDecided":
        decided = true
        break
      case "SagaCompensated": {
        const at = open.indexOf(event.step)
        if (at < 0) break
        const later = open.slice(at + 1).filter((step) => decided || parentOf(step) === parentOf(event.step))
        if (later.length > 0) found.push(`"${event.step}" was undone before ${later.join(", ")}, which started later`)
        open.splice(at, 1)
        break
      }
      case "SagaStepFailed": {
        if (event.noEffect) open.splice(open.indexOf(event.step), 1)
        break
      }
    }
  }
  return found
}
