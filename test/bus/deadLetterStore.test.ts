import { describe, expect, it } from "@effect/vitest"
import type { DeadLetter } from "effect-skald/bus/DeadLetter"
import * as DeadLetterRetries from "effect-skald/bus/DeadLetterRetries"
import * as DeadLetters from "effect-skald/bus/DeadLetters"
import * as EventBus from "effect-skald/bus/EventBus"
import * as OnError from "effect-skald/bus/OnError"
import * as SqlBus from "effect-skald/bus/Sql"
import * as Subscription from "effect-skald/bus/Subscription"
import * as Lease from "effect-skald/store/Lease"
import * as SqliteClient from "effect-skald/store/SqliteClient"
import { Effect, Layer, Schedule, Schema } from "effect"
import * as Database from "../support/postgres.ts"
import * as Servers from "../support/servers.ts"
import { tempFile } from "../support/tempDirectory.ts"

const letter = (n: number, changes: Partial<DeadLetter> = {}): DeadLetter => ({
  subscription: "s",
  message: {
    id: `m-${n}`,
    type: n % 2 === 0 ? "Even" : "Odd",
    subject: "number",
    schemaVersion: 1,
    source: "/",
    occurredAt: 1,
    publishedAt: 2,
    readyAt: 2,
    priority: 4,
    metadata: "{}",
    format: "json",
    payload: `{"n":${n}}`
  },
  reason: "exhausted",
  error: { at: n, tag: "Busy", message: "busy" },
  cause: "busy",
  attempts: 1,
  history: [],
  reprocessed: 0,
  at: 1_000 + n,
  ...changes
})

const waiting = (next: number): NonNullable<DeadLetter["retry"]> => ({
  position: { seed: 1, steps: 1, instants: [1], next },
  status: "waiting"
})

class Busy extends Schema.TaggedError<Busy>()("Busy", {}) {}

const suite = (layer: Layer.Layer<EventBus.EventBus, unknown>) => {
  it.scopedLive("a letter that came back is neither removed nor planned in place of the one that was read", () =>
    Effect.gen(function*() {
      const { deadLetters } = yield* EventBus.EventBus
      const [old, back] = [letter(1), letter(1, { reprocessed: 1, at: 5_000 })]
      yield* deadLetters.put([old])
      yield* deadLetters.put([back])
      expect(yield* deadLetters.remove([old])).toBe(0)
      yield* deadLetters.plan([{ ...old, retry: waiting(7_000) }])
      expect(yield* deadLetters.get({ subscription: "s", id: "m-1" })).toEqual(back)
      expect(yield* deadLetters.nextDue).toBe(undefined)
      expect(yield* deadLetters.remove([back])).toBe(1)
    }).pipe(Effect.provide(layer)))

  it.scopedLive("plans and mended messages are written each by itself, and letters are found by what was planned", () =>
    Effect.gen(function*() {
      const { deadLetters } = yield* EventBus.EventBus
      const letters = [1, 2, 3, 4].map((n) => letter(n))
      yield* deadLetters.put(letters)
      const read = yield* deadLetters.page({ retry: "undecided" }, undefined, 10)
      expect(read).toEqual(letters)
      const mended = { ...letter(2).message, payload: "{\"n\":20}" } as Extract<DeadLetter["message"], { type: string }>
      expect(yield* deadLetters.mend({ subscription: "s", id: "m-2" }, mended)).toBe(true)
      expect(yield* deadLetters.mend({ subscription: "s", id: "m-9" }, mended)).toBe(false)
      yield* deadLetters.plan([
        { ...read[0]!, retry: waiting(9_000) },
        { ...read[1]!, retry: waiting(8_000) },
        { ...read[2]!, retry: { ...waiting(0), status: "failed" } },
        { ...read[3]!, retry: { ...waiting(0), status: "tried" } }
      ])
      expect(yield* deadLetters.get({ subscription: "s", id: "m-2" })).toEqual(
        letter(2, { message: mended, retry: waiting(8_000) })
      )
      const ids = (filter: Parameters<typeof deadLetters.page>[0]) =>
        Effect.map(deadLetters.page(filter, undefined, 10), (page) => page.map(({ message }) => message.id))
      expect(yield* deadLetters.nextDue).toBe(8_000)
      expect(yield* ids({ due: 7_999 })).toEqual([])
      expect(yield* ids({ due: 8_000 })).toEqual(["m-2"])
      expect(yield* ids({ retry: "waiting", due: 9_000, reasons: ["exhausted"] })).toEqual(["m-1", "m-2"])
      expect(yield* ids({ retry: "failed" })).toEqual(["m-3"])
      expect(yield* ids({ retry: "undecided", types: ["Even"] })).toEqual(["m-4"])
      expect(yield* deadLetters.counts({ retry: "waiting" })).toHaveLength(2)
    }).pipe(Effect.provide(layer)))

  it.scopedLive("automatic retries deliver again until the handler succeeds, or the Schedule has ended", () =>
    Effect.gen(function*() {
      const runs: Array<string> = []
      yield* Subscription.runSelect("s", {
        select: "number.*",
        handler: (_, { subject }): Effect.Effect<void, Busy> => {
          runs.push(subject)
          const often = runs.filter((each) => each === subject).length
          return subject === "number.never" || often < 3 ? new Busy() : Effect.void
        },
        onError: { Busy: OnError.deadLetter }
      })
      const schedule = Schedule.spaced("10 millis").pipe(Schedule.intersect(Schedule.recurs(3)))
      yield* Layer.build(DeadLetterRetries.layer({ schedule, every: "20 millis" }))
      const bus = yield* EventBus.EventBus
      yield* bus.publish([{ type: "A", subject: "number.third", payload: 1 }, {
        type: "B",
        subject: "number.never",
        payload: 2
      }])
      const letters = yield* DeadLetters.DeadLetters
      yield* Effect.repeat(letters.statistics({}), {
        until: ({ permanentlyFailed, total }) => permanentlyFailed === 1 && total === 1,
        schedule: Schedule.spaced("10 millis")
      })
      expect(runs.filter((each) => each === "number.third")).toHaveLength(3)
      expect(runs.filter((each) => each === "number.never")).toHaveLength(4)
    }).pipe(Effect.provide(Layer.mergeAll(DeadLetters.layer, Lease.layerMemory).pipe(Layer.provideMerge(layer)))))
}

describe("dead letters in memory", () => {
  suite(EventBus.layerMemory)
})

describe("dead letters in SQLite", () => {
  suite(
    Layer.unwrapScoped(
      Effect.map(
        tempFile(),
        (filename) => Layer.provide(SqlBus.layer({ pollInterval: "10 millis" }), SqliteClient.layer({ filename }))
      )
    )
  )
})

Servers.suite("postgres", "dead letters in PostgreSQL", (url) => {
  suite(
    Layer.unwrapScoped(
      Effect.map(
        Database.prefix(url),
        (prefix) => Layer.provide(SqlBus.layer({ prefix, pollInterval: "10 millis" }), Database.client(url))
      )
    )
  )
})
