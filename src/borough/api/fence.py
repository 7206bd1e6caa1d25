"""The address space as a token sees it that is confined to labels.

A confined caller works through :class:`Fenced`, which has the library's methods as far as he may use
them, and no others. He sees a subnet when in every dimension of the fence it carries one of the values that
the fence allows, and everything else through the subnets that he sees. A request that leaves a dimension
of the fence out is narrowed to it; one that names another value is refused. What errors and explanations
would tell of other subnets is left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from sys import getsizeof
from typing import Any, Final, TypeVar

from borough.domain.address import parse_address
from borough.domain.dimension import Labels, make_labels
from borough.domain.event import Event
from borough.domain.explain import Explanation
from borough.domain.ladder import unknown
from borough.domain.model import Catalogue, Host
from borough.domain.pool import PoolUsage
from borough.engine import queries
from borough.engine.ipam import Ipam
from borough.engine.queries import RouteForm
from borough.engine.request import KindName, LabelsIn, SubnetsIn
from borough.engine.space_map import SpaceMap
from borough.engine.tokens import check_fence
from borough.engine.views import (
    Allocation,
    Answer,
    BlockView,
    DimensionView,
    HostView,
    Released,
    Route,
    SubnetView,
    Usage,
)
from borough.errors import (
    AddressOutsideGroup,
    BoroughError,
    FixInput,
    KeyReused,
    KeySpent,
    NoMatchingSubnet,
    NotAllocated,
    NotPermitted,
    UnknownObject,
)
from borough.store.cache import Cache
from borough.store.port import Unit

T = TypeVar("T")

#: Most bytes of the names of subnets kept for all fences.
_SIGHTS: Final = 64 << 20


class Sights:
    """The subnets that each fence lets see, for one version of the catalogue each."""

    def __init__(self) -> None:
        self._found: Cache[str, tuple[int, frozenset[str]]] = Cache(_SIGHTS)

    def of(self, catalogue: Catalogue, fence: Labels) -> frozenset[str]:
        """Names of the subnets within a fence.

        :raises NotPermitted: a dimension of the fence no longer keeps requests in.
        """
        key = repr(sorted((name, sorted(values)) for name, values in fence.items()))
        version, names = self._found.get(key) or (-1, frozenset())
        if version != catalogue.version:
            _check_fence(catalogue, fence)
            names = frozenset(
                subnet.name
                for subnet in catalogue.subnets.values()
                if all(subnet.labels.get(name, frozenset()) & fence[name] for name in fence)
            )
            # The names themselves are the catalogue's.
            self._found.put(key, (catalogue.version, names), getsizeof(names) + getsizeof(key))
        return names


def _check_fence(catalogue: Catalogue, fence: Labels) -> None:
    """See :func:`borough.engine.tokens.check_fence`; the dimensions may have changed since.

    :raises NotPermitted: a dimension no longer keeps a request in.
    """
    try:
        check_fence(catalogue, fence)
    except FixInput as error:
        raise NotPermitted(error.message, **error.detail) from None


class Fenced:
    """See the module."""

    def __init__(self, ipam: Ipam, fence: Labels, sights: Sights) -> None:
        self._ipam = ipam.discreet(self._sees)
        self._fence = fence
        self._sights = sights

    def _sight(self) -> frozenset[str]:
        return self._sights.of(self._ipam.catalogue(), self._fence)

    def _sees(self, host: Host | HostView) -> bool:
        """True when the labels of a host are within the fence."""
        return all(
            self._fence[name].intersection(host.labels.get(name, ())) for name in self._fence
        )

    def _read(self, work: Callable[[Unit, frozenset[str]], T]) -> T:
        """Read what lies in the subnets that are seen, and nothing else, in one transaction."""

        def read(unit: Unit) -> T:
            return work(unit, self._sights.of(unit.catalogue, self._fence))

        return _discreet(lambda: self._ipam.store.transact(read, write=False))

    def catalogue(self) -> Catalogue:
        """The version of what is declared, and nothing of it."""
        return Catalogue(self._ipam.catalogue().version)

    # --- Addresses ------------------------------------------------------------------------------

    def _narrow(self, labels: LabelsIn | None) -> dict[str, Iterable[str]]:
        """Labels within the fence.

        :raises NotPermitted: some are outside.
        """
        asked: dict[str, Iterable[str]] = dict(make_labels(labels or {}))
        for name, allowed in self._fence.items():
            values = frozenset(asked.setdefault(name, sorted(allowed)))
            if not values <= allowed:
                raise NotPermitted(
                    f"the token may use {name} {', '.join(sorted(allowed))} only",
                    dimension=name,
                    allowed=sorted(allowed),
                )
        return asked

    def _within(
        self, labels: LabelsIn | None, subnets: SubnetsIn | None
    ) -> dict[str, Iterable[str]] | LabelsIn | None:
        """The labels of a request that stays inside."""
        sight = self._sight()
        if subnets is None:
            return self._narrow(labels)
        for tier in subnets:
            for name in [tier] if isinstance(tier, str) else tier:
                _check_seen(sight, name)
        return labels

    def _own(self, key: str | None) -> str | None:
        """An idempotency key, apart from everybody else's."""
        if not key:
            return key
        words = sorted((name, sorted(values)) for name, values in self._fence.items())
        return hashlib.sha256(repr((words, key)).encode()).hexdigest()

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
        """See :meth:`borough.engine.ipam.Ipam.allocate`."""

        def give() -> Answer:
            return self._ipam.allocate(
                labels=self._within(labels, subnets),
                subnets=subnets,
                host=host,
                families=families,
                count=count,
                address=address,
                mac=mac,
                kind=kind,
                claims=claims,
                owner=owner,
                key=self._own(key),
                scope=scope,
                attributes=attributes,
                explain=explain,
            )

        answer = _discreet(give, key)
        if answer.explanation is None:
            return answer
        return replace(answer, explanation=_curtail(answer.explanation))

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
        """See :meth:`borough.engine.ipam.Ipam.explain`."""

        def tell() -> Explanation:
            return self._ipam.explain(
                labels=self._within(labels, subnets),
                subnets=subnets,
                host=host,
                families=families,
                count=count,
                address=address,
                mac=mac,
                kind=kind,
                claims=claims,
                scope=scope,
            )

        return _curtail(_discreet(tell))

    def release(
        self,
        address: str | Iterable[str] | None = None,
        *,
        owner: str = "",
        host: str = "",
        sequence: int | None = None,
        scope: str = "default",
    ) -> Released:
        """See :meth:`borough.engine.ipam.Ipam.release`; claims of the host stay."""
        names = [address] if isinstance(address, str) else list(address or ())
        if names:
            for name in names:
                self.show(name, scope=scope)
            return self._ipam.release(names, owner=owner, host=host, sequence=sequence, scope=scope)
        if not (owner or host) or sequence is not None:
            # Not for this class to say what is wrong with that.
            return self._ipam.release(owner=owner, host=host, sequence=sequence, scope=scope)
        return self._ipam.release_seen(
            lambda catalogue: self._sights.of(catalogue, self._fence),
            owner=owner,
            host=host,
            scope=scope,
        )

    def show(self, address: str, *, scope: str = "default") -> Allocation:
        """See :meth:`borough.engine.ipam.Ipam.show`."""
        family, number = parse_address(address)
        catalogue = self._ipam.catalogue()
        subnet = catalogue.subnet_at(scope, family, number)
        if subnet is None or subnet.name not in self._sights.of(catalogue, self._fence):
            raise NotAllocated(f"{address} is not allocated in scope {scope}", address=address)
        return self._ipam.show(address, scope=scope)

    # --- Reading ----------------------------------------------------------------------------------

    def subnets(
        self, *, labels: LabelsIn | None = None, scope: str | None = None
    ) -> list[SubnetView]:
        """See :meth:`borough.engine.ipam.Ipam.subnets`."""
        sight = self._sight()
        return [
            each for each in self._ipam.subnets(labels=labels, scope=scope) if each.name in sight
        ]

    def subnet(self, name: str) -> SubnetView:
        """See :meth:`borough.engine.ipam.Ipam.subnet`."""
        sight = self._sight()
        if name not in sight:
            raise unknown("subnet", name, sight)
        return self._ipam.subnet(name)

    def hosts(self) -> list[HostView]:
        """Hosts whose labels are within the fence."""
        self._sight()
        return [host for host in self._ipam.hosts() if self._sees(host)]

    def dimensions(self) -> list[DimensionView]:
        """See :meth:`borough.engine.ipam.Ipam.dimensions`: they belong to all."""
        return self._ipam.dimensions()

    def pools(self) -> list[PoolUsage]:
        """None: a pool belongs to whoever carves subnets."""
        return []

    def blocks(self, *, host: str | None = None, subnet: str | None = None) -> list[BlockView]:
        """See :meth:`borough.engine.ipam.Ipam.blocks`."""
        sight = self._sight()
        if subnet is not None:
            _check_seen(sight, subnet)
        return self._read(lambda unit, seen: queries.blocks(unit, host, subnet, seen))

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
        """See :meth:`borough.engine.ipam.Ipam.allocations`."""
        sight = self._sight()
        if subnet is not None:
            _check_seen(sight, subnet)
        return self._read(
            lambda unit, seen: queries.allocations(
                unit, scope, owner, host, subnet, prefix, owner_prefix, after, limit, seen
            )
        )

    def space_map(
        self, *, scope: str = "default", subnets: Collection[str] | None = None
    ) -> SpaceMap:
        """See :meth:`borough.engine.ipam.Ipam.space_map`; holders elsewhere are not told."""
        sight = self._sight()
        seen = sight if subnets is None else sight.intersection(subnets)
        return _discreet(lambda: self._ipam.space_map(scope=scope, subnets=seen))

    def usage(
        self, *, labels: LabelsIn | None = None, host: str | None = None, scope: str = "default"
    ) -> list[Usage]:
        """See :meth:`borough.engine.ipam.Ipam.usage`."""
        # Everything that is seen is not a group: a fence may leave other hard dimensions open.
        narrowed = self._narrow(labels) if labels or host else None
        return self._read(lambda unit, seen: queries.usage(unit, narrowed, host, scope, seen))

    def routes(
        self, host: str | None = None, form: RouteForm = "strict", *, scope: str | None = None
    ) -> list[Route]:
        """See :meth:`borough.engine.ipam.Ipam.routes`; of what lies in subnets that are seen."""
        return self._read(lambda unit, seen: queries.routes(unit, host, form, scope, seen))

    def events(
        self, *, after: int = 0, limit: int = 1000, labels: LabelsIn | None = None
    ) -> list[Event]:
        """See :meth:`borough.engine.ipam.Ipam.events`; those of subnets that were within the fence then."""
        wanted = self.event_labels(labels)
        return self._ipam.events(after=after, limit=limit, labels=wanted)

    def newest_event(self) -> int:
        """See :meth:`borough.engine.ipam.Ipam.newest_event`: a number, and nothing of the event."""
        return self._ipam.newest_event()

    def event_labels(self, labels: LabelsIn | None) -> LabelsIn:
        """The labels whose events the caller is told.

        :raises NotPermitted: some that are asked for are outside the fence.
        """
        self._sight()
        return self._narrow(labels)


