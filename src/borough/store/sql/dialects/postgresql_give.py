"""One address in one statement on PostgreSQL."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from borough.domain.declared.catalogue import Catalogue
from borough.domain.net.addresses import from_bytes, to_bytes
from borough.domain.policy.take import NamedAddress, Taken, TakeRequest
from borough.store.actor import actor
from borough.store.sql import rows
from borough.store.sql.facts import Facts
from borough.store.sql.giving import BoundsCache, Hints, Outcome, Word, shape_of, takeable
from borough.store.sql.offers import Shape, frontier
from borough.store.sql.probes import ids_of
from borough.store.sql.runner import Native, Runner, Statement, shaped
from borough.store.sql.takeover_rank import takeover_rank_of

_DIALECT: Final = PGDialect_psycopg()  # type: ignore[no-untyped-call]

_FINE: Final = """fine AS MATERIALIZED (
    SELECT id FROM borough_meta WHERE catalogue_version = %(version)s {rested}
)"""

_BIT: Final = "64 - length(rtrim(bitmap::bit(64)::text, '1')) AS bit"

_TAKE: Final = """taken AS (
    UPDATE borough_block AS b
    SET bitmap = b.bitmap | (1::bigint << pick.bit), free = b.free - 1,
        is_open = CASE WHEN b.free > 1 THEN 1 ELSE 0 END, version = b.version + 1,
        high_water = GREATEST(b.high_water, pick.bit + 1),
        takeover_rank = CASE b.holder WHEN '' THEN 0 ELSE {takeover_rank} END
    FROM pick WHERE b.id = pick.id
    RETURNING b.*, set_byte(b.base, length(b.base) - 1,
        get_byte(b.base, length(b.base) - 1) + pick.bit) AS address
), noted AS (
    INSERT INTO borough_event (at, act, subject, subnet, owner, host, sequence, detail,
        actor, cohort_id)
    SELECT %(at)s, 'allocated', {text}, {name}, %(owner)s, %(host)s, NULL, '', %(actor)s,
        taken.cohort_id
    FROM taken
    RETURNING id
), given AS (
    INSERT INTO borough_allocation
        (sequence, scope_id, address, subnet_id, owner, host, attributes, note, at)
    SELECT noted.id, %(scope_id)s, taken.address, taken.subnet_id, %(owner)s, %(host)s,
        %(attributes)s, %(note)s, %(at)s
    FROM taken, noted
){keyed}"""

_ANSWER: Final = """taken.address, taken.id, taken.subnet_id, taken.cohort_id, taken.base,
    taken.length, taken.bitmap, taken.holder, taken.region_length, taken.version, taken.high_water,
    taken.idle_since"""

# The start of a statement costs time for each of its parts, used or not: so a hint has a statement of its
# own.
_HINTED: Final = f"""
WITH {_FINE}, pick AS MATERIALIZED (
    SELECT id, {_BIT} FROM borough_block
    WHERE subnet_id = %(hint_subnet)s AND base = %(hint_base)s AND is_open = 1
        AND holder = %(claimant)s AND (SELECT count(*) FROM fine) = 1
    FOR NO KEY UPDATE SKIP LOCKED
), {_TAKE}
SELECT noted.id, {_ANSWER}, 0, 0, NULL, NULL, NULL FROM taken, noted
"""

_SOUGHT: Final = f"""
WITH {_FINE}, seen AS MATERIALIZED (
    SELECT * FROM ({{frontier}}) AS found WHERE (SELECT count(*) FROM fine) = 1
), best AS MATERIALIZED (
    SELECT * FROM seen ORDER BY rung, part, preference, base LIMIT 1
), sought AS MATERIALIZED (
    SELECT * FROM best WHERE kind = 0 AND rung = ANY(%(takeable)s)
), pick AS MATERIALIZED (
    SELECT b.id, {_BIT} FROM borough_block b WHERE {{lock}}
), {_TAKE}
SELECT (SELECT id FROM noted), {_ANSWER},
    (SELECT count(*) FROM sought), (SELECT count(*) FROM seen
        WHERE kind = 1 AND rung = (SELECT rung FROM sought)), best.rung, best.kind,
    CASE WHEN taken.id IS NULL AND NOT EXISTS (SELECT 1 FROM sought) AND NOT %(inside)s
        THEN borough_facts_1(best.kind, best.id, %(claimant)s, '{{column}}',
            (%(ids)s::text[])[best.rung + 1]::bigint[]) END
