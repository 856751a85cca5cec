import type { Migration } from "./sqlMigrations.ts"

type Table = (name: string) => string

const text = `text COLLATE "C"`

/**
 * `bus_messages` has one row a message, `bus_deliveries` one row for each subscription that is still to be given it.
 *
 * A delivery is ready or in flight (stage 0), waits for another of its key (1), or for its time (2). What is taken and what is
 * settled touches no index but by removing the row: `holder` and `deliveries` are in none, and the pages have room for the
 * row's next version. Of the messages of a key one has the `turn` at most: the one in flight, or that is to come first.
 */
const tables = (table: Table): ReadonlyArray<string> => [
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
    dead boolean NOT NULL
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
const classOf = (table: Table, name: string): string => `'${table(name)}'::regclass::oid::int8::bit(32)::int4`

const clockOf = (given: string): string =>
  `coalesce(${given}, floor(extract(epoch FROM clock_timestamp()) * 1000)::int8)`

/**
 * Stores messages and deliveries. Whoever publishes holds a shared lock on the epoch of the list that it knows, until the end of
 * its transaction: a new subscription waits for those that did not know it before it looks at what was published.
 */
const publish = (table: Table): string =>
  `CREATE FUNCTION ${table("bus_publish")}(
    known int4, given_now int8, channel text,
    occurred int8[], published int8[], ready int8[], expires int8[], versions int4[], most_retries int4[],
    priorities int2[], ids text[], types text[], subjects text[], sources text[], keys text[], metadatas text[],
    formats text[], payloads text[], payload_bytes bytea[], target_messages int4[], target_groups int4[], states text[]
  ) RETURNS boolean LANGUAGE plpgsql AS $body$
DECLARE
  clock int8 := ${clockOf("given_now")};
  seqs int8[];
BEGIN
  IF known IS NOT NULL THEN
    PERFORM pg_advisory_xact_lock_shared(${classOf(table, "bus_state")}, known);
    PERFORM FROM ${table("bus_state")} AS s WHERE s.epoch = known;
    IF NOT FOUND THEN RETURN false; END IF;
  END IF;
  seqs := ARRAY(
    SELECT nextval('${table("bus_seqs")}') FROM generate_series(1, cardinality(ids)));
  INSERT INTO ${table("bus_messages")} (seq, occurred_at, published_at, ready_at, expires_at, schema_version, epoch,
    retries, priority, id, type, subject, source, key, metadata, format, payload, payload_bytes)
  SELECT m.seq, m.occurred, m.published, m.ready, m.expires, m.version, known, m.retries, m.priority, m.id, m.type,
    m.subject, m.source, m.key, m.metadata, m.format, m.payload, m.bytes
  FROM unnest(seqs, occurred, published, ready, expires, versions, most_retries, priorities, ids, types, subjects,
      sources, keys, metadatas, formats, payloads, payload_bytes)
    AS m(seq, occurred, published, ready, expires, version, retries, priority, id, type, subject, source, key,
      metadata, format, payload, bytes);
  INSERT INTO ${table("bus_deliveries")} (place, message, since, at, bus_group, deliveries, stage, priority, turn, key,
    state)
  SELECT nextval('${table("bus_places")}'), o.* FROM (
    SELECT seqs[t.message], clock,
      CASE WHEN ready[t.message] > greatest(clock, published[t.message]) THEN ready[t.message] END, t.bus_group, 0,
      CASE WHEN ready[t.message] > greatest(clock, published[t.message]) THEN 2 ELSE 0 END, priorities[t.message], false,
      keys[t.message], t.state
    FROM unnest(target_messages, target_groups, states) WITH ORDINALITY AS t(message, bus_group, state, n)
    JOIN ${table("bus_groups")} AS g ON g.id = t.bus_group ORDER BY t.n
  ) AS o;
  IF channel IS NOT NULL THEN
    PERFORM pg_notify(channel, CASE WHEN cardinality(target_groups) > 100 THEN ''
      ELSE array_to_string(ARRAY(SELECT DISTINCT unnest(target_groups)), ' ') END);
  END IF;
  RETURN true;
END $body$`

/** What a claim looks for: of each level of priority the first, and of those the first by age. */
const candidates = (table: Table): string =>
  `SELECT array_agg(c.place), array_agg(c.priority), coalesce(bool_or(c.key IS NOT NULL), false)
  INTO places, levels, keyed FROM (
    SELECT d.place, d.priority, d.key FROM unnest('{9,8,7,6,5,4,3,2,1,0}'::int2[]) AS level(n)
    CROSS JOIN LATERAL (
      SELECT r.place, r.priority, r.since, r.key FROM ${table("bus_deliveries")} AS r
      WHERE r.bus_group = the_group AND r.stage = 0 AND r.priority = level.n AND r.holder IS NULL
      ORDER BY r.place LIMIT most
    ) AS d
    ORDER BY least(9, d.priority + greatest(0, clock - d.since) / 60000) DESC, d.place LIMIT most
  ) AS c;`

/**
 * Gives a member what comes next. Those who claim for one subscription go one after the other, so that priorities and keys
 * are seen by one at a time, and nobody skips what another has locked. The commit does not wait for the disk: a claim that a
 * crash of the server forgets is a message that is delivered again.
 */
const claim = (table: Table): string =>
  `CREATE FUNCTION ${table("bus_claim")}(the_group int4, the_member int8, most int4, given_now int8)
RETURNS TABLE (outcome text, next_in int8, place int8, deliveries int4, state text, occurred_at int8, published_at int8,
  ready_at int8, expires_at int8, schema_version int4, retries int4, priority int2, id text, type text, subject text,
  source text, key text, metadata text, format text, payload text, payload_bytes bytea) LANGUAGE plpgsql AS $body$
#variable_conflict use_column
DECLARE
  clock int8;
  places int8[];
  levels int2[];
  keyed boolean;
  moved int4;
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true);
  PERFORM pg_advisory_xact_lock(${classOf(table, "bus_deliveries")}, the_group);
  clock := ${clockOf("given_now")};
  PERFORM FROM ${table("bus_members")} AS m WHERE m.id = the_member AND NOT m.dead;
  IF NOT FOUND THEN
    outcome := 'buried';
    RETURN NEXT;
    RETURN;
  END IF;
  UPDATE ${table("bus_deliveries")} AS d SET stage = 0, place = due.fresh, since = d.at, at = NULL
    FROM (
      SELECT o.place, o.at, nextval('${table("bus_places")}') AS fresh FROM (
        SELECT w.place, w.at FROM ${table("bus_deliveries")} AS w
        WHERE w.bus_group = the_group AND w.stage = 2 AND w.at <= clock ORDER BY w.at, w.place LIMIT 10000
      ) AS o
    ) AS due
    WHERE d.bus_group = the_group AND d.stage = 2 AND d.at = due.at AND d.place = due.place;
  FOR round IN 1..100 LOOP
    ${candidates(table)}
    moved := 0;
    EXIT WHEN NOT keyed;
    -- of each key the one that has the turn, or the first where nobody has it; the others wait for it
    UPDATE ${table("bus_deliveries")} AS d SET stage = 1 FROM (
      SELECT c.place, c.priority, r.turn, r.key,
        row_number() OVER (PARTITION BY r.key ORDER BY r.turn DESC, c.n) AS number
      FROM unnest(places, levels) WITH ORDINALITY AS c(place, priority, n)
      JOIN ${table("bus_deliveries")} AS r
        ON r.bus_group = the_group AND r.stage = 0 AND r.priority = c.priority AND r.place = c.place
      WHERE r.key IS NOT NULL
    ) AS k
    WHERE d.bus_group = the_group AND d.stage = 0 AND d.priority = k.priority AND d.place = k.place AND NOT k.turn
      AND (k.number > 1 OR EXISTS (
        SELECT FROM ${table("bus_deliveries")} AS t WHERE t.bus_group = the_group AND t.key = k.key AND t.turn
      ));
    GET DIAGNOSTICS moved = ROW_COUNT;
    EXIT WHEN moved = 0;
  END LOOP;
  IF places IS NULL THEN
    outcome := CASE WHEN EXISTS (SELECT FROM ${
    table("bus_groups")
  } AS g WHERE g.id = the_group) THEN 'none' ELSE 'ended' END;
    SELECT greatest(0, min(w.at) - clock) INTO next_in FROM ${table("bus_deliveries")} AS w
      WHERE w.bus_group = the_group AND w.stage = 2;
    RETURN NEXT;
    RETURN;
  END IF;
  IF moved > 0 THEN
    outcome := 'none';
    next_in := 0;
    RETURN NEXT;
    RETURN;
  END IF;
  RETURN QUERY WITH taken AS (
    UPDATE ${table("bus_deliveries")} AS d
      SET holder = the_member, deliveries = d.deliveries + 1, turn = d.key IS NOT NULL
      FROM unnest(places, levels) WITH ORDINALITY AS c(place, priority, n)
      WHERE d.bus_group = the_group AND d.stage = 0 AND d.priority = c.priority AND d.place = c.place
      RETURNING c.n, d.place, d.deliveries, d.state, d.message
  )
  SELECT 'taken', NULL::int8, t.place, t.deliveries, t.state, m.occurred_at, m.published_at, m.ready_at, m.expires_at,
    m.schema_version, m.retries, m.priority, m.id::text, m.type::text, m.subject::text, m.source::text, m.key::text,
    m.metadata, m.format::text, m.payload, m.payload_bytes
  FROM taken AS t JOIN ${table("bus_messages")} AS m ON m.seq = t.message ORDER BY t.n;
END $body$`

/** The messages of no key that a member is done with. */
const done = (table: Table): string =>
  `CREATE FUNCTION ${table("bus_done")}(the_group int4, the_member int8, levels int2[], places int8[]) RETURNS void
LANGUAGE sql AS $body$
  DELETE FROM ${table("bus_deliveries")} AS d USING unnest(levels, places) AS c(priority, place)
    WHERE d.bus_group = the_group AND d.stage = 0 AND d.priority = c.priority AND d.place = c.place
      AND d.holder = the_member;
$body$`

/**
 * What else becomes of messages: 0 done, 1 later, 2 keep, 3 return; the flag is `overtake` of later and `counted` of return. Those
 * of a key are settled one transaction after the other, and after those who claim: nobody waits behind one that has gone.
 */
const settle = (table: Table): string => {
  const mine = (tag: number) =>
    `d.bus_group = the_group AND d.stage = 0 AND d.priority = c.priority AND d.place = c.place AND d.holder = the_member
      AND c.tag = ${tag}`
  const given = `unnest(tags, levels, places, ats, states, flags) AS c(tag, priority, place, at, state, flag)`
  return `CREATE FUNCTION ${
    table("bus_settle")
  }(the_group int4, the_member int8, keyed boolean, channel text, tags int2[],
  levels int2[], places int8[], ats int8[], states text[], flags boolean[]) RETURNS boolean LANGUAGE plpgsql AS $body$
DECLARE
  passed text[];
  heirs int4 := 0;
BEGIN
  IF keyed THEN
    PERFORM pg_advisory_xact_lock(${classOf(table, "bus_deliveries")}, the_group);
  END IF;
  WITH gone AS (
    DELETE FROM ${table("bus_deliveries")} AS d USING ${given} WHERE ${mine(0)} RETURNING d.key
  ) SELECT array_agg(g.key) INTO passed FROM gone AS g WHERE g.key IS NOT NULL;
  WITH back AS (
    UPDATE ${table("bus_deliveries")} AS d
      SET holder = NULL, deliveries = 0, state = c.state, at = c.at, stage = 2, turn = d.turn AND NOT c.flag
      FROM ${given} WHERE ${mine(1)} RETURNING CASE WHEN c.flag THEN d.key END AS key
  ) SELECT passed || array_agg(b.key) INTO passed FROM back AS b WHERE b.key IS NOT NULL;
  UPDATE ${table("bus_deliveries")} AS d SET state = c.state, deliveries = 0 FROM ${given} WHERE ${mine(2)};
  UPDATE ${table("bus_deliveries")} AS d
    SET holder = NULL, deliveries = CASE WHEN c.flag THEN d.deliveries ELSE greatest(0, d.deliveries - 1) END
    FROM ${given} WHERE ${mine(3)};
  IF cardinality(passed) > 0 THEN
    UPDATE ${table("bus_deliveries")} AS d SET stage = 0, turn = true FROM (
      SELECT k.key, n.place FROM (SELECT DISTINCT unnest(passed) AS key) AS k CROSS JOIN LATERAL (
        SELECT b.place FROM ${table("bus_deliveries")} AS b
        WHERE b.bus_group = the_group AND b.stage = 1 AND b.key = k.key ORDER BY b.place LIMIT 1
      ) AS n
    ) AS heir
    WHERE d.bus_group = the_group AND d.stage = 1 AND d.key = heir.key AND d.place = heir.place;
    GET DIAGNOSTICS heirs = ROW_COUNT;
  END IF;
  IF channel IS NOT NULL THEN PERFORM pg_notify(channel, the_group::text); END IF;
  RETURN heirs > 0 OR 1 = ANY (tags) OR 3 = ANY (tags);
END $body$`
}

/** Withdraws a message that nobody has been given, and whose time has not come. */
const cancel = (table: Table): string =>
  `CREATE FUNCTION ${table("bus_cancel")}(the_id text, given_now int8) RETURNS boolean LANGUAGE plpgsql AS $body$
DECLARE
  clock int8 := ${clockOf("given_now")};
  seqs int8[];
  ok boolean;
BEGIN
  seqs := ARRAY(SELECT m.seq FROM ${table("bus_messages")} AS m
    WHERE m.id = the_id AND m.ready_at > m.published_at AND m.ready_at > clock FOR UPDATE);
  IF cardinality(seqs) = 0 THEN RETURN false; END IF;
  PERFORM FROM ${table("bus_deliveries")} AS d WHERE d.message = ANY (seqs) ORDER BY d.place FOR UPDATE;
  SELECT coalesce(bool_and(d.stage = 2 AND d.deliveries = 0 AND d.state IS NULL AND d.at > clock), true) INTO ok
    FROM ${table("bus_deliveries")} AS d WHERE d.message = ANY (seqs);
  IF ok THEN
    DELETE FROM ${table("bus_deliveries")} AS d WHERE d.message = ANY (seqs);
    DELETE FROM ${table("bus_messages")} AS m WHERE m.seq = ANY (seqs);
  END IF;
  RETURN ok;
END $body$`

/** Finds a subscription or makes it; a new one, and a new selector, begin a new epoch. */
const register = (table: Table): string =>
  `CREATE FUNCTION ${table("bus_register")}(the_name text, given text, is_kept boolean, from_earliest boolean,
  replaces boolean, the_member int8, OUT id int4, OUT epoch int4, OUT filled boolean) LANGUAGE plpgsql AS $body$
#variable_conflict use_column
DECLARE
  stored text;
BEGIN
  PERFORM FROM ${table("bus_state")} FOR UPDATE;
  SELECT g.id, g.epoch, g.filled, g.selector INTO id, epoch, filled, stored
    FROM ${table("bus_groups")} AS g WHERE g.name = the_name;
  IF NOT FOUND THEN
    UPDATE ${table("bus_state")} AS s SET epoch = s.epoch + 1 RETURNING s.epoch INTO epoch;
    filled := NOT from_earliest;
    INSERT INTO ${table("bus_groups")} AS g (name, selector, kept, filled, epoch)
      VALUES (the_name, given, is_kept, NOT from_earliest, register.epoch) RETURNING g.id INTO id;
  ELSIF replaces AND stored <> given THEN
    UPDATE ${table("bus_state")} AS s SET epoch = s.epoch + 1;
    UPDATE ${table("bus_groups")} AS g SET selector = given WHERE g.name = the_name;
  END IF;
  IF the_member IS NOT NULL THEN
    INSERT INTO ${table("bus_attached")} AS a VALUES (register.id, the_member, 1)
      ON CONFLICT (bus_group, member) DO UPDATE SET consumers = a.consumers + 1;
  END IF;
END $body$`.replaceAll("register.", `${table("bus_register")}.`)

/** Ends what a member consumed that is not kept, where it was the last; answers the epoch that then begins. */
const detach = (table: Table): string =>
  `CREATE FUNCTION ${table("bus_detach")}(the_group int4, the_member int8) RETURNS boolean LANGUAGE plpgsql AS $body$
BEGIN
  PERFORM FROM ${table("bus_state")} FOR UPDATE;
  UPDATE ${table("bus_attached")} AS a SET consumers = a.consumers - 1
    WHERE a.bus_group = the_group AND a.member = the_member;
  DELETE FROM ${table("bus_attached")} AS a WHERE a.bus_group = the_group AND a.consumers <= 0;
  RETURN ${table("bus_end")}();
END $body$`

/** Waits for all who publish by a list of an earlier epoch. */
const drain = (table: Table): string =>
  `CREATE FUNCTION ${table("bus_drain")}(before int4) RETURNS void LANGUAGE plpgsql AS $body$
DECLARE
  first int4;
BEGIN
  SELECT s.drained INTO first FROM ${table("bus_state")} AS s;
  FOR old IN first..before - 1 LOOP
    PERFORM pg_advisory_xact_lock(${classOf(table, "bus_state")}, old);
  END LOOP;
  UPDATE ${table("bus_state")} AS s SET drained = before WHERE s.drained < before;
END $body$`

/** Gives back what dead members hold. That they are dead is committed before: a claim of theirs comes before, or fails. */
const bury = (table: Table): string =>
  `CREATE FUNCTION ${table("bus_bury")}() RETURNS boolean LANGUAGE plpgsql AS $body$
DECLARE
  buried int8[];
  one int4;
BEGIN
  buried := ARRAY(SELECT m.id FROM ${table("bus_members")} AS m WHERE m.dead ORDER BY m.id FOR UPDATE SKIP LOCKED);
  FOR one IN SELECT DISTINCT d.bus_group FROM ${table("bus_deliveries")} AS d
    WHERE d.holder = ANY (buried) ORDER BY d.bus_group LOOP
    PERFORM pg_advisory_xact_lock(${classOf(table, "bus_deliveries")}, one);
    UPDATE ${table("bus_deliveries")} AS d SET holder = NULL
      WHERE d.bus_group = one AND d.stage = 0 AND d.holder = ANY (buried);
  END LOOP;
  DELETE FROM ${table("bus_members")} AS m WHERE m.id = ANY (buried);
  IF EXISTS (SELECT FROM ${table("bus_attached")} AS a WHERE a.member = ANY (buried)) THEN
    PERFORM FROM ${table("bus_state")} FOR UPDATE;
    DELETE FROM ${table("bus_attached")} AS a WHERE a.member = ANY (buried);
    RETURN ${table("bus_end")}();
  END IF;
  RETURN false;
END $body$`

/** Ends the subscriptions that are not kept and that nobody consumes, and tells whether there were any. */
const end = (table: Table): string =>
  `CREATE FUNCTION ${table("bus_end")}() RETURNS boolean LANGUAGE plpgsql AS $body$
BEGIN
  DELETE FROM ${table("bus_groups")} AS g WHERE NOT g.kept
    AND NOT EXISTS (SELECT FROM ${table("bus_attached")} AS a WHERE a.bus_group = g.id);
  IF NOT FOUND THEN RETURN false; END IF;
  UPDATE ${table("bus_state")} AS s SET epoch = s.epoch + 1;
  RETURN true;
END $body$`

/** Removes messages that nobody is to be given any more, up to a number and in order; answers where it stopped. */
const trim = (table: Table): string =>
  `CREATE FUNCTION ${table("bus_trim")}(after int8, history int8, before int8, most int4,
  OUT reached int8, OUT removed int8) LANGUAGE plpgsql AS $body$
DECLARE
  bound int8;
BEGIN
  SELECT m.seq INTO bound FROM ${table("bus_messages")} AS m ORDER BY m.seq DESC OFFSET history LIMIT 1;
  SELECT max(c.seq) INTO reached FROM (
    SELECT m.seq FROM ${table("bus_messages")} AS m WHERE m.seq > after
      AND (m.seq <= bound OR m.published_at < before) ORDER BY m.seq LIMIT most
  ) AS c;
  DELETE FROM ${table("bus_messages")} AS m WHERE m.seq > after AND m.seq <= reached
    AND (m.seq <= bound OR m.published_at < before)
    AND NOT EXISTS (SELECT FROM ${table("bus_deliveries")} AS d WHERE d.message = m.seq);
  GET DIAGNOSTICS removed = ROW_COUNT;
END $body$`

/** Which of some subscriptions have something that could be taken. */
const look = (table: Table): string =>
  `CREATE FUNCTION ${table("bus_look")}(given int4[], given_now int8) RETURNS SETOF int4 LANGUAGE sql STABLE AS $body$
  SELECT g.id FROM unnest(given) AS g(id)
  WHERE EXISTS (SELECT FROM ${
    table("bus_deliveries")
  } AS d WHERE d.bus_group = g.id AND d.stage = 0 AND d.holder IS NULL)
    OR EXISTS (SELECT FROM ${table("bus_deliveries")} AS d WHERE d.bus_group = g.id AND d.stage = 2
      AND d.at <= ${clockOf("given_now")})
    OR NOT EXISTS (SELECT FROM ${table("bus_groups")} AS k WHERE k.id = g.id);
$body$`

/** What a subscription has before it. */
const depth = (table: Table): string =>
  `CREATE FUNCTION ${
    table("bus_depth")
  }(the_group int4, given_now int8, OUT ready int8, OUT waiting int8, OUT flight int8,
  OUT oldest int8) LANGUAGE sql STABLE AS $body$
  SELECT count(*) FILTER (WHERE d.holder IS NULL AND (d.stage = 0 OR d.stage = 2 AND d.at <= ${clockOf("given_now")})),
    count(*) FILTER (WHERE d.stage = 1 OR d.stage = 2 AND d.at > ${clockOf("given_now")}),
    count(*) FILTER (WHERE d.holder IS NOT NULL),
    min(CASE WHEN d.stage = 0 THEN d.since ELSE d.at END)
      FILTER (WHERE d.holder IS NULL AND (d.stage = 0 OR d.stage = 2 AND d.at <= ${clockOf("given_now")}))
  FROM ${table("bus_deliveries")} AS d WHERE d.bus_group = the_group;
$body$`

export const migrations: ReadonlyArray<Migration> = [{
  id: 1,
  name: "bus",
  up: (table) => [
    ...tables(table),
    publish(table),
    claim(table),
    done(table),
    settle(table),
    cancel(table),
    register(table),
    drain(table),
    end(table),
    detach(table),
    bury(table),
    trim(table),
    depth(table),
    look(table)
  ]
}]
