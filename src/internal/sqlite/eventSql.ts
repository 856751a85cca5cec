import * as Marks from "../store/marks.ts"
import type { Migration } from "../sql/migrations.ts"

/** The tables of the event store, and the statements whose text never changes. */
export interface EventSql {
  readonly events: string
  readonly tags: string
  readonly retired: string
  readonly marks: string
  readonly log: string
  /** The name of an index of the events. */
  readonly index: (name: "stream" | "category" | "type" | "correlation" | "occurred" | "tenant") => string
  readonly head: string
  readonly state: string
  readonly recordedAtOf: string
  readonly status: string
  readonly known: string
  readonly isRetired: string
  readonly insertEvent: string
  readonly insertTag: string
  readonly undoTags: string
  readonly undoEvents: string
  readonly retire: string
  readonly removeTags: string
  readonly removeEvents: string
  readonly mark: string
  readonly changed: string
  readonly firstAtOrBeyond: string
  readonly firstOfStream: string
  readonly streamForwards: string
  readonly streamBackwards: string
  readonly removed: string
  readonly wholeRows: string
  readonly remembered: string
  readonly shortened: string
  readonly remember: string
  readonly moved: string
}

/** What a row is read as, in the order that `sqliteEventReads.toRow` expects. */
export const columns = [
  "position",
  "stream",
  "version",
  "id",
  "type",
  "schema_version",
  "format",
  "payload",
  "metadata",
  "source",
  "tags",
  "occurred_at",
  "recorded_at"
] as const

/**
 * One row an event, and one a tag of it.
 *
 * The tenant comes second in every index: nearly always it is one and the same, and a filter without a tenant is served
 * by what comes first. The row id, which is the position, ends every index, so that each yields its events in order. What
 * is read rarely, and what may be long, comes last in a row.
 *
 * `retired` remembers the ids of events that were truncated or tombstoned, `marks` their streams. `log` has one row: where
 * the log was when events were last removed from it, so that no position is drawn twice and no time runs backwards, and
 * how often that has happened, so that other processes notice.
 */
export const migrations: ReadonlyArray<Migration> = [{
  id: 1,
  name: "events",
  up: (table) => {
    const events = table("events")
    return [
      `CREATE TABLE ${events} (
        position INTEGER PRIMARY KEY,
        tenant TEXT NOT NULL,
        stream TEXT NOT NULL,
        version INTEGER NOT NULL,
        category TEXT,
        id TEXT NOT NULL,
        type TEXT NOT NULL,
        schema_version INTEGER NOT NULL,
        format TEXT NOT NULL,
        correlation_id TEXT NOT NULL,
        source TEXT NOT NULL,
        tags TEXT,
        occurred_at INTEGER NOT NULL,
        recorded_at INTEGER NOT NULL,
        content TEXT NOT NULL,
        metadata TEXT NOT NULL,
        payload ANY NOT NULL
      ) STRICT`,
      `CREATE UNIQUE INDEX ${events}_stream ON ${events} (stream, tenant, version)`,
      `CREATE UNIQUE INDEX ${events}_id ON ${events} (id, tenant)`,
      `CREATE INDEX ${events}_category ON ${events} (category, tenant) WHERE category IS NOT NULL`,
      `CREATE INDEX ${events}_type ON ${events} (type, tenant)`,
      `CREATE INDEX ${events}_correlation ON ${events} (correlation_id, tenant)`,
      `CREATE INDEX ${events}_occurred ON ${events} (occurred_at, tenant)`,
      `CREATE INDEX ${events}_tenant ON ${events} (tenant) WHERE tenant <> ''`,
      `CREATE TABLE ${table("tags")} (
        tag TEXT NOT NULL,
        tenant TEXT NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY (tag, tenant, position)
      ) STRICT, WITHOUT ROWID`,
      `CREATE TABLE ${table("retired")} (
        id TEXT NOT NULL,
        tenant TEXT NOT NULL,
        stream TEXT NOT NULL,
        version INTEGER NOT NULL,
        position INTEGER NOT NULL,
        recorded_at INTEGER NOT NULL,
        content TEXT NOT NULL,
        PRIMARY KEY (id, tenant)
      ) STRICT, WITHOUT ROWID`,
      `CREATE TABLE ${table("marks")} (
        stream TEXT NOT NULL,
        tenant TEXT NOT NULL,
        version INTEGER NOT NULL,
        first_version INTEGER NOT NULL,
        tombstoned INTEGER NOT NULL,
        PRIMARY KEY (stream, tenant)
      ) STRICT, WITHOUT ROWID`,
      `CREATE TABLE ${table("log")} (
        only INTEGER PRIMARY KEY CHECK (only = 1),
        position INTEGER NOT NULL,
        recorded_at INTEGER NOT NULL,
        changes INTEGER NOT NULL
      ) STRICT`,
      `INSERT INTO ${table("log")} VALUES (1, 0, 0, 0)`
    ]
  }
}]

