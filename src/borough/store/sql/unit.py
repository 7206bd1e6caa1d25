"""One transaction on an SQL database, as the engine sees it."""

from __future__ import annotations

from borough.store.sql.allocations import SqlAllocations
from borough.store.sql.declarations import SqlDeclarations
from borough.store.sql.inspection import SqlInspection
from borough.store.sql.orphans import SqlOrphans
from borough.store.sql.space import SqlSpace
from borough.store.sql.tokens import SqlTokens
from borough.store.sql.trail import SqlTrail


class SqlUnit(
    SqlSpace, SqlAllocations, SqlDeclarations, SqlTrail, SqlTokens, SqlOrphans, SqlInspection
):
    """See :class:`borough.store.port.Unit`."""
