import type * as Compile from "./compile.ts"
import type { State, Test } from "./compile.ts"

/**
 * What may become of a run, given what it looks at: events alone. All runs of one configuration then have one future, and are held
 * together. A configuration is that of all the states that a run waits in at once, so that a run is in one of them, and one
 * only: no run is found twice. They are made as they are reached, and what an event does to one is worked out once.
 */

/** A run that waits in a state. The fields are those of `cepRuns.Run`, and so is what an event does to them. */
export interface Waiting extends Omit<Compile.Fresh, "windowPassed"> {
  readonly state: State
}

/** Everything that a run waits for. */
export class Configuration {
  readonly name: string
  readonly waiting: ReadonlyArray<Waiting>
  /** Whether the run has been a match. */
  readonly done: boolean
  /** What events do to it, by the number of their tag. */
  readonly rows: Array<Row> = []
  /** Where it stands in the list that is being made. */
  stamp = 0
  at = 0

  constructor(name: string, waiting: ReadonlyArray<Waiting>, done: boolean) {
    this.name = name
    this.waiting = waiting
    this.done = done
  }
}

/** What events of one tag do: it depends on what some tests answer. */
interface Row {
  readonly tests: ReadonlyArray<Test>
  /** By the answers, as bits. */
  readonly moves: Map<number, Move>
  /** Where nothing is asked. */
  readonly only: Move | undefined
}

export interface Take {
  /** The number of the step, in the order in which they are written. */
  readonly step: number
  /** None: nothing is awaited any more. */
  readonly to: Configuration | undefined
  readonly reports: boolean
}

/** What an event does to the runs of a configuration. */
export interface Move {
  /** Whether it is as though the event had not come. */
  readonly idle: boolean
  /** How many of those that take it wait for more. */
  readonly needs: number
  /** How many rows it may take to hold what comes of it. */
  readonly rows: number
  readonly takes: ReadonlyArray<Take>
  /** What becomes of the runs that have not taken it. */
  readonly skip: Configuration | undefined
  /** Whether they are matches now. */
  readonly reports: boolean
}

/** So many conditions can be told apart at one place. */
export const maxTests = 50

const cached = 10_000

export class Automaton {
  readonly program: Compile.Program
  /** The numbers of tags; all that no step names are 0. */
  readonly tags: Map<string, number> = new Map()
  /** The names of the steps. */
  readonly steps: ReadonlyArray<string>
  private readonly origin = new Configuration("", [], false)
  /** What events do where nothing has begun, by the number of their tag, where it is not asked of them. */
  private readonly begins: Array<Move | undefined> = []
  private readonly names: Array<string | undefined> = [undefined]
  private readonly known: Map<string, Configuration> = new Map()
  private most = cached
  private made = 0

  constructor(program: Compile.Program, tags: Iterable<string>) {
    this.program = program
    this.steps = program.shapes.steps
    for (const tag of tags) this.tags.set(tag, this.names.push(tag) - 1)
  }

  get isFull(): boolean {
    return this.made > this.most
  }

  /** Forgets all but those that runs are in, and what was worked out for them. */
  forget(live: Iterable<Configuration>): void {
    this.known.clear()
    this.origin.rows.length = 0
    this.begins.length = 0
    this.made = 0
    for (const one of live) {
      one.rows.length = 0
      this.known.set(one.name, one)
    }
    this.most = cached + 2 * this.known.size
  }

  /** What an event does where nothing has begun. */
  begin(tag: number, event: { readonly _tag: string }, seq: number): Move {
    return this.begins[tag] ?? this.move(this.origin, tag, event, seq)
  }

  move(from: Configuration, tag: number, event: { readonly _tag: string }, seq: number): Move {
    const row = from.rows[tag] ?? this.row(from, tag)
    if (row.only !== undefined) return row.only
    const { tests } = row
    let answers = 0
    for (let at = 0, bit = 1; at < tests.length; at++, bit *= 2) {
      const test = tests[at]!
      if (test.asked !== seq) {
        test.answer = test.asks?.(event, undefined) !== false
        test.asked = seq
      }
      if (test.answer) answers += bit
    }
    let move = row.moves.get(answers)
    if (move === undefined) {
      move = this.work(from, this.names[tag], (test) => test.answer)
      row.moves.set(answers, move)
    }
    return move
  }

  private row(from: Configuration, tag: number): Row {
    const name = this.names[tag]
    const tests = from === this.origin
      ? this.program.root.waits.flatMap((wait) => [wait.test, wait.until, ...wait.greedy.flatMap(testsOf)])
      : from.waiting.flatMap(asked)
    const open = [...new Set(tests)].filter((test): test is Test =>
      test !== undefined && test.asks !== undefined && names(test, name)
    )
    const row = { tests: open, moves: new Map(), only: open.length === 0 ? this.work(from, name, always) : undefined }
    from.rows[tag] = row
    if (from === this.origin) this.begins[tag] = row.only
    return row
  }

  private work(from: Configuration, tag: string | undefined, answer: (test: Test) => boolean): Move {
    this.made++
    const holds = (test: Test) => names(test, tag) && (test.asks === undefined || answer(test))
    return from === this.origin ? this.first(holds) : this.onward(from, holds)
  }

  private first(holds: (test: Test) => boolean): Move {
    const taken = new Map<string, Map<number, State>>()
    for (const wait of this.program.root.waits) {
      if (!holds(wait.test) || (wait.until !== undefined && holds(wait.until))) continue
      if (wait.greedy.some(({ test, until }) => !(until !== undefined && holds(until)) && holds(test))) continue
      into(taken, wait)
    }
    const takes = this.takes(taken)
    return { idle: takes.length === 0, ...sized(takes), takes, skip: undefined, reports: false }
  }

