/**
 * Measures ours against a peer: both in one process, by turns, several rounds after a warm-up, medians compared.
 *
 * A bench is a module `bench/<name>.ts` whose default export is a list of cases made by {@link compare} (against a
 * peer) or {@link measure} (a figure of its own). `bench/run.ts` runs them; `bench/README.md` says how to add one.
 */
import * as v8 from "node:v8"
import * as vm from "node:vm"

/** What a side is told: `quick` asks for sizes that take a second rather than a minute. */
export interface Context {
  readonly quick: boolean
}

/**
 * One side of a comparison. `setup` and `teardown` are not timed and run around every round. `run` answers with the
 * units of work it did, and the value of the round is units a second; `value` answers with the value itself.
 */
export interface Side<T = unknown> {
  readonly setup?: ((context: Context) => T | Promise<T>) | undefined
  readonly run?: ((given: T, context: Context) => number | Promise<number>) | undefined
  readonly value?: ((given: T, context: Context) => number | Promise<number>) | undefined
  readonly teardown?: ((given: T) => void | Promise<void>) | undefined
}

/** A case as the runner takes it. */
export interface Case {
  /** The figure that it stands for, by default the name of the bench. */
  readonly bar: string | undefined
  readonly name: string
  readonly unit: string
  /** Whether a bigger value is better, as of a rate, or a smaller one, as of a duration or of bytes. */
  readonly better: "higher" | "lower"
  /** With a peer: the ratio that is wanted. Without: the value of ours. */
  readonly goal: number | undefined
  readonly peer: string | undefined
  readonly ours: Side<any>
  readonly theirs: Side<any> | undefined
  readonly rounds: number | undefined
  readonly warmups: number | undefined
  /** Why the peer cannot run on this machine, if it cannot: ours runs alone then. Asked when the case's turn comes. */
  readonly lacks: (() => string | undefined) | undefined
  /** What else is to be said of the rounds, after the last. */
  readonly also: (() => Readonly<Record<string, string | number>>) | undefined
  /** Releases what the case held for all its rounds, whether they failed or not. */
  readonly end: (() => void | Promise<void>) | undefined
}

interface Options {
  readonly bar?: string | undefined
  readonly unit?: string | undefined
  readonly better?: "higher" | "lower" | undefined
  readonly goal?: number | undefined
  /** How many rounds of each side, where the default of the runner does not fit. */
  readonly rounds?: number | undefined
  /** How many rounds are thrown away first, where the default of the runner does not fit. */
  readonly warmups?: number | undefined
  readonly lacks?: (() => string | undefined) | undefined
  readonly also?: (() => Readonly<Record<string, string | number>>) | undefined
  readonly end?: (() => void | Promise<void>) | undefined
}

const options = (name: string, given: Options) => ({
  bar: given.bar,
  name,
  unit: given.unit ?? "events/s",
  better: given.better ?? "higher",
  goal: given.goal,
  rounds: given.rounds,
  warmups: given.warmups,
  lacks: given.lacks,
  also: given.also,
  end: given.end
})

/** A case against a peer: the goal is a ratio, and a bigger ratio is always better. */
export const compare = <A, B>(
  name: string,
  given: Options & { readonly peer: string; readonly ours: Side<A>; readonly theirs: Side<B> }
): Case => ({ ...options(name, given), peer: given.peer, ours: given.ours, theirs: given.theirs })

/** A case without a peer: the goal is a value of ours. */
export const measure = <A>(name: string, given: Options & { readonly ours: Side<A> }): Case => ({
  ...options(name, given),
  peer: undefined,
  ours: given.ours,
  theirs: undefined
})

/** What a case came to. These are the keys of the JSON lines. */
export interface Result {
  readonly bar: string
  readonly case: string
  readonly unit: string
  readonly ours: number
  readonly peer: string | null
  readonly peerValue: number | null
  readonly ratio: number | null
  readonly goal: number | null
  readonly also?: Readonly<Record<string, string | number>>
}

/** How a case is run. */
export interface Settings extends Context {
  readonly rounds: number
  readonly warmups: number
  readonly onRound?: ((text: string) => void) | undefined
  /** The clock, in milliseconds. */
  readonly now?: (() => number) | undefined
}

/** Rounds and warm-ups: seven after two, or three after one when it should be quick. */
export const settings = (quick: boolean): Settings => ({ quick, rounds: quick ? 3 : 7, warmups: quick ? 1 : 2 })

