"""One unit of work on an SQL database."""

from __future__ import annotations

from borough.store.sql.unit.agents import SqlAgents
from borough.store.sql.unit.allocations import SqlAllocations
from borough.store.sql.unit.declarations import SqlDeclarations
from borough.store.sql.unit.inspection import SqlInspection
from borough.store.sql.unit.orphans import SqlOrphans
from borough.store.sql.unit.space import SqlSpace
from borough.store.sql.unit.tokens import SqlTokens
from borough.store.sql.unit.trail import SqlTrail


class SqlUnit(
    SqlSpace,
    SqlAllocations,
    SqlDeclarations,
    SqlTrail,
    SqlTokens,
    SqlOrphans,
    SqlAgents,
    SqlInspection,
):
    """See :class:`borough.store.port.Unit`."""
