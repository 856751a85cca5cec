import * as Marks from "./marks.ts"

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
 * One or several appends in one call.
 *
 * Arrays describe them flat: appends `e_`, their streams `g_`, their events `r_`, their tags `t_`; an append says where its
 * own end in each. Arrays of text come as text that is cut after each element, so that there is an empty one at the end; types,
 * formats, sources and lists of tags, which are never empty, come cut between them, and only one where all are the same. They are unfolded, never looked into by number: that would take as long as
 * the array is, for each event. The first `plain` appends have no condition. `l_` are the locks that they need, in an order that is the
 * same for everybody; with `wait` false, one that is taken by another makes the call answer at once and write nothing.
 *
 * Each answer is about the appends `from_entry` to `to_entry`: `busy` (these locks are taken), `ok` (written: the first
 * position, the time, the version each stream was at), `known` (ids that are known, to be judged), `versions` (an expectation is
 * not met, -1 is a tombstone) or `matched` (the position of what the condition excludes).
 *
 * All plain appends are first tried together, as if nothing were in their way: the unique index refuses ids that are known
 * already. Only when something is, each is judged for itself and with care, ids first.
 */
export const append = (table: Table): string =>
  `CREATE FUNCTION ${table("append")}(
  wait boolean, plain int4, l_key int4[], l_exclusive boolean[],
  e_tenants text, e_groups int4[], e_rows int4[], e_tags int4[], e_query text[], e_after int8[],
  g_tenants text, g_streams text, g_categories text, g_expected int8[], g_count int4[],
  r_group int4[], r_number int4[], r_ids text, r_types text, r_schema_version int4[], r_formats text,
  r_payloads text, r_bytes bytea[], r_metadatas text, r_correlations text, r_sources text, r_tag_lists text,
  r_occurred int8[], r_contents text, t_row int4[], t_tags text, channel text
) RETURNS TABLE (
  outcome text, from_entry int4, to_entry int4, first int8, at int8, versions int8[], known text
) LANGUAGE plpgsql AS $body$
#variable_conflict use_column
DECLARE
  class CONSTANT int4 := '${table("events")}'::regclass::oid::int8::bit(32)::int4;
  entries CONSTANT int4 := cardinality(e_groups);
  groups CONSTANT int4 := cardinality(g_count) + least(cardinality(g_count), 1);
  rows CONSTANT int4 := cardinality(r_group) + least(cardinality(r_group), 1);
${
    [
      ["e_tenant", "e_tenants"],
      ["g_tenant", "g_tenants"],
      ["g_stream", "g_streams"],
      ["g_category", "g_categories"],
      ["r_id", "r_ids"],
      ["r_type", "r_types"],
      ["r_format", "r_formats"],
      ["r_payload", "r_payloads"],
      ["r_metadata", "r_metadatas"],
      ["r_correlation", "r_correlations"],
      ["r_source", "r_sources"],
      ["r_tags", "r_tag_lists"],
      ["r_content", "r_contents"],
      ["t_tag", "t_tags"]
    ].map(([list, text]) => `  ${list} CONSTANT text[] := string_to_array(${text}, E'\\x1f', E'\\x1e');`).join("\n")
  }
  tagged CONSTANT boolean := cardinality(r_tags) <> 1;
  taken int8[];
  got boolean;
  careful boolean := false;
  fits boolean;
  gl int4; gh int4; rl int4; rh int4; tl int4; th int4;
BEGIN
  IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
    RAISE EXCEPTION 'an append needs a READ COMMITTED transaction: it must see what was committed while it waited'
      USING ERRCODE = 'invalid_transaction_state';
  END IF;
  IF (rows = ALL (ARRAY[cardinality(r_id), cardinality(r_payload), cardinality(r_metadata), cardinality(r_correlation),
      cardinality(r_content)])
    AND groups = ALL (ARRAY[cardinality(g_tenant), cardinality(g_stream), cardinality(g_category)])
    AND cardinality(e_tenant) = entries + least(entries, 1)
    AND cardinality(t_tag) = cardinality(t_row) + least(cardinality(t_row), 1)
    AND cardinality(r_type) IN (1, cardinality(r_group)) AND cardinality(r_format) IN (1, cardinality(r_group))
    AND cardinality(r_source) IN (1, cardinality(r_group)) AND cardinality(r_tags) IN (1, cardinality(r_group))) IS NOT TRUE
  THEN
    RAISE EXCEPTION 'a name holds a control character' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  FOR i IN 1 .. cardinality(l_key) LOOP
    IF wait THEN
      IF l_exclusive[i] THEN
        PERFORM pg_advisory_xact_lock(class, l_key[i]);
      ELSE
        PERFORM pg_advisory_xact_lock_shared(class, l_key[i]);
      END IF;
    ELSE
      IF l_exclusive[i] THEN
        got := pg_try_advisory_xact_lock(class, l_key[i]);
      ELSE
        got := pg_try_advisory_xact_lock_shared(class, l_key[i]);
      END IF;
      IF NOT got THEN
        taken := taken || i::int8;
      END IF;
    END IF;
  END LOOP;
  IF taken IS NOT NULL THEN
    outcome := 'busy';
    versions := taken;
    RETURN NEXT;
    RETURN;
  END IF;

  from_entry := 1;
  to_entry := greatest(plain, 1);
  WHILE from_entry <= entries LOOP
    outcome := NULL;
    first := NULL;
    known := NULL;
    versions := NULL;
    IF from_entry = 1 THEN
      gl := 1; rl := 1; tl := 1;
    ELSE
      gl := e_groups[from_entry - 1] + 1; rl := e_rows[from_entry - 1] + 1; tl := e_tags[from_entry - 1] + 1;
    END IF;
    gh := e_groups[to_entry]; rh := e_rows[to_entry]; th := e_tags[to_entry];

    IF careful THEN
      SELECT json_agg(json_build_array(id, stream, version, position, recorded_at, content))::text INTO known FROM (
        SELECT id, stream, version, position, recorded_at, content FROM ${table("events")}
        WHERE id = ANY (r_id[rl:rh]) AND tenant = e_tenant[from_entry]
        UNION ALL
        SELECT id, stream, version, position, recorded_at, content FROM ${table("retired")}
        WHERE id = ANY (r_id[rl:rh]) AND tenant = e_tenant[from_entry]
      ) AS found;
      IF known IS NOT NULL THEN
        outcome := 'known';
      END IF;
    ELSIF EXISTS (SELECT FROM ${table("retired")}) THEN
      fits := NOT EXISTS (
        SELECT FROM unnest(r_id[rl:rh], r_group[rl:rh]) AS r(id, g)
        WHERE EXISTS (SELECT FROM ${table("retired")} AS old WHERE old.id = r.id AND old.tenant = g_tenant[r.g])
      );
      IF NOT fits THEN
        outcome := 'look';
      END IF;
    END IF;

    IF outcome IS NULL THEN
      SELECT array_agg(stood.version ORDER BY stood.i), bool_and(
        stood.version >= 0 AND
        (stood.expected = -1 OR stood.expected = stood.version OR (stood.expected = -2 AND stood.version > 0))
      ) INTO versions, fits FROM (
        SELECT g.i, g.expected, CASE WHEN mark.tombstoned THEN -1 ELSE
          greatest(coalesce(last.version, 0), coalesce(mark.version, 0)) + coalesce(
            sum(g.n) OVER (PARTITION BY g.tenant, g.stream ORDER BY g.i ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)
          END AS version
        FROM unnest(g_tenant[gl:gh], g_stream[gl:gh], g_expected[gl:gh], g_count[gl:gh])
          WITH ORDINALITY AS g(tenant, stream, expected, n, i)
        LEFT JOIN LATERAL (
          SELECT event.version FROM ${table("events")} AS event
          WHERE event.stream = g.stream AND event.tenant = g.tenant ORDER BY event.version DESC LIMIT 1
        ) AS last ON true
        LEFT JOIN LATERAL (
          SELECT m.version, m.tombstoned FROM ${table("marks")} AS m
          WHERE m.stream = g.stream AND m.tenant = g.tenant LIMIT 1
        ) AS mark ON true
      ) AS stood;
      IF NOT fits THEN
        outcome := 'versions';
      ELSIF from_entry > plain THEN
        first := ${table("first_match")}(e_tenant[from_entry], e_query[from_entry]::json, e_after[from_entry]);
        IF first IS NOT NULL THEN
          outcome := 'matched';
        END IF;
      END IF;
    END IF;

    IF outcome IS NULL THEN
      BEGIN
        SELECT drawn.first, drawn.at INTO first, at FROM ${table("draw")}(rh - rl + 1) AS drawn;
        INSERT INTO ${table("events")} (
          position, version, occurred_at, recorded_at, schema_version, tenant, stream, category, id, type, format,
          correlation_id, source, tags, content, metadata, payload, payload_bytes
        )
        SELECT first + r.i - 1, versions[r.g - gl + 1] + r.number, r.occurred, at,
          coalesce(r.schema_version, r_schema_version[1]), g_tenant[r.g], g_stream[r.g], g_category[r.g], r.id,
          coalesce(r.type, r_type[1]), coalesce(r.format, r_format[1]), r.correlation, coalesce(r.source, r_source[1]),
          CASE WHEN tagged THEN r.tags ELSE r_tags[1] END, r.content, r.metadata, r.payload, r.bytes
        FROM unnest(
          r_group[rl:rh], r_number[rl:rh], r_id[rl:rh], r_type[rl:rh], r_schema_version[rl:rh], r_format[rl:rh],
          r_payload[rl:rh], r_bytes[rl:rh], r_metadata[rl:rh], r_correlation[rl:rh], r_source[rl:rh], r_tags[rl:rh],
          r_occurred[rl:rh], r_content[rl:rh]
        ) WITH ORDINALITY AS r(
          g, number, id, type, schema_version, format, payload, bytes, metadata, correlation, source, tags, occurred,
          content, i
        );
        IF th >= tl THEN
          INSERT INTO ${table("tags")} (tag, tenant, position)
          SELECT t.tag, g_tenant[r_group[t.r]], first + t.r - rl FROM unnest(t_row[tl:th], t_tag[tl:th]) AS t(r, tag);
        END IF;
        outcome := 'ok';
      EXCEPTION WHEN unique_violation THEN
        -- An id is known: since long ago, or since a moment ago, by another who has committed while this waited.
        IF careful THEN
          CONTINUE;
        END IF;
        outcome := 'look';
      END;
    END IF;

    IF outcome <> 'ok' AND NOT careful THEN
      careful := true;
      to_entry := from_entry;
      CONTINUE;
    END IF;
    RETURN NEXT;
    from_entry := to_entry + 1;
    to_entry := from_entry;
    careful := careful AND from_entry <= plain;
  END LOOP;
  IF channel <> '' THEN
    PERFORM pg_notify(channel, '');
  END IF;
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
