"""Common base of the parts of a unit of work on the in-memory tables."""

from __future__ import annotations

from borough.domain.declared.catalogue import Catalogue
from borough.store.memory.tables import Tables
from borough.store.port import LostRace


class MemoryPart:
    """The tables that a unit of work reads and writes."""

    def __init__(self, tables: Tables, catalogue: Catalogue) -> None:
        self._tables = tables
        self.catalogue = catalogue


def expect(stored: object, expected: object) -> None:
    """Compare a row with its precondition.

    :raises LostRace: they differ; the whole unit runs again.
    """
    if stored != expected:
        raise LostRace(expected)
