/** Sagas whose process is killed again and again, and a ledger of their effects that is outside of it. */
import { assert } from "@effect/vitest"
import { Effect, Random } from "effect"
import { type ChildProcess, fork } from "node:child_process"
import * as Program from "./program.ts"

/** What the process that is killed asks of this one. */
export type Ask =
  | { readonly what: "next" }
  | { readonly what: "perform" | "undo"; readonly id: string; readonly step: string; readonly key: string }
  | { readonly what: "ended"; readonly state: string; readonly ids: ReadonlyArray<string> }

export interface Answer {
  readonly number: number
  /** `done`, `busy` or `refused`; the name of the next saga, or `none`. */
  readonly says: string
}

/** What a series of kills came to. */
export interface Outcome {
  readonly kills: number
  readonly completed: number
  readonly compensated: number
  /** Effects that were asked for again, and absorbed by their keys. */
  readonly absorbed: number
}

/** What the steps of the sagas do, and which fail: by the number of the saga, so that a repetition fails as well. */
class Ledger {
  issued = 0
  open = true
  absorbed = 0
  readonly ended = new Map<string, string>()
  /** The effects of each saga that stand, by step, and the steps that were undone, in order. */
  readonly standing = new Map<string, Map<string, string>>()
  readonly undone = new Map<string, Array<string>>()
  readonly problems: Array<string> = []
  readonly #tries = new Map<string, number>()

  answer(ask: Ask): string {
    switch (ask.what) {
      case "next":
        return this.open ? `o-${++this.issued}` : "none"
      case "ended":
        for (const id of ask.ids) this.ended.set(id, ask.state)
        return "done"
      case "perform":
        return this.#perform(ask.id, ask.step, ask.key)
      case "undo":
        return this.#undo(ask.id, ask.step, ask.key)
    }
  }

  #tried(what: string): number {
    const tries = (this.#tries.get(what) ?? 0) + 1
    this.#tries.set(what, tries)
    return tries
  }

  #perform(id: string, step: string, key: string): string {
    const number = Number(id.slice(2))
    const tries = this.#tried(`perform ${id} ${step}`)
    if (step === "create" && number % 5 === 0) return "refused"
    if (step === "confirm" && number % 11 === 0) return "refused"
    if (step === "charge" && number % 7 === 0 && tries < 3) return "busy"
    const of = this.standing.get(id) ?? new Map<string, string>()
    this.standing.set(id, of)
    if (this.undone.get(id)?.includes(step) === true) this.problems.push(`${id}: ${step} was done after it was undone`)
    const known = of.get(step)
    if (known === key) this.absorbed++
    else if (known !== undefined) this.problems.push(`${id}: ${step} was done with ${known} and with ${key}`)
    of.set(step, key)
    return "done"
  }

  #undo(id: string, step: string, key: string): string {
    const tries = this.#tried(`undo ${id} ${step}`)
    if (Number(id.slice(2)) % 3 === 0 && tries === 1) return "busy"
    const known = this.standing.get(id)?.get(step)
    if (known !== undefined && known !== key) {
      this.problems.push(`${id}: ${step} was done with ${known}, undone with ${key}`)
    }
    this.standing.get(id)?.delete(step)
    const undone = this.undone.get(id) ?? []
    this.undone.set(id, undone)
    if (!undone.includes(step)) undone.push(step)
    return "done"
  }

  /** All or nothing of each saga that was ever begun, and in reverse order. */
  check(): { readonly completed: number; readonly compensated: number } {
    let completed = 0
    let compensated = 0
    const problems = [...this.problems]
    for (const [id, state] of this.ended) {
      const standing = [...this.standing.get(id)?.keys() ?? []].sort()
      const undone = this.undone.get(id) ?? []
      const number = Number(id.slice(2))
      if (state === "completed") {
        completed++
        if (standing.join() !== "charge,confirm,create,reserve,ship") {
          problems.push(`${id} is completed with ${standing.join()}`)
        }
        if (undone.length > 0) problems.push(`${id} is completed, and ${undone.join()} was undone`)
        if (number % 5 === 0 || number % 11 === 0) problems.push(`${id} is completed although it was refused`)
      } else if (state === "compensated") {
        compensated++
        if (standing.length > 0) problems.push(`${id} is compensated, and ${standing.join()} stands`)
        if (undone.indexOf("create") > 0) problems.push(`${id} was undone as ${undone.join()}`)
      } else problems.push(`${id} is ${state}`)
    }
    // whatever has an effect was carried through
    for (const id of this.standing.keys()) if (!this.ended.has(id)) problems.push(`${id} has effects and never ended`)
    assert.deepStrictEqual(problems, [])
    return { completed, compensated }
  }
}

/** Starts a process that asks the ledger; it is killed `delay` milliseconds after its so-manieth effect, where that is given. */
const start = (
  ledger: Ledger,
  file: string,
  args: ReadonlyArray<string>,
  killed?: { readonly after: number; readonly delay: number }
) => {
  const child: ChildProcess = fork(file, args, { stdio: ["ignore", "inherit", "inherit", "ipc"], execArgv: [] })
  const closed = new Promise<NodeJS.Signals | number | null>((resolve) => {
    child.once("close", (code, signal) => resolve(signal ?? code))
  })
  let effects = 0
  child.on("message", (ask: Ask & { readonly number: number }) => {
    const says = ledger.answer(ask)
    if ((ask.what === "perform" || ask.what === "undo") && ++effects === killed?.after) {
      // at once, the process has not heard of what was done for it
      if (killed.delay === 0) child.kill("SIGKILL")
      else setTimeout(() => child.kill("SIGKILL"), killed.delay)
    }
    child.send({ number: ask.number, says } satisfies Answer, () => {})
  })
  return closed
}

/** Kills a process that runs sagas, at moments drawn at random, then lets the last one come to its end. */
export const run = (kind: "sqlite" | "postgres", where: string, prefix: string, kills: number) =>
  Effect.gen(function*() {
    const program = yield* Effect.acquireRelease(
      Effect.promise(() => Program.bundle("test/support/sagaKillsWorker.ts")),
      ({ remove }) => Effect.sync(remove)
    )
    const ledger = new Ledger()
    const args = [kind, where, prefix]
    for (let kill = 0; kill < kills; kill++) {
      const after = yield* Random.nextIntBetween(1, 300)
      const delay = Math.max(0, yield* Random.nextIntBetween(-10, 20))
      const ended = yield* Effect.promise(() => start(ledger, program.file, args, { after, delay }))
      assert.strictEqual(ended, "SIGKILL")
    }
    ledger.open = false
    assert.strictEqual(yield* Effect.promise(() => start(ledger, program.file, args)), 0)
    const { absorbed } = ledger
    return { kills, absorbed, ...ledger.check() } satisfies Outcome
  })
