"""Conditions that hold after every topology change."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from borough.domain.declared.catalogue import Catalogue
from borough.domain.declared.dimensions import Dimension
from borough.domain.declared.lookup import did_you_mean
from borough.domain.declared.pools import check_carved, check_quota, quota_use
from borough.domain.declared.records import Host, Pool, Subnet
from borough.domain.net.prefixes import Prefix
from borough.errors import FixInput, InUse, Overlap, UnknownDimension, UnknownObject

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


def owned_by(kind: str, name: str, owner: str) -> InUse:
    """The refusal of an object that belongs to another topology."""
    return InUse(
        f"{kind} {name} belongs to topology {owner!r}; "
        "change it there, or give this one another name",
        kind=kind,
        name=name,
        topology=owner,
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


def check_pools(before: Catalogue, pools: Sequence[Pool], subnets: Sequence[Subnet]) -> None:
    """Carved subnets keep to their pools, from whichever side an edit comes.

    :param pools: all pools as they shall be; ``subnets`` likewise.
    :raises InUse: a pool goes, or is edited so that it could not have given a subnet that it gave.
    :raises FixInput: a subnet is edited to what its pool does not give.
    :raises QuotaExceeded: an edit takes a project beyond the quota of a pool.
    """
    known = {pool.name: pool for pool in pools}
    edited = {name for name, old in before.pools.items() if known.get(name) != old}
    users: dict[str, list[str]] = {}
    for subnet in subnets:
        pool = known.get(subnet.pool)
        old = before.subnets.get(subnet.id)
        is_edited = old is None or (old.scope, old.prefix) != (subnet.scope, subnet.prefix)
        if pool is None or (subnet.pool in edited and not is_edited):
            if subnet.pool in edited and not _fits(pool, subnet):
                users.setdefault(subnet.pool, []).append(subnet.name)
        elif is_edited:
            check_carved(pool, subnet)
    for name, left in users.items():
        raise _in_use("pool", name, left)
    for pool in pools:
        if pool.quota is not None:
            _check_quota(before, pool, subnets)


def _fits(pool: Pool | None, subnet: Subnet) -> bool:
    if pool is None:
        return False
    try:
        check_carved(pool, subnet)
    except FixInput:
        return False
    return True


def _check_quota(before: Catalogue, pool: Pool, subnets: Sequence[Subnet]) -> None:
    """An edit does not take a project beyond a quota; one that is beyond it already may use less."""
    old = before.pools.get(pool.name)
    used = quota_use(pool, before.subnets.values())
    for project, units in quota_use(pool, subnets).items():
        if old is None or old.quota != pool.quota or units > used.get(project, 0):
            check_quota(pool, project, units, 0)