/** The value in the middle, or the mean of the two in the middle. */
export const median = (values: ReadonlyArray<number>): number => {
  if (values.length === 0) throw new Error("there is no median of nothing")
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

let collect: (() => void) | undefined
/** Collects garbage, so that a round does not pay for the one before. */
export const gc = (): void => {
  if (collect === undefined) {
    v8.setFlagsFromString("--expose-gc")
    collect = vm.runInNewContext("gc") as () => void
  }
  collect()
}

const round = async (side: Side<any>, context: Settings): Promise<number> => {
  const now = context.now ?? (() => performance.now())
  const given = await side.setup?.(context)
  try {
    gc()
    if (side.value !== undefined) return await side.value(given, context)
    if (side.run === undefined) throw new Error("a side needs run or value")
    const started = now()
    const units = await side.run(given, context)
    const seconds = (now() - started) / 1000
    if (!(units > 0)) throw new Error(`a round did ${units} units of work`)
    if (!(seconds > 0)) throw new Error("a round took no time: do more in it")
    return units / seconds
  } finally {
    await side.teardown?.(given)
  }
}

/**
 * Runs a case. The sides take turns and the first turn changes hands with every round, so that neither has the warmer
 * machine. The ratio is ours to the peer's where higher is better, the peer's to ours where lower is.
 */
export const run = async (bench: string, item: Case, using: Settings): Promise<Result> => {
  const lacking = item.theirs === undefined ? undefined : item.lacks?.()
  const peer = lacking === undefined ? item.theirs : undefined
  const ours: Array<number> = []
  const theirs: Array<number> = []
  const rounds = Math.max(
    1,
    using.quick ? Math.min(item.rounds ?? using.rounds, using.rounds) : item.rounds ?? using.rounds
  )
  let also: Record<string, string | number> = lacking === undefined ? {} : { "left out": lacking }
  try {
    for (let index = -(item.warmups ?? using.warmups); index < rounds; index++) {
      const turns: Array<readonly [Side<any>, Array<number>]> = [[item.ours, ours]]
      if (peer !== undefined) turns.push([peer, theirs])
      if (index % 2 !== 0) turns.reverse()
      for (const [side, values] of turns) {
        const value = await round(side, using)
        if (index >= 0) values.push(value)
      }
      using.onRound?.(`${bench} · ${item.name} · ${index < 0 ? "warm-up" : `round ${index + 1} of ${rounds}`}`)
    }
    also = { ...also, ...item.also?.() }
  } finally {
    await item.end?.()
  }
  const value = median(ours)
  const peerValue = peer === undefined ? null : median(theirs)
  return {
    bar: item.bar ?? bench,
    case: item.name,
    unit: item.unit,
    ours: value,
    peer: peer === undefined ? null : item.peer ?? null,
    peerValue,
    ratio: peerValue === null ? null : item.better === "higher" ? value / peerValue : peerValue / value,
    // a goal of a ratio says nothing of a rate
    goal: lacking === undefined ? item.goal ?? null : null,
    ...(Object.keys(also).length === 0 ? {} : { also })
  }
}

/** Whether the goal was reached; undefined where there is none. */
export const reached = (item: Case, result: Result): boolean | undefined => {
  if (result.goal === null) return undefined
  if (result.ratio !== null) return result.ratio >= result.goal
  return item.better === "higher" ? result.ours >= result.goal : result.ours <= result.goal
}

const number = (value: number): string => {
  const size = Math.abs(value)
  if (size >= 1000) return Math.round(value).toLocaleString("en-US")
  return value.toLocaleString("en-US", { maximumFractionDigits: size >= 100 ? 0 : size >= 1 ? 2 : 4 })
}

/** The results as a table for people. */
export const table = (rows: ReadonlyArray<readonly [Case, Result]>): string => {
  const lines = [["case", "unit", "ours", "peer", "peer's", "ratio", "goal", ""]]
  for (const [item, result] of rows) {
    const met = reached(item, result)
    const sign = result.ratio !== null || item.better === "higher" ? "≥" : "≤"
    lines.push([
      result.case,
      result.unit,
      number(result.ours),
      result.peer ?? "–",
      result.peerValue === null ? "–" : number(result.peerValue),
      result.ratio === null ? "–" : result.ratio.toFixed(2),
      result.goal === null ? "–" : `${sign} ${number(result.goal)}`,
      met === undefined ? "" : met ? "reached" : "NOT REACHED"
    ])
  }
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)))
  const right = new Set([2, 4, 5, 6])
  const print = (line: ReadonlyArray<string>) =>
    line.map((cell, column) => right.has(column) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!))
      .join("  ").trimEnd()
  const [head, ...body] = lines
  const notes = rows.filter(([, { also }]) => also !== undefined).map(([, result]) =>
    [
      result.case,
      ...Object.entries(result.also!).map(([name, value]) =>
        `${name}: ${typeof value === "number" ? number(value) : value}`
      )
    ].join(" · ")
  )
  return [
    print(head!),
    widths.map((width) => "-".repeat(width)).join("  ").trimEnd(),
    ...body.map(print),
    ...(notes.length === 0 ? [] : ["", ...notes])
  ].join("\n")
}
