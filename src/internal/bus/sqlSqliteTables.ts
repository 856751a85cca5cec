import type { Migration } from "../sql/migrations.ts"

/**
 * As in PostgreSQL (`sqlPostgresFunctions`): one row a message, and one for each subscription that is still to be given it;
 * what is taken and what is settled touches no index but by removing the row.
 */
export const migrations: ReadonlyArray<Migration> = [{
  id: 1,
  name: "bus",
  up: (table) => [
    `CREATE TABLE ${table("bus_state")} (one INTEGER PRIMARY KEY, epoch INTEGER NOT NULL) STRICT`,
    `INSERT INTO ${table("bus_state")} VALUES (1, 0)`,
    `CREATE TABLE ${table("bus_groups")} (
      id INTEGER PRIMARY KEY AUTOINCREMENT,
      name TEXT NOT NULL UNIQUE,
      selector TEXT NOT NULL,
      kept INTEGER NOT NULL,
      filled INTEGER NOT NULL,
      epoch INTEGER NOT NULL
    ) STRICT`,
    `CREATE TABLE ${table("bus_members")} (
      id INTEGER PRIMARY KEY AUTOINCREMENT,
      machine TEXT NOT NULL,
      process TEXT NOT NULL,
      expires_at INTEGER NOT NULL
    ) STRICT`,
    `CREATE TABLE ${table("bus_attached")} (
      bus_group INTEGER NOT NULL,
      member INTEGER NOT NULL,
      consumers INTEGER NOT NULL,
      PRIMARY KEY (bus_group, member)
    ) STRICT, WITHOUT ROWID`,
    `CREATE TABLE ${table("bus_messages")} (
      seq INTEGER PRIMARY KEY,
      occurred_at INTEGER NOT NULL,
      published_at INTEGER NOT NULL,
      ready_at INTEGER NOT NULL,
      expires_at INTEGER,
      schema_version INTEGER NOT NULL,
      epoch INTEGER,
      retries INTEGER,
      priority INTEGER NOT NULL,
      id TEXT NOT NULL,
      type TEXT NOT NULL,
      subject TEXT NOT NULL,
      source TEXT NOT NULL,
      key TEXT,
      metadata TEXT NOT NULL,
      format TEXT NOT NULL,
      payload ANY NOT NULL
    ) STRICT`,
    `CREATE INDEX ${table("bus_messages_delayed")} ON ${table("bus_messages")} (id) WHERE ready_at > published_at`,
    `CREATE TABLE ${table("bus_deliveries")} (
      place INTEGER PRIMARY KEY,
      message INTEGER NOT NULL,
      since INTEGER NOT NULL,
      at INTEGER,
      holder INTEGER,
      bus_group INTEGER NOT NULL,
      deliveries INTEGER NOT NULL,
      stage INTEGER NOT NULL,
      priority INTEGER NOT NULL,
      turn INTEGER NOT NULL,
      key TEXT,
      state TEXT
    ) STRICT`,
    `CREATE INDEX ${table("bus_ready")} ON ${table("bus_deliveries")} (bus_group, priority, place) WHERE stage = 0`,
    `CREATE INDEX ${table("bus_blocked")} ON ${table("bus_deliveries")} (bus_group, key, place) WHERE stage = 1`,
    `CREATE INDEX ${table("bus_delayed")} ON ${table("bus_deliveries")} (bus_group, at, place) WHERE stage = 2`,
    `CREATE UNIQUE INDEX ${table("bus_turns")} ON ${table("bus_deliveries")} (bus_group, key) WHERE turn = 1`,
    `CREATE INDEX ${table("bus_of_message")} ON ${table("bus_deliveries")} (message)`
  ]
}]

/**
 * The statements, by what they are for. `LIMIT ? + 0`: SQLite would look at what stands behind a bare `?` when it plans, and plan
 * anew each time that it is bound.
 */
