"""Frozen records that every layer speaks: subnets, requests, allocations, and the catalogue.

Nothing here reads a clock or a database. Times are whole microseconds since the epoch (UTC).
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

from borough.domain.address import WIDTH, Family, format_address
from borough.domain.dimension import HOST, Dimension, Labels, Settings
from borough.domain.prefix import Prefix, merge_intervals, subtract

#: Closed interval of addresses.
Interval = tuple[int, int]

NO_LABELS: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Subnet:
    """A CIDR in a scope.

    :ivar id: the store's key; 0 before it is stored.
    :ivar gateway: never given by *any* or *next*.
    :ivar ranges: allocation ranges, closed; empty means all usable addresses.
    :ivar weight: among equally good subnets the heavier one is used first.
    :ivar cooldown: seconds for which a released address rests.
    :ivar source: the topology that declared it; empty when it was added by itself.
    :ivar claiming: what is claimed otherwise here than the claiming dimension says.
    :ivar version: counts the changes of the stored subnet; no part of what is declared.
    """

    id: int
    name: str
    scope: str
    prefix: Prefix
    gateway: int | None = None
    ranges: tuple[Interval, ...] = ()
    labels: Labels = field(default_factory=dict)
    weight: int = 0
    project: str = ""
    pool: str = ""
    cooldown: int = 0
    attributes: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    claiming: Settings = field(default_factory=dict)
    version: int = field(default=0, compare=False)

    @property
    def family(self) -> Family:
        """4 or 6."""
        return self.prefix.family

    @cached_property
    def never(self) -> frozenset[int]:
        """Addresses that nobody can hold.

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
        """What *any* and *next* may give: the ranges less the gateway and :attr:`never`."""
        holes = [(address, address) for address in self.never]
        if self.gateway is not None:
            holes.append((self.gateway, self.gateway))
        ranges = self.ranges or ((self.prefix.base, self.prefix.last),)
        return tuple(subtract(merge_intervals(ranges), holes))

    @cached_property
    def capacity(self) -> int:
        """Number of addresses in :attr:`usable`."""
        return sum(last - first + 1 for first, last in self.usable)

    @cached_property
    def _starts(self) -> tuple[int, ...]:
        return tuple(first for first, _ in self.usable)

    def usable_in(self, first: int, last: int) -> list[Interval]:
        """The usable intervals between two addresses, cut to them."""
        at = max(bisect_right(self._starts, first) - 1, 0)
        found = []
        for low, high in self.usable[at:]:
            if low > last:
                break
            if high >= first:
                found.append((max(low, first), min(high, last)))
        return found

    def is_usable(self, address: int) -> bool:
        """Whether *any* and *next* may give the address."""
        return bool(self.usable_in(address, address))


