import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import { DefinitionMismatch, InvalidStep, OutcomeUnknown, StepTimedOut } from "../../saga/SagaError.ts"
import type { Failure } from "../../saga/SagaJournal.ts"
import * as Faults from "../faults.ts"
import * as Json from "../json.ts"

type AnySchema = Schema.Schema<any, any>

const messageOf = (error: unknown): string => {
  const text = error instanceof Error ? error.message : Predicate.hasProperty(error, "message") ? error.message : error
  return typeof text === "string" && text !== ""
    ? text
    : Predicate.hasProperty(error, "_tag")
    ? String(error._tag)
    : Faults.show(error)
}

const tagOf = (error: unknown): { readonly tag?: string } =>
  Predicate.hasProperty(error, "_tag") && typeof error._tag === "string" ? { tag: error._tag } : {}

const encodeBy = (schema: AnySchema | undefined, error: unknown): Option.Option<unknown> => {
  if (schema === undefined) return Option.none()
  const encoded = Either.getRight(ParseResult.encodeUnknownEither(schema)(error))
  return Option.filter(encoded, (value) => value === undefined || Json.isValue(value))
}

/** The members of an error that JSON keeps. */
const plain = (error: unknown): unknown => {
  if (!Predicate.isObject(error)) return Json.isValue(error) ? error : String(error)
  const kept: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(error)) if (name !== "stack" && Json.isValue(value)) kept[name] = value
  return { ...kept, ...tagOf(error), message: messageOf(error) }
}

/** A typed failure, for the journal: by its step's Schema, the saga's, or as plain members. */
export const ofError = (error: unknown, step: AnySchema | undefined, saga: AnySchema): Failure => {
  const base = { kind: "error" as const, message: messageOf(error), ...tagOf(error) }
  const byStep = encodeBy(step, error)
  if (Option.isSome(byStep)) return { ...base, codec: "step", ...valueOf(byStep.value) }
  const bySaga = encodeBy(saga, error)
  if (Option.isSome(bySaga)) return { ...base, codec: "saga", ...valueOf(bySaga.value) }
  return { ...base, codec: "json", ...valueOf(plain(error)) }
}

const valueOf = (value: unknown): { readonly value?: unknown } => value === undefined ? {} : { value }

const encodeDefect = Schema.encodeSync(Schema.Defect)
const encodeInvalid = Schema.encodeSync(InvalidStep)

/** A defect, for the journal. */
export const ofDefect = (cause: Cause.Cause<unknown>): Failure => {
  const defect = Option.getOrElse(Cause.dieOption(cause), () => Cause.squash(cause))
  const kind = defect instanceof StepTimedOut
    ? "timeout" as const
    : defect instanceof OutcomeUnknown
    ? "unknown" as const
    : defect instanceof InvalidStep
    ? "invalid" as const
    : "defect" as const
  let value: unknown
  try {
    value = defect instanceof InvalidStep ? encodeInvalid(defect) : encodeDefect(defect)
    if (!Json.isValue(value)) value = String(defect)
  } catch {
    value = Faults.show(defect)
  }
  return { kind, message: messageOf(defect), ...tagOf(defect), ...valueOf(value) }
}

/** A cause, for the journal: its first typed failure, else its defect. */
export const ofCause = (cause: Cause.Cause<unknown>, step: AnySchema | undefined, saga: AnySchema): Failure =>
  Option.match(Chunk.head(Cause.failures(cause)), {
    onSome: (error) => ofError(error, step, saga),
    onNone: () => ofDefect(cause)
  })

/** What a journaled failure fails with when it is read again. */
export const toCause = (
  failure: Failure | undefined,
  step: string,
  schema: AnySchema | undefined,
  saga: AnySchema
): Cause.Cause<unknown> => {
  if (failure === undefined) return Cause.die(new OutcomeUnknown({ step }))
  switch (failure.kind) {
    case "error": {
      const codec = failure.codec === "step" ? schema : failure.codec === "saga" ? saga : undefined
      if (codec !== undefined) {
        const decoded = ParseResult.decodeUnknownEither(codec)(failure.value)
        return Either.isRight(decoded)
          ? Cause.fail(decoded.right)
          : Cause.die(new DefinitionMismatch({ saga: "", id: "", detail: `the error of ${step} cannot be read` }))
      }
      return Cause.fail(
        Predicate.isRecord(failure.value) ? Object.assign(new Error(failure.message), failure.value) : failure.value
      )
    }
    case "timeout":
      return Cause.die(new StepTimedOut({ step }))
    case "unknown":
      return Cause.die(new OutcomeUnknown({ step }))
    case "invalid":
    case "defect":
      return Cause.die(Option.getOrElse(
        failure.kind === "invalid" ? ParseResult.decodeUnknownOption(InvalidStep)(failure.value) : Option.none(),
        () => Schema.decodeUnknownSync(Schema.Defect)(failure.value)
      ))
  }
}
