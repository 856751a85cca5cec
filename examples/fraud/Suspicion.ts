/** Three wrong passwords, then the right one, then a transfer that nobody confirms: what it looks like when one was guessed. */
import { Effect } from "effect"
import * as OnError from "effect-skald/bus/OnError"
import * as Publisher from "effect-skald/bus/Publisher"
import * as Pattern from "effect-skald/cep/Pattern"
import * as Rules from "effect-skald/cep/Rules"
import * as Envelope from "effect-skald/event/Envelope"
import { banking, FraudSuspected, LoggedIn, LoginFailed, TransferConfirmed, TransferRequested } from "./Events.ts"

/** From the first wrong password until the transfer must have been confirmed. */
export const limit = 15 * 60_000

export const Guessed = Pattern.begin("failures", LoginFailed, { times: { min: 3, max: 3 }, consecutive: true }).pipe(
  Pattern.next("login", LoggedIn),
  Pattern.followedBy("transfer", TransferRequested),
  Pattern.notFollowedBy(TransferConfirmed, { join: { transfer: "transfer" } }),
  Pattern.within(limit)
)

const alerts = Publisher.make([FraudSuspected])

export const Suspicion = Rules.layer("fraud", {
  events: banking,
  pattern: Guessed,
  timestamp: (event) => event.at,
  keyBy: (event) => event.account,
  // the same alert for the same match, should it be found again
  action: ({ transfer: { account, cents, transfer } }, { id }) =>
    Effect.asVoid(alerts.publish(Envelope.make(FraudSuspected({ account, transfer, cents }), { id: `alert-${id}` }))),
  onError: {
    BusError: OnError.inherit,
    InvalidEvent: OnError.deadLetter,
    MessageTooLarge: OnError.deadLetter
  }
})
