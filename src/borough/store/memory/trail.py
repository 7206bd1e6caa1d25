"""The trail of events in the in-memory tables."""

from __future__ import annotations

from itertools import islice

from borough.domain.declared.dimensions import Labels
from borough.domain.encode import micros
from borough.domain.space.events import Event, EventRow
from borough.domain.space.filters import Trail
from borough.domain.space.plan_events import in_cohort
from borough.store.memory.part import MemoryPart


class MemoryTrail(MemoryPart):
    """See :class:`borough.store.port.WriteTrail`."""

    def events(self, wanted: Trail) -> list[Event]:
        events = self._tables.events
        found = (
            event
            for event in (reversed(events) if wanted.newest_first else events)
            if wanted.after < event.id <= wanted.upto and _is_wanted(event, wanted)
        )
        return list(islice(found, wanted.limit))

    def newest_event(self, upto: int) -> int:
        return min(upto, self._tables.newest_event)

    def cohort_labels(self) -> dict[int, Labels]:
        return dict(self._tables.cohort_labels)

    def pruned(self) -> int:
        return self._tables.pruned

    def prune(self, through: int, limit: int) -> int:
        tables = self._tables
        gone = [event for event in tables.events[:-1] if event.id <= through][:limit]
        del tables.events[: len(gone)]
        if gone:
            tables.pruned = gone[-1].id
            named = {event.cohort_id for event in tables.events} | tables.cohorts.keys()
            for id in tables.cohort_labels.keys() - named:
                del tables.cohort_labels[id]
        return len(gone)

    def record(self, *events: EventRow) -> None:
        for event in events:
            self._tables.add_event(in_cohort(event, self.catalogue))


def _is_wanted(event: Event, wanted: Trail) -> bool:
    if wanted.cohorts is not None and event.cohort_id not in wanted.cohorts:
        return False
    within = wanted.within
    if within is not None and (
        event.address is None
        or event.address[0] != within.family
        or not within.holds(event.address[1])
    ):
        return False
    at = micros(event.at)
    return (
        (wanted.since is None or at >= wanted.since)
        and (wanted.until is None or at < wanted.until)
        and all(
            getattr(event, name) == value
            for name, value in wanted.conditions.items()
            if name not in ("since", "until")
        )
    )
