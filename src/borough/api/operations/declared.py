"""Declared objects: topologies, single subnets, and lists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from borough import __version__
from borough.api import schema as s
from borough.api.access import Identity
from borough.api.operation import operation
from borough.api.paging import by_place, by_prefix, page_of
from borough.api.problem import Malformed
from borough.domain.declared.tokens import Permission
from borough.domain.declared.topology import Changes
from borough.engine.face import Face
from borough.engine.summaries import Applied
from borough.engine.topology.document import load_topology, parse_topology_text
from borough.engine.views import show_labels


@operation(
    "PUT",
    "/v1/topology",
    permission=Permission.ADMINISTER,
    tags=True,
    is_large=True,
    takes_yaml=True,
)
def apply(
    ipam: Face, query: s.TopologyQuery, body: dict[str, Any] | str, if_match: int | None
) -> Applied:
    """Make the declared objects be as a topology says, all of it or nothing.

    The body is a topology file, in JSON or YAML. With `If-Match`, only when nothing has been declared
    otherwise since the entity tag was given.
    """
    if isinstance(body, str):
        wanted = parse_topology_text(body, filename="body", name=query.name)
    else:
        wanted = load_topology(body, name=query.name)
    changes = ipam.apply(wanted, dry_run=query.dry_run, version=if_match)
    return Applied.of(changes, dry_run=query.dry_run)


@operation("GET", "/v1/subnets", permission=Permission.READ, tags=True)
def subnets(ipam: Face, query: s.SubnetQuery) -> s.SubnetPage:
    """Subnets by scope and address."""
    found = ipam.subnets(labels=s.gather(query.label), scope=query.scope)
    return s.SubnetPage(*page_of(found, by_place, query))


@operation("POST", "/v1/subnets", permission=Permission.ADMINISTER, status=201)
def add_subnet(ipam: Face, body: s.NewSubnet, key: str | None) -> s.OneSubnet:
    """Add a subnet by its prefix, or carve it from a pool.

    With an `Idempotency-Key`, the same request gets the same subnet again.
    """
    if body.pool is not None:
        return s.OneSubnet(ipam.allocate_subnet(**body.given(), key=key))
    if body.cidr is None or body.prefix_length is not None:
        raise Malformed("name the subnet's cidr, or a pool and perhaps a prefix_length", status=422)
    return s.OneSubnet(ipam.add_subnet(**body.given(), key=key))


@operation("POST", "/v1/replacements", permission=Permission.ADMINISTER)
def replace_subnets(ipam: Face, body: s.Replace) -> Applied:
    """Put some subnets in the place of others, to split or merge them: all of it or nothing.

    Addresses follow to the subnet that contains them.
    """
    given = body.given() | {"new": [each.given() for each in body.new]}
    changes = ipam.replace_subnets(**given)
    return Applied.of(changes, dry_run=body.dry_run)


@operation("GET", "/v1/subnets/{name:path}", permission=Permission.READ, tags=True)
def subnet(ipam: Face, path: s.Named) -> s.OneSubnet:
    """One subnet."""
    return s.OneSubnet(ipam.subnet(path.name))


@operation("PATCH", "/v1/subnets/{name:path}", permission=Permission.ADMINISTER, tags=True)
def change_subnet(
    ipam: Face, path: s.Named, query: s.DryRun, body: s.SubnetFields, if_match: int | None
) -> Applied:
    """Change single fields of a subnet; the others stay.

    With `If-Match`, only when nothing has been declared otherwise since the entity tag was given.
    """
    return _changed(ipam.change_subnet, path.name, query, body, if_match)


@operation("DELETE", "/v1/subnets/{name:path}", permission=Permission.ADMINISTER)
def remove_subnet(ipam: Face, path: s.Named) -> s.OneSubnet:
    """Remove a subnet that nobody has an address of; one that was carved returns to its pool."""
    return s.OneSubnet(ipam.remove_subnet(path.name))


@operation("GET", "/v1/hosts", permission=Permission.READ, tags=True)
def hosts(ipam: Face, query: s.Paged) -> s.HostPage:
    """The declared hosts and the labels that they imply."""
    return s.HostPage(*page_of(ipam.hosts(), lambda host: [host.name], query))


@operation("PATCH", "/v1/hosts/{name:path}", permission=Permission.ADMINISTER, tags=True)
def change_host(
    ipam: Face, path: s.Named, query: s.DryRun, body: s.HostFields, if_match: int | None
) -> Applied:
    """Change labels and settings of claims of a declared host; the others stay.

    With `If-Match`, only when nothing has been declared otherwise since the entity tag was given.
    """
    return _changed(ipam.change_host, path.name, query, body, if_match)


@operation("GET", "/v1/undeclared-hosts", permission=Permission.READ)
def undeclared_hosts(ipam: Face, query: s.Paged) -> s.HostNamePage:
    """Hosts that hold an address or claim a block, and are not declared."""
    return s.HostNamePage(*page_of(ipam.undeclared_hosts(), lambda host: [host], query))


@operation("GET", "/v1/dimensions", permission=Permission.READ, tags=True)
def dimensions(ipam: Face) -> s.Dimensions:
    """The dimensions in order of importance."""
    return s.Dimensions(ipam.dimensions())


@operation("GET", "/v1/pools", permission=Permission.READ, tags=True)
def pools(ipam: Face) -> s.Pools:
    """Pools and how full they are."""
    return s.Pools(ipam.pools())


@operation("GET", "/v1/free-prefixes", permission=Permission.READ, tags=True)
def free_prefixes(ipam: Face, query: s.FreeQuery) -> s.FreePage:
    """The largest free prefixes of a pool, by address."""
    found = ipam.free_prefixes(query.pool, prefix_length=query.prefix_length)
    return s.FreePage(*page_of(found, by_prefix, query))


@operation("GET", "/v1/whoami", permission=Permission.READ)
def whoami(ipam: Face, caller: Identity) -> s.Caller:
    """The caller and its permission."""
    return s.Caller(caller.name, caller.permission, show_labels(caller.labels), __version__)


def _changed(
    change: Callable[..., Changes],
    name: str,
    query: s.DryRun,
    body: s.SubnetFields | s.HostFields,
    if_match: int | None,
) -> Applied:
    changes = change(name, dry_run=query.dry_run, version=if_match, **body.given())
    return Applied.of(changes, dry_run=query.dry_run)
