import * as Deferred from "effect/Deferred"
import * as DefaultServices from "effect/DefaultServices"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FiberRefs from "effect/FiberRefs"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import * as Random from "effect/Random"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import * as Correlation from "../event/Correlation.ts"
import * as Envelope from "../event/Envelope.ts"
import { EventIds } from "../event/EventId.ts"
import { Fault, InvalidInput } from "../event/InvalidInput.ts"
import type { Contract, Definition } from "../saga/SagaDefinition.ts"
import type { Options, Ref, Service } from "../saga/SagaEngine.ts"
import {
  type AskError,
  EngineStopped,
  PayloadDiffers,
  SagaNotFound,
  SagaNotRegistered,
  UnregisteredSagas
} from "../saga/SagaError.ts"
import * as Journal from "../saga/SagaJournal.ts"
import type { Summary } from "../saga/SagaStatus.ts"
import { EventStore, type Service as Store } from "../store/EventStore.ts"
import { StoreError } from "../store/StoreError.ts"
import * as Faults from "./faults.ts"
import * as Json from "./json.ts"
import { processLabel } from "./lease.ts"
import * as Commands from "./sagaCommands.ts"
import { signalSlot } from "./sagaIdentity.ts"
import * as Index from "./sagaIndex.ts"
import { live } from "./sagaLife.ts"
import * as Lists from "./sagaLists.ts"
import * as Machine from "./sagaMachine.ts"
import * as Metrics from "./sagaMetrics.ts"
import { Runner } from "./sagaRunner.ts"
import * as View from "./sagaView.ts"

interface Loaded {
  readonly state: Machine.SagaState
  readonly correlation: Correlation.Correlation
}

const definitionKey = (saga: string, version: number): string => `${version}/${saga}`

