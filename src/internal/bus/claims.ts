import * as Schema from "effect/Schema"
import type { Message } from "../../bus/Message.ts"

/** The format of a payload that stands elsewhere. No format of a user's is called so. */
export const format = "skald:claim"

/** What stands in the place of a payload. */
export const Claim = Schema.parseJson(Schema.Struct({
  /** Where the payload is. */
  key: Schema.String,
  /** The format that it is in. */
  format: Schema.String,
  /** Whether it is text, and not bytes. */
  text: Schema.Boolean,
  /** How long it is, in bytes. */
  bytes: Schema.Int,
  /** SHA-256 of it, in hexadecimal digits. */
  digest: Schema.String
}))

export type Claim = typeof Claim.Type

export const encode: (claim: Claim) => string = Schema.encodeSync(Claim)

export const decode = Schema.decodeUnknownOption(Claim)

/** What is told of a claim that nothing was found for. */
export const problemOf = ({ payload }: Message): string => {
  const claim = decode(payload)
  return claim._tag === "None"
    ? "its claim on a payload cannot be read"
    : `its payload of ${claim.value.bytes} bytes is not at "${claim.value.key}" any more, or was changed`
}
