import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import { globalValue } from "effect/GlobalValue"
import type { Correlation } from "../../event/Correlation.ts"
import type { AppendError } from "../../store/AppendError.ts"
import type * as Driver from "../../store/Driver.ts"
import type { Appended, Group, Operations } from "../../store/EventStore.ts"

/** How a driver that waits for nothing appends; `undefined` where it has to wait this once. */
export type Write = (request: Driver.AppendRequest) => Driver.AppendResult | Driver.Refusal | undefined

/**
 * Appends in the turn in which it is called, by the fiber that runs it and in the correlation that is given; `undefined` where
 * that cannot be, and nothing has been written: then `append` does.
 */
export type AppendNow = (
  fiber: Fiber.RuntimeFiber<any, any>,
  correlation: Correlation,
  groups: ReadonlyArray<Group>
) => Exit.Exit<Appended, AppendError> | undefined

const writers = globalValue("effect-skald/store/appendNow/writers", () => new WeakMap<object, Write>())
const services = globalValue("effect-skald/store/appendNow/services", () => new WeakMap<object, AppendNow>())

/** Says of a driver that it can append without an Effect. One made of it, with an `append` of its own, is another one. */
export const offer = <D extends object>(driver: D, write: Write): D => {
  writers.set(driver, write)
  return driver
}

export const writeOf = (driver: object): Write | undefined => writers.get(driver)

/** Says the same of a store over such a driver. */
export const serve = (store: object, append: AppendNow): void => {
  services.set(store, append)
}

export const of = (store: Operations): AppendNow | undefined => services.get(store)
