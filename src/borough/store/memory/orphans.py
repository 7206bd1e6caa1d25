"""Orphans in the in-memory tables."""

from __future__ import annotations

from borough.domain.space.orphans import Orphan
from borough.store.memory.part import MemoryPart


class MemoryOrphans(MemoryPart):
    """See :class:`borough.store.port.WriteOrphans`."""

    def keep_orphan(self, orphan: Orphan) -> None:
        self._tables.orphans[orphan.token] = orphan

    def orphans(self, driver: str | None = None) -> list[Orphan]:
        every = self._tables.orphans.values()
        wanted = [each for each in every if driver in (None, each.driver)]
        return sorted(wanted, key=lambda each: (each.at, each.token))

    def discard_orphan(self, token: str) -> None:
        self._tables.orphans.pop(token, None)
