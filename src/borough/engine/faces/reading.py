"""The public methods that read."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from borough.domain.declared.dimensions import make_labels
from borough.domain.declared.pools import PoolUsage
from borough.domain.space.events import Event
from borough.engine.actions import Actions
from borough.engine.address_lines import AddressLine, LineQuery, parse_lines
from borough.engine.faces.takes import takes
from borough.engine.history import HistoryQuery, parse_history
from borough.engine.queries import RouteForm, each_page
from borough.engine.request import (
    AllocationFilter,
    LabelsIn,
    check_page,
    parse_filter,
)
from borough.engine.search import SearchQuery, SearchResult, parse_search
from borough.engine.space_map import SpaceMap
from borough.engine.views import (
    Allocation,
    BlockView,
    DimensionView,
    HostView,
    Route,
    SubnetView,
    Usage,
)


class ReadingFace(Actions):
    """Methods that read."""

    def subnets(
        self, *, labels: LabelsIn | None = None, scope: str | None = None
    ) -> list[SubnetView]:
        """Subnets with these labels, by scope and address; of several values any matches.

        :raises UnknownObject: there is no such scope or dimension.
        """
        return self._subnets(make_labels(labels or {}), scope)

    def subnet(self, name: str) -> SubnetView:
        """One subnet.

        :raises UnknownObject: no object has that name.
        """
        return self._subnet(name)

    def hosts(self) -> list[HostView]:
        """Declared hosts by name."""
        return self._hosts()

    def undeclared_hosts(self) -> list[str]:
        """Hosts that hold an address or claim a block, and are not declared, by name."""
        return self._undeclared_hosts()

    def dimensions(self) -> list[DimensionView]:
        """Dimensions in rank order."""
        return self._dimensions()

    def pools(self) -> list[PoolUsage]:
        """Pools by name, with their usage."""
        return self._pools()

    def free_prefixes(self, pool: str, *, prefix_length: int | None = None) -> list[str]:
        """The largest free prefixes of a pool, by address.

        :param prefix_length: only those that a subnet of this length can be carved from.
        :raises UnknownObject: there is no such pool.
        """
        return self._free_prefixes(pool, prefix_length)

    def blocks(self, *, host: str | None = None, subnet: str | None = None) -> list[BlockView]:
        """Blocks by address, with holder, usage and borrowed addresses."""
        return self._blocks(host, subnet)

    @takes(parse_filter)
    def allocations(self, selected: AllocationFilter) -> list[Allocation]:
        """Allocations by sequence number, cooling ones included.

        Parameters: see :func:`borough.engine.request.parse_filter`.
        """
        return self._allocations(selected)

    @takes(parse_filter)
    def each_allocation(self, selected: AllocationFilter) -> Iterator[Allocation]:
        """Iterate over :meth:`allocations` page by page, for more than fit in memory.

        Each page is a transaction. An address that is allocated or released meanwhile may be missing; none
        is listed twice.
        """

        def read(*, after: int, limit: int) -> list[Allocation]:
            return self._allocations(replace(selected, after=after, limit=limit))

        return each_page(read, after=selected.after, limit=selected.limit)

    @takes(parse_lines)
    def addresses(self, wanted: LineQuery) -> list[AddressLine]:
        """The addresses of a subnet in order: held ones one by one, all others as ranges.

        Parameters: see :func:`borough.engine.address_lines.parse_lines`.

        :raises UnknownObject: there is no such subnet.
        """
        return self._addresses(wanted)

    @takes(parse_search)
    def search(self, wanted: SearchQuery) -> SearchResult:
        """Find subnets, hosts and addresses of all scopes by any part of what is known about them.

        A page compares at most 20,000 allocations; ``next`` leads on until all are compared. An address or a
        prefix is found by index.

        Parameters: see :func:`borough.engine.search.parse_search`.
        """
        return self._search(wanted)

    def space_map(
        self, *, scope: str = "default", subnets: Collection[str] | None = None
    ) -> SpaceMap:
        """All blocks of a scope in compact columns, from which a map is drawn.

        :param subnets: only blocks of these subnets; None for all.
        :raises UnknownObject: there is no such scope.
        """
        return self._space_map(scope, subnets)

    def usage(
        self,
        *,
        labels: LabelsIn | None = None,
        host: str | None = None,
        scope: str | None = None,
    ) -> list[Usage]:
        """The usage of subnets.

        :param labels: only subnets with these labels; of several values any matches.
        :param host: only the subnets that a request for this host with these labels may use, in its order of
            preference.
        :param scope: by default all scopes, with a host ``default``.
        :raises UnknownObject: there is no such scope or dimension.
        """
        return self._usage(make_labels(labels or {}), host, scope)

    def routes(
        self, host: str | None = None, form: RouteForm = "strict", *, scope: str | None = None
    ) -> list[Route]:
        """The fewest prefixes by which the longest match leads every address to its host.

        The minimum is that of all hosts of a scope and family; no two hosts advertise the same prefix.

        :param host: only those of one host.
        :param form: ``strict``: a prefix covers only addresses and claims of its host; ``lpm``: it may
            cover other addresses of the subnets too, with longer prefixes of other hosts as exceptions.
        :param scope: only those of one scope.
        :raises FixInput: there is no such form.
        :raises UnknownObject: there is no such scope.
        """
        return self._routes(host, form, scope)

    def events(
        self, *, after: int = 0, limit: int = 1000, labels: LabelsIn | None = None
    ) -> list[Event]:
        """The audit trail by id, oldest first, as far as it is complete.

        An event appears when no event with a smaller id can follow. A reader that continues after the last
        id of a page misses none. An open transaction that has written events delays later ones.

        :param after: only events with a larger id, to page through; 0 for the oldest stored one.
        :param labels: only events of subnets that had one of the values in each dimension at that time.
        :raises EventsPruned: events after this id, which is not 0, have been pruned.
        """
        check_page(after, limit)
        return self._events(after, limit, make_labels(labels or {}))

    @takes(parse_history)
    def history(self, wanted: HistoryQuery) -> list[Event]:
        """Events of an address, a prefix, an owner or a host, the newest first.

        Addresses, owners, hosts, labels and times are found by index; other filters are compared with
        these events, or with all of them when nothing else is named.

        Parameters: see :func:`borough.engine.history.parse_history`.
        """
        return self._history(wanted)

    def newest_event(self) -> int:
        """The id of the newest event in :meth:`events`; 0 when there is none."""
        return self._newest_event()
