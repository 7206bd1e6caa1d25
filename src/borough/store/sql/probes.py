"""The probes of an allocation: one query over the rungs of a ladder, kept with its parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from borough.domain.ladder import Rung
from borough.store.sql import statements as s
from borough.store.sql.offers import offers, offers_of_many


class Probes:
    """Probes by rungs: the query over them, and the ids that are its parameters.

    Ladders are kept for as long as the catalogue stands, so that most requests look at rungs that were
    looked at before; to put the query's parameters together again each time would be a tenth of an
    allocation.
    """

    #: Probes kept; one for each distinct selector.
    _LIMIT = 4096

    def __init__(self) -> None:
        self._found: dict[
            tuple[int, bool, bool, bool, bool], tuple[Any, Any, dict[str, int] | None]
        ] = {}

    def find(
        self,
        rungs: Sequence[Rung],
        claims: bool,
        lowest: bool,
        several: bool,
        spread: bool = False,
    ) -> tuple[Any, dict[str, int] | None]:
        """The query and its parameters; None for ids that are written into the text.

        :param spread: whether runs come before the blocks of their rung.
        """
        key = (id(rungs), claims, lowest, several, spread)
        found = self._found.get(key)
        # The rungs are kept with their probe, so that an id cannot come back for others.
        if found is None or found[0] is not rungs:
            if len(self._found) >= self._LIMIT:
                self._found = {}
            found = self._found[key] = (rungs, *self._build(*key[1:], rungs=rungs))
        return found[1], found[2]

    @staticmethod
    def _build(
        claims: bool, lowest: bool, several: bool, spread: bool, *, rungs: Sequence[Rung]
    ) -> tuple[Any, dict[str, int] | None]:
        values: dict[str, int] = {}
        shape = []
        for position, rung in enumerate(rungs):
            column, ids = ids_of(rung)
            if len(ids) > s.INLINE:
                return offers_of_many(rungs, claims, lowest, several, spread), None
            shape.append((rung.hold, column, len(ids)))
            for at, id in enumerate(ids):
                values[f"r{position}_{at}"] = id
        return offers(tuple(shape), claims, lowest, several, spread), values


def ids_of(rung: Rung) -> tuple[str, tuple[int, ...]]:
    """The column that a rung is found by, and its values."""
    return ("cohort_id", rung.cohorts) if rung.cohorts else ("subnet_id", rung.subnets)