  private onward(from: Configuration, holds: (test: Test) => boolean): Move {
    const taken = new Map<string, Map<number, State>>()
    const left = from.waiting.map((one) => step(one, holds, taken))
    const reports = !from.done && left.some(completes)
    const skip = this.configuration(left, from.done || reports)
    const takes = this.takes(taken)
    return { idle: skip === from && takes.length === 0 && !reports, ...sized(takes), takes, skip, reports }
  }

  private takes(taken: ReadonlyMap<string, ReadonlyMap<number, State>>): ReadonlyArray<Take> {
    return Array.from(taken, ([step, states]) => {
      const waiting = Array.from(states.values(), fresh)
      const reports = waiting.some(completes)
      return { step: this.steps.indexOf(step), reports, to: this.configuration(waiting, reports) }
    })
  }

  /** The configuration of all that goes on; of equal ones, always the same. */
  configuration(waiting: ReadonlyArray<Waiting>, done: boolean): Configuration | undefined {
    const open = waiting.map((one) => told(one, one.ending && !done))
      .filter(({ ending, waits }) => ending || waits.includes(true))
      .sort((one, other) => one.state.id - other.state.id)
    if (open.length === 0) return undefined
    const name = JSON.stringify([
      done,
      open.map(({ ended, ending, fresh, nextPassed, state, waits }) => [
        state.id,
        fresh,
        ending,
        nextPassed,
        waits,
        ended
      ])
    ])
    const known = this.known.get(name)
    if (known !== undefined) return known
    const made = new Configuration(name, open, done)
    this.known.set(name, made)
    this.made++
    return made
  }
}

const always = () => true

const sized = (takes: ReadonlyArray<Take>): Pick<Move, "needs" | "rows"> => ({
  needs: takes.filter(({ to }) => to !== undefined).length,
  // each that takes it, and the unions with what is there: of those that take it, and of those that do not
  rows: 2 * takes.length + 1
})

const names = ({ tags }: Test, tag: string | undefined): boolean =>
  tags === undefined || (tag !== undefined && tags.has(tag))

const testsOf = ({ test, until }: Compile.Greedy): ReadonlyArray<Test | undefined> => [test, until]

/** All that a run may ask of the next event. */
const asked = ({ ended, ending, fresh, state, waits }: Waiting): ReadonlyArray<Test | undefined> => [
  ...state.waits.flatMap((wait, at) =>
    waits[at] !== true ? [] : [
      wait.test,
      wait.until,
      ...wait.greedy.filter((_, one) => ended[at]?.[one] !== true).flatMap(testsOf),
      ...(fresh ? wait.notNext : []),
      ...wait.notFollowedBy
    ]
  ),
  ...(ending && fresh ? state.end?.notNext ?? [] : [])
]

const into = (taken: Map<string, Map<number, State>>, wait: Compile.Wait): void => {
  let states = taken.get(wait.step)
  if (states === undefined) taken.set(wait.step, states = new Map())
  const to = wait.to()
  states.set(to.id, to)
}

/** A run that has just taken an event. */
const fresh = (state: State): Waiting => ({ ...state.fresh, state })

const completes = ({ ending, nextPassed, state, waits }: Waiting): boolean =>
  ending && nextPassed && state.end !== undefined && !(state.end.holding >= 0 && waits[state.end.holding] === true)

/** What a run is after an event that it has not taken; what takes it is added to `taken`. */
const step = (
  one: Waiting,
  holds: (test: Test) => boolean,
  taken: Map<string, Map<number, State>>
): Waiting => {
  const { fresh, state } = one
  const { end } = state
  const waits = [...one.waits]
  const ended = one.ended.map((each) => [...each])
  let { ending, nextPassed } = one
  for (const [at, wait] of state.waits.entries()) {
    if (waits[at] !== true) continue
    if (clings(ended[at] ?? [], wait, holds) || (fresh && wait.notNext.some(holds))) {
      waits[at] = false
      continue
    }
    const over = wait.until !== undefined && holds(wait.until)
    if (over && wait.again) {
      waits[at] = false
      continue
    }
    const fits = holds(wait.test)
    if (fits && !over) {
      if (end?.holding === at) ending = false
      into(taken, wait)
    }
    if (wait.contiguity === "next" || (wait.contiguity === "followedBy" && fits) || wait.notFollowedBy.some(holds)) {
      waits[at] = false
    }
  }
  if (ending && end !== undefined) {
    if (fresh && end.notNext.some(holds)) ending = false
    else nextPassed = true
  }
  return { state, waits, ended, fresh: false, ending, nextPassed }
}

/** What does not matter any more is not told apart. */
const told = (one: Waiting, ending: boolean): Waiting => {
  const { state, waits } = one
  const matters = state.waits.some(({ notNext }, at) => waits[at] === true && notNext.length > 0) ||
    (ending && state.end !== undefined && state.end.notNext.length > 0)
  return {
    state,
    waits,
    ended: one.ended.map((each, at) => waits[at] === true ? each : each.map(() => false)),
    fresh: one.fresh && matters,
    ending,
    nextPassed: !ending || one.nextPassed
  }
}

const clings = (ended: Array<boolean>, { greedy }: Compile.Wait, holds: (test: Test) => boolean): boolean => {
  for (const [at, { test, until }] of greedy.entries()) {
    if (ended[at] === true) continue
    if (until !== undefined && holds(until)) ended[at] = true
    else if (holds(test)) return true
  }
  return false
}
