"""The address space within the boundary of a token that is confined to labels.

A confined caller works through :class:`ScopedIpam`. A subnet is visible when it carries one of the token's
values in each dimension of the token's labels. Other objects are visible through their subnet. A request
without such a dimension is narrowed to the token's values; a request with another value is refused. Errors
and explanations leave out subnets outside the boundary.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from itertools import chain
from sys import getsizeof
from typing import Any, Final, TypeVar

from borough.domain.declared.catalogue import Catalogue
from borough.domain.declared.dimensions import HOST, Labels
from borough.domain.declared.lookup import unknown
from borough.domain.declared.pools import PoolUsage
from borough.domain.net.addresses import Family, format_address
from borough.domain.policy.explain import Explanation
from borough.domain.request import Request
from borough.domain.space.events import Event
from borough.engine import queries
from borough.engine.address_lines import AddressLine, LineQuery, address_lines
from borough.engine.edits import EditRequest, Transferred, TransferRequest
from borough.engine.face import Face
from borough.engine.history import HistoryQuery
from borough.engine.imports import Imported, ImportRequest
from borough.engine.ipam import Ipam
from borough.engine.leases import Renewed, RenewRequest
from borough.engine.queries import RouteForm
from borough.engine.request import AllocationFilter, ReleaseRequest, place
from borough.engine.reservations import CancelRequest, ReserveRequest
from borough.engine.search import SearchQuery, SearchResult, search
from borough.engine.space_map import SpaceMap
from borough.engine.tokens import check_boundary_labels
from borough.engine.views import (
    Allocation,
    Answer,
    BlockView,
    DimensionView,
    HostView,
    Released,
    Reservations,
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

#: Most bytes of the names of subnets kept for all tokens.
_KEPT: Final = 64 << 20


class VisibleSubnets:
    """The visible subnets of each boundary, cached for one version of the catalogue."""

    def __init__(self) -> None:
        self._found: Cache[str, tuple[int, frozenset[str]]] = Cache(_KEPT)

    def of(self, catalogue: Catalogue, boundary: Labels) -> frozenset[str]:
        """Names of the subnets within a boundary.

        :raises NotPermitted: a dimension of the boundary is no longer hard.
        """
        key = repr(sorted((name, sorted(values)) for name, values in boundary.items()))
        version, names = self._found.get(key) or (-1, frozenset())
        if version != catalogue.version:
            _check_boundary(catalogue, boundary)
            names = frozenset(
                subnet.name
                for subnet in catalogue.subnets.values()
                if _is_within(subnet.labels, boundary)
            )
            # Without the names: the catalogue holds them anyway.
            self._found.put(key, (catalogue.version, names), getsizeof(names) + getsizeof(key))
        return names


def _is_within(labels: Mapping[str, Iterable[str]], boundary: Labels) -> bool:
    return all(boundary[name].intersection(labels.get(name, ())) for name in boundary)


def _check_boundary(catalogue: Catalogue, boundary: Labels) -> None:
    """Check a boundary again: its dimensions may have changed since the token was created.

    :raises NotPermitted: a dimension is no longer hard.
    """
    try:
        check_boundary_labels(catalogue, boundary)
    except FixInput as error:
        raise NotPermitted(error.message, **error.detail) from None


def _refuse(*_given: Any, **_named: Any) -> Any:
    raise NotPermitted("this is not for a token that is confined to labels")


class ScopedIpam(Face):
    """The address space within a boundary; see the module.

    Upkeep is refused: several tenants may share a host and its claims, and a reassignment depends on
    segments and racks outside the boundary. Declarations and tokens are refused too.
    """

    _apply = _add_subnet = _change = _remove_subnet = _replace_subnets = _refuse
    _drain = _remove_host = _rename_host = _reassign = _reclaim = _defragment = _refuse
    _create_token = _revoke_token = _tokens = _refuse
    _host_routes = _acknowledge = _agents = _refuse
    _audit = _risks = _prune_events = _refuse

    def __init__(self, ipam: Ipam, boundary: Labels, subnets: VisibleSubnets) -> None:
        self._ipam = ipam.with_visible_hosts(lambda host: _is_within(host.labels, boundary))
        self._boundary = boundary
        self._known = subnets

    def close(self) -> None:
        """Close nothing: the address space belongs to the service."""

    def catalogue(self) -> Catalogue:
        """An empty catalogue with the version of the declared objects."""
        return Catalogue(self._ipam.catalogue().version)

    def _visible_subnets(self) -> frozenset[str]:
        return self._known.of(self._ipam.catalogue(), self._boundary)

    def _check_visible(self, *names: str) -> None:
        """Refuse an invisible subnet with the error for one that does not exist."""
        visible = self._visible_subnets()
        for name in names:
            if name not in visible:
                raise UnknownObject(f"there is no subnet {name!r}", kind="subnet", name=name)

    def _read(self, work: Callable[[Unit, frozenset[str]], T]) -> T:
        """Read within the visible subnets, in one transaction."""

        def read(unit: Unit) -> T:
            return work(unit, self._known.of(unit.catalogue, self._boundary))

        return _redact_errors(lambda: self._ipam.store.transact(read, write=False))

    # --- Addresses ------------------------------------------------------------------------------

    def narrow(self, labels: Labels) -> dict[str, frozenset[str]]:
        """Add the dimensions of the boundary that labels leave out.

        :raises NotPermitted: a label is outside the boundary.
        """
        self._visible_subnets()
        asked = dict(labels)
        for name, allowed in self._boundary.items():
            if not asked.setdefault(name, allowed) <= allowed:
                raise NotPermitted(
                    f"the token may use {name} {', '.join(sorted(allowed))} only",
                    dimension=name,
                    allowed=sorted(allowed),
                )
        return asked

    def _within(self, request: Request) -> Request:
        """A request narrowed to the boundary."""
        key = self._own_key(request.key)
        if request.tiers is not None:
            self._check_visible(*chain.from_iterable(request.tiers))
            return replace(request, key=key)
        labels = self.narrow(request.labels)
        host = place(labels, request.host)
        if not request.claims:
            labels.pop(HOST, None)
        return replace(request, key=key, labels=labels, host=host)

    def _own_key(self, key: str) -> str:
        """An idempotency key that no other boundary can have."""
        if not key:
            return key
        words = sorted((name, sorted(values)) for name, values in self._boundary.items())
        return hashlib.sha256(repr((words, key)).encode()).hexdigest()

    def _allocate(self, request: Request) -> Answer:
        answer = _redact_errors(lambda: self._ipam._allocate(self._within(request)), request.key)
        if answer.explanation is None:
            return answer
        return replace(answer, explanation=_redact(answer.explanation))

    def _explain(self, request: Request) -> Explanation:
        return _redact(_redact_errors(lambda: self._ipam._explain(self._within(request))))

    def _release(self, request: ReleaseRequest) -> Released:
        """Release visible addresses; claims of the host stay."""
        if request.addresses:
            for place in request.places:
                self._show(*place)
            return self._ipam._release(request)
        return self._ipam.release_seen(
            lambda catalogue: self._known.of(catalogue, self._boundary), request
        )

    def _reserve(self, request: ReserveRequest) -> Reservations:
        return _redact_errors(
            lambda: self._ipam.reserve_seen(
                lambda catalogue: self._known.of(catalogue, self._boundary), request
            )
        )

    def _cancel(self, request: CancelRequest) -> Reservations:
        return self._ipam.cancel_seen(
            lambda catalogue: self._known.of(catalogue, self._boundary), request
        )

    def _renew(self, request: RenewRequest) -> Renewed:
        if request.address is not None:
            self._show(request.scope, *request.address)
        own = replace(request, key=self._own_key(request.key))
        return _redact_errors(
            lambda: self._ipam.renew_seen(
                lambda catalogue: self._known.of(catalogue, self._boundary), own
            ),
            request.key,
        )

    def _edit(self, request: EditRequest) -> Allocation:
        self._show(request.scope, request.family, request.address)
        return self._ipam._edit(request)

    def _transfer(self, request: TransferRequest) -> Transferred:
        """Transfer visible addresses only."""
        return self._ipam.transfer_seen(
            lambda catalogue: self._known.of(catalogue, self._boundary), request
        )

    def _import(self, request: ImportRequest) -> Imported:
        return self._ipam.import_seen(
            lambda catalogue: self._known.of(catalogue, self._boundary), request
        )

    def _show(self, scope: str, family: Family, number: int) -> Allocation:
        catalogue = self._ipam.catalogue()
        subnet = catalogue.subnet_at(scope, family, number)
        if subnet is None or subnet.name not in self._known.of(catalogue, self._boundary):
            text = format_address(family, number)
            raise NotAllocated(f"{text} is not allocated in scope {scope}", address=text)
        return self._ipam._show(scope, family, number)

    # --- Reading ----------------------------------------------------------------------------------

    def _subnets(self, labels: Labels, scope: str | None) -> list[SubnetView]:
        visible = self._visible_subnets()
        return [each for each in self._ipam._subnets(labels, scope) if each.name in visible]

    def _subnet(self, name: str) -> SubnetView:
        visible = self._visible_subnets()
        if name not in visible:
            raise unknown("subnet", name, visible)
        return self._ipam._subnet(name)

    def _hosts(self) -> list[HostView]:
        self._visible_subnets()
        return [host for host in self._ipam._hosts() if _is_within(host.labels, self._boundary)]

    def _undeclared_hosts(self) -> list[str]:
        """No undeclared hosts: they may be those of others."""
        return []

    def _dimensions(self) -> list[DimensionView]:
        return self._ipam._dimensions()

    def _pools(self) -> list[PoolUsage]:
        """No pools: only administrators carve subnets."""
        return []

    def _free_prefixes(self, pool: str, prefix_length: int | None) -> list[str]:
        """Refuse any pool with the error for one that does not exist."""
        del prefix_length
        raise unknown("pool", pool, ())

    def _blocks(self, host: str | None, subnet: str | None) -> list[BlockView]:
        if subnet is not None:
            self._check_visible(subnet)
        return self._read(lambda unit, visible: queries.blocks(unit, host, subnet, visible))

    def _allocations(self, wanted: AllocationFilter) -> list[Allocation]:
        if wanted.subnet is not None:
            self._check_visible(wanted.subnet)
        return self._read(lambda unit, visible: queries.allocations(unit, wanted, visible))

    def _addresses(self, wanted: LineQuery) -> list[AddressLine]:
        self._check_visible(wanted.subnet)
        return self._read(lambda unit, _visible: address_lines(unit, wanted))

    def _search(self, wanted: SearchQuery) -> SearchResult:
        hosts = {each.name for each in self._hosts()}
        return self._read(lambda unit, visible: search(unit, wanted, visible, hosts))

    def _space_map(self, scope: str, subnets: Collection[str] | None) -> SpaceMap:
        """The map of the visible subnets."""
        visible = self._visible_subnets()
        chosen = visible if subnets is None else visible.intersection(subnets)
        return _redact_errors(lambda: self._ipam._space_map(scope, chosen))

    def _usage(self, labels: Labels, host: str | None, scope: str | None) -> list[Usage]:
        group = self.narrow(labels) if host else labels
        return self._read(lambda unit, visible: queries.usage(unit, group, host, scope, visible))

    def _routes(self, host: str | None, form: RouteForm, scope: str | None) -> list[Route]:
        return self._read(lambda unit, visible: queries.routes(unit, host, form, scope, visible))

    def _events(self, after: int, limit: int, labels: Labels) -> list[Event]:
        """Events of subnets that were within the boundary at the time."""
        return self._ipam._events(after, limit, self.narrow(labels))

    def _history(self, wanted: HistoryQuery) -> list[Event]:
        """Events of subnets that were within the boundary at the time."""
        if wanted.subnet is not None:
            self._check_visible(wanted.subnet)
        return self._ipam._history(replace(wanted, labels=self.narrow(wanted.labels or {})))

    def _newest_event(self) -> int:
        return self._ipam._newest_event()


def _redact(explanation: Explanation) -> Explanation:
    """An explanation without invisible subnets."""
    return replace(explanation, passed=())


def _redact_errors(work: Callable[[], T], key: str | None = None) -> T:
    """Run, and remove facts about other tenants from an error."""
    try:
        return work()
    except (KeyReused, KeySpent) as error:
        raise type(error)(
            f"idempotency key {key!r} was used with another request"
            if isinstance(error, KeyReused)
            else f"the addresses of idempotency key {key!r} have been released since; "
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
