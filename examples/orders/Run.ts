/** The whole: orders that are generated, the saga that carries each through, and what has come of them. */
import { Data, Effect, Layer, Schema } from "effect"
import * as Projection from "effect-skald/cqrs/Projection"
import * as Saga from "effect-skald/saga/Saga"
import * as SagaEngine from "effect-skald/saga/SagaEngine"
import * as SagaJournal from "effect-skald/saga/SagaJournal"
import * as Sqlite from "effect-skald/Sqlite"
import { EventStore } from "effect-skald/store/EventStore"
import * as Books from "./Books.ts"
import type { Line, Request } from "./Order.ts"
import { asBody, asList, OrderSaga } from "./OrderSaga.ts"
import * as Sales from "./Sales.ts"
import * as Shop from "./Shop.ts"
import * as Weather from "./Weather.ts"

export interface Options {
  readonly filename: string
  readonly orders: number
  readonly seed: number
  readonly form: "body" | "list"
  /** How many orders are under way at once. */
  readonly concurrency: number
}

export class Unbalanced extends Data.TaggedError("Unbalanced")<{ readonly problems: ReadonlyArray<string> }> {
  override get message(): string {
    return `The books do not balance:\n${this.problems.join("\n")}`
  }
}

/** The orders of a seed; one in a hundred is of something that nobody has. */
export const requests = (count: number, seed: number): ReadonlyArray<Request> =>
  Array.from({ length: count }, (_, n) => {
    const draw = (what: string) => Weather.chance(seed, `${n}/${what}`)
    const line = (which: string): Line => ({
      product: draw(`${which}/known`) < 0.01
        ? "unicorn"
        : Shop.products[Math.floor(draw(which) * Shop.products.length)]!.product,
      quantity: 1 + Math.floor(draw(`${which}/quantity`) * 2)
    })
    const first = line("first")
    const second = line("second")
    return {
      order: `order-${seed}-${String(n).padStart(5, "0")}`,
      customer: Shop.customers[Math.floor(draw("customer") * Shop.customers.length)]!.owner,
      lines: second.product === first.product || draw("lines") < 0.6 ? [first] : [first, second]
    }
  })

/** What the journals tell of all sagas: the events that they are made of can be projected like any. */
const Effort = Projection.make("effort", {
  category: SagaJournal.Sagas.name,
  events: [SagaJournal.AttemptFailed, SagaJournal.Compensated, SagaJournal.Resumed],
  state: Schema.Struct({ retried: Schema.Int, undone: Schema.Int, resumed: Schema.Int }),
  initial: { retried: 0, undone: 0, resumed: 0 },
  apply: (counts, event) => {
    switch (event._tag) {
      case "SagaAttemptFailed":
        return { ...counts, retried: counts.retried + 1 }
      case "SagaCompensated":
        return { ...counts, undone: counts.undone + 1 }
      case "SagaResumed":
        return { ...counts, resumed: counts.resumed + 1 }
    }
  }
})

const tables = Layer.effectDiscard(Effect.zipRight(Shop.open, Sales.open))

/** Everything in one file: journals, events, stock, money and the read model. */
export const layer = ({ filename, form, seed }: Options) =>
  Layer.merge(
    SagaEngine.layerOf(form === "body" ? asBody : asList).pipe(Layer.provide(Weather.layer(seed))),
    Projection.layerAsync(Sales.Sales)
  ).pipe(Layer.provideMerge(tables), Layer.provideMerge(Sqlite.layer({ filename })))

/** Carries all orders through; those that ended in a process before are as they were. */
export const program = (options: Options, say: (line: string) => Effect.Effect<void>) =>
  Effect.gen(function*() {
    const counts = new Map<string, number>()
    const problems: Array<string> = []
    const open = ({ message }: Error): string => {
      problems.push(message)
      return "not ended"
    }
    let ended = 0
    yield* Effect.forEach(requests(options.orders, options.seed), (request) =>
      Saga.match(OrderSaga.run(request), {
        onCompleted: () => "fulfilled",
        onFailed: (error) =>
          error._tag === "Refused"
            ? `refused, ${error.why}`
            : error._tag === "Unreachable"
            ? "given up, a service was not reached"
            : open(error),
        onCancelled: () => "cancelled",
        onTimedOut: () => "timed out",
        onUnfinished: (unfinished) => open(unfinished)
      }).pipe(Effect.flatMap((outcome) => {
        counts.set(outcome, (counts.get(outcome) ?? 0) + 1)
        return ++ended % 20 === 0 ? say(`${ended} orders have ended`) : Effect.void
      })), { concurrency: options.concurrency, discard: true })

    const store = yield* EventStore
    yield* Projection.awaitPosition(Sales.Sales, yield* store.head)
    for (const [outcome, count] of Array.from(counts).sort()) yield* say(`${count} orders: ${outcome}`)
    const effort = yield* Projection.live(Effort)
    yield* say(
      `${effort.retried} attempts retried, ${effort.undone} steps undone, ${effort.resumed} sagas taken over`
    )
    for (const { cents, name, orders } of yield* Sales.byStatus) {
      yield* say(`${name}: ${orders} orders, ${(cents / 100).toFixed(2)}`)
    }
    problems.push(...yield* Books.problems)
    if (problems.length > 0) return yield* new Unbalanced({ problems })
    yield* say("The books balance.")
  })
