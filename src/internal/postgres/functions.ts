import * as Marks from "../store/marks.ts"

/** The functions that live in the database, one text each. They are part of the migrations: a change is a new migration. */
type Table = (name: string) => string

/**
 * Draws `n` positions in a row and the time of their recording.
 *
 * First comes a shared lock on the last position that was drawn before, held until the transaction ends: it tells readers
 * that what comes after it is not settled yet (see `head`). Then, one at a time, the positions and the time are drawn, so that
 * time never decreases with the position, whatever the clock does. That lock must not be held until the commit and
 * must not outlive an error: it is taken in a subtransaction that is always rolled back, which a sequence does not mind.
 */
export const draw = (table: Table): string =>
  `CREATE FUNCTION ${table("draw")}(n int8, OUT first int8, OUT at int8) LANGUAGE plpgsql AS $body$
DECLARE
  last int8;
BEGIN
  SELECT last_value INTO last FROM ${table("positions")};
  PERFORM pg_advisory_xact_lock_shared(
    '${table("positions")}'::regclass::oid::int8::bit(32)::int4, last::bit(32)::int4);
  BEGIN
    PERFORM pg_advisory_xact_lock('${table("log")}'::regclass::oid::int8::bit(32)::int4, 0);
    SELECT last_value + 1 INTO first FROM ${table("positions")};
    PERFORM setval('${table("positions")}', first + n - 1);
    SELECT last_value INTO last FROM ${table("clock")};
    at := floor(extract(epoch FROM clock_timestamp()) * 1000);
    IF at > last THEN
      PERFORM setval('${table("clock")}', at);
    ELSE
      at := last;
    END IF;
    RAISE EXCEPTION USING ERRCODE = 'SKDRW';
  EXCEPTION WHEN SQLSTATE 'SKDRW' THEN
    NULL;
  END;
END $body$`

/**
 * How far readers may read: the last event at or below which everything is settled.
 *
 * Whoever draws positions holds a lock on a lower one. So: the last position drawn, H; then the lowest lock, M, which is below
 * whatever of H is not settled; then, in a new snapshot, which sees all that was committed before its lock was let go, the last
 * event at or below both. It is an event, never a bare number: a number that was drawn and never committed may be drawn
 * again after a crash of the server. Locks hold 32 bits of a position; they are at most 2^31 apart.
 */
export const head = (table: Table): string =>
  `CREATE FUNCTION ${table("head")}(OUT head int8, OUT settled boolean) LANGUAGE plpgsql AS $body$
DECLARE
  last int8;
  behind int8;
BEGIN
  SELECT last_value INTO last FROM ${table("positions")};
  SELECT max(distance) INTO behind FROM (
    SELECT (last - objid::int8) & 4294967295 AS distance FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 2 AND classid = '${table("positions")}'::regclass::oid
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND pid <> pg_backend_pid()
  ) AS held WHERE distance < 2147483648;
  settled := behind IS NULL;
  last := last - coalesce(behind, 0);
  SELECT greatest(
    coalesce((SELECT position FROM ${table("events")} WHERE position <= last ORDER BY position DESC LIMIT 1), 0),
    coalesce((SELECT position FROM ${table("log")} WHERE position <= last), 0)
  ) INTO head;
END $body$`

/**
 * The first event of a tenant after a position that a query matches; `items` is the JSON of the query's, NULL for all. An item
 * with tags begins with the rarest of them, counted up to 256.
 */
export const firstMatch = (table: Table): string =>
  `CREATE FUNCTION ${table("first_match")}(owner text, items json, after int8) RETURNS int8
LANGUAGE plpgsql AS $body$
DECLARE
  item record;
  found int8;
  first int8;
  rarest text;
BEGIN
  IF items IS NULL THEN
    RETURN (SELECT position FROM ${
    table("events")
  } WHERE tenant = owner AND position > after AND type <> '${Marks.tombstoned}' ORDER BY position LIMIT 1);
  END IF;
  FOR item IN SELECT types, tags FROM json_to_recordset(items) AS given(types text[], tags text[]) LOOP
    IF coalesce(cardinality(item.tags), 0) = 0 THEN
      SELECT min(candidate.position) INTO found FROM unnest(item.types) AS wanted(type)
      CROSS JOIN LATERAL (
        SELECT position FROM ${table("events")} AS event
        WHERE event.type = wanted.type AND event.tenant = owner AND event.position > after ORDER BY position LIMIT 1
      ) AS candidate;
    ELSE
      rarest := item.tags[1];
      IF cardinality(item.tags) > 1 THEN
        SELECT wanted.tag INTO rarest FROM unnest(item.tags) AS wanted(tag) ORDER BY (
          SELECT count(*) FROM (
            SELECT FROM ${table("tags")} AS tag
            WHERE tag.tag = wanted.tag AND tag.tenant = owner AND tag.position > after LIMIT 256
          ) AS few
        ) LIMIT 1;
      END IF;
      SELECT tag.position INTO found FROM ${table("tags")} AS tag
      JOIN ${table("events")} AS event ON event.position = tag.position
      WHERE tag.tag = rarest AND tag.tenant = owner AND tag.position > after
        AND (coalesce(cardinality(item.types), 0) = 0 OR event.type = ANY (item.types))
        AND NOT EXISTS (
          SELECT FROM unnest(item.tags) AS wanted(tag) WHERE wanted.tag <> rarest AND NOT EXISTS (
            SELECT FROM ${table("tags")} AS has
            WHERE has.tag = wanted.tag AND has.tenant = owner AND has.position = tag.position
          )
        )
      ORDER BY tag.position LIMIT 1;
    END IF;
    first := least(first, found);
  END LOOP;
  RETURN first;
END $body$`

