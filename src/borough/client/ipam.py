"""The address space of a service, over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import fields, replace
from datetime import datetime
from typing import Any

from msgspec import convert

from borough.client.transport import TIMEOUT, Query, Transport, segment, write_key
from borough.domain.declared.dimensions import Labels
from borough.domain.declared.effects import Effect
from borough.domain.declared.pools import PoolUsage
from borough.domain.declared.topology import Change, Changes, Topology
from borough.domain.encode import rfc3339, utc
from borough.domain.net.addresses import WIDTH, Family, format_address, format_interval
from borough.domain.net.prefixes import Prefix
from borough.domain.policy.explain import Explanation
from borough.domain.request import Request
from borough.domain.space.events import Event
from borough.domain.space.findings import Finding
from borough.engine.address_lines import AddressLine, LineQuery
from borough.engine.announcements import (
    Acknowledged,
    Acknowledgement,
    AgentView,
    HostRoutes,
)
from borough.engine.edits import EditRequest, Transferred, TransferRequest
from borough.engine.face import Face
from borough.engine.history import HistoryQuery
from borough.engine.imports import Imported, ImportRequest
from borough.engine.leases import Renewed, RenewRequest
from borough.engine.queries import RouteForm
from borough.engine.request import (
    SELECTOR,
    AllocationFilter,
    ReassignRequest,
    ReleaseRequest,
    write_request,
)
from borough.engine.reservations import CancelRequest, ReserveRequest
from borough.engine.search import SearchQuery, SearchResult
from borough.engine.space_map import SpaceMap
from borough.engine.topology.change import ChangeRequest
from borough.engine.topology.replacing import ReplaceRequest
from borough.engine.topology.subnets import Draft
from borough.engine.topology.writer import write_topology
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
from borough.errors import NotPermitted

#: Lines of a page.
_PAGE = 5_000


#: Most characters of one import: half of what a service accepts by default.
_IMPORT_SIZE = 500_000


class RemoteIpam(Face):
    """Address space behind a service; see :class:`borough.engine.face.Face`.

    Errors are those of the library; :class:`~borough.errors.Unavailable` when the service cannot be
    reached. The client reads topology files, not the service.
    """

    def __init__(self, transport: Transport) -> None:
        self._http = transport

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _post(self, path: str, body: object = None, *, repeatable: bool = False) -> Any:
        return self._http.call("POST", path, body=body, repeatable=repeatable)

    def _pages(self, path: str, key: str, query: Query, limit: int | None = None) -> Iterator[Any]:
        """The lines of a list, page by page."""
        after = query.get("after")
        while limit is None or limit > 0:
            size = _PAGE if limit is None else min(limit, _PAGE)
            page = self._http.get(path, {**query, "after": after, "limit": size})
            yield from page[key]
            after = page["next"]
            if after is None:
                return
            limit = None if limit is None else limit - len(page[key])

    # --- Addresses ------------------------------------------------------------------------------

    def _allocate(self, request: Request) -> Answer:
        body = write_request(request)
        key = body.pop("key", None)
        headers = {"Idempotency-Key": write_key(key)} if key else {}
        found = self._http.call(
            "POST",
            "/v1/allocations",
            body=body,
            headers=headers,
            repeatable=bool(key) or request.sticky,
        )
        return convert(found, Answer)

    def _explain(self, request: Request) -> Explanation:
        written = write_request(request)
        body = {name: value for name, value in written.items() if name in SELECTOR}
        return convert(self._post("/v1/explain", body, repeatable=True), Explanation)

    def _release(self, request: ReleaseRequest) -> Released:
        body = _fields(request) | {
            "addresses": [format_address(*each) for each in request.addresses]
        }
        found = self._post("/v1/releases", body)
        return convert(found, Released)

    def _renew(self, request: RenewRequest) -> Renewed:
        body = _fields(request)
        body["address"] = None if request.address is None else format_address(*request.address)
        return convert(self._post("/v1/renewals", body, repeatable=True), Renewed)

    def _reserve(self, request: ReserveRequest) -> Reservations:
        body = _fields(request) | {"addresses": _intervals(request.intervals)}
        del body["intervals"]
        return convert(self._post("/v1/reservations", body, repeatable=True), Reservations)

    def _cancel(self, request: CancelRequest) -> Reservations:
        body = _fields(request) | {"addresses": _intervals(request.intervals)}
        del body["intervals"]
        return convert(self._post("/v1/reservations/cancel", body), Reservations)

    def _import(self, request: ImportRequest) -> Imported:
        entries = [
            {**_fields(each), "address": format_address(each.family, each.address)}
            for each in request.entries
        ]
        for each in entries:
            del each["family"]
        if len(entries) > 1 and sum(len(str(each)) for each in entries) > _IMPORT_SIZE:
            half = len(entries) // 2
            first = self._import(replace(request, entries=request.entries[:half]))
            return first.and_then(self._import(replace(request, entries=request.entries[half:])))
        body = {"allocations": entries, "dry_run": request.dry_run}
        return convert(self._post("/v1/imports", body, repeatable=True), Imported)

    def _show(self, scope: str, family: Family, number: int) -> Allocation:
        return convert(self._http.get(_place(scope, family, number)), Allocation)

    # --- Declared objects -------------------------------------------------------------------------

    def _apply(self, topology: Topology, dry_run: bool, version: int | None) -> Changes:
        body = write_topology(topology)
        return self._declare("PUT", "/v1/topology", body, dry_run=dry_run, version=version)

    def _change(self, request: ChangeRequest) -> Changes:
        path = f"/v1/{request.kind}s/{segment(request.name)}"
        options: dict[str, Any] = {"dry_run": request.dry_run, "version": request.version}
        return self._declare("PATCH", path, request.fields, **options)

    def _declare(
        self, method: str, path: str, body: Any, *, dry_run: bool, version: int | None
    ) -> Changes:
        headers = {} if version is None else {"If-Match": f'"{version}"'}
        query = {"dry_run": dry_run}
        return _changes(self._http.call(method, path, query, body, headers, repeatable=dry_run))

    def _replace_subnets(self, request: ReplaceRequest) -> Changes:
        body = {name: value for name, value in _fields(request).items() if value is not None}
        return _changes(self._post("/v1/replacements", body, repeatable=request.dry_run))

    def _add_subnet(self, draft: Draft) -> SubnetView:
        body = _fields(draft) | {"labels": _plain(draft.labels), "claims": draft.claiming}
        del body["claiming"], body["key"]
        body["name"] = draft.name or None
        body["cidr"] = None if draft.cidr is None else str(draft.cidr)
        headers = {"Idempotency-Key": write_key(draft.key)} if draft.key else {}
        found = self._http.call(
            "POST", "/v1/subnets", body=body, headers=headers, repeatable=bool(draft.key)
        )
        return convert(found["subnet"], SubnetView)

    def _remove_subnet(self, name: str) -> SubnetView:
        found = self._http.call("DELETE", f"/v1/subnets/{segment(name)}")
        return convert(found["subnet"], SubnetView)

    # --- Reading ----------------------------------------------------------------------------------

    def _subnets(self, labels: Labels, scope: str | None) -> list[SubnetView]:
        found = self._pages("/v1/subnets", "subnets", {"label": _pairs(labels), "scope": scope})
        return [convert(each, SubnetView) for each in found]

    def _subnet(self, name: str) -> SubnetView:
        found = self._http.get(f"/v1/subnets/{segment(name)}")
        return convert(found["subnet"], SubnetView)

    def _hosts(self) -> list[HostView]:
        return [convert(each, HostView) for each in self._pages("/v1/hosts", "hosts", {})]

    def _undeclared_hosts(self) -> list[str]:
        return [str(each) for each in self._pages("/v1/undeclared-hosts", "hosts", {})]

    def _dimensions(self) -> list[DimensionView]:
        return convert(self._http.get("/v1/dimensions")["dimensions"], list[DimensionView])

    def _pools(self) -> list[PoolUsage]:
        return convert(self._http.get("/v1/pools")["pools"], list[PoolUsage])

    def _free_prefixes(self, pool: str, prefix_length: int | None) -> list[str]:
        query = {"pool": pool, "prefix_length": prefix_length}
        return [str(each) for each in self._pages("/v1/free-prefixes", "prefixes", query)]

    def _blocks(self, host: str | None, subnet: str | None) -> list[BlockView]:
        found = self._pages("/v1/blocks", "blocks", {"host": host, "subnet": subnet})
        return [convert(each, BlockView) for each in found]

    def _allocations(self, selected: AllocationFilter) -> list[Allocation]:
        query = _fields(selected)
        limit = query.pop("limit")
        if selected.prefix is not None:
            query["prefix"] = str(selected.prefix)
        query["attribute"] = [f"{name}={text}" for name, text in query.pop("attributes")]
        found = self._pages("/v1/allocations", "allocations", query, limit)
        return [convert(each, Allocation) for each in found]

    def _addresses(self, wanted: LineQuery) -> list[AddressLine]:
        query = {"subnet": wanted.subnet, "after": wanted.after or ""}
        found = self._pages("/v1/addresses", "addresses", query, wanted.limit)
        return [convert(each, AddressLine) for each in found]

    def _search(self, wanted: SearchQuery) -> SearchResult:
        query = {"text": wanted.text, "after": wanted.after, "limit": wanted.limit}
        return convert(self._http.get("/v1/search", query), SearchResult)

    def _space_map(self, scope: str, subnets: Collection[str] | None) -> SpaceMap:
        named = None if subnets is None else list(subnets)
        if named == []:
            named = [""]  # no subnet has this name: without names the map would have all
        return convert(self._http.get("/v1/map", {"scope": scope, "subnet": named}), SpaceMap)

    def _usage(self, labels: Labels, host: str | None, scope: str | None) -> list[Usage]:
        query = {"label": _pairs(labels), "host": host, "scope": scope}
        return convert(self._http.get("/v1/usage", query)["subnets"], list[Usage])

    def _routes(self, host: str | None, form: RouteForm, scope: str | None) -> list[Route]:
        found = self._http.get("/v1/routes", {"host": host, "form": form, "scope": scope})
        return convert(found["routes"], list[Route])

    def _host_routes(self, host: str, scope: str) -> HostRoutes:
        found = self._http.get(f"/v1/hosts/{segment(host)}/routes", {"scope": scope})
        return convert(found, HostRoutes)

    def _acknowledge(self, report: Acknowledgement) -> Acknowledged:
        body = {
            "scope": report.scope,
            "installed": list(map(str, sorted(report.installed))),
            "settling": list(map(str, sorted(report.settling))),
            "problems": {str(each): reason for each, reason in report.problems.items()},
        }
        path = f"/v1/hosts/{segment(report.host)}/routes/installed"
        return convert(self._http.call("PUT", path, body=body, repeatable=True), Acknowledged)

    def _agents(self, scope: str) -> list[AgentView]:
        return convert(self._http.get("/v1/agents", {"scope": scope})["agents"], list[AgentView])

    def _events(self, after: int, limit: int, labels: Labels) -> list[Event]:
        query = {"after": after, "label": _pairs(labels)}
        found = self._pages("/v1/events", "events", query, limit)
        return [convert(each, Event) for each in found]

    def _history(self, wanted: HistoryQuery) -> list[Event]:
        query = _fields(wanted) | {
            "label": _pairs(wanted.labels or {}),
            "what": wanted.name if wanted.within is None else _text(wanted.within),
            "since": None if wanted.since is None else rfc3339(utc(wanted.since)),
            "until": None if wanted.until is None else rfc3339(utc(wanted.until)),
        }
        for name in ("name", "within", "labels"):
            del query[name]
        found: list[Event] = []
        while len(found) < wanted.limit:
            size = min(_PAGE, wanted.limit - len(found))
            page = self._http.get("/v1/history", {**query, "limit": size})
            found += [convert(each, Event) for each in page["events"]]
            query["before"] = page["next"]
            if page["next"] is None:
                break
        return found

    def _newest_event(self) -> int:
        newest: int = self._http.get("/v1/events/newest")["id"]
        return newest

    # --- Hosts, reassignment, claims ----------------------------------------------------------------

    def _drain(self, host: str) -> Vacated:
        return convert(self._post(f"/v1/hosts/{segment(host)}/drain"), Vacated)

    def _remove_host(self, name: str, release: bool) -> Vacated:
        path = f"/v1/hosts/{segment(name)}"
        return convert(self._http.call("DELETE", path, {"release": release}), Vacated)

    def _rename_host(self, old: str, new: str) -> Renamed:
        return convert(self._post(f"/v1/hosts/{segment(old)}/rename", {"name": new}), Renamed)

    def _reassign(self, request: ReassignRequest) -> Reassigned:
        path = _place(request.scope, request.family, request.address) + "/reassign"
        body = {"host": request.host, "sequence": request.sequence, "force": request.force}
        return convert(self._post(path, body), Reassigned)

    def _edit(self, request: EditRequest) -> Allocation:
        body = _fields(request)
        path = _place(body.pop("scope"), body.pop("family"), body.pop("address"))
        return convert(self._http.call("PATCH", path, body=body), Allocation)

    def _transfer(self, request: TransferRequest) -> Transferred:
        found = self._post("/v1/transfers", _fields(request), repeatable=True)
        return convert(found, Transferred)

    def _reclaim(self) -> Reclaimed:
        return convert(self._post("/v1/reclaim"), Reclaimed)

    def _defragment(self, host: str | None, scope: str | None, limit: int) -> Defragmentation:
        query = {"host": host, "scope": scope, "limit": limit}
        return convert(self._http.get("/v1/defragment", query), Defragmentation)

    # --- Administration ---------------------------------------------------------------------------

    def _create_token(
        self, name: str, permission: str, labels: Labels, host: str, expires: datetime | None
    ) -> tuple[TokenView, str]:
        ends = None if expires is None else expires.isoformat()
        body = {
            "name": name,
            "permission": permission,
            "labels": _plain(labels),
            "host": host,
            "expires": ends,
        }
        found = self._post("/v1/tokens", body)
        return convert(found["token"], TokenView), found["secret"]

    def _revoke_token(self, name: str) -> TokenView:
        return convert(self._http.call("DELETE", f"/v1/tokens/{segment(name)}")["token"], TokenView)

    def _tokens(self) -> list[TokenView]:
        return [convert(each, TokenView) for each in self._http.get("/v1/tokens")["tokens"]]

    def _audit(self, repair: bool, progress: Callable[[int, int], None] | None) -> list[Finding]:
        found = self._post("/v1/audit", {"repair": repair})
        return [convert(each, Finding) for each in found["findings"]]

    def _risks(self) -> list[Finding]:
        found = self._http.get("/readyz")
        if "warnings" not in found:
            raise NotPermitted("this is not for a token that is confined to labels")
        return convert(found["warnings"], list[Finding])

    def _prune_events(self, through: int) -> int:
        pruned: int = self._post("/v1/events/prune", {"through": through})["pruned"]
        return pruned


def connect(
    url: str, token: str | None = None, *, timeout: float = TIMEOUT, ca_file: str | None = None
) -> RemoteIpam:
    """Open the address space of a service.

    :param url: such as ``http://127.0.0.1:8080``; with ``https`` its certificate is verified.
    :param token: the text of a token; None for a service without tokens.
    :param timeout: seconds that the service may leave a request without an answer.
    :param ca_file: PEM file of the authorities to trust; None for those of the system.
    :raises FixInput: the URL or the token is not valid.
    """
    return RemoteIpam(Transport(url, token, timeout, ca_file=ca_file))


def _intervals(intervals: Iterable[tuple[Family, int, int]]) -> list[str]:
    return [format_interval(*each) for each in intervals]


def _place(scope: str, family: Family, number: int) -> str:
    """The path of an allocation."""
    return f"/v1/allocations/{segment(scope)}/{segment(format_address(family, number))}"


def _text(within: Prefix) -> str:
    """A prefix; one address without its length."""
    alone = within.length == WIDTH[within.family]
    return format_address(within.family, within.base) if alone else str(within)


def _changes(found: Mapping[str, Any]) -> Changes:
    return Changes(
        convert(found["changes"], tuple[Change, ...]),
        effects=convert(found["effects"], tuple[Effect, ...]),
        more_effects=found["more_effects"],
        source=found["source"],
    )


def _fields(record: Any) -> dict[str, Any]:
    """The fields of a record by name."""
    return {each.name: getattr(record, each.name) for each in fields(record)}


def _plain(labels: Labels) -> dict[str, list[str]]:
    return {name: sorted(values) for name, values in labels.items()}


def _pairs(labels: Labels) -> list[str]:
    return [f"{name}={value}" for name, values in _plain(labels).items() for value in values]
