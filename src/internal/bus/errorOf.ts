import { BusError, type BusReason } from "../../bus/BusError.ts"
import type { StoreError, StoreReason } from "../../store/StoreError.ts"

const reasons: { readonly [R in StoreReason]: BusReason } = {
  unavailable: "unavailable",
  busy: "unavailable",
  full: "full",
  readOnly: "refused",
  corrupt: "corrupt",
  closed: "closed",
  timeout: "timeout",
  hook: "unknown",
  unknown: "unknown"
}

/** What went wrong in a store, as the bus says it. */
export const busError = (operation: string, { cause, reason }: StoreError): BusError =>
  new BusError({ reason: reasons[reason], operation, cause })
