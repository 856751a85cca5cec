import type { Garbled, Message } from "../../bus/Message.ts"

/** Gives the object back that it is given, so that a class over it adds its private members to that. */
const Same = class {
  constructor(given: object) {
    return given
  }
} as new(given: object) => object

/**
 * What this process knows of a message that it made itself, beside its texts: kept with the object, seen by nobody, and gone with any
 * copy of it, so that whoever changes a message does not take along what was true of the other one.
 */
class Remembered extends Same {
  readonly #payload: unknown
  readonly #alone: boolean

  constructor(message: Message, payload: unknown, alone: boolean) {
    super(message)
    this.#payload = payload
    this.#alone = alone
  }

  static payload(message: object): unknown {
    return #payload in message ? message.#payload : undefined
  }

  static alone(message: object): boolean {
    return #alone in message && message.#alone
  }
}

/** Remembers a payload that nobody else changes, and whether the metadata says only that the message begins a conversation. */
export const put = (message: Message, payload: unknown, alone: boolean): void =>
  void new Remembered(message, payload, alone)

/** The payload that a message was made of: a JSON value, not to be changed and not to be given to anybody who might. */
export const payloadOf: (message: Message | Garbled) => unknown = Remembered.payload

/** Whether the metadata says only that the message begins a conversation. */
export const isAlone: (message: Message | Garbled) => boolean = Remembered.alone
