/**
 * Patterns against Esper and the automaton of Flink CEP, rules by the thousand, windows against a loop written by hand, and
 * what is kept of long streams. Each pair of sides finds the very same number of matches, or the bench ends with an error.
 *
 * The peers run on Java in processes of their own, warmed up, and pass by turns with ours (`bench/peers/java`). One that does not
 * end within a minute is stopped, and the rate that it had so far counts. Without Java and Maven they are left out, and ours
 * runs alone.
 */
import * as EventBus from "effect-skald/bus/EventBus"
import * as Matcher from "effect-skald/cep/Matcher"
import * as Pattern from "effect-skald/cep/Pattern"
import * as Rules from "effect-skald/cep/Rules"
import * as Event from "effect-skald/event/Event"
import { Effect, Layer, ManagedRuntime, Schema } from "effect"
import * as Kit from "./kit.ts"
import { duel } from "./support/duel.ts"
import * as Cases from "./support/patternCases.ts"
import { Loop, Loops, type Stamped } from "./support/ruleLoops.ts"
import * as SlidingCount from "./support/slidingCount.ts"

// ------------------------------------------------------------------------------------------------------------ patterns

const names = { Esper: "Esper 8.9, its pattern", "Flink CEP": "Flink CEP 1.20, its automaton" }
const recognize = "Esper 8.9, match_recognize"

const against = (name: string, form: Cases.Form, esper = names.Esper): ReadonlyArray<Kit.Case> =>
  (["Esper", "Flink CEP"] as const).map((engine) =>
    Kit.compare(`${name}, against ${engine}`, {
      goal: 1,
      rounds: 5,
      warmups: 0,
      peer: engine === "Esper" ? esper : names[engine],
      ...duel(form, { engine })
    })
  )

const wide = duel(Cases.any(10_000))
const narrow = duel(Cases.any(100))

const patterns = [
  ...[100, 1_000, 10_000].flatMap((window) => against(`A;B;C;D, window of ${window} events`, Cases.any(window))),
  Kit.compare("A;B;C;D, window of 1000 events, against a join that waits for D", {
    rounds: 3,
    warmups: 0,
    peer: "Esper 8.9, unidirectional join from D",
    ...duel(Cases.any(1_000), { engine: "Esper", form: "anyJoin" })
  }),
  Kit.compare("A;B;C;D, window of 100 events, a D in every 1,000, against a join that waits for D", {
    rounds: 3,
    warmups: 0,
    peer: "Esper 8.9, unidirectional join from D",
    ...duel(Cases.anyEnded, { engine: "Esper", form: "anyJoin" })
  }),
  Kit.compare("the same, counted without being made", {
    rounds: 3,
    warmups: 0,
    peer: "Esper 8.9, unidirectional join from D",
    ...duel({ ...Cases.anyEnded, counted: true }, { engine: "Esper", form: "anyJoin" })
  }),
  Kit.compare("A;B;C;D, window of 10000 events against 100", {
    goal: 0.5,
    rounds: 5,
    peer: "the same, window of 100",
    ours: wide.ours,
    theirs: narrow.ours,
    end: async () => {
      await wide.end()
      await narrow.end()
    }
  }),
  ...against("A -> B -> C by key, matches for 1 event in 20", Cases.relaxed),
  ...against("A B C strict", Cases.strict, recognize),
  ...against("A B{2,} C strict", Cases.loop, recognize),
  ...against("A -> !N -> B by key", Cases.negation),
  ...against("A -> B -> C by key, 1 % relevant", Cases.sparse),
  ...against("A -> B above A -> C above B, by key", Cases.correlated)
]

// --------------------------------------------------------------------------------------------------------------- rules

const unnamed = Kit.measure("events of types that no rule names", {
  goal: 20_000_000,
  ours: {
    setup: ({ quick }) => Cases.chunks(Cases.numbers(quick ? 200_000 : 1_000_000, { keys: 100 })),
    run: (lists: ReadonlyArray<ReadonlyArray<Cases.Ev>>) => {
      const matcher = Cases.matcherOf(Cases.relaxed)
      let events = 0
      for (let k = 0; k < 20; k++) {
        const session = Matcher.open(matcher)
        for (const list of lists) {
          if (session.push(list).length > 0) throw new Error("something was found")
          events += list.length
        }
        if (session.stats().events !== events / (k + 1)) throw new Error("not every event was counted")
      }
      return events
    }
  }
})

