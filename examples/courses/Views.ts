/** Small folds, each of one fact. A decision takes those that it needs. */
import * as DecisionModel from "effect-skald/cqrs/DecisionModel"
import { CapacityChanged, CourseDefined, StudentSubscribed, StudentUnsubscribed } from "./Events.ts"

/** How many places a course has; `undefined` where it is not defined. */
export const Capacity = DecisionModel.view({
  events: [CourseDefined, CapacityChanged],
  initial: undefined as number | undefined,
  evolve: (_, { capacity }) => capacity
})

/** How many subscriptions stand: of a course, of a student, or of one in the other, by the tags that it is given. */
export const Subscriptions = DecisionModel.view({
  events: [StudentSubscribed, StudentUnsubscribed],
  initial: 0,
  evolve: (count, event) => event._tag === "StudentSubscribed" ? count + 1 : count - 1
})