FROM (SELECT 1) AS always LEFT JOIN taken ON true LEFT JOIN best ON true
"""

_NAMED: Final = f"""
WITH {_FINE}, seen AS MATERIALIZED (
    SELECT id FROM borough_block
    WHERE subnet_id = %(named_subnet)s AND base <= %(named)s
        AND base >= set_byte(%(named)s, length(%(named)s) - 1, 0)
        AND {{bit}} < 1 << length(base) * 8 - length
), pick AS MATERIALIZED (
    SELECT id, {{bit}} AS bit FROM borough_block
    WHERE id = (SELECT id FROM seen) AND %(named_usable)s AND bitmap >> {{bit}} & 1 = 0
        AND (SELECT count(*) FROM fine) = 1
    FOR NO KEY UPDATE
), {_TAKE}
SELECT (SELECT id FROM noted), {_ANSWER}, 0, 0, -1,
    CASE WHEN EXISTS (SELECT 1 FROM seen) THEN 0 ELSE 1 END,
    CASE WHEN taken.id IS NULL THEN CASE WHEN EXISTS (SELECT 1 FROM seen)
        THEN borough_facts_1(0, (SELECT id FROM seen), '', 'cohort_id', NULL)
        ELSE borough_facts_1(1, (SELECT id FROM borough_free_range
            WHERE subnet_id = %(named_subnet)s AND base <= %(named)s
            ORDER BY base DESC LIMIT 1), '', 'cohort_id', NULL) END END
