import type * as Compile from "./compile.ts"

/** What there is to say about a compiled pattern before it has seen any event. */

export interface Explained {
  readonly states: number
  /** Whether there are more states than were counted. */
  readonly more: boolean
  readonly bound: "strict" | "window" | "combinations" | "unbounded"
  readonly diagram: string
}

/** So many states are drawn at most, and so many are counted. */
const drawn = 50
const counted = 10_000

export const explain = (program: Compile.Program): Explained => {
  const edges: Array<string> = []
  /** Where the waits of each state lead. */
  const ways: Array<ReadonlyArray<number>> = []
  let strict = true
  let combinations = false
  let at = 0
  for (; at < program.states() && at < counted; at++) {
    const state = program.state(at)
    if (at > 0 && state.end !== undefined && state.end.notFollowedBy.length > 0) strict = false
    ways.push(state.waits.map((wait) => wait.to().id))
    for (const wait of state.waits) {
      if (at > 0 && wait.contiguity !== "next") strict = false
      if (at > 0 && wait.contiguity === "followedByAny") combinations = true
      if (at < drawn) edges.push(`  ${name(at)} -->|"${label(wait, at === 0)}"| ${name(wait.to().id)}`)
    }
    if (at < drawn && state.end !== undefined && at > 0) {
      const { notFollowedBy, notNext } = state.end
      const when = notFollowedBy.length > 0 ? "|window passes| " : notNext.length > 0 ? "|next is not| " : " "
      edges.push(`  ${name(at)} -->${when}match((match))`)
    }
  }
  if (program.states() > drawn) edges.push(`  ${name(drawn - 1)} -.-> more["${program.states() - drawn} more states"]`)
  const more = at < program.states()
  const most = rounds(ways)
  // what goes round may go on with every event
  if (more || most > 0) strict = false
  if (most > 1) combinations = true
  return {
    states: Math.min(program.states(), counted),
    more,
    bound: strict ? "strict" : program.window === Infinity ? "unbounded" : combinations ? "combinations" : "window",
    diagram: ["flowchart LR", "  s0([start])", ...edges].join("\n")
  }
}

/**
 * In how many ways a partial match may at most go on from a state and come back to it: none where nothing goes round; where
 * there is more than one, partial matches may double with every round.
 */
const rounds = (ways: ReadonlyArray<ReadonlyArray<number>>): number => {
  // Tarjan: states that lead to each other get one number
  const order = ways.map(() => -1)
  const low: Array<number> = []
  const part = ways.map(() => -1)
  const open: Array<number> = []
  const path: Array<{ readonly state: number; next: number }> = []
  let seen = 0
  const enter = (state: number): void => {
    low[state] = order[state] = seen++
    open.push(state)
    path.push({ state, next: 0 })
  }
  for (let from = 0; from < ways.length; from++) {
    if (order[from] === -1) enter(from)
    for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
      const { state } = top
      const to = ways[state]![top.next++]
      if (to === undefined) {
        path.pop()
        const before = path.at(-1)
        if (before !== undefined) low[before.state] = Math.min(low[before.state]!, low[state]!)
        if (low[state] !== order[state]) continue
        for (let one = open.pop(); one !== undefined; one = one === state ? undefined : open.pop()) part[one] = state
      } else if (order[to] === -1) enter(to)
      else if (to < ways.length && part[to] === -1) low[state] = Math.min(low[state]!, order[to]!)
    }
  }
  let most = 0
  for (const [state, all] of ways.entries()) {
    most = Math.max(most, all.filter((to) => part[to] === part[state]).length)
  }
  return most
}

const name = (id: number): string => `s${id}`

const label = (wait: Compile.Wait, first: boolean): string => {
  const how = first ? "" : { next: "=> ", followedBy: "-> ", followedByAny: "~> " }[wait.contiguity]
  const marks = [
    wait.notNext.length > 0 ? "not next" : "",
    wait.notFollowedBy.length > 0 ? "none between" : "",
    wait.greedy.length > 0 ? "after greedy" : "",
    wait.until === undefined ? "" : "until",
    wait.gap === Infinity ? "" : `< ${wait.gap} ms`
  ].filter((mark) => mark !== "")
  const text = `${how}${wait.step}${marks.length === 0 ? "" : ` (${marks.join(", ")})`}`
  // what would end a label, or mean something in it, is told by its number
  return text.replace(/\s+/g, " ").replace(/["#`]/g, (sign) => `#${sign.charCodeAt(0)};`)
}
