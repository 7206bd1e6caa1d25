"""The statements, prebuilt: constants, and builders cached by the shape of what they look for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import sqlalchemy as sa

from borough.domain.ladder import Hold, Rung
from borough.store.sql import schema as t

_P = sa.bindparam
_ONE: Any = sa.literal_column("1")
_ZERO: Any = sa.literal_column("0")
_NOBODY: Any = sa.literal_column("''")


def _insert(table: sa.Table, *leave_out: str) -> Any:
    return sa.insert(table).values(
        {column.name: _P(column.name) for column in table.c if column.name not in leave_out}
    )


# --- Blocks and runs ---------------------------------------------------------------------------

BLOCK_COLUMNS = (
    t.block.c.id,
    t.block.c.subnet_id,
    t.block.c.cohort_id,
    t.block.c.base,
    t.block.c.length,
    t.block.c.bitmap,
    t.block.c.holder,
    t.block.c.region_length,
    t.block.c.version,
)
RUN_COLUMNS = (t.run.c.id, t.run.c.subnet_id, t.run.c.cohort_id, t.run.c.base, t.run.c.length)

add_block = _insert(t.block, "id")
add_run = _insert(t.run, "id")

change_block = (
    sa.update(t.block)
    .where(t.block.c.id == _P("old_id"), t.block.c.version == _P("old_version"))
    .values(
        base=_P("base"),
        length=_P("length"),
        bitmap=_P("bitmap"),
        free=_P("free"),
        is_open=_P("is_open"),
        holder=_P("holder"),
        is_held=_P("is_held"),
        region_length=_P("region_length"),
        version=t.block.c.version + sa.literal_column("1"),
    )
)
#: The change that nearly every allocation and release makes: only bits. Columns that stand in an
#: index are left alone, so that a database can rewrite the row in place.
change_bits = (
    sa.update(t.block)
    .where(t.block.c.id == _P("old_id"), t.block.c.version == _P("old_version"))
    .values(
        bitmap=_P("bitmap"), free=_P("free"), version=t.block.c.version + sa.literal_column("1")
    )
)
remove_block = sa.delete(t.block).where(
    t.block.c.id == _P("old_id"), t.block.c.version == _P("old_version")
)
remove_run = sa.delete(t.run).where(t.run.c.id == _P("old_id"), t.run.c.length == _P("old_length"))

block_at = (
    sa.select(*BLOCK_COLUMNS)
    .where(t.block.c.subnet_id == _P("subnet_id"), t.block.c.base <= _P("address"))
    .order_by(t.block.c.base.desc())
    .limit(sa.literal_column("1"))
)
run_at = (
    sa.select(*RUN_COLUMNS)
    .where(t.run.c.subnet_id == _P("subnet_id"), t.run.c.base <= _P("address"))
    .order_by(t.run.c.base.desc())
    .limit(sa.literal_column("1"))
)
# "<> ''" says nothing new; without it a database cannot see that the partial index will do.
held_in = (
    sa.select(*BLOCK_COLUMNS)
    .where(
        t.block.c.holder == _P("holder"),
        t.block.c.holder != _NOBODY,
        t.block.c.cohort_id == _P("cohort_id"),
    )
    .order_by(t.block.c.base)
)


@lru_cache(maxsize=256)
def runs_at(count: int) -> Any:
    """The runs of a subnet at ``count`` bases; lengths are compared by the caller."""
    bases: list[Any] = [_P(f"base_{at}") for at in range(count)]
    return sa.select(*RUN_COLUMNS).where(
        t.run.c.subnet_id == _P("subnet_id"), t.run.c.base.in_(bases)
    )


def holdings(column: str, ids: tuple[int, ...]) -> Any:
    """All blocks of a holder in some cohorts or subnets."""
    return _holdings(column, len(ids)) if len(ids) <= INLINE else _holdings_of(column, ids)


@lru_cache(maxsize=64)
def _holdings(column: str, count: int) -> Any:
    return _held(t.block.c[column].in_([_P(f"id_{at}") for at in range(count)]))


def _holdings_of(column: str, ids: tuple[int, ...]) -> Any:
    return _held(t.block.c[column].in_([sa.literal_column(str(int(id))) for id in ids]))


def _held(where: Any) -> Any:
    return (
        sa.select(*BLOCK_COLUMNS)
        .where(t.block.c.holder == _P("holder"), t.block.c.holder != _NOBODY, where)
        .order_by(t.block.c.base)
    )


#: Longer lists of ids are written into the text: databases bound the number of parameters.
INLINE = 200

#: (hold, by cohort or subnet, number of ids) of each rung.
Shape = tuple[tuple[Hold, str, int], ...]


@lru_cache(maxsize=512)
def offers(shape: Shape, claims: bool, lowest: bool, several: bool, spread: bool = False) -> Any:
    """One query over the rungs: rung, part, kind (0 block, 1 run) and the columns of a block.

    :param several: whether more than one row a rung may be wanted.
    :param spread: whether runs come before the blocks of their rung.
    """
    return build_offers(
        [
            (hold, column, [_P(f"r{rung}_{at}") for at in range(count)])
            for rung, (hold, column, count) in enumerate(shape)
        ],
        claims=claims,
        lowest=lowest,
        several=several,
        spread=spread,
    )


def offers_of_many(
    rungs: Sequence[Rung], claims: bool, lowest: bool, several: bool, spread: bool
) -> Any:
    """:func:`offers` for rungs of more ids than a database takes as parameters."""
    return build_offers(
        [
            (
                rung.hold,
                "cohort_id" if rung.cohorts else "subnet_id",
                [sa.literal_column(str(int(id))) for id in rung.cohorts or rung.subnets],
            )
            for rung in rungs
        ],
        claims=claims,
        lowest=lowest,
        several=several,
        spread=spread,
    )


@lru_cache(maxsize=512)
def frontier(shape: Shape, claims: bool, lowest: bool) -> Any:
    """What each part of each rung offers first, unordered; ids are one array parameter a rung.

    For databases that have arrays: one text then serves groups of any size.
    """
    ids: list[tuple[Hold, str, Ids]] = [
        (
            hold,
            column,
            Ids.one(_P(f"r{rung}", type_=t.Id))
            if count == 1
            else Ids.array(_P(f"r{rung}", type_=sa.ARRAY(sa.BigInteger))),
        )
        for rung, (hold, column, count) in enumerate(shape)
    ]
    return sa.union_all(
        *_parts(ids, claims=claims, runs_first=claims, lowest=lowest, several=False, count=_ONE)
    )


class Ids(NamedTuple):
    """How a rung's ids stand in a statement.

    :ivar among: the condition that a column is one of them.
    """

    single: bool
    among: Callable[[Any], Any]

    @staticmethod
    def one(value: Any) -> Ids:
        """Exactly one."""
        return Ids(True, lambda column: column == value)

    @staticmethod
    def array(value: Any) -> Ids:
        """An array of any length."""
        return Ids(False, lambda column: column == sa.any_(value))

    @staticmethod
    def listed(values: list[Any]) -> Ids:
        """A list of parameters or literals."""
        return Ids.one(values[0]) if len(values) == 1 else Ids(False, lambda c: c.in_(values))


def build_offers(
    rungs: list[tuple[Hold, str, list[Any]]],
    *,
    claims: bool,
    lowest: bool,
    several: bool,
    spread: bool = False,
) -> Any:
    """See :func:`offers`; the ids of each rung are parameters or literals."""
    listed = [(hold, column, Ids.listed(ids)) for hold, column, ids in rungs]
    runs_first = claims or spread
    parts = _parts(
        listed,
        claims=claims,
        runs_first=runs_first,
        lowest=lowest,
        several=several,
        count=_P("count"),
    )
    found = sa.union_all(*parts).subquery("found")
    return (
        sa.select(found)
        .order_by(found.c.rung, found.c.part, found.c.preference, found.c.base)
        .limit(_P("count"))
    )


def _parts(
    rungs: list[tuple[Hold, str, Ids]],
    *,
    claims: bool,
    runs_first: bool,
    lowest: bool,
    several: bool,
    count: Any,
) -> list[Any]:
    parts = []
    for rung, (hold, column, ids) in enumerate(rungs):
        by_region = hold is Hold.OWN and not lowest
        order = ["region_length", "base"] if by_region else ["base"]
        block_part = 1 if hold is Hold.UNCLAIMED and runs_first and not lowest else 0
        parts.append(
            _part(
                t.block,
                (rung, block_part),
                column,
                ids,
                _held_as(hold, claims),
                order,
                several,
                count,
            )
        )
        if hold is Hold.UNCLAIMED:
            run_order = ["base"] if lowest else ["length" if claims else "host_bits", "base"]
            run_part = 0 if lowest else 1 - block_part
            parts.append(
                _part(t.run, (rung, run_part), column, ids, lambda _: [], run_order, several, count)
            )
    return parts


def _held_as(hold: Hold, claims: bool) -> Any:
    def conditions(block: Any) -> list[Any]:
        opened = block.c.is_open == _ONE
        if hold is Hold.OWN:
            return [block.c.holder == _P("claimant", type_=sa.String), opened]
        if hold is Hold.UNCLAIMED:
            return [block.c.is_held == _ZERO, opened]
        others = [block.c.is_held == _ONE, opened]
        return [*others, block.c.holder != _P("claimant", type_=sa.String)] if claims else others

    return conditions


def _part(
    table: sa.Table,
    place: tuple[int, int],
    column: str,
    ids: Ids,
    conditions: Any,
    order: list[str],
    several: bool,
    count: Any,
) -> Any:
    """The first rows of one table on one rung.

    Over several ids an index cannot give one order, and the database would read and sort every open
    block of all of them. So for a single row wanted, each id is asked for its own first row.
    """
    if ids.single or several:
        query = (
            sa.select(*_columns(table, place, order))
            .where(ids.among(table.c[column]), *conditions(table))
            .order_by(*_order(table, order))
            .limit(count)
        )
    else:
        group = (t.cohort if column == "cohort_id" else t.subnet).alias()
        inner = table.alias()
        first = (
            sa.select(inner.c.id)
            .where(inner.c[column] == group.c.id, *conditions(inner))
            .order_by(*_order(inner, order))
            .limit(_ONE)
            .correlate(group)
            .scalar_subquery()
        )
        query = (
            sa.select(*_columns(table, place, order))
            .select_from(group.join(table, table.c.id == first))
            .where(ids.among(group.c.id))
        )
    return sa.select(query.subquery())


def _columns(table: sa.Table, place: tuple[int, int], order: list[str]) -> list[Any]:
    number = sa.literal_column
    rung, part = place
    preference: Any = number("0") if order[0] == "base" else table.c[order[0]]
    is_run = table is t.run
    head = [
        number(str(rung)).label("rung"),
        number(str(part)).label("part"),
        preference.label("preference"),
        number("1" if is_run else "0").label("kind"),
    ]
    if not is_run:
        return [*head, *BLOCK_COLUMNS]
    return [
        *head,
        *RUN_COLUMNS,
        number("0").label("bitmap"),
        number("''").label("holder"),
        number("0").label("region_length"),
        number("0").label("version"),
    ]


def _order(table: Any, order: list[str]) -> list[Any]:
    return [table.c[name] for name in order]


# --- Lanes: the first block, the first run, and the run that reaches into an area ----------------

_FIRST, _LAST = _P("first", type_=t.Packed), _P("last", type_=t.Packed)


@lru_cache(maxsize=2)
def open_in_area(column: str) -> Any:
    """The first unclaimed block with a free address that no transaction works on."""
    return (
        sa.select(*BLOCK_COLUMNS)
        .where(
            t.block.c[column] == _P("id"),
            t.block.c.is_open == _ONE,
            t.block.c.is_held == _ZERO,
            t.block.c.base.between(_FIRST, _LAST),
        )
        .order_by(t.block.c.base)
        .limit(_ONE)
        .with_for_update(skip_locked=True)
    )


@lru_cache(maxsize=2)
def run_in_area(column: str) -> Any:
    """The first run that begins there."""
    return (
        sa.select(*RUN_COLUMNS)
        .where(t.run.c[column] == _P("id"), t.run.c.base.between(_FIRST, _LAST))
        .order_by(t.run.c.base)
        .limit(_ONE)
    )


@lru_cache(maxsize=2)
def run_before_area(column: str) -> Any:
    """The last run that begins before it."""
    return (
        sa.select(*RUN_COLUMNS)
        .where(t.run.c[column] == _P("id"), t.run.c.base < _FIRST)
        .order_by(t.run.c.base.desc())
        .limit(_ONE)
    )


# --- Allocations -------------------------------------------------------------------------------

ALLOCATION_COLUMNS = (
    t.allocation.c.sequence,
    t.scope.c.name,
    t.allocation.c.address,
    t.allocation.c.subnet_id,
    t.allocation.c.owner,
    t.allocation.c.host,
    t.allocation.c.attributes,
    t.allocation.c.at,
    t.allocation.c.until,
)
_ALLOCATIONS = sa.select(*ALLOCATION_COLUMNS).select_from(
    t.allocation.join(t.scope, t.scope.c.id == t.allocation.c.scope_id)
)

add_allocation = _insert(t.allocation, "until")
allocation_at = _ALLOCATIONS.where(
    t.allocation.c.scope_id == _P("scope_id"), t.allocation.c.address == _P("address")
)
remove_allocation = sa.delete(t.allocation).where(t.allocation.c.sequence == _P("old_sequence"))
cool_allocation = (
    sa.update(t.allocation)
    .where(t.allocation.c.sequence == _P("old_sequence"), t.allocation.c.until.is_(None))
    .values(until=_P("until"))
)
expired = (
    _ALLOCATIONS.where(t.allocation.c.until <= _P("now"))
    .order_by(t.allocation.c.until, t.allocation.c.sequence)
    .limit(_P("count"))
)


#: The allocations of one subnet, found by their addresses: an index over the subnet would be one more
#: page to write with every address given.
IN_SUBNET = (
    t.allocation.c.scope_id == _P("scope_id"),
    t.allocation.c.address.between(_P("first"), _P("last")),
    t.allocation.c.subnet_id == _P("subnet_id"),
)
count_in_subnet = sa.select(sa.func.count(), sa.func.count(t.allocation.c.until)).where(*IN_SUBNET)


@lru_cache(maxsize=64)
def allocations(fields: tuple[str, ...], sequences: int, in_subnet: bool) -> Any:
    """Allocations by sequence number; ``fields`` are the columns to compare."""
    query = _ALLOCATIONS.where(t.allocation.c.sequence > _P("after"))
    if in_subnet:
        query = query.where(*IN_SUBNET)
    for name in fields:
        column = t.scope.c.name if name == "scope" else t.allocation.c[name]
        query = query.where(column == _P(name))
        if name in ("owner", "host"):
            query = query.where(column != _NOBODY)
    if sequences:
        wanted: list[Any] = [_P(f"sequence_{at}") for at in range(sequences)]
        query = query.where(t.allocation.c.sequence.in_(wanted))
    return query.order_by(t.allocation.c.sequence).limit(_P("count"))


# --- Idempotency keys and events ---------------------------------------------------------------

recall = sa.select(t.idempotency_key.c.fingerprint, t.idempotency_key.c.sequences).where(
    t.idempotency_key.c.key == _P("key")
)
remember = _insert(t.idempotency_key)
old_keys = (
    sa.select(t.idempotency_key.c.key, t.idempotency_key.c.sequences)
    .where(t.idempotency_key.c.at < _P("before"))
    .order_by(t.idempotency_key.c.at)
    .limit(_P("count"))
)
forget = sa.delete(t.idempotency_key).where(t.idempotency_key.c.key == _P("old_key"))

add_event = _insert(t.event, "id")


add_event_returning = add_event.returning(t.event.c.id)


@lru_cache(maxsize=128)
def add_events_returning(count: int) -> Any:
    """Several events in one statement: (id, subject) of each, in no certain order."""
    columns = [column.name for column in t.event.c if column.name != "id"]
    values: list[dict[str, Any]] = [
        {name: _P(f"{name}_{at}") for name in columns} for at in range(count)
    ]
    return sa.insert(t.event).values(values).returning(t.event.c.id, t.event.c.subject)


EVENT_COLUMNS = tuple(t.event.c)
events = (
    sa.select(*EVENT_COLUMNS)
    .where(t.event.c.id > _P("after"))
    .order_by(t.event.c.id)
    .limit(_P("count"))
)

# --- Catalogue ---------------------------------------------------------------------------------

version = sa.select(t.meta.c.catalogue_version)
touch = (
    sa.update(t.meta)
    .where(t.meta.c.catalogue_version == _P("seen"))
    .values(catalogue_version=t.meta.c.catalogue_version + sa.literal_column("1"))
)
