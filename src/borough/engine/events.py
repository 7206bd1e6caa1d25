"""The audit trail: reading events, and pruning them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import takewhile
from typing import Final

from borough.domain.declared.dimensions import Labels
from borough.domain.encode import utc
from borough.domain.space.events import Event, EventRow
from borough.domain.space.filters import Trail
from borough.domain.space.plan import Act
from borough.engine.face import Face
from borough.engine.partial import telling
from borough.errors import EventsPruned
from borough.store.port import ReadTrail, ReadUnit, Unit

#: Most events that one transaction removes.
PIECE: Final = 5000


class Cohorts:
    """The labels of all cohorts of events, as last read. Threads may share it."""

    def __init__(self) -> None:
        self._known: tuple[int, Mapping[int, Labels]] = (-1, {})

    def within(self, unit: ReadUnit, labels: Labels) -> frozenset[int]:
        """The cohorts with one of the values in every dimension of ``labels``.

        A unit sees the cohorts of all events in its snapshot: a cohort comes with a new version of the
        catalogue, its events later.
        """
        version, known = self._known
        if version != unit.catalogue.version:
            version, known = self._known = unit.catalogue.version, unit.cohort_labels()
        return frozenset(
            id
            for id, own in known.items()
            if all(own.get(name, frozenset()) & values for name, values in labels.items())
        )


def events(
    unit: ReadTrail, after: int, upto: int, limit: int, cohorts: frozenset[int] | None
) -> list[Event]:
    """See :meth:`borough.engine.ipam.Ipam.events`.

    :param upto: the horizon, from before the unit.
    """
    gone = unit.pruned()
    if 0 < after < gone:
        raise EventsPruned(
            f"events up to {gone} have been pruned, some of them after {after}; start again with 0",
            after=after,
            pruned=gone,
        )
    ids = None if cohorts is None else sorted(cohorts)
    return unit.events(Trail(after, upto, limit, ids))


def prune_piece(unit: Unit, through: int, upto: int, now: int) -> int:
    """Prune a piece of the oldest events, and record it as an event.

    The newest event below the horizon stays. MariaDB locks the row after those that it removes, and an event
    above the horizon may belong to another transaction.

    :param through: the largest id to remove.
    :param upto: the horizon, from before the unit.
    """
    count = unit.prune(min(through, unit.newest_event(upto) - 1), PIECE)
    if count:
        detail = f"{count} events, up to {unit.pruned()}"
        unit.record(EventRow(now, Act.PRUNED, "events", detail=detail))
    return count


def ago(seconds: float) -> datetime:
    """The time a number of seconds ago, but not before the epoch."""
    return utc(max(time.time_ns() // 1000 - int(seconds * 1_000_000), 0))


def prune(
    ipam: Face, before: datetime, archive: Callable[[Sequence[Event]], None] | None = None
) -> int:
    """Prune the events before the first one of ``before`` or later; return their number.

    Events are pruned by id from the oldest on, a piece in a transaction. The newest event stays. An error
    has under ``done`` the number of events pruned before it.

    :param archive: stores each piece before it is removed.
    """
    newest = ipam.newest_event()
    total = 0
    with telling(lambda: {"pruned": total} if total else {}):
        while True:
            page = ipam.events(limit=PIECE)
            old = [*takewhile(lambda each: each.at < before and each.id < newest, page)]
            if not old:
                return total
            if archive is not None:
                archive(old)
            total += ipam.prune_events(old[-1].id)
            if len(old) < len(page):
                return total