/** The statements over the tables of a prefix, which has been checked. */
export const make = (prefix: string): EventSql => {
  const events = `${prefix}events`
  const tags = `${prefix}tags`
  const retired = `${prefix}retired`
  const marks = `${prefix}marks`
  const log = `${prefix}log`
  const row = columns.join(", ")
  const ofStream = "stream = ? AND tenant = ?"
  const last = `ifnull((SELECT max(position) FROM ${events}), 0)`
  const lastRecordedAt = `ifnull((SELECT recorded_at FROM ${events} ORDER BY position DESC LIMIT 1), 0)`
  const inserted = [
    "position",
    "tenant",
    "stream",
    "version",
    "category",
    "id",
    "type",
    "schema_version",
    "format",
    "correlation_id",
    "source",
    "tags",
    "occurred_at",
    "recorded_at",
    "content",
    "metadata",
    "payload"
  ]
  return {
    events,
    tags,
    retired,
    marks,
    log,
    index: (name) => `${events}_${name}`,
    head: `SELECT max(position, ${last}) FROM ${log}`,
    state: `SELECT max(position, ${last}), changes FROM ${log}`,
    recordedAtOf: `SELECT max(recorded_at, ${lastRecordedAt}), EXISTS (SELECT 1 FROM ${retired}) FROM ${log}`,
    status: `SELECT
        ifnull((SELECT max(version) FROM ${events} WHERE ${ofStream}), 0),
        ifnull(mark.version, 0), ifnull(mark.first_version, 1), ifnull(mark.tombstoned, 0)
      FROM (SELECT 1) LEFT JOIN ${marks} AS mark ON mark.stream = ? AND mark.tenant = ?`,
    known: `SELECT stream, version, position, recorded_at, content FROM ${events} WHERE id = ? AND tenant = ?
      UNION ALL
      SELECT stream, version, position, recorded_at, content FROM ${retired} WHERE id = ? AND tenant = ?`,
    isRetired: `SELECT 1 FROM ${retired} WHERE id = ? AND tenant = ?`,
    insertEvent: `INSERT INTO ${events} (${inserted.join(", ")}) VALUES (${inserted.map(() => "?").join(", ")})`,
    insertTag: `INSERT INTO ${tags} (tag, tenant, position) VALUES (?, ?, ?)`,
    undoTags: `DELETE FROM ${tags} WHERE (tag, tenant, position) IN (
        SELECT tag.value, event.tenant, event.position FROM ${events} AS event, json_each(event.tags) AS tag
        WHERE event.position > ?
      )`,
    undoEvents: `DELETE FROM ${events} WHERE position > ?`,
    retire: `INSERT INTO ${retired} (id, tenant, stream, version, position, recorded_at, content)
      SELECT id, tenant, stream, version, position, recorded_at, content FROM ${events} WHERE ${ofStream} AND version < ?`,
    removeTags: `DELETE FROM ${tags} WHERE (tag, tenant, position) IN (
        SELECT tag.value, event.tenant, event.position FROM ${events} AS event, json_each(event.tags) AS tag
        WHERE event.stream = ? AND event.tenant = ? AND event.version < ?
      )`,
    removeEvents: `DELETE FROM ${events} WHERE ${ofStream} AND version < ?`,
    mark: `INSERT INTO ${marks} (stream, tenant, version, first_version, tombstoned) VALUES (?, ?, ?, ?, ?)
      ON CONFLICT (stream, tenant) DO UPDATE SET
        version = excluded.version, first_version = excluded.first_version, tombstoned = excluded.tombstoned`,
    changed: `UPDATE ${log} SET
        position = max(position, ${last}), recorded_at = max(recorded_at, ${lastRecordedAt}), changes = changes + 1`,
    firstAtOrBeyond: `SELECT position, recorded_at FROM ${events} WHERE position >= ? ORDER BY position LIMIT 1`,
    firstOfStream:
      `SELECT version, position FROM ${events} WHERE ${ofStream} AND version >= ? ORDER BY version LIMIT 1`,
    streamForwards: `SELECT ${row} FROM ${events}
      WHERE ${ofStream} AND version >= ? AND version <= ? AND type <> '${Marks.tombstoned}' ORDER BY version LIMIT ?`,
    streamBackwards: `SELECT ${row} FROM ${events}
      WHERE ${ofStream} AND version >= ? AND version <= ? AND type <> '${Marks.tombstoned}' ORDER BY version DESC LIMIT ?`,
    removed: `SELECT ifnull(sum(first_version - 1 + tombstoned), 0) FROM ${marks}`,
    wholeRows:
      `SELECT ${row}, tenant, content FROM ${events} WHERE position > ? AND position <= ? ORDER BY position LIMIT ?`,
    remembered: `SELECT id, tenant, stream, version, position, recorded_at, content FROM ${retired}
      WHERE (id, tenant) > (?, ?) ORDER BY id, tenant LIMIT ?`,
    shortened: `SELECT mark.stream, mark.tenant, mark.first_version, mark.tombstoned, mark.version, ifnull((
        SELECT event.version FROM ${events} AS event
        WHERE event.stream = mark.stream AND event.tenant = mark.tenant AND event.position <= ?
        ORDER BY event.version DESC LIMIT 1
      ), 0) FROM ${marks} AS mark WHERE (mark.stream, mark.tenant) > (?, ?) ORDER BY mark.stream, mark.tenant LIMIT ?`,
    remember: `INSERT INTO ${retired} (id, tenant, stream, version, position, recorded_at, content)
      VALUES (?, ?, ?, ?, ?, ?, ?)`,
    moved: `UPDATE ${log} SET
        position = max(position, ?), recorded_at = max(recorded_at, ?), changes = changes + 1`
  }
}
