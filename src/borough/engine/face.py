"""The public methods of library, HTTP client and confined token.

Each parses its parameters once, and calls the action of the same name in
:class:`borough.engine.actions.Actions`.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from borough.domain.declared.dimensions import make_labels
from borough.domain.declared.pools import PoolUsage
from borough.domain.declared.topology import Changes, Topology
from borough.domain.net.addresses import parse_held_address
from borough.domain.policy.explain import Explanation
from borough.domain.request import Request
from borough.domain.space.events import Event
from borough.domain.space.findings import Finding
from borough.domain.text import check_text
from borough.engine.actions import Actions
from borough.engine.address_lines import AddressLine, LineQuery, parse_lines
from borough.engine.announcements import (
    Acknowledged,
    Acknowledgement,
    AgentView,
    HostRoutes,
    parse_acknowledgement,
)
from borough.engine.edits import (
    EditRequest,
    Transferred,
    parse_edit,
    parse_transfer,
    transfer_all,
)
from borough.engine.exchange.write import write
from borough.engine.history import HistoryQuery, parse_history
from borough.engine.imports import Imported, in_pieces, parse_entries
from borough.engine.leases import Renewed, RenewRequest, parse_renew
from borough.engine.owners import Missing, Reconciled, reconcile
from borough.engine.queries import RouteForm, each_page
from borough.engine.request import (
    NAME_LIMIT,
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
from borough.engine.reservations import (
    CancelRequest,
    ReserveRequest,
    parse_cancel,
    parse_reserve,
)
from borough.engine.search import SearchQuery, SearchResult, parse_search
from borough.engine.space_map import SpaceMap
from borough.engine.topology.apply import load
from borough.engine.topology.change import parse_change
from borough.engine.topology.replacing import ReplaceRequest, parse_replacement
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
    Reassigned,
    Released,
    Reservations,
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
    """Give a method of a parsed request the parameters of its parser."""

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
    """Address space and its operations.

    Threads may share it. A context manager that closes the address space.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- Addresses ------------------------------------------------------------------------------

    @takes(parse_request)
    def allocate(self, request: Request) -> Answer:
        """Allocate all addresses of a request, or none.

        Repeated sticky requests of an owner get the same addresses under any key and on any host: reassign
        moves an address to another host.

        Parameters: see :func:`borough.engine.request.parse_request`.

        :raises FixInput: the request is malformed.
        :raises NoMatchingSubnet: the group admits no subnet.
        :raises Exhausted: the group has too few free addresses.
        :raises AddressInUse: the requested address is held.
        :raises KeyReused: another request has used the key.
        :raises KeySpent: the key's addresses have been released.
        :raises Contended: conflicts lasted longer than the timeout; try again.
        """
        return self._allocate(request)

    @takes(parse_request)
    def explain(self, request: Request) -> Explanation:
        """Explain the decision that :meth:`allocate` would make now, without making it.

        :raises FixInput: the request is malformed.
        """
        return self._explain(request)

    @takes(parse_release)
    def release(self, request: ReleaseRequest) -> Released:
        """Release addresses by name, or all of an owner, or all on a host; all or none.

        Parameters: see :func:`borough.engine.request.parse_release`.

        :return: the addresses as they were; of an owner or a host the first 10,000.
        :raises NotAllocated: an address is not allocated, or has another owner or host.
        :raises StaleSequence: the address was allocated again meanwhile.
        :raises UnknownObject: there is no such scope.
        """
        return self._release(request)

    @takes(parse_renew)
    def renew(self, request: RenewRequest) -> Renewed:
        """Renew the lease of an address, or the leases of all that an idempotency key was given.

        The lease then ends its duration from now; never earlier than before. Sequence number, key, host and
        claim stay. A lease that is over is not renewed: its address may have another holder.

        Parameters: see :func:`borough.engine.leases.parse_renew`.

        :raises NotAllocated: the address is not allocated, or its lease is over.
        :raises StaleSequence: the address was allocated again meanwhile, or without the key.
        :raises KeySpent: addresses of the key are released.
        :raises FixInput: an address has no lease.
        :raises UnknownObject: there is no such scope.
        """
        return self._renew(request)

    @takes(parse_reserve)
    def reserve(self, request: ReserveRequest) -> Reservations:
        """Reserve addresses for an owner, or for nobody; all or none.

        A reserved address is not free. Its owner gets it by name, and a release leaves the reservation.
        An address that the owner holds already stays allocated. An address that never is allocated, such
        as the network address of a prefix, is left out.

        Parameters: see :func:`borough.engine.reservations.parse_reserve`.

        :raises AddressInUse: an address is held by another owner, or reserved for one.
        :raises AddressOutsideGroup: an address lies in no subnet, or in a closed one.
        :raises UnknownObject: there is no such scope.
        """
        return self._reserve(request)

    @takes(parse_cancel)
    def cancel(self, request: CancelRequest) -> Reservations:
        """Cancel the reservations of addresses, or all of an owner; all or none.

        A reserved address is free again after the cool-down of its subnet. An allocated one stays
        allocated, and its release leaves no reservation.

        Parameters: see :func:`borough.engine.reservations.parse_cancel`.

        :return: the addresses as they were.
        :raises NotReserved: addresses named are not reserved, or not for this owner.
        :raises UnknownObject: there is no such scope.
        """
        return self._cancel(request)

    def import_allocations(
        self,
        entries: Iterable[Mapping[str, Any]],
        *,
        dry_run: bool = False,
        progress: Callable[[Imported], None] | None = None,
    ) -> Imported:
        """Allocate addresses that are in use already, by name.

        Each entry has an ``address`` and may have ``owner``, ``host``, ``scope``, ``attributes`` and
        ``note``. Its subnet is the one of the scope that contains the address. Hosts claim nothing.
        An address that is held otherwise, or that no subnet may give, is a conflict and is left out. Of 2,000
        addresses all others are added in one transaction. An import that was interrupted is run again.

        :param dry_run: only find out what would be added.
        :param progress: called after each transaction with the outcome so far.
        :raises FixInput: an entry is malformed; the error has its number and, under ``done``, the number
            of addresses that were added before.
        """
        return in_pieces(parse_entries(entries), self._import, dry_run, progress)

    def export(
        self,
        form: str = "csv",
        *,
        zone: str = "",
        scope: str | None = None,
        owner: str | None = None,
        host: str | None = None,
        subnet: str | None = None,
    ) -> Iterator[str]:
        """Iterate over allocated addresses as lines in the format of another program.

        :param form: ``csv`` or ``jsonl`` (see :meth:`import_allocations`), ``dns``, ``hosts``, ``kea``,
            ``dnsmasq`` or ``ansible``.
        :param zone: the DNS zone of the names.
        :raises FixInput: there is no such format, or the zone is no name.
        """
        found = self.each_allocation(scope=scope, owner=owner, host=host, subnet=subnet)
        return write(found, form, zone)

    def reconcile_owners(
        self,
        living: Collection[str],
        before: Missing | None = None,
        now: datetime | None = None,
        *,
        grace: timedelta = timedelta(hours=1),
        owner_prefix: str | None = None,
        scope: str | None = None,
        dry_run: bool = False,
    ) -> Reconciled:
        """Compare the owners of addresses with a list of living ones, and release what two checks miss.

        An allocation is known by its sequence number. So an address that was released and allocated again
        between two checks is a new one. Addresses without an owner stay, and shared ones while one of their
        owners lives. Each release is a transaction, guarded by owner and sequence number: an interrupted
        check is made again.

        :param before: ``missing`` of the check before; empty for the first one.
        :param now: the time of this check; None for the present.
        :param grace: least time between the two checks.
        :param owner_prefix: only owners whose name begins so; others are not in the list.
        :raises FixInput: the list is empty, which would release everything.
        """
        return reconcile(
            self.each_allocation,
            lambda each, owner: self.release(
                each.address, owner=owner, sequence=each.sequence, scope=each.scope
            ),
            living,
            before or {},
            now or datetime.now(UTC),
            grace=grace,
            owner_prefix=owner_prefix,
            scope=scope,
            dry_run=dry_run,
        )

    def show(self, address: str, *, scope: str = "default") -> Allocation:
        """The allocation of an address, which may be written with the length of its prefix.

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
        """Apply a topology as a whole.

        :param source: a topology, the mapping of its file, or the path of its file.
        :param dry_run: only report the changes.
        :param name: apply it under this name instead of its own.
        :param version: only when the declared objects are still at this version.
        :return: the changes; false when there are none.
        :raises InvalidTopology: the file is not valid; the error names line and field.
        :raises WouldStrand: allocations would lose their subnet.
        :raises Overlap: subnets or pools of one scope would overlap.
        :raises InUse: another object refers to a removed one.
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

        :param prefix_length: its length, by default that of the pool.
        :param cidr: the exact prefix.
        :param settings: see :meth:`add_subnet`.
        :raises UnknownObject: there is no such pool.
        :raises FixInput: the pool does not allow the length or prefix.
        :raises Overlap: the prefix is taken.
        :raises PoolExhausted: no free prefix is large enough.
        :raises QuotaExceeded: the subnets of the owner would exceed the quota.
        """
        draft = Draft.parse(pool=pool, prefix_length=prefix_length, cidr=cidr, **settings)
        return self._add_subnet(draft)

    def add_subnet(self, cidr: str, **settings: Any) -> SubnetView:
        """Add a subnet outside any topology and pool.

        :param settings: see :meth:`borough.engine.topology.subnets.Draft.parse`.
        :raises FixInput: a setting is not allowed.
        :raises Overlap: it overlaps another subnet of its scope.
        """
        return self._add_subnet(Draft.parse(cidr=cidr, **settings))

    def change_subnet(
        self, name: str, /, *, dry_run: bool = False, version: int | None = None, **fields: Any
    ) -> Changes:
        """Change fields of one declared subnet, and leave the others as they are.

        :param fields: as in a topology file: ``name``, ``cidr``, ``scope``, ``gateway``, ``ranges``,
            ``exclude``, ``closed``, ``labels``, ``weight``, ``project``, ``cooldown``, ``claims``,
            ``attributes``. None puts a field back to its default. Of labels, claims and attributes only the
            named ones change, and None removes one.
        :param dry_run: only find out what would change.
        :param version: only if the declared objects still have this version.
        :return: the changes and their effects, and the topology whose file would change the subnet back.
        :raises UnknownObject: there is no such subnet or scope.
        :raises FixInput: there is no such field, or a value is not allowed.
        :raises Overlap: it would overlap another subnet of its scope.
        :raises UnknownDimension: a label is in no known dimension.
        :raises QuotaExceeded: a project would hold more of a pool than its quota.
        :raises WouldStrand: allocated addresses would fall out of it.
        :raises StaleVersion: the declared objects have another version.
        """
        return self._change(parse_change("subnet", name, fields, dry_run=dry_run, version=version))

    def change_host(
        self, name: str, /, *, dry_run: bool = False, version: int | None = None, **fields: Any
    ) -> Changes:
        """Change ``labels`` and ``claims`` of one declared host, and leave the others as they are.

        :param fields: see :meth:`change_subnet`.
        :raises UnknownObject: no such host is declared.
        :raises FixInput: there is no such field, or a value is not allowed.
        :raises UnknownDimension: a label is in no known dimension.
        :raises StaleVersion: the declared objects have another version.
        """
        return self._change(parse_change("host", name, fields, dry_run=dry_run, version=version))

    def remove_subnet(self, name: str) -> SubnetView:
        """Remove a subnet; the prefix of a carved one returns to its pool.

        :raises UnknownObject: there is no such subnet.
        :raises WouldStrand: it has allocations; the error lists them.
        """
        return self._remove_subnet(name)

    @takes(parse_replacement)
    def replace_subnets(self, request: ReplaceRequest) -> Changes:
        """Put some subnets in the place of others: to edit, close, split, merge, add or remove them.

        Addresses follow to the subnet that contains them. All of it happens, or nothing. A subnet of a
        topology stays its own: the next application of its file declares it as the file says.

        Parameters: see :func:`borough.engine.topology.replacing.parse_replacement`.

        :return: the changes with their effects; false when there are none.
        :raises UnknownObject: there is no subnet of an old name.
        :raises WouldStrand: allocations would lose their subnet.
        :raises Overlap: subnets of one scope would overlap.
        :raises InUse: the old subnets belong to several topologies.
        :raises FixInput: a setting is not allowed.
        """
        return self._replace_subnets(request)

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

    def host_routes(self, host: str, *, scope: str = "default") -> HostRoutes:
        """The prefixes that a host may announce now, which its agent installs.

        They are those of :meth:`routes` in the strict form, in an order between hosts: a host keeps a
        prefix until its next holder announces it, and waits for the exceptions inside a new one.

        :raises UnknownObject: there is no such scope.
        """
        return self._host_routes(check_text("host", host, NAME_LIMIT), scope)

    @takes(parse_acknowledgement)
    def acknowledge(self, report: Acknowledgement) -> Acknowledged:
        """Report the prefixes that the agent of a host has installed; also its sign of life.

        Parameters: see :func:`borough.engine.announcements.parse_acknowledgement`.

        :raises UnknownObject: there is no such scope.
        """
        return self._acknowledge(report)

    def agents(self, *, scope: str = "default") -> list[AgentView]:
        """The agents of hosts by name, and the hosts with routes and without an agent.

        :raises UnknownObject: there is no such scope.
        """
        return self._agents(scope)

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

    # --- Hosts, reassignment, claims ----------------------------------------------------------------

    def drain(self, host: str) -> Vacated:
        """End all claims of a host.

        Its unused regions become unclaimed space. Its addresses stay allocated until they are released or
        reassigned, each with a route of its own. The host is not locked: a later request for it claims again.

        :raises UnknownObject: there is no such host, nor a claim or an address of it.
        """
        return self._drain(check_text("host", host))

    def remove_host(self, name: str, *, release: bool = False) -> Vacated:
        """Drain a host, and remove its declared entry.

        The next application of a topology that still declares the host declares it again.

        :param release: release its addresses too; otherwise they stay allocated.
        :raises UnknownObject: there is no such host, nor a claim or an address of it.
        """
        return self._remove_host(check_text("host", name), release)

    def rename_host(self, old: str, new: str) -> Renamed:
        """Rename a host in its claims, its addresses and its declared entry, in one transaction.

        Claims and addresses of the new name stay; adjacent claims of both are joined. Of two declared
        entries that of the new name stays. Sequence numbers stay.

        :raises UnknownObject: there is no such host, nor a claim or an address of it.
        :raises FixInput: the names are the same.
        """
        return self._rename_host(check_text("host", old), check_text("host", new))

    @takes(parse_reassign)
    def reassign(self, request: ReassignRequest) -> Reassigned:
        """Record another host for an address, as after a live migration.

        The owner and the sequence number stay. The region around the address follows when only the new
        host has addresses in it. An address that is on the host already does not change.

        Parameters: see :func:`borough.engine.request.parse_reassign`.

        :raises NotAllocated: the address is not allocated.
        :raises StaleSequence: the address was allocated again meanwhile.
        :raises AddressOutsideGroup: the host does not reach the segment of the subnet.
        :raises UnknownObject: there is no such scope, or the host is not declared where it has to be.
        """
        return self._reassign(request)

    @takes(parse_edit)
    def edit(self, request: EditRequest) -> Allocation:
        """Change owner, note and attributes of a held address, each only when it is named.

        The address, its host, its claim, its sequence number and its idempotency key stay.

        Parameters: see :func:`borough.engine.edits.parse_edit`.

        :raises NotAllocated: the address is not allocated.
        :raises StaleSequence: the address was allocated again meanwhile.
        :raises UnknownObject: there is no such scope.
        """
        return self._edit(request)

    def transfer(
        self,
        owner: str,
        to: str,
        *,
        scope: str | None = None,
        progress: Callable[[Transferred], None] | None = None,
    ) -> Transferred:
        """Transfer all addresses of an owner to another owner.

        Of 2,000 addresses each change in one transaction. A transfer that was interrupted is run again.
        Addresses that cool down stay with the owner that released them.

        :param to: the new owner.
        :param scope: only those of one scope.
        :param progress: called after each transaction with the outcome so far.
        :raises FixInput: both owners are the same.
        :raises UnknownObject: there is no such scope.
        """
        return transfer_all(parse_transfer(owner, to, scope=scope), self._transfer, progress)

    def reclaim(self) -> Reclaimed:
        """Return idle claims to the pool; to be called every few minutes.

        Cool-downs that are over end. An empty or little used region is marked as idle. A later call returns
        an empty one after 15 minutes, and the unused half of a little used one after an hour. No address
        changes. The units of work are short, so several calls may run at once beside other work.
        """
        return self._reclaim()

    def defragment(
        self, *, host: str | None = None, scope: str | None = None, limit: int = 100
    ) -> Defragmentation:
        """Propose addresses to renumber in order to save routes, without renumbering them.

        In this order, each is to be released and requested again for the same host, from its ``subnets``.
        The search is greedy; the savings are counted on a copy of the address space.

        :param host: only addresses of this host.
        :param scope: only those of this scope.
        :param limit: most addresses.
        :raises UnknownObject: there is no such scope.
        """
        check_page(0, limit)
        return self._defragment(None if host is None else check_text("host", host), scope, limit)

    # --- Administration ---------------------------------------------------------------------------

    def create_token(
        self,
        name: str,
        *,
        permission: str = "read",
        labels: LabelsIn | None = None,
        host: str = "",
        expires: datetime | None = None,
    ) -> tuple[TokenView, str]:
        """Create a token, the secret of a caller of the service.

        :param name: its caller; events record it.
        :param permission: ``read``, ``allocate`` or ``administer``, each including those before it.
        :param labels: confine it to the subnets with these labels.
        :param host: permit only to read and acknowledge the routes of this host; for its agent.
        :param expires: its end; None for never.
        :return: the token, and its text, which is not stored.
        :raises FixInput: there is a token of that name, or a setting is not allowed.
        """
        return self._create_token(name, permission, make_labels(labels or {}), host, expires)

    def revoke_token(self, name: str) -> TokenView:
        """Revoke a token.

        :raises UnknownObject: no object has that name.
        """
        return self._revoke_token(name)

    def tokens(self) -> list[TokenView]:
        """All tokens by name."""
        return self._tokens()

    def audit(
        self, *, repair: bool = False, progress: Callable[[int, int], None] | None = None
    ) -> list[Finding]:
        """Find contradictions of the stored state, and the :meth:`risks`.

        :param repair: correct them by the allocations and the certain claims.
        :param progress: called with (subnets done, all subnets); a service does not report it.
        """
        return self._audit(repair, progress)

    def risks(self) -> list[Finding]:
        """The settings of the database server that may lose an acknowledged change.

        They are those of the server or node that answers; others may have other settings.
        """
        return self._risks()

    def prune_events(self, through: int) -> int:
        """Remove the oldest events, at most 5000 of them, in one transaction; the newest event stays.

        A reader that continues after an older id than the last removed one gets
        :class:`~borough.errors.EventsPruned`. The removal is recorded as an event.

        :param through: the largest id to remove.
        :return: the number of removed events; 0 when none is left to remove.
        """
        check_page(through, None)
        return self._prune_events(through)
