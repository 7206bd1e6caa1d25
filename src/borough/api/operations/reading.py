"""Reading: blocks, usage, routes, events, audit."""

from __future__ import annotations

from borough.api import schema as s
from borough.api.operation import operation
from borough.api.paging import page_of
from borough.domain.declared.tokens import Permission
from borough.domain.net.prefixes import parse_prefix
from borough.engine.face import Face
from borough.engine.search import SearchResult
from borough.engine.space_map import SpaceMap
from borough.engine.summaries import Audited, GroupUsage
from borough.engine.views import BlockView


@operation("GET", "/v1/blocks", permission=Permission.READ)
def blocks(ipam: Face, query: s.BlockQuery) -> s.BlockPage:
    """Blocks with their holders, free addresses and borrowed addresses."""
    found = ipam.blocks(host=query.host, subnet=query.subnet)
    # By name of the subnet: its age is not in the key of a page.
    found.sort(key=lambda each: each.subnet)

    def place(each: BlockView) -> list[str | int]:
        prefix = parse_prefix(each.prefix)
        return [each.subnet, prefix.base]

    return s.BlockPage(*page_of(found, place, query))


@operation("GET", "/v1/map", permission=Permission.READ)
def space_map(ipam: Face, query: s.MapQuery) -> SpaceMap:
    """All blocks of a scope in columns, as the map of the page needs them."""
    return ipam.space_map(scope=query.scope, subnets=query.subnet or None)


@operation("GET", "/v1/search", permission=Permission.READ)
def search(ipam: Face, query: s.SearchFilter) -> SearchResult:
    """Subnets, hosts and addresses of all scopes by any part of what is known about them, page by page."""
    return ipam.search(query.text, after=query.after, limit=query.limit)


@operation("GET", "/v1/usage", permission=Permission.READ)
def usage(ipam: Face, query: s.UsageQuery) -> GroupUsage:
    """Usage of subnets."""
    found = ipam.usage(labels=s.gather(query.label), host=query.host, scope=query.scope)
    return GroupUsage.of(found)


@operation("GET", "/v1/routes", permission=Permission.READ)
def routes(ipam: Face, query: s.RouteQuery) -> s.Routes:
    """The fewest prefixes that each host, or one host, must advertise for its addresses and claims."""
    return s.Routes(ipam.routes(query.host, query.form, scope=query.scope))


@operation("GET", "/v1/events", permission=Permission.READ)
def events(ipam: Face, query: s.EventQuery) -> s.EventPage:
    """The audit trail, oldest first, page by page, as far as it is complete.

    A reader that goes on after the last id of a page misses no event. When events after `after` have been
    pruned, the answer is 410, `events_pruned`.

    With `Accept: text/event-stream` the answer is a stream of events as they happen, each with its id.
    `Last-Event-ID` or `after` resumes a stream. Without either, the stream begins with the next event.
    """
    found = ipam.events(after=query.after, limit=query.limit + 1, labels=s.gather(query.label))
    shown = found[: query.limit]
    follow = shown[-1].id if len(found) > query.limit else None
    return s.EventPage(shown, follow)


@operation("GET", "/v1/history", permission=Permission.READ)
def history(ipam: Face, query: s.HistoryFilter) -> s.HistoryPage:
    """Events of an address, a prefix, an owner or a host, newest first, page by page."""
    asked = query.given()
    labels, limit = s.gather(asked.pop("label")), asked.pop("limit")
    asked |= {name: s.read_time(asked[name]) for name in ("since", "until") if asked.get(name)}
    found = ipam.history(**asked, labels=labels, limit=limit + 1)
    shown = found[:limit]
    return s.HistoryPage(shown, shown[-1].id if len(found) > limit else None)


@operation("POST", "/v1/audit", permission=Permission.ADMINISTER)
def audit(ipam: Face, body: s.Audit) -> Audited:
    """Find contradictions in the stored state, and repair them on request."""
    return Audited.of(ipam.audit(repair=body.repair))


@operation("GET", "/v1/events/newest", permission=Permission.READ)
def newest_event(ipam: Face) -> s.Newest:
    """The id of the newest event, for a reader that needs no older one."""
    return s.Newest(ipam.newest_event())
