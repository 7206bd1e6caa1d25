"""What must hold after a topology change, whoever asked for it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from borough.domain.declared.catalogue import Catalogue
from borough.domain.declared.dimensions import Dimension
from borough.domain.declared.lookup import did_you_mean
from borough.domain.declared.records import Host, Pool, Subnet
from borough.domain.net.prefixes import Prefix
from borough.errors import InUse, Overlap, UnknownDimension, UnknownObject

#: Users of an object that a refusal lists.
_LISTED: Final = 20


def _in_use(kind: str, name: str, users: Sequence[str]) -> InUse:
    more = ", …" if len(users) > 3 else ""
    return InUse(
        f"{kind} {name} is still used by {', '.join(users[:3])}{more}; remove these first",
        kind=kind,
        name=name,
        used_by=list(users[:_LISTED]),
        total=len(users),
    )


def check_scopes(known: set[str], removed: Sequence[str], objects: Sequence[Subnet | Pool]) -> None:
    """Every scope that is named exists.

    :raises InUse: a removed one is still named.
    :raises UnknownObject: one that was never there is named.
    """
    for scope in removed:
        users = [each.name for each in objects if each.scope == scope]
        if users:
            raise _in_use("scope", scope, users)
    for each in objects:
        if each.scope not in known:
            raise UnknownObject(
                f"there is no scope {each.scope!r}, which {each.name} names"
                + did_you_mean(each.scope, known),
                kind="scope",
                name=each.scope,
                by=each.name,
            )


def check_labels(
    catalogue: Catalogue, dimensions: Sequence[Dimension], objects: Sequence[Subnet | Host]
) -> None:
    """Every label is in a dimension that exists.

    :raises InUse: a removed dimension still has labels.
    :raises UnknownDimension: a label is in one that was never there.
    """
    known = {dimension.name for dimension in dimensions}
    for gone in catalogue.by_dimension:
        users = [each.name for each in objects if gone in each.labels] if gone not in known else []
        if users:
            raise _in_use("dimension", gone, users)
    for each in objects:
        for name in each.labels:
            if name not in known:
                raise UnknownDimension(
                    f"there is no dimension {name!r}, which {each.name} is labelled in"
                    + did_you_mean(name, known),
                    dimension=name,
                    known=sorted(known),
                    by=each.name,
                )


def check_overlaps(subnets: Sequence[Subnet], pools: Sequence[Pool]) -> None:
    """Subnets of one scope are disjoint, and so are pools.

    :raises Overlap: naming both.
    """
    _disjoint("subnet", [(each.scope, each.prefix, each.name) for each in subnets])
    _disjoint(
        "pool", [(each.scope, prefix, each.name) for each in pools for prefix in each.prefixes]
    )


def _disjoint(kind: str, placed: list[tuple[str, Prefix, str]]) -> None:
    # Sorted by address, a prefix that overlaps any other at all overlaps a neighbour.
    for (scope, first, name), (other, second, clash) in pairwise(sorted(placed)):
        if scope == other and first.overlaps(second):
            raise Overlap(
                f"{kind} {clash} ({second}) overlaps {kind} {name} ({first}) in scope {scope}",
                scope=scope,
                kind=kind,
                names=[name, clash],
                prefixes=[str(first), str(second)],
            )


def check_pools(touched: Sequence[Pool], after: Sequence[Pool], subnets: Sequence[Subnet]) -> None:
    """No carved subnet loses its pool.

    :param touched: pools that are removed, or as they are changed.
    :raises InUse: a pool goes, or its prefixes move off a subnet that was carved from it.
    """
    kept = {pool.name for pool in after}
    for pool in touched:
        left = [
            subnet.name
            for subnet in subnets
            if subnet.pool == pool.name
            and (
                pool.name not in kept
                or not any(prefix.covers(subnet.prefix) for prefix in pool.prefixes)
            )
        ]
        if left:
            raise _in_use("pool", pool.name, left)
