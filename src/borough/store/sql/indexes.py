"""Which index a query over blocks or runs reads, for databases that do not find it by themselves.

MariaDB reads a table that it takes for small from end to end. Where such a query is asked for each row of
another one, with ``LIMIT``, it then makes a range of an index after all: once, with the values of whichever
row comes first, and finds nothing for the others. A query that may read one index only is never planned so;
nor does it lock rows that it merely passes on its way.
"""

from __future__ import annotations

from typing import Any, TypeVar

import sqlalchemy as sa

_Query = TypeVar("_Query", bound=sa.Select[Any])

#: Names of the dialect that speaks to MariaDB.
_MARIADB = ("mysql", "mariadb")

_OPEN_BLOCKS = {"holder": "held", "base": "base", "takeover_rank": "takeover_rank"}


def block_index(column: str, order: str) -> str:
    """The index over open blocks of a cohort or subnet.

    :param column: ``cohort_id`` or ``subnet_id``.
    :param order: the column that is first after those with one value: ``holder`` for the blocks of one.
    """
    of = "subnet_" if column == "subnet_id" else ""
    return f"ix_borough_block_open_{of}{_OPEN_BLOCKS[order]}"


def free_range_index(column: str, order: str) -> str:
    """The index over the runs of a cohort or subnet; a subnet has few, in no order but by address."""
    if column == "subnet_id":
        return "uq_borough_free_range_subnet_base"
    return f"ix_borough_free_range_cohort_{order}"


def by_index(query: _Query, table: sa.FromClause, index: str) -> _Query:
    """The query, reading a table by one index."""
    for name in _MARIADB:
        query = query.with_hint(table, f"FORCE INDEX ({index})", name)
    return query
