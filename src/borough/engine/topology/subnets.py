"""Use cases around one subnet: add, carve, remove."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from typing import Any, Self

from borough.domain.declared.catalogue import Catalogue
from borough.domain.declared.dimensions import Labels, Settings, make_labels
from borough.domain.declared.lookup import check_scope, did_you_mean
from borough.domain.declared.pools import carve
from borough.domain.declared.records import Subnet
from borough.domain.declared.topology import Change, Changes
from borough.domain.net.addresses import parse_address
from borough.domain.net.prefixes import Prefix, merge_intervals, parse_prefix
from borough.domain.policy.reshape import Reshaped
from borough.domain.space.keys import Binding
from borough.domain.text import check_text
from borough.engine.queries import find_pool, find_subnet
from borough.engine.request import LabelsIn, optional_text, parse_attributes
from borough.engine.topology.apply import SpaceChange, carry_out
from borough.engine.topology.settings import (
    WEIGHT_LIMIT,
    check_gateway,
    parse_boolean,
    parse_claiming,
    parse_cooldown,
    parse_range,
)
from borough.engine.topology.trail import event_of_subnet
from borough.engine.views import SubnetView, show_subnet
from borough.errors import FixInput, KeyReused, KeySpent, Overlap, UnknownDimension
from borough.store.port import Unit

#: Subnets that a refusal lists.
_LISTED = 20


@dataclass(frozen=True)
class Draft:
    """A subnet as a caller writes it, parsed, before its prefix is settled."""

    name: str = ""
    cidr: Prefix | None = None
    scope: str | None = None
    gateway: str | None = None
    ranges: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    closed: bool = False
    labels: Labels = field(default_factory=dict)
    weight: int = 0
    project: str = ""
    cooldown: int = 0
    attributes: Mapping[str, Any] = field(default_factory=dict)
    claiming: Settings = field(default_factory=dict)
    pool: str | None = None
    prefix_length: int | None = None
    key: str = ""

    @classmethod
    def parse(
        cls,
        *,
        cidr: str | None,
        pool: str | None = None,
        prefix_length: int | None = None,
        key: str | None = None,
        name: str | None = None,
        labels: LabelsIn | None = None,
        project: str = "",
        scope: str | None = None,
        gateway: str | None = None,
        ranges: Iterable[str] | None = None,
        exclude: Iterable[str] = (),
        closed: bool = False,
        weight: int = 0,
        cooldown: int | str = 0,
        attributes: Mapping[str, Any] | None = None,
        claims: Mapping[str, Any] | None = None,
    ) -> Self:
        """Check every setting on its own.

        :param cidr: its prefix; of a pool the exact one to carve, None for any.
        :param pool: the pool to carve it from; None for a subnet by itself.
        :param prefix_length: the length to carve; when left out, the pool's default.
        :param key: idempotency key: the same request with the same key gets the same subnet.
        :param name: its name; when left out, its prefix in text.
        :param project: whose quota it counts against.
        :param scope: that of the pool, or ``default``, when left out.
        :param ranges: ``first-last`` texts; when left out, all usable addresses; when empty, none.
        :param exclude: addresses that are not allocated unless they are named, in texts as of ``ranges``.
        :param cooldown: seconds, or text such as ``5m``.
        :param claims: how space is claimed here, where it differs from the dimension: see
            :class:`borough.domain.declared.dimensions.Claiming`.
        :raises FixInput: (or a subclass) for a setting that is not allowed.
        """
        if isinstance(weight, bool) or not isinstance(weight, int) or abs(weight) > WEIGHT_LIMIT:
            raise FixInput(f"a weight is a whole number from -{WEIGHT_LIMIT} to {WEIGHT_LIMIT}")
        return cls(
            name=optional_text("subnet name", name),
            cidr=None if cidr is None else parse_prefix(cidr),
            scope=None if scope is None else check_text("scope", scope),
            gateway=gateway,
            ranges=None if ranges is None else _texts(ranges),
            exclude=_texts(exclude),
            closed=parse_boolean(closed),
            labels=make_labels(labels or {}),
            weight=weight,
            project=optional_text("project", project),
            cooldown=parse_cooldown(cooldown),
            attributes=parse_attributes(attributes),
            claiming=parse_claiming(claims or {}),
            pool=pool,
            prefix_length=prefix_length,
            key=optional_text("idempotency key", key),
        )

    def binding(self) -> Binding | None:
        """The idempotency key and what it is bound to; None without a key."""
        if not self.key:
            return None
        asked = json.dumps(asdict(self), sort_keys=True, default=_plain)
        return Binding(self.key, hashlib.sha256(asked.encode()).hexdigest())

    def settle(
        self,
        catalogue: Catalogue,
        prefix: Prefix,
        scope: str,
        pool: str,
        replaced: Collection[str] = (),
    ) -> Subnet:
        """The subnet at a prefix.

        :param replaced: names that are taken, and may be used again.
        :raises FixInput: the gateway or a range does not fit the prefix, or the name is taken.
        :raises UnknownDimension: a label is in no known dimension.
        """
        for name in self.labels:
            if name not in catalogue.by_dimension:
                raise UnknownDimension(
                    f"there is no dimension {name!r}" + did_you_mean(name, catalogue.by_dimension),
                    dimension=name,
                    known=[dimension.name for dimension in catalogue.dimensions],
                )
        subnet = Subnet(
            id=0,
            name=self.name or _name_for(prefix, scope),
            scope=scope,
            prefix=prefix,
            ranges=None
            if self.ranges is None
            else tuple(sorted(parse_range(text, prefix) for text in self.ranges)),
            excluded=tuple(merge_intervals(parse_range(text, prefix) for text in self.exclude)),
            closed=self.closed,
            labels=self.labels,
            weight=self.weight,
            project=self.project,
            pool=pool,
            cooldown=self.cooldown,
            attributes=self.attributes,
            claiming=self.claiming,
        )
        if any(start <= end for (_, end), (start, _) in pairwise(subnet.ranges or ())):
            raise FixInput("the allocation ranges overlap")
        if subnet.name in catalogue.by_name and subnet.name not in replaced:
            raise FixInput(f"there is a subnet named {subnet.name!r} already", name=subnet.name)
        return replace(subnet, gateway=_gateway(self.gateway, subnet))


def _plain(value: object) -> object:
    return sorted(value) if isinstance(value, frozenset) else str(value)


def _texts(given: Iterable[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _name_for(prefix: Prefix, scope: str) -> str:
    return str(prefix) if scope == "default" else f"{scope}:{prefix}"


def _gateway(text: str | None, subnet: Subnet) -> int | None:
    if text is None:
        return None
    family, address = parse_address(text)
    return check_gateway(family, address, subnet.prefix)


def add_subnet(unit: Unit, draft: Draft, now: int) -> SubnetView:
    """See :meth:`borough.engine.face.Face.add_subnet` and ``allocate_subnet``."""
    catalogue = unit.catalogue
    bind = draft.binding()
    if (replayed := _replay(unit, bind)) is not None:
        return replayed
    return _store(unit, place_draft(catalogue, draft), now, bind)


def place_draft(catalogue: Catalogue, draft: Draft, replaced: Collection[str] = ()) -> Subnet:
    """The subnet of a draft: carved from its pool, or at its prefix.

    :param replaced: names of subnets in whose place it comes.
    """
    if draft.pool is not None:
        return _carve(catalogue, draft, draft.pool, replaced)
    scope = draft.scope or "default"
    check_scope(catalogue, scope)
    if draft.cidr is None:
        raise FixInput("a subnet outside any pool needs its prefix")
    overlapping = catalogue.overlapping(scope, draft.cidr)
    clash = [each for each in overlapping if each.name not in replaced]
    if clash:
        raise Overlap(
            f"{draft.cidr} overlaps subnet {clash[0].name} ({clash[0].prefix})",
            prefix=str(draft.cidr),
            subnets=[subnet.name for subnet in clash[:_LISTED]],
        )
    return draft.settle(catalogue, draft.cidr, scope, "", replaced)


def _carve(catalogue: Catalogue, draft: Draft, pool_name: str, replaced: Collection[str]) -> Subnet:
    pool = find_pool(catalogue, pool_name)
    if draft.scope not in (None, pool.scope):
        raise FixInput(f"pool {pool.name} is in scope {pool.scope}, not {draft.scope}")
    prefix = carve(
        catalogue, pool, prefix_length=draft.prefix_length, cidr=draft.cidr, project=draft.project
    )
    return draft.settle(catalogue, prefix, pool.scope, pool.name, replaced)


def _replay(unit: Unit, bind: Binding | None) -> SubnetView | None:
    """The subnet that an idempotency key was given before."""
    remembered = None if bind is None else unit.recall(bind.key)
    if bind is None or remembered is None:
        return None
    if remembered.fingerprint != bind.fingerprint:
        raise KeyReused(f"idempotency key {bind.key!r} was used with another request", key=bind.key)
    subnet = unit.catalogue.subnets.get(-remembered.sequences[0])
    if subnet is None:
        raise KeySpent(
            f"the subnet that idempotency key {bind.key!r} was given has been removed since; "
            "use a new key for a new request",
            key=bind.key,
        )
    return show_subnet(subnet)


def _store(unit: Unit, subnet: Subnet, now: int, bind: Binding | None) -> SubnetView:
    seen = unit.catalogue.version
    added = unit.add_subnets([subnet])
    SpaceChange((), Reshaped()).fill(unit, (), added)
    stored = added[0][0]
    if bind is not None:
        unit.bind(bind, [-stored.id], now)
    unit.touch(seen)
    unit.record(event_of_subnet("add", subnet, now))
    return show_subnet(stored)


def remove_subnet(unit: Unit, name: str, now: int) -> SubnetView:
    """See :meth:`borough.engine.ipam.Ipam.remove_subnet`."""
    catalogue = unit.catalogue
    subnet = find_subnet(catalogue, name)
    change = Change("remove", "subnet", name, (), str(subnet.prefix))
    changes = Changes(
        (change,),
        catalogue.dimensions,
        catalogue.dimension_sources,
        subnets_removed=(subnet,),
    )
    carry_out(unit, changes, "", now, dry_run=False)
    return show_subnet(subnet)
