"""Frozen records that every layer speaks: subnets, requests, allocations, and the catalogue.

Nothing here reads a clock or a database. Times are whole microseconds since the epoch (UTC).
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import Any, Self

from borough.domain.address import WIDTH, Family, format_address
from borough.domain.dimension import HOST, Dimension, Labels, Settings
from borough.domain.index import Index
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
    def _indexes(self) -> _Indexes:
        return _Indexes.of(self)

    @property
    def by_name(self) -> Mapping[str, Subnet]:
        """Subnets by name."""
        return self._indexes.by_name

    @cached_property
    def by_dimension(self) -> Mapping[str, Dimension]:
        """Dimensions by name."""
        return {dimension.name: dimension for dimension in self.dimensions}

    @property
    def members(self) -> Index[int, Subnet]:
        """Subnets by cohort id, ascending by address."""
        return self._indexes.members

    def cohorts_with(self, dimension: str, value: str) -> Sequence[Cohort]:
        """The cohorts labelled with a value, of every scope."""
        return self._indexes.labelled[dimension, value]

    def cohorts_in(self, scope: str) -> list[Cohort]:
        """The cohorts of a scope."""
        return [cohort for cohort in self.cohorts.values() if cohort.scope == scope]

    @property
    def cools(self) -> bool:
        """Whether any subnet lets released addresses rest."""
        return self._indexes.cooling > 0

    def subnet_at(self, scope: str, family: int, address: int) -> Subnet | None:
        """The one subnet of a scope that an address lies in (subnets of a scope are disjoint)."""
        subnets = self._indexes.placed[scope, family]
        at = bisect_right(subnets, address, key=_base) - 1
        return subnets[at] if at >= 0 and subnets[at].prefix.holds(address) else None

    def overlapping(self, scope: str, prefix: Prefix) -> list[Subnet]:
        """The subnets of a scope that share an address with a prefix."""
        subnets = self._indexes.placed[scope, prefix.family]
        first = max(bisect_right(subnets, prefix.base, key=_base) - 1, 0)
        last = bisect_right(subnets, prefix.last, key=_base)
        return [subnet for subnet in subnets[first:last] if subnet.prefix.overlaps(prefix)]

    def after(
        self,
        version: int,
        subnets: Mapping[int, tuple[Subnet, Cohort] | None],
        **others: Any,
    ) -> Catalogue:
        """The catalogue at another version, made from this one.

        Costs a copy of each table, which is little beside making the records of tens of thousands of rows.

        :param subnets: added and changed subnets by id, each with its cohort; None: the subnet is gone.
            A cohort goes with its last subnet.
        :param others: other fields that are not as before.
        """
        records, cohorts = dict(self.subnets), dict(self.cohorts)
        cohort_of = dict(self.cohort_of)
        for id, found in subnets.items():
            if found is None:
                records.pop(id, None)
                cohort_of.pop(id, None)
            else:
                records[id], cohort = found
                cohort_of[id] = cohort.id
                cohorts[cohort.id] = cohort
        made = replace(
            self,
            version=version,
            subnets=records,
            cohorts=cohorts,
            cohort_of=cohort_of,
            **others,
        )
        # In the place of a cached property that would look at every subnet.
        indexes = vars(made)["_indexes"] = self._indexes.after(self, made, subnets)
        for cohort_id in {self.cohort_of[id] for id in subnets if id in self.cohort_of}:
            if cohort_id not in indexes.members:
                del cohorts[cohort_id]
        return made


def _base(subnet: Subnet) -> int:
    return subnet.prefix.base


def _prefix(subnet: Subnet) -> Prefix:
    return subnet.prefix


def _id(cohort: Cohort) -> int:
    return cohort.id


@dataclass(frozen=True, slots=True)
class _Indexes:
    """Look-ups in a catalogue otherwise than by id.

    :ivar members: by cohort id.
    :ivar labelled: by dimension and value.
    :ivar placed: by scope and family.
    :ivar cooling: number of subnets that let released addresses rest.
    """

    by_name: Mapping[str, Subnet]
    members: Index[int, Subnet]
    labelled: Index[tuple[str, str], Cohort]
    placed: Index[tuple[str, int], Subnet]
    cooling: int

    @classmethod
    def of(cls, catalogue: Catalogue) -> Self:
        subnets = catalogue.subnets
        return cls(
            {subnet.name: subnet for subnet in subnets.values()},
            Index.of(_by_cohort(catalogue, subnets), _prefix),
            Index.of(_by_label(catalogue.cohorts.values()), _id),
            Index.of(_by_place(catalogue, subnets), _prefix),
            sum(subnet.cooldown > 0 for subnet in subnets.values()),
        )

    def after(self, old: Catalogue, new: Catalogue, ids: Iterable[int]) -> Self:
        """The indexes of another catalogue.

        :param ids: the subnets that are not as before.
        """
        gone = [id for id in ids if id in old.subnets]
        come = [id for id in ids if id in new.subnets]
        members = self.members.after(_by_cohort(old, gone), _by_cohort(new, come))
        # Subnets trade names and prefixes: whatever goes is taken out first.
        by_name = dict(self.by_name)
        for id in gone:
            del by_name[old.subnets[id].name]
        by_name |= {new.subnets[id].name: new.subnets[id] for id in come}
        touched = {cohort for cohort, _ in (*_by_cohort(old, gone), *_by_cohort(new, come))}
        before = {id: old.cohorts[id] for id in touched if id in self.members}
        after = {id: new.cohorts[id] for id in touched if id in members}
        # An id may stand for another cohort than before: a database may use it again.
        other = [id for id in touched if before.get(id) != after.get(id)]
        return type(self)(
            by_name,
            members,
            self.labelled.after(
                _by_label(before[id] for id in other if id in before),
                _by_label(after[id] for id in other if id in after),
            ),
            self.placed.after(_by_place(old, gone), _by_place(new, come)),
            self.cooling
            + sum(new.subnets[id].cooldown > 0 for id in come)
            - sum(old.subnets[id].cooldown > 0 for id in gone),
        )


def _by_cohort(catalogue: Catalogue, ids: Iterable[int]) -> Iterator[tuple[int, Subnet]]:
    cohort_of = catalogue.cohort_of
    return ((cohort_of[id], catalogue.subnets[id]) for id in ids if id in cohort_of)


def _by_label(cohorts: Iterable[Cohort]) -> Iterator[tuple[tuple[str, str], Cohort]]:
    return (
        ((name, value), cohort)
        for cohort in cohorts
        for name, values in cohort.labels.items()
        for value in values
    )


def _by_place(catalogue: Catalogue, ids: Iterable[int]) -> Iterator[tuple[tuple[str, int], Subnet]]:
    subnets = catalogue.subnets
    return (((subnets[id].scope, subnets[id].family), subnets[id]) for id in ids)


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
    :ivar explain: whether the answer carries its explanation.
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
    note: str = ""
    explain: bool = False

    @property
    def claims(self) -> bool:
        """Whether its host, if it has one, claims space for it."""
        return not self.host or HOST in self.labels

    def fingerprint(self) -> str:
        """Text that two requests share when they ask for the same (rule 7); the key is not in it."""
        asked = {name: getattr(self, name) for name in self.__slots__}
        del asked["key"], asked["explain"]
        return json.dumps(asked, default=sorted, sort_keys=True, separators=(",", ":"))


class State(StrEnum):
    """The life of an allocation."""

    ALLOCATED = "allocated"
    COOLING = "cooling"


@dataclass(frozen=True, slots=True)
class AllocationRow:
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
    note: str = ""
    at: int = 0
    until: int | None = None

    @classmethod
    def granted(cls, request: Request, subnet: Subnet, address: int, at: int) -> Self:
        """A new allocation for a request."""
        return cls(
            scope=subnet.scope,
            family=subnet.family,
            address=address,
            subnet_id=subnet.id,
            owner=request.owner,
            host=request.host,
            attributes=request.attributes,
            note=request.note,
            at=at,
        )

    @property
    def text(self) -> str:
        """The address in text."""
        return format_address(self.family, self.address)


def families_of(subnets: Iterable[Subnet]) -> tuple[Family, ...]:
    """The families present, IPv4 first."""
    present = {subnet.family for subnet in subnets}
    both: tuple[Family, Family] = (4, 6)
    return tuple(family for family in both if family in present)
