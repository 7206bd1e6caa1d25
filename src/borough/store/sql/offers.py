"""The probes of a ladder: one query over its rungs, for every database."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from borough.domain.space.rungs import Hold, Rung
from borough.store.sql import schema as t
from borough.store.sql.indexes import block_index, by_index, free_range_index
from borough.store.sql.runner import Runner, shaped
from borough.store.sql.statements import BLOCK_COLUMNS, FREE_RANGE_COLUMNS

_P = sa.bindparam
_ONE: Any = sa.literal_column("1")
_ZERO: Any = sa.literal_column("0")

#: (hold, by cohort or subnet, number of ids) of each rung.
Shape = tuple[tuple[Hold, str, int], ...]


@shaped
def offers(shape: Shape, claims: bool, lowest: bool, several: bool, spread: bool = False) -> Any:
    """One query over the rungs: rung, part, kind (0 block, 1 free range) and the columns of a block.

    :param several: more than one row a rung may be needed.
    :param spread: free ranges come before the blocks of their rung.
    """
    return build_offers(
        [
            (hold, column, Ids.listed([_P(f"r{rung}_{at}") for at in range(count)]))
            for rung, (hold, column, count) in enumerate(shape)
        ],
        claims=claims,
        lowest=lowest,
        several=several,
        spread=spread,
    )


def offers_of_many(
    runner: Runner, rungs: Sequence[Rung], claims: bool, lowest: bool, several: bool, spread: bool
) -> Any:
    """:func:`offers` for more ids than a database accepts as parameters: each list is one, ``r0``."""
    return build_offers(
        [
            (
                rung.hold,
                "cohort_id" if rung.cohorts else "subnet_id",
                Ids.many(runner, f"r{position}", rung.cohorts or rung.subnets),
            )
            for position, rung in enumerate(rungs)
        ],
        claims=claims,
        lowest=lowest,
        several=several,
        spread=spread,
    )


def frontier(shape: Shape, claims: bool, lowest: bool) -> Any:
    """The first offer of each part of each rung, unordered; ids are one array parameter a rung.

    For databases with arrays: one text serves groups of any size.
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
        *_parts(
            ids, claims=claims, free_ranges_first=claims, lowest=lowest, several=False, count=_ONE
        )
    )


