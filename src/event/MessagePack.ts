/**
 * Payloads as MessagePack, by `msgpackr`.
 *
 * @since 0.1.0
 */
import { Packr } from "msgpackr"
import type { Format } from "./PayloadFormat.ts"

/** As JSON does it: members that are `undefined` are left out, and a member named `toJSON` is a member. */
const asJson = { useToJSON: false, skipValues: [undefined] }

const packr = new Packr({ useRecords: false, mapsAsObjects: true, variableMapSize: true, ...asJson })

/**
 * MessagePack, plain: readable by any implementation.
 *
 * @since 0.1.0
 * @category formats
 */
export const format: Format = {
  name: "msgpack",
  // `pack` may answer with a view of a buffer it uses again
  write: (value) => new Uint8Array(packr.pack(value)),
  read: (serialized) => packr.unpack(typeof serialized === "string" ? Buffer.from(serialized, "latin1") : serialized)
}
