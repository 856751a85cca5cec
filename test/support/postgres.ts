/** Tables of one's own in the PostgreSQL that a run can reach, dropped afterwards. */
import * as PgClient from "@effect/sql-pg/PgClient"
import type * as SqlClient from "@effect/sql/SqlClient"
import { Effect, type Layer, Redacted, type Scope } from "effect"
import { randomBytes } from "node:crypto"
import * as Pg from "pg"

/** A connection outside of every pool. */
export const connect = async (url: string): Promise<Pg.Client> => {
  const client = new Pg.Client(url)
  client.on("error", () => {})
  await client.connect()
  return client
}

const drop = async (url: string, prefix: string): Promise<void> => {
  const client = await connect(url)
  try {
    const { rows } = await client.query(
      `SELECT format('DROP %s IF EXISTS %s CASCADE',
          CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, oid::regclass) AS text
        FROM pg_class WHERE relkind IN ('r', 'S') AND relnamespace = 'public'::regnamespace AND starts_with(relname, $1)
       UNION ALL
       SELECT format('DROP FUNCTION IF EXISTS %s CASCADE', oid::regprocedure)
        FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND starts_with(proname, $1)`,
      [prefix]
    )
    for (const { text } of rows) await client.query(text)
  } finally {
    await client.end()
  }
}

/** What the names of tables begin with that nobody else has; they are dropped when the scope closes. */
export const prefix = (url: string): Effect.Effect<string, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => `t${randomBytes(6).toString("hex")}_`),
    (prefix) => Effect.promise(() => drop(url, prefix))
  )

/** A database of its own, dropped when the scope closes; its address. */
export const database = (url: string): Effect.Effect<string, never, Scope.Scope> => {
  const name = `t${randomBytes(6).toString("hex")}`
  const run = (text: string) =>
    Effect.promise(async () => {
      const client = await connect(url)
      try {
        await client.query(text)
      } finally {
        await client.end()
      }
    })
  const own = new URL(url)
  own.pathname = `/${name}`
  return Effect.as(
    Effect.acquireRelease(run(`CREATE DATABASE ${name}`), () => run(`DROP DATABASE ${name} WITH (FORCE)`)),
    own.href
  )
}

/** A connection outside of every pool, until the scope closes. */
export const connection = (url: string): Effect.Effect<Pg.Client, never, Scope.Scope> =>
  Effect.acquireRelease(Effect.promise(() => connect(url)), (client) => Effect.promise(() => client.end()))

export const client = (
  url: string,
  options?: Partial<PgClient.PgClientConfig>
): Layer.Layer<PgClient.PgClient | SqlClient.SqlClient> =>
  PgClient.layer({ url: Redacted.make(url), ...options }) as never
