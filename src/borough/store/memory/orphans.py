"""Orphans in the in-memory tables."""

from __future__ import annotations

from borough.domain.space.orphans import Leftover
from borough.store.memory.part import MemoryPart


class MemoryOrphans(MemoryPart):
    """See :class:`borough.store.port.WriteOrphans`."""

    def leave(self, leftover: Leftover) -> None:
        self._tables.leftovers[leftover.token] = leftover

    def leftovers(self, driver: str | None = None) -> list[Leftover]:
        every = self._tables.leftovers.values()
        wanted = [each for each in every if driver in (None, each.driver)]
        return sorted(wanted, key=lambda each: (each.at, each.token))

    def settle(self, token: str) -> None:
        self._tables.leftovers.pop(token, None)
