"""The index that a query over blocks or free ranges reads, where the optimiser needs a hint.

MariaDB scans a table that it takes for small. Where such a query runs with ``LIMIT`` for each row of
another one, it builds an index range once, with the values of the first row, and finds nothing for the
others. A query restricted to one index is never planned so, and locks no rows that it only passes.
"""

from __future__ import annotations

from typing import Any, TypeVar

import sqlalchemy as sa

_Query = TypeVar("_Query", bound=sa.Select[Any])

#: SQLAlchemy's names of the dialect of MariaDB.
_MARIADB = ("mysql", "mariadb")

_OPEN_BLOCKS = {"holder": "held", "base": "base", "takeover_rank": "takeover_rank"}


def block_index(column: str, order: str) -> str:
    """The index over open blocks of a cohort or subnet.

    :param column: ``cohort_id`` or ``subnet_id``.
    :param order: the first column after those with one value; ``holder`` for the blocks of one holder.
    """
    of = "subnet_" if column == "subnet_id" else ""
    return f"ix_borough_block_open_{of}{_OPEN_BLOCKS[order]}"


def free_range_index(column: str, order: str) -> str:
    """The index over the free ranges of a cohort or subnet; of a subnet always by address."""
    if column == "subnet_id":
        return "uq_borough_free_range_subnet_base"
    return f"ix_borough_free_range_cohort_{order}"


def by_index(query: _Query, table: sa.FromClause, index: str) -> _Query:
    """The query, reading a table by one index."""
    for name in _MARIADB:
        query = query.with_hint(table, f"FORCE INDEX ({index})", name)
    return query
