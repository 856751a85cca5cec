/** The names of the tables and functions of one bus. */
export type Table = (name: string) => string

const text = `text COLLATE "C"`

/**
 * `bus_messages` has one row a message, `bus_deliveries` one row for each subscription that is still to be given it.
 *
 * A delivery is ready or in flight (stage 0), waits for another of its key (1), or for its time (2). What is taken and what is
 * settled touches no index but by removing the row: `holder` and `deliveries` are in none, and the pages have room for the
 * row's next version. Of the messages of a key one has the `turn` at most: the one in flight, or that is to come first. What a
 * member asks for has a number: claims and releases up to that in `void`, by subscription, come too late.
 */
export const tables = (table: Table): ReadonlyArray<string> => [
  `CREATE TABLE ${table("bus_state")} (one boolean PRIMARY KEY, epoch int4 NOT NULL, drained int4 NOT NULL)`,
  `INSERT INTO ${table("bus_state")} VALUES (true, 0, 0)`,
  `CREATE SEQUENCE ${table("bus_ids")}`,
  `CREATE TABLE ${table("bus_groups")} (
    id int4 PRIMARY KEY DEFAULT nextval('${table("bus_ids")}'),
    name ${text} NOT NULL UNIQUE,
    selector text NOT NULL,
    kept boolean NOT NULL,
    filled boolean NOT NULL,
    epoch int4 NOT NULL
  )`,
  `CREATE TABLE ${table("bus_members")} (
    id int8 PRIMARY KEY DEFAULT nextval('${table("bus_ids")}'),
    machine text NOT NULL,
    process text NOT NULL,
    expires_at int8 NOT NULL,
    dead boolean NOT NULL,
    void jsonb NOT NULL DEFAULT '{}'
  ) WITH (fillfactor = 50)`,
  `CREATE TABLE ${table("bus_attached")} (
    bus_group int4 NOT NULL,
    member int8 NOT NULL,
    consumers int4 NOT NULL,
    PRIMARY KEY (bus_group, member)
  )`,
  `CREATE SEQUENCE ${table("bus_seqs")}`,
  `CREATE TABLE ${table("bus_messages")} (
    seq int8 PRIMARY KEY,
    occurred_at int8 NOT NULL,
    published_at int8 NOT NULL,
    ready_at int8 NOT NULL,
    expires_at int8,
    schema_version int4 NOT NULL,
    epoch int4,
    retries int4,
    priority int2 NOT NULL,
    id ${text} NOT NULL,
    type ${text} NOT NULL,
    subject ${text} NOT NULL,
    source ${text} NOT NULL,
    key ${text},
    metadata text NOT NULL,
    format ${text} NOT NULL,
    payload text,
    payload_bytes bytea
  )`,
  `CREATE INDEX ${table("bus_messages_delayed")} ON ${table("bus_messages")} (id) WHERE ready_at > published_at`,
  `CREATE SEQUENCE ${table("bus_places")}`,
  `CREATE TABLE ${table("bus_deliveries")} (
    place int8 NOT NULL,
    message int8 NOT NULL,
    since int8 NOT NULL,
    at int8,
    holder int8,
    bus_group int4 NOT NULL,
    deliveries int4 NOT NULL,
    stage int2 NOT NULL,
    priority int2 NOT NULL,
    turn boolean NOT NULL,
    key ${text},
    state text
  ) WITH (fillfactor = 50)`,
  `CREATE UNIQUE INDEX ${table("bus_ready")} ON ${
    table("bus_deliveries")
  } (bus_group, priority, place) WHERE stage = 0`,
  `CREATE INDEX ${table("bus_blocked")} ON ${table("bus_deliveries")} (bus_group, key, place) WHERE stage = 1`,
  `CREATE INDEX ${table("bus_delayed")} ON ${table("bus_deliveries")} (bus_group, at, place) WHERE stage = 2`,
  `CREATE UNIQUE INDEX ${table("bus_turns")} ON ${table("bus_deliveries")} (bus_group, key) WHERE turn`,
  `CREATE INDEX ${table("bus_of_message")} ON ${table("bus_deliveries")} (message)`
]

/** The first half of a lock's name: the table that it is about. */
export const classOf = (table: Table, name: string): string => `'${table(name)}'::regclass::oid::int8::bit(32)::int4`

export const clockOf = (given: string): string =>
  `coalesce(${given}, floor(extract(epoch FROM clock_timestamp()) * 1000)::int8)`

/**
 * What functions say of how their statements are planned. A plan is kept as long as its connection, and may have been made when the
 * tables were empty; what is right for those is a disaster once a backlog stands. So rows are always found by an index, or by
 * where they stand.
 */
export const planned = `SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
SET plan_cache_mode = force_generic_plan`
