import * as Either from "effect/Either"
import { createHash } from "node:crypto"
import * as Event from "../../event/Event.ts"
import * as Machine from "../../event/Machine.ts"
import type { Action, Choreography, Deadline, Input, Rule, State } from "../../saga/Choreography.ts"
import * as EventTypes from "../event/eventTypes.ts"
import * as Faults from "../faults.ts"

type Types = ReadonlyArray<Event.Any>

/** One tag of each type that must come: which of several came would decide what the command says. */
const singleTags = (path: string, types: Types): ReadonlyArray<string> => {
  const faults = Faults.make()
  const tags = types.map((type, index) => {
    const [tag, ...others] = EventTypes.entries([type]).keys()
    if (others.length > 0) {
      faults.add(`${path}.on[${index}]`, `must be one event type, is ${tag} or ${others.join(", ")}`)
    }
    return tag!
  })
  return Either.getOrThrowWith(Faults.orInvalid(faults, () => tags), (invalid) => invalid)
}

const allTags = (types: Types | undefined): ReadonlyArray<string> => [...EventTypes.entries(types ?? []).keys()]

export const rule = (name: string, options: {
  readonly on: Types
  readonly command: Rule<any, any>["command"]
  readonly undoneBy?: Types | undefined
  readonly compensate?: Rule<any, any>["compensate"]
}): Rule<any, any> => ({
  _tag: "Rule",
  name,
  on: singleTags(`rule "${name}"`, options.on),
  undoneBy: allTags(options.undoneBy),
  command: options.command,
  compensate: options.compensate
})

export const deadline = (name: string, after: number, options: {
  readonly on: Types
  readonly event: Deadline<any>["event"]
  readonly unless?: Types | undefined
}): Deadline<any> => ({
  _tag: "Deadline",
  name,
  on: singleTags(`deadline "${name}"`, options.on),
  unless: allTags(options.unless),
  after,
  event: options.event
})

const noKey = () => ""

export const make = (name: string, options: {
  readonly events: any
  readonly saga: (event: any) => string
  readonly key?: ((event: any) => string) | undefined
  readonly rules: ReadonlyArray<Rule<any, any>>
  readonly deadlines?: ReadonlyArray<Deadline<any>> | undefined
}): Choreography<any, any> => {
  const faults = Faults.make()
  const problem = Faults.nameProblem(name, 128) ??
    (name.includes("/") ? `must not hold "/", got ${Faults.show(name)}` : undefined)
  if (problem !== undefined) faults.add("name", problem)
  const events = Event.group<any>(options.events)
  const { deadlines = [], key = noKey, rules, saga } = options
  for (const [kind, all] of [["rules", rules], ["deadlines", deadlines]] as const) {
    const names = new Set<string>()
    for (const [index, each] of all.entries()) {
      const path = `${kind}[${index}]`
      const problem = Faults.nameProblem(each.name, 128) ??
        (each.name.includes("/") ? `must not hold "/", got ${Faults.show(each.name)}` : undefined) ??
        (names.has(each.name) ? `must not stand twice, got ${Faults.show(each.name)}` : undefined)
      if (problem !== undefined) faults.add(`${path}.name`, problem)
      names.add(each.name)
      if (each.on.length === 0) faults.add(`${path}.on`, "must name an event")
      for (const tag of [...each.on, ...(each._tag === "Rule" ? each.undoneBy : each.unless)]) {
        if (!events.entries.has(tag)) faults.add(path, `must be of the choreography's events, got ${tag}`)
      }
      if (each._tag === "Deadline" && !(each.after >= 0 && each.after <= 8.64e15)) {
        faults.add(`${path}.after`, `must be at least 0 and finite, got ${each.after} ms`)
      }
    }
  }
  return Either.getOrThrowWith(
    Faults.orInvalid(faults, () => ({ name, events, saga, key, rules, deadlines })),
    (invalid) => invalid
  )
}

// ------------------------------------------------------------------------------------------------------------ the machine

type Taken = State<any>["taken"]

/** The first event of its type and key, or of its type where that has no key. */
const found = (taken: Taken, tag: string, key: string): Input<any> | undefined => {
  const ofTag = taken[tag]
  if (ofTag === undefined) return undefined
  return Object.hasOwn(ofTag, key) ? ofTag[key] : Object.hasOwn(ofTag, "") ? ofTag[""] : undefined
}

/** The events of a rule or a deadline for a key, if all are there. */
const complete = (taken: Taken, on: ReadonlyArray<string>, key: string): ReadonlyArray<Input<any>> | undefined => {
  const inputs: Array<Input<any>> = []
  for (const tag of on) {
    const input = found(taken, tag, key)
    if (input === undefined) return undefined
    inputs.push(input)
  }
  return inputs
}

