/** The order saga in both of its forms, as a body and as a list of steps. They journal the same. */
import { Effect, Schema } from "effect"
import * as FromSteps from "effect-skald/saga/FromSteps"
import * as Saga from "effect-skald/saga/Saga"
import * as Calls from "./Calls.ts"
import { OrderFailed, Receipt, Request } from "./Order.ts"

export const OrderSaga = Saga.make("order", {
  version: 1,
  payload: Request,
  success: Receipt,
  error: OrderFailed,
  idempotencyKey: ({ order }) => order,
  deadline: "1 hour"
})

const { noEffect, retry, undo } = Calls
const undone = { compensateRetry: undo.retry, compensateExhausted: undo.exhausted }

export const asBody = OrderSaga.toLayer((request) =>
  Effect.gen(function*() {
    const { cents } = yield* Saga.step("validate", {
      success: Schema.Struct({ cents: Schema.Int }),
      execute: () => Effect.map(Calls.validate(request), (cents) => ({ cents })),
      error: OrderFailed,
      retry
    })
    const { reservation } = yield* Saga.step("reserve", {
      success: Schema.Struct({ reservation: Schema.String }),
      execute: (key) => Effect.map(Calls.reserve(request, key), (reservation) => ({ reservation })),
      compensate: (_, key) => Calls.release(key),
      noEffectOn: (error) => noEffect(error),
      error: OrderFailed,
      retry,
      ...undone
    })
    yield* Saga.step("charge", {
      success: Schema.Struct({ payment: Schema.String }),
      execute: (key) => Effect.map(Calls.charge(request, cents, key), (payment) => ({ payment })),
      compensate: (_, key) => Calls.refund(key),
      noEffectOn: (error) => noEffect(error),
      error: OrderFailed,
      retry,
      ...undone
    })
    yield* Saga.step("create", {
      success: Schema.Struct({}),
      execute: (key) => Effect.as(Calls.create(request, cents, key), {}),
      compensate: (_, key) => Calls.cancel(request.order, key),
      noEffectOn: (error) => noEffect(error),
      error: OrderFailed,
      retry,
      ...undone
    })
    yield* Saga.pivot("confirm", {
      success: Schema.Struct({}),
      execute: (key) => Effect.as(Calls.confirm(request.order, key), {}),
      error: OrderFailed,
      retry
    })
    const { parcel } = yield* Saga.retriable("fulfil", {
      success: Schema.Struct({ parcel: Schema.String }),
      execute: (key) => Effect.map(Calls.fulfil(request.order, reservation, key), (parcel) => ({ parcel })),
      error: OrderFailed,
      retry
    })
    return Receipt.make({ parcel, cents })
  })
)

export const asList = OrderSaga.toLayer(
  FromSteps.make<Request>()
    .step("validate", {
      gives: { cents: Schema.Int },
      execute: (data) => Effect.map(Calls.validate(data), (cents) => ({ cents })),
      error: OrderFailed,
      retry
    })
    .step("reserve", {
      gives: { reservation: Schema.String },
      execute: (data, key) => Effect.map(Calls.reserve(data, key), (reservation) => ({ reservation })),
      noEffectOn: (error) => noEffect(error),
      error: OrderFailed,
      retry
    })
    .step("charge", {
      gives: { payment: Schema.String },
      execute: (data, key) => Effect.map(Calls.charge(data, data.cents, key), (payment) => ({ payment })),
      noEffectOn: (error) => noEffect(error),
      error: OrderFailed,
      retry
    })
    .step("create", {
      execute: (data, key) => Effect.as(Calls.create(data, data.cents, key), {}),
      noEffectOn: (error) => noEffect(error),
      error: OrderFailed,
      retry
    })
    .pivot("confirm", {
      execute: ({ order }, key) => Effect.as(Calls.confirm(order, key), {}),
      error: OrderFailed,
      retry
    })
    .retriable("fulfil", {
      gives: { parcel: Schema.String },
      execute: ({ order, reservation }, key) =>
        Effect.map(Calls.fulfil(order, reservation, key), (parcel) => ({ parcel })),
      error: OrderFailed,
      retry
    })
    .body({
      compensate: {
        reserve: { undo: (_, key) => Calls.release(key), ...undo },
        charge: { undo: (_, key) => Calls.refund(key), ...undo },
        create: { undo: ({ data }, key) => Calls.cancel(data.order, key), ...undo }
      },
      result: ({ cents, parcel }) => Receipt.make({ parcel, cents })
    })
)
