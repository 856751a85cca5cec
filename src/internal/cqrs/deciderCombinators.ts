import * as Either from "effect/Either"
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as AST from "effect/SchemaAST"
import type { Decider, KeyedCommand, KeyedEvent, Tagged } from "../../cqrs/Decider.ts"
import type { Entry, Link } from "../../event/Event.ts"
import * as internal from "./decider.ts"
import * as EventTypes from "../event/eventTypes.ts"
import * as Faults from "../faults.ts"

type AnySchema = Schema.Schema<any, any>
type Any = Decider<string, any, any, any, any>

const isNever = (schema: AnySchema): boolean => AST.isNeverKeyword(schema.ast)

/** The members of a union, of unions in it too; a Schema that is no union is its one member. */
const membersOf = (schema: AnySchema): ReadonlyArray<AnySchema> => {
  if (isNever(schema)) return []
  const members = (schema as { readonly members?: ReadonlyArray<AnySchema> }).members
  if (Array.isArray(members)) return members.flatMap(membersOf)
  return AST.isUnion(schema.ast) ? schema.ast.types.map((ast) => Schema.make(ast)) : [schema]
}

/** One Schema of several, each member once. */
const union = (...schemas: ReadonlyArray<AnySchema>): AnySchema => {
  const members = new Map(schemas.flatMap(membersOf).map((member) => [member.ast, member]))
  return members.size === 0 ? internal.never : Schema.Union(...members.values()) as AnySchema
}

/** Encoded as they are, so that no other Schema can be meant by what is stored. */
const isPrimitive = (ast: AST.AST): boolean =>
  AST.isLiteral(ast) || AST.isStringKeyword(ast) || AST.isNumberKeyword(ast) || AST.isBooleanKeyword(ast) ||
  AST.isTemplateLiteral(ast) || AST.isEnums(ast) || (AST.isRefinement(ast) && isPrimitive(ast.from))

const quoted = (tags: Iterable<string>): string => Array.from(tags, (tag) => `"${tag}"`).join(", ")

/** Refuses tags that stand on both sides. */
const apart = (faults: Faults.Faults, path: string, left: AnySchema, right: AnySchema): void => {
  const sides = [internal.tagged(left), internal.tagged(right)] as const
  if (Either.isLeft(sides[0])) { for (const problem of sides[0].left) faults.add(`left.${path}`, problem) }
  if (Either.isLeft(sides[1])) { for (const problem of sides[1].left) faults.add(`right.${path}`, problem) }
  if (Either.isRight(sides[0]) && Either.isRight(sides[1])) {
    const shared = Array.from(sides[0].right.keys()).filter((tag) => Either.getOrThrow(sides[1]).has(tag))
    if (shared.length > 0) faults.add(path, `must not share tags, ${quoted(shared)} stand on both sides`)
  }
}

/** Errors come together only where what was encoded by one side cannot be decoded by the other. */
const errorsApart = (faults: Faults.Faults, left: AnySchema, right: AnySchema): void => {
  const known = new Map<string, AST.AST>()
  for (const member of membersOf(union(left, right))) {
    if (isPrimitive(member.ast)) continue
    const tags = internal.tagged(member)
    if (Either.isLeft(tags)) {
      if (left.ast !== right.ast && !isNever(left) && !isNever(right)) {
        faults.add("errors", "must have a literal \"_tag\" each, so that those of both sides are told apart")
      }
      continue
    }
    for (const tag of tags.right.keys()) {
      if (known.has(tag)) faults.add("errors", `must not share the tag "${tag}", unless both sides use one Schema`)
      known.set(tag, member.ast)
    }
  }
}

/** Evolves the side that an event belongs to; the other side is kept as it is. */
const evolvePair = (left: Any, right: Any) => {
  const ofLeft = internal.eventTypes(left.events)
  return (state: readonly [unknown, unknown], event: Tagged): readonly [unknown, unknown] =>
    ofLeft.has(event._tag)
      ? [left.evolve(state[0], event), state[1]]
      : [state[0], right.evolve(state[1], event)]
}

export const product = (name: string, left: Any, right: Any): Any => {
  const faults = Faults.make()
  apart(faults, "events", left.events, right.events)
  errorsApart(faults, left.errors, right.errors)
  internal.refuse(faults)
  return internal.make(name, {
    state: Schema.Tuple(left.state, right.state),
    commands: Schema.Tuple(left.commands, right.commands),
    events: union(left.events, right.events),
    errors: union(left.errors, right.errors)
  })({
    initial: [left.initial, right.initial],
    decide: ([first, second]: readonly [unknown, unknown], state: readonly [unknown, unknown]) => {
      const decided = left.decide(first, state[0])
      if (Either.isLeft(decided)) return decided
      const beside = right.decide(second, state[1])
      return Either.isLeft(beside) ? beside : Either.right([...decided.right, ...beside.right])
    },
    evolve: evolvePair(left, right)
  })
}

