/**
 * Sagas of three steps that do nothing, fifty at a time: in memory against `@effect/workflow`'s engine in memory, and on SQLite and
 * PostgreSQL against DBOS on the same PostgreSQL, carried through and rolled back. A bare Scope with three finalizers shows what
 * remains without a journal. `eval "$(bash scripts/services.sh env postgres)"` says where PostgreSQL is; without it the cases
 * beside DBOS are left out.
 *
 * Each side has carried a thousand sagas through before its clock starts, on a store of its own. No spans are made. All sides
 * are given ids: ours and `@effect/workflow` by the payload, DBOS draws them itself.
 */
import * as Activity from "@effect/workflow/Activity"
import * as Workflow from "@effect/workflow/Workflow"
import * as WorkflowEngine from "@effect/workflow/WorkflowEngine"
import * as Saga from "effect-skald/saga/Saga"
import * as SagaEngine from "effect-skald/saga/SagaEngine"
import * as EventStore from "effect-skald/store/EventStore"
import * as Postgres from "effect-skald/store/Postgres"
import * as Sqlite from "effect-skald/store/Sqlite"
import { Effect, Exit, Layer, ManagedRuntime, Redacted, Schema, Scope } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as Kit from "./kit.ts"
import * as DbosSagas from "./support/dbosSagas.ts"
import { create, drop, poolSize, server } from "./support/postgresServer.ts"

const concurrency = 50
const warm = ({ quick }: Kit.Context): number => quick ? 100 : 1_000
const measured = ({ quick }: Kit.Context): number => quick ? 400 : 4_000

/** The indices `from` to `to`, fifty at a time. */
const each = <E, R>(
  from: number,
  to: number,
  one: (n: number) => Effect.Effect<unknown, E, R>
): Effect.Effect<void, E, R> =>
  Effect.forEach(Array.from({ length: to - from }, (_, n) => from + n), one, { concurrency, discard: true })

// --------------------------------------------------------------------------------------------------------------- ours

class Refused extends Schema.TaggedError<Refused>()("Refused", {}) {}

const contract = {
  version: 1,
  payload: Schema.Struct({ n: Schema.Number }),
  success: Schema.Number,
  error: Refused,
  idempotencyKey: ({ n }: { readonly n: number }) => `s-${n}`
}

const step = (name: string, n: number) =>
  Saga.step(name, { success: Schema.Number, execute: () => Effect.succeed(n), compensate: () => Effect.void })

const Succeeding = Saga.make("succeeding", contract)
const Failing = Saga.make("failing", contract)

const sagas = Layer.merge(
  Succeeding.toLayer(({ n }) =>
    Effect.flatMap(
      step("first", n),
      (first) => Effect.flatMap(step("second", first), (second) => step("third", second))
    )
  ),
  Failing.toLayer(({ n }) =>
    Effect.flatMap(step("first", n), (first) =>
      Effect.flatMap(step("second", first), () =>
        Saga.step("third", {
          success: Schema.Number,
          execute: () => new Refused(),
          noEffectOn: () => true,
          compensate: () => Effect.void
        })))
  )
)

type Kind = "succeed" | "fail"

const run = (kind: Kind, from: number, to: number): Effect.Effect<void, unknown, SagaEngine.SagaEngine> =>
  kind === "succeed"
    ? each(from, to, (n) => Succeeding.run({ n }))
    : each(from, to, (n) => Effect.flip(Failing.run({ n })))

interface Ours {
  readonly runtime: ManagedRuntime.ManagedRuntime<SagaEngine.SagaEngine, unknown>
  readonly remove: () => void | Promise<void>
}

interface Place {
  readonly store: Layer.Layer<EventStore.EventStore, unknown>
  readonly remove: () => void | Promise<void>
}

const ours = (kind: Kind, open: () => Place | Promise<Place>): Kit.Side<Ours> => ({
  setup: async (context) => {
    const { remove, store } = await open()
    const runtime = ManagedRuntime.make(
      SagaEngine.layerOf(sagas).pipe(Layer.provide(store))
    )
    await runtime.runPromise(run(kind, 0, warm(context)))
    return { remove, runtime }
  },
  run: async ({ runtime }, context) => {
    const from = warm(context)
    await runtime.runPromise(run(kind, from, from + measured(context)))
    return measured(context)
  },
  teardown: async ({ remove, runtime }) => {
    await runtime.dispose()
    await remove()
  }
})

const memory = (): Place => ({ store: EventStore.layerMemory, remove: () => {} })

const sqlite = (): Place => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "skald-bench-"))
  return {
    store: Sqlite.layerFile({ filename: path.join(folder, "sagas.db") }),
    remove: () => fs.rmSync(folder, { recursive: true, force: true })
  }
}

