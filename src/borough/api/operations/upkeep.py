"""Upkeep: hosts, reassignment, reclaim, defragmentation, pruning."""

from __future__ import annotations

from borough.api import schema as s
from borough.api.operation import operation
from borough.domain.declared.tokens import Permission
from borough.engine.face import Face
from borough.engine.upkeep.defragment import Defragmentation
from borough.engine.upkeep.hosts import Renamed, Vacated
from borough.engine.upkeep.reclaim import Reclaimed
from borough.engine.views import Allocation


@operation("POST", "/v1/hosts/{host:path}/drain", permission=Permission.ADMINISTER)
def drain(ipam: Face, path: s.HostName) -> Vacated:
    """End all claims of a host that is about to be emptied. Its addresses stay allocated."""
    return ipam.drain(path.host)


@operation("POST", "/v1/hosts/{host:path}/rename", permission=Permission.ADMINISTER)
def rename_host(ipam: Face, path: s.HostName, body: s.NewName) -> Renamed:
    """Rename a host with its claims, its addresses and its declaration, in one transaction."""
    return ipam.rename_host(path.host, body.name)


@operation("DELETE", "/v1/hosts/{host:path}", permission=Permission.ADMINISTER)
def remove_host(ipam: Face, path: s.HostName, query: s.Removal) -> Vacated:
    """Remove a host: its claims, its declaration, and on request its addresses."""
    return ipam.remove_host(path.host, release=query.release)


@operation("POST", "/v1/allocations/{scope}/{address}/reassign", permission=Permission.ADMINISTER)
def reassign(ipam: Face, path: s.Place, body: s.Reassignment, if_match: int | None) -> Allocation:
    """Reassign an address to another host, as a live migration does; its owner and sequence stay.

    The sequence may also be in `If-Match`.
    """
    given = body.given()
    if body.sequence is None:
        given["sequence"] = if_match
    return ipam.reassign(path.address, scope=path.scope, **given)


@operation("POST", "/v1/reclaim", permission=Permission.ADMINISTER)
def reclaim(ipam: Face) -> Reclaimed:
    """Return idle claims to the pool, as the service does by itself every few minutes."""
    return ipam.reclaim()


@operation("GET", "/v1/defragment", permission=Permission.ADMINISTER)
def defragment(ipam: Face, query: s.DefragmentQuery) -> Defragmentation:
    """Propose addresses to renumber to save routes; none is renumbered."""
    return ipam.defragment(**query.given())


@operation("POST", "/v1/events/prune", permission=Permission.ADMINISTER)
def prune_events(ipam: Face, body: s.Prune) -> s.Pruned:
    """Remove the oldest events up to an id, at most 5000; repeat until none is removed.

    The newest event stays. An event records the removal.
    """
    return s.Pruned(ipam.prune_events(body.through))
