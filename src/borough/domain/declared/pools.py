"""Carving subnets from pools: bounds, quotas, and where the next prefix is cut.

A pool owns its prefixes, but any subnet of the scope, wherever it came from, is in the way.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from borough.domain.declared.catalogue import Catalogue
from borough.domain.declared.records import Pool, Subnet
from borough.domain.net.addresses import WIDTH, Family
from borough.domain.net.prefixes import Prefix, best_fit, free_prefixes, outermost
from borough.errors import FixInput, Overlap, PoolExhausted, QuotaExceeded

#: Prefix length of one unit of quota, by family.
QUOTA_UNIT: Final[dict[int, int]] = {4: 32, 6: 64}


@dataclass(frozen=True, slots=True)
class PoolUsage:
    """A pool and how full it is, in addresses.

    :ivar quota_used: units of /32 or /64 by project.
    """

    name: str
    size: int
    # Of the size, what a subnet of the scope covers, carved from the pool or not.
    used: int
    free: int
    largest_free_length: int | None
    # Those that were carved from the pool.
    subnets: int
    quota_used: dict[str, float]


def quota_units(family: Family, length: int) -> Fraction:
    """The share of a quota that a prefix of a length uses, exactly.

    A /32 is one unit of IPv4 and a /64 one unit of IPv6, so that an IPv6 /65 is half a unit
    (Neutron: ``_num_quota_units_in_prefixlen`` of ``neutron.ipam.subnet_alloc``).
    """
    return Fraction(2) ** (QUOTA_UNIT[family] - length)


def carve(
    catalogue: Catalogue,
    pool: Pool,
    *,
    prefix_length: int | None = None,
    cidr: Prefix | None = None,
    project: str = "",
) -> Prefix:
    """The prefix of the next subnet from a pool; nothing is reserved by asking.

    The smallest free prefix that is large enough is cut, so that the largest stay whole.

    :param prefix_length: the length wanted; the pool's default when no ``cidr`` is named either.
    :param cidr: the exact prefix wanted.
    :param project: whose quota it counts against; an empty name is a project like any other.
    :raises FixInput: when the length is out of the pool's bounds or contradicts ``cidr``, or when
        ``cidr`` lies in no prefix of the pool.
    :raises Overlap: when a subnet of the scope is in the way of ``cidr``.
    :raises QuotaExceeded: when the project would hold more than the pool's quota.
    :raises PoolExhausted: when no free prefix is large enough.
    """
    length = _length(pool, prefix_length, cidr)
    if cidr is not None:
        _check_place(catalogue, pool, cidr)
    used = quota_use(pool, catalogue.subnets.values()).get(project, Fraction(0))
    check_quota(pool, project, used, quota_units(pool.family, length))
    if cidr is not None:
        return cidr
    free = free_in(catalogue, pool)
    found = best_fit(free, length)
    if found is None:
        raise PoolExhausted(
            f"pool {pool.name} has no free /{length}",
            pool=pool.name,
            prefix_length=length,
            largest_free_length=_largest(free),
            **{"try": _advice(pool, free)},
        )
    return found


def _advice(pool: Pool, free: Iterable[Prefix]) -> list[str]:
    """Steps that help when a pool has no free prefix of a length."""
    largest = _largest(free)
    shorter = [] if largest is None else [max(largest, pool.minimum_length)]
    return [
        *(f"ask for a /{each}" for each in shorter if each <= pool.maximum_length),
        "add a prefix to the pool",
        "remove a subnet of the pool",
    ]


def pool_usage(catalogue: Catalogue, pool: Pool) -> PoolUsage:
    """The use of a pool, in total and by holder."""
    size = sum(prefix.size for prefix in outermost(pool.prefixes))
    open_space = free_in(catalogue, pool)
    free = sum(prefix.size for prefix in open_space)
    carved = [subnet for subnet in catalogue.subnets.values() if subnet.pool == pool.name]
    quota_used = quota_use(pool, carved)
    return PoolUsage(
        name=pool.name,
        size=size,
        used=size - free,
        free=free,
        largest_free_length=_largest(open_space),
        subnets=len(carved),
        quota_used={project: float(quota_used[project]) for project in sorted(quota_used)},
    )


def _length(pool: Pool, prefix_length: int | None, cidr: Prefix | None) -> int:
    """The length wanted, within the bounds of the pool."""
    if cidr is not None and prefix_length not in (None, cidr.length):
        raise FixInput(
            f"{cidr} is not a /{prefix_length}; name one of the two",
            cidr=str(cidr),
            prefix_length=prefix_length,
        )
    if cidr is not None and cidr.family != pool.family:
        raise FixInput(
            f"pool {pool.name} is IPv{pool.family}, {cidr} is not", pool=pool.name, cidr=str(cidr)
        )
    length = prefix_length if cidr is None else cidr.length
    if length is None:
        length = pool.default_length
    if not pool.minimum_length <= length <= pool.maximum_length:
        raise FixInput(
            f"a subnet of pool {pool.name} is a /{pool.minimum_length} to a "
            f"/{pool.maximum_length}, not a /{length}",
            pool=pool.name,
            prefix_length=length,
            minimum_length=pool.minimum_length,
            maximum_length=pool.maximum_length,
        )
    return length


def _check_place(catalogue: Catalogue, pool: Pool, cidr: Prefix) -> None:
    """That an exact prefix lies in the pool and nothing is in its way."""
    _check_inside(pool, cidr)
    for subnet in catalogue.overlapping(pool.scope, cidr):
        raise Overlap(
            f"{cidr} overlaps subnet {subnet.name} ({subnet.prefix})",
            cidr=str(cidr),
            subnet=subnet.name,
            prefix=str(subnet.prefix),
        )


def _check_inside(pool: Pool, cidr: Prefix) -> None:
    if not any(prefix.covers(cidr) for prefix in pool.prefixes):
        raise FixInput(
            f"{cidr} does not lie in one prefix of pool {pool.name}",
            pool=pool.name,
            cidr=str(cidr),
            prefixes=[str(prefix) for prefix in pool.prefixes],
        )


def check_carved(pool: Pool, subnet: Subnet) -> None:
    """Accept a subnet that a pool could have given, its quota aside.

    :raises FixInput: the subnet is of another scope, family or length, or lies outside the pool.
    """
    if subnet.scope != pool.scope:
        raise FixInput(
            f"subnet {subnet.name} was carved from pool {pool.name} of scope {pool.scope}, "
            f"and cannot be in scope {subnet.scope}",
            pool=pool.name,
            subnet=subnet.name,
        )
    _length(pool, None, subnet.prefix)
    _check_inside(pool, subnet.prefix)


def quota_use(pool: Pool, subnets: Iterable[Subnet]) -> dict[str, Fraction]:
    """The units of a pool that projects hold, by project."""
    addresses: defaultdict[str, int] = defaultdict(int)
    for subnet in subnets:
        if subnet.pool == pool.name:
            addresses[subnet.project] += subnet.prefix.size
    return {project: _units(pool.family, count) for project, count in addresses.items()}


def check_quota(pool: Pool, project: str, used: Fraction, asked: Fraction | int) -> None:
    """Accept what a project would hold of a pool.

    :param used: units that it holds, and ``asked``: units more.
    :raises QuotaExceeded: it is more than the quota of the pool.
    """
    if pool.quota is None or used + asked <= pool.quota:
        return
    more = f", and asks for {_plain(asked)} more" if asked else ""
    raise QuotaExceeded(
        f"project {project!r} uses {_plain(used)} of {pool.quota} in pool {pool.name}{more}",
        pool=pool.name,
        project=project,
        used=_plain(used),
        asked=_plain(asked),
        quota=pool.quota,
        **{
            "try": [
                "raise the quota of the pool",
                "remove a subnet of the project",
                "carve for another project",
            ]
        },
    )


def free_in(catalogue: Catalogue, pool: Pool) -> list[Prefix]:
    """The free prefixes of a pool, ascending; none spans two prefixes of the pool."""
    taken = [
        subnet.prefix
        for whole in outermost(pool.prefixes)
        for subnet in catalogue.overlapping(pool.scope, whole)
    ]
    return free_prefixes(pool.prefixes, taken)


def _largest(free: Iterable[Prefix]) -> int | None:
    return min((prefix.length for prefix in free), default=None)


def _units(family: Family, addresses: int) -> Fraction:
    """The units of quota that a number of addresses makes."""
    return Fraction(addresses, 1 << WIDTH[family] - QUOTA_UNIT[family])


def _plain(units: Fraction | int) -> int | float:
    """Units as JSON carries them."""
    return units.numerator if units.denominator == 1 else float(units)