def _check_seen(sight: frozenset[str], name: str) -> None:
    """Whether there is another subnet of that name, a confined caller does not learn."""
    if name not in sight:
        raise UnknownObject(f"there is no subnet {name!r}", kind="subnet", name=name)


def _curtail(story: Explanation) -> Explanation:
    """An explanation without what it says of subnets that are not seen."""
    return replace(story, passed=())


def _discreet(work: Callable[[], T], key: str | None = None) -> T:
    """Run, and leave out of an error what it would tell of others."""
    try:
        return work()
    except (KeyReused, KeySpent) as error:
        raise type(error)(
            f"idempotency key {key!r} was used with another request"
            if isinstance(error, KeyReused)
            else f"what idempotency key {key!r} was given has been released since; "
            "use a new key for a new request",
            key=key,
        ) from None
    except AddressOutsideGroup as error:
        address = error.detail["address"]
        raise AddressOutsideGroup(
            f"{address} lies in no subnet that this request may use", address=address
        ) from None
    except UnknownObject as error:
        kind, name = error.detail["kind"], error.detail["name"]
        raise UnknownObject(f"there is no {kind} {name!r}", kind=kind, name=name) from None
    except NoMatchingSubnet as error:
        raise NoMatchingSubnet(
            "no subnet that the token may use is in the group", **_without_passed(error)
        ) from None
    except BoroughError as error:
        error.detail = _without_passed(error)
        raise


def _without_passed(error: BoroughError) -> dict[str, Any]:
    detail = dict(error.detail)
    if "explanation" in detail:
        detail["explanation"] = {**detail["explanation"], "passed": []}
    return detail