export const statements = (prefix: string) => {
  const name = (table: string) => `${prefix}bus_${table}`
  const [state, groups, members, attached, messages, deliveries] = [
    name("state"),
    name("groups"),
    name("members"),
    name("attached"),
    name("messages"),
    name("deliveries")
  ]
  // What is so with nearly every delivery and message is left out: a column costs more to be handed over than to be compared.
  const columns = `d.place,
    CASE WHEN d.deliveries = 0 AND d.state IS NULL AND d.key IS NULL THEN NULL
      ELSE json_array(d.deliveries, d.state, d.key, d.turn) END,
    m.published_at, m.id, m.type, m.metadata, m.payload,
    CASE WHEN m.occurred_at = m.published_at AND m.ready_at = m.published_at AND m.expires_at IS NULL
      AND m.schema_version = 1 AND m.retries IS NULL AND m.subject = m.type AND m.source = '/' AND m.format = 'json'
    THEN NULL ELSE json_array(m.occurred_at, m.ready_at, m.expires_at, m.schema_version, m.retries, m.subject, m.source,
      m.format) END`
  const candidates = (columns: string) =>
    `SELECT ${columns} FROM ${deliveries} AS d JOIN ${messages} AS m ON m.seq = d.message
      WHERE d.bus_group = ? AND d.stage = 0 AND d.priority = ? AND d.holder IS NULL ORDER BY d.place LIMIT ? + 0`
  return {
    epoch: `SELECT epoch FROM ${state}`,
    groups:
      `SELECT s.epoch, g.id, g.name, g.selector FROM ${state} AS s LEFT JOIN ${groups} AS g ON true ORDER BY g.id`,
    insertMessage: `INSERT INTO ${messages} (occurred_at, published_at, ready_at, expires_at, schema_version, epoch,
      retries, priority, id, type, subject, source, key, metadata, format, payload)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    insertDelivery: `INSERT INTO ${deliveries} (message, since, at, bus_group, deliveries, stage, priority, turn, key,
      state) VALUES (?, ?, ?, ?, 0, ?, ?, 0, ?, ?)`,
    hasGroup: `SELECT 1 FROM ${groups} WHERE id = ?`,
    cancellable: `SELECT seq FROM ${messages} WHERE id = ? AND ready_at > published_at AND ready_at > ?`,
    deliveriesOf: `SELECT stage, deliveries, state, at FROM ${deliveries} WHERE message = ?`,
    removeDeliveries: `DELETE FROM ${deliveries} WHERE message = ?`,
    removeMessage: `DELETE FROM ${messages} WHERE seq = ?`,
    findGroup: `SELECT id, epoch, filled, selector FROM ${groups} WHERE name = ?`,
    nextEpoch: `UPDATE ${state} SET epoch = epoch + 1 RETURNING epoch`,
    insertGroup: `INSERT INTO ${groups} (name, selector, kept, filled, epoch) VALUES (?, ?, ?, ?, ?) RETURNING id`,
    reselect: `UPDATE ${groups} SET selector = ? WHERE id = ?`,
    attach: `INSERT INTO ${attached} VALUES (?, ?, 1)
      ON CONFLICT (bus_group, member) DO UPDATE SET consumers = consumers + 1`,
    detach: `UPDATE ${attached} SET consumers = consumers - 1 WHERE bus_group = ? AND member = ?`,
    detached: `DELETE FROM ${attached} WHERE consumers <= 0`,
    ended: `DELETE FROM ${groups} WHERE kept = 0
      AND NOT EXISTS (SELECT 1 FROM ${attached} AS a WHERE a.bus_group = ${groups}.id) RETURNING id`,
    removeGroup: `DELETE FROM ${deliveries} WHERE bus_group = ?`,
    isFilled: `SELECT filled FROM ${groups} WHERE id = ?`,
    history: `SELECT seq, type, subject, published_at, ready_at, priority, key FROM ${messages} WHERE epoch < ?
      ORDER BY seq DESC LIMIT ? + 0`,
    filled: `UPDATE ${groups} SET filled = 1 WHERE id = ?`,
    isReady: `SELECT EXISTS (SELECT 1 FROM ${deliveries} WHERE bus_group = ? AND stage = 0 AND holder IS NULL),
      (SELECT min(at) FROM ${deliveries} WHERE bus_group = ? AND stage = 2),
      EXISTS (SELECT 1 FROM ${groups} WHERE id = ?)`,
    // The first and the last level of priority at which something may stand; what is held is among it.
    survey: `SELECT EXISTS (SELECT 1 FROM ${members} WHERE id = ?),
      (SELECT min(at) FROM ${deliveries} WHERE bus_group = ? AND stage = 2),
      (SELECT max(priority) FROM ${deliveries} WHERE bus_group = ? AND stage = 0),
      (SELECT min(priority) FROM ${deliveries} WHERE bus_group = ? AND stage = 0)`,
    due: `SELECT place FROM ${deliveries} WHERE bus_group = ? AND stage = 2 AND at <= ? ORDER BY at, place LIMIT 10000`,
    ready: `UPDATE ${deliveries} SET stage = 0, since = at, at = NULL,
      place = (SELECT max(place) + 1 FROM ${deliveries}) WHERE place = ?`,
    candidates: candidates(columns),
    candidatesAged: candidates(`${columns}, d.since, d.priority`),
    hasTurn: `SELECT 1 FROM ${deliveries} WHERE bus_group = ? AND key = ? AND turn = 1`,
    block: `UPDATE ${deliveries} SET stage = 1 WHERE place = ?`,
    takeRange: `UPDATE ${deliveries} INDEXED BY ${name("ready")} SET holder = ?, deliveries = deliveries + 1
      WHERE bus_group = ? AND stage = 0 AND priority = ? AND holder IS NULL AND place BETWEEN ? AND ?`,
    takeAll: `UPDATE ${deliveries} SET holder = ?, deliveries = deliveries + 1
      WHERE place IN (SELECT value FROM json_each(?))`,
    takeTurn: `UPDATE ${deliveries} SET turn = 1 WHERE place = ?`,
    doneRange: `DELETE FROM ${deliveries} WHERE place BETWEEN ? AND ? AND holder = ?`,
    doneAll: `DELETE FROM ${deliveries} WHERE place IN (SELECT value FROM json_each(?)) AND holder = ?`,
    done: `DELETE FROM ${deliveries} WHERE place = ? AND holder = ? RETURNING key`,
    later: `UPDATE ${deliveries} SET holder = NULL, deliveries = 0, stage = 2, at = ?, state = ?, turn = turn AND NOT ?
      WHERE place = ? AND holder = ? RETURNING key`,
    keep: `UPDATE ${deliveries} SET deliveries = 0, state = ? WHERE place = ? AND holder = ?`,
    giveBack:
      `UPDATE ${deliveries} SET holder = NULL, deliveries = max(0, deliveries - ?) WHERE place = ? AND holder = ?`,
    heir: `SELECT place FROM ${deliveries} WHERE bus_group = ? AND stage = 1 AND key = ? ORDER BY place LIMIT 1`,
    inherit: `UPDATE ${deliveries} SET stage = 0, turn = 1 WHERE place = ?`,
    depth: `SELECT
        count(*) FILTER (WHERE holder IS NULL AND (stage = 0 OR stage = 2 AND at <= ?)),
        count(*) FILTER (WHERE stage = 1 OR stage = 2 AND at > ?),
        count(*) FILTER (WHERE holder IS NOT NULL),
        min(CASE WHEN holder IS NOT NULL OR stage = 1 THEN NULL WHEN stage = 0 THEN since WHEN at <= ? THEN at END)
      FROM ${deliveries} WHERE bus_group = ?`,
    join: `INSERT INTO ${members} (machine, process, expires_at) VALUES (?, ?, ?) RETURNING id`,
    renew: `UPDATE ${members} SET expires_at = ? WHERE id = ?`,
    members: `SELECT id, machine, process, expires_at FROM ${members} WHERE id <> ?`,
    release: `UPDATE ${deliveries} SET holder = NULL WHERE holder = ?`,
    leave: `DELETE FROM ${members} WHERE id = ?`,
    detachAll: `DELETE FROM ${attached} WHERE member = ?`,
    bound: `SELECT seq FROM ${messages} ORDER BY seq DESC LIMIT 1 OFFSET ? + 0`,
    reached: `SELECT max(seq) FROM (
      SELECT seq FROM ${messages} WHERE seq > ? AND (seq <= ? OR published_at < ?) ORDER BY seq LIMIT ? + 0)`,
    trim: `DELETE FROM ${messages} WHERE seq > ? AND seq <= ? AND (seq <= ? OR published_at < ?)
      AND NOT EXISTS (SELECT 1 FROM ${deliveries} AS d WHERE d.message = ${messages}.seq)`
  }
}
