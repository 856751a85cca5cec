import * as Effect from "effect/Effect"
import type { Raw } from "../../../event/Envelope.ts"
import type { Group } from "../../../store/EventStore.ts"
import type * as Query from "../../../store/Query.ts"
import { at, collect, equal, increasing, positionsOf, read, refused, type Store, versionsOf } from "./case.ts"
import type { Model, Noted, Operation } from "./model.ts"

/** Where events stand, in the store as in the model. */
export const places = (noted: ReadonlyArray<Noted> | ReadonlyArray<Raw>) =>
  noted.map(({ id, position, stream, version }) => ({ id, position, stream: stream as string, version }))

/** The position of the event that stands some places before the end of the log. */
const back = (model: Model, count: number): number => model.log[model.log.length - 1 - count]?.position ?? 0

const tagOf = <A, E extends { readonly _tag: string }>(effect: Effect.Effect<A, E>) =>
  Effect.match(effect, { onSuccess: () => "done", onFailure: (error) => error._tag })

/** Does one thing to the store and to the model, and compares. */
export const step = (store: Store, model: Model, next: Operation, now: number): Effect.Effect<unknown, unknown> => {
  switch (next._tag) {
    case "append":
      return append(
        store,
        model,
        next.groups,
        now,
        next.failIf && { failIf: next.failIf.query, after: back(model, next.failIf.back) }
      )
    case "repeat": {
      const known = model.log.slice(next.from, next.from + next.count)
      if (known.length === 0) return Effect.void
      const sent = known.filter(({ stream }) => stream === known[0]!.stream).map(({ content, id }, index) => {
        const [type, schemaVersion, payload, tags, occurredAt] = JSON.parse(content)
        return {
          id,
          type,
          schemaVersion,
          payload: index === next.changed ? "changed" : payload,
          tags,
          ...(occurredAt === null ? undefined : { occurredAt })
        }
      })
      return append(store, model, [{ stream: known[0]!.stream, expected: next.expected, events: sent }], now)
    }
    case "truncate":
      return Effect.map(
        tagOf(store.truncate(next.stream, { before: next.before })),
        (tag) => equal(tag, model.truncate(next.stream, next.before))
      )
    case "tombstone":
      return Effect.gen(function*() {
        const tag = yield* tagOf(store.tombstone(next.stream, { expected: next.expected }))
        equal(tag, model.tombstone(next.stream, next.expected ?? "any"))
        if (tag !== "done") return
        const marks = yield* collect(store.readAll({ stream: next.stream }))
        equal(marks.map(({ type, version }) => [type, version]), [["$Tombstoned", model.versionOf(next.stream) + 1]])
        increasing([back(model, 0), ...positionsOf(marks)], "positions")
        model.noteMark(marks[0]!)
      })
    case "read":
      return Effect.map(
        read(store, next.stream, next.options),
        (raws) => equal(places(raws), places(model.read(next.stream, next.options)))
      )
    case "readAll": {
      const options = {
        ...next.options,
        after: next.after === undefined ? undefined : back(model, next.after),
        to: next.to === undefined ? undefined : back(model, next.to)
      }
      return Effect.map(collect(store.readAll(options)), (raws) => equal(places(raws), places(model.readAll(options))))
    }
    case "state":
      return Effect.map(store.streamState(next.stream), (state) => {
        const version = model.versionOf(next.stream)
        equal(
          state,
          version === 0
            ? { _tag: "missing" }
            : model.tombstones.has(next.stream)
            ? { _tag: "tombstoned", version }
            : { _tag: "live", version, firstVersion: model.firstVersions.get(next.stream) ?? 1 }
        )
      })
  }
}

const append = (
  store: Store,
  model: Model,
  groups: ReadonlyArray<Group>,
  now: number,
  options?: { readonly failIf: Query.Query; readonly after: number }
): Effect.Effect<unknown, unknown> => {
  const verdict = model.judge(groups, options)
  const call = store.append(groups, options).pipe(at(now))
  if (verdict._tag === "refused") return refused(call, verdict.tag, verdict.fields)
  return Effect.map(call, ({ events, repeated }) => {
    equal(repeated, verdict._tag === "repeat")
    if (verdict._tag === "repeat") return equal(places(events as never), places(verdict.events))
    equal(versionsOf(events), verdict.versions)
    increasing([back(model, 0), ...positionsOf(events)], "positions")
    model.note(groups, positionsOf(events), now)
  })
}
