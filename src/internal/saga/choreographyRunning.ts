import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as OnError from "../../bus/OnError.ts"
import * as Subscription from "../../bus/Subscription.ts"
import * as Projection from "../../cqrs/Projection.ts"
import type { RunOptions } from "../../cqrs/ProjectionRunning.ts"
import * as Correlation from "../../event/Correlation.ts"
import type { Recorded } from "../../event/Envelope.ts"
import * as EventCodec from "../../event/EventCodec.ts"
import type { Action, Choreography, Input, Send, State } from "../../saga/Choreography.ts"
import { ChoreographyError } from "../../saga/ChoreographyError.ts"
import * as Journal from "../../saga/ChoreographyJournal.ts"
import * as Timers from "../../saga/Timers.ts"
import { VersionConflict } from "../../store/AppendError.ts"
import * as Internal from "./choreography.ts"

export const asVoid: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<void, E, R> = Effect.asVoid

type Any = Choreography<any, any>

const codecs = new WeakMap<object, EventCodec.EventCodec<any>>()

const codecOf = (self: Any): EventCodec.EventCodec<any> => {
  let codec = codecs.get(self)
  if (codec === undefined) codecs.set(self, codec = EventCodec.make(self.events, {}) as EventCodec.EventCodec<any>)
  return codec
}

const keyOf = (self: Any, saga: string): string => `${self.name}/${saga}`

/** What was kept of a saga: its state, and what followed and has not been done for sure. */
interface Kept {
  readonly version: number
  readonly state: State<any>
  readonly open: ReadonlyArray<Action<any>>
}

const read = (self: Any, saga: string) =>
  Effect.gen(function*() {
    const codec = codecOf(self)
    let state = Internal.initial
    let version = 0
    const open = new Map<string, Action<any>>()
    yield* Stream.runForEach(Journal.Choreographies.read(keyOf(self, saga)), (recorded) =>
      Effect.gen(function*() {
        version = recorded.version
        const kept = recorded.payload
        if (kept._tag === "ChoreographyActed") {
          for (const id of kept.ids) open.delete(id)
          return
        }
        const { payload: event } = yield* codec.decode({
          ...(recorded as Recorded<unknown>),
          type: kept.type,
          schemaVersion: kept.schemaVersion,
          payload: kept.payload
        })
        const [next, actions] = Internal.step(self, state, { event, at: kept.at })
        state = next
        for (const action of actions) open.set(action.id, action)
      }))
    return { version, state, open: [...open.values()] } satisfies Kept
  })

const namespaceOf = (self: Any): string => `choreography/${self.name}`

/** What a timer of a deadline knows. */
const Due = Schema.parseJson(Schema.Struct({
  saga: Schema.String,
  deadline: Schema.String,
  key: Schema.String,
  tenant: Schema.optionalWith(Schema.String, { exact: true })
}))

const act = <C, Err, R>(
  self: Choreography<any, C>,
  saga: string,
  action: Action<C>,
  send: Send<C, Err, R>
): Effect.Effect<void, unknown, Timers.Timers | R> => {
  if (action._tag === "Send") {
    return send(action.command, {
      choreography: self.name,
      saga,
      rule: action.rule,
      key: action.key,
      id: Internal.commandId(self, saga, action.id),
      compensates: action.compensates
    }).pipe(Effect.mapError((error) => new Sending(error)))
  }
  return Effect.gen(function*() {
    const timers = yield* Timers.Timers
    const { tenant } = yield* Correlation.current
    const { deadline, key } = action
    const id = Internal.commandId(self, `${tenant ?? ""}/${saga}`, `${deadline}/${encodeURIComponent(key)}`)
    if (action._tag === "Disarm") return yield* Effect.asVoid(timers.cancel(namespaceOf(self), id))
    const payload = yield* Schema.encode(Due)({ saga, deadline, key, ...(tenant === undefined ? {} : { tenant }) })
    yield* timers.set({ namespace: namespaceOf(self), id, at: action.at, payload })
  })
}

/** Keeps a failure of the user's apart from ours. */
class Sending {
  readonly error: unknown
  constructor(error: unknown) {
    this.error = error
  }
}

