import * as Effect from "effect/Effect"
import type { Dialect } from "./dialect.ts"
import { storeError } from "../sqlite/errors.ts"
import * as Migrations from "../sqlite/migrations.ts"
import { transact } from "../sqlite/transaction.ts"
import { statements } from "./onConflict.ts"

/** SQLite: one writer at a time, on one machine, whose clock all processes share. */
export const dialect: Dialect = {
  ...statements,
  checkPrefix: Migrations.checkPrefix,
  migrate: Migrations.migrate,
  text: "TEXT",
  storeError,
  transact,
  // A file is not lost; what another process holds is waited for elsewhere.
  again: () => (effect) => effect,
  clock: "process",
  now: "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
  // Nobody else writes while a transaction is open.
  holding: "",
  changing: { waiting: "", skipping: "" },
  // One process has the file; it knows what it sets.
  timers: { pollInterval: Infinity, waits: true },
  claimLease: (sql, table, { expiresAt, machine, name, now, owner, process, seen }) =>
    Effect.map(
      sql<{ token: number }>`INSERT INTO ${table} (name, token, owner, machine, process, expires_at)
        VALUES (${name}, 1, ${owner}, ${machine}, ${process}, ${expiresAt})
        ON CONFLICT (name) DO UPDATE SET token = ${table}.token + 1, owner = excluded.owner,
          machine = excluded.machine, process = excluded.process, expires_at = excluded.expires_at
        WHERE ${table}.expires_at <= ${now} OR ${table}.token = ${seen?.dead ?? -1}
        RETURNING token`,
      (rows) => rows[0]?.token
    ),
  tables: {
    snapshots: [{
      id: 1,
      name: "snapshots",
      up: (table) => [
        `CREATE TABLE ${table("snapshots")} (
          key TEXT NOT NULL,
          fingerprint TEXT NOT NULL,
          version INTEGER NOT NULL,
          position INTEGER,
          state TEXT NOT NULL,
          saved_at INTEGER NOT NULL,
          PRIMARY KEY (key, fingerprint)
        ) STRICT`
      ]
    }],
    checkpoints: [{
      id: 1,
      name: "checkpoints",
      up: (table) => [
        `CREATE TABLE ${table("checkpoints")} (name TEXT NOT NULL PRIMARY KEY, position INTEGER NOT NULL)
          STRICT, WITHOUT ROWID`
      ]
    }],
    leases: [{
      id: 1,
      name: "leases",
      up: (table) => [
        `CREATE TABLE ${table("leases")} (
          name TEXT NOT NULL PRIMARY KEY,
          token INTEGER NOT NULL,
          owner TEXT NOT NULL,
          machine TEXT NOT NULL,
          process TEXT NOT NULL,
          expires_at INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID`
      ]
    }],
    timers: [{
      id: 1,
      name: "timers",
      up: (table) => [
        `CREATE TABLE ${table("timers")} (
          namespace TEXT NOT NULL,
          id TEXT NOT NULL,
          due_at INTEGER NOT NULL,
          payload TEXT NOT NULL,
          claimable_at INTEGER NOT NULL,
          claim TEXT,
          PRIMARY KEY (namespace, id)
        ) STRICT, WITHOUT ROWID`,
        `CREATE INDEX ${table("timers_due")} ON ${table("timers")} (namespace, claimable_at, id)`,
        `CREATE INDEX ${table("timers_claims")} ON ${table("timers")} (claim) WHERE claim IS NOT NULL`
      ]
    }]
  }
}
