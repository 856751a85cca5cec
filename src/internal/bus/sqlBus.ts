import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type * as Driver from "../../bus/BusDriver.ts"
import type { BusError } from "../../bus/BusError.ts"
import type { DeadLetterStore } from "../../bus/DeadLetterStore.ts"
import type { Message } from "../../bus/Message.ts"
import * as Selector from "../../bus/Selector.ts"
import { rest } from "../realTime.ts"
import * as Consumer from "./sqlConsumer.ts"
import type { Database, Registry, Settled, Targets } from "./sqlDatabase.ts"
import * as Lines from "./sqlLines.ts"
import * as Membership from "./sqlMembership.ts"
import * as Signals from "./sqlSignals.ts"

/** What a driver is made with, besides its tables. */
export interface Settings {
  /** Whether instants are measured by the process's clock; else by the database's. */
  readonly processClock: boolean
  readonly pollInterval: Duration.Duration
  readonly lease: { readonly ttl: Duration.Duration; readonly every: Duration.Duration }
  readonly history: number
  readonly historyAge: Duration.Duration | undefined
  readonly trimInterval: Duration.Duration
  readonly limits: Driver.Limits
  /** Tells other processes of what subscriptions something was committed, and hears of theirs; of all where none is named. */
  readonly listen: (
    onHint: (groups: ReadonlyArray<number> | undefined) => void
  ) => Effect.Effect<(groups: ReadonlyArray<number>) => void, never, Scope.Scope>
  readonly deadLetters: DeadLetterStore
}

type Capabilities = "delay" | "priority" | "history" | "durable" | "shared" | "transactions"

/** The subscriptions as this process knows them. */
interface Known {
  readonly epoch: number
  readonly router: Selector.Router<number>
  readonly ids: ReadonlyMap<string, number>
}

