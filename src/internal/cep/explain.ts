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
  let strict = true
  let combinations = false
  let at = 0
  for (; at < program.states() && at < counted; at++) {
    const state = program.state(at)
    if (at > 0 && state.end !== undefined && state.end.notFollowedBy.length > 0) strict = false
    for (const wait of state.waits) {
      const to = wait.to()
      if (at > 0 && wait.contiguity !== "next") strict = false
      if (at > 0 && wait.contiguity === "followedByAny") combinations = true
      if (at < drawn) edges.push(`  ${name(at)} -->|"${label(wait, at === 0)}"| ${name(to.id)}`)
    }
    if (at < drawn && state.end !== undefined && at > 0) {
      const { notFollowedBy, notNext } = state.end
      const when = notFollowedBy.length > 0 ? "|window passes| " : notNext.length > 0 ? "|next is not| " : " "
      edges.push(`  ${name(at)} -->${when}match((match))`)
    }
  }
  if (program.states() > drawn) edges.push(`  ${name(drawn - 1)} -.-> more["${program.states() - drawn} more states"]`)
  return {
    states: Math.min(program.states(), counted),
    more: at < program.states(),
    bound: strict ? "strict" : program.window === Infinity ? "unbounded" : combinations ? "combinations" : "window",
    diagram: ["flowchart LR", "  s0([start])", ...edges].join("\n")
  }
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
