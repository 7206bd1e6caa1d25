"""The library's face: one object, one method for each thing that can be done."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar

from borough.domain.address import parse_address
from borough.domain.dimension import make_labels
from borough.domain.event import Event
from borough.domain.explain import Explanation
from borough.domain.model import Catalogue, Host
from borough.domain.pool import PoolUsage
from borough.domain.topology import Changes, Topology
from borough.engine import audit, queries, tokens, topology, trail
from borough.engine.allocation import Allocator, Ladders
from borough.engine.audit import Finding
from borough.engine.queries import RouteForm, each_page
from borough.engine.request import KindName, LabelsIn, SubnetsIn, optional_text, parse_request
from borough.engine.space_map import SpaceMap, space_map
from borough.engine.upkeep import Upkeep
from borough.engine.views import (
    RELEASED_LISTED,
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
    show_dimension,
    show_subnet,
    show_token,
)
from borough.store.open import open_store
from borough.store.port import PATIENCE, ReadUnit, Store

T = TypeVar("T")


def _now() -> int:
    return time.time_ns() // 1000


class Ipam(Upkeep):
    """Address space, and everything that can be done with it.

    Safe to share between threads. A context manager: leaving it closes the store.
    """

    def __init__(self, store: Store, *, clock: Callable[[], int] = _now) -> None:
        """Work on a store.

        :param clock: the time in microseconds since the epoch.
        """
        self._store = store
        self._clock = clock
        self._allocator = Allocator(clock, Ladders())
        self._cohorts = trail.Cohorts()

    def discreet(self, shows: Callable[[Host], bool]) -> Ipam:
        """The same address space, for a caller who may not learn the labels of every host.

        :param shows: whether the caller may learn those of a declared host.
        """
        made = Ipam(self._store, clock=self._clock)
        made._allocator = replace(self._allocator, shows=shows)
        made._cohorts = self._cohorts
        return made

    @property
    def store(self) -> Store:
        """The store underneath."""
        return self._store

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _read(self, work: Callable[[ReadUnit], T]) -> T:
        return self._store.transact(work, write=False)

    # --- Addresses ------------------------------------------------------------------------------

    def allocate(
        self,
        *,
        labels: LabelsIn | None = None,
        subnets: SubnetsIn | None = None,
        host: str | None = None,
        families: Iterable[int] | int | None = None,
        count: int = 1,
        address: str | None = None,
        mac: str | None = None,
        kind: KindName | None = None,
        claims: bool = True,
        owner: str = "",
        key: str | None = None,
        scope: str = "default",
        attributes: Mapping[str, Any] | None = None,
        explain: bool = False,
    ) -> Answer:
        """Give addresses from a group, all that is asked for or none.

        :param labels: the group: values by dimension, any of which matches.
        :param subnets: instead of labels, subnet names in order of preference; equals in a tuple.
        :param host: where the addresses will live; it implies the host's own labels.
        :param families: 4, 6 or both; when left out, the one that the group has, IPv4 first.
        :param count: addresses of each family.
        :param address: the address wanted, also outside the ranges.
        :param mac: a MAC address, for an IPv6 address by EUI-64 (RFC 4291).
        :param kind: ``any`` (the default), ``next`` for the lowest free one, ``gateway``.
        :param claims: whether the host claims space for them. What a host runs for the network itself (a
            DHCP or DNS server) comes and goes with the network, and should not hold a block of the host's.
        :param owner: the caller's name for what holds the addresses.
        :param key: idempotency key: the same request with the same key gets the same answer.
        :param attributes: anything to keep with the addresses, as JSON.
        :param explain: put the explanation into the answer.
        :raises FixInput: the request cannot be meant so.
        :raises NoMatchingSubnet: the group admits no subnet.
        :raises Exhausted: nothing of the group is free.
        :raises AddressInUse: the address named is held.
        :raises KeyReused: the key was used with another request.
        :raises KeySpent: the key's addresses have been released.
        :raises Contended: others were in the way for too long; try again.
        """
        request = parse_request(
            labels=labels,
            subnets=subnets,
            host=host,
            families=families,
            count=count,
            address=address,
            mac=mac,
            kind=kind,
            claims=claims,
            owner=owner,
            key=key,
            scope=scope,
            attributes=attributes,
        )
        return self._allocator.allocate(self._store, request, told=explain)

    def explain(
        self,
        *,
        labels: LabelsIn | None = None,
        subnets: SubnetsIn | None = None,
        host: str | None = None,
        families: Iterable[int] | int | None = None,
        count: int = 1,
        address: str | None = None,
        mac: str | None = None,
        kind: KindName | None = None,
        claims: bool = True,
        scope: str = "default",
    ) -> Explanation:
        """Tell what :meth:`allocate` would give now, and why, without giving it.

        :raises FixInput: the request cannot be meant so.
        """
        request = parse_request(
            labels=labels,
            subnets=subnets,
            host=host,
            families=families,
            count=count,
            address=address,
            mac=mac,
            kind=kind,
            claims=claims,
            owner="",
            key=None,
            scope=scope,
            attributes=None,
        )
        return self._read(lambda unit: self._allocator.explain(unit, request))

    def release(
        self,
        address: str | Iterable[str] | None = None,
        *,
        owner: str = "",
        host: str = "",
        sequence: int | None = None,
        scope: str = "default",
    ) -> Released:
        """Take addresses back: those named, or all of an owner, or all on a host; all or nothing.

        With an address, ``owner``, ``host`` and ``sequence`` are conditions on its present holder.

        :return: what was released, as it was; of an owner or a host the first 10,000 addresses.
        :raises NotAllocated: an address named is not allocated, or is not held so.
        :raises StaleSequence: the address was given to somebody else since.
        :raises UnknownObject: there is no such scope.
        """
        names = [address] if isinstance(address, str) else list(address or ())
        numbers = list(dict.fromkeys(parse_address(name) for name in names))
        who, where = optional_text("owner", owner), optional_text("host", host)
        return self._store.transact(
            lambda unit: self._allocator.release(
                unit,
                scope=scope,
                addresses=numbers,
                owner=who,
                host=where,
                sequence=sequence,
                most=RELEASED_LISTED,
            )
        )

    def release_seen(
        self,
        seen: Callable[[Catalogue], Collection[str]],
        *,
        owner: str = "",
        host: str = "",
        scope: str = "default",
    ) -> Released:
        """What :meth:`release` does for an owner or a host, in some subnets only; claims stay.

        :param seen: names of these subnets.
        """
        who, where = optional_text("owner", owner), optional_text("host", host)
        return self._store.transact(
            lambda unit: self._allocator.release(
                unit,
                scope=scope,
                addresses=(),
                owner=who,
                host=where,
                sequence=None,
                most=RELEASED_LISTED,
                seen=seen,
            )
        )

    def show(self, address: str, *, scope: str = "default") -> Allocation:
        """Who holds an address.

        :raises NotAllocated: nobody does, and it is not cooling either.
        """
        family, number = parse_address(address)
        return self._read(lambda unit: queries.show(unit, scope, family, number))

    # --- Declared objects -------------------------------------------------------------------------

    def apply(
        self,
        source: Topology | Mapping[str, Any] | str | os.PathLike[str],
        *,
        dry_run: bool = False,
        name: str | None = None,
        version: int | None = None,
    ) -> Changes:
        """Make the declared objects be as a topology says, all of it or nothing.

        :param source: a topology, the mapping that its file would hold, or the path of its file.
        :param dry_run: only find out what would change.
        :param name: apply it under this name instead of its own.
        :param version: only when what is declared is still at this version (see :meth:`catalogue`).
        :return: what changed; false when nothing did.
        :raises InvalidTopology: it cannot be read; the error names line and field.
        :raises WouldStrand: allocations would lose their subnet.
        :raises Overlap: subnets or pools of one scope would overlap.
        :raises InUse: something removed is still referred to.
        :raises StaleVersion: something has been declared otherwise since that version.
        """
        wanted = topology.load(source, name)
        return self._store.transact(
            lambda unit: topology.apply(
                unit, wanted, self._clock(), dry_run=dry_run, version=version
            ),
            write=not dry_run,
            declares=True,
        )

    def allocate_subnet(
        self,
        pool: str,
        *,
        prefix_length: int | None = None,
        cidr: str | None = None,
        name: str | None = None,
        labels: LabelsIn | None = None,
        project: str = "",
        **settings: Any,
    ) -> SubnetView:
        """Carve a subnet out of a pool, by length or by exact prefix.

        :param prefix_length: its length; when left out, the pool's default.
        :param cidr: the exact prefix.
        :param name: its name; when left out, its prefix in text.
        :param labels: remembered with the subnet.
        :param project: whose quota it counts against.
        :param settings: see :meth:`add_subnet`.
        :raises UnknownObject: there is no such pool.
        :raises FixInput: the length or prefix is not one that the pool gives.
        :raises Overlap: the prefix is taken.
        :raises PoolExhausted: no free prefix is large enough.
        :raises QuotaExceeded: the project would hold more than its quota.
        """
        draft = topology.Draft.parse(
            name=name, cidr=cidr, labels=labels, project=project, **settings
        )
        return self._store.transact(
            lambda unit: topology.carve_subnet(unit, draft, pool, prefix_length, self._clock()),
            declares=True,
        )

    def add_subnet(
        self,
        cidr: str,
        *,
        name: str | None = None,
        labels: LabelsIn | None = None,
        project: str = "",
        **settings: Any,
    ) -> SubnetView:
        """Add a subnet by itself, outside any topology and pool.

        :param settings: ``scope``, ``gateway``, ``ranges`` (``first-last`` texts), ``weight``,
            ``cooldown`` (seconds, or text such as ``5m``), ``attributes``, ``claims`` (what is claimed
            otherwise here: see :class:`borough.domain.dimension.Claiming`).
        :raises FixInput: a setting cannot be meant so.
        :raises Overlap: it overlaps another subnet of its scope.
        """
        draft = topology.Draft.parse(
            name=name, cidr=cidr, labels=labels, project=project, **settings
        )
        return self._store.transact(
            lambda unit: topology.add_subnet(unit, draft, self._clock()), declares=True
        )

    def remove_subnet(self, name: str) -> SubnetView:
        """Remove a subnet; one that was carved returns to its pool.

        :raises UnknownObject: there is no such subnet.
        :raises WouldStrand: it has allocations; the error lists them.
        """
        return self._store.transact(
            lambda unit: topology.remove_subnet(unit, name, self._clock()), declares=True
        )

    # --- Reading ----------------------------------------------------------------------------------

    def catalogue(self) -> Catalogue:
        """All that is declared, at one version."""
        return self._read(lambda unit: unit.catalogue)

    def subnets(
        self, *, labels: LabelsIn | None = None, scope: str | None = None
    ) -> list[SubnetView]:
        """Subnets that carry all these labels, by scope and address."""
        return self._read(lambda unit: queries.subnets(unit, labels, scope))

    def subnet(self, name: str) -> SubnetView:
        """One subnet.

        :raises UnknownObject: there is none of that name.
        """
        return self._read(lambda unit: show_subnet(queries.find_subnet(unit.catalogue, name)))

    def hosts(self) -> list[HostView]:
        """Declared hosts by name."""
        return self._read(queries.hosts)

    def dimensions(self) -> list[DimensionView]:
        """Dimensions in rank order."""
        return self._read(lambda unit: list(map(show_dimension, unit.catalogue.dimensions)))

    def pools(self) -> list[PoolUsage]:
        """Pools by name, and how full they are."""
        return self._read(queries.pools)

    def blocks(self, *, host: str | None = None, subnet: str | None = None) -> list[BlockView]:
        """Blocks by address: holder, fill, borrowed addresses."""
        return self._read(lambda unit: queries.blocks(unit, host, subnet))

    def allocations(
        self,
        *,
        scope: str | None = None,
        owner: str | None = None,
        host: str | None = None,
        subnet: str | None = None,
        prefix: str | None = None,
        owner_prefix: str | None = None,
        after: int = 0,
        limit: int | None = None,
    ) -> list[Allocation]:
        """Allocations by sequence number, cooling ones included.

        :param prefix: only addresses of this prefix, of the default scope when none is named.
        :param owner_prefix: only those whose owner begins so; looks at every allocation that has one.
        :param after: only those with a larger sequence number, to page through.
        :param limit: most of them.
        """
        return self._read(
            lambda unit: queries.allocations(
                unit, scope, owner, host, subnet, prefix, owner_prefix, after, limit
            )
        )

    def each_allocation(self, **filters: Any) -> Iterator[Allocation]:
        """Iterate over :meth:`allocations` page by page: for more than a process should hold.

        Each page is read by itself: an address that is given or released meanwhile may be among them or
        not, and none is listed twice.

        :param filters: those of :meth:`allocations`.
        """
        return each_page(self.allocations, **filters)

    def space_map(
        self, *, scope: str = "default", subnets: Collection[str] | None = None
    ) -> SpaceMap:
        """All blocks of a scope in columns, as small as they can be: what a map is drawn from.

        :param subnets: only the blocks of these; None for all.
        :raises UnknownObject: there is no such scope.
        """
        upto = self._store.horizon()
        return self._read(lambda unit: space_map(unit, scope, subnets, upto))

    def usage(
        self,
        *,
        labels: LabelsIn | None = None,
        host: str | None = None,
        scope: str = "default",
    ) -> list[Usage]:
        """How full the subnets of a group are, in the order in which the group uses them.

        Without labels and host: all subnets of the scope.
        """
        return self._read(lambda unit: queries.usage(unit, labels, host, scope))

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
        return self._read(lambda unit: queries.routes(unit, host, form, scope))

    def events(
        self, *, after: int = 0, limit: int = 1000, labels: LabelsIn | None = None
    ) -> list[Event]:
        """The audit trail by id, oldest first, as far as it is complete.

        An event is told once nothing can come before it any more: whoever goes on after the last id
        of a page misses none. An open transaction that has written events holds up those with larger ids.

        :param after: only events with a larger id, to page through; 0 for the oldest that is kept.
        :param labels: only events of subnets that had one of the values in each dimension at that time.
        :raises EventsPruned: events after this id, which is not 0, have been pruned.
        """
        queries.check_page(after, limit)
        wanted = make_labels(labels or {})
        upto = self._store.horizon()

        def read(unit: ReadUnit) -> list[Event]:
            cohorts = self._cohorts.within(unit, wanted) if wanted else None
            return trail.events(unit, after, upto, limit, cohorts)

        return self._read(read)

    def newest_event(self) -> int:
        """The id of the newest event that :meth:`events` tells; 0 when there is none."""
        upto = self._store.horizon()
        return self._read(lambda unit: unit.newest_event(upto))

    # --- Tokens of the service --------------------------------------------------------------------

    def create_token(
        self,
        name: str,
        *,
        may: str = "read",
        labels: LabelsIn | None = None,
        expires: datetime | None = None,
    ) -> tuple[TokenView, str]:
        """Make a token with which a caller of the service says who he is.

        :param name: who it stands for; events say it.
        :param may: ``read``, ``allocate`` or ``administer``, each including those before it.
        :param labels: confine it to the subnets with these labels, and what belongs to them.
        :param expires: when it ends; None for never.
        :return: the token, and its text, which is stored nowhere and cannot be had again.
        :raises FixInput: there is a token of that name, or a setting cannot be meant so.
        """
        return self._store.transact(
            lambda unit: tokens.create(
                unit, name, may=may, labels=labels, expires=expires, now=self._clock()
            )
        )

    def revoke_token(self, name: str) -> TokenView:
        """End a token.

        :raises UnknownObject: there is none of that name.
        """
        return self._store.transact(lambda unit: tokens.revoke(unit, name, self._clock()))

    def tokens(self) -> list[TokenView]:
        """All tokens by name."""
        return self._read(lambda unit: list(map(show_token, unit.tokens())))

    # --- Looking after ----------------------------------------------------------------------------

    def audit(
        self, *, repair: bool = False, progress: Callable[[int, int], None] | None = None
    ) -> list[Finding]:
        """Find where the stored state contradicts itself, and what may lose it (:meth:`risks`).

        :param repair: mend it from what is certain: the allocations and the claims.
        :param progress: called with (subnets done, subnets in all).
        """
        return audit.audit(self._store, self._clock, repair=repair, progress=progress)

    def risks(self) -> list[Finding]:
        """The settings of the database server by which an acknowledged change may be lost.

        Of the server, or the node, that answers; where there are several, each may be set otherwise.
        """
        return self._read(lambda unit: unit.risks())


def open(  # noqa: A001  (borough.open is the name that users read)
    url: str,
    *,
    create: bool = False,
    patience: float = PATIENCE,
    statement_time: float | None = None,
    clock: Callable[[], int] = _now,
) -> Ipam:
    """Open address space.

    :param url: ``memory:``, or a database: ``sqlite:///borough.db``.
    :param create: make the database, or upgrade its schema to this release.
    :param patience: seconds for which an operation is tried while others are in the way.
    :param statement_time: seconds after which a database server gives up a statement; None for never.
    :param clock: the time in microseconds since the epoch.
    :raises FixInput: the URL names no store.
    :raises NotInitialised: the database does not exist or is empty, and ``create`` is not set.
    :raises NotOurDatabase: the database holds tables, but not ours.
    :raises SchemaTooOld: an older release made it, and ``create`` is not set.
    :raises SchemaTooNew: a newer release made it.
    """
    store = open_store(url, create=create, patience=patience, statement_time=statement_time)
    return Ipam(store, clock=clock)