/** The driver of the bus over tables that are there. */
export const make = (
  database: Database,
  settings: Settings
): Effect.Effect<Driver.Driver<Capabilities>, never, Scope.Scope> =>
  Effect.gen(function*() {
    const scope = yield* Effect.scope
    const { detached } = database

    /** The time to tell the database; it takes its own where none is told. */
    const nowOf = ({ currentDefaultServices }: Fiber.RuntimeFiber<any, any>): number | undefined =>
      settings.processClock
        ? Math.floor(Context.get(currentDefaultServices, Clock.Clock).unsafeCurrentTimeMillis())
        : undefined

    const timed = <A, E>(run: (now: number | undefined) => Effect.Effect<A, E>): Effect.Effect<A, E> =>
      Effect.withFiberRuntime((fiber) => run(nowOf(fiber)))

    const signals = Signals.make()
    const tell = yield* settings.listen((groups) => groups === undefined ? signals.wakeAll() : signals.wake(groups))
    const members = yield* Membership.make(database, settings.lease, timed, signals.wakeAll)

    const holding = new Set<ReadonlyMap<number, Consumer.Receipt>>()

    const committed = (group: number, changed: boolean, settled: ReadonlyArray<Settled>): void => {
      if (!changed) return
      signals.wake([group])
      // What was taken on goes on here; what is given back may be for others.
      if (settled.some(({ settlement }) => settlement._tag === "return")) tell([group])
    }

    const lines = Lines.make({
      database,
      scope,
      nowOf,
      isCurrent: members.isCurrent,
      committed,
      held: (group) => {
        const places: Array<number> = []
        for (const held of holding) {
          for (const receipt of held.values()) if (receipt.group === group) places.push(receipt.place)
        }
        return places
      }
    })

    // -------------------------------------------------------------------------------------------------- subscriptions

    let known: Known | undefined

    const learn = ({ epoch, groups }: Registry): Known => {
      const router = Selector.router<number>()
      for (const { id, selector } of groups) router.add(id, selector)
      return known = { epoch, router, ids: new Map(groups.map(({ id, name }) => [name, id])) }
    }

    // Outside of a transaction: what is known must be what everybody knows.
    const ask = Effect.map(detached(database.groups), learn)

    const route = ({ router }: Known, messages: ReadonlyArray<Message>): Targets => {
      const indices: Array<number> = []
      const groups: Array<number> = []
      for (let index = 0; index < messages.length; index++) {
        for (const id of router.route(messages[index]!)) {
          indices.push(index)
          groups.push(id)
        }
      }
      return { messages: indices, groups }
    }

    const publishTo = (to: Known, messages: ReadonlyArray<Message>): Effect.Effect<void, BusError> => {
      const targets = route(to, messages)
      return Effect.flatMap(
        timed((now) =>
          database.publish(to.epoch, messages, targets, now, () => {
            signals.wake(targets.groups)
            if (targets.groups.length > 0) tell(targets.groups)
          })
        ),
        (stored) => stored ? Effect.void : Effect.flatMap(ask, (fresh) => publishTo(fresh, messages))
      )
    }

    const open = (group: Driver.Group): Effect.Effect<{ readonly id: number; readonly member: number }, BusError> =>
      Effect.gen(function*() {
        const member = yield* members.current
        const registered = yield* database.register(group.name, group.selector, {
          kept: group.kept,
          earliest: group.start === "earliest",
          replace: true,
          member
        })
        if (!registered.filled) {
          yield* timed((now) =>
            database.fill(
              registered,
              (message) => Selector.matches(group.selector, message),
              settings.history,
              now
            )
          )
        }
        return { id: registered.id, member }
      })

    // --------------------------------------------------------------------------------------------------- housekeeping

    // One look for all who wait.
    yield* Effect.forkScoped(detached(Effect.forever(Effect.zipRight(
      rest(settings.pollInterval),
      Effect.suspend(() => {
        const waiting = signals.waiting()
        return waiting.length === 0
          ? Effect.void
          // A look that fails is made good by the next one.
          : Effect.ignore(Effect.map(timed((now) => database.look(waiting, now)), signals.wake))
      })
    ))))

    yield* Effect.forkScoped(detached(Effect.gen(function*() {
      const batch = 5_000
      let after = 0
      for (;;) {
        yield* rest(settings.trimInterval)
        for (;;) {
          const { reached, removed } = yield* Effect.orElseSucceed(
            Effect.flatMap(Clock.currentTimeMillis, (now) =>
              database.trim(
                after,
                settings.history,
                settings.historyAge === undefined
                  ? undefined
                  : Math.floor(now) - Duration.toMillis(settings.historyAge),
                batch
              )),
            () => ({ reached: undefined, removed: 0 })
          )
          after = reached ?? 0
          // Where hardly anything could be removed, a backlog stands: it is looked at again next time.
          if (reached === undefined || removed < batch / 2) break
        }
      }
    })))

    return {
      name: database.name,
      capabilities: ["delay", "priority", "history", "durable", "shared", "transactions"],
      limits: settings.limits,
      publish: (messages) =>
        Effect.suspend(() =>
          known === undefined
            ? Effect.flatMap(ask, (fresh) => publishTo(fresh, messages))
            : publishTo(known, messages)
        ),
      redeliver: (name, again) =>
        Effect.flatMap(
          detached(database.register(name, { _tag: "Types", types: [] }, {
            kept: true,
            earliest: false,
            replace: false,
            member: undefined
          })),
          ({ id }) =>
            timed((now) =>
              database.redeliver(id, again, now, () => {
                signals.wake([id])
                tell([id])
              })
            )
        ),
      cancel: (id) =>
        Effect.map(timed((now) => database.cancel(id, now)), (cancelled) => cancelled ? "cancelled" : "tooLate"),
      consume: (group) =>
        detached(Consumer.make({
          database,
          kept: group.kept,
          open: open(group),
          buried: (member) => {
            members.buried(member)
            lines.forget()
          },
          isCurrent: members.isCurrent,
          holding,
          lines,
          committed,
          scope,
          signals
        })),
      // What is known may have ended.
      depth: (name) =>
        Effect.flatMap(ask, ({ ids }) => {
          const id = ids.get(name)
          return id === undefined ? Effect.sync(() => undefined) : timed((now) => database.depth(id, now))
        }),
      groups: Effect.map(ask, ({ ids }) => Array.from(ids.keys()).sort()),
      deadLetters: settings.deadLetters
    }
  })
