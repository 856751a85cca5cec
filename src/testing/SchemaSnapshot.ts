/**
 * A lint for event Schemas: a committed file holds the JSON Schema of every version of every event type, and a test fails
 * where an event that was recorded under it would not be read any more, or not whole.
 *
 * **Compatible**, for one tag and schema version, is a change after which every payload that met the committed Schema
 * meets the present one, and no member of it is left out by it: a new optional member, a required one that became
 * optional, a wider type (`integer` to `number`, a further literal, a further alternative of a union), a wider bound, and
 * whatever only describes. A version that was raised is compatible where the committed Schema of each older version is
 * read by the upcaster that has taken its place, and a renamed tag where it is an alias.
 *
 * Everything else is refused: a member removed, or new and required, or required now; another or a narrower type, bound or
 * pattern; a version lowered; a tag that is gone. So is what cannot be decided. What a JSON Schema does not show, it
 * cannot find: a filter without a `jsonSchema` annotation, the inside of a transformation (that a text is a date), and a
 * change of meaning.
 *
 * @since 0.1.0
 */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as JSONSchema from "effect/JSONSchema"
import * as Schema from "effect/Schema"
import type { Any, Entry } from "../event/Event.ts"
import { Fault, InvalidInput } from "../event/InvalidInput.ts"
import * as EventTypes from "../internal/event/eventTypes.ts"
import * as SchemaChange from "../internal/testing/schemaChange.ts"

const JsonSchema = Schema.Record({ key: Schema.String, value: Schema.Unknown })

/**
 * Schema of the committed file: for each tag its version, its former tags, and the JSON Schema of the encoded side of each
 * of its versions, without the tag itself.
 *
 * @since 0.1.0
 * @category schemas
 */
export const SchemaSnapshot = Schema.Struct({
  events: Schema.Record({
    key: Schema.String,
    value: Schema.Struct({
      version: Schema.Int,
      aliases: Schema.Array(Schema.String),
      schemas: Schema.Record({ key: Schema.String, value: JsonSchema })
    })
  })
})

/**
 * What is known of the Schemas of some event types.
 *
 * @since 0.1.0
 * @category models
 */
export interface SchemaSnapshot extends Schema.Schema.Type<typeof SchemaSnapshot> {}

/**
 * One incompatible change.
 *
 * @since 0.1.0
 * @category models
 */
export class Change extends Schema.Class<Change>("effect-skald/testing/SchemaSnapshot/Change")({
  tag: Schema.String,
  /** The schema version that the change is in. */
  version: Schema.Number,
  /** Where in the payload, `payload.lines[].price` for example. */
  path: Schema.String,
  problem: Schema.String
}) {}

/**
 * Events that were recorded under the committed Schemas would not be read any more, or not whole. `message` says each
 * change, and what to do.
 *
 * @since 0.1.0
 * @category errors
 */
export class IncompatibleSchemas extends Schema.TaggedError<IncompatibleSchemas>(
  "effect-skald/testing/IncompatibleSchemas"
)("IncompatibleSchemas", { file: Schema.String, changes: Schema.NonEmptyArray(Change) }) {
  override get message(): string {
    return [
      `event Schemas changed incompatibly since ${this.file} was written:`,
      ...this.changes.map(({ path, problem, tag, version }) => `  ${tag} (version ${version}), ${path}: ${problem}`),
      "Raise the version of the event type and add an upcaster from the committed Schema."
    ].join("\n")
  }
}

/**
 * The file is not there, or is not what {@link check} would write now, though all changes are compatible: it must be
 * written anew and committed, so that later changes are compared with it.
 *
 * @since 0.1.0
 * @category errors
 */
export class OutdatedSnapshot extends Schema.TaggedError<OutdatedSnapshot>("effect-skald/testing/OutdatedSnapshot")(
  "OutdatedSnapshot",
  { file: Schema.String, reason: Schema.Literal("missing", "outdated") }
) {
  override get message(): string {
    return `${this.file} ${
      this.reason === "missing" ? "does not exist" : "lacks compatible changes of event Schemas"
    }: run the test once with ${updateVariable}=true, and commit the file`
  }
}

/**
 * The file cannot be read or written, or is no snapshot of Schemas.
 *
 * @since 0.1.0
 * @category errors
 */
