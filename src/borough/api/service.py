"""What the endpoints of one process share."""

from __future__ import annotations

from typing import Final

from borough.api.access import Identity, View
from borough.api.feed import Feed
from borough.api.guard import Guard
from borough.api.quota import Quota
from borough.api.reclaimer import Reclaimer
from borough.api.request_log import RETRIES, STATEMENTS, RequestLog
from borough.api.scoped import ScopedIpam, VisibleSubnets
from borough.api.settings import ServiceSettings
from borough.api.workers import WorkerPool
from borough.domain.declared.dimensions import Labels, make_labels
from borough.domain.declared.tokens import Permission
from borough.engine.events import Cohorts, ago, prune
from borough.engine.ipam import Ipam
from borough.engine.request import LabelsIn

#: How long a sweep may still take when everything else has ended, in seconds.
_LAST: Final = 5.0


#: How much longer a request of an administrator may take than others.
_LONG: Final = 10


class Service:
    """One process of the service."""

    def __init__(self, ipam: Ipam, settings: ServiceSettings) -> None:
        self.ipam = ipam
        self.settings = settings
        self.workers = WorkerPool(settings)
        self.feed = Feed(ipam, self.workers)
        self.guard = Guard(ipam, self.workers, requires_token=settings.requires_token)
        self.streams = Quota(settings.streams, settings.token_streams, "event streams")
        self.in_flight = Quota(
            settings.in_flight, settings.token_in_flight, "bytes of requests and answers under way"
        )
        self.sweeper = Reclaimer(ipam.reclaim, settings.reclaim_every, self._prune)
        self._visible_subnets = VisibleSubnets()
        self._cohorts = Cohorts()
        self._counted = (0, 0)

    def view(self, caller: Identity) -> View:
        """The address space as a caller may see it."""
        if caller.labels:
            return ScopedIpam(self.ipam, caller.labels, self._visible_subnets)
        return self.ipam

    def deadline(self, need: Permission) -> float:
        """Most seconds that a request may take: administrators change and audit everything there is."""
        return self.settings.deadline * (_LONG if need is Permission.ADMINISTER else 1)

    def cohorts(self, view: View, labels: LabelsIn) -> frozenset[int] | None:
        """The cohorts, past ones too, whose events a caller is told; None for all events.

        :param labels: what the caller asks for.
        :raises NotPermitted: it is not the caller's to see.
        """
        wanted: Labels = make_labels(labels)
        if isinstance(view, ScopedIpam):
            wanted = view.narrow(wanted)
        if not wanted:
            return None
        return self.ipam.store.transact(
            lambda unit: self._cohorts.within(unit, wanted), write=False
        )

    def watch(self, name: str) -> RequestLog:
        """Watch a request."""
        return RequestLog(name, verbose=self.settings.access_log)

    def count(self) -> None:
        """Add what the store has done since the last time to the counters."""
        store = self.ipam.store
        # Threads add to these without a lock, so that one of them may go back by a few.
        now = (store.retries, getattr(store, "statements", 0))
        for counter, new, old in zip((RETRIES, STATEMENTS), now, self._counted, strict=True):
            if new > old:
                counter.inc(new - old)
        self._counted = now

    def _prune(self) -> int:
        """Prune the events that are older than the settings say; return how many."""
        keep = self.settings.keep_events
        return prune(self.ipam, ago(keep)) if keep else 0

    def stop(self) -> None:
        """Let event streams end, and sweep no more; everything else under way is finished."""
        self.sweeper.stop()
        self.feed.close()

    def close(self) -> None:
        """Give back threads and connections."""
        self.workers.close()
        self.sweeper.close(_LAST)
        self.ipam.close()
