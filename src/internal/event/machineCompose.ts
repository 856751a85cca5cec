/**
 * Machines in sequence. Nested composites are opened as one flat chain, however they are nested, so that a chain of
 * thousands of machines neither opens nor runs on a deep call stack.
 */
import type { Machine } from "../../event/Machine.ts"
import * as internal from "./machine.ts"

type AnyMachine = Machine<any, any, any, any>
type AnyInstance = internal.Instance<unknown, unknown>

/** How many machines call each other directly before outputs are handed over through a list. */
const segment = 128

/** Visits the machines of a chain from the last to the first, each with its state. */
const open = (self: AnyMachine, state: unknown, emit: internal.Emit<unknown>): AnyInstance => {
  const stages: Array<AnyInstance> = []
  const joints: Array<{ readonly waiting: Array<unknown>; readonly push: (input: unknown) => void }> = []
  const todo: Array<readonly [AnyMachine, unknown]> = [[self, state]]
  let sink = emit
  for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
    const parts = internal.parts(next[0])
    if (parts !== undefined) {
      const states = next[1] as readonly [unknown, unknown]
      todo.push([parts.first, states[0]], [parts.second, states[1]])
      continue
    }
    if (stages.length > 0 && stages.length % segment === 0) {
      const waiting: Array<unknown> = []
      joints.push({ waiting, push: sink })
      sink = (output) => {
        waiting.push(output)
      }
    }
    const stage = internal.open(next[0], next[1], sink)
    stages.push(stage)
    sink = stage.push
  }
  return { push: joints.length === 0 ? sink : through(sink, joints.reverse()), state: () => close(self, stages) }
}

/**
 * Runs segment after segment. When one fails, what it had handed over before still runs: a failure further down comes
 * earlier in the order in which a direct chain would have met it, and is the one reported.
 */
const through = (
  head: (input: unknown) => void,
  joints: ReadonlyArray<{ readonly waiting: Array<unknown>; readonly push: (input: unknown) => void }>
) =>
(input: unknown): void => {
  let halt = internal.attempt(head, input)
  for (const { push, waiting } of joints) {
    for (const output of waiting) {
      const stopped = internal.attempt(push, output)
      if (stopped !== undefined) {
        halt = stopped
        break
      }
    }
    waiting.length = 0
  }
  if (halt !== undefined) throw halt
}

/** Puts the states of the stages (last first) together again, nested as the machine is. */
const close = (self: AnyMachine, stages: ReadonlyArray<AnyInstance>): unknown => {
  const todo: Array<AnyMachine | undefined> = [self]
  const states: Array<unknown> = []
  let stage = 0
  while (todo.length > 0) {
    const next = todo.pop()
    const parts = next === undefined ? undefined : internal.parts(next)
    if (parts !== undefined) todo.push(undefined, parts.first, parts.second)
    else if (next === undefined) states.push([states.pop(), states.pop()])
    else states.push(stages[stage++]?.state())
  }
  return states[0]
}

export const compose = <S1, I, O1, E1, S2, O2, E2>(
  first: Machine<S1, I, O1, E1>,
  second: Machine<S2, O1, O2, E2>
): Machine<readonly [S1, S2], I, O2, E1 | E2> => {
  const self: Machine<readonly [S1, S2], I, O2, E1 | E2> = internal.fromOpen<readonly [S1, S2], I, O2, E1 | E2>(
    [first.initial, second.initial],
    (state, emit) => open(self, state, emit as internal.Emit<unknown>) as internal.Instance<readonly [S1, S2], I>,
    { first, second }
  )
  return self
}
