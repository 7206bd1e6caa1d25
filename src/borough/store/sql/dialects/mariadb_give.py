"""One address in one statement on MariaDB: a compound statement, in a transaction of its own or the caller's.

Each connection prepares it once, because parsing takes as long as execution. Its answer is one text: a
driver in Python needs longer for a dozen columns than the server for the whole statement. Where a decision is
needed, the facts follow: see ``borough_facts_1.sql``.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy.dialects.mysql.mariadb import MariaDBDialect

from borough.domain.net.addresses import to_bytes
from borough.domain.policy.take import NamedAddress, Taken, TakeRequest
from borough.store.actor import actor
from borough.store.sql import rows
from borough.store.sql import statements as s
from borough.store.sql.dialects.mariadb_answer import CALLS, answered
from borough.store.sql.facts import Facts
from borough.store.sql.giving import BoundsCache, Hints, Outcome, Word, shape_of, takeable
from borough.store.sql.indexes import block_index
from borough.store.sql.offers import Shape, offers
from borough.store.sql.probes import ids_of
from borough.store.sql.runner import Native, Row, Runner, Statement, shaped
from borough.store.sql.takeover_rank import takeover_rank_of

_DIALECT: Final = MariaDBDialect(paramstyle="pyformat")

_COLUMNS: Final = ", ".join(f"b.{column.name}" for column in s.BLOCK_COLUMNS)
_INTO: Final = (
    "INTO the_id, the_subnet, the_cohort, the_base, the_length, the_bitmap, the_holder, the_region, "
    "the_version, the_high_water, the_idle"
)

# The event is written by INSERT … SELECT from no table: while it holds the lock on ids, it must not wait
# for a row. See borough.store.sql.dialects.mariadb_horizon. The block is locked before the first read
# without a lock, which takes the snapshot. So the catalogue's version is that of a moment when the block
# could no longer change.
_SQL: Final = """
BEGIN NOT ATOMIC
DECLARE the_id, the_block, the_subnet, the_cohort, the_group BIGINT;
DECLARE the_bitmap, the_version, the_sequence, the_idle BIGINT;
DECLARE the_base, the_address VARBINARY(16);
DECLARE the_length, the_region, the_bit, the_rung, the_kind, the_held, the_high_water SMALLINT;
DECLARE has_free_range SMALLINT;
DECLARE the_holder VARCHAR(320) CHARACTER SET utf8mb4;
DECLARE the_answer VARCHAR(1024) CHARACTER SET utf8mb4;
DECLARE sought SMALLINT DEFAULT 0;
DECLARE now_is BIGINT DEFAULT %(at)s;
DECLARE the_owner VARCHAR(255) CHARACTER SET utf8mb4 DEFAULT %(owner)s;
DECLARE the_name VARCHAR(255) CHARACTER SET utf8mb4;
DECLARE the_host VARCHAR(255) CHARACTER SET utf8mb4 DEFAULT %(host)s;
{begin}
{first}
{look}
IF the_id IS NOT NULL AND {fine} THEN
    SET the_bit = {bit};
    SET the_address = CONCAT(LEFT(the_base, LENGTH(the_base) - 1),
        CHAR(ORD(RIGHT(the_base, 1)) + the_bit));
    SET the_bitmap = CAST(the_bitmap | (1 << the_bit) AS SIGNED);
    SET the_high_water = GREATEST(the_high_water, the_bit + 1);
    UPDATE borough_block SET bitmap = the_bitmap, free = free - 1, is_open = free > 0,
        version = version + 1, high_water = the_high_water,
        takeover_rank = IF(the_holder = '', 0, {takeover_rank}) WHERE id = the_id;
    SELECT name INTO the_name FROM borough_subnet WHERE id = the_subnet;
    INSERT INTO borough_event (at, act, subject, subnet, owner, host, sequence, detail,
        actor, cohort_id)
        SELECT now_is, 'allocated', INET6_NTOA(the_address), the_name, the_owner, the_host, NULL, '',
            %(actor)s, the_cohort;
    SET the_sequence = LAST_INSERT_ID();
    INSERT INTO borough_allocation
        (sequence, scope_id, address, subnet_id, owner, host, attributes, note, at)
        VALUES (the_sequence, %(scope_id)s, the_address, the_subnet, the_owner, the_host,
            %(attributes)s, %(note)s, now_is);
    {keyed}
