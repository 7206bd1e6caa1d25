"""The public methods for library, HTTP client and confined token alike.

Each parses what the caller wrote, once, and calls the action of the same name in
:class:`borough.engine.actions.Actions`.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from functools import wraps
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from borough.domain.declared.dimensions import make_labels
from borough.domain.declared.pools import PoolUsage
from borough.domain.declared.topology import Changes, Topology
from borough.domain.net.addresses import parse_held_address
from borough.domain.policy.explain import Explanation
from borough.domain.request import Request
from borough.domain.space.events import Event
from borough.domain.space.inspection import Finding
from borough.domain.text import check_text
from borough.engine.actions import Actions
from borough.engine.queries import RouteForm, each_page
from borough.engine.request import (
    AllocationFilter,
    LabelsIn,
    ReassignRequest,
    ReleaseRequest,
    check_page,
    parse_filter,
    parse_reassign,
    parse_release,
    parse_request,
)
from borough.engine.space_map import SpaceMap
from borough.engine.topology.apply import load
from borough.engine.topology.subnets import Draft
from borough.engine.upkeep.defragment import Defragmentation
from borough.engine.upkeep.hosts import Renamed, Vacated
from borough.engine.upkeep.reclaim import Reclaimed
from borough.engine.views import (
    Allocation,
    Answer,
    BlockView,
    DimensionView,
    HostView,
    Released,
    Route,
    SubnetView,
    TokenView,
    Usage,
)

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S")
T = TypeVar("T")


def takes(
    parse: Callable[P, R],
) -> Callable[[Callable[[S, R], T]], Callable[Concatenate[S, P], T]]:
    """Let a method that takes a parsed request be called with the parameters of its parser."""

    def make(method: Callable[[S, R], T]) -> Callable[Concatenate[S, P], T]:
        @wraps(method)
        def call(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
            return method(self, parse(*args, **kwargs))

        own, theirs = inspect.signature(method), inspect.signature(parse)
        call.__signature__ = own.replace(  # type: ignore[attr-defined]
            parameters=[own.parameters["self"], *theirs.parameters.values()]
        )
        return call

    return make


class Face(Actions):
    """Address space, and everything that can be done with it.

    Safe to share between threads. A context manager: leaving it closes the address space.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # --- Addresses ------------------------------------------------------------------------------

    @takes(parse_request)
    def allocate(self, request: Request) -> Answer:
        """Allocate addresses from a group: all that is asked for, or none.

        Parameters: see :func:`borough.engine.request.parse_request`.

        :raises FixInput: the request is malformed.
        :raises NoMatchingSubnet: the group admits no subnet.
        :raises Exhausted: nothing of the group is free.
        :raises AddressInUse: the address named is held.
        :raises KeyReused: the key was used with another request.
        :raises KeySpent: the key's addresses have been released.
        :raises Contended: others were in the way for too long; try again.
        """
        return self._allocate(request)

    @takes(parse_request)
    def explain(self, request: Request) -> Explanation:
        """Explain what :meth:`allocate` would allocate now, without allocating it.

        :raises FixInput: the request is malformed.
        """
        return self._explain(request)

    @takes(parse_release)
    def release(self, request: ReleaseRequest) -> Released:
        """Release addresses: those named, or all of an owner, or all on a host; all or nothing.

        Parameters: see :func:`borough.engine.request.parse_release`.

        :return: what was released, as it was; of an owner or a host the first 10,000 addresses.
        :raises NotAllocated: an address named is not allocated, or is not held so.
        :raises StaleSequence: the address was given to somebody else since.
        :raises UnknownObject: there is no such scope.
        """
        return self._release(request)

    def show(self, address: str, *, scope: str = "default") -> Allocation:
        """The allocation of an address.

        :raises NotAllocated: the address is neither allocated nor cooling.
        """
        return self._show(scope, *parse_held_address(address))

    # --- Declared objects -------------------------------------------------------------------------

    def apply(
        self,
        source: Topology | Mapping[str, Any] | str | os.PathLike[str],
        *,
        dry_run: bool = False,
        name: str | None = None,
        version: int | None = None,
    ) -> Changes:
        """Apply a topology, all of it or nothing.

        :param source: a topology, the mapping that its file would hold, or the path of its file.
        :param dry_run: only find out what would change.
        :param name: apply it under this name instead of its own.
        :param version: only when the declared objects are still at this version.
        :return: what changed; false when nothing did.
        :raises InvalidTopology: it cannot be read; the error names line and field.
        :raises WouldStrand: allocations would lose their subnet.
        :raises Overlap: subnets or pools of one scope would overlap.
        :raises InUse: something removed is still referred to.
        :raises StaleVersion: the declared objects have changed since that version.
        """
        return self._apply(load(source, name), dry_run, version)

    def allocate_subnet(
        self,
        pool: str,
        *,
        prefix_length: int | None = None,
        cidr: str | None = None,
        **settings: Any,
    ) -> SubnetView:
        """Carve a subnet out of a pool, by length or by exact prefix.

        :param prefix_length: its length; when left out, the pool's default.
        :param cidr: the exact prefix.
        :param settings: see :meth:`add_subnet`.
        :raises UnknownObject: there is no such pool.
        :raises FixInput: the length or prefix is not one that the pool gives.
        :raises Overlap: the prefix is taken.
        :raises PoolExhausted: no free prefix is large enough.
        :raises QuotaExceeded: the project would hold more than its quota.
        """
        draft = Draft.parse(pool=pool, prefix_length=prefix_length, cidr=cidr, **settings)
        return self._add_subnet(draft)

    def add_subnet(self, cidr: str, **settings: Any) -> SubnetView:
        """Add a subnet by itself, outside any topology and pool.

        :param settings: see :meth:`borough.engine.topology.subnets.Draft.parse`.
        :raises FixInput: a setting is not allowed.
        :raises Overlap: it overlaps another subnet of its scope.
        """
        return self._add_subnet(Draft.parse(cidr=cidr, **settings))

    def remove_subnet(self, name: str) -> SubnetView:
        """Remove a subnet; one that was carved returns to its pool.

        :raises UnknownObject: there is no such subnet.
        :raises WouldStrand: it has allocations; the error lists them.
        """
        return self._remove_subnet(name)

    # --- Reading ----------------------------------------------------------------------------------

    def subnets(
        self, *, labels: LabelsIn | None = None, scope: str | None = None
    ) -> list[SubnetView]:
        """Subnets with these labels, by scope and address; of several values any matches.

        :raises UnknownObject: there is no such scope or dimension.
        """
        return self._subnets(make_labels(labels or {}), scope)

    def subnet(self, name: str) -> SubnetView:
        """One subnet.

        :raises UnknownObject: there is none of that name.
        """
        return self._subnet(name)

    def hosts(self) -> list[HostView]:
        """Declared hosts by name."""
        return self._hosts()

    def dimensions(self) -> list[DimensionView]:
        """Dimensions in rank order."""
        return self._dimensions()

    def pools(self) -> list[PoolUsage]:
        """Pools by name, and how full they are."""
        return self._pools()

    def free_prefixes(self, pool: str, *, prefix_length: int | None = None) -> list[str]:
        """The largest free prefixes of a pool, by address.

        :param prefix_length: only those that a subnet of this length can be carved from.
        :raises UnknownObject: there is no such pool.
        """
        return self._free_prefixes(pool, prefix_length)

    def blocks(self, *, host: str | None = None, subnet: str | None = None) -> list[BlockView]:
        """Blocks by address: holder, fill, borrowed addresses."""
        return self._blocks(host, subnet)

    @takes(parse_filter)
    def allocations(self, wanted: AllocationFilter) -> list[Allocation]:
        """Allocations by sequence number, cooling ones included.

        Parameters: see :func:`borough.engine.request.parse_filter`.
        """
        return self._allocations(wanted)

    @takes(parse_filter)
    def each_allocation(self, wanted: AllocationFilter) -> Iterator[Allocation]:
        """Iterate over :meth:`allocations` page by page: for more than a process should hold.

        Each page is read by itself: an address that is allocated or released meanwhile may be among them
        or not, and none is listed twice.
        """

        def read(*, after: int, limit: int) -> list[Allocation]:
            return self._allocations(replace(wanted, after=after, limit=limit))

        return each_page(read, after=wanted.after, limit=wanted.limit)

    def space_map(
        self, *, scope: str = "default", subnets: Collection[str] | None = None
    ) -> SpaceMap:
        """All blocks of a scope in columns, as small as they can be: what a map is drawn from.

        :param subnets: only the blocks of these; None for all.
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
        """How full subnets are.

        :param labels: only subnets with these labels; of several values any matches.
        :param host: instead, the subnets that a request with these labels on this host may use, in its
            order of preference.
        :param scope: when left out, all scopes, or ``default`` with a host.
        :raises UnknownObject: there is no such scope or dimension.
        """
        return self._usage(make_labels(labels or {}), host, scope)

    def routes(
        self, host: str | None = None, form: RouteForm = "strict", *, scope: str | None = None
    ) -> list[Route]:
        """The fewest prefixes that hosts must advertise so that longest match finds every address.

        Found for all hosts of a scope and family together; no two advertise the same prefix.

        :param host: only those of one host.
        :param form: ``strict``: a prefix covers only what its host holds or has claimed; ``lpm``: it
            may cover anything in the subnets, with longer prefixes of other hosts as exceptions.
        :param scope: only those of one scope.
        :raises FixInput: there is no such form.
        :raises UnknownObject: there is no such scope.
        """
        return self._routes(host, form, scope)

    def events(
        self, *, after: int = 0, limit: int = 1000, labels: LabelsIn | None = None
    ) -> list[Event]:
        """The audit trail by id, oldest first, as far as it is complete.

        An event appears once no event with a smaller id can still appear. A reader that goes on after the
        last id of a page misses none. An open transaction that has written events holds up later ones.

        :param after: only events with a larger id, to page through; 0 for the oldest that is kept.
        :param labels: only events of subnets that had one of the values in each dimension at that time.
        :raises EventsPruned: events after this id, which is not 0, have been pruned.
        """
        check_page(after, limit)
        return self._events(after, limit, make_labels(labels or {}))

    def newest_event(self) -> int:
        """The id of the newest event in :meth:`events`; 0 when there is none."""
        return self._newest_event()

    # --- Hosts that go, addresses that move, claims -------------------------------------------------

    def drain(self, host: str) -> Vacated:
        """Take all claims from a host whose workloads are about to leave.

        Its unused regions become unclaimed space. Its addresses stay held until they are released or
        moved, each with a route of its own. This is done once and puts no lock on the host: a request that
        names it later claims for it again.

        :raises UnknownObject: there is no such host, nor a claim or an address of it.
        """
        return self._drain(check_text("host", host))

    def remove_host(self, name: str, *, release: bool = False) -> Vacated:
        """Forget a host that is gone: what :meth:`drain` does, and its declared entry is removed.

        A topology that still declares it declares it again when it is next applied.

        :param release: release its addresses as well; otherwise they stay held.
        :raises UnknownObject: there is no such host, nor a claim or an address of it.
        """
        return self._remove_host(check_text("host", name), release)

    def rename_host(self, old: str, new: str) -> Renamed:
        """Give a host another name: its claims, its addresses and its declared entry, all at once.

        What there is under the new name already stays, and the claims of both are joined where they
        fit; of two declared entries the one of the new name is kept. Sequence numbers stay.

        :raises UnknownObject: there is no such host, nor a claim or an address of it.
        :raises FixInput: the names are the same.
        """
        return self._rename_host(check_text("host", old), check_text("host", new))

    @takes(parse_reassign)
    def reassign(self, request: ReassignRequest) -> Allocation:
        """Put an address on another host, as a live migration does; its owner keeps it.

        It keeps its sequence number, for it is still the same holding. The region around it follows
        when only the new host has addresses in it any more. An address that is there already is
        left as it is.

        Parameters: see :func:`borough.engine.request.parse_reassign`.

        :raises NotAllocated: nobody holds the address.
        :raises StaleSequence: the address was given to somebody else since.
        :raises AddressOutsideGroup: the host implies labels of another segment than the subnet's.
        :raises UnknownObject: there is no such scope.
        """
        return self._reassign(request)

    def reclaim(self) -> Reclaimed:
        """Return idle claims to the pool; to be called every few minutes.

        Cooling addresses whose rest is over are free again; a region that is empty, or little used,
        is marked, and returned by a later sweep that finds it so still: after 15 minutes, or its
        unused half after an hour. It never takes an address from its owner, and works in short
        units, so that it may run beside everything else, also several times at once.
        """
        return self._reclaim()

    def defragment(
        self, *, host: str | None = None, scope: str | None = None, limit: int = 100
    ) -> Defragmentation:
        """Propose which addresses to renumber to save routes; nothing is renumbered.

        Each is to be released and asked for again for the same host, from the subnets named, in the
        order given. Found greedily, and counted by playing it on a copy of the address space.

        :param host: only addresses of this host.
        :param scope: only those of this scope.
        :param limit: most addresses.
        :raises UnknownObject: there is no such scope.
        """
        check_page(0, limit)
        return self._defragment(None if host is None else check_text("host", host), scope, limit)

    # --- Looking after ----------------------------------------------------------------------------

    def create_token(
        self,
        name: str,
        *,
        may: str = "read",
        labels: LabelsIn | None = None,
        expires: datetime | None = None,
    ) -> tuple[TokenView, str]:
        """Make a token by which a caller of the service identifies itself.

        :param name: who it stands for; events carry it.
        :param may: ``read``, ``allocate`` or ``administer``, each including those before it.
        :param labels: confine it to the subnets with these labels, and what belongs to them.
        :param expires: when it ends; None for never.
        :return: the token, and its text, which is stored nowhere and cannot be had again.
        :raises FixInput: there is a token of that name, or a setting is not allowed.
        """
        return self._create_token(name, may, make_labels(labels or {}), expires)

    def revoke_token(self, name: str) -> TokenView:
        """End a token.

        :raises UnknownObject: there is none of that name.
        """
        return self._revoke_token(name)

    def tokens(self) -> list[TokenView]:
        """All tokens by name."""
        return self._tokens()

    def audit(
        self, *, repair: bool = False, progress: Callable[[int, int], None] | None = None
    ) -> list[Finding]:
        """Find where the stored state contradicts itself, and what may lose it (:meth:`risks`).

        :param repair: mend it from what is certain: the allocations and the claims.
        :param progress: called with (subnets done, subnets in all); a service does not report it.
        """
        return self._audit(repair, progress)

    def risks(self) -> list[Finding]:
        """The settings of the database server by which an acknowledged change may be lost.

        Of the server, or the node, that answers; where there are several, each may be set otherwise.
        """
        return self._risks()

    def prune_events(self, through: int) -> int:
        """Remove the oldest events, at most 5000 of them, in one transaction; the newest event stays.

        A reader that goes on after an id older than the last one removed gets
        :class:`~borough.errors.EventsPruned`. The removal is recorded as an event.

        :param through: the largest id to remove.
        :return: how many were removed; 0 when there was nothing left to remove.
        """
        check_page(through, None)
        return self._prune_events(through)
