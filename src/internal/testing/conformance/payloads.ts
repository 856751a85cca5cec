import * as Effect from "effect/Effect"
import { equal, event, read, readAll, refusedUnchanged, section, type Store } from "./case.ts"

const nested = (depth: number): unknown =>
  depth === 0 ? "deep" : depth % 2 === 0 ? [nested(depth - 1)] : { in: nested(depth - 1) }

/** A key that formats and Schemas would take for the prototype. */
const proto: unknown = JSON.parse(`{"__proto__": {"polluted": true}}`)

/** Payloads that must come back as they are. */
export const kept: { readonly [name: string]: unknown } = {
  "null, true and false": [null, true, false],
  numbers: [0, 1, -1, 0.1, 1e300, -1e-300, 5e-324, 2 ** 31, 2 ** 32, 2 ** 53, -(2 ** 53), Number.MAX_SAFE_INTEGER],
  "text of every kind": [
    "",
    "plain",
    "\u{1f600} 漢字 ñ e\u0301 \u00e9",
    "\u2028\u2029\ufeff\uffff",
    "'; DROP TABLE events; --",
    "\\u0000"
  ],
  "NUL and control characters in text": ["\u0000", "a\u0000b", "\u0001\u001f\u007f\u0085", "\r\n\t"],
  "keys of every kind": { "": 1, " ": 2, "a.b": 3, "\u0000": 4, "\u{1f600}": 5, "0": 6, "10": 7, "9": 8 },
  "keys that JavaScript uses itself": { constructor: 1, hasOwnProperty: 2, toString: "x", prototype: null, length: 3 },
  "empty lists and objects, also in each other": [[], {}, [[]], [{}], { a: {}, b: [] }],
  "200 levels": nested(200),
  "a text of 1 MiB": "\u{1f600}".repeat(262_144),
  "10,000 members": Object.fromEntries(Array.from({ length: 10_000 }, (_, n) => [`key${n}`, n])),
  "a text that looks like a number, a date, JSON": ["1", "2001-02-14T00:00:00Z", "{\"a\":1}", "null"]
}

export const roundTrip = (store: Store) => (payload: unknown) =>
  Effect.gen(function*() {
    yield* store.append([{ stream: "s-1", events: [event(payload)] }])
    const [raw] = yield* read(store, "s-1", { backwards: true, limit: 1 })
    equal(raw!.payload, payload)
    equal((yield* readAll(store, { backwards: true, limit: 1 }))[0]!.payload, payload)
  })

export const payloadSection = section<Store>("payloads", {
  ...Object.fromEntries(
    Object.entries(kept).map((
      [name, payload]
    ) => [`kept as they are: ${name}`, (store: Store) => roundTrip(store)(payload)])
  ),
  "-0 is a number like 0": (store) =>
    Effect.gen(function*() {
      yield* store.append([{ stream: "s-1", events: [event([-0])] }])
      const [raw] = yield* read(store, "s-1")
      equal((raw!.payload as ReadonlyArray<number>)[0]! + 0, 0)
    }),
  "members that are undefined are absent": (store) =>
    Effect.gen(function*() {
      yield* store.append([{ stream: "s-1", events: [event({ a: 1, b: undefined, c: { d: undefined } })] }])
      equal((yield* read(store, "s-1"))[0]!.payload, { a: 1, c: {} })
    }),
  "201 levels are refused": (store) =>
    refusedUnchanged(store, store.append([{ stream: "s-1", events: [event(nested(201))] }]), "InvalidEvent"),
  "a payload that holds itself, even twice, is refused": (store) =>
    Effect.gen(function*() {
      const payload: { [name: string]: unknown } = {}
      payload["one"] = payload
      payload["two"] = payload
      yield* refusedUnchanged(store, store.append([{ stream: "s-1", events: [event(payload)] }]), "InvalidEvent")
    }),
  "what JSON does not give back is refused": (store) =>
    Effect.forEach(
      [
        undefined,
        Number.NaN,
        Number.POSITIVE_INFINITY,
        [1, Number.NEGATIVE_INFINITY],
        1n,
        { a: [1n] },
        "\ud800",
        ["a\udc00b"],
        { "\ud800": 1 },
        Symbol("s"),
        () => 1,
        { f: () => 1 },
        new Date(0),
        new Map(),
        new Set([1]),
        /x/,
        new Uint8Array(1),
        new (class Money {})(),
        Object("boxed"),
        [undefined],
        // oxlint-disable-next-line no-sparse-arrays -- a hole is what is refused
        [, 1],
        proto,
        [{ deep: proto }]
      ],
      (payload) =>
        refusedUnchanged(
          store,
          store.append([{ stream: "s-1", events: [{ type: "A", payload }] }]),
          "InvalidEvent"
        )
    )
})
