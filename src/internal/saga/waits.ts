import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import type { SignalRequest } from "../../saga/SagaDefinition.ts"
import { SignalTimedOut } from "../../saga/SagaError.ts"
import * as Journal from "../../saga/SagaJournal.ts"
import { begin, claim, held, invalid, orLost, type Restore, turn } from "./activity.ts"
import * as Body from "./body.ts"
import { signalSlot } from "./identity.ts"
import { isAwaited } from "./questions.ts"
import type { Runner } from "./runner.ts"

const millisOf = (duration: Duration.DurationInput): number | undefined =>
  Option.getOrUndefined(
    Option.filter(Option.map(Duration.decodeUnknown(duration), Duration.toMillis), Number.isFinite)
  )

/** A durable sleep. */
export const sleep = (
  runner: Runner,
  parent: string,
  name: string,
  key: string | undefined,
  duration: Duration.DurationInput
): Effect.Effect<void> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(claim(runner, parent, "sleep", name, key), (found) => {
      if (found._tag === "Refused") return restore(found.why)
      const { id } = found
      if (found._tag === "Known") return orLost(runner, id, slept(runner, id, restore))
      const millis = millisOf(duration)
      if (millis === undefined) return invalid(runner, id, "name", "a sleep must be finite")
      const due = Math.ceil(runner.now() + millis)
      return Effect.flatMap(
        begin(runner, "sleep", Journal.TimerSet({ step: id, place: found.place, name, due })),
        (begun) => begun ? orLost(runner, id, slept(runner, id, restore)) : restore(held(runner))
      )
    })
  )

const slept = (runner: Runner, id: string, restore: Restore): Effect.Effect<void> =>
  Effect.suspend(() => {
    const known = runner.activity(id)!
    if (known.state === "lost") return restore(Effect.never)
    if (known.state === "done") {
      return Effect.zipRight(restore(turn(runner, known)), Body.seen(id, known.endedAt ?? 0))
    }
    if (runner.blocked()) return restore(held(runner))
    return Effect.zipRight(
      restore(runner.until(known.due ?? 0)),
      Effect.flatMap(
        runner.note([Journal.TimerFired({ step: id })], () => !runner.blocked()),
        (fired) => fired ? slept(runner, id, restore) : restore(held(runner))
      )
    )
  })

/** A wait for a signal. */
export const signal = (runner: Runner, parent: string, request: SignalRequest): Effect.Effect<any, any> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(claim(runner, parent, "signal", request.name, request.key), (found) => {
      if (found._tag === "Refused") return restore(found.why)
      const { id } = found
      if (found._tag === "Known") return orLost(runner, id, signalled(runner, id, request, restore))
      const { within } = request
      const millis = within === undefined ? undefined : millisOf(within)
      const awaited = Journal.SignalAwaited({
        step: id,
        place: found.place,
        name: request.name,
        signal: signalSlot(request.name, request.key),
        ...(millis === undefined ? {} : { due: Math.ceil(runner.now() + millis) })
      })
      return Effect.flatMap(
        begin(runner, "signal", awaited),
        (begun) => begun ? orLost(runner, id, signalled(runner, id, request, restore)) : restore(held(runner))
      )
    })
  )

const signalled = (
  runner: Runner,
  id: string,
  request: SignalRequest,
  restore: Restore
): Effect.Effect<any, any> =>
  Effect.suspend(() => {
    const known = runner.activity(id)!
    switch (known.state) {
      case "lost":
        return restore(Effect.never)
      case "done": {
        const decoded = ParseResult.decodeUnknownEither(request.schema)(known.value)
        return Either.isLeft(decoded)
          ? restore(runner.mismatch(`the signal ${request.name} cannot be read`))
          : Effect.zipRight(
            restore(turn(runner, known)),
            Effect.as(Body.seen(id, known.endedAt ?? 0), decoded.right)
          )
      }
      case "failed":
        return Effect.zipRight(
          restore(turn(runner, known)),
          Effect.zipRight(
            Body.seen(id, known.endedAt ?? 0),
            Effect.fail(new SignalTimedOut({ signal: request.name }))
          )
        )
    }
    if (runner.blocked()) return restore(held(runner))
    const { due } = known
    const heard = runner.awaitActivity(id)
    return Effect.zipRight(
      restore(
        due === undefined ? heard : Effect.raceFirst(
          heard,
          Effect.zipRight(
            runner.until(due),
            runner.note(
              [Journal.SignalLimitPassed({ step: id, signal: known.signal! })],
              () => !runner.blocked() && isAwaited(runner.activity(id)!)
            )
          )
        )
      ),
      signalled(runner, id, request, restore)
    )
  })