/** What is to be taken in, seen from what was kept; nothing where it has been overtaken. */
type Ask = (state: State<any>) => Input<any> | undefined

const takeIn = <C, Err, R>(self: Choreography<any, C>, saga: string, ask: Ask, send: Send<C, Err, R>) =>
  Effect.gen(function*() {
    let kept: Kept = yield* read(self, saga)
    for (;;) {
      const input = ask(kept.state)
      if (input === undefined || Internal.isTaken(self, kept.state, input.event)) break
      const encoded = yield* EventCodec.encode(codecOf(self), input.event)
      const took = Journal.Took({
        choreography: self.name,
        saga,
        type: encoded.type,
        schemaVersion: encoded.schemaVersion,
        payload: encoded.payload,
        at: input.at
      })
      const appended = yield* Effect.either(Journal.Choreographies.append(keyOf(self, saga), [took], {
        expected: kept.version === 0 ? "noStream" : kept.version as never
      }))
      if (appended._tag === "Left" && !(appended.left instanceof VersionConflict)) return yield* appended.left
      kept = yield* read(self, saga)
    }
    if (kept.open.length === 0) return
    for (const action of kept.open) yield* act(self, saga, action, send)
    yield* Journal.Choreographies.append(keyOf(self, saga), [
      Journal.Acted({ choreography: self.name, saga, ids: kept.open.map(({ id }) => id) })
    ])
  }).pipe(
    Correlation.locally({ correlationId: saga }),
    Effect.mapError((error) =>
      error instanceof Sending
        ? error.error as Err
        : new ChoreographyError({ choreography: self.name, saga, cause: error })
    )
  )

export const take = <C, Err, R>(self: Choreography<any, C>, input: Input<any>, send: Send<C, Err, R>) =>
  Effect.suspend(() => takeIn(self, self.saga(input.event), () => input, send)) as Effect.Effect<void, any, any>

export const serveDeadlines = <C, Err, R>(self: Choreography<any, C>, send: Send<C, Err, R>) =>
  self.deadlines.length === 0
    ? Effect.void
    : Effect.flatMap(
      Timers.Timers,
      (timers) =>
        timers.serve(namespaceOf(self), (due) =>
          Effect.forEach(due, (timer) =>
            Effect.gen(function*() {
              const { deadline, key, saga, tenant } = yield* Schema.decode(Due)(timer.payload)
              const ask: Ask = (state) => {
                const event = Internal.dueEvent(self, state, deadline, key)
                return event === undefined ? undefined : { event, at: timer.at }
              }
              yield* takeIn(self, saga, ask, send).pipe(Correlation.locally(tenant === undefined ? {} : { tenant }))
            }), { discard: true }))
    ) as Effect.Effect<void, any, any>

export const subscribe = <C, Err, R>(
  self: Choreography<any, C>,
  options: Subscription.Options<R> & {
    readonly send: Send<C, Err, R>
    readonly onError: { readonly [tag: string]: OnError.Verdict }
  }
): Effect.Effect<Subscription.Running, Subscription.SubscribeError, any> => {
  const { onError, send, ...rest } = options
  return Subscription.run(`choreography.${self.name}`, {
    start: "earliest",
    ...rest,
    events: self.events.types as never,
    key: self.saga,
    handler: (event: any, delivery: Subscription.Delivery) =>
      take(self, { event, at: delivery.occurredAt.epochMillis }, send),
    onError: { ChoreographyError: OnError.standard, ...onError }
  } as never) as never
}

export const follow = <C, Err, R>(
  self: Choreography<any, C>,
  options: RunOptions & { readonly send: Send<C, Err, R> }
) => {
  const { send, ...rest } = options
  return Projection.layerAsync(
    Projection.handler(`choreography.${self.name}`, {
      events: self.events.types as any,
      allTenants: true,
      handle: Projection.each((event: any, recorded: Recorded<any>) =>
        take(self, { event, at: recorded.occurredAt.epochMillis }, send)
      )
    }) as Projection.Handler<any, any, any, any>,
    rest
  )
}