const postgres = async (): Promise<Place> => {
  const url = await create()
  return {
    store: Postgres.layerServer({ url: Redacted.make(url), maxConnections: poolSize }),
    remove: () => drop(url)
  }
}

// ---------------------------------------------------------------------------------------------------- @effect/workflow

const Flow = Workflow.make({
  name: "succeeding",
  payload: { n: Schema.Number },
  success: Schema.Number,
  error: Refused,
  idempotencyKey: ({ n }) => `s-${n}`
})

const activity = (name: string, n: number) =>
  Activity.make({ name, success: Schema.Number, execute: Effect.succeed(n) }).pipe(
    Flow.withCompensation(() => Effect.void)
  )

const FlowLive = Flow.toLayer(({ n }) =>
  Effect.flatMap(
    activity("first", n),
    (first) => Effect.flatMap(activity("second", first), (second) => activity("third", second))
  )
)

type Runtime = ManagedRuntime.ManagedRuntime<WorkflowEngine.WorkflowEngine, never>

const runFlow = (from: number, to: number) =>
  Effect.withTracerEnabled(each(from, to, (n) => Flow.execute({ n })), false)

const workflow: Kit.Side<Runtime> = {
  setup: async (context) => {
    const runtime = ManagedRuntime.make(Layer.provideMerge(FlowLive, WorkflowEngine.layerMemory))
    await runtime.runPromise(runFlow(0, warm(context)))
    return runtime
  },
  run: async (runtime, context) => {
    const from = warm(context)
    await runtime.runPromise(runFlow(from, from + measured(context)))
    return measured(context)
  },
  teardown: (runtime) => runtime.dispose()
}

// ---------------------------------------------------------------------------------------------------------- bare Scope

const bareScope = (from: number, to: number): Effect.Effect<void> =>
  each(
    from,
    to,
    () =>
      Effect.flatMap(Scope.make(), (scope) =>
        Effect.forEach([1, 2, 3], () =>
          Scope.addFinalizer(scope, Effect.void), { discard: true }).pipe(
            Effect.zipRight(Scope.close(scope, Exit.void))
          ))
  )

const scopes: Kit.Side = {
  setup: (context) => Effect.runPromise(bareScope(0, warm(context))),
  run: async (_, context) => {
    const count = 10 * measured(context)
    await Effect.runPromise(bareScope(0, count))
    return count
  }
}

// ---------------------------------------------------------------------------------------------------------------- DBOS

const runDbos = (dbos: DbosSagas.Dbos, kind: Kind, from: number, to: number): Promise<void> =>
  Effect.runPromise(each(from, to, (n) => Effect.promise(() => dbos[kind](n))))

const dbos = (kind: Kind): Kit.Side<DbosSagas.Dbos> => ({
  setup: async (context) => {
    const opened = await DbosSagas.open()
    await runDbos(opened, kind, 0, warm(context))
    return opened
  },
  run: async (opened, context) => {
    const from = warm(context)
    await runDbos(opened, kind, from, from + measured(context))
    return measured(context)
  },
  teardown: (opened) => opened.close()
})

const besideDbos = (name: string, kind: Kind, open: () => Place | Promise<Place>): Kit.Case =>
  Kit.compare(name, {
    unit: "sagas/s",
    goal: 1,
    rounds: 3,
    warmups: 0,
    peer: "DBOS on PostgreSQL",
    ours: ours(kind, open),
    theirs: dbos(kind)
  })

if (server === "") {
  console.error("saga: SKALD_POSTGRES_URL is not set: what is measured beside DBOS on PostgreSQL is left out")
}

const onServer: ReadonlyArray<Kit.Case> = server === "" ? [] : [
  besideDbos("PostgreSQL: three steps that succeed", "succeed", postgres),
  besideDbos("PostgreSQL: the third step fails, two compensations", "fail", postgres),
  besideDbos("SQLite: three steps that succeed", "succeed", sqlite),
  besideDbos("SQLite: the third step fails, two compensations", "fail", sqlite)
]

export default [
  Kit.compare("memory: three steps that succeed", {
    unit: "sagas/s",
    goal: 10,
    rounds: 3,
    warmups: 0,
    peer: "@effect/workflow in memory",
    ours: ours("succeed", memory),
    theirs: workflow
  }),
  Kit.compare("memory: a saga beside a bare Scope", {
    unit: "sagas/s",
    peer: "a Scope with three finalizers, no journal",
    rounds: 3,
    warmups: 0,
    ours: ours("succeed", memory),
    theirs: scopes
  }),
  ...onServer
]