FROM fine LEFT JOIN taken ON true
"""

#: The bit of a named address in its block.
_NAMED_BIT: Final = (
    "(get_byte(%(named)s, length(%(named)s) - 1) - get_byte(base, length(base) - 1))"
)

#: Expiry of cool-downs comes before an allocation, so there must be none to expire.
_RESTED: Final = "AND NOT EXISTS (SELECT 1 FROM borough_allocation WHERE until <= %(at)s)"

_KEYED: Final = """, keyed AS (
    INSERT INTO borough_idempotency_key (key, fingerprint, sequences, at)
    SELECT %(key)s, %(fingerprint)s, noted.id::text, %(at)s FROM noted
)"""

# The first unlocked block of the best one's rung and cohort is taken.
# The cohort is a scalar sub-select: joined, the planner would read and sort all open blocks of it.
_FREE: Final = """b.is_open = 1
        AND b.{column} = (SELECT {column} FROM sought) AND {held}
    ORDER BY {order} LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED"""

# Exactly the best one, after a wait for its lock.
_THIS: Final = """b.is_open = 1 AND b.id = (SELECT id FROM sought) FOR NO KEY UPDATE"""


def _turn(width: int) -> str:
    unused = f"((1 << {width} - b.length) - GREATEST(b.high_water, pick.bit + 1))"
    return takeover_rank_of(f"({width} - b.region_length)", unused)


_TAKEOVER_RANK_4: Final = _turn(32)
_TAKEOVER_RANK_6: Final = _turn(128)

_TEXT_4: Final = (
    "concat_ws('.', get_byte(taken.address, 0), get_byte(taken.address, 1), "
    "get_byte(taken.address, 2), get_byte(taken.address, 3))"
)
_TEXT_6: Final = (
    "host(regexp_replace(encode(taken.address, 'hex'), '(....)(?!$)', '\\1:', 'g')::inet)"
)


@shaped
def _text(
    shape: Shape,
    claims: bool,
    lowest: bool,
    wait: bool,
    hinted: bool,
    six: bool,
    keyed: bool,
    cools: bool,
) -> Native:
    parts = {
        "rested": _RESTED if cools else "",
        "keyed": _KEYED if keyed else "",
        "text": _TEXT_6 if six else _TEXT_4,
        "takeover_rank": _TAKEOVER_RANK_6 if six else _TAKEOVER_RANK_4,
    }
    if hinted:
        return Native.numbered(_HINTED.format(name="%(subnet_name)s", **parts))
    if not shape:
        return Native.numbered(_NAMED.format(name="%(subnet_name)s", bit=_NAMED_BIT, **parts))
    lock = _THIS
    if not (lowest or wait):
        lock = _FREE.format(
            column=shape[0][1],
            held="b.holder = %(claimant)s"
            if claims
            else "b.is_held = (SELECT CASE holder WHEN '' THEN 0 ELSE 1 END FROM sought)",
            order="b.region_length, b.base" if claims else "b.takeover_rank, b.base",
        )
    name = "(SELECT name FROM borough_subnet WHERE id = taken.subnet_id)"
    probes = Statement.of(frontier(shape, claims, lowest), _DIALECT).text
    return Native.numbered(
        _SOUGHT.format(column=shape[0][1], frontier=probes, lock=lock, name=name, **parts)
    )


def _family(order: TakeRequest) -> int:
    if order.named:
        return order.catalogue.subnets[order.named.subnet_id].family
    return order.rungs[0].family


def _named_values(catalogue: Catalogue, named: NamedAddress) -> dict[str, Any]:
    subnet = catalogue.subnets[named.subnet_id]
    return {
        "named_subnet": named.subnet_id,
        "named": to_bytes(subnet.family, named.address),
        "named_usable": named.is_usable,
        "subnet_name": subnet.name,
    }


class PostgresqlGiver:
    """See :class:`borough.store.sql.dialect.Giver`."""

    def __init__(self, *, inside: bool = False) -> None:
        """Allocate addresses.

        :param inside: the caller has a transaction, whose units of work read what a decision needs.
        """
        self._inside = inside

    def give(
        self,
        runner: Runner,
        order: TakeRequest,
        hints: Hints,
        _bounds_cache: BoundsCache,
        *,
        wait: bool,
    ) -> Outcome:
        hint_subnet, hint_base = (0, b"") if wait or order.named else hints.find(order)
        if hint_subnet:
            outcome = self._try(runner, order, hints, hint_subnet, hint_base, wait=False)
            if outcome.word is Word.GIVEN:
                return outcome
            hints.keep(order, None)
        return self._try(runner, order, hints, wait=wait)

    def _try(
        self,
        runner: Runner,
        order: TakeRequest,
        hints: Hints,
        hint_subnet: int = 0,
        hint_base: bytes = b"",
        *,
        wait: bool,
    ) -> Outcome:
        shape, values = self._prepare(runner, order)
        text = _text(
            shape,
            bool(order.claimant),
            order.lowest,
            wait,
            bool(hint_subnet),
            _family(order) == 6,
            bool(order.request.key),
            order.catalogue.cools,
        )
        values |= {
            "claimant": order.claimant,
            "version": order.catalogue.version,
            "scope_id": order.catalogue.scopes[order.request.scope],
            **rows.kept_values(order.request),
            "inside": self._inside,
            "actor": actor(),
            "at": order.now,
            "key": order.request.key,
            "fingerprint": order.fingerprint,
        }
        if hint_subnet:
            values["hint_subnet"], values["hint_base"] = hint_subnet, hint_base
            values["subnet_name"] = order.catalogue.subnets[hint_subnet].name
        if order.named:
            values |= _named_values(order.catalogue, order.named)
        found = runner.native(runner.built(text), values)
        if not found:
            return Outcome(Word.DECIDE)
        sequence, address, *columns, sought, free_ranges, rung, kind, listed = found[0]
        if sequence is None:
            facts = None
            if rung is not None and not sought:
                known = [(*each[:4], bytes.fromhex(each[4]), *each[5:]) for each in listed or ()]
                facts = Facts.of(rung, kind == 1, known)
            word = Word.LOCKED if sought else Word.DECIDE
            return Outcome(word, None, bool(free_ranges), facts)
        block = rows.to_block(tuple(columns))
        hints.keep(order, block)
        return Outcome(Word.GIVEN, Taken(block, from_bytes(address), sequence))

    @staticmethod
    def _prepare(runner: Runner, order: TakeRequest) -> tuple[Shape, dict[str, Any]]:
        """The shape of an order's rungs, and the parameters that only depend on them."""
        key = (PostgresqlGiver, order.ladder, bool(order.claimant), order.named is None)
        found = runner.kept.get(key)
        if found is None:
            shape = shape_of(order.rungs)
            values: dict[str, Any] = {
                "takeable": list(takeable(order)),
                "ids": [f"{{{','.join(map(str, ids_of(rung)[1]))}}}" for rung in order.rungs],
            }
            for position, rung in enumerate(order.rungs):
                ids = ids_of(rung)[1]
                values[f"r{position}"] = ids[0] if len(ids) == 1 else list(ids)
            found = runner.kept.put(key, (shape, values))
        return found[0], found[1].copy()
