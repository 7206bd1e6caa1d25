-- What a decision about one address needs, by the snapshot of the statement that calls this function: a list
-- of [fact, the columns of a block]; null for none.
--
-- fact 0   the block or free range that was offered or named
-- fact 1   the blocks that the claimant holds in the cohorts or subnets of its rung
-- fact 2   free ranges: the buddies of these regions, those in the buddies of regions of less than 64 addresses,
--          and those around the offered free range
-- fact 3   the blocks in the region that the offered block is part of, of another holder
-- fact 4   the blocks in the buddies of regions of less than 64 addresses
--
-- p_kind    0 for a block, 1 for a free range
-- p_piece   its id
-- p_column  cohort_id or subnet_id: what p_ids lists
CREATE FUNCTION borough_facts_1(
    p_kind bigint, p_piece bigint, p_claimant text, p_column text, p_ids bigint[])
RETURNS json LANGUAGE plpgsql STABLE AS $$
DECLARE
    the_subnet bigint;
    the_base bytea;
    the_first bytea;
    the_last bytea;
    the_length int;
    the_region int := 0;
    the_holder text := '';
    the_byte int;
    the_bits int;
BEGIN
    IF p_kind = 0 THEN
        SELECT b.subnet_id, b.base, b.length, b.region_length, b.holder
            INTO the_subnet, the_base, the_length, the_region, the_holder
            FROM borough_block AS b WHERE b.id = p_piece;
    ELSE
        -- A piece of 32 to 256 addresses is compared with those around it: see
        -- borough.domain.policy.placement.
        SELECT r.subnet_id, r.base, r.length, CASE WHEN r.host_bits BETWEEN 5 AND 8
                THEN GREATEST(r.length - 8, s.length) ELSE r.length END
            INTO the_subnet, the_base, the_length, the_region
            FROM borough_free_range AS r JOIN borough_subnet AS s ON s.id = r.subnet_id
            WHERE r.id = p_piece;
    END IF;
    IF p_claimant <> '' AND the_region > 0 THEN
        -- The first and the last address of the region.
        the_byte := the_region / 8;
        the_bits := 1 << (8 - mod(the_region, 8));
        the_first := the_base;
        the_last := the_base;
        IF the_byte < length(the_base) THEN
            the_first := substring(the_base FOR the_byte)
                || set_byte('\x00', 0, get_byte(the_base, the_byte) & (256 - the_bits))
                || substring('\x00000000000000000000000000000000'::bytea
                    FOR length(the_base) - the_byte - 1);
            the_last := substring(the_base FOR the_byte)
                || set_byte('\x00', 0, get_byte(the_base, the_byte) | (the_bits - 1))
                || substring('\xffffffffffffffffffffffffffffffff'::bytea
                    FOR length(the_base) - the_byte - 1);
        END IF;
    END IF;
    RETURN (
        SELECT json_agg(json_build_array(found.fact, found.id, found.subnet_id, found.cohort_id,
            encode(found.base, 'hex'), found.length, found.bitmap, found.holder,
            found.region_length, found.version, found.high_water, found.idle_since))
        FROM (
            SELECT 0 AS fact, b.id, b.subnet_id, b.cohort_id, b.base, b.length, b.bitmap, b.holder,
                    b.region_length, b.version, b.high_water, b.idle_since
                FROM borough_block AS b WHERE p_kind = 0 AND b.id = p_piece
            UNION ALL
            SELECT 0, r.id, r.subnet_id, r.cohort_id, r.base, r.length, 0, '', 0, 0, 0, 0
                FROM borough_free_range AS r WHERE p_kind = 1 AND r.id = p_piece
            UNION ALL
            SELECT 1, b.id, b.subnet_id, b.cohort_id, b.base, b.length, b.bitmap, b.holder,
                    b.region_length, b.version, b.high_water, b.idle_since
                FROM borough_block AS b
                WHERE p_claimant <> '' AND b.holder = p_claimant AND b.holder <> ''
                    AND CASE p_column WHEN 'cohort_id' THEN b.cohort_id ELSE b.subnet_id END
                        = ANY (p_ids)
            UNION ALL
            SELECT 2, r.id, r.subnet_id, r.cohort_id, r.base, r.length, 0, '', 0, 0, 0, 0
                FROM (
                    -- The buddy of a region: the last bit of its prefix differs.
                    SELECT DISTINCT b.subnet_id, b.region_length,
                        substring(b.base FOR (b.region_length - 1) / 8)
                        || set_byte('\x00', 0,
                            (get_byte(b.base, (b.region_length - 1) / 8)
                                # (1 << (7 - mod(b.region_length - 1, 8))))
                            & (256 - (1 << (7 - mod(b.region_length - 1, 8)))))
                        || substring('\x00000000000000000000000000000000'::bytea
                            FOR length(b.base) - (b.region_length - 1) / 8 - 1) AS buddy
                    FROM borough_block AS b
                    WHERE p_kind = 1 AND p_claimant <> '' AND b.holder = p_claimant
                        AND b.holder <> '' AND b.region_length > 0
                        AND CASE p_column WHEN 'cohort_id' THEN b.cohort_id ELSE b.subnet_id END
                            = ANY (p_ids)
                ) AS region
                JOIN borough_free_range AS r ON r.subnet_id = region.subnet_id
                    AND r.base BETWEEN region.buddy AND CASE
                        WHEN length(region.buddy) * 8 - region.region_length < 6
                        THEN substring(region.buddy FOR length(region.buddy) - 1)
                            || set_byte('\x00', 0, get_byte(region.buddy, length(region.buddy) - 1)
                                | ((1 << (length(region.buddy) * 8 - region.region_length)) - 1))
                        ELSE region.buddy END
                    AND (r.length = region.region_length OR r.length > region.region_length
                        AND length(region.buddy) * 8 - region.region_length < 6)
            UNION ALL
            SELECT 4, b.id, b.subnet_id, b.cohort_id, b.base, b.length, b.bitmap, b.holder,
                    b.region_length, b.version, b.high_water, b.idle_since
                FROM (
                    SELECT DISTINCT k.subnet_id, length(k.base) * 8 - k.region_length AS bits,
                        substring(k.base FOR length(k.base) - 1)
                        || set_byte('\x00', 0, (get_byte(k.base, length(k.base) - 1)
                                # (1 << (length(k.base) * 8 - k.region_length)))
                            & (256 - (1 << (length(k.base) * 8 - k.region_length)))) AS buddy
                    FROM borough_block AS k
                    WHERE p_kind = 1 AND p_claimant <> '' AND k.holder = p_claimant
                        AND k.holder <> '' AND k.region_length > length(k.base) * 8 - 6
                        AND CASE p_column WHEN 'cohort_id' THEN k.cohort_id ELSE k.subnet_id END
                            = ANY (p_ids)
                ) AS region
                JOIN borough_block AS b ON b.subnet_id = region.subnet_id
                    AND b.base BETWEEN region.buddy
                        AND substring(region.buddy FOR length(region.buddy) - 1)
                            || set_byte('\x00', 0, get_byte(region.buddy, length(region.buddy) - 1)
                                | ((1 << region.bits) - 1))
            UNION ALL
            SELECT 2, r.id, r.subnet_id, r.cohort_id, r.base, r.length, 0, '', 0, 0, 0, 0
                FROM borough_free_range AS r
                WHERE p_kind = 1 AND p_claimant <> '' AND the_region < the_length
                    AND r.subnet_id = the_subnet AND r.base BETWEEN the_first AND the_last
                    AND r.length <= the_length + 1
            UNION ALL
            SELECT 3, b.id, b.subnet_id, b.cohort_id, b.base, b.length, b.bitmap, b.holder,
                    b.region_length, b.version, b.high_water, b.idle_since
                FROM borough_block AS b
                WHERE p_kind = 0 AND p_claimant <> '' AND the_holder <> ''
                    AND the_holder <> p_claimant
                    AND b.subnet_id = the_subnet AND b.base BETWEEN the_first AND the_last
        ) AS found
    );
END $$
