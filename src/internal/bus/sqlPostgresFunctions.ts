import { claim, done, release, settle } from "./sqlPostgresDeliveries.ts"
import { classOf, clockOf, planned, type Table, tables } from "./sqlPostgresTables.ts"
import type { Migration } from "../sql/migrations.ts"

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
  ) RETURNS boolean LANGUAGE plpgsql ${planned} AS $body$
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

/** Withdraws a message that nobody has been given, and whose time has not come. */
const cancel = (table: Table): string =>
  `CREATE FUNCTION ${table("bus_cancel")}(the_id text, given_now int8)
RETURNS boolean LANGUAGE plpgsql ${planned} AS $body$
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

/**
 * Removes messages that nobody is to be given any more, up to a number and in order; answers where it stopped.
 *
 * A new subscription that is being given the history holds its messages: those are passed by. What is locked here is looked at
 * once more, by a statement of its own, which sees what was committed before: one that waited for a lock would not look again.
 */
const trim = (table: Table): string =>
  `CREATE FUNCTION ${table("bus_trim")}(after int8, history int8, before int8, most int4,
  OUT reached int8, OUT removed int8) LANGUAGE plpgsql ${planned} AS $body$
DECLARE
  bound int8;
  seqs int8[];
BEGIN
  SELECT m.seq INTO bound FROM ${table("bus_messages")} AS m ORDER BY m.seq DESC OFFSET history LIMIT 1;
  SELECT max(c.seq) INTO reached FROM (
    SELECT m.seq FROM ${table("bus_messages")} AS m WHERE m.seq > after
      AND (m.seq <= bound OR m.published_at < before) ORDER BY m.seq LIMIT most
  ) AS c;
  seqs := ARRAY(SELECT m.seq FROM ${table("bus_messages")} AS m WHERE m.seq > after AND m.seq <= reached
    AND (m.seq <= bound OR m.published_at < before)
    AND NOT EXISTS (SELECT FROM ${table("bus_deliveries")} AS d WHERE d.message = m.seq)
    FOR UPDATE SKIP LOCKED);
  DELETE FROM ${table("bus_messages")} AS m WHERE m.seq = ANY (seqs)
    AND NOT EXISTS (SELECT FROM ${table("bus_deliveries")} AS d WHERE d.message = m.seq);
  GET DIAGNOSTICS removed = ROW_COUNT;
END $body$`

/** Which of some subscriptions have something that could be taken. */
const look = (table: Table): string =>
  `CREATE FUNCTION ${table("bus_look")}(given int4[], given_now int8)
RETURNS SETOF int4 LANGUAGE plpgsql STABLE ${planned} AS $body$
BEGIN
  RETURN QUERY SELECT g.id FROM unnest(given) AS g(id)
  WHERE EXISTS (SELECT FROM ${
    table("bus_deliveries")
  } AS d WHERE d.bus_group = g.id AND d.stage = 0 AND d.holder IS NULL)
    OR EXISTS (SELECT FROM ${table("bus_deliveries")} AS d WHERE d.bus_group = g.id AND d.stage = 2
      AND d.at <= ${clockOf("given_now")})
    OR NOT EXISTS (SELECT FROM ${table("bus_groups")} AS k WHERE k.id = g.id);
END $body$`

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
    release(table),
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