export class SnapshotFileError extends Schema.TaggedError<SnapshotFileError>("effect-skald/testing/SnapshotFileError")(
  "SnapshotFileError",
  { file: Schema.String, problem: Schema.String, cause: Schema.optional(Schema.Defect) }
) {
  override get message(): string {
    return `${this.file}: ${this.problem}`
  }
}

/**
 * The configuration (an environment variable) that has {@link check} write the file where no option says so.
 *
 * @since 0.1.0
 * @category constants
 */
export const updateVariable = "SKALD_UPDATE_SCHEMAS"

/**
 * The Schemas of some event types as they are now. Fails for a payload whose encoded side has no JSON Schema, naming its
 * tag and version.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (types: ReadonlyArray<Any>): Either.Either<SchemaSnapshot, InvalidInput> => {
  const faults: Array<Fault> = []
  const events: Record<string, SchemaSnapshot["events"][string]> = {}
  const sorted = Array.from(EventTypes.entries(types).values()).sort((a, b) => a.tag < b.tag ? -1 : 1)
  for (const entry of sorted) {
    const schemas: Record<string, SchemaChange.Node> = {}
    for (const [version, schema] of versionsOf(entry)) {
      const json = jsonSchemaOf(schema, [entry.tag, ...entry.aliases])
      if (Either.isRight(json)) schemas[version] = json.right
      else faults.push(new Fault({ path: `${entry.tag} (version ${version})`, problem: json.left }))
    }
    events[entry.tag] = { version: entry.version, aliases: entry.aliases, schemas }
  }
  const [first, ...rest] = faults
  return first === undefined ? Either.right({ events }) : Either.left(new InvalidInput({ faults: [first, ...rest] }))
}

/**
 * The incompatible changes from one snapshot to another; empty where everything recorded is still read, and whole.
 *
 * @example
 * ```ts
 * import * as Event from "effect-skald/event/Event"
 * import * as SchemaSnapshot from "effect-skald/testing/SchemaSnapshot"
 * import { Either, Schema } from "effect"
 *
 * const of = (type: Event.Any) => Either.getOrThrow(SchemaSnapshot.make([type]))
 * const before = of(Event.make("Placed", { total: Schema.Number }))
 *
 * SchemaSnapshot.compare(before, of(Event.make("Placed", { total: Schema.Number, note: Schema.optional(Schema.String) })))
 * // []
 * SchemaSnapshot.compare(before, of(Event.make("Placed", { total: Schema.String })))
 * // [{ tag: "Placed", version: 1, path: "payload.total", problem: "was number, and is string now" }]
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const compare = (before: SchemaSnapshot, after: SchemaSnapshot): ReadonlyArray<Change> => {
  const present = new Map<string, readonly [tag: string, event: SchemaSnapshot["events"][string]]>()
  for (const [tag, event] of Object.entries(after.events)) {
    for (const name of [tag, ...event.aliases]) present.set(name, [tag, event])
  }
  return Object.entries(before.events).flatMap(([tag, old]): ReadonlyArray<Change> => {
    const change = (path: string, problem: string) => [new Change({ tag, version: old.version, path, problem })]
    const found = present.get(tag)
    if (found === undefined) return change("_tag", "is gone: rename an event type with `alias`")
    const [newTag, event] = found
    if (event.version < old.version) return change("version", `was lowered to ${event.version}`)
    const forgotten = old.aliases.filter((alias) => present.get(alias)?.[0] !== newTag)
    return [
      ...forgotten.flatMap((alias) => change("alias", `does not name "${alias}" any more`)),
      ...Object.entries(old.schemas).flatMap(([version, schema]) =>
        SchemaChange.differences(schema, event.schemas[version] ?? { not: {} }).map(({ path, problem }) =>
          new Change({ tag, version: Number(version), path, problem })
        )
      )
    ]
  })
}

/**
 * What may be said of a check.
 *
 * @since 0.1.0
 * @category models
 */
export interface CheckOptions {
  /**
   * `true` writes the file where it is missing or lacks compatible changes, and still fails for incompatible ones;
   * `"force"` writes it in any case, for events that were never recorded. What the configuration `SKALD_UPDATE_SCHEMAS`
   * says (`true`, `force`), else nothing is written, when not given.
   */
  readonly update?: boolean | "force" | undefined
}