const idOf = (kind: string, name: string, key: string): string =>
  `${kind}/${name}${key === "" ? "" : `/${encodeURIComponent(key)}`}`

const eventsOf = (inputs: ReadonlyArray<Input<any>>): ReadonlyArray<any> => inputs.map(({ event }) => event)

/** What follows from what has come and has not followed yet. */
const follow = (self: Choreography<any, any>, { acted, taken }: State<any>): ReadonlyArray<Action<any>> => {
  const actions: Array<Action<any>> = []
  const did = (id: string) => Object.hasOwn(acted, id)
  for (const { command, compensate, name, on, undoneBy } of self.rules) {
    for (const key of Object.keys(taken[on[0]!] ?? {})) {
      const inputs = complete(taken, on, key)
      if (inputs === undefined) continue
      const by = undoneBy.map((tag) => found(taken, tag, key)).find((input) => input !== undefined)
      const id = idOf("do", name, key)
      const send = { _tag: "Send", rule: name, key } as const
      if (by === undefined) {
        if (!did(id)) actions.push({ ...send, id, compensates: false, command: command(...eventsOf(inputs)) })
      } else if (did(id) && compensate !== undefined) {
        const undo = idOf("undo", name, key)
        if (did(undo)) continue
        actions.push({ ...send, id: undo, compensates: true, command: compensate(by.event, ...eventsOf(inputs)) })
      }
    }
  }
  for (const { after, name, on, unless } of self.deadlines) {
    for (const key of Object.keys(taken[on[0]!] ?? {})) {
      const inputs = complete(taken, on, key)
      if (inputs === undefined) continue
      const over = unless.some((tag) => found(taken, tag, key) !== undefined)
      const [arm, disarm] = [idOf("arm", name, key), idOf("disarm", name, key)]
      if (!over && !did(arm)) {
        const at = Math.max(...inputs.map((input) => input.at)) + after
        actions.push({ _tag: "Arm", id: arm, deadline: name, key, at })
      } else if (over && did(arm) && !did(disarm)) {
        actions.push({ _tag: "Disarm", id: disarm, deadline: name, key })
      }
    }
  }
  return actions
}

export const isTaken = (self: Choreography<any, any>, state: State<any>, event: { readonly _tag: string }): boolean =>
  Object.hasOwn(state.taken[event._tag] ?? {}, self.key(event))

export const step = (
  self: Choreography<any, any>,
  state: State<any>,
  input: Input<any>
): readonly [State<any>, ReadonlyArray<Action<any>>] => {
  if (isTaken(self, state, input.event)) return [state, []]
  const tag: string = input.event._tag
  const taken = { ...state.taken, [tag]: { ...state.taken[tag], [self.key(input.event)]: input } }
  const actions = follow(self, { taken, acted: state.acted })
  return [
    { taken, acted: { ...state.acted, ...Object.fromEntries(actions.map(({ id }) => [id, true as const])) } },
    actions
  ]
}

export const initial: State<any> = { taken: {}, acted: {} }

export const machine = (self: Choreography<any, any>): Machine.Machine<State<any>, Input<any>, Action<any>> =>
  Machine.make({ initial, step: (state: State<any>, input: Input<any>) => step(self, state, input) })

export const netEffects = <C>(actions: ReadonlyArray<Action<C>>): ReadonlyArray<C> => {
  const standing = new Map<string, C>()
  for (const action of actions) {
    if (action._tag !== "Send") continue
    const of = `${action.rule}\u0000${action.key}`
    if (action.compensates) standing.delete(of)
    else standing.set(of, action.command)
  }
  return [...standing].sort(([a], [b]) => a < b ? -1 : 1).map(([, command]) => command)
}

/**
 * The event of a deadline that is due, or nothing where it has been overtaken. That it came is an event like others: it is taken
 * in at the instant that it was due.
 */
export const dueEvent = (
  self: Choreography<any, any>,
  state: State<any>,
  name: string,
  key: string
): { readonly _tag: string } | undefined => {
  const deadline = self.deadlines.find((each) => each.name === name)
  const inputs = deadline && complete(state.taken, deadline.on, key)
  if (deadline === undefined || inputs === undefined) return undefined
  if (deadline.unless.some((tag) => found(state.taken, tag, key) !== undefined)) return undefined
  return deadline.event(...eventsOf(inputs))
}

/** The id of a command: short enough for a message's, and the same whenever it is sent. */
export const commandId = (self: Choreography<any, any>, saga: string, action: string): string => {
  const id = `${self.name}/${saga}/${action}`
  return id.length <= 128 ?
    id :
    `${id.slice(0, 63).replace(/[\ud800-\udbff]$/, "")}/${createHash("sha256").update(id).digest("hex")}`
}
