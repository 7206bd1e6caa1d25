"""Use cases that change what is declared: apply a topology, add, carve and remove subnets."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from borough.domain.declared.catalogue import Catalogue
from borough.domain.declared.dimensions import Labels, Settings, make_labels
from borough.domain.declared.lookup import check_scope, did_you_mean, unknown
from borough.domain.declared.pools import carve
from borough.domain.declared.records import Subnet
from borough.domain.declared.topology import Changes, Topology, diff
from borough.domain.net.addresses import parse_address
from borough.domain.net.prefixes import Prefix, parse_prefix
from borough.domain.policy import allocate
from borough.domain.space.allocations import AllocationRow, State
from borough.domain.space.filters import Filter
from borough.domain.space.plan import Plan
from borough.domain.space.rebuild import rebuild
from borough.domain.space.regions import regions
from borough.domain.text import check_text
from borough.engine.queries import find_subnet
from borough.engine.request import LabelsIn, optional_text, parse_attributes
from borough.engine.topology.settings import (
    WEIGHT_LIMIT,
    check_gateway,
    parse_claiming,
    parse_cooldown,
    parse_range,
)
from borough.engine.topology.trail import event_of_subnet, events_of_changes
from borough.engine.views import SubnetView, show_subnet
from borough.errors import FixInput, Overlap, StaleVersion, UnknownDimension, WouldStrand
from borough.store.port import ReadAllocations, ReadUnit, Unit

#: Allocations that a refusal lists.
_LISTED = 20

#: Subnets whose space is written at once.
_PAGE = 1000


def load(
    source: Topology | Mapping[str, Any] | str | os.PathLike[str], name: str | None
) -> Topology:
    """A topology from whatever form the caller has it in."""
    if isinstance(source, Topology):
        return source
    # The parser of YAML takes long to import: only what reads a file pays for it.
    from borough.engine.topology.document import load_topology

    return load_topology(source, name=name)


def apply(
    unit: Unit, topology: Topology, now: int, *, dry_run: bool, version: int | None = None
) -> Changes:
    """See :meth:`borough.engine.ipam.Ipam.apply`."""
    catalogue = unit.catalogue
    if version not in (None, catalogue.version):
        raise StaleVersion(
            f"what is declared is at version {catalogue.version}, not {version}; read it again",
            version=catalogue.version,
        )
    changes = diff(catalogue, topology)
    if not dry_run:
        changed = [
            before.id
            for before, after in changes.subnets_changed
            if _is_remade(before, after) or after.cooldown < before.cooldown
        ]
        unit.lock_space([*changed, *(subnet.id for subnet in changes.subnets_removed)])
    _refuse_stranding(unit, changes.subnets_removed, changes.subnets_changed)
    if dry_run or not changes:
        return changes
    _write(unit, catalogue, changes, topology.name, now)
    unit.touch(catalogue.version)
    unit.record(*events_of_changes(changes, now))
    return changes


def _write(unit: Unit, catalogue: Catalogue, changes: Changes, source: str, now: int) -> None:
    for scope in changes.scopes_added:
        unit.add_scope(scope, source)
    old = (catalogue.dimensions, dict(catalogue.dimension_sources))
    if (changes.dimensions, dict(changes.dimension_sources)) != old:
        unit.set_dimensions(changes.dimensions, changes.dimension_sources)
    # What goes makes room for what comes: a subnet may be replaced by one of another name.
    for subnet in changes.subnets_removed:
        unit.remove_subnet(subnet)
    for before, subnet in _outer_first(changes.subnets_changed):
        _change_subnet(unit, before, subnet, now)
    _add_subnets(unit, changes.subnets_added)
    for pool in changes.pools_removed:
        unit.remove_pool(pool)
    for pool in changes.pools_added:
        unit.put_pool(pool)
    for _, pool in changes.pools_changed:
        unit.put_pool(pool)
    for host in changes.hosts_removed:
        unit.remove_host(host)
    for host in changes.hosts_added:
        unit.put_host(host)
    for _, host in changes.hosts_changed:
        unit.put_host(host)
    for scope in changes.scopes_removed:
        unit.remove_scope(scope)


def _outer_first(
    pairs: Iterable[tuple[Subnet, Subnet]],
) -> list[tuple[Subnet, Subnet]]:
    """Changed subnets in an order in which no two have one base at any moment.

    Two subnets may move past each other; the database refuses two of one scope with the same base.
    """
    waiting = list(pairs)
    ordered: list[tuple[Subnet, Subnet]] = []
    while waiting:
        taken = {(old.scope, old.prefix.family, old.prefix.base) for old, _ in waiting}
        free = [
            pair
            for pair in waiting
            if pair[0].prefix.base == pair[1].prefix.base
            or (pair[1].scope, pair[1].prefix.family, pair[1].prefix.base) not in taken
        ]
        if not free:
            names = ", ".join(new.name for _, new in waiting)
            raise FixInput(f"subnets {names} swap prefixes; rename them, or do it in two steps")
        ordered += free
        settled = {old.id for old, _ in free}
        waiting = [pair for pair in waiting if pair[0].id not in settled]
    return ordered


def _add_subnets(unit: Unit, subnets: Sequence[Subnet]) -> list[Subnet]:
    """Add subnets with their space."""
    added = unit.add_subnets(subnets)
    for start in range(0, len(added), _PAGE):
        plan = Plan()
        for subnet, cohort_id in added[start : start + _PAGE]:
            blocks, free_ranges = rebuild(subnet, cohort_id, (), {})
            plan.blocks_added += blocks
            plan.free_ranges_added += free_ranges
        unit.commit(plan, 0)
    return [subnet for subnet, _ in added]


def _is_remade(before: Subnet, after: Subnet) -> bool:
    """True when a change of a subnet makes its space anew."""
    return (before.prefix, before.usable) != (after.prefix, after.usable)


def _change_subnet(unit: Unit, before: Subnet, subnet: Subnet, now: int) -> None:
    _shorten_rests(unit, before, subnet, now)
    if not _is_remade(before, subnet):
        unit.put_subnet(subnet)
        return
    # Blocks and runs go with their preconditions: they stand for the allocations read beside them.
    blocks = unit.blocks([subnet.id])
    found = unit.allocations(Filter(subnet_id=subnet.id))
    gone = [each for each in found if _outside(subnet, each)]
    unit.commit(
        Plan(
            removed=gone, blocks_removed=blocks, free_ranges_removed=unit.free_ranges([subnet.id])
        ),
        now,
    )
    unit.put_subnet(subnet)
    claims = {
        region: held[0].holder for region, held in regions(each for each in blocks if each.holder)
    }
    taken = [each.address for each in found if not _outside(subnet, each)]
    blocks, free_ranges = rebuild(subnet, unit.cohort_of(subnet.id), taken, claims)
    unit.commit(Plan(blocks_added=blocks, free_ranges_added=free_ranges), 0)


def _shorten_rests(unit: Unit, before: Subnet, subnet: Subnet, now: int) -> None:
    """Let a shorter cool-down count for addresses that rest already; without one they are free at once."""
    if subnet.cooldown >= before.cooldown:
        return
    if subnet.cooldown:
        unit.cut_rests(subnet.id, now + subnet.cooldown * allocate.SECOND)
        return
    found = unit.allocations(Filter(subnet_id=subnet.id))
    resting = [each for each in found if each.state is State.COOLING]
    unit.commit(allocate.free(unit.catalogue, unit, resting, now), now)


def _refuse_stranding(
    unit: ReadUnit, removed: Iterable[Subnet], changed: Iterable[tuple[Subnet, Subnet]]
) -> None:
    """Refuse a change that would leave allocations without a subnet.

    Addresses that only cool are nobody's: those of a removed subnet are forgotten with it.
    """
    stranded: list[AllocationRow] = []
    for subnet in removed:
        stranded += _held(unit, subnet)
    for before, after in changed:
        if not after.prefix.covers(before.prefix) or after.never != before.never:
            stranded += [
                each
                for each in unit.allocations(Filter(subnet_id=before.id))
                if each.state is State.ALLOCATED and _outside(after, each)
            ]
    if stranded:
        raise _strands(unit.catalogue, stranded)


def _outside(subnet: Subnet, allocation: AllocationRow) -> bool:
    return not subnet.prefix.holds(allocation.address) or allocation.address in subnet.never


def _held(unit: ReadAllocations, subnet: Subnet) -> list[AllocationRow]:
    found = unit.allocations(Filter(subnet_id=subnet.id))
    cooling = [each for each in found if each.state is State.COOLING]
    return found if len(cooling) < len(found) else []


def _strands(catalogue: Catalogue, stranded: list[AllocationRow]) -> WouldStrand:
    listed = [
        {
            "address": each.text,
            "subnet": catalogue.subnets[each.subnet_id].name,
            "owner": each.owner,
            "host": each.host,
            "sequence": each.sequence,
        }
        for each in sorted(stranded, key=lambda each: (each.subnet_id, each.address))[:_LISTED]
    ]
    names = sorted({catalogue.subnets[each.subnet_id].name for each in stranded})
    few = ", ".join(str(each["address"]) for each in listed[:3])
    return WouldStrand(
        f"{len(stranded)} allocated addresses of {', '.join(names[:3])} would be left without a "
        f"subnet ({few}{'…' if len(stranded) > 3 else ''}); release them first",
        allocations=listed,
        total=len(stranded),
        subnets=names,
    )


# --- Single subnets ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Draft:
    """A subnet as a caller writes it, parsed, before its prefix is settled."""

    name: str = ""
    cidr: Prefix | None = None
    scope: str | None = None
    gateway: str | None = None
    ranges: tuple[str, ...] = ()
    labels: Labels = field(default_factory=dict)
    weight: int = 0
    project: str = ""
    cooldown: int = 0
    attributes: Mapping[str, Any] = field(default_factory=dict)
    claiming: Settings = field(default_factory=dict)
    pool: str | None = None
    prefix_length: int | None = None

    @classmethod
    def parse(
        cls,
        *,
        cidr: str | None,
        pool: str | None = None,
        prefix_length: int | None = None,
        name: str | None = None,
        labels: LabelsIn | None = None,
        project: str = "",
        scope: str | None = None,
        gateway: str | None = None,
        ranges: Iterable[str] = (),
        weight: int = 0,
        cooldown: int | str = 0,
        attributes: Mapping[str, Any] | None = None,
        claims: Mapping[str, Any] | None = None,
    ) -> Self:
        """Check every setting on its own.

        :param cidr: its prefix; of a pool the exact one to carve, None for any.
        :param pool: the pool to carve it from; None for a subnet by itself.
        :param prefix_length: the length to carve; when left out, the pool's default.
        :param name: its name; when left out, its prefix in text.
        :param project: whose quota it counts against.
        :param scope: that of the pool, or ``default``, when left out.
        :param ranges: ``first-last`` texts; when left out, all usable addresses.
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
            ranges=(ranges,) if isinstance(ranges, str) else tuple(ranges),
            labels=make_labels(labels or {}),
            weight=weight,
            project=optional_text("project", project),
            cooldown=parse_cooldown(cooldown),
            attributes=parse_attributes(attributes),
            claiming=parse_claiming(claims or {}),
            pool=pool,
            prefix_length=prefix_length,
        )

    def settle(self, catalogue: Catalogue, prefix: Prefix, scope: str, pool: str) -> Subnet:
        """The subnet at a prefix.

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
            ranges=tuple(sorted(parse_range(text, prefix) for text in self.ranges)),
            labels=self.labels,
            weight=self.weight,
            project=self.project,
            pool=pool,
            cooldown=self.cooldown,
            attributes=self.attributes,
            claiming=self.claiming,
        )
        for (_, end), (start, _) in zip(subnet.ranges, subnet.ranges[1:], strict=False):
            if start <= end:
                raise FixInput("the allocation ranges overlap")
        if subnet.name in catalogue.by_name:
            raise FixInput(f"there is a subnet named {subnet.name!r} already", name=subnet.name)
        return replace(subnet, gateway=_gateway(self.gateway, subnet))


def _name_for(prefix: Prefix, scope: str) -> str:
    return str(prefix) if scope == "default" else f"{scope}:{prefix}"


def _gateway(text: str | None, subnet: Subnet) -> int | None:
    if text is None:
        return None
    family, address = parse_address(text)
    return check_gateway(family, address, subnet.prefix)


def add_subnet(unit: Unit, draft: Draft, now: int) -> SubnetView:
    """See :meth:`borough.engine.face.Face.add_subnet` and ``allocate_subnet``."""
    if draft.pool is not None:
        return _carve_subnet(unit, draft, draft.pool, now)
    catalogue = unit.catalogue
    scope = draft.scope or "default"
    check_scope(catalogue, scope)
    if draft.cidr is None:
        raise FixInput("a subnet outside any pool needs its prefix")
    clash = catalogue.overlapping(scope, draft.cidr)
    if clash:
        raise Overlap(
            f"{draft.cidr} overlaps subnet {clash[0].name} ({clash[0].prefix})",
            prefix=str(draft.cidr),
            subnets=[subnet.name for subnet in clash[:_LISTED]],
        )
    return _store(unit, catalogue, draft.settle(catalogue, draft.cidr, scope, ""), now)


def _carve_subnet(unit: Unit, draft: Draft, pool_name: str, now: int) -> SubnetView:
    catalogue = unit.catalogue
    pool = catalogue.pools.get(pool_name)
    if pool is None:
        raise unknown("pool", pool_name, catalogue.pools)
    if draft.scope not in (None, pool.scope):
        raise FixInput(f"pool {pool.name} is in scope {pool.scope}, not {draft.scope}")
    prefix = carve(
        catalogue,
        pool,
        prefix_length=draft.prefix_length,
        cidr=draft.cidr,
        project=draft.project,
    )
    return _store(unit, catalogue, draft.settle(catalogue, prefix, pool.scope, pool.name), now)


def _store(unit: Unit, catalogue: Catalogue, subnet: Subnet, now: int) -> SubnetView:
    (stored,) = _add_subnets(unit, [subnet])
    unit.touch(catalogue.version)
    unit.record(event_of_subnet("add", subnet, now))
    return show_subnet(stored)


def remove_subnet(unit: Unit, name: str, now: int) -> SubnetView:
    """See :meth:`borough.engine.ipam.Ipam.remove_subnet`."""
    catalogue = unit.catalogue
    subnet = find_subnet(catalogue, name)
    unit.lock_space([subnet.id])
    _refuse_stranding(unit, [subnet], ())
    unit.remove_subnet(subnet)
    unit.touch(catalogue.version)
    unit.record(event_of_subnet("remove", subnet, now))
    return show_subnet(subnet)