@dataclass(frozen=True, slots=True)
class Cohort:
    """Subnets that no request can tell apart: same scope, family, labels, weight and claiming."""

    id: int
    scope: str
    family: Family
    labels: Labels
    weight: int
    claiming: Settings = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Canonical text of what makes the cohort; two cohorts with one key are a fault."""
        return cohort_key(self)


def cohort_key(of: Cohort | Subnet) -> str:
    """See :attr:`Cohort.key`; of a subnet, the key of the cohort that it belongs to."""
    plain = {name: sorted(of.labels[name]) for name in sorted(of.labels)}
    parts: list[Any] = [of.scope, of.family, of.weight, plain]
    if of.claiming:
        parts.append(dict(sorted(of.claiming.items())))
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
    """A place where addresses live, and the labels that naming it implies.

    :ivar claiming: what it claims otherwise than the claiming dimension says.
    """

    id: int
    name: str
    labels: Labels
    source: str = ""
    claiming: Settings = field(default_factory=dict)


@dataclass(frozen=True)
class Catalogue:
    """All that an operator declares, at one version: what a selector is resolved against.

    :ivar dimensions: in rank order.
    :ivar cohort_of: cohort id by subnet id.
    """

    version: int
    dimensions: tuple[Dimension, ...] = ()
    scopes: Mapping[str, int] = field(default_factory=dict)
    subnets: Mapping[int, Subnet] = field(default_factory=dict)
    cohorts: Mapping[int, Cohort] = field(default_factory=dict)
    cohort_of: Mapping[int, int] = field(default_factory=dict)
    pools: Mapping[str, Pool] = field(default_factory=dict)
    hosts: Mapping[str, Host] = field(default_factory=dict)
    scope_sources: Mapping[str, str] = field(default_factory=dict)
    dimension_sources: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def by_name(self) -> Mapping[str, Subnet]:
        """Subnets by name."""
        return {subnet.name: subnet for subnet in self.subnets.values()}

    @cached_property
    def by_dimension(self) -> Mapping[str, Dimension]:
        """Dimensions by name."""
        return {dimension.name: dimension for dimension in self.dimensions}

    @cached_property
    def members(self) -> Mapping[int, tuple[Subnet, ...]]:
        """Subnets by cohort id, ascending by address."""
        grouped: dict[int, list[Subnet]] = {cohort: [] for cohort in self.cohorts}
        for subnet in sorted(self.subnets.values(), key=lambda subnet: subnet.prefix):
            grouped[self.cohort_of[subnet.id]].append(subnet)
        return {cohort: tuple(subnets) for cohort, subnets in grouped.items()}

    @cached_property
    def _cohorts_by_label(self) -> Mapping[tuple[str, str], tuple[Cohort, ...]]:
        grouped: dict[tuple[str, str], list[Cohort]] = {}
        for cohort in self.cohorts.values():
            for name, values in cohort.labels.items():
                for value in values:
                    grouped.setdefault((name, value), []).append(cohort)
        return {key: tuple(cohorts) for key, cohorts in grouped.items()}

    def cohorts_with(self, dimension: str, value: str) -> tuple[Cohort, ...]:
        """The cohorts labelled with a value, of every scope."""
        return self._cohorts_by_label.get((dimension, value), ())

    def cohorts_in(self, scope: str) -> list[Cohort]:
        """The cohorts of a scope."""
        return [cohort for cohort in self.cohorts.values() if cohort.scope == scope]

    @cached_property
    def cools(self) -> bool:
        """Whether any subnet lets released addresses rest."""
        return any(subnet.cooldown for subnet in self.subnets.values())

    @cached_property
    def _ordered(self) -> Mapping[tuple[str, int], tuple[list[int], list[Subnet]]]:
        grouped: dict[tuple[str, int], list[Subnet]] = {}
        for subnet in sorted(self.subnets.values(), key=lambda subnet: subnet.prefix):
            grouped.setdefault((subnet.scope, subnet.family), []).append(subnet)
        return {
            key: ([subnet.prefix.base for subnet in subnets], subnets)
            for key, subnets in grouped.items()
        }

    def subnet_at(self, scope: str, family: int, address: int) -> Subnet | None:
        """The one subnet of a scope that an address lies in (subnets of a scope are disjoint)."""
        bases, subnets = self._ordered.get((scope, family), ([], []))
        at = bisect_right(bases, address) - 1
        return subnets[at] if at >= 0 and subnets[at].prefix.holds(address) else None

    def overlapping(self, scope: str, prefix: Prefix) -> list[Subnet]:
        """The subnets of a scope that share an address with a prefix."""
        bases, subnets = self._ordered.get((scope, prefix.family), ([], []))
        first = max(bisect_right(bases, prefix.base) - 1, 0)
        last = bisect_right(bases, prefix.last)
        return [subnet for subnet in subnets[first:last] if subnet.prefix.overlaps(prefix)]


class Kind(StrEnum):
    """Which address of the group is wanted (rule 6)."""

    ANY = "any"
    NEXT = "next"
    SPECIFIC = "specific"
    EUI64 = "eui64"
    GATEWAY = "gateway"


@dataclass(frozen=True, slots=True)
class Request:
    """One request for addresses, parsed and checked.

    :ivar labels: values wanted by dimension, the host dimension included when a host is named and claims.
    :ivar tiers: instead of labels, subnet names outright; equals share a tier (rule 2).
    :ivar families: families wanted, one address (or ``count``) of each; empty: whichever the group
        has, IPv4 first.
    :ivar count: addresses per family.
    :ivar address: for :attr:`Kind.SPECIFIC`, the address.
    :ivar mac: for :attr:`Kind.EUI64`, the MAC address.
    :ivar key: idempotency key, empty for none.
    """

    scope: str = "default"
    labels: Labels = field(default_factory=dict)
    tiers: tuple[tuple[str, ...], ...] | None = None
    host: str = ""
    kind: Kind = Kind.ANY
    families: tuple[Family, ...] = ()
    count: int = 1
    address: int | None = None
    mac: int | None = None
    owner: str = ""
    key: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def claims(self) -> bool:
        """Whether its host, if it has one, claims space for it."""
        return not self.host or HOST in self.labels

    def fingerprint(self) -> str:
        """Text that two requests share when they ask for the same (rule 7); the key is not in it."""
        return json.dumps(
            [
                self.scope,
                {name: sorted(values) for name, values in sorted(self.labels.items())},
                self.tiers,
                self.host,
                self.kind,
                self.families,
                self.count,
                None if self.address is None else str(self.address),
                None if self.mac is None else str(self.mac),
                self.owner,
                self.attributes,
            ],
            sort_keys=True,
            separators=(",", ":"),
        )


class State(StrEnum):
    """The life of an allocation."""

    ALLOCATED = "allocated"
    COOLING = "cooling"


@dataclass(frozen=True, slots=True)
class Allocation:
    """One address held by an owner.

    :ivar sequence: never repeats for the address (rule 8).
    :ivar at: when it was allocated, in microseconds.
    :ivar until: when a cooling address is free again, in microseconds; None while allocated.
    """

    scope: str
    family: Family
    address: int
    subnet_id: int
    owner: str = ""
    host: str = ""
    sequence: int = 0
    state: State = State.ALLOCATED
    attributes: Mapping[str, Any] = field(default_factory=dict)
    at: int = 0
    until: int | None = None

    @property
    def text(self) -> str:
        """The address in text."""
        return format_address(self.family, self.address)


def families_of(subnets: Iterable[Subnet]) -> tuple[Family, ...]:
    """The families present, IPv4 first."""
    present = {subnet.family for subnet in subnets}
    both: tuple[Family, Family] = (4, 6)
    return tuple(family for family in both if family in present)
