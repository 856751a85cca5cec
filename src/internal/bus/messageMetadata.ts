import type { Metadata } from "../../event/Envelope.ts"

/*
 * Most messages begin a conversation of their own, and their metadata says nothing else. Its text is then known by the message's
 * id, and is neither written nor parsed as JSON, which would cost as much as the payload does.
 */

/** Whether metadata says no more than that a message of this id begins a conversation. A UUID needs no look. */
export const isOwnConversation = (metadata: Metadata, id: string, isUuid: boolean): boolean => {
  if (metadata.correlationId !== id || !(isUuid || isPlain(id))) return false
  for (const member in metadata) if (member !== "correlationId") return false
  return true
}

/** The JSON text of such metadata. */
export const ownConversation = (id: string): string => `{"correlationId":"${id}"}`

/** Metadata of its JSON text, of the message with this id. What JSON cannot parse is thrown. */
export const parse = (text: string, id: string): unknown =>
  text.length === id.length + own && isPlain(id) && text === ownConversation(id)
    ? { correlationId: id }
    : JSON.parse(text)

const own = ownConversation("").length

/** Whether JSON writes a text as it is: what `JSON.stringify` puts a backslash before is not in it. */
const isPlain = (text: string): boolean => plain.test(text)
const plain = /^[\w.:-]*$/