interface Ruled {
  readonly runtime: ManagedRuntime.ManagedRuntime<Rules.Rules, Rules.RuleError>
  readonly events: ReadonlyArray<Rules.Identified<{ readonly _tag: string }>>
  /** How many events the rules had seen. */
  readonly before: number
}

/** So many pairs of rule and key, each of which is told of every so many-th event: as much to do and to hold for any number of rules. */
const pairs = 1_000

/** Events of the types of so many rules by turns, from an instant on. */
const byTurns = (rules: number, quick: boolean, from: number): Ruled["events"] =>
  Array.from({ length: quick ? 50_000 : 150_000 }, (_, n) => ({
    id: `e${n}`,
    event: { _tag: `Begun${n % rules}`, key: `k${Math.floor(n / rules) % (pairs / rules)}`, at: from + n }
  }))

/**
 * Rules on types of their own, and events of all of these by turns. They are started once: it takes longer than a round.
 */
const disjoint = (rules: number): Kit.Side<Ruled> => {
  let started: Ruled["runtime"] | undefined
  let from = 0
  return {
    setup: async ({ quick }) => {
      const runtime = started ?? start(rules)
      await runtime.runtime()
      started = runtime
      const events = byTurns(rules, quick, from)
      from += events.length
      return { runtime, events, before: await seen(runtime) }
    },
    run: async ({ events, runtime }) => {
      await runtime.runPromise(Effect.gen(function*() {
        const service = yield* Rules.Rules
        for (let at = 0; at < events.length; at += Cases.chunk) yield* service.push(events.slice(at, at + Cases.chunk))
      }))
      return events.length
    },
    teardown: async ({ before, events, runtime }) => {
      const taken = (await seen(runtime)) - before
      if (taken !== events.length) throw new Error(`rules saw ${taken} of ${events.length} events`)
    }
  }
}

/** How many events all rules have seen. */
const seen = (runtime: Ruled["runtime"]): Promise<number> =>
  runtime.runPromise(Effect.gen(function*() {
    const service = yield* Rules.Rules
    let taken = 0
    for (const { name } of yield* service.list) taken += (yield* service.stats(name)).events
    return taken
  }))

const start = (rules: number): Ruled["runtime"] => {
  const all = Array.from({ length: rules }, (_, n) => {
    const Begun = Event.make(`Begun${n}` as "Begun", { key: Schema.String, at: Schema.Number })
    const Ended = Event.make(`Ended${n}` as "Ended", { key: Schema.String, at: Schema.Number })
    return Rules.layer(`rule-${n}`, {
      events: [Begun, Ended],
      pattern: Pattern.begin("begun", Begun).pipe(Pattern.followedBy("ended", Ended), Pattern.within(1_000)),
      timestamp: ({ at }: Stamped) => at,
      keyBy: ({ key }: Stamped) => key,
      action: () => Effect.void
    })
  })
  const [first, ...rest] = all as [Layer.Layer<never, Rules.RuleError, Rules.Rules | EventBus.EventBus>]
  return ManagedRuntime.make(
    Layer.mergeAll(first, ...rest).pipe(
      Layer.provideMerge(Rules.layerEmpty),
      Layer.provideMerge(EventBus.layerMemory)
    )
  )
}

const many = [10, 100, 1_000].map((rules) =>
  Kit.compare(`${rules} rules on types of their own`, {
    ...(rules === 1_000 ? { goal: 0.5 } : {}),
    rounds: 5,
    warmups: 1,
    peer: "one rule",
    ours: disjoint(rules),
    theirs: disjoint(1)
  })
)

/** The same events, and loops written by hand instead of rules. */
const byHand = (count: number): Kit.Side<Ruled["events"]> => {
  const loops = new Loops()
  for (let n = 0; n < count; n++) {
    const types = [`Begun${n}`, `Ended${n}`] as const
    loops.add(types, new Loop(...types, 1_000, ({ at }: Stamped) => at, ({ key }: Stamped) => key))
  }
  let from = 0
  return {
    setup: ({ quick }) => {
      const events = byTurns(count, quick, from)
      from += events.length
      return events
    },
    run: (events) => {
      for (let at = 0; at < events.length; at += Cases.chunk) loops.push(events.slice(at, at + Cases.chunk))
      return events.length
    },
    teardown: () => {
      if (loops.events !== from) throw new Error(`loops saw ${loops.events} of ${from} events`)
    }
  }
}