/** The engine of one process: the sagas in flight in it, by tenant, name and id. */
export const make = (
  options: Omit<Options, "settle" | "patience"> & {
    readonly settle: Duration.DurationInput
    readonly patience: Duration.DurationInput
  }
): Effect.Effect<Service, StoreError | InvalidInput, EventStore | Scope.Scope> =>
  Effect.gen(function*() {
    const store: Store = yield* EventStore
    const ids = yield* EventIds
    const index = yield* Index.make
    const runtime = yield* Effect.runtime<never>()
    const services = FiberRefs.getOrDefault(runtime.fiberRefs, DefaultServices.currentServices)
    const fork = Runtime.runFork(runtime)
    const host = options.host ?? processLabel
    const patience = Duration.decode(options.patience)
    const runners = new Map<string, Runner>()
    const starting = new Map<string, Deferred.Deferred<void>>()
    const definitions = new Map<string, Definition>()
    let stopping = false

    const withStore = <A, E>(effect: Effect.Effect<A, E, EventStore>): Effect.Effect<A, E> =>
      Effect.provideService(effect, EventStore, store)
    const inTenant = (tenant: string | undefined) => <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
      Effect.locallyWith(effect, Correlation.currentCorrelation, ({ tenant: _, ...rest }) =>
        tenant === undefined ? rest : { ...rest, tenant })
    const tenantOf = Effect.map(Correlation.current, ({ tenant }) =>
      tenant)

    // ---------------------------------------------------------------------------------------------------------- journals

    /** What a journal says; none where there is no such saga. */
    const load = (saga: string, id: string): Effect.Effect<Option.Option<Loaded>, StoreError | InvalidInput> => {
      let state = Machine.initial
      let correlation: Correlation.Correlation | undefined
      const more: Effect.Effect<void, StoreError | InvalidInput> = Effect.suspend(() =>
        Effect.flatMap(
          Effect.catchTags(
            withStore(Journal.Sagas.readPage(Journal.idOf(saga, id), { from: state.version + 1 })),
            { UnknownEventType: unreadable, UndecodableEvent: unreadable }
          ),
          (page) => {
            for (const recorded of page.events) {
              correlation ??= Correlation.following(recorded)
              state = Machine.apply(state, recorded.payload, recorded.occurredAt.epochMillis)
            }
            return page.more ? more : Effect.void
          }
        )
      )
      return Effect.map(more, () =>
        correlation === undefined ? Option.none() : Option.some({ state, correlation }))
    }

    // ----------------------------------------------------------------------------------------------------------- runners

    const launch = (key: string, definition: Definition, { correlation, state }: Loaded): Runner => {
      const runner = new Runner({
        definition,
        store,
        ids,
        state,
        correlation,
        services,
        patience,
        fork,
        onStored: Metrics.count,
        onQuiet: () => undefined,
        onGone: (gone) => {
          if (runners.get(key) === gone) runners.delete(key)
        }
      })
      runners.set(key, runner)
      return runner
    }

    const resume = (key: string, definition: Definition, loaded: Loaded): Effect.Effect<Runner> =>
      Effect.suspend(() => {
        const runner = launch(key, definition, loaded)
        const { id, saga } = loaded.state
        // Its first write fences off whoever had it before.
        runner.fork(Effect.zipRight(runner.note([Journal.Resumed({ saga, id, host })]), live(runner)))
        return Effect.succeed(runner)
      })

    // ---------------------------------------------------------------------------------------------------------- recovery

    const recover = (each: Summary): Effect.Effect<void, StoreError | InvalidInput> => {
      const key = Index.keyOf(each.tenant, each.saga, each.id)
      const definition = definitions.get(definitionKey(each.saga, each.version))
      if (definition === undefined || runners.has(key) || stopping) return Effect.void
      return Effect.flatMap(inTenant(each.tenant)(load(each.saga, each.id)), (loaded) =>
        Option.isNone(loaded) || loaded.value.state.ended !== undefined || runners.has(key) || starting.has(key)
          ? Effect.void
          : Effect.asVoid(resume(key, definition, loaded.value))).pipe(
          Effect.catchAllDefect((defect) =>
            Effect.logError(`saga ${each.saga} "${each.id}" cannot be read`, defect)
          )
        )
    }

    const begin: Effect.Effect<void, AskError> = Effect.gen(function*() {
      const inFlight = yield* index.inFlight
      const missing = new Map<string, { saga: string; version: number; inFlight: number }>()
      for (const { saga, version } of inFlight) {
        const key = definitionKey(saga, version)
        if (definitions.has(key)) {
          continue
        }
        const counted = missing.get(key) ?? { saga, version, inFlight: 0 }
        missing.set(key, { ...counted, inFlight: counted.inFlight + 1 })
      }
      const [first, ...rest] = missing.values()
      if (first !== undefined && options.withoutUnregistered !== true) {
        return yield* new UnregisteredSagas({ missing: [first, ...rest] })
      }
      yield* Effect.uninterruptible(Effect.forEach(inFlight, recover, { concurrency: 16, discard: true }))
    })

    let begun = false
    const beginning = Effect.unsafeMakeSemaphore(1)
    const ready: Effect.Effect<void, AskError> = Effect.suspend(() =>
      begun ? Effect.void : beginning.withPermits(1)(Effect.suspend(() =>
        begun ? Effect.void : Effect.map(begin, () => {
          begun = true
        })
      ))
    )

    // An application may never ask anything: what is in flight goes on all the same.
    let registered = 0
    const settle: Effect.Effect<void> = Effect.suspend(() => {
      const before = registered
      return Effect.zipRight(
        Effect.sleep(options.settle),
        Effect.suspend(() =>
          begun ? Effect.void : registered === 0 || registered !== before
            ? settle
            : Effect.catchAll(ready, (error) =>
              Effect.logError("the saga engine does not start", error))
        )
      )
    })
    yield* Effect.forkScoped(settle)

    // Before anything is interrupted it is said that this is a stop, and no failure of any saga.
    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => {
        stopping = true
        const all = Array.from(runners.values())
        for (const runner of all) runner.closed = true
        return Effect.forEach(all, (runner) => runner.abandon, { concurrency: "unbounded", discard: true })
      })
    )

    // ------------------------------------------------------------------------------------------------------------- start

    const register: Service["register"] = (definition) =>
      Effect.acquireRelease(
        Effect.suspend(() => {
          const { name, version } = definition.contract
          const key = definitionKey(name, version)
          if (definitions.has(key)) {
            return Effect.die(invalid("name", `saga ${name} of version ${version} is registered already`))
          }
          definitions.set(key, definition)
          registered++
          return Effect.succeed(key)
        }),
        (key) => Effect.sync(() => definitions.delete(key))
      )

    const start: Service["start"] = (contract, given) =>
      Effect.gen(function*() {
        yield* ready
        const definition = definitions.get(definitionKey(contract.name, contract.version))
        if (definition === undefined) {
          return yield* new SagaNotRegistered({ saga: contract.name, version: contract.version })
        }
        const payload: unknown = yield* Effect.mapError(
          ParseResult.encodeUnknown(contract.payload)(given),
          (issue) => invalid("payload", ParseResult.TreeFormatter.formatIssueSync(issue))
        )
        const id = contract.idempotencyKey(given)
        const problem = Faults.nameProblem(id, 256)
        if (problem !== undefined) return yield* invalid("id", problem)
        const tenant = yield* tenantOf
        const key = Index.keyOf(tenant, contract.name, id)
        while (true) {
          const running = runners.get(key)
          if (running !== undefined) return yield* joined(running.state, payload)
          const other = starting.get(key)
          if (other === undefined) break
          yield* Deferred.await(other)
        }
        const done = yield* Deferred.make<void>()
        starting.set(key, done)
        const began = Effect.uninterruptible(create(key, definition, id, payload))
        return yield* Effect.ensuring(
          began,
          Effect.suspend(() => {
            starting.delete(key)
            return Deferred.succeed(done, undefined)
          })
        )
      })

    const joined = (state: Machine.SagaState, payload: unknown): Effect.Effect<string, PayloadDiffers> =>
      Json.canonical(state.payload) === Json.canonical(payload)
        ? Effect.succeed(state.id)
        : new PayloadDiffers({ saga: state.saga, id: state.id })

    const create = (key: string, definition: Definition, id: string, payload: unknown) =>
      Effect.gen(function*() {
        const { deadline, name: saga, version } = definition.contract
        if (stopping) return yield* new StoreError({ reason: "closed", operation: "SagaEngine.start" })
        const at = yield* Clock.currentTimeMillis
        const seed = yield* Random.nextIntBetween(0, 2 ** 31)
        const started = Journal.Started({
          saga,
          id,
          version,
          payload,
          seed,
          ...(deadline === undefined ? {} : { deadline: Math.ceil(at + Duration.toMillis(deadline)) })
        })
        const eventId = ids(at)
        const written = yield* Effect.either(withStore(
          Journal.Sagas.append(Journal.idOf(saga, id), [Envelope.make(started, { id: eventId, occurredAt: at })], {
            expected: "noStream"
          })
        ))
        if (Either.isRight(written)) {
          const correlation = yield* Correlation.current
          const metadata = correlation
          const state = Machine.apply(Machine.initial, started, at)
          const runner = launch(key, definition, {
            state,
            correlation: Correlation.following({ id: eventId, metadata })
          })
          Metrics.started(saga)
          runner.fork(live(runner))
          return id
        }
        const error = written.left
        switch (error._tag) {
          case "StoreError":
            return yield* error
          case "VersionConflict": {
            const loaded = yield* load(saga, id)
            if (Option.isNone(loaded)) {
              return yield* new StoreError({ reason: "unknown", operation: "SagaEngine.start" })
            }
            const { state } = loaded.value
            yield* joined(state, payload)
            const own = definitions.get(definitionKey(saga, state.definition))
            // Its start was journaled, and whoever did that did not live to go on.
            if (state.ended === undefined && own !== undefined && !stopping) yield* resume(key, own, loaded.value)
            return id
          }
          default:
            return yield* invalid("payload", error.message)
        }
      })

    // ------------------------------------------------------------------------------------------------------------ asking

    const known = (ref: Ref) =>
      Effect.flatMap(
        load(ref.saga, ref.id),
        Option.match({
          onNone: () => Effect.fail(new SagaNotFound({ saga: ref.saga, id: ref.id })),
          onSome: Effect.succeed
        })
      )

    const runnerOf = (ref: Ref): Effect.Effect<Runner | undefined, AskError> =>
      Effect.zipRight(
        ready,
        Effect.map(tenantOf, (tenant) => runners.get(Index.keyOf(tenant, ref.saga, ref.id)))
      )

    const result: Service["result"] = (contract: Contract, id) => {
      const ref = { saga: contract.name, id }
      const watch = (runner: Runner): ReturnType<Service["result"]> =>
        Effect.suspend(() => {
          const { state } = runner
          if (state.ended !== undefined) return View.resultOf(contract, state, state.ended)
          const stuck = View.stuckOf(state)
          if (stuck !== undefined) return stuck
          if (runner.broken !== undefined) return Effect.failCause(runner.broken as never)
          if (runner.closed) return new EngineStopped(ref)
          return Effect.zipRight(runner.awaitChange, watch(runner))
        })
      const read = Effect.flatMap(known(ref), ({ state }): ReturnType<Service["result"]> =>
        state.ended !== undefined
          ? View.resultOf(contract, state, state.ended)
          : View.stuckOf(state) ?? new EngineStopped(ref))
      return Effect.flatMap(runnerOf(ref), (runner) => runner === undefined ? read : watch(runner))
    }

    const command = <A, E>(ref: Ref, asked: Commands.Command<A, E>): Effect.Effect<A, E | AskError | SagaNotFound> =>
      Effect.flatMap(runnerOf(ref), (runner) =>
        runner === undefined || runner.closed
          ? elsewhere(ref, asked)
          : Effect.uninterruptible(runner.commands.withPermits(1)(here(runner, asked))))

    const here = <A, E>(runner: Runner, asked: Commands.Command<A, E>): Effect.Effect<A, E | AskError> =>
      Effect.suspend(() => {
        const before = runner.state
        const decided = asked.decide(before)
        if (Either.isLeft(decided)) return Effect.fail(decided.left)
        if (decided.right.length === 0) return Effect.succeed(asked.answer(before, before))
        const noted = runner.write(decided.right, () => {
          if (Either.isLeft(asked.decide(runner.state)) || runner.deciding === "commit") return false
          if (asked.cancels) runner.want("cancelled")
          return true
        })
        return Effect.flatMap(
          Effect.mapError(noted, (error) => invalid("value", String(error.cause))),
          (written) =>
            written
              ? Effect.succeed(asked.answer(before, runner.state))
              // What is on its way to the journal settles it: then it is asked once more.
              : Effect.zipRight(Effect.yieldNow(), here(runner, asked))
        )
      })

    /** A saga that is not in flight in this process. */
    const elsewhere = <A, E>(ref: Ref, asked: Commands.Command<A, E>): Effect.Effect<A, E | AskError | SagaNotFound> =>
      Effect.flatMap(known(ref), ({ state }) => {
        const decided = asked.decide(state)
        if (Either.isLeft(decided)) return Effect.fail(decided.left)
        if (decided.right.length === 0) return Effect.succeed(asked.answer(state, state))
        const appended = withStore(
          Journal.Sagas.append(Journal.idOf(ref.saga, ref.id), decided.right, { expected: state.version })
        )
        return Effect.matchEffect(appended, {
          onSuccess: () =>
            Effect.map(
              Clock.currentTimeMillis,
              (at) => asked.answer(state, Machine.fold(decided.right.map((event) => ({ event, at })), state))
            ),
          onFailure: (error) =>
            error._tag === "VersionConflict"
              ? elsewhere(ref, asked)
              : error._tag === "StoreError"
              ? error
              : invalid("value", error.message)
        })
      })

    const by = <A extends { readonly by: string; readonly why: string }, B, E>(
      given: A,
      act: (given: A) => Effect.Effect<B, E>
    ): Effect.Effect<B, E | InvalidInput> => {
      const faults = Faults.make()
      for (const field of ["by", "why"] as const) {
        const problem = Faults.nameProblem(given[field], 2_000)
        if (problem !== undefined) faults.add(field, problem)
      }
      return Effect.flatMap(Faults.orInvalid(faults, () => given), act)
    }

    const service: Service = {
      register,
      ready,
      start,
      result,
      status: (ref) =>
        Effect.flatMap(runnerOf(ref), (runner) =>
          runner !== undefined
            ? Effect.succeed(View.statusOf(runner.state))
            : Effect.map(known(ref), ({ state }) => View.statusOf(state))),
      ...Lists.make({
        store,
        index,
        ready,
        runnerOf: (each) => runners.get(Index.keyOf(each.tenant, each.saga, each.id))
      }),
      signal: (ref, { key, name, value }) => command(ref, Commands.signal(signalSlot(name, key), value)),
      cancel: (ref, given) => by(given, () => command(ref, Commands.cancel(given))),
      retry: (ref, given) => by(given, () => command(ref, Commands.retry(given))),
      skip: (ref, given) => by(given, () => command(ref, Commands.skip(given))),
      resolve: (ref, given) => by(given, () => command(ref, Commands.resolve(given)))
    }
    return service
  })

const invalid = (path: string, problem: string): InvalidInput =>
  new InvalidInput({ faults: [new Fault({ path, problem })] })

const unreadable = (error: Error): Effect.Effect<never> => Effect.die(error)
