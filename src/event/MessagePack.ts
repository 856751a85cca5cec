/**
 * Payloads as MessagePack, by `msgpackr`, an optional peer.
 *
 * @since 0.1.0
 */
import { Packr } from "msgpackr"
import type { Format } from "./PayloadFormat.ts"

const packr = new Packr({ useRecords: false, mapsAsObjects: true, variableMapSize: true })

/**
 * MessagePack, plain: readable by any implementation.
 *
 * @since 0.1.0
 * @category formats
 */
export const format: Format = {
  name: "msgpack",
  // `pack` may answer with a view of a buffer it uses again
  write: (value) => Uint8Array.from(packr.pack(value)),
  read: (serialized) => packr.unpack(typeof serialized === "string" ? Buffer.from(serialized, "latin1") : serialized)
}
