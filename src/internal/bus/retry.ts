import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { Failure, type Retry } from "../../bus/DeadLetter.ts"
import { deadLetter, type Verdict } from "../../bus/OnError.ts"
import * as SchedulePosition from "../../resilience/SchedulePosition.ts"

/** How many failed attempts are remembered with a message. */
const remembered = 32

/** What is kept with a message between its attempts. */
const State = Schema.parseJson(Schema.Struct({
  /** Runs of the handler that have ended. */
  attempts: Schema.Int,
  reprocessed: Schema.Int,
  /** Where each verdict's chain of Schedules stands, by the tag of its error. */
  chains: Schema.Record({
    key: Schema.String,
    value: Schema.Struct({ stage: Schema.Int, position: SchedulePosition.Position })
  }),
  /** Not run again before this; absent after the first delivery. */
  next: Schema.optionalWith(Schema.Number, { exact: true }),
  history: Schema.Array(Failure),
  /** Where the automatic retries of its dead letter stand. */
  tried: Schema.optionalWith(SchedulePosition.Position, { exact: true })
}))

export type State = typeof State.Type

export const fresh: State = { attempts: 0, reprocessed: 0, chains: {}, history: [] }

export const encode: (state: State) => string = Schema.encodeSync(State)

const decodeState = Schema.decodeUnknownEither(State)

/** The state of a delivery. One that nobody can read, which only another program can have written, is as good as none. */
export const decode = (text: string | undefined): State =>
  text === undefined ? fresh : Either.getOrElse(decodeState(text), () => fresh)

/** A dead letter on its way back: its attempts are counted anew, its history goes on. */
export const again = (
  history: ReadonlyArray<Failure>,
  reprocessed: number,
  tried?: SchedulePosition.Position
): State => ({ ...fresh, reprocessed, history, ...(tried === undefined ? undefined : { tried }) })

/** What a dead letter keeps of the automatic retries that were. */
export const triedOf = ({ tried }: State): { readonly retry?: Retry } =>
  tried === undefined ? {} : { retry: { position: tried, status: "tried" } }

interface Stage {
  readonly schedule: SchedulePosition.Resumable<unknown, unknown>
  /** Whether the message is given back in the meantime. */
  readonly later: boolean
  readonly overtake: boolean
}

/** A verdict taken apart: one Schedule after the other, and what comes in the end. */
export interface Plan {
  readonly stages: ReadonlyArray<Stage>
  readonly end: "DeadLetter" | "Pause" | "Ignore"
}

/** Schedules that were looked at: thousands of subscriptions share the verdicts of their bus, and looking takes its time. */
const looked = new WeakMap<object, Either.Either<Stage["schedule"], SchedulePosition.NotResumable>>()

const resumable = (
  schedule: Parameters<typeof SchedulePosition.timed>[0]
): Either.Either<Stage["schedule"], SchedulePosition.NotResumable> => {
  const known = looked.get(schedule)
  if (known !== undefined) return known
  const made = SchedulePosition.timed(schedule)
  looked.set(schedule, made)
  return made
}

/** Refuses a Schedule whose position cannot be kept with a message. What is inherited is the bus's own verdict. */
export const compile = (verdict: Verdict, inherited: Verdict): Either.Either<Plan, SchedulePosition.NotResumable> => {
  const stages: Array<Stage> = []
  let at = verdict
  let from = inherited
  while (at._tag === "Retry" || at._tag === "RetryLater" || at._tag === "Inherit") {
    if (at._tag === "Inherit") {
      at = from
      from = deadLetter
      continue
    }
    const schedule = resumable(at.schedule)
    if (Either.isLeft(schedule)) return Either.left(schedule.left)
    const later = at._tag === "RetryLater"
    stages.push({ schedule: schedule.right, later, overtake: at._tag === "RetryLater" && at.overtake })
    at = at.then
  }
  return Either.right({ stages, end: at._tag })
}

/** What is to be done about a failure. */
export type Decision =
  | { readonly _tag: "again"; readonly at: number; readonly later: boolean; readonly overtake: boolean }
  | { readonly _tag: "end"; readonly end: Plan["end"] }

/** Counts a failed attempt. */
export const failed = (state: State, attempts: number, failure: Failure): State => ({
  ...state,
  attempts,
  history: [...state.history, failure].slice(-remembered)
})

/** Asks the plan for an error's tag what comes next. The seed is for a Schedule that begins. */
export const decide = (
  plan: Plan,
  state: State,
  tag: string,
  now: number,
  seed: number
): { readonly state: State; readonly decision: Decision } => {
  const known = Object.hasOwn(state.chains, tag) ? state.chains[tag]! : undefined
  let index = known?.stage ?? 0
  let position = known?.position ?? SchedulePosition.initialWith(seed)
  for (; index < plan.stages.length; index++, position = SchedulePosition.initialWith(seed)) {
    const stage = plan.stages[index]!
    const step = stage.schedule.step(position, now, undefined)
    // What shows only late that it cannot be kept ends here.
    if (Either.isLeft(step)) continue
    position = step.right.position
    const { next } = position
    if (next === null) continue
    return {
      state: { ...state, chains: { ...state.chains, [tag]: { stage: index, position } }, next },
      decision: { _tag: "again", at: next, later: stage.later, overtake: stage.overtake }
    }
  }
  return {
    state: { ...state, chains: { ...state.chains, [tag]: { stage: index, position } } },
    decision: { _tag: "end", end: plan.end }
  }
}
