/** Some days of a bank, drawn by a seed, and what is suspicious in them, worked out without the library. */
import { type Banking, LoggedIn, LoginFailed, TransferConfirmed, TransferRequested } from "./Events.ts"
import { limit } from "./Suspicion.ts"

/** Numbers below 1 (mulberry32). */
const drawing = (seed: number) => () => {
  seed = (seed + 0x6d2b79f5) | 0
  let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
}

export const traffic = (visits: number, seed: number): ReadonlyArray<Banking> => {
  const draw = drawing(seed)
  const events: Array<Banking> = []
  const start = Date.UTC(2026, 0, 5)
  for (let visit = 0; visit < visits; visit++) {
    const account = `acc-${Math.floor(draw() * 40)}`
    let at = start + Math.floor(draw() * 3 * 86_400_000)
    const later = (most: number) => at += 1_000 + Math.floor(draw() * most)
    const failures = draw() < 0.3 ? 1 + Math.floor(draw() * 4) : 0
    for (let n = 0; n < failures; n++) events.push(LoginFailed({ account, at: later(20_000) }))
    if (draw() < 0.1) continue
    events.push(LoggedIn({ account, at: later(20_000) }))
    if (draw() < 0.4) continue
    const transfer = `t-${visit}`
    events.push(TransferRequested({ account, at: later(8 * 60_000), transfer, cents: 100 + Math.floor(draw() * 1e6) }))
    if (draw() < 0.6) events.push(TransferConfirmed({ account, at: later(12 * 60_000), transfer }))
  }
  return events.sort((a, b) => a.at - b.at)
}

/** The transfers that are suspicious. */
export const suspicious = (events: ReadonlyArray<Banking>): ReadonlyArray<string> => {
  const byAccount = new Map<string, Array<Banking>>()
  for (const event of events) {
    const own = byAccount.get(event.account)
    if (own === undefined) byAccount.set(event.account, [event])
    else own.push(event)
  }
  const found: Array<string> = []
  for (const own of byAccount.values()) {
    for (let at = 0; at + 3 < own.length; at++) {
      const begins = own.slice(at, at + 4).map(({ _tag }) => _tag).join()
      if (begins !== "LoginFailed,LoginFailed,LoginFailed,LoggedIn") continue
      const until = own[at]!.at + limit
      const transfer = own.slice(at + 4).find((event) => event._tag === "TransferRequested")
      if (transfer?._tag !== "TransferRequested" || transfer.at >= until) continue
      const confirmed = own.some((event) =>
        event._tag === "TransferConfirmed" && event.transfer === transfer.transfer && event.at < until
      )
      if (!confirmed) found.push(transfer.transfer)
    }
  }
  return found.sort()
}
