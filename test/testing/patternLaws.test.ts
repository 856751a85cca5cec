import { describe, expect, it } from "@effect/vitest"
import * as Pattern from "effect-skald/cep/Pattern"
import * as Event from "effect-skald/event/Event"
import { InvalidInput } from "effect-skald/event/InvalidInput"
import * as Law from "effect-skald/testing/Law"
import * as Laws from "effect-skald/testing/Laws"
import * as PatternLaws from "effect-skald/testing/PatternLaws"
import { Effect, Schema } from "effect"

const at = Schema.Int.pipe(Schema.between(0, 20))
const Asked = Event.make("Asked", { at })
const Answered = Event.make("Answered", { at })
const timestamp = (event: typeof Asked.Type | typeof Answered.Type) => event.at

describe("the laws of a pattern of one's own", () => {
  const asked = Pattern.begin("asked", Asked)
  const all = {
    "held as sets": Laws.pattern(asked.pipe(Pattern.followedByAny("answered", Answered), Pattern.within(9)), {
      timestamp,
      seed: 7
    }),
    "held as runs": Laws.pattern(
      asked.pipe(
        Pattern.followedBy("answered", Answered, { where: (answered, { asked }) => answered.at > asked.at })
      ),
      { timestamp, seed: 7 }
    ),
    "of what does not happen": Laws.pattern(asked.pipe(Pattern.notFollowedBy(Answered), Pattern.within(5)), {
      timestamp,
      seed: 7
    })
  }
  for (const [name, laws] of Object.entries(all)) {
    describe(name, () => {
      for (const law of laws) it(law.name, law.check)
    })
  }

  it.effect("are not kept where nothing ever matches", () =>
    Effect.gen(function*() {
      const never = Pattern.begin("asked", Asked, { where: ({ at }) => at > 100 })
      const broken = yield* Effect.flip(Law.check(PatternLaws.laws(never, { timestamp }), { seed: 1, numRuns: 20 }))
      expect(broken.message).toContain("some cases match")
    }))

  it("ask for events where the pattern does not name them", () => {
    const any = Pattern.begin("any", Pattern.anyEvent)
    expect(() => PatternLaws.laws(any, { timestamp: () => 0 })).toThrow(InvalidInput)
  })
})
