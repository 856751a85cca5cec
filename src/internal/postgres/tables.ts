import * as AppendFunction from "./appendFunction.ts"
import * as Functions from "./functions.ts"
import type { Migration } from "../sql/migrations.ts"

/**
 * One row an event, and one a tag of it.
 *
 * A payload that is text is in `payload`; bytes are in `payload_bytes`; text that holds NUL, which PostgreSQL's `text`
 * cannot, is in both, as UTF-8 in the second. Names compare byte by byte (`COLLATE "C"`), as they do everywhere else.
 *
 * `retired` remembers the ids of events that were truncated or tombstoned, `marks` their streams; `log` has one row: the
 * position of the last event that was ever removed. `positions` and `clock` are sequences, which no rollback takes back:
 * the last position that was drawn, and the last time that was written.
 */
export const migrations: ReadonlyArray<Migration> = [{
  id: 1,
  name: "events",
  up: (table) => {
    const events = table("events")
    const text = `text COLLATE "C" NOT NULL`
    return [
      `CREATE TABLE ${events} (
        position int8 NOT NULL,
        version int8 NOT NULL,
        occurred_at int8 NOT NULL,
        recorded_at int8 NOT NULL,
        schema_version int4 NOT NULL,
        tenant ${text},
        stream ${text},
        category text COLLATE "C",
        id ${text},
        type ${text},
        format ${text},
        correlation_id ${text},
        source ${text},
        tags text,
        content text NOT NULL,
        metadata text NOT NULL,
        payload text,
        payload_bytes bytea,
        CONSTRAINT ${events}_position PRIMARY KEY (position)
      )`,
      `CREATE UNIQUE INDEX ${events}_stream ON ${events} (stream, tenant, version)`,
      `CREATE UNIQUE INDEX ${events}_id ON ${events} (id, tenant)`,
      `CREATE INDEX ${events}_category ON ${events} (category, tenant, position) WHERE category IS NOT NULL`,
      `CREATE INDEX ${events}_type ON ${events} (type, tenant, position)`,
      `CREATE INDEX ${events}_correlation ON ${events} (correlation_id, tenant, position)`,
      `CREATE INDEX ${events}_tenant ON ${events} (tenant, position) WHERE tenant <> ''`,
      // Times go up with the position, nearly or always: a summary of each range of pages is all that is needed.
      `CREATE INDEX ${events}_times ON ${events} USING brin (occurred_at, recorded_at) WITH (pages_per_range = 16)`,
      `CREATE TABLE ${table("tags")} (
        tag ${text},
        tenant ${text},
        position int8 NOT NULL,
        PRIMARY KEY (tag, tenant, position)
      )`,
      `CREATE TABLE ${table("retired")} (
        id ${text},
        tenant ${text},
        stream ${text},
        version int8 NOT NULL,
        position int8 NOT NULL,
        recorded_at int8 NOT NULL,
        content text NOT NULL,
        PRIMARY KEY (id, tenant)
      )`,
      `CREATE TABLE ${table("marks")} (
        stream ${text},
        tenant ${text},
        version int8 NOT NULL,
        first_version int8 NOT NULL,
        tombstoned boolean NOT NULL,
        PRIMARY KEY (stream, tenant)
      )`,
      `CREATE TABLE ${table("log")} (
        one int4 PRIMARY KEY CHECK (one = 1),
        position int8 NOT NULL
      )`,
      `INSERT INTO ${table("log")} VALUES (1, 0)`,
      // CACHE 1: a value that lay in a connection's cache would be drawn long after the lock that announces it.
      `CREATE SEQUENCE ${table("positions")} MINVALUE 0 START 0 CACHE 1`,
      `CREATE SEQUENCE ${table("clock")} MINVALUE 0 START 0 CACHE 1`,
      `SELECT nextval('${table("positions")}'), nextval('${table("clock")}')`,
      Functions.draw(table),
      Functions.firstMatch(table),
      AppendFunction.append(table),
      Functions.head(table),
      Functions.remove(table)
    ]
  }
}]