/**
 * Compares a committed file with event types as they are; answers whether it was written.
 *
 * @example
 * ```ts
 * import * as NodeContext from "@effect/platform-node/NodeContext"
 * import { it } from "@effect/vitest"
 * import * as Event from "effect-skald/event/Event"
 * import * as SchemaSnapshot from "effect-skald/testing/SchemaSnapshot"
 * import { Effect, Schema } from "effect"
 *
 * const OrderPlaced = Event.make("OrderPlaced", { total: Schema.Number })
 *
 * it.effect("recorded events are still read", () =>
 *   SchemaSnapshot.check("test/events.schema.json", [OrderPlaced]).pipe(Effect.provide(NodeContext.layer)))
 * ```
 *
 * @since 0.1.0
 * @category runners
 */
export const check = (
  file: string,
  types: ReadonlyArray<Any>,
  options?: CheckOptions
): Effect.Effect<
  "unchanged" | "written",
  IncompatibleSchemas | OutdatedSnapshot | SnapshotFileError | InvalidInput | ConfigError.ConfigError,
  FileSystem.FileSystem
> =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const update = options?.update ?? (yield* configured)
    const now = yield* make(types)
    const text = `${JSON.stringify(now, null, 2)}\n`
    const failed = (problem: string) => (cause: unknown) => new SnapshotFileError({ file, problem, cause })
    const write = Effect.as(
      Effect.mapError(fs.writeFileString(file, text), failed("cannot be written")),
      "written" as const
    )
    const exists = yield* Effect.mapError(fs.exists(file), failed("cannot be read"))
    if (!exists || update === "force") {
      return update === false ? yield* new OutdatedSnapshot({ file, reason: "missing" }) : yield* write
    }
    const committed = yield* Effect.mapError(fs.readFileString(file), failed("cannot be read"))
    const before = yield* Effect.mapError(decodeFile(committed), failed("is no snapshot of event Schemas"))
    const [first, ...rest] = compare(before, now)
    if (first !== undefined) return yield* new IncompatibleSchemas({ file, changes: [first, ...rest] })
    if (committed.replaceAll("\r\n", "\n") === text) return "unchanged" as const
    return update === false ? yield* new OutdatedSnapshot({ file, reason: "outdated" }) : yield* write
  })

const configured: Config.Config<boolean | "force"> = Config.string(updateVariable).pipe(
  Config.map((value) => value === "force" ? "force" as const : value === "true" || value === "1"),
  Config.withDefault(false as const)
)

const decodeFile = Schema.decode(Schema.parseJson(SchemaSnapshot))

const versionsOf = (entry: Entry): ReadonlyArray<readonly [version: string, schema: Schema.Schema.All]> => [
  ...Object.entries(entry.upcasters).map(([version, link]) => [version, link.schema as Schema.Schema.All] as const),
  [String(entry.version), entry.schema]
]

/** The JSON Schema of an encoded payload, down to the first transformation of each part, without the tag. */
const jsonSchemaOf = (
  schema: Schema.Schema.All,
  tags: ReadonlyArray<string>
): Either.Either<SchemaChange.Node, string> =>
  Either.try(() => JSONSchema.make(Schema.encodedBoundSchema(schema as Schema.Schema.Any))).pipe(
    Either.orElse(() => Either.try(() => JSONSchema.make(Schema.encodedSchema(schema as Schema.Schema.Any)))),
    // the encoded side of a recursive Schema loses its identifiers; `JSONSchema` finds the way itself
    Either.orElse(() => Either.try(() => JSONSchema.make(schema as Schema.Schema.Any))),
    Either.mapBoth({
      onLeft: (error) =>
        `has no JSON Schema: ${error instanceof Error ? error.message.replaceAll("\n", ", ") : String(error)}`,
      onRight: (json) => withoutTag(JSON.parse(JSON.stringify(json)), tags)
    })
  )

/** The codec puts the tag there where it is missing, so that it makes no difference between versions. */
const withoutTag = (json: any, tags: ReadonlyArray<string>): SchemaChange.Node => {
  const { $ref, $schema: _, ...rest } = json
  const named = typeof $ref === "string" ? $ref.replace(/^#\/\$defs\//, "") : undefined
  const root = named === undefined ? rest : { ...rest, ...rest.$defs?.[named] }
  const values: ReadonlyArray<unknown> | undefined = root.properties?._tag?.enum
  if (values === undefined || !values.some((value) => tags.includes(value as string))) return root
  const { _tag, ...properties } = root.properties
  return { ...root, properties, required: (root.required ?? []).filter((name: string) => name !== "_tag") }
}
