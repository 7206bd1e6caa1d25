"""Use cases that change what is declared: apply a topology."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from borough.domain.declared.catalogue import Catalogue
from borough.domain.declared.diff import diff
from borough.domain.declared.effects import Effect
from borough.domain.declared.records import Subnet
from borough.domain.declared.topology import Changes, Topology
from borough.domain.policy import allocate
from borough.domain.policy.reassign import outside_segments
from borough.domain.policy.reshape import Filling, Reshaped, Source, reshape
from borough.domain.space.allocations import SECOND, AllocationRow, State
from borough.domain.space.blocks import Block
from borough.domain.space.events import EventRow
from borough.domain.space.filters import Filter
from borough.domain.space.plan import Act, Plan
from borough.engine.queries import all_allocations
from borough.engine.topology.trail import events_of_changes
from borough.errors import (
    StaleVersion,
    WouldStrand,
)
from borough.store.port import Unit

#: Allocations that a refusal lists.
_LISTED = 20

#: Subnets whose space is written at once.
_PAGE = 1000

#: The events of effects that claims are followed by.
_ACTS: Final[dict[str, Act]] = {"claim_lost": Act.GAVE_UP, "claimed": Act.CLAIMED}


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
    check_version(unit.catalogue, version)
    changes = diff(unit.catalogue, topology)
    if not changes:
        return changes
    return carry_out(unit, changes, topology.name, now, dry_run=dry_run)


def check_version(catalogue: Catalogue, version: int | None) -> None:
    """Refuse a change of declared objects that have changed since a caller read them.

    :param version: what the caller read; None for any.
    :raises StaleVersion: they are at another version.
    """
    if version not in (None, catalogue.version):
        raise StaleVersion(
            f"what is declared is at version {catalogue.version}, not {version}; read it again",
            version=catalogue.version,
        )


def carry_out(unit: Unit, changes: Changes, source: str, now: int, *, dry_run: bool) -> Changes:
    """Make changes, or only find out what they do to addresses, claims and routes.

    :raises WouldStrand: addresses would fall out of every subnet.
    """
    if not dry_run:
        changed = [
            before.id
            for before, after in changes.subnets_changed
            if _is_remade(before, after) or after.cooldown < before.cooldown
        ]
        unit.lock_space([*changed, *(subnet.id for subnet in changes.subnets_removed)])
    sources = _sources(unit, changes)
    shape = reshape(sources, changes.subnets_changed, changes.subnets_added, now)
    if shape.fallen:
        where = "would lie in no subnet that can hold them"
        raise _strands(unit.catalogue, shape.fallen, where, len(shape.forgotten))
    if shape.doubled:
        where = "would be held twice, because they are held in both of two scopes that meet"
        raise _strands(unit.catalogue, shape.doubled, where, len(shape.forgotten))
    changes = replace(changes, effects=(*shape.effects, *_unreached(unit, changes)))
    if dry_run:
        return changes
    seen = unit.catalogue.version
    _write(unit, changes, SpaceChange(sources, shape), source, now)
    unit.touch(seen)
    unit.record(*_events(changes, now))
    return changes


def _unreached(unit: Unit, changes: Changes) -> Iterator[Effect]:
    """Addresses of hosts that no longer reach their segments; they stay until somebody moves them."""
    subnets = unit.catalogue.subnets
    for before, after in changes.hosts_changed:
        changed = [
            each
            for each in changes.dimensions
            if before.labels.get(each.name) != after.labels.get(each.name)
        ]
        held = all_allocations(unit, Filter(host=after.name)) if changed else ()
        counts = Counter(each.subnet_id for each in held if each.state is State.ALLOCATED)
        for id, count in counts.items():
            subnet = subnets[id]
            if outside_segments(changed, subnet, after.labels) and not outside_segments(
                changed, subnet, before.labels
            ):
                what = "1 address" if count == 1 else f"{count} addresses"
                message = (
                    f"{what} on host {after.name} in subnet {subnet.name}, which the host no longer "
                    "reaches; release or reassign them"
                )
                yield Effect("unreached", subnet.name, "", after.name, message)


def _sources(unit: Unit, changes: Changes) -> list[Source]:
    """The subnets whose space is made anew, and those that are removed."""
    pairs: list[tuple[Subnet, Subnet | None]] = [
        (before, after) for before, after in changes.subnets_changed if _is_remade(before, after)
    ]
    pairs += [(subnet, None) for subnet in changes.subnets_removed]
    if not pairs:
        return []
    blocks: dict[int, list[Block]] = defaultdict(list)
    for block in unit.blocks([before.id for before, _ in pairs]):
        blocks[block.subnet_id].append(block)
    return [
        Source(before, after, blocks[before.id], unit.allocations(Filter(subnet_id=before.id)))
        for before, after in pairs
    ]


def _is_remade(before: Subnet, after: Subnet) -> bool:
    """True when a change of a subnet makes its space anew."""
    places = [(each.scope, each.prefix, each.usable) for each in (before, after)]
    return places[0] != places[1]


@dataclass(frozen=True)
class SpaceChange:
    """The space that a change makes anew.

    :ivar sources: as it is, and :ivar shape: as it shall be.
    """

    sources: Sequence[Source]
    shape: Reshaped

    def clear(self, unit: Unit, now: int) -> None:
        """Remove blocks and unused space, each as it was read, and what rested in them."""
        # They stand for the allocations read beside them. A subnet that nobody follows from is removed
        # with its space; but an address that comes from another scope may rest there, and be held twice.
        left = {each.old.subnet_id for each in self.shape.followers}
        entered = {
            each.new.scope for each in self.shape.followers if each.new.scope != each.old.scope
        }
        old = [
            each
            for each in self.sources
            if each.after is not None or each.subnet.id in left or each.subnet.scope in entered
        ]
        ids = {each.subnet.id for each in old}
        plan = Plan(
            removed=[each for each in self.shape.forgotten if each.subnet_id in ids],
            blocks_removed=[block for each in old for block in each.blocks],
            free_ranges_removed=unit.free_ranges(sorted(ids)) if ids else [],
        )
        unit.commit(plan, now)

    def fill(
        self, unit: Unit, changed: Iterable[Subnet], added: Sequence[tuple[Subnet, int]]
    ) -> None:
        """Add the new blocks and unused space, and let addresses follow."""
        fillings = self.shape.fillings
        made = [
            *((each, unit.cohort_of(each.id)) for each in changed if each.name in fillings),
            *added,
        ]
        for start in range(0, len(made), _PAGE):
            plan = Plan()
            for subnet, cohort_id in made[start : start + _PAGE]:
                filling = fillings.get(subnet.name) or Filling(subnet)
                blocks, free_ranges = filling.tiles(subnet, cohort_id)
                plan.blocks_added += blocks
                plan.free_ranges_added += free_ranges
            unit.commit(plan, 0)
        ids = {subnet.name: subnet.id for subnet, _ in made}
        unit.rehome(
            [
                (each.old, replace(each.new, subnet_id=ids[each.subnet.name]))
                for each in self.shape.followers
            ]
        )


def _write(unit: Unit, changes: Changes, space: SpaceChange, source: str, now: int) -> None:
    catalogue = unit.catalogue
    for scope in changes.scopes_added:
        unit.add_scope(scope, source)
    old = (catalogue.dimensions, dict(catalogue.dimension_sources))
    if (changes.dimensions, dict(changes.dimension_sources)) != old:
        unit.set_dimensions(changes.dimensions, changes.dimension_sources)
    _write_subnets(unit, changes, space, now)
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


def _write_subnets(unit: Unit, changes: Changes, space: SpaceChange, now: int) -> None:
    for before, after in changes.subnets_changed:
        if not _is_remade(before, after):
            _shorten_rests(unit, before, after, now)
    space.clear(unit, now)
    # The database refuses two subnets of one scope with the same base, at any moment.
    unit.vacate(
        [
            *changes.subnets_removed,
            *(
                before
                for before, after in changes.subnets_changed
                if (before.scope, before.prefix.base) != (after.scope, after.prefix.base)
            ),
        ]
    )
    for _, after in changes.subnets_changed:
        unit.put_subnet(after)
    added = unit.add_subnets(changes.subnets_added)
    space.fill(unit, [after for _, after in changes.subnets_changed], added)
    # An address that nobody moved keeps its subnet from being removed.
    for subnet in changes.subnets_removed:
        unit.remove_subnet(subnet)


def _events(changes: Changes, now: int) -> list[EventRow]:
    """The events of a change: its lines, and its effects."""
    events = events_of_changes(changes, now)
    for effect in changes.effects:
        act = _ACTS.get(effect.kind, Act.TOPOLOGY)
        events.append(
            EventRow(
                now,
                act,
                effect.subject or effect.subnet,
                effect.subnet,
                owner=effect.holder if effect.kind == "gateway_held" else "",
                host=effect.holder
                if effect.kind in ("withdrawn", "announced", "unreached")
                else "",
                detail=effect.message if act is Act.TOPOLOGY else effect.holder,
            )
        )
    return events


def _shorten_rests(unit: Unit, before: Subnet, subnet: Subnet, now: int) -> None:
    """Let a shorter cool-down count for addresses that rest already; without one they are free at once."""
    if subnet.cooldown >= before.cooldown:
        return
    if subnet.cooldown:
        unit.cut_rests(subnet.id, now + subnet.cooldown * SECOND)
        return
    found = unit.allocations(Filter(subnet_id=subnet.id))
    resting = [each for each in found if each.state is State.COOLING]
    unit.commit(allocate.free(unit.catalogue, unit, resting, now), now)


def _strands(
    catalogue: Catalogue, fallen: list[AllocationRow], where: str, cooling: int
) -> WouldStrand:
    listed = [
        {
            "address": each.text,
            "subnet": catalogue.subnets[each.subnet_id].name,
            "owner": each.owners_text,
            "host": each.host,
            "sequence": each.sequence,
        }
        for each in sorted(fallen, key=lambda each: (each.subnet_id, each.address))[:_LISTED]
    ]
    names = sorted({catalogue.subnets[each.subnet_id].name for each in fallen})
    few = ", ".join(str(each["address"]) for each in listed[:3])
    count = "1 address in use" if len(fallen) == 1 else f"{len(fallen)} addresses in use"
    resting = f" ({cooling} more only cool down, and do not count)" if cooling else ""
    return WouldStrand(
        f"{count} of {', '.join(names[:3])} {where}: "
        f"{few}{'…' if len(fallen) > 3 else ''}{resting}; release them first",
        allocations=listed,
        total=len(fallen),
        cooling=cooling,
        subnets=names,
    )
