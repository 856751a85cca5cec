/**
 * What the flights add up to, made anew of the events: what was made of them before answers until the new is complete, and
 * takes its place in one step.
 *
 * Each projection keeps how far its rebuild has come, so that one that was stopped, or killed, goes on where it was.
 */
import { Clock, Effect, Schema, Stream } from "effect"
import { EventStore } from "effect-skald/store/EventStore"
import * as Progress from "./Progress.ts"
import * as Punctuality from "./Punctuality.ts"
import { Screen } from "./Screen.ts"

/** What came of it. */
export interface Rebuilt {
  readonly projections: number
  /** How many events this run projected, by all of them together. */
  readonly events: number
  readonly seconds: number
}

/** There is nothing to make anything of. */
export class NothingToRebuild extends Schema.TaggedError<NothingToRebuild>("flights/NothingToRebuild")(
  "NothingToRebuild",
  {}
) {
  override get message(): string {
    return "the store holds no events to rebuild from; leave --rebuild out to read some"
  }
}

/** Rebuilds one after the other. Those that an earlier run has swapped in before it was stopped are left as they are. */
export const run = Effect.gen(function*() {
  const screen = yield* Screen
  const store = yield* EventStore
  if ((yield* store.head) === 0) return yield* new NothingToRebuild()

  const generations = yield* Effect.forEach(Punctuality.rebuilds, ({ generation }) => generation)
  const newest = Math.max(...generations)
  // They are all of one generation, unless a rebuild was stopped between them.
  const behind = Punctuality.rebuilds.filter((_, index) => generations[index] !== newest)
  const rebuilds = behind.length === 0 ? Punctuality.rebuilds : behind

  const began = yield* Clock.currentTimeMillis
  let events = 0
  for (const { name, progress } of rebuilds) {
    events += yield* progress.pipe(
      Stream.mapAccumEffect(
        undefined as Progress.Progress | undefined,
        (shown, { done, events, total }) =>
          Effect.gen(function*() {
            if (shown === undefined) {
              const where = done > 0 ? ` after position ${done.toLocaleString("en-US")}` : ""
              yield* screen.note(`${done > 0 ? "Going on with" : "Rebuilding"} ${name}${where}.`)
            }
            const now = shown ?? (yield* Progress.make({ before: done, total, unit: "positions" }))
            now.set({ done, total })
            return [now, events] as const
          })
      ),
      Stream.runFold(0, (_, events) => events),
      Effect.scoped
    )
  }
  const seconds = ((yield* Clock.currentTimeMillis) - began) / 1_000
  return { projections: rebuilds.length, events, seconds } satisfies Rebuilt
})
