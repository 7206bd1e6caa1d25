"""The catalogue: the declared objects at one version, and their indexes."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

from borough.domain.declared.dimensions import Dimension
from borough.domain.declared.index import Index
from borough.domain.declared.records import Cohort, Host, Pool, Subnet
from borough.domain.net.prefixes import Prefix


@dataclass(frozen=True)
class Catalogue:
    """All declared objects at one version; selectors are resolved against it.

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
        """True when any subnet has a cool-down."""
        return self._indexes.cooling > 0

    def subnet_at(self, scope: str, family: int, address: int) -> Subnet | None:
        """The subnet of a scope that an address lies in; subnets of a scope are disjoint."""
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

        It copies each table, which costs little compared with making records of tens of thousands of rows.

        :param subnets: added and changed subnets by id, each with its cohort; None removes a subnet.
            A cohort is removed with its last subnet.
        :param others: other changed fields.
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
        # Fills the cached property, which would otherwise read every subnet.
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
    """Look-ups in a catalogue other than by id.

    :ivar members: by cohort id.
    :ivar labelled: by dimension and value.
    :ivar placed: by scope and family.
    :ivar cooling: number of subnets with a cool-down.
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
        """The indexes of another catalogue, in which the subnets ``ids`` differ."""
        gone = [id for id in ids if id in old.subnets]
        come = [id for id in ids if id in new.subnets]
        members = self.members.after(_by_cohort(old, gone), _by_cohort(new, come))
        # Subnets may exchange names and prefixes: all old entries are removed before new ones are added.
        by_name = dict(self.by_name)
        for id in gone:
            del by_name[old.subnets[id].name]
        by_name |= {new.subnets[id].name: new.subnets[id] for id in come}
        touched = {cohort for cohort, _ in (*_by_cohort(old, gone), *_by_cohort(new, come))}
        before = {id: old.cohorts[id] for id in touched if id in self.members}
        after = {id: new.cohorts[id] for id in touched if id in members}
        # A database may reuse an id for another cohort.
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
