"""One unit of work on the in-memory tables."""

from __future__ import annotations

from borough.store.memory.agents import MemoryAgents
from borough.store.memory.allocations import MemoryAllocations
from borough.store.memory.declarations import MemoryDeclarations
from borough.store.memory.inspection import MemoryInspection
from borough.store.memory.orphans import MemoryOrphans
from borough.store.memory.tokens import MemoryTokens
from borough.store.memory.trail import MemoryTrail


class MemoryUnit(
    MemoryInspection,
    MemoryAllocations,
    MemoryDeclarations,
    MemoryTrail,
    MemoryTokens,
    MemoryOrphans,
    MemoryAgents,
):
    """See :class:`borough.store.port.Unit`."""