END IF;
IF the_sequence IS NULL THEN
    SET the_answer = CONCAT_WS(' ', 0, sought AND the_id IS NULL, IFNULL(has_free_range, 0),
        IFNULL(the_kind, 0), IFNULL(the_rung, -1));
ELSE
    SET the_answer = CONCAT_WS(' ', the_sequence, the_bit, HEX(the_base), the_id, the_subnet,
        the_cohort, the_length, the_bitmap, the_region, the_version + 1, the_high_water, the_idle,
        the_holder);
END IF;
{commit}
SELECT the_answer;
{facts}
END
"""

_LOOK: Final = f"""IF {{condition}} THEN
    SELECT found.rung, found.kind, found.id, {{group}}, found.holder <> ''
    INTO the_rung, the_kind, the_block, the_group, the_held
    FROM ({{frontier}}) AS found
    ORDER BY found.rung, found.part, found.preference, found.base LIMIT 1;
    IF the_kind = 0 AND the_rung IN ({{takeable}}) THEN
        SET sought = 1, has_free_range = {{has_free_range}};
        SELECT {_COLUMNS} {_INTO} FROM borough_block AS b {{lock}};
    END IF;
END IF;"""

_BEGIN: Final = """DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;
SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
START TRANSACTION;"""

_FACTS: Final = """IF the_sequence IS NULL AND {wanted} AND {fine} THEN
    CALL borough_facts_1(%(version)s, the_kind, the_block, %(claimant)s, '{column}',
        SUBSTRING_INDEX(SUBSTRING_INDEX(%(ids)s, ';', the_rung + 1), ';', -1));
END IF;"""

# The session keeps the answer: a statement may be interrupted between its commit and its answer.
_COMMIT: Final = "SET @borough_call = %(call)s, @borough_answer = the_answer; COMMIT;"

_HINTED: Final = f"""SELECT {_COLUMNS} {_INTO} FROM borough_block AS b
    WHERE b.subnet_id = %(hint_subnet)s AND b.base = %(hint_base)s AND b.is_open = 1
        AND b.holder = %(claimant)s FOR UPDATE SKIP LOCKED;"""

_AREA: Final = f"""SELECT {_COLUMNS} {_INTO} FROM borough_block AS b FORCE INDEX ({{index}})
    WHERE b.{{column}} = %(id)s AND b.is_open = 1 AND b.is_held = 0
        AND b.base BETWEEN %(first)s AND %(last)s ORDER BY b.base LIMIT 1 FOR UPDATE SKIP LOCKED;"""

#: The block or free range of a named address. The block is locked when it shows the address as free.
_NAMED: Final = f"""SET the_address = %(named)s, the_kind = 1;
SELECT b.id, 0 INTO the_block, the_kind
    FROM borough_block AS b FORCE INDEX (uq_borough_block_subnet_base)
    WHERE b.subnet_id = %(named_subnet)s
        AND b.base BETWEEN CONCAT(LEFT(the_address, LENGTH(the_address) - 1), CHAR(0)) AND the_address
        AND ORD(RIGHT(the_address, 1)) - ORD(RIGHT(b.base, 1)) < 1 << (LENGTH(b.base) * 8 - b.length)
    LIMIT 1;
IF the_block IS NULL THEN
    SELECT r.id INTO the_block
        FROM borough_free_range AS r FORCE INDEX (uq_borough_free_range_subnet_base)
        WHERE r.subnet_id = %(named_subnet)s AND r.base <= the_address ORDER BY r.base DESC LIMIT 1;
