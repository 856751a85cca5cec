/** Three days of a bank go through a rule; its alerts come over the bus, and must be those of a direct computation. */
import { Console, Effect, Layer } from "effect"
import * as EventBus from "effect-skald/bus/EventBus"
import * as Subscription from "effect-skald/bus/Subscription"
import * as Rules from "effect-skald/cep/Rules"
import * as Memory from "effect-skald/Memory"
import { Accounts, FraudSuspected } from "./Events.ts"
import { Suspicion } from "./Suspicion.ts"
import { suspicious, traffic } from "./Traffic.ts"

const program = Effect.gen(function*() {
  const events = traffic(3_000, 2026)
  const alerts: Array<string> = []
  yield* Subscription.run("security-desk", {
    events: [FraudSuspected],
    handler: ({ account, cents, transfer }) =>
      Effect.zipRight(
        Effect.sync(() => void alerts.push(transfer)),
        alerts.length < 3 ? Console.log(`suspicious: ${transfer}, ${cents} cents from ${account}`) : Effect.void
      )
  })
  for (const event of events) yield* Accounts.append(event.account, [event])
  const rules = yield* Rules.Rules
  const seen = Effect.map(rules.stats("fraud"), (stats) => stats.events)
  yield* Effect.repeat(Effect.delay(seen, "20 millis"), { until: (count) => count === events.length })
  // the last of them wait for time alone
  yield* rules.advance(Number.POSITIVE_INFINITY)
  const expected = suspicious(events)
  yield* Effect.repeat(Effect.delay(Effect.sync(() => alerts.length), "20 millis"), {
    until: (count) => count >= expected.length,
    times: 500
  })
  yield* Console.log(`${events.length} events, ${alerts.length} alerts`)
  if (alerts.sort().join() === expected.join()) return
  yield* Console.error(`a direct computation finds ${expected.length}`)
  process.exitCode = 1
})

const App = Rules.layerStore({ name: "fraud", after: "earliest" }).pipe(
  Layer.provideMerge(Suspicion),
  Layer.provideMerge(Rules.layerEmpty),
  Layer.provideMerge(Layer.merge(Memory.layer, EventBus.layerMemory))
)

Effect.runPromise(Effect.scoped(Effect.provide(program, App)))