export const sum = (name: string, left: Any, right: Any): Any => {
  const faults = Faults.make()
  apart(faults, "commands", left.commands, right.commands)
  apart(faults, "events", left.events, right.events)
  errorsApart(faults, left.errors, right.errors)
  internal.refuse(faults)
  const ofLeft = internal.eventTypes(left.commands)
  return internal.make(name, {
    state: Schema.Tuple(left.state, right.state),
    commands: union(left.commands, right.commands),
    events: union(left.events, right.events),
    errors: union(left.errors, right.errors)
  })({
    initial: [left.initial, right.initial],
    decide: (command: Tagged, state: readonly [unknown, unknown]) =>
      ofLeft.has(command._tag) ? left.decide(command, state[0]) : right.decide(command, state[1]),
    evolve: evolvePair(left, right)
  })
}

export const many = (name: string, self: Any, options: { readonly key: AnySchema }): Any => {
  const faults = Faults.make()
  if (!Schema.isSchema(options?.key)) faults.add("options.key", `must be a Schema, got ${Faults.show(options?.key)}`)
  internal.refuse(faults)
  const { key } = options
  const stateOf = (state: HashMap.HashMap<string, unknown>, at: string): unknown =>
    Option.getOrElse(HashMap.get(state, at), () => self.initial)
  return internal.make(name, {
    state: mapOf(key, self.state),
    commands: Schema.TaggedStruct(name, { key, command: self.commands }),
    events: union(...Array.from(internal.eventTypes(self.events).values(), (entry) => keyedEvent(key, entry))),
    errors: self.errors
  })({
    initial: HashMap.empty<string, unknown>(),
    decide: (command: KeyedCommand<string, string, unknown>, state: HashMap.HashMap<string, unknown>) =>
      Either.map(
        self.decide(command.command, stateOf(state, command.key)),
        (events) => events.map((event: Tagged) => ({ _tag: event._tag, key: command.key, event }))
      ),
    evolve: (state: HashMap.HashMap<string, unknown>, { event, key }: KeyedEvent<string, Tagged>) =>
      HashMap.set(state, key, self.evolve(stateOf(state, key), event))
  })
}

/** A map, encoded as its pairs in the order of their keys, so that equal maps are encoded alike. */
const mapOf = (key: AnySchema, value: AnySchema): AnySchema =>
  Schema.transform(
    Schema.Array(Schema.Tuple(key, value)),
    Schema.HashMapFromSelf({ key: Schema.typeSchema(key), value: Schema.typeSchema(value) }),
    {
      strict: true,
      decode: (pairs) => HashMap.fromIterable(pairs),
      encode: (map) => Array.from(map).sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 0)
    }
  )

/** An event type with a key beside it: the same tag, subject, version, tags and upcasters. */
const keyedEvent = (key: AnySchema, entry: Entry): AnySchema => {
  const { subject, tag, tagsOf, upcasters, version } = entry
  // A Schema of several tags is kept to the one that stands outside.
  const event = internal.eventTypes(entry.schema).size === 1
    ? entry.schema
    : entry.schema.pipe(Schema.filter((value: Tagged) => value._tag === tag))
  const lifted = Object.entries(upcasters).map(([from, link]): [number, Link<any, any>] => [Number(from), {
    schema: Schema.Struct({ key, event: link.schema as AnySchema }),
    to: (old: any) => {
      const event: object = link.to(old.event)
      return { key: old.key, event: Number(from) + 1 === version ? { ...event, _tag: tag } : event }
    }
  }])
  return EventTypes.make(tag, { key, event }, {
    subject,
    version,
    upcast: Object.fromEntries(lifted),
    tags: tagsOf === undefined ? undefined : (keyed) => tagsOf((keyed as { readonly event: unknown }).event)
  }) as unknown as AnySchema
}

export const contramapCommand = (
  self: Any,
  options: { readonly commands: AnySchema; readonly from: (command: any) => any }
): Any =>
  internal.make(self.name, { ...contractOf(self), commands: options.commands })({
    initial: self.initial,
    decide: (command, state) => self.decide(options.from(command), state),
    evolve: self.evolve
  })

export const mapEvent = (
  self: Any,
  options: { readonly events: AnySchema; readonly to: (event: any) => any; readonly from: (event: any) => any }
): Any =>
  internal.make(self.name, { ...contractOf(self), events: options.events })({
    initial: self.initial,
    decide: (command, state) =>
      Either.map(self.decide(command, state), (events) => events.map((event) => options.to(event))),
    evolve: (state, event) => self.evolve(state, options.from(event))
  })

const contractOf = ({ commands, errors, events, state }: Any) => ({ commands, errors, events, state })