/** What part of a goal the machine takes for itself: no rule is in it. */
const loops = Kit.compare("1000 loops written by hand, on types of their own, beside the rules", {
  rounds: 5,
  warmups: 1,
  peer: "one loop",
  ours: byHand(1_000),
  theirs: byHand(1)
})

// ------------------------------------------------------------------------------------------------------------- windows

/** Windows of a minute, a new one every second, of an event a millisecond. */
const sliding = (keys: number) => {
  const ran = SlidingCount.gate()
  const setup = SlidingCount.events(keys)
  return Kit.compare(`sliding count of ${keys} keys, 60 windows at a time`, {
    goal: 0.5,
    rounds: 5,
    peer: "a loop written by hand",
    ours: { setup, run: (lists: SlidingCount.Lists) => ran(SlidingCount.ours(lists), lists) },
    theirs: { setup, run: (lists: SlidingCount.Lists) => ran(SlidingCount.byHand(lists), lists) }
  })
}

// -------------------------------------------------------------------------------------------------------- what is kept

/** With the buffers of typed arrays, in which sets of partial matches are held. Those are only let go by the next collection. */
const heap = (): number => {
  Kit.gc()
  Kit.gc()
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

interface Held {
  readonly events: number
  readonly bytes: number
  readonly keys: number
}

/** What a matcher holds after so many events, at each of some places; events are made as they go. */
const held = (form: Cases.Form, places: ReadonlyArray<number>): ReadonlyArray<Held> => {
  const size = 250 * Cases.chunk
  const block = Cases.chunks(Cases.numbers(size, form.mix))
  const session = Matcher.open(Cases.matcherOf(form))
  const before = heap()
  const found: Array<Held> = []
  let at = 0
  for (const place of places) {
    while (at < place) {
      for (const list of block) session.push(list.map((event) => ({ ...event, at: at + event.at })))
      at += size
    }
    found.push({ events: at, bytes: heap() - before, keys: session.stats().keys })
  }
  if (session.stats().events !== at || session.stats().matches === 0) throw new Error("not what was asked for")
  return found
}

/** Nearly every key has something that may still match. */
const keyed: Cases.Form = {
  ...Cases.relaxed,
  window: 200_000,
  pattern: Cases.sequence(200_000),
  mix: { a: 200, b: 200, c: 20, keys: 10_000 }
}

const growing = (name: string, form: Cases.Form) => {
  let counted = 0
  return Kit.measure(`heap that grows from 1,000,000 events to 10,000,000, ${name}`, {
    unit: "B/event",
    better: "lower",
    goal: 0.1,
    rounds: 1,
    warmups: 0,
    ours: {
      value: (_, { quick }) => {
        const [early, late] = held(form, quick ? [100_000, 1_000_000] : [1_000_000, 10_000_000]) as [Held, Held]
        counted = late.events
        return Math.max(0, late.bytes - early.bytes) / (late.events - early.events)
      }
    },
    also: () => ({ events: counted })
  })
}

const alive = (() => {
  let keys: ReadonlyArray<number> = []
  const options = {
    better: "lower",
    rounds: 1,
    warmups: 0,
    also: () => ({ "keys alive": keys.join(" and ") })
  } as const
  const places = (quick: boolean) => {
    // the most that is ever alive at once is reached late, and what was grown for it is kept
    const from = quick ? 500_000 : 3_000_000
    return [from, 4 * from]
  }
  return [
    Kit.measure("heap of 10,000 live keys, A -> B -> C within 200,000 events", {
      ...options,
      unit: "B/key",
      ours: {
        value: (_, { quick }) => {
          const [early] = held(keyed, places(quick).slice(0, 1)) as [Held]
          keys = [early.keys]
          return early.bytes / early.keys
        }
      }
    }),
    Kit.measure("the same, after four times as many events", {
      ...options,
      unit: "times",
      goal: 1.2,
      ours: {
        value: (_, { quick }) => {
          const [early, late] = held(keyed, places(quick)) as [Held, Held]
          keys = [early.keys, late.keys]
          return late.bytes / early.bytes
        }
      }
    })
  ]
})()

const kept = [
  growing("A -> B -> C by key", Cases.relaxed),
  growing("A;B;C;D, window of 1000 events", { ...Cases.any(1_000), mix: Cases.anyEnded.mix }),
  growing("A -> B above A -> C above B, by key", Cases.correlated),
  ...alive
]

export default [...patterns, unnamed, ...many, loops, sliding(100), sliding(10_000), ...kept]
