import * as Schema from "effect/Schema"

/** Conditions as data, and as functions; how both are asked. */

export type Scalar = string | number | boolean | null

export type Value =
  | { readonly _tag: "Field"; readonly path: string }
  | { readonly _tag: "Literal"; readonly value: Scalar }
  | {
    readonly _tag: "Bound"
    readonly step: string
    readonly take: "first" | "last" | "count" | "sum" | "min" | "max" | "mean"
    readonly path?: string | undefined
  }
  | { readonly _tag: "Plus"; readonly left: Value; readonly right: Value }

export type Comparison = "=" | "!=" | "<" | "<=" | ">" | ">=" | "contains" | "startsWith"

export type Condition =
  | { readonly _tag: "Compare"; readonly left: Value; readonly is: Comparison; readonly right: Value }
  | { readonly _tag: "All"; readonly of: ReadonlyArray<Condition> }
  | { readonly _tag: "Any"; readonly of: ReadonlyArray<Condition> }
  | { readonly _tag: "Not"; readonly condition: Condition }
  | { readonly _tag: "Joined"; readonly field: string; readonly step: string }

/** What is bound so far: the event of a step, or the events of a loop. */
export type SoFar = { readonly [step: string]: unknown }

export type Test = (event: any, soFar: any, own: any) => boolean

export const ScalarSchema = Schema.Union(Schema.String, Schema.Number, Schema.Boolean, Schema.Null)

export const ValueSchema: Schema.Schema<Value> = Schema.Union(
  Schema.TaggedStruct("Field", { path: Schema.String }),
  Schema.TaggedStruct("Literal", { value: ScalarSchema }),
  Schema.TaggedStruct("Bound", {
    step: Schema.String,
    take: Schema.Literal("first", "last", "count", "sum", "min", "max", "mean"),
    path: Schema.optional(Schema.String)
  }),
  Schema.TaggedStruct("Plus", {
    left: Schema.suspend((): Schema.Schema<Value> => ValueSchema),
    right: Schema.suspend((): Schema.Schema<Value> => ValueSchema)
  })
)

export const ConditionSchema: Schema.Schema<Condition> = Schema.Union(
  Schema.TaggedStruct("Compare", {
    left: ValueSchema,
    is: Schema.Literal("=", "!=", "<", "<=", ">", ">=", "contains", "startsWith"),
    right: ValueSchema
  }),
  Schema.TaggedStruct("All", { of: Schema.Array(Schema.suspend((): Schema.Schema<Condition> => ConditionSchema)) }),
  Schema.TaggedStruct("Any", { of: Schema.Array(Schema.suspend((): Schema.Schema<Condition> => ConditionSchema)) }),
  Schema.TaggedStruct("Not", { condition: Schema.suspend((): Schema.Schema<Condition> => ConditionSchema) }),
  Schema.TaggedStruct("Joined", { field: Schema.String, step: Schema.String })
)

export const listOf = (bound: unknown): ReadonlyArray<unknown> =>
  bound === undefined ? [] : Array.isArray(bound) ? bound : [bound]

const at = (event: unknown, path: string): unknown => {
  let value = event
  for (const part of path.split(".")) {
    if (typeof value !== "object" || value === null) return undefined
    value = (value as Record<string, unknown>)[part]
  }
  return value
}

const aggregate = (take: string, values: ReadonlyArray<unknown>): unknown => {
  if (take === "first") return values[0]
  if (take === "last") return values.at(-1)
  const numbers = values.filter((value) => typeof value === "number")
  if (take === "sum") return numbers.reduce((sum, value) => sum + value, 0)
  if (numbers.length === 0) return undefined
  if (take === "min") return numbers.reduce((least, value) => Math.min(least, value))
  if (take === "max") return numbers.reduce((most, value) => Math.max(most, value))
  return numbers.reduce((sum, value) => sum + value, 0) / numbers.length
}

const valueOf = (value: Value, event: unknown, soFar: SoFar): unknown => {
  switch (value._tag) {
    case "Field":
      return at(event, value.path)
    case "Literal":
      return value.value
    case "Bound": {
      const events = listOf(soFar[value.step])
      if (value.take === "count") return events.length
      const { path } = value
      return aggregate(value.take, path === undefined ? events : events.map((one) => at(one, path)))
    }
    case "Plus": {
      const left = valueOf(value.left, event, soFar)
      const right = valueOf(value.right, event, soFar)
      return typeof left === "number" && typeof right === "number" ? left + right : undefined
    }
  }
}

const compare = (left: unknown, is: Comparison, right: unknown): boolean => {
  if (left === undefined || right === undefined) return false
  if (is === "=") return left === right
  if (is === "!=") return left !== right
  if (is === "contains") return typeof left === "string" && typeof right === "string" && left.includes(right)
  if (is === "startsWith") return typeof left === "string" && typeof right === "string" && left.startsWith(right)
  const ordered = (typeof left === "number" && typeof right === "number") ||
    (typeof left === "string" && typeof right === "string")
  if (!ordered) return false
  if (is === "<") return left < right
  if (is === "<=") return left <= right
  return is === ">" ? left > right : left >= right
}

/** Whether an event satisfies a condition, given what is bound so far. */
export const holds = (condition: Condition, event: unknown, soFar: SoFar): boolean => {
  switch (condition._tag) {
    case "Compare":
      return compare(valueOf(condition.left, event, soFar), condition.is, valueOf(condition.right, event, soFar))
    case "All":
      return condition.of.every((one) => holds(one, event, soFar))
    case "Any":
      return condition.of.some((one) => holds(one, event, soFar))
    case "Not":
      return !holds(condition.condition, event, soFar)
    case "Joined": {
      const bound = listOf(soFar[condition.step])
      return bound.every((one) => at(one, condition.field) === at(event, condition.field))
    }
  }
}

/** Whether a condition asks for more than the event itself. */
export const isIterative = (condition: Condition): boolean => {
  const reaches = (value: Value): boolean =>
    value._tag === "Bound" || (value._tag === "Plus" && (reaches(value.left) || reaches(value.right)))
  switch (condition._tag) {
    case "Compare":
      return reaches(condition.left) || reaches(condition.right)
    case "All":
    case "Any":
      return condition.of.some(isIterative)
    case "Not":
      return isIterative(condition.condition)
    case "Joined":
      return true
  }
}

/** The steps whose events a condition asks for. */
export const stepsIn = (condition: Condition): ReadonlyArray<string> => {
  const inValue = (value: Value): ReadonlyArray<string> =>
    value._tag === "Bound"
      ? [value.step]
      : value._tag === "Plus"
      ? [...inValue(value.left), ...inValue(value.right)]
      : []
  switch (condition._tag) {
    case "Compare":
      return [...inValue(condition.left), ...inValue(condition.right)]
    case "All":
    case "Any":
      return condition.of.flatMap(stepsIn)
    case "Not":
      return stepsIn(condition.condition)
    case "Joined":
      return [condition.step]
  }
}