/**
 * Removes the events of a stream below a version, for ever, and remembers their ids. With a position to come, of a mark, it
 * ends the stream: all its events are removed, and the mark is the last. Answers with what the stream was: its version, and
 * whether it was tombstoned. Refuses what its caller must refuse. `l_` are the locks that it needs, in the order of all.
 */
export const remove = (table: Table): string =>
  `CREATE FUNCTION ${table("remove")}(
  owner text, name text, l_key int4[], l_exclusive boolean[], before int8, expected int8, ending boolean,
  m_category text, m_id text, m_schema_version int4, m_format text, m_payload text, m_bytes bytea, m_metadata text,
  m_correlation text, m_source text, m_occurred int8, m_content text, channel text,
  OUT version int8, OUT tombstoned boolean, OUT fits boolean
) LANGUAGE plpgsql AS $body$
#variable_conflict use_column
DECLARE
  class CONSTANT int4 := '${table("events")}'::regclass::oid::int8::bit(32)::int4;
  bound int8 := before;
  last int8;
  at int8;
BEGIN
  FOR i IN 1 .. cardinality(l_key) LOOP
    IF l_exclusive[i] THEN
      PERFORM pg_advisory_xact_lock(class, l_key[i]);
    ELSE
      PERFORM pg_advisory_xact_lock_shared(class, l_key[i]);
    END IF;
  END LOOP;
  SELECT greatest(
    coalesce((SELECT max(event.version) FROM ${table("events")} AS event WHERE stream = name AND tenant = owner), 0),
    coalesce(mark.version, 0)
  ), coalesce(mark.tombstoned, false) INTO version, tombstoned
  FROM (SELECT 1) AS one LEFT JOIN ${table("marks")} AS mark ON mark.stream = name AND mark.tenant = owner;
  fits := version > 0 AND NOT tombstoned AND CASE WHEN ending
    THEN expected = -1 OR expected = version OR (expected = -2 AND version > 0)
    ELSE before <= version + 1
  END;
  IF NOT fits THEN
    RETURN;
  END IF;
  IF ending THEN
    bound := version + 1;
  END IF;
  SELECT max(event.position) INTO last FROM ${table("events")} AS event
  WHERE event.stream = name AND event.tenant = owner AND event.version < bound;
  UPDATE ${table("log")} SET position = last WHERE position < last;
  INSERT INTO ${table("retired")} (id, tenant, stream, version, position, recorded_at, content)
  SELECT event.id, event.tenant, event.stream, event.version, event.position, event.recorded_at, event.content
  FROM ${table("events")} AS event WHERE event.stream = name AND event.tenant = owner AND event.version < bound;
  DELETE FROM ${table("tags")} AS tag USING ${
    table("events")
  } AS event, json_array_elements_text(event.tags::json) AS has(tag)
  WHERE event.stream = name AND event.tenant = owner AND event.version < bound
    AND tag.tag = has.tag AND tag.tenant = owner AND tag.position = event.position;
  DELETE FROM ${table("events")} AS event WHERE event.stream = name AND event.tenant = owner AND event.version < bound;
  INSERT INTO ${table("marks")} AS mark (stream, tenant, version, first_version, tombstoned)
  VALUES (name, owner, ${table("remove")}.version, bound, ending)
  ON CONFLICT ON CONSTRAINT ${table("marks")}_pkey DO UPDATE SET
    version = excluded.version, first_version = greatest(mark.first_version, excluded.first_version), tombstoned = ending;
  IF ending THEN
    SELECT drawn.first, drawn.at INTO last, at FROM ${table("draw")}(1) AS drawn;
    INSERT INTO ${table("events")} (
      position, version, occurred_at, recorded_at, schema_version, tenant, stream, category, id, type, format,
      correlation_id, source, tags, content, metadata, payload, payload_bytes
    )
    VALUES (
      last, ${table("remove")}.version + 1, m_occurred, at, m_schema_version, owner, name, m_category, m_id,
      '${Marks.tombstoned}', m_format, m_correlation, m_source, NULL, m_content, m_metadata, m_payload, m_bytes
    );
    IF channel <> '' THEN
      PERFORM pg_notify(channel, '');
    END IF;
  END IF;
END $body$`