ELSEIF %(named_usable)s THEN
    SELECT {_COLUMNS} {_INTO} FROM borough_block AS b
        WHERE b.id = the_block AND NOT b.bitmap >> {{named_bit}} & 1 FOR UPDATE;
END IF;"""

_NAMED_BIT: Final = "(ORD(RIGHT(the_address, 1)) - ORD(RIGHT({base}, 1)))"
_LOWEST_BIT: Final = "BIT_COUNT((~the_bitmap & CAST(the_bitmap AS UNSIGNED) + 1) - 1)"

_FINE: Final = "(SELECT catalogue_version FROM borough_meta) = %(version)s"

#: Expiry of cool-downs comes before an allocation, so there must be none to expire.
_RESTED: Final = " AND NOT EXISTS (SELECT 1 FROM borough_allocation WHERE until <= now_is)"

_KEYED: Final = """INSERT INTO borough_idempotency_key (`key`, fingerprint, sequences, at)
        VALUES (%(key)s, %(fingerprint)s, the_sequence, now_is);"""

# The first unlocked block of the best one's rung and cohort is taken.
_FREE: Final = """FORCE INDEX ({index})
            WHERE b.{column} = the_group AND b.is_open = 1 AND {held}
            ORDER BY {order} LIMIT 1 FOR UPDATE SKIP LOCKED"""

# Exactly the best one, after a wait for its lock.
_THIS: Final = "WHERE b.id = the_block AND b.is_open = 1 FOR UPDATE"


_WIDTH: Final = "LENGTH(the_base) * 8"
_TAKEOVER_RANK: Final = takeover_rank_of(
    f"({_WIDTH} - the_region)", f"((1 << {_WIDTH} - the_length) - the_high_water)"
)


@shaped
def _text(
    shape: Shape,
    rungs: tuple[int, ...],
    claims: bool,
    lowest: bool,
    wait: bool,
    first: str,
    keyed: bool,
    cools: bool,
    inside: bool,
) -> Native:
    fine = _FINE + (_RESTED if cools else "")
    # A named address is looked up, and no rung is searched.
    named = first is _NAMED
    column = shape[0][1] if shape else "subnet_id"
    frontier = ""
    if shape:
        frontier = Statement.of(offers(shape, claims, lowest, False).made(), _DIALECT).text
    lock, has_free_range = _THIS, "0"
    if shape and not (lowest or wait):
        lock = _FREE.format(
            index=block_index(column, "holder" if claims else "takeover_rank"),
            column=column,
            held="b.holder = %(claimant)s" if claims else "b.is_held = the_held",
            order="b.region_length, b.base" if claims else "b.takeover_rank, b.base",
        )
        if not claims:
            has_free_range = (
                "NOT the_held AND EXISTS "
                f"(SELECT 1 FROM borough_free_range WHERE {column} = the_group)"
            )
    return Native.marked(
        _SQL.format(
            begin="" if inside else _BEGIN,
            commit="" if inside else _COMMIT,
            first=first.format(
                column=column,
                index=block_index(column, "base"),
                named_bit=_NAMED_BIT.format(base="b.base"),
            ),
            bit=_NAMED_BIT.format(base="the_base") if named else _LOWEST_BIT,
            look=_LOOK.format(
                # A unit of work searches outside the partition.
                condition="FALSE" if first is _AREA else "the_id IS NULL",
                frontier=frontier,
                group=f"found.{column}",
                # SQL has no empty list.
                takeable=", ".join(map(str, rungs)) or "-1",
                lock=lock,
                has_free_range=has_free_range,
            )
            if shape
            else "",
            facts=""
            if inside
            else _FACTS.format(
                wanted="TRUE" if named else "the_block IS NOT NULL AND NOT sought",
                fine=fine,
                column=column,
            ),
            fine=fine,
            keyed=_KEYED if keyed else "",
            takeover_rank=_TAKEOVER_RANK,
        )
    )


def _named_values(order: TakeRequest, named: NamedAddress) -> dict[str, Any]:
    family = order.catalogue.subnets[named.subnet_id].family
    return {
        "named_subnet": named.subnet_id,
        "named": to_bytes(family, named.address),
        "named_usable": int(named.is_usable),
    }


class MariadbGiver:
    """See :class:`borough.store.sql.dialect.Giver`."""

    def __init__(self, *, inside: bool = False) -> None:
        """Allocate addresses.

        :param inside: the caller has a transaction, and ends it.
        """
        self._inside = inside

    def give(
        self,
        runner: Runner,
        order: TakeRequest,
        hints: Hints,
        bounds_cache: BoundsCache,
        *,
        wait: bool,
    ) -> Outcome:
        shape, rungs, values = self._prepare(runner, order)
        if any(count > s.INLINE for _, _, count in shape):
            return Outcome(Word.DECIDE)
        named, bounds, first = order.named, None, ""
        hint_subnet, hint_base = 0, b""
        if named:
            first = _NAMED
        else:
            bounds = None if order.lowest else bounds_cache.find(order.catalogue, order.rungs)
            hint_subnet, hint_base = (0, b"") if wait or bounds else hints.find(order)
            first = _AREA if bounds else _HINTED if hint_subnet else ""
        text = _text(
            shape,
            rungs,
            bool(order.claimant),
            order.lowest,
            wait,
            first,
            bool(order.request.key),
            order.catalogue.cools,
            self._inside,
        )
        found, facts = self._ask(
            runner,
            runner.built(text),
            hints,
            {
                **values,
                "call": next(CALLS),
                "count": 1,
                "claimant": order.claimant,
                "version": order.catalogue.version,
                "hint_subnet": hint_subnet,
                "hint_base": hint_base,
                **(bounds._asdict() if bounds else {}),
                **(_named_values(order, named) if named else {}),
                "scope_id": order.catalogue.scopes[order.request.scope],
                **rows.kept_values(order.request),
                "actor": actor(),
                "at": order.now,
                "key": order.request.key,
                "fingerprint": order.fingerprint,
            },
        )
        # The holder comes last, because its name may have spaces.
        sequence, bit, base, *more = found.split(" ", 12)
        if sequence == "0":
            word = Word.LOCKED if bit == "1" else Word.DECIDE
            kind, rung = map(int, more)
            known = None if facts is None else Facts.of(rung, bool(kind), facts)
            return Outcome(word, None, base == "1", known)
        id, subnet, cohort, length, bitmap, *rest = map(int, more[:-1])
        block = rows.to_block(
            (id, subnet, cohort, bytes.fromhex(base), length, bitmap, more[-1], *rest)
        )
        hints.keep(order, block)
        return Outcome(Word.GIVEN, Taken(block, block.prefix.base + int(bit), int(sequence)))

    def _ask(
        self, runner: Runner, text: Native, hints: Hints, values: dict[str, Any]
    ) -> tuple[str, list[Row] | None]:
        """Run the statement; return its answer, and the facts if it has read them."""

        def ask() -> list[list[Row]]:
            return runner.prepared(text, hints.prepared, values)

        if self._inside:
            answer, *more = ask()
        else:
            answer, *more = answered(runner, ask, values["call"])
        return str(answer[0][0]), more[0] if len(more) > 1 else None

    @staticmethod
    def _prepare(
        runner: Runner, order: TakeRequest
    ) -> tuple[Shape, tuple[int, ...], dict[str, Any]]:
        """The shape of an order's rungs, those to take from, and the parameters that depend on them."""
        key = (MariadbGiver, order.ladder, bool(order.claimant), order.named is None)
        found: tuple[Shape, tuple[int, ...], dict[str, Any]] | None = runner.kept.get(key)
        if found is None:
            values: dict[str, Any] = {
                f"r{position}_{at}": id
                for position, rung in enumerate(order.rungs)
                for at, id in enumerate(ids_of(rung)[1])
            }
            values["ids"] = ";".join(",".join(map(str, ids_of(rung)[1])) for rung in order.rungs)
            made = (shape_of(order.rungs), takeable(order), values)
            found = runner.kept.put(key, made)
        return found
