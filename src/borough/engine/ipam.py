"""The library: the address space of a store, in this process."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from borough.domain.declared.catalogue import Catalogue
from borough.domain.declared.dimensions import Labels
from borough.domain.declared.pools import PoolUsage
from borough.domain.declared.records import Host
from borough.domain.declared.topology import Changes, Topology
from borough.domain.net.addresses import Family
from borough.domain.policy.explain import Explanation
from borough.domain.request import Request
from borough.domain.space.allocations import AllocationRow
from borough.domain.space.events import Event
from borough.domain.space.findings import Finding
from borough.engine import announcements, events, queries, tokens
from borough.engine.address_lines import AddressLine, LineQuery, address_lines
from borough.engine.allocation import BRIEF, Allocator, Ladders
from borough.engine.announcements import (
    Acknowledged,
    Acknowledgement,
    AgentView,
    HostRoutes,
)
from borough.engine.clock import SteadyClock, wall_time
from borough.engine.edits import EditRequest, Transferred, TransferRequest, edit, transfer
from borough.engine.expiry import Expiry
from borough.engine.face import Face
from borough.engine.history import HistoryQuery, history
from borough.engine.imports import Imported, ImportRequest, import_piece
from borough.engine.leases import Renewed, RenewRequest, renew
from borough.engine.queries import RouteForm
from borough.engine.release import release
from borough.engine.request import AllocationFilter, ReassignRequest, ReleaseRequest
from borough.engine.reservations import CancelRequest, ReserveRequest, Seen, cancel, reserve
from borough.engine.search import SearchQuery, SearchResult, search
from borough.engine.space_map import SpaceMap, space_map
from borough.engine.topology import apply, change, subnets
from borough.engine.topology.change import ChangeRequest
from borough.engine.topology.replacing import ReplaceRequest, replace_subnets
from borough.engine.topology.subnets import Draft
from borough.engine.upkeep import audit, hosts
from borough.engine.upkeep.defragment import Defragmentation, defragment, snapshot
from borough.engine.upkeep.hosts import Renamed, Vacated
from borough.engine.upkeep.reclaim import Reclaimed, reclaim
from borough.engine.views import (
    RELEASED_LISTED,
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
    show_dimension,
    show_subnet,
    show_token,
)
from borough.store.open import open_store
from borough.store.port import TIMEOUT, ReadUnit, Store, Unit

T = TypeVar("T")


class Ipam(Face):
    """Address space in a store of this process; see :class:`borough.engine.face.Face`."""

    def __init__(
        self,
        store: Store,
        *,
        clock: Callable[[], int] | None = None,
        steady: Callable[[], int] | None = None,
    ) -> None:
        """Open the address space of a store.

        :param clock: the time in microseconds since the epoch; None for that of the machine.
        :param steady: the time by which leases and cool-downs are over; None for ``clock``. Without a clock
            it is that of the machine, which no jump moves forward.
        """
        self._store = store
        self._clock = clock or wall_time
        if clock is None and steady is None:
            steady = SteadyClock()
        self._allocator = Allocator(self._clock, Ladders(), Expiry(steady))
        self._cohorts = events.Cohorts()

    def with_visible_hosts(self, is_visible: Callable[[Host], bool]) -> Ipam:
        """The same address space, for a caller who may not see the labels of every host.

        :param is_visible: True for a declared host whose labels the caller may see.
        """
        made = Ipam(self._store, clock=self._clock)
        made._allocator = replace(self._allocator, shows=is_visible, suggests=False)
        made._cohorts = self._cohorts
        return made

    @property
    def store(self) -> Store:
        """The store of this address space."""
        return self._store

    def now(self) -> int:
        """The time in microseconds since the epoch, by the clock that dates all changes."""
        return self._clock()

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def catalogue(self) -> Catalogue:
        """All declared objects, at one version."""
        return self._read(lambda unit: unit.catalogue)

    def _read(self, work: Callable[[ReadUnit], T]) -> T:
        return self._store.transact(work, write=False)

    # --- Addresses ------------------------------------------------------------------------------

    def _allocate(self, request: Request) -> Answer:
        answer = self._allocator.allocate(self._store, request)
        return self._routed(answer) if request.wait else answer

    def _routed(self, answer: Answer) -> Answer:
        """Wait until the addresses of an answer are routed, within a bound."""
        deadline = time.monotonic() + announcements.ROUTED_TIME
        while True:
            late = self._read(
                lambda unit: announcements.late_hosts(unit, answer.allocations, self._clock())
            )
            if not late or time.monotonic() > deadline:
                return replace(answer, routed=not late, late=tuple(late))
            time.sleep(announcements.LOOK_EVERY)

    def _explain(self, request: Request) -> Explanation:
        return self._read(lambda unit: self._allocator.explain(unit, request))

    def _release(self, request: ReleaseRequest) -> Released:
        return self._store.transact(
            lambda unit: release(unit, request, self._clock(), most=RELEASED_LISTED),
            brief=0 < len(request.addresses) <= BRIEF,
        )

    def release_seen(
        self, seen: Callable[[Catalogue], Collection[str]], request: ReleaseRequest
    ) -> Released:
        """Release the addresses of an owner or a host in some subnets only; claims stay.

        :param seen: names of these subnets.
        """
        return self._store.transact(
            lambda unit: release(unit, request, self._clock(), most=RELEASED_LISTED, seen=seen)
        )

    def _reserve(self, request: ReserveRequest) -> Reservations:
        return self.reserve_seen(None, request)

    def reserve_seen(self, seen: Seen | None, request: ReserveRequest) -> Reservations:
        """Reserve addresses in some subnets only.

        :param seen: names of these subnets; None for all.
        """

        def work(unit: Unit) -> Reservations:
            now = self._clock()
            # An address whose lease is over is no longer held.
            self._allocator.expiry.expire(unit, now)
            return reserve(unit, request, now, seen)

        return self._store.transact(work, repeatable=True)

    def _renew(self, request: RenewRequest) -> Renewed:
        return self.renew_seen(None, request)

    def renew_seen(self, seen: Seen | None, request: RenewRequest) -> Renewed:
        """Renew leases in some subnets only.

        :param seen: names of these subnets; None for all.
        """

        def work(unit: Unit) -> Renewed:
            now = self._clock()
            return renew(unit, request, now, self._allocator.expiry.by(now), seen)

        return self._store.transact(work, repeatable=True, brief=True)

    def _cancel(self, request: CancelRequest) -> Reservations:
        return self.cancel_seen(None, request)

    def cancel_seen(self, seen: Seen | None, request: CancelRequest) -> Reservations:
        """Cancel reservations in some subnets only.

        :param seen: names of these subnets; None for all.
        """
        return self._store.transact(lambda unit: cancel(unit, request, self._clock(), seen))

    def _import(self, request: ImportRequest) -> Imported:
        return self._store.transact(
            lambda unit: import_piece(unit, request, self._clock()),
            write=not request.dry_run,
            repeatable=True,
        )

    def import_seen(
        self, seen: Callable[[Catalogue], Collection[str]], request: ImportRequest
    ) -> Imported:
        """Import one piece as :meth:`import_allocations` does, in some subnets only.

        :param seen: names of these subnets.
        """
        return self._store.transact(
            lambda unit: import_piece(unit, request, self._clock(), seen(unit.catalogue)),
            write=not request.dry_run,
            repeatable=True,
        )

    def _show(self, scope: str, family: Family, number: int) -> Allocation:
        return self._read(lambda unit: queries.show(unit, scope, family, number))

    # --- Declared objects -------------------------------------------------------------------------

    def _apply(self, topology: Topology, dry_run: bool, version: int | None) -> Changes:
        return self._store.transact(
            lambda unit: apply.apply(
                unit, topology, self._clock(), dry_run=dry_run, version=version
            ),
            write=not dry_run,
            declares=True,
        )

    def _add_subnet(self, draft: Draft) -> SubnetView:
        return self._store.transact(
            lambda unit: subnets.add_subnet(unit, draft, self._clock()),
            declares=True,
            repeatable=bool(draft.key),
        )

    def _change(self, request: ChangeRequest) -> Changes:
        return self._store.transact(
            lambda unit: change.change(unit, request, self._clock()),
            write=not request.dry_run,
            declares=True,
        )

    def _remove_subnet(self, name: str) -> SubnetView:
        return self._store.transact(
            lambda unit: subnets.remove_subnet(unit, name, self._clock()), declares=True
        )

    def _replace_subnets(self, request: ReplaceRequest) -> Changes:
        return self._store.transact(
            lambda unit: replace_subnets(unit, request, self._clock()),
            write=not request.dry_run,
            declares=True,
        )

    # --- Reading ----------------------------------------------------------------------------------

    def _subnets(self, labels: Labels, scope: str | None) -> list[SubnetView]:
        return self._read(lambda unit: queries.subnets(unit, labels, scope))

    def _subnet(self, name: str) -> SubnetView:
        return self._read(lambda unit: show_subnet(queries.find_subnet(unit.catalogue, name)))

    def _hosts(self) -> list[HostView]:
        return self._read(queries.hosts)

    def _undeclared_hosts(self) -> list[str]:
        return self._read(queries.undeclared_hosts)

    def _dimensions(self) -> list[DimensionView]:
        return self._read(lambda unit: list(map(show_dimension, unit.catalogue.dimensions)))

    def _pools(self) -> list[PoolUsage]:
        return self._read(queries.pools)

    def _free_prefixes(self, pool: str, prefix_length: int | None) -> list[str]:
        return self._read(lambda unit: queries.free_prefixes(unit, pool, prefix_length))

    def _blocks(self, host: str | None, subnet: str | None) -> list[BlockView]:
        return self._read(lambda unit: queries.blocks(unit, host, subnet))

    def _allocations(self, selected: AllocationFilter) -> list[Allocation]:
        return self._read(lambda unit: queries.allocations(unit, selected))

    def _addresses(self, wanted: LineQuery) -> list[AddressLine]:
        return self._read(lambda unit: address_lines(unit, wanted))

    def _search(self, wanted: SearchQuery) -> SearchResult:
        return self._read(lambda unit: search(unit, wanted))

    def _space_map(self, scope: str, subnets: Collection[str] | None) -> SpaceMap:
        upto = self._store.horizon()
        return self._read(lambda unit: space_map(unit, scope, subnets, upto))

    def _usage(self, labels: Labels, host: str | None, scope: str | None) -> list[Usage]:
        return self._read(lambda unit: queries.usage(unit, labels, host, scope))

    def _routes(self, host: str | None, form: RouteForm, scope: str | None) -> list[Route]:
        return self._read(lambda unit: queries.routes(unit, host, form, scope))

    def _host_routes(self, host: str, scope: str) -> HostRoutes:
        horizon = self._store.horizon()
        return self._read(
            lambda unit: announcements.host_routes(unit, host, scope, horizon, self._clock())
        )

    def _acknowledge(self, report: Acknowledgement) -> Acknowledged:
        return self._store.transact(
            lambda unit: announcements.acknowledge(unit, report, self._clock()), repeatable=True
        )

    def _agents(self, scope: str) -> list[AgentView]:
        return self._read(lambda unit: announcements.agents(unit, scope, self._clock()))

    def _events(self, after: int, limit: int, labels: Labels) -> list[Event]:
        upto = self._store.horizon()

        def read(unit: ReadUnit) -> list[Event]:
            cohorts = self._cohorts.within(unit, labels) if labels else None
            return events.events(unit, after, upto, limit, cohorts)

        return self._read(read)

    def _history(self, wanted: HistoryQuery) -> list[Event]:
        upto = self._store.horizon()

        def read(unit: ReadUnit) -> list[Event]:
            cohorts = self._cohorts.within(unit, wanted.labels) if wanted.labels else None
            return history(unit, wanted, upto, cohorts)

        return self._read(read)

    def _newest_event(self) -> int:
        upto = self._store.horizon()
        return self._read(lambda unit: unit.newest_event(upto))

    # --- Hosts, reassignment, claims ----------------------------------------------------------------

    def _drain(self, host: str) -> Vacated:
        return self._store.transact(lambda unit: hosts.drain(unit, host, self._clock()))

    def _remove_host(self, name: str, release: bool) -> Vacated:
        return self._store.transact(
            lambda unit: hosts.remove_host(unit, name, self._clock(), release=release),
            declares=True,
        )

    def _rename_host(self, old: str, new: str) -> Renamed:
        return self._store.transact(
            lambda unit: hosts.rename_host(unit, old, new, self._clock()), declares=True
        )

    def _reassign(self, request: ReassignRequest) -> Reassigned:
        return self._store.transact(lambda unit: hosts.reassign(unit, request, self._clock()))

    def _edit(self, request: EditRequest) -> Allocation:
        return self._store.transact(lambda unit: edit(unit, request, self._clock()), brief=True)

    def _transfer(self, request: TransferRequest) -> Transferred:
        return self.transfer_seen(None, request)

    def transfer_seen(self, seen: Seen | None, request: TransferRequest) -> Transferred:
        """Transfer one piece as :meth:`transfer` does, in some subnets only.

        :param seen: names of these subnets; None for all.
        """
        return self._store.transact(
            lambda unit: transfer(unit, request, self._clock(), seen), repeatable=True
        )

    def _reclaim(self) -> Reclaimed:
        return reclaim(self._store, self._clock, self._expire)

    def _expire(self) -> Sequence[AllocationRow]:
        # Also when no subnet has a cool-down any more: an earlier cool-down would otherwise never end.
        expiry = self._allocator.expiry
        by = expiry.by(self._clock())
        if not self._read(lambda unit: unit.expired(by, 1)):
            return ()
        return self._store.transact(lambda unit: expiry.expire(unit, self._clock()))

    def _defragment(self, host: str | None, scope: str | None, limit: int) -> Defragmentation:
        seen = self._read(lambda unit: snapshot(unit, scope))
        return defragment(seen, host, limit, self._clock())

    # --- Administration ---------------------------------------------------------------------------

    def _create_token(
        self, name: str, permission: str, labels: Labels, host: str, expires: datetime | None
    ) -> tuple[TokenView, str]:
        return self._store.transact(
            lambda unit: tokens.create(
                unit,
                name,
                permission=permission,
                labels=labels,
                host=host,
                expires=expires,
                now=self._clock(),
            )
        )

    def _revoke_token(self, name: str) -> TokenView:
        return self._store.transact(lambda unit: tokens.revoke(unit, name, self._clock()))

    def _tokens(self) -> list[TokenView]:
        return self._read(lambda unit: list(map(show_token, unit.tokens())))

    def _audit(self, repair: bool, progress: Callable[[int, int], None] | None) -> list[Finding]:
        return audit.audit(self._store, self._clock, repair=repair, progress=progress)

    def _risks(self) -> list[Finding]:
        return self._read(lambda unit: unit.risks())

    def _prune_events(self, through: int) -> int:
        upto = self._store.horizon()
        return self._store.transact(
            lambda unit: events.prune_piece(unit, through, upto, self._clock())
        )


def open(  # noqa: A001  (borough.open is the name that users read)
    url: str,
    *,
    create: bool = False,
    timeout: float = TIMEOUT,
    statement_time: float | None = None,
    clock: Callable[[], int] | None = None,
) -> Ipam:
    """Open address space.

    :param url: ``memory:``, or a database: ``sqlite:///borough.db``.
    :param create: create the database, or upgrade its schema to this release.
    :param timeout: seconds for which an operation is tried again.
    :param statement_time: seconds after which a database server ends a statement; None for never.
    :param clock: the time in microseconds since the epoch; None for that of the machine.
    :raises FixInput: the URL names no store.
    :raises NotInitialised: the database does not exist or is empty, and ``create`` is not set.
    :raises NotOurDatabase: the database has tables of another program.
    :raises SchemaTooOld: its schema is of an older release, and ``create`` is not set.
    :raises SchemaTooNew: its schema is of a newer release.
    """
    store = open_store(url, create=create, timeout=timeout, statement_time=statement_time)
    return Ipam(store, clock=clock)
