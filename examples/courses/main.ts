/** Sixty students want two places of three courses at once, each of them two courses too many. */
import { Console, Effect } from "effect"
import * as Memory from "effect-skald/Memory"
import { Define, mostCourses, Subscribe } from "./Decisions.ts"

const courses = ["algebra", "botany", "chemistry", "drama", "ethics"]
const students = Array.from({ length: 60 }, (_, index) => `student-${index + 1}`)

const program = Effect.gen(function*() {
  yield* Effect.forEach(courses, (course) => Define.execute({ course, capacity: 20 }))
  const outcomes = yield* Effect.forEach(
    students.flatMap((student) => courses.map((course) => ({ course, student }))),
    (command) => Effect.either(Subscribe.execute(command, { commandId: `${command.student}/${command.course}` })),
    { concurrency: 16 }
  )
  const refusals = new Map<string, number>()
  for (const outcome of outcomes) {
    if (outcome._tag !== "Left") continue
    const reason = outcome.left._tag === "Refused" ? outcome.left.reason : outcome.left._tag
    refusals.set(reason, (refusals.get(reason) ?? 0) + 1)
  }
  for (const course of courses) {
    const { states } = yield* Subscribe.state({ course, student: "nobody" })
    yield* Console.log(`${course}: ${states.taken} of ${states.capacity} places taken`)
  }
  yield* Console.log(`at most ${mostCourses} courses a student`)
  for (const [reason, count] of refusals) yield* Console.log(`${count} refused: ${reason}`)
})

Effect.runPromise(Effect.provide(program, Memory.layer))
