import { classOf, clockOf, planned, type Table } from "./sqlPostgresTables.ts"

/**
 * What a claim looks for: of each level of priority the first, and of those the first by age. Where a row stands (`ctid`) is good
 * until the row is changed, which nobody does who does not hold it, or the lock.
 */
const candidates = (table: Table): string =>
  `SELECT array_agg(c.tid), coalesce(bool_or(c.key IS NOT NULL), false) INTO tids, keyed FROM (
    SELECT d.tid, d.key FROM unnest('{9,8,7,6,5,4,3,2,1,0}'::int2[]) AS level(n)
    CROSS JOIN LATERAL (
      SELECT r.ctid AS tid, r.place, r.priority, r.since, r.key FROM ${table("bus_deliveries")} AS r
      WHERE r.bus_group = the_group AND r.stage = 0 AND r.priority = level.n AND r.holder IS NULL
      ORDER BY r.place LIMIT most
    ) AS d
    ORDER BY least(9, d.priority + greatest(0, clock - d.since) / 60000) DESC, d.place LIMIT most
  ) AS c;`

/**
 * Gives a member what comes next. Those who claim for one subscription go one after the other, so that priorities and keys
 * are seen by one at a time, and nobody skips what another has locked. The commit does not wait for the disk: a claim that a
 * crash of the server forgets is a message that is delivered again.
 *
 * What is so with nearly every message is left out (`rest`; `sqlRows` reads it). Without a message there is one row whose
 * `place` is null: its `state` says why, its `published_at` in how many milliseconds the next is due.
 */
export const claim = (table: Table): string =>
  `CREATE FUNCTION ${table("bus_claim")}(the_group int4, the_member int8, most int4, given_now int8, number int8)
RETURNS TABLE (place int8, deliveries int4, state text, published_at int8, id text, type text, priority int2, key text,
  metadata text, payload text, payload_bytes bytea, rest text) LANGUAGE plpgsql ${planned} AS $body$
#variable_conflict use_column
DECLARE
  clock int8;
  tids tid[];
  keyed boolean;
  moved int4;
  given_up int8;
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true);
  PERFORM pg_advisory_xact_lock(${classOf(table, "bus_deliveries")}, the_group);
  clock := ${clockOf("given_now")};
  SELECT (m.void->>the_group::text)::int8 INTO given_up FROM ${
    table("bus_members")
  } AS m WHERE m.id = the_member AND NOT m.dead;
  IF NOT FOUND THEN
    state := 'buried';
    RETURN NEXT;
    RETURN;
  END IF;
  IF number <= given_up THEN
    state := 'none';
    published_at := 0;
    RETURN NEXT;
    RETURN;
  END IF;
  UPDATE ${table("bus_deliveries")} AS d SET stage = 0, place = due.fresh, since = d.at, at = NULL
    FROM (
      SELECT o.tid, nextval('${table("bus_places")}') AS fresh FROM (
        SELECT w.ctid AS tid FROM ${table("bus_deliveries")} AS w
        WHERE w.bus_group = the_group AND w.stage = 2 AND w.at <= clock ORDER BY w.at, w.place LIMIT 10000
      ) AS o
    ) AS due
    WHERE d.ctid = due.tid;
  FOR round IN 1..100 LOOP
    ${candidates(table)}
    moved := 0;
    EXIT WHEN NOT keyed;
    -- of each key the one that has the turn, or the first where nobody has it; the others wait for it
    UPDATE ${table("bus_deliveries")} AS d SET stage = 1 FROM (
      SELECT c.tid, r.turn, r.key, row_number() OVER (PARTITION BY r.key ORDER BY r.turn DESC, c.n) AS number
      FROM unnest(tids) WITH ORDINALITY AS c(tid, n) JOIN ${table("bus_deliveries")} AS r ON r.ctid = c.tid
      WHERE r.key IS NOT NULL
    ) AS k
    WHERE d.ctid = k.tid AND NOT k.turn
      AND (k.number > 1 OR EXISTS (
        SELECT FROM ${table("bus_deliveries")} AS t WHERE t.bus_group = the_group AND t.key = k.key AND t.turn
      ));
    GET DIAGNOSTICS moved = ROW_COUNT;
    EXIT WHEN moved = 0;
  END LOOP;
  IF tids IS NULL THEN
    state := CASE WHEN EXISTS (SELECT FROM ${
    table("bus_groups")
  } AS g WHERE g.id = the_group) THEN 'none' ELSE 'ended' END;
    SELECT greatest(0, min(w.at) - clock) INTO published_at FROM ${table("bus_deliveries")} AS w
      WHERE w.bus_group = the_group AND w.stage = 2;
    RETURN NEXT;
    RETURN;
  END IF;
  IF moved > 0 THEN
    state := 'none';
    published_at := 0;
    RETURN NEXT;
    RETURN;
  END IF;
  RETURN QUERY WITH taken AS (
    UPDATE ${table("bus_deliveries")} AS d
      SET holder = the_member, deliveries = d.deliveries + 1, turn = d.key IS NOT NULL
      FROM unnest(tids) WITH ORDINALITY AS c(tid, n) WHERE d.ctid = c.tid
      RETURNING c.n, d.place, d.deliveries, d.state, d.message
  )
  SELECT t.place, t.deliveries, t.state, m.published_at, m.id::text, m.type::text, m.priority, m.key::text, m.metadata,
    m.payload, m.payload_bytes,
    CASE WHEN m.occurred_at = m.published_at AND m.ready_at = m.published_at AND m.expires_at IS NULL
      AND m.schema_version = 1 AND m.retries IS NULL AND m.subject = m.type AND m.source = '/' AND m.format = 'json'
    THEN NULL ELSE json_build_array(m.occurred_at, m.ready_at, m.expires_at, m.schema_version, m.retries, m.subject,
      m.source, m.format)::text END
  FROM taken AS t JOIN ${table("bus_messages")} AS m ON m.seq = t.message ORDER BY t.n;
END $body$`

