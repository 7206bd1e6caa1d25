-- Write a decision about one address in a transaction of its own: all of it, or nothing.
--
-- p_plan      the rows as JSON, a list of objects for each kind; addresses are in hexadecimal
-- p_expected  the number of rows that are changed or removed, each named by what was read of it
-- p_call      the number of the call; the session keeps it with the answer, because a statement may be
--             interrupted between its commit and its answer
--
-- Answers with the sequence number of the address, or null when a row is not as it was read.
--
-- Texts name their character set, because that of the database may be another one.
--
-- All transactions lock in one order: free ranges, blocks, allocations, subnets; each row by its key.
CREATE PROCEDURE borough_write_1(
    IN p_plan LONGTEXT CHARACTER SET utf8mb4, IN p_expected INT, IN p_call BIGINT)
MODIFIES SQL DATA
SQL SECURITY INVOKER
BEGIN
    DECLARE found INT DEFAULT 0;
    DECLARE the_sequence BIGINT;
    DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;

    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION;

    IF JSON_EXISTS(p_plan, '$.free_ranges_removed') THEN
        DELETE old FROM JSON_TABLE(p_plan, '$.free_ranges_removed[*]' COLUMNS (
                old_id BIGINT PATH '$.old_id', old_length BIGINT PATH '$.old_length',
                old_cohort BIGINT PATH '$.old_cohort')) AS made
            STRAIGHT_JOIN borough_free_range AS old FORCE INDEX (PRIMARY)
            ON old.id = made.old_id AND old.length = made.old_length
                AND old.cohort_id = made.old_cohort;
        SET found = found + ROW_COUNT();
    END IF;
    IF JSON_EXISTS(p_plan, '$.blocks_removed') THEN
        DELETE old FROM JSON_TABLE(p_plan, '$.blocks_removed[*]' COLUMNS (
                old_id BIGINT PATH '$.old_id', old_version BIGINT PATH '$.old_version')) AS made
            STRAIGHT_JOIN borough_block AS old FORCE INDEX (PRIMARY)
            ON old.id = made.old_id AND old.version = made.old_version;
        SET found = found + ROW_COUNT();
    END IF;
    -- Only bits change: no indexed column is written.
    IF JSON_EXISTS(p_plan, '$.bits') THEN
        UPDATE JSON_TABLE(p_plan, '$.bits[*]' COLUMNS (
                old_id BIGINT PATH '$.old_id', old_version BIGINT PATH '$.old_version',
                bitmap BIGINT PATH '$.bitmap', free SMALLINT PATH '$.free',
                high_water SMALLINT PATH '$.high_water')) AS made
            STRAIGHT_JOIN borough_block AS old FORCE INDEX (PRIMARY)
            ON old.id = made.old_id AND old.version = made.old_version
            SET old.bitmap = made.bitmap, old.free = made.free,
                old.high_water = made.high_water, old.version = old.version + 1;
        SET found = found + ROW_COUNT();
    END IF;
    IF JSON_EXISTS(p_plan, '$.shapes') THEN
        UPDATE JSON_TABLE(p_plan, '$.shapes[*]' COLUMNS (
                old_id BIGINT PATH '$.old_id', old_version BIGINT PATH '$.old_version',
                base VARCHAR(32) PATH '$.base', length SMALLINT PATH '$.length',
                bitmap BIGINT PATH '$.bitmap', free SMALLINT PATH '$.free',
                is_open SMALLINT PATH '$.is_open',
                holder VARCHAR(320) CHARACTER SET utf8mb4 PATH '$.holder',
                is_held SMALLINT PATH '$.is_held', region_length SMALLINT PATH '$.region_length',
                high_water SMALLINT PATH '$.high_water',
                takeover_rank SMALLINT PATH '$.takeover_rank',
                idle_since BIGINT PATH '$.idle_since')) AS made
            STRAIGHT_JOIN borough_block AS old FORCE INDEX (PRIMARY)
            ON old.id = made.old_id AND old.version = made.old_version
            SET old.base = UNHEX(made.base), old.length = made.length, old.bitmap = made.bitmap,
                old.free = made.free, old.is_open = made.is_open, old.holder = made.holder,
                old.is_held = made.is_held, old.region_length = made.region_length,
                old.high_water = made.high_water, old.takeover_rank = made.takeover_rank,
                old.idle_since = made.idle_since, old.version = old.version + 1;
        SET found = found + ROW_COUNT();
    END IF;
    -- A cooling or reserved address that was asked for by its name.
    IF JSON_EXISTS(p_plan, '$.removed') THEN
        DELETE old FROM JSON_TABLE(p_plan, '$.removed[*]' COLUMNS (
                old_sequence BIGINT PATH '$.old_sequence',
                old_version BIGINT PATH '$.old_version',
                old_until BIGINT PATH '$.old_until')) AS made
            STRAIGHT_JOIN borough_allocation AS old FORCE INDEX (PRIMARY)
            ON old.sequence = made.old_sequence AND old.version = made.old_version
                AND COALESCE(old.until, -1) = made.old_until;
        SET found = found + ROW_COUNT();
    END IF;
    -- The witness of an address that lies in no block or free range.
    IF JSON_EXISTS(p_plan, '$.outside') THEN
        UPDATE JSON_TABLE(p_plan, '$.outside[*]' COLUMNS (
                old_id BIGINT PATH '$.old_id', old_version BIGINT PATH '$.old_version')) AS made
            STRAIGHT_JOIN borough_subnet AS old FORCE INDEX (PRIMARY)
            ON old.id = made.old_id AND old.version = made.old_version
            SET old.outside = old.outside + 1;
        SET found = found + ROW_COUNT();
    END IF;

    IF found = p_expected THEN
        -- Row by row: INSERT … SELECT would keep the lock on ids while it waits for a place that another
        -- transaction has locked, which is a deadlock.
        FOR made IN (SELECT * FROM JSON_TABLE(p_plan, '$.free_ranges_added[*]' COLUMNS (
                subnet_id BIGINT PATH '$.subnet_id', cohort_id BIGINT PATH '$.cohort_id',
                base VARCHAR(32) PATH '$.base', length SMALLINT PATH '$.length',
                host_bits SMALLINT PATH '$.host_bits')) AS listed) DO
            INSERT INTO borough_free_range (subnet_id, cohort_id, base, length, host_bits)
                VALUES (made.subnet_id, made.cohort_id, UNHEX(made.base), made.length, made.host_bits);
        END FOR;
        FOR made IN (SELECT * FROM JSON_TABLE(p_plan, '$.blocks_added[*]' COLUMNS (
                subnet_id BIGINT PATH '$.subnet_id', cohort_id BIGINT PATH '$.cohort_id',
                base VARCHAR(32) PATH '$.base', length SMALLINT PATH '$.length',
                bitmap BIGINT PATH '$.bitmap', free SMALLINT PATH '$.free',
                is_open SMALLINT PATH '$.is_open',
                holder VARCHAR(320) CHARACTER SET utf8mb4 PATH '$.holder',
                is_held SMALLINT PATH '$.is_held', region_length SMALLINT PATH '$.region_length',
                version BIGINT PATH '$.version', high_water SMALLINT PATH '$.high_water',
                takeover_rank SMALLINT PATH '$.takeover_rank',
                idle_since BIGINT PATH '$.idle_since')) AS listed) DO
            INSERT INTO borough_block (subnet_id, cohort_id, base, length, bitmap, free, is_open,
                    holder, is_held, region_length, version, high_water, takeover_rank, idle_since)
                VALUES (made.subnet_id, made.cohort_id, UNHEX(made.base), made.length, made.bitmap,
                    made.free, made.is_open, made.holder, made.is_held, made.region_length,
                    made.version, made.high_water, made.takeover_rank, made.idle_since);
        END FOR;
        -- The id of the event is the sequence number of the address. INSERT … SELECT and not VALUES: InnoDB
        -- then holds the lock on ids until the row exists, on which readers of events rely.
        INSERT INTO borough_event (at, act, subject, subnet, owner, host, sequence, detail, actor,
                cohort_id, scope, address)
            SELECT at, act, subject, subnet, owner, host, sequence, detail, actor, cohort_id, scope,
                UNHEX(address)
            FROM JSON_TABLE(p_plan, '$.granted[*]' COLUMNS (
                at BIGINT PATH '$.at', act VARCHAR(16) CHARACTER SET utf8mb4 PATH '$.act',
                subject VARCHAR(255) CHARACTER SET utf8mb4 PATH '$.subject',
                subnet VARCHAR(255) CHARACTER SET utf8mb4 PATH '$.subnet',
                owner VARCHAR(255) CHARACTER SET utf8mb4 PATH '$.owner',
                host VARCHAR(255) CHARACTER SET utf8mb4 PATH '$.host',
                sequence BIGINT PATH '$.sequence',
                detail MEDIUMTEXT CHARACTER SET utf8mb4 PATH '$.detail',
                actor VARCHAR(255) CHARACTER SET utf8mb4 PATH '$.actor',
                cohort_id BIGINT PATH '$.cohort_id',
                scope VARCHAR(255) CHARACTER SET utf8mb4 PATH '$.scope',
                address VARCHAR(32) PATH '$.address')) AS made;
        SET the_sequence = LAST_INSERT_ID();
        INSERT INTO borough_allocation (sequence, scope_id, address, subnet_id, owner, host,
                attributes, note, at, until, sticky, lease, sharers)
            SELECT the_sequence, scope_id, UNHEX(address), subnet_id, owner, host, attributes, note, at,
                until, sticky, lease, sharers
            FROM JSON_TABLE(p_plan, '$.allocations[*]' COLUMNS (
                scope_id BIGINT PATH '$.scope_id', address VARCHAR(32) PATH '$.address',
                subnet_id BIGINT PATH '$.subnet_id',
                owner VARCHAR(255) CHARACTER SET utf8mb4 PATH '$.owner',
                host VARCHAR(255) CHARACTER SET utf8mb4 PATH '$.host',
                attributes MEDIUMTEXT CHARACTER SET utf8mb4 PATH '$.attributes',
                note MEDIUMTEXT CHARACTER SET utf8mb4 PATH '$.note', at BIGINT PATH '$.at',
                until BIGINT PATH '$.until', sticky SMALLINT PATH '$.sticky',
                lease BIGINT PATH '$.lease',
                sharers MEDIUMTEXT CHARACTER SET utf8mb4 PATH '$.sharers')) AS made;
        IF JSON_EXISTS(p_plan, '$.keys') THEN
            INSERT INTO borough_idempotency_key (`key`, fingerprint, sequences, at)
                SELECT `key`, fingerprint, the_sequence, at
                FROM JSON_TABLE(p_plan, '$.keys[*]' COLUMNS (`key` VARCHAR(255) CHARACTER SET utf8mb4 PATH '$.key',
                    fingerprint VARCHAR(64) CHARACTER SET utf8mb4 PATH '$.fingerprint',
                    at BIGINT PATH '$.at')) AS made;
        END IF;
        IF JSON_EXISTS(p_plan, '$.events') THEN
            INSERT INTO borough_event (at, act, subject, subnet, owner, host, sequence, detail, actor,
                    cohort_id, scope, address)
                SELECT at, act, subject, subnet, owner, host, sequence, detail, actor, cohort_id, scope,
                    UNHEX(address)
                FROM JSON_TABLE(p_plan, '$.events[*]' COLUMNS (
                    at BIGINT PATH '$.at', act VARCHAR(16) CHARACTER SET utf8mb4 PATH '$.act',
                    subject VARCHAR(255) CHARACTER SET utf8mb4 PATH '$.subject',
                    subnet VARCHAR(255) CHARACTER SET utf8mb4 PATH '$.subnet',
                    owner VARCHAR(255) CHARACTER SET utf8mb4 PATH '$.owner',
                    host VARCHAR(255) CHARACTER SET utf8mb4 PATH '$.host',
                    sequence BIGINT PATH '$.sequence',
                    detail MEDIUMTEXT CHARACTER SET utf8mb4 PATH '$.detail',
                    actor VARCHAR(255) CHARACTER SET utf8mb4 PATH '$.actor',
                    cohort_id BIGINT PATH '$.cohort_id',
                    scope VARCHAR(255) CHARACTER SET utf8mb4 PATH '$.scope',
                    address VARCHAR(32) PATH '$.address')) AS made;
        END IF;
        SET @borough_call = p_call, @borough_answer = the_sequence;
        COMMIT;
    ELSE
        ROLLBACK;
    END IF;
    SELECT the_sequence;
END
