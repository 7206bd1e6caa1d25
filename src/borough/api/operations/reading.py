"""How address space stands: blocks, usage, routes, events, contradictions."""

from __future__ import annotations

from borough.api import schema as s
from borough.api.operation import operation
from borough.api.paging import page_of
from borough.domain.declared.tokens import Permission
from borough.domain.net.prefixes import parse_prefix
from borough.engine.face import Face
from borough.engine.space_map import SpaceMap
from borough.engine.summaries import Audited, GroupUsage
from borough.engine.views import BlockView


@operation("GET", "/v1/blocks", need=Permission.READ)
def blocks(ipam: Face, query: s.BlockQuery) -> s.BlockPage:
    """Blocks: who has claimed them, how full they are, what others have borrowed of them."""
    found = ipam.blocks(host=query.host, subnet=query.subnet)
    # By name of the subnet and not by its age, so that a page can go on where another ended.
    found.sort(key=lambda each: each.subnet)

    def place(each: BlockView) -> list[str | int]:
        prefix = parse_prefix(each.prefix)
        return [each.subnet, prefix.base]

    return s.BlockPage(*page_of(found, place, query))


@operation("GET", "/v1/map", need=Permission.READ)
def space_map(ipam: Face, query: s.MapQuery) -> SpaceMap:
    """All blocks of a scope in columns: what a map is drawn from."""
    return ipam.space_map(scope=query.scope, subnets=query.subnet or None)


@operation("GET", "/v1/usage", need=Permission.READ)
def usage(ipam: Face, query: s.UsageQuery) -> GroupUsage:
    """How full the subnets of a group are, in the order in which the group uses them."""
    found = ipam.usage(labels=s.gather(query.label), host=query.host, scope=query.scope)
    return GroupUsage.of(found)


@operation("GET", "/v1/routes", need=Permission.READ)
def routes(ipam: Face, query: s.RouteQuery) -> s.Routes:
    """The fewest prefixes that each host (or one) must advertise for exactly what it has."""
    return s.Routes(ipam.routes(query.host, query.form, scope=query.scope))


@operation("GET", "/v1/events", need=Permission.READ)
def events(ipam: Face, query: s.EventQuery) -> s.EventPage:
    """The audit trail, oldest first, page by page, as far as it is complete.

    Whoever goes on after the last id of a page misses no event. Where events after `after` have been pruned,
    the answer is 410, `events_pruned`.

    Asked for `text/event-stream`, events as they happen: each with its id, so that `Last-Event-ID` or
    `after` goes on where a stream was cut off. Without either, from now on.
    """
    found = ipam.events(after=query.after, limit=query.limit + 1, labels=s.gather(query.label))
    shown = found[: query.limit]
    follow = shown[-1].id if len(found) > query.limit else None
    return s.EventPage(shown, follow)


@operation("POST", "/v1/audit", need=Permission.ADMINISTER)
def audit(ipam: Face, body: s.Audit) -> Audited:
    """Find, and mend, where the stored state contradicts itself."""
    return Audited.of(ipam.audit(repair=body.repair))


@operation("GET", "/v1/events/newest", need=Permission.READ)
def newest_event(ipam: Face) -> s.Newest:
    """The id of the newest event: where to go on after, to hear of nothing older."""
    return s.Newest(ipam.newest_event())
