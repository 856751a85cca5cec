/** What the saga asks of the services, over the network: the same in both of its forms. */
import { Effect, Schedule } from "effect"
import * as RetryPolicy from "effect-skald/resilience/RetryPolicy"
import { type OrderFailed, orders, Refused, type Request, Unreachable } from "./Order.ts"
import * as Shop from "./Shop.ts"
import * as Weather from "./Weather.ts"

/** A service whose database fails was not reached, for all that the saga knows. */
const over = <A, E, R>(service: string, lasting: Weather.Lasting, effect: Effect.Effect<A, E, R>) =>
  Weather.call(
    service,
    lasting,
    Effect.mapError(effect, (error): Refused | Unreachable =>
      error instanceof Refused ? error : new Unreachable({ service }))
  )

export const validate = (request: Request) => over("validate", "busy", Shop.price(request.lines))

export const reserve = (request: Request, key: string) => over("reserve", "either", Shop.reserve(request.lines, key))
export const release = (key: string) => over("release", "neither", Shop.release(key))

export const charge = (request: Request, cents: number, key: string) =>
  over("charge", "either", Shop.charge(request.customer, cents, key))
export const refund = (key: string) => over("refund", "neither", Shop.refund(key))

const tell = (order: string, command: Parameters<typeof orders.execute>[1], commandId: string) =>
  Effect.asVoid(orders.execute(order, command, { commandId }))

export const create = ({ customer, order }: Request, cents: number, key: string) =>
  over("create", "either", tell(order, { _tag: "Create", order, customer, cents }, key))
export const cancel = (order: string, key: string) =>
  over("cancel", "neither", tell(order, { _tag: "Cancel", order }, `${key}/cancel`))

/** An order that may have been confirmed cannot be undone: whether it was has to come out in the end. */
export const confirm = (order: string, key: string) =>
  over("confirm", "busy", tell(order, { _tag: "Confirm", order }, key))

export const fulfil = (order: string, reservation: string, key: string) =>
  over(
    "fulfil",
    "neither",
    Effect.flatMap(Shop.ship(reservation), (parcel) =>
      Effect.as(tell(order, { _tag: "Fulfil", order, parcel }, key), parcel))
  )

/** A step that was not reached is tried five times, and what undoes it nine times. */
export const retry = RetryPolicy.exponential("5 millis", { times: 4 }).pipe(
  Schedule.whileInput((error: typeof OrderFailed.Type) => error._tag === "Unreachable")
)
export const undo = {
  retry: RetryPolicy.exponential("5 millis", { times: 8, cap: "1 second" }),
  exhausted: "intervene"
} as const satisfies { readonly retry: Schedule.Schedule<unknown>; readonly exhausted: string }

/** Whether it is known that nothing has happened. */
export const noEffect = (error: typeof OrderFailed.Type): boolean => error._tag === "Refused"
