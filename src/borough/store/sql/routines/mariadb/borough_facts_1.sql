-- What a decision about one address needs, in one snapshot: rows of (fact, the columns of a block).
-- No answer when the declared objects are not those of the caller: it would combine the rows of a subnet with
-- its old ranges.
--
-- fact 0   the block or free range that was offered or named
-- fact 1   the blocks that the claimant holds in the cohorts or subnets of its rung
-- fact 2   free ranges: the buddies of these regions, those in the buddies of regions of less than 64 addresses,
--          and those around the offered free range
-- fact 3   the blocks in the region that the offered block is part of, of another holder
-- fact 4   the blocks in the buddies of regions of less than 64 addresses
--
-- p_version the version of the catalogue that the caller knows
-- p_kind    0 for a block, 1 for a free range
-- p_piece   its id
-- p_column  cohort_id or subnet_id: what p_ids lists, separated by commas
CREATE PROCEDURE borough_facts_1(
    IN p_version BIGINT,
    IN p_kind SMALLINT,
    IN p_piece BIGINT,
    IN p_claimant VARCHAR(320) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin,
    IN p_column VARCHAR(16) CHARACTER SET ascii,
    IN p_ids LONGTEXT CHARACTER SET ascii)
READS SQL DATA
SQL SECURITY INVOKER
facts: BEGIN
    DECLARE the_subnet BIGINT;
    DECLARE the_base, the_first, the_last VARBINARY(16);
    DECLARE the_length, the_region, the_byte, the_bits SMALLINT;
    DECLARE the_holder VARCHAR(320) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin DEFAULT '';

    START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY;
    IF NOT EXISTS (SELECT 1 FROM borough_meta WHERE catalogue_version = p_version) THEN
        COMMIT;
        LEAVE facts;
    END IF;
    IF p_kind = 0 THEN
        SELECT subnet_id, base, length, region_length, holder
            INTO the_subnet, the_base, the_length, the_region, the_holder
            FROM borough_block WHERE id = p_piece;
    ELSE
        -- A piece of 32 to 256 addresses is compared with those around it: see
        -- borough.domain.policy.placement.
        SELECT r.subnet_id, r.base, r.length,
                IF(r.host_bits BETWEEN 5 AND 8, GREATEST(r.length - 8, s.length), r.length)
            INTO the_subnet, the_base, the_length, the_region
            FROM borough_free_range AS r JOIN borough_subnet AS s ON s.id = r.subnet_id
            WHERE r.id = p_piece;
    END IF;
    IF p_claimant <> '' AND the_region > 0 THEN
        -- The first and the last address of the region.
        SET the_byte = the_region DIV 8, the_bits = 1 << (8 - MOD(the_region, 8));
        SET the_first = the_base, the_last = the_base;
        IF the_byte < LENGTH(the_base) THEN
            SET the_first = CONCAT(LEFT(the_base, the_byte),
                CHAR(ORD(SUBSTRING(the_base, the_byte + 1, 1)) & (256 - the_bits)),
                REPEAT(CHAR(0), LENGTH(the_base) - the_byte - 1));
            SET the_last = CONCAT(LEFT(the_base, the_byte),
                CHAR(ORD(SUBSTRING(the_base, the_byte + 1, 1)) | (the_bits - 1)),
                REPEAT(CHAR(255), LENGTH(the_base) - the_byte - 1));
        END IF;
    END IF;

    SELECT 0 AS fact, id, subnet_id, cohort_id, base, length, bitmap, holder, region_length,
            version, high_water, idle_since
        FROM borough_block WHERE p_kind = 0 AND id = p_piece
    UNION ALL
    SELECT 0, id, subnet_id, cohort_id, base, length, 0, '', 0, 0, 0, 0
        FROM borough_free_range WHERE p_kind = 1 AND id = p_piece
    UNION ALL
    SELECT 1, id, subnet_id, cohort_id, base, length, bitmap, holder, region_length,
            version, high_water, idle_since
        FROM borough_block FORCE INDEX (ix_borough_block_held)
        WHERE p_claimant <> '' AND holder = p_claimant
            AND FIND_IN_SET(IF(p_column = 'cohort_id', cohort_id, subnet_id), p_ids)
    UNION ALL
    SELECT 2, r.id, r.subnet_id, r.cohort_id, r.base, r.length, 0, '', 0, 0, 0, 0
        FROM (
            -- The buddy of a region: the last bit of its prefix differs.
            SELECT DISTINCT k.subnet_id, k.region_length, CONCAT(
                LEFT(k.base, (k.region_length - 1) DIV 8),
                CHAR((ORD(SUBSTRING(k.base, (k.region_length - 1) DIV 8 + 1, 1))
                        ^ (1 << (7 - MOD(k.region_length - 1, 8))))
                    & (256 - (1 << (7 - MOD(k.region_length - 1, 8))))),
                REPEAT(CHAR(0), LENGTH(k.base) - (k.region_length - 1) DIV 8 - 1)) AS buddy
            FROM borough_block AS k FORCE INDEX (ix_borough_block_held)
            WHERE p_kind = 1 AND p_claimant <> '' AND k.holder = p_claimant
                AND k.region_length > 0
                AND FIND_IN_SET(IF(p_column = 'cohort_id', k.cohort_id, k.subnet_id), p_ids)
        ) AS region STRAIGHT_JOIN borough_free_range AS r
            FORCE INDEX (uq_borough_free_range_subnet_base)
            ON r.subnet_id = region.subnet_id AND r.base BETWEEN region.buddy AND IF(
                    LENGTH(region.buddy) * 8 - region.region_length < 6,
                    CONCAT(LEFT(region.buddy, LENGTH(region.buddy) - 1), CHAR(ORD(RIGHT(region.buddy, 1))
                        | ((1 << (LENGTH(region.buddy) * 8 - region.region_length)) - 1))),
                    region.buddy)
                AND (r.length = region.region_length OR r.length > region.region_length
                    AND LENGTH(region.buddy) * 8 - region.region_length < 6)
    UNION ALL
    SELECT 4, b.id, b.subnet_id, b.cohort_id, b.base, b.length, b.bitmap, b.holder,
            b.region_length, b.version, b.high_water, b.idle_since
        FROM (
            SELECT DISTINCT k.subnet_id, k.region_length, CONCAT(
                LEFT(k.base, LENGTH(k.base) - 1),
                CHAR((ORD(RIGHT(k.base, 1)) ^ (1 << (LENGTH(k.base) * 8 - k.region_length)))
                    & (256 - (1 << (LENGTH(k.base) * 8 - k.region_length))))) AS buddy
            FROM borough_block AS k FORCE INDEX (ix_borough_block_held)
            WHERE p_kind = 1 AND p_claimant <> '' AND k.holder = p_claimant
                AND k.region_length > LENGTH(k.base) * 8 - 6
                AND FIND_IN_SET(IF(p_column = 'cohort_id', k.cohort_id, k.subnet_id), p_ids)
        ) AS region STRAIGHT_JOIN borough_block AS b FORCE INDEX (uq_borough_block_subnet_base)
            ON b.subnet_id = region.subnet_id AND b.base BETWEEN region.buddy AND CONCAT(
                LEFT(region.buddy, LENGTH(region.buddy) - 1), CHAR(ORD(RIGHT(region.buddy, 1))
                    | ((1 << (LENGTH(region.buddy) * 8 - region.region_length)) - 1)))
    UNION ALL
    SELECT 2, r.id, r.subnet_id, r.cohort_id, r.base, r.length, 0, '', 0, 0, 0, 0
        FROM borough_free_range AS r FORCE INDEX (uq_borough_free_range_subnet_base)
        WHERE p_kind = 1 AND p_claimant <> '' AND the_region < the_length
            AND r.subnet_id = the_subnet AND r.base BETWEEN the_first AND the_last
            AND r.length <= the_length + 1
    UNION ALL
    SELECT 3, k.id, k.subnet_id, k.cohort_id, k.base, k.length, k.bitmap, k.holder,
            k.region_length, k.version, k.high_water, k.idle_since
        FROM borough_block AS k FORCE INDEX (uq_borough_block_subnet_base)
        WHERE p_kind = 0 AND p_claimant <> '' AND the_holder <> '' AND the_holder <> p_claimant
            AND k.subnet_id = the_subnet AND k.base BETWEEN the_first AND the_last;
    COMMIT;
END
