import { assert, describe, it } from "@effect/vitest"
import { Effect, Either, FastCheck as fc, Layer, Schedule, Stream } from "effect"
import { type EventStore, layerDriver, layerMemory } from "effect-skald/store/EventStore"
import * as Postgres from "effect-skald/store/Postgres"
import * as Sqlite from "effect-skald/store/Sqlite"
import { ChangeCapacity, Define, mostCourses, Subscribe, Unsubscribe } from "../../examples/courses/Decisions.ts"
import { Courses } from "../../examples/courses/Events.ts"
import * as Database from "../support/postgres.ts"
import * as Servers from "../support/servers.ts"
import { tempFile } from "../support/tempDirectory.ts"

/** For as often as it takes: 200 writers meet. */
const patient = { retry: Schedule.forever as Schedule.Schedule<unknown> }

/** Goes through the log and fails where a rule was ever broken; answers with who is in which course. */
const standings = Effect.gen(function*() {
  const capacities = new Map<string, number>()
  const members = new Map<string, Set<string>>()
  const of = (course: string) => {
    const found = members.get(course) ?? new Set()
    members.set(course, found)
    return found
  }
  const log = yield* Stream.runCollect(Courses.readAll())
  for (const { payload: event } of log) {
    if (event._tag === "CourseDefined" || event._tag === "CapacityChanged") {
      capacities.set(event.course, event.capacity)
    } else if (event._tag === "StudentSubscribed") {
      assert.isFalse(of(event.course).has(event.student), `${event.student} is twice in ${event.course}`)
      of(event.course).add(event.student)
    } else assert.isTrue(of(event.course).delete(event.student))
    assert.isAtMost(of(event.course).size, capacities.get(event.course)!, `${event.course} is over its capacity`)
    if ("student" in event) {
      const courses = Array.from(members.values()).filter((each) => each.has(event.student)).length
      assert.isAtMost(courses, mostCourses, `${event.student} takes too many courses`)
    }
  }
  return members
})

const outcomesOf = (outcomes: ReadonlyArray<Either.Either<unknown, { readonly _tag: string }>>) => {
  const counts: Record<string, number> = {}
  for (const outcome of outcomes) {
    const name = Either.isRight(outcome)
      ? "done"
      : "reason" in outcome.left
      ? String(outcome.left.reason)
      : outcome.left._tag
    counts[name] = (counts[name] ?? 0) + 1
  }
  return counts
}

const all = { concurrency: "unbounded" } as const

const suite = (name: string, layer: Layer.Layer<EventStore, unknown>) =>
  describe(`courses on ${name}`, () => {
    it.effect("of 200 writers who race for one course, as many win as it has places", () =>
      Effect.gen(function*() {
        yield* Define.execute({ course: "algebra", capacity: 6 })
        const outcomes = yield* Effect.forEach(
          Array.from({ length: 200 }, (_, index) => ({ course: "algebra", student: `s-${index}` })),
          (command) => Effect.either(Subscribe.execute(command, patient)),
          all
        )
        assert.deepStrictEqual(outcomesOf(outcomes), { done: 6, full: 194 })
        assert.strictEqual((yield* standings).get("algebra")!.size, 6)
      }).pipe(Effect.provide(layer)), 60_000)

    it.effect("of 200 writers who race for both limits, none is ever over one", () =>
      Effect.gen(function*() {
        const courses = ["a", "b", "c", "d", "e"]
        yield* Effect.forEach(courses, (course) => Define.execute({ course, capacity: 3 }))
        const commands = Array.from({ length: 200 }, (_, index) => ({
          course: courses[index % 5]!,
          student: `s-${Math.floor(index / 5)}`
        }))
        const outcomes = yield* Effect.forEach(
          commands,
          (command) => Effect.either(Subscribe.execute(command, patient)),
          all
        )
        const counts = outcomesOf(outcomes)
        const members = yield* standings
        const taken = Array.from(members.values()).reduce((sum, { size }) => sum + size, 0)
        assert.strictEqual(counts["done"], taken)
        // whoever was refused was refused for a reason that stands: nobody gives a place back, and there are 15
        assert.strictEqual(taken, 15)
        assert.isUndefined(counts["ConditionFailed"])
      }).pipe(Effect.provide(layer)), 60_000)

    it.effect("a capacity that shrinks while students come is never below who is in", () =>
      Effect.gen(function*() {
        yield* Define.execute({ course: "a", capacity: 12 })
        const outcomes = yield* Effect.all(
          [
            ...Array.from({ length: 20 }, (_, index) =>
              Subscribe.execute({ course: "a", student: `s-${index}` }, patient)),
            ...Array.from({ length: 20 }, (_, index) =>
              ChangeCapacity.execute({ course: "a", capacity: 29 - index }, patient)),
            ...Array.from({ length: 10 }, (_, index) =>
              Unsubscribe.execute({ course: "a", student: `s-${index}` }, patient))
          ].map((each) =>
            Effect.either(each as Effect.Effect<unknown, { readonly _tag: string }, EventStore>)
          ),
          all
        )
        const counts = outcomesOf(outcomes)
        assert.isUndefined(counts["ConditionFailed"])
        yield* standings
      }).pipe(Effect.provide(layer)), 60_000)

    it.effect("a command that is executed again has no further effect, raced or not", () =>
      Effect.gen(function*() {
        yield* Define.execute({ course: "a", capacity: 1 })
        const command = { course: "a", student: "s" }
        const outcomes = yield* Effect.all(
          Array.from({ length: 20 }, () =>
            Subscribe.execute(command, { ...patient, commandId: "r-1" })),
          all
        )
        assert.lengthOf(
          outcomes.filter((outcome) =>
            !outcome.repeated
          ),
          1
        )
        assert.lengthOf(new Set(outcomes.map((outcome) => outcome.position)), 1)
        yield* Unsubscribe.execute(command, { commandId: "r-2" })
        // what it led to then, though it would be decided otherwise now
        const again = yield* Subscribe.execute(command, { commandId: "r-1" })
        assert.deepStrictEqual([again.repeated, again.events.map((event) => event._tag)], [true, ["StudentSubscribed"]])
        assert.strictEqual((yield* standings).get("a")!.size, 0)
      }).pipe(Effect.provide(layer)), 60_000)
  })

