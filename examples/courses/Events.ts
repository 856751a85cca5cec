/** What happens: events of courses, found by the course and by the student that they are about. */
import { Schema } from "effect"
import * as Event from "effect-skald/event/Event"
import * as Category from "effect-skald/store/Category"

export const courseTag = (course: string) => `course:${course}`
export const studentTag = (student: string) => `student:${student}`

const ofCourse = ({ course }: { readonly course: string }) => [courseTag(course)]
const ofBoth = ({ course, student }: { readonly course: string; readonly student: string }) => [
  courseTag(course),
  studentTag(student)
]

const places = Schema.Int.pipe(Schema.nonNegative())

export const CourseDefined = Event.make("CourseDefined", { course: Schema.String, capacity: places }, {
  tags: ofCourse
})
export const CapacityChanged = Event.make("CapacityChanged", { course: Schema.String, capacity: places }, {
  tags: ofCourse
})

const subscription = { course: Schema.String, student: Schema.String }

export const StudentSubscribed = Event.make("StudentSubscribed", subscription, { tags: ofBoth })
export const StudentUnsubscribed = Event.make("StudentUnsubscribed", subscription, { tags: ofBoth })

/** One stream a course. A rule may look at events of many of them: those of one student for example. */
export const Courses = Category.make("course", {
  events: [CourseDefined, CapacityChanged, StudentSubscribed, StudentUnsubscribed]
})
