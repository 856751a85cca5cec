/**
 * How a saga, or something that is asked of one, can fail beside the saga's own error.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { InvalidInput } from "../event/InvalidInput.ts"
import { StoreError } from "../store/StoreError.ts"
import { Failure, InterventionReason } from "./SagaJournal.ts"

const saga = { saga: Schema.String, id: Schema.String }

/**
 * No saga of that name and version is registered with the engine.
 *
 * @since 0.1.0
 * @category errors
 */
export class SagaNotRegistered
  extends Schema.TaggedError<SagaNotRegistered>("effect-skald/saga/SagaNotRegistered")("SagaNotRegistered", {
    saga: Schema.String,
    version: Schema.Number
  })
{
  override get message(): string {
    return `no saga "${this.saga}" of version ${this.version} is registered`
  }
}

/**
 * Sagas are in flight whose definition is not registered: the engine does not start without them.
 *
 * @since 0.1.0
 * @category errors
 */
export class UnregisteredSagas
  extends Schema.TaggedError<UnregisteredSagas>("effect-skald/saga/UnregisteredSagas")("UnregisteredSagas", {
    /** Each definition that is missing, and how many are in flight under it. */
    missing: Schema.NonEmptyArray(
      Schema.Struct({ saga: Schema.String, version: Schema.Number, inFlight: Schema.Number })
    )
  })
{
  override get message(): string {
    return `sagas in flight are not registered: ${
      this.missing.map((each) => `${each.saga} version ${each.version} (${each.inFlight})`).join(", ")
    }`
  }
}

/**
 * A saga of that id was started already, with another payload.
 *
 * @since 0.1.0
 * @category errors
 */
export class PayloadDiffers
  extends Schema.TaggedError<PayloadDiffers>("effect-skald/saga/PayloadDiffers")("PayloadDiffers", saga)
{
  override get message(): string {
    return `saga ${this.saga} "${this.id}" was started already, with another payload`
  }
}

/**
 * There is no saga of that id.
 *
 * @since 0.1.0
 * @category errors
 */
export class SagaNotFound extends Schema.TaggedError<SagaNotFound>("effect-skald/saga/SagaNotFound")(
  "SagaNotFound",
  saga
) {
  override get message(): string {
    return `there is no saga ${this.saga} "${this.id}"`
  }
}

/**
 * An operator's act that cannot be: nothing was journaled.
 *
 * - `ended`: the saga has ended;
 * - `pastPivot`: it cannot be rolled back any more;
 * - `compensating`: it is being rolled back already;
 * - `notNeeded`: nothing waits for such an act;
 * - `noSuchStep`: it has no such step.
 *
 * @since 0.1.0
 * @category errors
 */
export class OperationRefused
  extends Schema.TaggedError<OperationRefused>("effect-skald/saga/OperationRefused")("OperationRefused", {
    ...saga,
    act: Schema.String,
    reason: Schema.Literal("ended", "pastPivot", "compensating", "notNeeded", "noSuchStep")
  })
{
  override get message(): string {
    return `saga ${this.saga} "${this.id}": ${this.act} is refused (${this.reason})`
  }
}

/**
 * The saga was cancelled by an operator, and what it had done is undone.
 *
 * @since 0.1.0
 * @category errors
 */
export class SagaCancelled
  extends Schema.TaggedError<SagaCancelled>("effect-skald/saga/SagaCancelled")("SagaCancelled", {
    ...saga,
    by: Schema.String,
    why: Schema.String
  })
{
  override get message(): string {
    return `saga ${this.saga} "${this.id}" was cancelled by ${this.by}: ${this.why}`
  }
}

/**
 * The saga's deadline passed, and what it had done is undone.
 *
 * @since 0.1.0
 * @category errors
 */
export class SagaTimedOut extends Schema.TaggedError<SagaTimedOut>("effect-skald/saga/SagaTimedOut")(
  "SagaTimedOut",
  saga
) {
  override get message(): string {
    return `saga ${this.saga} "${this.id}" timed out`
  }
}

/**
 * The saga cannot go on by itself and waits for an operator. `failure` is what it, or the step that is stuck, failed with.
 *
 * @since 0.1.0
 * @category errors
 */
