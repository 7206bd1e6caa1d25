"""Declared objects: subnets, cohorts, pools and hosts.

Nothing here reads a clock or a database. Times are whole microseconds since the epoch (UTC).
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from operator import itemgetter
from typing import Any

from borough.domain.declared.dimensions import Labels, Settings
from borough.domain.net.addresses import WIDTH, Family
from borough.domain.net.prefixes import Prefix, merge_intervals, span, subtract

#: Closed interval of addresses.
Interval = tuple[int, int]


NO_LABELS: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Subnet:
    """A CIDR in a scope.

    :ivar id: the store's key; 0 before it is stored.
    :ivar gateway: never allocated by *any* or *next*.
    :ivar ranges: allocation ranges, closed; None means all usable addresses, an empty tuple none.
    :ivar weight: among equally good subnets the heavier one is used first.
    :ivar cooldown: seconds for which a released address rests.
    :ivar source: the topology that declared it; empty when it was added by itself.
    :ivar claiming: settings that override those of the claiming dimension.
    :ivar excluded: addresses of the ranges that are allocated by name only.
    :ivar closed: whether it takes no new addresses and no new claims.
    :ivar version: counts the changes of the stored subnet; not part of the declaration.
    """

    id: int
    name: str
    scope: str
    prefix: Prefix
    gateway: int | None = None
    ranges: tuple[Interval, ...] | None = None
    labels: Labels = field(default_factory=dict)
    weight: int = 0
    project: str = ""
    pool: str = ""
    cooldown: int = 0
    attributes: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    claiming: Settings = field(default_factory=dict)
    excluded: tuple[Interval, ...] = ()
    closed: bool = False
    version: int = field(default=0, compare=False)

    @property
    def family(self) -> Family:
        """4 or 6."""
        return self.prefix.family

    @cached_property
    def never(self) -> frozenset[int]:
        """Addresses that are never allocated.

        Network and broadcast of IPv4 up to /30 and the IPv6 subnet-router anycast address
        (RFC 4291, 2.6.1); /31 (RFC 3021), /32, /127 (RFC 6164) and /128 are usable in full.
        """
        prefix = self.prefix
        if prefix.length >= WIDTH[prefix.family] - 1:
            return frozenset()
        if prefix.family == 4:
            return frozenset((prefix.base, prefix.last))
        return frozenset((prefix.base,))

    @cached_property
    def usable(self) -> tuple[Interval, ...]:
        """Intervals for *any* and *next*: the ranges less exclusions, gateway and :attr:`never`."""
        return tuple(subtract(self.routable, [(address, address) for address in self.never]))

    @cached_property
    def routable(self) -> tuple[Interval, ...]:
        """Intervals in which a claim leads to its claimant: the ranges less exclusions and gateway.

        :attr:`never` stays in: these addresses are not allocated, and without them the claim of a whole
        subnet would need a dozen prefixes instead of one.
        """
        gateway = () if self.gateway is None else ((self.gateway, self.gateway),)
        whole = ((self.prefix.base, self.prefix.last),)
        ranges = whole if self.ranges is None else self.ranges
        return tuple(subtract(merge_intervals(ranges), [*self.excluded, *gateway]))

    def routable_in(self, region: Prefix) -> list[Prefix]:
        """The fewest prefixes that cover exactly the routable part of a claimed region, ascending."""
        return [
            piece
            for first, last in _within(self.routable, region.base, region.last)
            for piece in span(self.family, first, last)
        ]

    @cached_property
    def capacity(self) -> int:
        """Number of addresses in :attr:`usable`."""
        return sum(last - first + 1 for first, last in self.usable)

    def usable_in(self, first: int, last: int) -> list[Interval]:
        """The usable intervals between two addresses, cut to them."""
        return _within(self.usable, first, last)

    def is_usable(self, address: int) -> bool:
        """True when *any* and *next* may allocate the address."""
        return bool(self.usable_in(address, address))


def _within(intervals: Sequence[Interval], first: int, last: int) -> list[Interval]:
    """The parts of ascending, disjoint intervals between two addresses."""
    at = max(bisect_right(intervals, first, key=itemgetter(0)) - 1, 0)
    found = []
    while at < len(intervals) and intervals[at][0] <= last:
        if intervals[at][1] >= first:
            found.append((max(intervals[at][0], first), min(intervals[at][1], last)))
        at += 1
    return found


@dataclass(frozen=True, slots=True)
class Cohort:
    """Subnets of equal scope, family, labels, weight, claiming and closure: no request distinguishes them.

    :ivar closed: whether they take no new addresses and no new claims.
    """

    id: int
    scope: str
    family: Family
    labels: Labels
    weight: int
    claiming: Settings = field(default_factory=dict)
    closed: bool = False

    @property
    def key(self) -> str:
        """Canonical text of these fields; two cohorts with one key are a fault."""
        return cohort_key(self)


def cohort_key(of: Cohort | Subnet) -> str:
    """The key of a cohort, or of the cohort of a subnet; see :attr:`Cohort.key`."""
    plain = {name: sorted(of.labels[name]) for name in sorted(of.labels)}
    parts: list[Any] = [of.scope, of.family, of.weight, plain]
    if of.claiming or of.closed:
        parts.append(dict(sorted(of.claiming.items())))
    if of.closed:
        parts.append(of.closed)
    return json.dumps(parts, separators=(",", ":"), ensure_ascii=True)


@dataclass(frozen=True, slots=True)
class Pool:
    """Prefixes of one scope and family from which subnets are carved.

    :ivar quota: most that one project may hold, in /32 (IPv4) or /64 (IPv6) units; None: no limit.
    """

    id: int
    name: str
    scope: str
    family: Family
    prefixes: tuple[Prefix, ...]
    minimum_length: int
    maximum_length: int
    default_length: int
    quota: int | None = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class Host:
    """A machine that addresses are reached through, and the labels that a request for it implies.

    :ivar claiming: settings that override those of the claiming dimension.
    """

    id: int
    name: str
    labels: Labels
    source: str = ""
    claiming: Settings = field(default_factory=dict)


def families_of(subnets: Iterable[Subnet]) -> tuple[Family, ...]:
    """The families present, IPv4 first."""
    present = {subnet.family for subnet in subnets}
    both: tuple[Family, Family] = (4, 6)
    return tuple(family for family in both if family in present)
