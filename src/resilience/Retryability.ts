/**
 * Whether an error is worth another try: marked on its Schema, or by its tag.
 *
 * Retry policies, circuit breakers and subscriptions ask here, so that it is said once, where the error is defined.
 *
 * @since 0.1.0
 */
import type * as Schema from "effect/Schema"
import * as Internal from "../internal/resilience/retryability.ts"

/**
 * `retryable` errors may be gone the next time; `permanent` ones come again however often one tries.
 *
 * @since 0.1.0
 * @category models
 */
export type Retryability = "retryable" | "permanent"

/**
 * The annotation's key.
 *
 * @since 0.1.0
 * @category annotations
 */
export const RetryabilityId: unique symbol = Symbol.for("effect-skald/resilience/Retryability")

/**
 * Marks the Schema of an error as worth another try.
 *
 * @example
 * ```ts
 * import * as Retryability from "effect-skald/resilience/Retryability"
 * import { Schema } from "effect"
 *
 * class SmtpDown extends Schema.TaggedError<SmtpDown>()("SmtpDown", {}, Retryability.retryable) {}
 *
 * Retryability.isRetryable(new SmtpDown()) // true
 * ```
 *
 * @since 0.1.0
 * @category annotations
 */
export const retryable: { readonly [RetryabilityId]: "retryable" } = { [RetryabilityId]: "retryable" }

/**
 * Marks the Schema of an error as one that no further try will mend.
 *
 * @example
 * ```ts
 * import * as Retryability from "effect-skald/resilience/Retryability"
 * import { Schema } from "effect"
 *
 * class BadAddress extends Schema.TaggedError<BadAddress>()("BadAddress", {}, Retryability.permanent) {}
 *
 * Retryability.isRetryable(new BadAddress()) // false
 * ```
 *
 * @since 0.1.0
 * @category annotations
 */
export const permanent: { readonly [RetryabilityId]: "permanent" } = { [RetryabilityId]: "permanent" }

/**
 * What is said beside the annotations of errors.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** By the error's `_tag`; it wins over an annotation. */
  readonly tags?: { readonly [tag: string]: Retryability } | undefined
  /** What an error is that neither its class nor its tag tells of; `retryable` by default. */
  readonly otherwise?: Retryability | undefined
}

/**
 * What is known of an error: by its tag where `tags` has it, else by the annotation of its class. `undefined` when nobody
 * has said anything.
 *
 * @example
 * ```ts
 * import * as Retryability from "effect-skald/resilience/Retryability"
 *
 * Retryability.of({ _tag: "Timeout" }, { tags: { Timeout: "retryable" } }) // "retryable"
 * Retryability.of(new Error("?")) // undefined
 * ```
 *
 * @since 0.1.0
 * @category getters
 */
export const of: (error: unknown, options?: Options) => Retryability | undefined = Internal.of

/**
 * Whether an error is worth another try.
 *
 * @example
 * ```ts
 * import * as Retryability from "effect-skald/resilience/Retryability"
 *
 * Retryability.isRetryable(new Error("unmarked")) // true
 * Retryability.isRetryable(new Error("unmarked"), { otherwise: "permanent" }) // false
 * ```
 *
 * @since 0.1.0
 * @category predicates
 */
export const isRetryable = (error: unknown, options?: Options): boolean =>
  (Internal.of(error, options) ?? options?.otherwise ?? "retryable") === "retryable"

/**
 * The annotations of the members of a Schema by tag, for errors that are plain tagged structs and no classes, or that come
 * from another process.
 *
 * @example
 * ```ts
 * import * as Retryability from "effect-skald/resilience/Retryability"
 * import { Schema } from "effect"
 *
 * const Refused = Schema.TaggedStruct("Refused", {}).annotations(Retryability.permanent)
 * const Busy = Schema.TaggedStruct("Busy", {}).annotations(Retryability.retryable)
 *
 * Retryability.tagsOf(Schema.Union(Refused, Busy)) // { Refused: "permanent", Busy: "retryable" }
 * ```
 *
 * @since 0.1.0
 * @category getters
 */
export const tagsOf = (schema: Schema.Schema.All): { readonly [tag: string]: Retryability } =>
  Internal.tagsOf(schema.ast)
