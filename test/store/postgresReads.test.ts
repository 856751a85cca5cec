import { assert, it } from "@effect/vitest"
import { PgClient } from "@effect/sql-pg/PgClient"
import * as EventStore from "effect-skald/store/EventStore"
import * as Postgres from "effect-skald/store/Postgres"
import { Context, Effect, Layer, Stream } from "effect"
import * as Database from "../support/postgres.ts"
import * as Servers from "../support/servers.ts"

type Statement = readonly [text: string, params: ReadonlyArray<unknown>]

/** A client that notes what is asked of it. */
const noting = (client: PgClient, asked: Array<Statement>): PgClient =>
  new Proxy(client, {
    get: (target, name) => {
      if (name === "withoutTransforms") return () => noting(target.withoutTransforms() as PgClient, asked)
      if (name !== "unsafe") return Reflect.get(target, name)
      return (text: string, params: ReadonlyArray<unknown> = []) => {
        asked.push([text, params])
        return target.unsafe(text, params)
      }
    }
  })

Servers.suite("postgres", "PostgreSQL: reads", (url) => {
  const [streams, perStream] = [200, 60] as const

  /** A log that the planner knows nothing of at first: it was filled, and nobody has analyzed it. */
  const open = Effect.gen(function*() {
    const prefix = yield* Database.prefix(url)
    const asked: Array<Statement> = []
    const { client, store } = yield* Effect.map(
      Layer.build(
        Postgres.layer({ prefix }).pipe(
          Layer.provideMerge(Layer.effect(PgClient, Effect.map(PgClient, (client) => noting(client, asked)))),
          Layer.provideMerge(Database.client(url))
        )
      ),
      (context) => ({ client: Context.get(context, PgClient), store: Context.get(context, EventStore.EventStore) })
    )
    yield* Effect.forEach(
      Array.from({ length: perStream / 10 }, (_, round) => round),
      (round) =>
        store.append(Array.from({ length: streams }, (_, stream) => ({
          stream: `a-${stream}`,
          events: Array.from({ length: 10 }, (_, n) => ({
            type: n % 2 === 0 ? "Even" : "Odd",
            payload: { n: round * 10 + n },
            tags: [`stream:${stream}`]
          }))
        }))),
      { discard: true }
    )
    return { asked, client, prefix, store }
  })

  interface Node {
    readonly "Node Type": string
    readonly "Index Name"?: string
    readonly "Actual Rows": number
    readonly "Actual Loops": number
    readonly "Rows Removed by Filter"?: number
    readonly Plans?: ReadonlyArray<Node>
  }
  const nodes = (node: Node): ReadonlyArray<Node> => [node, ...(node.Plans ?? []).flatMap(nodes)]

  /** What a read delivers, and how each of its statements is done. */
  const explained = (client: PgClient, asked: Array<Statement>, read: Stream.Stream<unknown, unknown>) =>
    Effect.gen(function*() {
      asked.length = 0
      const count = yield* Stream.runCount(read)
      const plans: Array<ReadonlyArray<Node>> = []
      for (const [text, params] of asked.slice()) {
        const [row] = yield* client.unsafe<any>(`EXPLAIN (ANALYZE, FORMAT JSON) ${text}`, params)
        plans.push(nodes(row["QUERY PLAN"][0].Plan))
      }
      return { count, plans }
    })

  it.scopedLive(
    "the end of a stream is found by the stream's index, in order, and nothing else is looked at",
    () =>
      Effect.gen(function*() {
        const { asked, client, prefix, store } = yield* open
        const reads: ReadonlyArray<readonly [string, EventStore.ReadOptions, count: number]> = [
          ["the last five", { from: perStream - 4 }, 5],
          ["the newest", { backwards: true, limit: 1 }, 1],
          ["the newest five", { backwards: true, limit: 5 }, 5],
          ["one in the middle", { from: 30, limit: 1 }, 1],
          ["from a version backwards", { to: 30, backwards: true, limit: 3 }, 3],
          ["all", {}, perStream]
        ]
        const check = Effect.gen(function*() {
          for (const [name, options, expected] of reads) {
            const { count, plans } = yield* explained(client, asked, store.read("a-77", options))
            assert.strictEqual(count, expected, name)
            assert.isAtLeast(plans.length, 1, name)
            for (const plan of plans) {
              const [scan] = plan.filter((node) => node["Index Name"] !== undefined)
              assert.strictEqual(scan?.["Index Name"], `${prefix}events_stream`, `${name}: ${JSON.stringify(plan)}`)
              assert.isAtMost(scan!["Actual Rows"], perStream, name)
              for (const node of plan) {
                assert.notInclude(["Sort", "Seq Scan", "Bitmap Heap Scan", "Incremental Sort"], node["Node Type"], name)
                assert.strictEqual(node["Rows Removed by Filter"] ?? 0, 0, name)
              }
            }
          }
        })
        yield* check
        yield* client.unsafe(`ANALYZE ${prefix}events`)
        yield* check
      }),
    60_000
  )

  it.scopedLive("a long stream among short ones is read page by page, each event once", () =>
    Effect.gen(function*() {
      const { asked, client, prefix, store } = yield* open
      // the planner has seen streams of sixty events alone
      yield* client.unsafe(`ANALYZE ${prefix}events`)
      const events = Array.from({ length: 2_000 }, (_, n) => ({ type: "Even", payload: { n } }))
      yield* store.append([{ stream: "long-1", events }])
      const reads: ReadonlyArray<readonly [string, Stream.Stream<unknown, unknown>]> = [
        ["the stream", store.read("long-1")],
        ["the stream, backwards", store.read("long-1", { backwards: true })],
        ["its category", store.readAll({ category: "long" })],
        ["the stream in the log", store.readAll({ stream: "long-1" })],
        ["the stream in the log, backwards", store.readAll({ stream: "long-1", backwards: true })]
      ]
      for (const [name, read] of reads) {
        const { count, plans } = yield* explained(client, asked, read)
        assert.strictEqual(count, events.length, name)
        const looked = plans.flat().reduce(
          (sum, node) => sum + (node["Actual Rows"] + (node["Rows Removed by Filter"] ?? 0)) * node["Actual Loops"],
          0
        )
        // a statement has a few nodes; the place in a stream is found by some twelve halvings
        assert.isAtMost(looked, 3 * events.length + 200 * plans.length, `${name} in ${plans.length} statements`)
      }
    }), 60_000)

  it.scopedLive("the end of the log is found by the position, both ways", () =>
    Effect.gen(function*() {
      const { asked, client, prefix, store } = yield* open
      yield* client.unsafe(`ANALYZE ${prefix}events`)
      const head = yield* store.head
      for (
        const options of [
          { after: (head - 10) as never },
          { backwards: true, limit: 10 },
          { after: (head - 1_000) as never, limit: 10 }
        ]
      ) {
        asked.length = 0
        assert.strictEqual(yield* Stream.runCount(store.readAll(options)), 10)
        const pages = asked.filter(([text]) => text.includes("ORDER BY"))
        assert.isAtLeast(pages.length, 1)
        for (const [text, params] of pages) {
          const [row] = yield* client.unsafe<any>(`EXPLAIN (ANALYZE, FORMAT JSON) ${text}`, params)
          const plan = nodes(row["QUERY PLAN"][0].Plan)
          assert.include(plan.map((node) => node["Index Name"]), `${prefix}events_position`)
          assert.notIncludeMembers(plan.map((node) => node["Node Type"]), ["Sort"])
          for (const node of plan) assert.isAtMost(node["Actual Rows"], 10)
        }
      }
    }), 60_000)
})
