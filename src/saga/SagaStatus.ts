/**
 * What is known of a saga: its state, its steps, what it waits for, why a person is needed.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { Failure, InterventionReason, type Kind, type Reason } from "./SagaJournal.ts"

const maybe = <A, I>(schema: Schema.Schema<A, I>) => Schema.optionalWith(schema, { exact: true })

/**
 * The states of a saga. `waiting`: all that is open waits for an instant or for a signal. `compensated`: it failed, or was
 * cancelled, and what it had done is undone.
 *
 * @since 0.1.0
 * @category schemas
 */
export const State = Schema.Literal(
  "started",
  "running",
  "waiting",
  "compensating",
  "completed",
  "compensated",
  "timedOut",
  "needsIntervention"
)

/**
 * A state of a saga.
 *
 * @since 0.1.0
 * @category models
 */
export type State = typeof State.Type

/**
 * An activity of a saga: a step, a durable sleep, or a wait for a signal. Instants are milliseconds since 1970.
 *
 * @since 0.1.0
 * @category models
 */
export interface Step {
  /** Its identity: parents, name and key. */
  readonly step: string
  readonly name: string
  readonly kind: Kind
  readonly round: number
  /** `lost`: interrupted while its saga went on. */
  readonly state: "running" | "waiting" | "done" | "failed" | "lost"
  /** How often it was begun. */
  readonly attempts: number
  readonly begunAt: number
  readonly endedAt: number | undefined
  /** When its next attempt is due, or its wait over. */
  readonly due: number | undefined
  /** Its result, encoded. */
  readonly value: unknown
  readonly failure: Failure | undefined
  /** What became of its compensation; `none` where it has none or needs none. */
  readonly compensation: "none" | "registered" | "running" | "undone" | "neverHappened" | "skipped" | "left"
  readonly compensationAttempts: number
  readonly compensationFailure: Failure | undefined
}

/**
 * Why a saga stands still, and since when.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Intervention = Schema.Struct({
  reason: InterventionReason,
  step: maybe(Schema.String),
  failure: maybe(Failure),
  since: Schema.Number
})

/**
 * Why a saga stands still, and since when.
 *
 * @since 0.1.0
 * @category models
 */
export type Intervention = typeof Intervention.Type

/**
 * An act of an operator.
 *
 * @since 0.1.0
 * @category models
 */
export interface Act {
  readonly act: "retry" | "skip" | "resolve" | "cancel"
  readonly by: string
  readonly why: string
  readonly step: string | undefined
  readonly at: number
}

/**
 * All that is known of one saga, from its journal.
 *
 * @since 0.1.0
 * @category models
 */
export interface Status {
  readonly saga: string
  readonly id: string
  readonly version: number
  readonly state: State
  readonly round: number
  readonly startedAt: number
  readonly endedAt: number | undefined
  readonly deadline: number | undefined
  /** Whether its deadline passed after the pivot. */
  readonly late: boolean
  /** The input as it was given, encoded. */
  readonly payload: unknown
  /** In journal order. */
  readonly steps: ReadonlyArray<Step>
  readonly reason: Reason | undefined
  /** What the saga itself failed with. */
  readonly failure: Failure | undefined
  /** Its result, encoded. */
  readonly value: unknown
  readonly interventions: ReadonlyArray<Intervention>
  readonly acts: ReadonlyArray<Act>
  /** The steps whose compensations were given up. */
  readonly left: ReadonlyArray<string>
}

/**
 * What a list says of a saga.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Summary = Schema.Struct({
  tenant: maybe(Schema.String),
  saga: Schema.String,
  id: Schema.String,
  version: Schema.Number,
  state: State,
  startedAt: Schema.Number,
  /** When its state was last changed. */
  changedAt: Schema.Number,
  interventions: Schema.Array(Intervention)
})

/**
 * What a list says of a saga.
 *
 * @since 0.1.0
 * @category models
 */
export type Summary = typeof Summary.Type