suite("memory", layerMemory)
suite(
  "SQLite",
  Layer.unwrapScoped(Effect.map(tempFile(), (filename) => Sqlite.layerFile({ filename })))
)

Servers.suite("postgres", "courses in PostgreSQL", (url) => {
  suite(
    "PostgreSQL",
    layerDriver(Effect.gen(function*() {
      const prefix = yield* Database.prefix(url)
      return yield* Effect.provide(Postgres.make({ prefix }), yield* Layer.build(Database.client(url)))
    }))
  )
})

describe("courses, one command after the other", () => {
  const course = fc.constantFrom("a", "b", "c", "d")
  const student = fc.constantFrom("s", "t")
  const command = fc.oneof(
    fc.record({ do: fc.constant("define" as const), course, capacity: fc.nat(2) }),
    fc.record({ do: fc.constant("resize" as const), course, capacity: fc.nat(2) }),
    { weight: 4, arbitrary: fc.record({ do: fc.constant("subscribe" as const), course, student }) },
    fc.record({ do: fc.constant("unsubscribe" as const), course, student })
  )

  it.effect.prop(
    "decide as somebody would who had all of it in one place",
    [fc.array(command, { maxLength: 40, size: "max" })],
    ([commands]) =>
      Effect.gen(function*() {
        const model = new Map<string, { capacity: number; readonly students: Set<string> }>()
        for (const next of commands) {
          const known = model.get(next.course)
          let expected: string
          let run: Effect.Effect<unknown, { readonly _tag: string }, EventStore>
          if (next.do === "define") {
            run = Define.execute({ course: next.course, capacity: next.capacity })
            expected = known === undefined ? "done" : "defined already"
            if (known === undefined) model.set(next.course, { capacity: next.capacity, students: new Set() })
          } else if (next.do === "resize") {
            run = ChangeCapacity.execute({ course: next.course, capacity: next.capacity })
            expected = known === undefined
              ? "no such course"
              : next.capacity < known.students.size
              ? "too few places"
              : "done"
            if (expected === "done") known!.capacity = next.capacity
          } else if (next.do === "subscribe") {
            run = Subscribe.execute({ course: next.course, student: next.student })
            const taken = Array.from(model.values()).filter(({ students }) => students.has(next.student)).length
            expected = known === undefined
              ? "no such course"
              : known.students.has(next.student)
              ? "done"
              : known.students.size >= known.capacity
              ? "full"
              : taken >= mostCourses
              ? "too many courses"
              : "done"
            if (expected === "done") known!.students.add(next.student)
          } else {
            run = Unsubscribe.execute({ course: next.course, student: next.student })
            expected = "done"
            known?.students.delete(next.student)
          }
          assert.deepStrictEqual(outcomesOf([yield* Effect.either(run)]), { [expected]: 1 })
        }
        const members = yield* standings
        for (const [name, { students }] of model) assert.deepStrictEqual(members.get(name) ?? new Set(), students)
      }).pipe(Effect.provide(layerMemory)),
    { fastCheck: { numRuns: 60 } }
  )
})