class Ids(NamedTuple):
    """The ids of a rung in a statement.

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
        """A list of parameters."""
        return Ids.one(values[0]) if len(values) == 1 else Ids(False, lambda c: c.in_(values))

    @staticmethod
    def many(runner: Runner, name: str, ids: Sequence[int]) -> Ids:
        """More ids than parameters."""
        return Ids(len(ids) == 1, lambda column: runner.among(column, name, ids))


def build_offers(
    rungs: list[tuple[Hold, str, Ids]],
    *,
    claims: bool,
    lowest: bool,
    several: bool,
    spread: bool = False,
) -> Any:
    """See :func:`offers`."""
    free_ranges_first = claims or spread
    parts = _parts(
        rungs,
        claims=claims,
        free_ranges_first=free_ranges_first,
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


@lru_cache(maxsize=64)
def locking(hold: Hold, column: str, claims: bool, lowest: bool, spread: bool, skip: bool) -> Any:
    """The parts of one rung of a single id (``r0_0``), each the first row of it, locked as it is read.

    For transactions whose other reads show their snapshot.

    :param skip: skip rows that other transactions have locked.
    """
    parts = _parts(
        [(hold, column, Ids.one(_P("r0_0", type_=t.Id)))],
        claims=claims,
        free_ranges_first=claims or spread,
        lowest=lowest,
        several=True,
        count=_ONE,
        lock={"skip_locked": skip},
    )
    return tuple(reversed(parts) if hold is Hold.UNCLAIMED and (claims or spread) else parts)


class _Rows(NamedTuple):
    """Rows of one table with the same meaning for a rung.

    :ivar conditions: the conditions of a row beside its cohort or subnet.
    :ivar order: the columns that the rows are ordered by.
    :ivar index_name: the index that has the rows of one cohort or subnet together, and in order if any has.
    """

    table: sa.Table
    conditions: Callable[[Any], list[Any]]
    order: list[str]
    index_name: str


def _parts(
    rungs: list[tuple[Hold, str, Ids]],
    *,
    claims: bool,
    free_ranges_first: bool,
    lowest: bool,
    several: bool,
    count: Any,
    lock: Mapping[str, Any] | None = None,
) -> list[Any]:
    parts = []
    for rung, (hold, column, ids) in enumerate(rungs):
        block_part = 1 if hold is Hold.UNCLAIMED and free_ranges_first and not lowest else 0
        kinds = [(block_part, _blocks(hold, column, claims=claims, lowest=lowest))]
        if hold is Hold.UNCLAIMED:
            run_part = 0 if lowest else 1 - block_part
            kinds.append((run_part, _free_ranges(column, claims=claims, lowest=lowest)))
        for part, kind in kinds:
            parts.append(_part(kind, (rung, part), column, ids, several, count, lock))
    return parts


#: What blocks are ordered by before their address. Unclaimed ones all have the same takeover rank.
_FIRST: Final[dict[Hold, list[str]]] = {
    Hold.OWN: ["region_length"],
    Hold.UNCLAIMED: [],
    Hold.OTHERS: ["takeover_rank"],
}


def _blocks(hold: Hold, column: str, *, claims: bool, lowest: bool) -> _Rows:
    order = [*([] if lowest else _FIRST[hold]), "base"]
    index = block_index(column, "holder" if hold is Hold.OWN else order[0])
    return _Rows(t.block, _held_as(hold, claims), order, index)


def _free_ranges(column: str, *, claims: bool, lowest: bool) -> _Rows:
    order = ["base"] if lowest else ["length" if claims else "host_bits", "base"]
    return _Rows(t.free_range, lambda _: [], order, free_range_index(column, order[0]))


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
    kind: _Rows,
    place: tuple[int, int],
    column: str,
    ids: Ids,
    several: bool,
    count: Any,
    lock: Mapping[str, Any] | None,
) -> Any:
    """The first rows of one kind on one rung.

    Over several ids an index cannot give one order, and the database would read and sort every open
    block of all of them. So for a single row wanted, each id is asked for its own first row.
    """
    table = kind.table
    columns = _columns(table, place, kind.order)
    if ids.single or several:
        query = sa.select(*columns).where(ids.among(table.c[column]), *kind.conditions(table))
        query = (
            by_index(query, table, kind.index_name)
            .order_by(*_order(table, kind.order))
            .limit(count)
        )
        if lock is not None:
            return query.with_for_update(**lock)
    else:
        group = (t.cohort if column == "cohort_id" else t.subnet).alias()
        inner = table.alias()
        first = (
            by_index(sa.select(inner.c.id), inner, kind.index_name)
            .where(inner.c[column] == group.c.id, *kind.conditions(inner))
            .order_by(*_order(inner, kind.order))
            .limit(_ONE)
            .correlate(group)
            .scalar_subquery()
        )
        query = (
            sa.select(*columns)
            .select_from(group.join(table, table.c.id == first))
            .where(ids.among(group.c.id))
        )
    return sa.select(query.subquery())


def _columns(table: sa.Table, place: tuple[int, int], order: list[str]) -> list[Any]:
    number = sa.literal_column
    rung, part = place
    preference: Any = number("0") if order[0] == "base" else table.c[order[0]]
    is_free_range = table is t.free_range
    head = [
        number(str(rung)).label("rung"),
        number(str(part)).label("part"),
        preference.label("preference"),
        number("1" if is_free_range else "0").label("kind"),
    ]
    if not is_free_range:
        return [*head, *BLOCK_COLUMNS]
    return [
        *head,
        *FREE_RANGE_COLUMNS,
        number("0").label("bitmap"),
        number("''").label("holder"),
        number("0").label("region_length"),
        number("0").label("version"),
        number("0").label("high_water"),
        number("0").label("idle_since"),
    ]


def _order(table: Any, order: list[str]) -> list[Any]:
    return [table.c[name] for name in order]
