"""Addresses: allocate, explain, release, look up."""

from __future__ import annotations

from borough.api import schema as s
from borough.api.access import View
from borough.api.operation import operation
from borough.domain.explain import Explanation
from borough.domain.token import Need
from borough.engine.views import Allocation, Answer, Released


@operation("POST", "/v1/allocations", need=Need.ALLOCATE, status=201)
def allocate(ipam: View, body: s.AllocationRequest, key: str | None) -> Answer:
    """Give addresses from a group, all that is asked for or none.

    With an `Idempotency-Key`, the same request gets the same answer again.
    """
    return ipam.allocate(**body.asked(), key=key)


@operation("POST", "/v1/explain", need=Need.READ)
def explain(ipam: View, body: s.Selector) -> Explanation:
    """Tell what an allocation would give now, and why, without giving it."""
    return ipam.explain(**body.asked())


@operation("GET", "/v1/allocations", need=Need.READ)
def allocations(ipam: View, query: s.AllocationQuery) -> s.AllocationPage:
    """Allocations by sequence number, cooling ones included, page by page."""
    found = ipam.allocations(
        scope=query.scope,
        owner=query.owner,
        host=query.host,
        subnet=query.subnet,
        prefix=query.prefix,
        owner_prefix=query.owner_prefix,
        after=query.after,
        limit=query.limit + 1,
    )
    shown = found[: query.limit]
    follow = shown[-1].sequence if len(found) > query.limit else None
    return s.AllocationPage(shown, follow)


@operation("GET", "/v1/allocations/{scope}/{address}", need=Need.READ)
def show(ipam: View, path: s.Place) -> Allocation:
    """Who holds an address."""
    return ipam.show(path.address, scope=path.scope)


@operation("DELETE", "/v1/allocations/{scope}/{address}", need=Need.ALLOCATE)
def release_address(
    ipam: View, path: s.Place, query: s.Condition, if_match: int | None
) -> Released:
    """Take an address back, if its present holder is the one that the request names.

    The sequence may also stand in `If-Match`. A request that names nothing takes the address from
    whoever holds it.
    """
    return ipam.release(
        path.address,
        owner=query.owner,
        host=query.host,
        sequence=if_match if query.sequence is None else query.sequence,
        scope=path.scope,
    )


@operation("DELETE", "/v1/allocations", need=Need.ALLOCATE)
def release_all(ipam: View, query: s.Holder) -> Released:
    """Take back all addresses of an owner, or all on a host.

    By host alone, the blocks that the host has claimed are given up too.
    """
    return ipam.release(owner=query.owner, host=query.host, scope=query.scope)


@operation("POST", "/v1/releases", need=Need.ALLOCATE)
def release(ipam: View, body: s.Release) -> Released:
    """Take back the addresses named, or all of an owner, or all on a host: all or nothing."""
    return ipam.release(
        body.addresses,
        owner=body.owner,
        host=body.host,
        sequence=body.sequence,
        scope=body.scope,
    )
