import * as Effect from "effect/Effect"
import { storeError } from "../postgres/errors.ts"
import * as Migrations from "../postgres/migrations.ts"
import * as Retry from "../postgres/retry.ts"
import { transact } from "../postgres/transaction.ts"
import type { Dialect } from "./dialect.ts"
import { statements } from "./onConflict.ts"

const text = `text COLLATE "C"`

/** PostgreSQL: many machines, whose one clock is the server's. 64-bit integers come as text. */
export const dialect: Dialect = {
  ...statements,
  checkPrefix: Migrations.checkPrefix,
  migrate: Migrations.migrate,
  text,
  storeError,
  transact,
  again: (retry = Retry.schedule) => Retry.outside(retry),
  clock: "database",
  now: "floor(extract(epoch FROM clock_timestamp()) * 1000)::int8",
  // A token is part of a unique index: whoever changes it needs a lock that excludes this one. Renewing and releasing do not.
  holding: "FOR KEY SHARE",
  changing: { waiting: "FOR UPDATE", skipping: "FOR UPDATE SKIP LOCKED" },
  timers: { pollInterval: 100, waits: false },
  claimLease: (sql, table, { expiresAt, machine, name, now, owner, process, seen }) =>
    Effect.map(
      seen === undefined
        ? sql<{ token: string }>`INSERT INTO ${table} (name, token, owner, machine, process, expires_at)
          VALUES (${name}, 1, ${owner}, ${machine}, ${process}, ${expiresAt})
          ON CONFLICT (name) DO NOTHING RETURNING token`
        // One whose holder is in a transaction that was checked is not free, and is not waited for either.
        : sql<{ token: string }>`UPDATE ${table} SET token = token + 1, owner = ${owner}, machine = ${machine},
            process = ${process}, expires_at = ${expiresAt}
          WHERE name = (
            SELECT name FROM ${table} WHERE name = ${name} AND (expires_at <= ${now} OR token = ${seen.dead ?? -1})
            FOR UPDATE SKIP LOCKED
          ) RETURNING token`,
      (rows) => rows[0] === undefined ? undefined : Number(rows[0].token)
    ),
  tables: {
    snapshots: [{
      id: 1,
      name: "snapshots",
      up: (table) => [
        `CREATE TABLE ${table("snapshots")} (
          key ${text} NOT NULL,
          fingerprint ${text} NOT NULL,
          version int8 NOT NULL,
          position int8,
          state text NOT NULL,
          saved_at int8 NOT NULL,
          PRIMARY KEY (key, fingerprint)
        )`
      ]
    }],
    checkpoints: [{
      id: 1,
      name: "checkpoints",
      // Room on each page, so that moving a checkpoint does not touch an index.
      up: (table) => [
        `CREATE TABLE ${
          table("checkpoints")
        } (name ${text} NOT NULL PRIMARY KEY, position int8 NOT NULL) WITH (fillfactor = 50)`
      ]
    }],
    leases: [{
      id: 1,
      name: "leases",
      up: (table) => [
        `CREATE TABLE ${table("leases")} (
          name ${text} NOT NULL PRIMARY KEY,
          token int8 NOT NULL,
          owner text NOT NULL,
          machine text NOT NULL,
          process text NOT NULL,
          expires_at int8 NOT NULL,
          UNIQUE (name, token)
        ) WITH (fillfactor = 50)`
      ]
    }],
    timers: [{
      id: 1,
      name: "timers",
      up: (table) => [
        `CREATE TABLE ${table("timers")} (
          namespace ${text} NOT NULL,
          id ${text} NOT NULL,
          due_at int8 NOT NULL,
          payload text NOT NULL,
          claimable_at int8 NOT NULL,
          claim text,
          PRIMARY KEY (namespace, id)
        )`,
        `CREATE INDEX ${table("timers_due")} ON ${table("timers")} (namespace, claimable_at, id)`,
        `CREATE INDEX ${table("timers_claims")} ON ${table("timers")} (claim) WHERE claim IS NOT NULL`
      ]
    }]
  }
}
