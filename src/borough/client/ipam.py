"""The library's face, spoken over HTTP."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from msgspec import convert

from borough.client.transport import TIMEOUT, Query, Transport, segment, write_key
from borough.client.upkeep import RemoteUpkeep
from borough.domain.address import parse_address
from borough.domain.dimension import make_labels
from borough.domain.event import Event
from borough.domain.explain import Explanation
from borough.domain.inspect import Finding
from borough.domain.model import Request
from borough.domain.pool import PoolUsage
from borough.domain.topology import Change, Changes, Topology
from borough.engine import topology
from borough.engine.queries import RouteForm, check_page, each_page
from borough.engine.request import KindName, LabelsIn, SubnetsIn, parse_request
from borough.engine.space_map import SpaceMap
from borough.engine.topology_writer import write_topology
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
from borough.errors import NotPermitted

#: Lines asked for at a time.
_PAGE = 5_000


class RemoteIpam(RemoteUpkeep):
    """Address space behind a service; see :class:`borough.engine.ipam.Ipam`.

    Safe to share between threads. Errors are those of the library; :class:`~borough.errors.Unavailable`
    when the service cannot be reached.
    """

    def __init__(self, transport: Transport) -> None:
        self._http = transport

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _pages(self, path: str, what: str, query: Query, limit: int | None = None) -> Iterator[Any]:
        """The lines of a list, page by page."""
        after = query.get("after")
        while limit is None or limit > 0:
            size = _PAGE if limit is None else min(limit, _PAGE)
            page = self._http.get(path, {**query, "after": after, "limit": size})
            yield from page[what]
            after = page["next"]
            if after is None:
                return
            limit = None if limit is None else limit - len(page[what])

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
        """See :meth:`borough.engine.ipam.Ipam.allocate`."""
        asked = parse_request(
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
        body = _selector(asked, address, mac)
        body |= {"owner": asked.owner, "attributes": asked.attributes, "explain": explain}
        headers = {"Idempotency-Key": write_key(asked.key)} if asked.key else {}
        found = self._http.call(
            "POST", "/v1/allocations", body=body, headers=headers, repeatable=bool(key)
        )
        return convert(found, Answer)

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
        asked = parse_request(
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
        body = _selector(asked, address, mac)
        return convert(
            self._http.call("POST", "/v1/explain", body=body, repeatable=True), Explanation
        )

    def release(
        self,
        address: str | Iterable[str] | None = None,
        *,
        owner: str = "",
        host: str = "",
        sequence: int | None = None,
        scope: str = "default",
    ) -> Released:
        """See :meth:`borough.engine.ipam.Ipam.release`."""
        names = [address] if isinstance(address, str) else list(address or ())
        for name in names:
            parse_address(name)
        body = _given(addresses=names, owner=owner, host=host, sequence=sequence, scope=scope)
        return convert(self._http.call("POST", "/v1/releases", body=body), Released)

    def show(self, address: str, *, scope: str = "default") -> Allocation:
        """See :meth:`borough.engine.ipam.Ipam.show`."""
        parse_address(address)
        path = f"/v1/allocations/{segment(scope)}/{segment(address)}"
        return convert(self._http.get(path), Allocation)

    # --- Declared objects -------------------------------------------------------------------------

    def apply(
        self,
        source: Topology | Mapping[str, Any] | str | os.PathLike[str],
        *,
        dry_run: bool = False,
        name: str | None = None,
        version: int | None = None,
    ) -> Changes:
        """See :meth:`borough.engine.ipam.Ipam.apply`; a file is read here, and not at the service."""
        wanted = write_topology(topology.load(source, name))
        headers = {} if version is None else {"If-Match": f'"{version}"'}
        found = self._http.call(
            "PUT", "/v1/topology", {"dry_run": dry_run}, wanted, headers, repeatable=dry_run
        )
        return Changes(convert(found["changes"], tuple[Change, ...]))

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
        """See :meth:`borough.engine.ipam.Ipam.allocate_subnet`."""
        body = _draft(name=name, cidr=cidr, labels=labels, project=project, **settings)
        body |= _given(pool=pool, prefix_length=prefix_length)
        found = self._http.call("POST", "/v1/subnets", body=body)
        return convert(found["subnet"], SubnetView)

    def add_subnet(
        self,
        cidr: str,
        *,
        name: str | None = None,
        labels: LabelsIn | None = None,
        project: str = "",
        **settings: Any,
    ) -> SubnetView:
        """See :meth:`borough.engine.ipam.Ipam.add_subnet`."""
        body = _draft(name=name, cidr=cidr, labels=labels, project=project, **settings)
        found = self._http.call("POST", "/v1/subnets", body=body)
        return convert(found["subnet"], SubnetView)

    def remove_subnet(self, name: str) -> SubnetView:
        """See :meth:`borough.engine.ipam.Ipam.remove_subnet`."""
        found = self._http.call("DELETE", f"/v1/subnets/{segment(name)}")
        return convert(found["subnet"], SubnetView)

    # --- Reading ----------------------------------------------------------------------------------

    def subnets(
        self, *, labels: LabelsIn | None = None, scope: str | None = None
    ) -> list[SubnetView]:
        """See :meth:`borough.engine.ipam.Ipam.subnets`."""
        query = {"label": _pairs(labels), "scope": scope}
        return [convert(each, SubnetView) for each in self._pages("/v1/subnets", "subnets", query)]

    def subnet(self, name: str) -> SubnetView:
        """See :meth:`borough.engine.ipam.Ipam.subnet`."""
        found = self._http.get(f"/v1/subnets/{segment(name)}")
        return convert(found["subnet"], SubnetView)

    def hosts(self) -> list[HostView]:
        """See :meth:`borough.engine.ipam.Ipam.hosts`."""
        return [convert(each, HostView) for each in self._pages("/v1/hosts", "hosts", {})]

    def dimensions(self) -> list[DimensionView]:
        """See :meth:`borough.engine.ipam.Ipam.dimensions`."""
        return convert(self._http.get("/v1/dimensions")["dimensions"], list[DimensionView])

    def pools(self) -> list[PoolUsage]:
        """See :meth:`borough.engine.ipam.Ipam.pools`."""
        return convert(self._http.get("/v1/pools")["pools"], list[PoolUsage])

    def blocks(self, *, host: str | None = None, subnet: str | None = None) -> list[BlockView]:
        """See :meth:`borough.engine.ipam.Ipam.blocks`."""
        found = self._pages("/v1/blocks", "blocks", {"host": host, "subnet": subnet})
        return [convert(each, BlockView) for each in found]

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
        check_page(after, limit)
        query = {
            "scope": scope,
            "owner": owner,
            "host": host,
            "subnet": subnet,
            "prefix": prefix,
            "owner_prefix": owner_prefix,
            "after": after,
        }
        found = self._pages("/v1/allocations", "allocations", query, limit)
        return [convert(each, Allocation) for each in found]

    def each_allocation(self, **filters: Any) -> Iterator[Allocation]:
        """See :meth:`borough.engine.ipam.Ipam.each_allocation`."""
        return each_page(self.allocations, **filters)

    def space_map(
        self, *, scope: str = "default", subnets: Collection[str] | None = None
    ) -> SpaceMap:
        """See :meth:`borough.engine.ipam.Ipam.space_map`."""
        named = None if subnets is None else list(subnets)
        if named == []:
            named = [""]  # no subnet is called so
        return convert(self._http.get("/v1/map", {"scope": scope, "subnet": named}), SpaceMap)

    def usage(
        self, *, labels: LabelsIn | None = None, host: str | None = None, scope: str = "default"
    ) -> list[Usage]:
        """See :meth:`borough.engine.ipam.Ipam.usage`."""
        query = {"label": _pairs(labels), "host": host, "scope": scope}
        return convert(self._http.get("/v1/usage", query)["subnets"], list[Usage])

    def routes(
        self, host: str | None = None, form: RouteForm = "strict", *, scope: str | None = None
    ) -> list[Route]:
        """See :meth:`borough.engine.ipam.Ipam.routes`."""
        found = self._http.get("/v1/routes", {"host": host, "form": form, "scope": scope})
        return convert(found["routes"], list[Route])

    def events(
        self, *, after: int = 0, limit: int = 1000, labels: LabelsIn | None = None
    ) -> list[Event]:
        """See :meth:`borough.engine.ipam.Ipam.events`."""
        check_page(after, limit)
        query = {"after": after, "label": _pairs(labels)}
        found = self._pages("/v1/events", "events", query, limit)
        return [convert(each, Event) for each in found]

    def newest_event(self) -> int:
        """See :meth:`borough.engine.ipam.Ipam.newest_event`."""
        newest: int = self._http.get("/v1/events/newest")["id"]
        return newest

    # --- Tokens of the service --------------------------------------------------------------------

    def create_token(
        self,
        name: str,
        *,
        may: str = "read",
        labels: LabelsIn | None = None,
        expires: datetime | None = None,
    ) -> tuple[TokenView, str]:
        """See :meth:`borough.engine.ipam.Ipam.create_token`."""
        ends = None if expires is None else expires.isoformat()
        body = _given(name=name, may=may, labels=_labels(labels), expires=ends)
        found = self._http.call("POST", "/v1/tokens", body=body)
        return convert(found["token"], TokenView), found["secret"]

    def revoke_token(self, name: str) -> TokenView:
        """See :meth:`borough.engine.ipam.Ipam.revoke_token`."""
        found = self._http.call("DELETE", f"/v1/tokens/{segment(name)}")
        return convert(found["token"], TokenView)

    def tokens(self) -> list[TokenView]:
        """See :meth:`borough.engine.ipam.Ipam.tokens`."""
        return convert(self._http.get("/v1/tokens")["tokens"], list[TokenView])

    # --- Looking after ----------------------------------------------------------------------------

    def audit(
        self,
        *,
        repair: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[Finding]:
        """See :meth:`borough.engine.ipam.Ipam.audit`; of its progress nothing is heard."""
        found = self._http.call("POST", "/v1/audit", body={"repair": repair})
        return convert(found["findings"], list[Finding])

    def risks(self) -> list[Finding]:
        """See :meth:`borough.engine.ipam.Ipam.risks`."""
        told = self._http.get("/readyz")
        if "warnings" not in told:
            raise NotPermitted("this is not for a token that is confined to labels")
        return convert(told["warnings"], list[Finding])


def connect(url: str, token: str | None = None, *, timeout: float = TIMEOUT) -> RemoteIpam:
    """Use address space behind a service.

    :param url: such as ``http://127.0.0.1:8080``; with ``https`` its certificate is verified.
    :param token: what the service's operator gave out; None where it asks for none.
    :param timeout: seconds that the service may leave a request without an answer.
    :raises FixInput: the URL or the token cannot be meant so.
    """
    return RemoteIpam(Transport(url, token, timeout))


def _given(**values: Any) -> dict[str, Any]:
    """What is not left out."""
    return {name: value for name, value in values.items() if value is not None}


def _selector(asked: Request, address: str | None, mac: str | None) -> dict[str, Any]:
    """A request, parsed as the library does it, as the service reads it."""
    tiers = None if asked.tiers is None else [list(tier) for tier in asked.tiers]
    return _given(
        labels={name: sorted(values) for name, values in asked.labels.items()},
        subnets=tiers,
        host=asked.host or None,
        families=list(asked.families) or None,
        count=asked.count,
        address=address,
        mac=mac,
        kind=asked.kind.value,
        claims=None if asked.claims else False,
        scope=asked.scope,
    )


def _draft(*, cidr: str | None, **settings: Any) -> dict[str, Any]:
    """A subnet, parsed as the library does it, as the service reads it."""
    draft = topology.Draft.parse(cidr=cidr, **settings)
    return _given(
        cidr=cidr,
        name=draft.name or None,
        labels={name: sorted(values) for name, values in draft.labels.items()},
        project=draft.project,
        scope=draft.scope,
        gateway=draft.gateway,
        ranges=list(draft.ranges),
        weight=draft.weight,
        cooldown=draft.cooldown,
        attributes=draft.attributes,
        claims=draft.claiming,
    )


def _labels(labels: LabelsIn | None) -> dict[str, list[str]]:
    """Labels as the library reads them.

    :raises InvalidLabel: for a bad name or value.
    """
    return {name: sorted(values) for name, values in make_labels(labels or {}).items()}


def _pairs(labels: LabelsIn | None) -> list[str]:
    return [f"{name}={value}" for name, values in _labels(labels).items() for value in values]
