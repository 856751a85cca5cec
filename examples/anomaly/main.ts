/** Three sensors with a daily rhythm, and some readings that break it: each must be told once, and nothing else. */
import { Console, Effect, Layer, Stream } from "effect"
import * as EventBus from "effect-skald/bus/EventBus"
import * as Publisher from "effect-skald/bus/Publisher"
import * as Subscription from "effect-skald/bus/Subscription"
import * as Projection from "effect-skald/cqrs/Projection"
import * as Envelope from "effect-skald/event/Envelope"
import * as Machine from "effect-skald/event/Machine"
import * as Memory from "effect-skald/Memory"
import { detector, Learned } from "./Model.ts"
import { AnomalyDetected, ReadingTaken, Sensors } from "./Readings.ts"

/** A day has six readings: two low, two normal, two high. */
const rhythm = [14, 15, 20, 21, 27, 26]
const sensors = ["cellar", "kitchen", "attic"]
const count = 600
/** Far apart, so that the sensor is back in its rhythm between them: high in the night, low at noon. */
const broken = new Map([[200, 30], [304, 9], [421, 30]])

const readings = sensors.flatMap((sensor) =>
  Array.from({ length: count }, (_, number) =>
    ReadingTaken({
      sensor,
      number,
      celsius: sensor === "attic" && broken.has(number) ? broken.get(number)! : rhythm[number % rhythm.length]!
    }))
)

const alerts = Publisher.make([AnomalyDetected])

const program = Effect.gen(function*() {
  const told: Array<number> = []
  yield* Subscription.run("caretaker", {
    events: [AnomalyDetected],
    handler: ({ after, level, number, of, sensor, times }) =>
      Effect.zipRight(
        Effect.sync(() => void told.push(number)),
        Console.log(`${sensor}, reading ${number}: ${level} after ${after}, as ${times} of ${of} times before`)
      )
  })
  for (const reading of readings) yield* Sensors.append(reading.sensor, [reading])
  // the id comes from the reading, so that one that is found again is the same alert
  const found = yield* Sensors.readAll().pipe(
    Stream.map(({ payload }) => payload),
    Machine.toStream(detector),
    Stream.tap((anomaly) =>
      alerts.publish(Envelope.make(anomaly, { id: `anomaly-${anomaly.sensor}-${anomaly.number}` }))
    ),
    Stream.runCount
  )
  yield* Effect.repeat(Effect.delay(Effect.sync(() => told.length), "20 millis"), {
    until: (length) => length >= Math.max(found, broken.size),
    times: 200
  })
  const { state } = yield* Projection.catchUp(Learned)
  yield* Console.log(
    `${readings.length} readings, ${told.length} anomalies, ${Object.keys(state).length} models learned`
  )
  const once = told.sort((left, right) => left - right).join() === [...broken.keys()].join()
  if (once && JSON.stringify(state) === JSON.stringify(Machine.replay(detector, detector.initial, readings))) return
  yield* Console.error(
    "what was told is not what breaks the rhythm, each once, or the model is not what the log adds up to"
  )
  process.exitCode = 1
})

Effect.runPromise(Effect.scoped(Effect.provide(program, Layer.merge(Memory.layer, EventBus.layerMemory))))
