/** The function that appends. It is part of the migrations: a change is a new migration. */
type Table = (name: string) => string

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