/**
 * Gives back what a member holds but for what stands at some places, after a claim whose answer was lost. It may have been made, be
 * under way, or still be on its way to the server: the last is refused when it comes, and so is this, when it was sent twice. What
 * was made is seen by the last statement, which begins when nobody else claims.
 */
export const release = (table: Table): string =>
  `CREATE FUNCTION ${table("bus_release")}(the_group int4, the_member int8, number int8, but int8[])
RETURNS void LANGUAGE plpgsql ${planned} AS $body$
BEGIN
  PERFORM pg_advisory_xact_lock(${classOf(table, "bus_deliveries")}, the_group);
  UPDATE ${table("bus_members")} AS m SET void = m.void || jsonb_build_object(the_group::text, number)
    WHERE m.id = the_member AND coalesce((m.void->>the_group::text)::int8, 0) < number;
  IF NOT FOUND THEN RETURN; END IF;
  UPDATE ${table("bus_deliveries")} AS d SET holder = NULL
    WHERE d.bus_group = the_group AND d.stage = 0 AND d.holder = the_member AND d.place <> ALL (but);
END $body$`

/** Of what was given, where the rows stand; a row that is not there any more is left out. */
const found = (table: Table, given: string, columns: string, which = "true"): string =>
  `(SELECT l.tid, ${columns} FROM ${given} CROSS JOIN LATERAL (
      SELECT r.ctid AS tid FROM ${table("bus_deliveries")} AS r
      WHERE r.bus_group = the_group AND r.stage = 0 AND r.priority = g.priority AND r.place = g.place LIMIT 1
    ) AS l WHERE ${which}) AS c`

/** The messages of no key that a member is done with. */
export const done = (table: Table): string =>
  `CREATE FUNCTION ${table("bus_done")}(the_group int4, the_member int8, levels int2[], places int8[])
RETURNS void LANGUAGE plpgsql ${planned} AS $body$
BEGIN
  DELETE FROM ${table("bus_deliveries")} AS d
    USING ${found(table, "unnest(levels, places) AS g(priority, place)", "g.place")}
    WHERE d.ctid = c.tid AND d.holder = the_member;
END $body$`

/**
 * What else becomes of messages: 0 done, 1 later, 2 keep, 3 return; the flag is `overtake` of later and `counted` of return. Those
 * of a key are settled one transaction after the other, and after those who claim: nobody waits behind one that has gone.
 */
export const settle = (table: Table): string => {
  const given = (tag: number) =>
    found(
      table,
      "unnest(tags, levels, places, ats, states, flags) AS g(tag, priority, place, at, state, flag)",
      "g.at, g.state, g.flag",
      `g.tag = ${tag}`
    )
  const mine = "d.ctid = c.tid AND d.holder = the_member"
  return `CREATE FUNCTION ${
    table("bus_settle")
  }(the_group int4, the_member int8, keyed boolean, channel text, tags int2[], levels int2[], places int8[], ats int8[],
  states text[], flags boolean[]) RETURNS boolean LANGUAGE plpgsql ${planned} AS $body$
DECLARE
  passed text[];
  heirs int4 := 0;
BEGIN
  IF keyed THEN
    PERFORM pg_advisory_xact_lock(${classOf(table, "bus_deliveries")}, the_group);
  END IF;
  WITH gone AS (
    DELETE FROM ${table("bus_deliveries")} AS d USING ${given(0)} WHERE ${mine} RETURNING d.key
  ) SELECT array_agg(g.key) INTO passed FROM gone AS g WHERE g.key IS NOT NULL;
  WITH back AS (
    UPDATE ${table("bus_deliveries")} AS d
      SET holder = NULL, deliveries = 0, state = c.state, at = c.at, stage = 2, turn = d.turn AND NOT c.flag
      FROM ${given(1)} WHERE ${mine} RETURNING CASE WHEN c.flag THEN d.key END AS key
  ) SELECT passed || array_agg(b.key) INTO passed FROM back AS b WHERE b.key IS NOT NULL;
  UPDATE ${table("bus_deliveries")} AS d SET state = c.state, deliveries = 0 FROM ${given(2)} WHERE ${mine};
  UPDATE ${table("bus_deliveries")} AS d
    SET holder = NULL, deliveries = CASE WHEN c.flag THEN d.deliveries ELSE greatest(0, d.deliveries - 1) END
    FROM ${given(3)} WHERE ${mine};
  IF cardinality(passed) > 0 THEN
    UPDATE ${table("bus_deliveries")} AS d SET stage = 0, turn = true FROM (
      SELECT n.tid FROM (SELECT DISTINCT unnest(passed) AS key) AS k CROSS JOIN LATERAL (
        SELECT b.ctid AS tid FROM ${table("bus_deliveries")} AS b
        WHERE b.bus_group = the_group AND b.stage = 1 AND b.key = k.key ORDER BY b.place LIMIT 1
      ) AS n
    ) AS heir
    WHERE d.ctid = heir.tid;
    GET DIAGNOSTICS heirs = ROW_COUNT;
  END IF;
  IF channel IS NOT NULL THEN PERFORM pg_notify(channel, the_group::text); END IF;
  RETURN heirs > 0 OR 1 = ANY (tags) OR 3 = ANY (tags);
END $body$`
}
