"""The objects that the endpoints of one process share."""

from __future__ import annotations

from typing import Final

from borough.api.access import Identity, View
from borough.api.feed import Feed
from borough.api.guard import Guard
from borough.api.quota import Quota
from borough.api.reclaimer import Reclaimer
from borough.api.request_log import RETRIES, STATEMENTS, RequestLog
from borough.api.route_feed import RouteFeed
from borough.api.scoped import ScopedIpam, VisibleSubnets
from borough.api.settings import ServiceSettings
from borough.api.workers import WorkerPool
from borough.domain.declared.dimensions import Labels, make_labels
from borough.domain.declared.tokens import Permission
from borough.engine.events import Cohorts, ago, prune
from borough.engine.ipam import Ipam
from borough.engine.request import LabelsIn

#: Most seconds that a run of reclaim may take after everything else has ended.
_LAST: Final = 5.0

#: Factor by which the deadline of a request of an administrator is longer.
_LONG: Final = 10


class Service:
    """One process of the service."""

    def __init__(self, ipam: Ipam, settings: ServiceSettings) -> None:
        self.ipam = ipam
        self.settings = settings
        self.workers = WorkerPool(settings)
        self.feed = Feed(ipam, self.workers)
        self.routes = RouteFeed(ipam, self.workers)
        self.guard = Guard(ipam, self.workers, requires_token=settings.requires_token)
        self.streams = Quota(settings.streams, settings.token_streams, "event streams")
        self.route_streams = Quota(settings.route_streams, settings.route_streams, "route streams")
        self.in_flight = Quota(
            settings.in_flight, settings.token_in_flight, "bytes of requests and answers under way"
        )
        self.reclaimer = Reclaimer(ipam.reclaim, settings.reclaim_every, self._prune)
        self._visible_subnets = VisibleSubnets()
        self._cohorts = Cohorts()
        self._counted = (0, 0)

    def view(self, caller: Identity) -> View:
        """The address space that a caller sees."""
        if caller.labels:
            return ScopedIpam(self.ipam, caller.labels, self._visible_subnets)
        return self.ipam

    def deadline(self, permission: Permission) -> float:
        """Most seconds that a request may take; administrators may audit or change all objects."""
        return self.settings.deadline * (_LONG if permission is Permission.ADMINISTER else 1)

    def cohorts(self, view: View, labels: LabelsIn) -> frozenset[int] | None:
        """The present and past cohorts whose events a caller gets; None for all events.

        :param labels: labels of the request.
        :raises NotPermitted: a label is outside the boundary of the caller.
        """
        wanted: Labels = make_labels(labels)
        if isinstance(view, ScopedIpam):
            wanted = view.narrow(wanted)
        if not wanted:
            return None
        return self.ipam.store.transact(
            lambda unit: self._cohorts.within(unit, wanted), write=False
        )

    def request_log(self, name: str) -> RequestLog:
        """Begin the record of a request."""
        return RequestLog(name, verbose=self.settings.access_log)

    def count(self) -> None:
        """Add the retries and statements of the store since the last call to the counters."""
        store = self.ipam.store
        # Threads add to these without a lock, so that a number may decrease a little.
        now = (store.retries, getattr(store, "statements", 0))
        for counter, new, old in zip((RETRIES, STATEMENTS), now, self._counted, strict=True):
            if new > old:
                counter.inc(new - old)
        self._counted = now

    def _prune(self) -> int:
        """Prune the events that are older than the settings allow; return their number."""
        keep = self.settings.keep_events
        return prune(self.ipam, ago(keep)) if keep else 0

    def stop(self) -> None:
        """End event streams, and begin no other run of reclaim; other requests are finished."""
        self.reclaimer.stop()
        self.feed.close()
        self.routes.close()

    def close(self) -> None:
        """Close threads and connections."""
        self.workers.close()
        self.reclaimer.close(_LAST)
        self.ipam.close()
