"""The probes of an allocation: one query over the rungs of a ladder, cached with its parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from borough.domain.space.rungs import Rung
from borough.store.cache import Cache
from borough.store.sql import statements as s
from borough.store.sql.offers import offers
from borough.store.sql.runner import Shaped


class Probes:
    """Probes by rungs: the query over them, and the ids that are its parameters.

    Ladders are cached for one catalogue, so most requests read known rungs. To build the parameters each time
    would be a tenth of an allocation.
    """

    def __init__(self, kept: Cache[Any, Any]) -> None:
        """Use the cache of a store."""
        self._kept = kept

    def find(
        self,
        rungs: Sequence[Rung],
        claims: bool,
        lowest: bool,
        several: bool,
        spread: bool = False,
    ) -> tuple[Shaped, dict[str, int]] | None:
        """The query and its parameters; None for more ids than a database accepts as parameters.

        :param spread: offer free ranges before the blocks of their rung.
        """
        key = (Probes, id(rungs), claims, lowest, several, spread)
        found = self._kept.get(key)
        # The cache keeps the rungs alive, so their id is not used again.
        if found is None or found[0] is not rungs:
            found = self._kept.put(key, (rungs, self._build(*key[2:], rungs=rungs)))
        probe: tuple[Shaped, dict[str, int]] | None = found[1]
        return probe

    @staticmethod
    def _build(
        claims: bool, lowest: bool, several: bool, spread: bool, *, rungs: Sequence[Rung]
    ) -> tuple[Shaped, dict[str, int]] | None:
        values: dict[str, int] = {}
        shape = []
        for position, rung in enumerate(rungs):
            column, ids = ids_of(rung)
            if len(ids) > s.INLINE:
                return None
            shape.append((rung.hold, column, len(ids)))
            for at, id in enumerate(ids):
                values[f"r{position}_{at}"] = id
        return offers(tuple(shape), claims, lowest, several, spread), values


def ids_of(rung: Rung) -> tuple[str, tuple[int, ...]]:
    """The column that selects a rung, and its values."""
    return ("cohort_id", rung.cohorts) if rung.cohorts else ("subnet_id", rung.subnets)
