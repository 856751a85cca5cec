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

/** What JSON has no word for, as the infinite, cannot be stored. */
export const ScalarSchema = Schema.Union(Schema.String, Schema.JsonNumber, Schema.Boolean, Schema.Null)

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
      return sum(left, right)
    }
  }
}

const sum = (left: unknown, right: unknown): number | undefined =>
  typeof left === "number" && typeof right === "number" ? left + right : undefined

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

/** A condition as a function, with what does not depend on events done beforehand. It answers what `holds` does. */
export const compiled = (condition: Condition): (event: unknown, soFar: SoFar) => boolean => {
  switch (condition._tag) {
    case "Compare": {
      const left = compiledValue(condition.left)
      const right = compiledValue(condition.right)
      const { is } = condition
      return (event, soFar) => compare(left(event, soFar), is, right(event, soFar))
    }
    case "All": {
      const of = condition.of.map(compiled)
      return (event, soFar) => of.every((one) => one(event, soFar))
    }
    case "Any": {
      const of = condition.of.map(compiled)
      return (event, soFar) => of.some((one) => one(event, soFar))
    }
    case "Not": {
      const one = compiled(condition.condition)
      return (event, soFar) => !one(event, soFar)
    }
    case "Joined": {
      const field = reader(condition.field)
      const { step } = condition
      return (event, soFar) => {
        const bound = soFar[step]
        const mine = field(event)
        if (!Array.isArray(bound)) return bound === undefined || field(bound) === mine
        for (let at = 0; at < bound.length; at++) if (field(bound[at]) !== mine) return false
        return true
      }
    }
  }
}

const compiledValue = (value: Value): (event: unknown, soFar: SoFar) => unknown => {
  switch (value._tag) {
    case "Field":
      return reader(value.path)
    case "Literal": {
      const literal = value.value
      return () => literal
    }
    case "Plus": {
      const left = compiledValue(value.left)
      const right = compiledValue(value.right)
      return (event, soFar) => sum(left(event, soFar), right(event, soFar))
    }
    case "Bound": {
      const { path, step, take } = value
      const field = path === undefined ? undefined : reader(path)
      if (field === undefined || (take !== "first" && take !== "last")) {
        return (event, soFar) => valueOf(value, event, soFar)
      }
      return (_event, soFar) => {
        const bound = soFar[step]
        if (!Array.isArray(bound)) return bound === undefined ? undefined : field(bound)
        return bound.length === 0 ? undefined : field(bound[take === "first" ? 0 : bound.length - 1])
      }
    }
  }
}

/** Reads a field by its path. */
const reader = (path: string): (event: unknown) => unknown => {
  if (path.includes(".")) return (event) => at(event, path)
  return (event) => typeof event === "object" && event !== null ? (event as Record<string, unknown>)[path] : undefined
}

/**
 * Whether a function can look at nothing but its first argument: it has one parameter, no default, no rest, and no `arguments`.
 * Where its text does not say so beyond doubt, it may look at more.
 */
const looksAtOne = (test: Test): boolean => {
  if (test.length > 1) return false
  const text = Function.prototype.toString.call(test)
  if (text.includes("[native code]") || text.includes("arguments")) return false
  const arrow = text.indexOf("=>")
  const head = text.slice(0, arrow < 0 ? text.indexOf(")") + 1 : arrow)
  return !head.includes("...") && !head.includes("=")
}

/** Whether a condition looks at the event alone, and at nothing that was taken before. */
export const isAlone = (where: Condition | Test): boolean =>
  typeof where === "function" ? looksAtOne(where) : !isIterative(where)

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
