/**
 * The rules. A course takes no more students than it has places, and a student no more than {@link mostCourses} courses: the
 * first looks at one stream, the second at a few events of many. No stream holds all that is decided on, and no lock is
 * taken: each decision is recorded on condition that nothing it was made of has changed.
 */
import { Either, Schema } from "effect"
import * as DecisionModel from "effect-skald/cqrs/DecisionModel"
import {
  CapacityChanged,
  CourseDefined,
  Courses,
  courseTag,
  StudentSubscribed,
  studentTag,
  StudentUnsubscribed
} from "./Events.ts"
import { Capacity, Subscriptions } from "./Views.ts"

/** How many courses a student may take. */
export const mostCourses = 3

export class Refused extends Schema.TaggedError<Refused>("courses/Refused")("Refused", {
  reason: Schema.Literal("no such course", "defined already", "full", "too many courses", "too few places"),
  course: Schema.String
}) {
  override get message(): string {
    return `${this.course}: ${this.reason}`
  }
}

const refused = (reason: Refused["reason"], course: string) => Either.left(new Refused({ reason, course }))

const inCourses = { category: Courses, id: ({ course }: { readonly course: string }) => course }

export const Define = DecisionModel.make("define", {
  ...inCourses,
  commands: Schema.Struct({ course: Schema.String, capacity: Schema.Int.pipe(Schema.nonNegative()) }),
  views: { capacity: Capacity },
  tags: ({ course }) => ({ capacity: [courseTag(course)] }),
  decide: (command, { capacity }) =>
    capacity === undefined
      ? Either.right([CourseDefined(command)])
      : refused("defined already", command.course)
})

export const ChangeCapacity = DecisionModel.make("change-capacity", {
  ...inCourses,
  commands: Schema.Struct({ course: Schema.String, capacity: Schema.Int.pipe(Schema.nonNegative()) }),
  views: { capacity: Capacity, taken: Subscriptions },
  tags: ({ course }) => ({ capacity: [courseTag(course)], taken: [courseTag(course)] }),
  decide: (command, { capacity, taken }) =>
    capacity === undefined
      ? refused("no such course", command.course)
      : command.capacity < taken
      ? refused("too few places", command.course)
      : Either.right(command.capacity === capacity ? [] : [CapacityChanged(command)])
})

const subscription = Schema.Struct({ course: Schema.String, student: Schema.String })

export const Subscribe = DecisionModel.make("subscribe", {
  ...inCourses,
  commands: subscription,
  views: { capacity: Capacity, taken: Subscriptions, courses: Subscriptions, own: Subscriptions },
  tags: ({ course, student }) => ({
    capacity: [courseTag(course)],
    taken: [courseTag(course)],
    courses: [studentTag(student)],
    own: [courseTag(course), studentTag(student)]
  }),
  decide: (command, { capacity, courses, own, taken }) => {
    if (capacity === undefined) return refused("no such course", command.course)
    if (own > 0) return Either.right([])
    if (taken >= capacity) return refused("full", command.course)
    if (courses >= mostCourses) return refused("too many courses", command.course)
    return Either.right([StudentSubscribed(command)])
  }
})

export const Unsubscribe = DecisionModel.make("unsubscribe", {
  ...inCourses,
  commands: subscription,
  views: { own: Subscriptions },
  tags: ({ course, student }) => ({ own: [courseTag(course), studentTag(student)] }),
  decide: (command, { own }) => Either.right(own > 0 ? [StudentUnsubscribed(command)] : [])
})
