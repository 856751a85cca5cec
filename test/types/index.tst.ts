import * as Skald from "effect-skald"
import * as Event from "effect-skald/event/Event"
import { describe, expect, test } from "tstyche"

describe("the package", () => {
  test("the index and the subpath are one module", () => {
    expect(Skald.Event).type.toBe<typeof Event>()
  })

  test("a module that does not exist is not found", () => {
    // @ts-expect-error Cannot find module 'effect-skald/event/Nothing' or its corresponding type declarations.
    expect<typeof import("effect-skald/event/Nothing")>().type.toBe<any>()
  })
})
