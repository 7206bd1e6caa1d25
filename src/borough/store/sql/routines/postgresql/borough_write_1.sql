-- Write a plan: all of it, or nothing.
--
-- p_plan      the rows as JSON, a list of objects for each kind; addresses are in hexadecimal
-- p_expected  the number of rows that are changed or removed, each named by what was read of it
--
-- Answers with (sequence number, address) of each granted address, or with one row of nulls when there is none.
-- No rows: a row is not as it was read, and nothing was written.
--
-- The row is compared after its lock: at READ COMMITTED the server compares the newest row with the condition,
-- at REPEATABLE READ it refuses a row that has changed.
CREATE FUNCTION borough_write_1(p_plan jsonb, p_expected bigint)
RETURNS TABLE (sequence bigint, subject text) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    met bigint := 0;
    more bigint;
BEGIN
    -- Others queue for this table; they wait before they hold a row.
    LOCK TABLE borough_block IN ROW EXCLUSIVE MODE;
    IF p_plan ? 'free_ranges_removed' THEN
        DELETE FROM borough_free_range AS r
            USING jsonb_to_recordset(p_plan->'free_ranges_removed') AS made (
                old_id bigint, old_length bigint, old_cohort bigint)
            WHERE r.id = made.old_id AND r.length = made.old_length AND r.cohort_id = made.old_cohort;
        GET DIAGNOSTICS more = ROW_COUNT;
        met := met + more;
    END IF;
    IF p_plan ? 'blocks_removed' THEN
        DELETE FROM borough_block AS b
            USING jsonb_to_recordset(p_plan->'blocks_removed') AS made (
                old_id bigint, old_version bigint)
            WHERE b.id = made.old_id AND b.version = made.old_version;
        GET DIAGNOSTICS more = ROW_COUNT;
        met := met + more;
    END IF;
    -- Only bits change: no indexed column is written.
    IF p_plan ? 'bits' THEN
        UPDATE borough_block AS b
            SET bitmap = made.bitmap, free = made.free, high_water = made.high_water,
                version = b.version + 1
            FROM jsonb_to_recordset(p_plan->'bits') AS made (
                old_id bigint, old_version bigint, bitmap bigint, free int, high_water int)
            WHERE b.id = made.old_id AND b.version = made.old_version;
        GET DIAGNOSTICS more = ROW_COUNT;
        met := met + more;
    END IF;
    IF p_plan ? 'shapes' THEN
        UPDATE borough_block AS b
            SET base = decode(made.base, 'hex'), length = made.length, bitmap = made.bitmap,
                free = made.free, is_open = made.is_open, holder = made.holder,
                is_held = made.is_held, region_length = made.region_length,
                high_water = made.high_water, takeover_rank = made.takeover_rank,
                idle_since = made.idle_since, version = b.version + 1
            FROM jsonb_to_recordset(p_plan->'shapes') AS made (
                old_id bigint, old_version bigint, base text, length int, bitmap bigint, free int,
                is_open int, holder text, is_held int, region_length int, high_water int,
                takeover_rank int, idle_since bigint)
            WHERE b.id = made.old_id AND b.version = made.old_version;
        GET DIAGNOSTICS more = ROW_COUNT;
        met := met + more;
    END IF;
    IF p_plan ? 'removed' THEN
        DELETE FROM borough_allocation AS a
            USING jsonb_to_recordset(p_plan->'removed') AS made (
                old_sequence bigint, old_version bigint, old_until bigint)
            WHERE a.sequence = made.old_sequence AND a.version = made.old_version
                AND coalesce(a.until, -1) = made.old_until;
        GET DIAGNOSTICS more = ROW_COUNT;
        met := met + more;
    END IF;
    IF p_plan ? 'cooled' THEN
        UPDATE borough_allocation AS a SET until = made.until, sticky = 0, lease = 0
            FROM jsonb_to_recordset(p_plan->'cooled') AS made (
                old_sequence bigint, old_version bigint, old_until bigint, until bigint)
            WHERE a.sequence = made.old_sequence AND a.version = made.old_version
                AND coalesce(a.until, -1) = made.old_until;
        GET DIAGNOSTICS more = ROW_COUNT;
        met := met + more;
    END IF;
    IF p_plan ? 'edited' THEN
        UPDATE borough_allocation AS a
            SET owner = made.owner, host = made.host, attributes = made.attributes,
                note = made.note, until = made.until, sticky = made.sticky, lease = made.lease,
                sharers = made.sharers, version = a.version + 1
            FROM jsonb_to_recordset(p_plan->'edited') AS made (
                old_sequence bigint, old_version bigint, old_until bigint, owner text, host text,
                attributes text, note text, until bigint, sticky int, lease bigint,
                sharers text)
            WHERE a.sequence = made.old_sequence AND a.version = made.old_version
                AND coalesce(a.until, -1) = made.old_until;
        GET DIAGNOSTICS more = ROW_COUNT;
        met := met + more;
    END IF;
    -- The witness of an address that lies in no block or free range.
    IF p_plan ? 'outside' THEN
        UPDATE borough_subnet AS s SET outside = s.outside + 1
            FROM jsonb_to_recordset(p_plan->'outside') AS made (old_id bigint, old_version bigint)
            WHERE s.id = made.old_id AND s.version = made.old_version;
        GET DIAGNOSTICS more = ROW_COUNT;
        met := met + more;
    END IF;
    IF met <> p_expected THEN
        RAISE SQLSTATE 'BR001';
    END IF;

    IF p_plan ? 'free_ranges_added' THEN
        INSERT INTO borough_free_range (subnet_id, cohort_id, base, length, host_bits)
            SELECT made.subnet_id, made.cohort_id, decode(made.base, 'hex'), made.length,
                made.host_bits
            FROM jsonb_to_recordset(p_plan->'free_ranges_added') AS made (
                subnet_id bigint, cohort_id bigint, base text, length int, host_bits int);
    END IF;
    IF p_plan ? 'blocks_added' THEN
        INSERT INTO borough_block (subnet_id, cohort_id, base, length, bitmap, free, is_open, holder,
                is_held, region_length, version, high_water, takeover_rank, idle_since)
            SELECT made.subnet_id, made.cohort_id, decode(made.base, 'hex'), made.length, made.bitmap,
                made.free, made.is_open, made.holder, made.is_held, made.region_length, made.version,
                made.high_water, made.takeover_rank, made.idle_since
            FROM jsonb_to_recordset(p_plan->'blocks_added') AS made (
                subnet_id bigint, cohort_id bigint, base text, length int, bitmap bigint, free int,
                is_open int, holder text, is_held int, region_length int, version int,
                high_water int, takeover_rank int, idle_since bigint);
    END IF;
    IF p_plan ? 'granted' THEN
        -- The id of the event is the sequence number of the address.
        RETURN QUERY
        WITH granted AS (
            INSERT INTO borough_event (at, act, subject, subnet, owner, host, sequence, detail, actor,
                    cohort_id, scope, address)
                SELECT made.at, made.act, made.subject, made.subnet, made.owner, made.host,
                    made.sequence, made.detail, made.actor, made.cohort_id,
                    made.scope, decode(made.address, 'hex')
                FROM jsonb_to_recordset(p_plan->'granted') AS made (
                    at bigint, act text, subject text, subnet text, owner text, host text,
                    sequence bigint, detail text, actor text, cohort_id bigint, scope text,
                    address text)
                RETURNING id, subject
        ), allocated AS (
            INSERT INTO borough_allocation (sequence, scope_id, address, subnet_id, owner, host,
                    attributes, note, at, until, sticky, lease, sharers)
                SELECT granted.id, made.scope_id, decode(made.address, 'hex'), made.subnet_id,
                    made.owner, made.host, made.attributes, made.note, made.at,
                    made.until, made.sticky, made.lease, made.sharers
                FROM jsonb_to_recordset(p_plan->'allocations') AS made (
                    scope_id bigint, address text, subnet_id bigint, owner text, host text,
                    attributes text, note text, at bigint, until bigint, sticky int, lease bigint,
                    sharers text, subject text)
                JOIN granted ON granted.subject = made.subject
        ), keyed AS (
            INSERT INTO borough_idempotency_key (key, fingerprint, sequences, at)
                SELECT made.key, made.fingerprint, granted.id::text, made.at
                FROM jsonb_to_recordset(p_plan->'keys') AS made (
                    key text, fingerprint text, at bigint)
                CROSS JOIN granted
        )
        SELECT granted.id, granted.subject::text FROM granted;
    ELSE
        RETURN QUERY SELECT NULL::bigint, NULL::text;
    END IF;
    IF p_plan ? 'events' THEN
        INSERT INTO borough_event (at, act, subject, subnet, owner, host, sequence, detail, actor,
                cohort_id, scope, address)
            SELECT made.at, made.act, made.subject, made.subnet, made.owner, made.host,
                made.sequence, made.detail, made.actor, made.cohort_id,
                made.scope, decode(made.address, 'hex')
            FROM jsonb_to_recordset(p_plan->'events') AS made (
                at bigint, act text, subject text, subnet text, owner text, host text,
                sequence bigint, detail text, actor text, cohort_id bigint, scope text,
                    address text);
    END IF;
EXCEPTION WHEN SQLSTATE 'BR001' THEN
    -- The block of this handler has undone all; the server logs no error.
    RETURN;
END $$