export class NeedsIntervention
  extends Schema.TaggedError<NeedsIntervention>("effect-skald/saga/NeedsIntervention")("NeedsIntervention", {
    ...saga,
    reason: InterventionReason,
    step: Schema.optional(Schema.String),
    /** What the step, or the compensation, that is stuck failed with. */
    failure: Schema.optional(Failure),
    /** What the saga itself failed with, where it did. */
    sagaFailure: Schema.optional(Failure)
  })
{
  override get message(): string {
    const where = this.step === undefined ? "" : ` at step ${this.step}`
    return `saga ${this.saga} "${this.id}" needs intervention${where} (${this.reason})${
      this.failure === undefined ? "" : `: ${this.failure.message}`
    }`
  }
}

/**
 * The body asked for a step that no saga can have; the saga is rolled back.
 *
 * - `duplicate`: a step of that name, and key, was asked for already;
 * - `afterPivot`: a compensatable step, or a second pivot, after the point of no return;
 * - `schedule`: a Schedule whose position cannot be kept;
 * - `name`: a name or key that cannot be one;
 * - `resolve`: `onUnknown: "ask"` without a `resolve`.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidStep extends Schema.TaggedError<InvalidStep>("effect-skald/saga/InvalidStep")("InvalidStep", {
  step: Schema.String,
  reason: Schema.Literal("duplicate", "afterPivot", "schedule", "name", "resolve"),
  detail: Schema.optional(Schema.String)
}) {
  override get message(): string {
    return `step ${this.step} is invalid (${this.reason})${this.detail === undefined ? "" : `: ${this.detail}`}`
  }
}

/**
 * The body does not fit the journal: a step was removed, renamed, reordered, or is of another kind or Schema.
 *
 * @since 0.1.0
 * @category errors
 */
export class DefinitionMismatch
  extends Schema.TaggedError<DefinitionMismatch>("effect-skald/saga/DefinitionMismatch")("DefinitionMismatch", {
    ...saga,
    detail: Schema.String
  })
{
  override get message(): string {
    return `saga ${this.saga} "${this.id}" does not fit its journal: ${this.detail}`
  }
}

/**
 * Each attempt of a step took longer than the step allows. A defect of the step: it rolls back like any failure.
 *
 * @since 0.1.0
 * @category errors
 */
export class StepTimedOut extends Schema.TaggedError<StepTimedOut>("effect-skald/saga/StepTimedOut")("StepTimedOut", {
  step: Schema.String
}) {
  override get message(): string {
    return `step ${this.step} took too long`
  }
}

/**
 * A crash left open what a step did, and its definition asks for compensation then. A defect of the step.
 *
 * @since 0.1.0
 * @category errors
 */
export class OutcomeUnknown
  extends Schema.TaggedError<OutcomeUnknown>("effect-skald/saga/OutcomeUnknown")("OutcomeUnknown", {
    step: Schema.String
  })
{
  override get message(): string {
    return `what step ${this.step} did is unknown`
  }
}

/**
 * A signal did not come in time.
 *
 * @since 0.1.0
 * @category errors
 */
export class SignalTimedOut
  extends Schema.TaggedError<SignalTimedOut>("effect-skald/saga/SignalTimedOut")("SignalTimedOut", {
    signal: Schema.String
  })
{
  override get message(): string {
    return `signal ${this.signal} did not come in time`
  }
}

/**
 * The engine stopped while somebody waited for a saga. The saga goes on where another engine takes it over.
 *
 * @since 0.1.0
 * @category errors
 */
export class EngineStopped
  extends Schema.TaggedError<EngineStopped>("effect-skald/saga/EngineStopped")("EngineStopped", saga)
{
  override get message(): string {
    return `the engine stopped while saga ${this.saga} "${this.id}" was in flight; it goes on elsewhere or later`
  }
}

/**
 * Why the engine could not be asked.
 *
 * @since 0.1.0
 * @category errors
 */
export type AskError = StoreError | InvalidInput | UnregisteredSagas

/**
 * Why a saga could not be started.
 *
 * @since 0.1.0
 * @category errors
 */
export type StartError = AskError | SagaNotRegistered | PayloadDiffers

/**
 * How a saga can end other than by its own success or error, or why nobody waits for its end any more.
 *
 * @since 0.1.0
 * @category errors
 */
export type Unfinished = SagaCancelled | SagaTimedOut | NeedsIntervention | EngineStopped

export {
  /**
   * An argument that cannot be used.
   *
   * @since 0.1.0
   * @category errors
   */
  InvalidInput,
  /**
   * The event store failed.
   *
   * @since 0.1.0
   * @category errors
   */
  StoreError
}
