"""Topologies: what an operator declares, and what has to change to make it so.

A topology is the whole truth for the objects that carry its name as their ``source``: those it no
longer declares are removed. Objects of other topologies, and those that were added by themselves, are
left alone unless it names them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Final, Literal, TypeVar

from borough.domain.address import format_address
from borough.domain.dimension import BUILT_IN, Dimension, Labels
from borough.domain.ladder import did_you_mean
from borough.domain.model import Catalogue, Host, Pool, Subnet
from borough.domain.prefix import Prefix
from borough.errors import FixInput, InUse, Overlap, UnknownDimension, UnknownObject

Action = Literal["add", "change", "remove"]
Sourced = TypeVar("Sourced", Subnet, Pool, Host)

#: The scope that every database has.
DEFAULT_SCOPE: Final = "default"

_BUILT_IN_NAMES: Final = {dimension.name for dimension in BUILT_IN}


@dataclass(frozen=True)
class Topology:
    """A declared set of objects.

    :ivar name: the source of all that it declares.
    :ivar dimensions: in order of importance.
    :ivar subnets: with id 0, like pools and hosts.
    """

    name: str = "default"
    dimensions: tuple[Dimension, ...] = ()
    scopes: tuple[str, ...] = ()
    pools: tuple[Pool, ...] = ()
    subnets: tuple[Subnet, ...] = ()
    hosts: tuple[Host, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a diff.

    :ivar fields: for a change, (field, old text, new text).
    """

    action: Action
    kind: Literal["dimension", "scope", "pool", "subnet", "host"]
    name: str
    fields: tuple[tuple[str, str, str], ...] = ()

    def as_json(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "action": self.action,
            "kind": self.kind,
            "name": self.name,
            "fields": [{"field": field, "old": old, "new": new} for field, old, new in self.fields],
        }


@dataclass(frozen=True)
class Changes:
    """A diff, and what a store has to write for it. False when nothing changes.

    :ivar changes: the lines, for people.
    :ivar dimensions: all dimensions as they shall be, in rank order.
    """

    changes: tuple[Change, ...] = ()
    dimensions: tuple[Dimension, ...] = ()
    dimension_sources: Mapping[str, str] = field(default_factory=dict)
    scopes_added: tuple[str, ...] = ()
    scopes_removed: tuple[str, ...] = ()
    pools_added: tuple[Pool, ...] = ()
    pools_changed: tuple[tuple[Pool, Pool], ...] = ()
    pools_removed: tuple[Pool, ...] = ()
    subnets_added: tuple[Subnet, ...] = ()
    subnets_changed: tuple[tuple[Subnet, Subnet], ...] = ()
    subnets_removed: tuple[Subnet, ...] = ()
    hosts_added: tuple[Host, ...] = ()
    hosts_changed: tuple[tuple[Host, Host], ...] = ()
    hosts_removed: tuple[Host, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.changes)

    def as_json(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {"changes": [change.as_json() for change in self.changes]}


def diff(catalogue: Catalogue, topology: Topology) -> Changes:
    """What has to change to make a topology so.

    :raises InUse: it names what another topology owns, or drops what is still referred to.
    :raises Overlap: subnets or pools of one scope would overlap.
    :raises UnknownDimension: a label is in a dimension that is neither declared nor known.
    :raises UnknownObject: a scope is neither declared nor known.
    :raises FixInput: a subnet or pool would move to another scope or family.
    """
    name = topology.name
    subnets = _sort_out("subnet", catalogue.by_name, topology.subnets, name)
    pools = _sort_out("pool", catalogue.pools, topology.pools, name)
    hosts = _sort_out("host", catalogue.hosts, topology.hosts, name)
    for old, new in (*subnets.changed, *pools.changed):
        _check_place(old, new)
    scopes_added = tuple(
        scope for scope in dict.fromkeys(topology.scopes) if scope not in catalogue.scopes
    )
    scopes_removed = tuple(
        scope
        for scope in catalogue.scopes
        if catalogue.scope_sources.get(scope) == name
        and scope not in topology.scopes
        and scope != DEFAULT_SCOPE
    )
    dimensions, sources = _dimensions(catalogue, topology)
    after_subnets = subnets.after(catalogue.by_name)
    after_pools = pools.after(catalogue.pools)
    after_hosts = hosts.after(catalogue.hosts)
    known_scopes = (set(catalogue.scopes) | set(scopes_added)) - set(scopes_removed)
    _check_scopes(known_scopes, scopes_removed, [*after_subnets, *after_pools])
    _check_labels(catalogue, dimensions, [*after_subnets, *after_hosts])
    _check_overlaps(after_subnets, after_pools)
    for pool in pools.removed:
        carved = [subnet.name for subnet in after_subnets if subnet.pool == pool.name]
        if carved:
            raise InUse(
                f"pool {pool.name} still has {len(carved)} subnets ({', '.join(carved[:3])})",
                name=pool.name,
                subnets=carved[:20],
            )
    return Changes(
        changes=(
            *_dimension_lines(catalogue, dimensions, sources),
            *(Change("add", "scope", scope) for scope in scopes_added),
            *pools.lines(),
            *subnets.lines(),
            *hosts.lines(),
            *(Change("remove", "scope", scope) for scope in scopes_removed),
        ),
        dimensions=dimensions,
        dimension_sources=sources,
        scopes_added=scopes_added,
        scopes_removed=scopes_removed,
        pools_added=pools.added,
        pools_changed=pools.changed,
        pools_removed=pools.removed,
        subnets_added=subnets.added,
        subnets_changed=subnets.changed,
        subnets_removed=subnets.removed,
        hosts_added=hosts.added,
        hosts_changed=hosts.changed,
        hosts_removed=hosts.removed,
    )


# --- Objects with a source ---------------------------------------------------------------------


@dataclass(frozen=True)
class _Lists:
    """Objects of one kind, by what happens to them."""

    kind: Literal["pool", "subnet", "host"]
    added: tuple[Any, ...]
    changed: tuple[tuple[Any, Any], ...]
    removed: tuple[Any, ...]

    def after(self, before: Mapping[str, Sourced]) -> list[Sourced]:
        """All objects of the kind as they will be."""
        gone = {each.name for each in self.removed}
        new = {each.name: each for each in self.added}
        new |= {each.name: each for _, each in self.changed}
        kept = {name: each for name, each in before.items() if name not in gone}
        return list({**kept, **new}.values())

    def lines(self) -> list[Change]:
        """The lines of the diff."""
        return [
            *(Change("remove", self.kind, each.name) for each in self.removed),
            *(
                Change("change", self.kind, new.name, _field_changes(old, new))
                for old, new in self.changed
            ),
            *(Change("add", self.kind, each.name) for each in self.added),
        ]


def _sort_out(
    kind: Literal["pool", "subnet", "host"],
    before: Mapping[str, Sourced],
    declared: Sequence[Sourced],
    source: str,
) -> _Lists:
    added: list[Sourced] = []
    changed: list[tuple[Sourced, Sourced]] = []
    for each in declared:
        old = before.get(each.name)
        if old is None:
            added.append(replace(each, source=source))
            continue
        if old.source not in ("", source):
            raise InUse(
                f"{kind} {each.name} belongs to topology {old.source!r}; "
                "change it there, or give this one another name",
                name=each.name,
                kind=kind,
                topology=old.source,
            )
        new = _adopt(old, each, source)
        if new != old:
            changed.append((old, new))
    names = {each.name for each in declared}
    removed = [each for name, each in before.items() if each.source == source and name not in names]
    return _Lists(kind, tuple(added), tuple(changed), tuple(removed))


def _adopt(old: Sourced, declared: Sourced, source: str) -> Sourced:
    """The declared object in the place of the one that exists."""
    if isinstance(declared, Subnet) and isinstance(old, Subnet):
        # Where it was carved from is no business of a file; a file without a project leaves it.
        return replace(
            declared,
            id=old.id,
            source=source,
            pool=old.pool,
            project=declared.project or old.project,
        )
    return replace(declared, id=old.id, source=source)


def _check_place(old: Subnet | Pool, new: Subnet | Pool) -> None:
    if (old.scope, old.family) != (new.scope, new.family):
        raise FixInput(
            f"{old.name} cannot move from scope {old.scope} (IPv{old.family}) to {new.scope} "
            f"(IPv{new.family}); remove it and add it under another name",
            name=old.name,
        )


def _field_changes(old: Any, new: Any) -> tuple[tuple[str, str, str], ...]:
    fields = []
    for name in type(old).__dataclass_fields__:
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            label = "cidr" if name == "prefix" else name
            fields.append((label, _text(old, name, before), _text(new, name, after)))
    return tuple(fields)


def _text(of: Any, name: str, value: Any) -> str:
    if value is None:
        return "none"
    if name == "gateway":
        return format_address(of.family, value)
    if name == "ranges":
        return (
            ", ".join(
                f"{format_address(of.family, first)}-{format_address(of.family, last)}"
                for first, last in value
            )
            or "all"
        )
    if name == "labels":
        return labels_text(value)
    if name == "prefixes":
        return ", ".join(map(str, value))
    return str(value) if value != "" else "none"


def labels_text(labels: Labels) -> str:
    """Labels for people: ``network=pods rack=r1|r2``."""
    return " ".join(f"{name}={'|'.join(sorted(labels[name]))}" for name in sorted(labels)) or "none"


# --- Dimensions --------------------------------------------------------------------------------


def order_dimensions(
    existing: Sequence[Dimension], declared: Sequence[Dimension]
) -> tuple[Dimension, ...]:
    """The dimensions, ranked, when a topology declares some.

    Declared ones take the order of the topology. One that exists and is not declared stays directly
    behind the one that it came after before (at the front if it was the first).
    """
    ordered = list(declared)
    names = {dimension.name for dimension in declared}
    before: str | None = None
    for dimension in existing:
        if dimension.name not in names:
            at = next((n for n, each in enumerate(ordered) if each.name == before), -1)
            ordered.insert(at + 1, dimension)
        before = dimension.name
    return tuple(replace(dimension, rank=rank) for rank, dimension in enumerate(ordered))


def _dimensions(
    catalogue: Catalogue, topology: Topology
) -> tuple[tuple[Dimension, ...], dict[str, str]]:
    sources = dict(catalogue.dimension_sources)
    for dimension in topology.dimensions:
        # A dimension may be declared by several topologies; it belongs to the first.
        if dimension.name not in _BUILT_IN_NAMES and not sources.get(dimension.name):
            sources[dimension.name] = topology.name
    declared = {dimension.name for dimension in topology.dimensions}
    kept = [
        dimension
        for dimension in catalogue.dimensions
        if dimension.name in _BUILT_IN_NAMES
        or dimension.name in declared
        or sources.get(dimension.name) != topology.name
    ]
    ordered = order_dimensions(kept, topology.dimensions)
    names = {dimension.name for dimension in ordered}
    return ordered, {name: source for name, source in sources.items() if name in names}


def _dimension_lines(
    catalogue: Catalogue, after: Sequence[Dimension], sources: Mapping[str, str]
) -> list[Change]:
    before = catalogue.by_dimension
    names = {dimension.name for dimension in after}
    lines = [Change("remove", "dimension", name) for name in before if name not in names]
    common = [dimension for dimension in after if dimension.name in before]
    old_order = [d.name for d in catalogue.dimensions if d.name in names]
    for position, dimension in enumerate(common):
        old = before[dimension.name]
        fields = _field_changes(replace(old, rank=0), replace(dimension, rank=0))
        if old_order[position] != dimension.name:
            at = old_order.index(dimension.name)
            fields = (*fields, ("order", str(at + 1), str(position + 1)))
        if sources.get(dimension.name, "") != catalogue.dimension_sources.get(dimension.name, ""):
            fields = (*fields, ("source", "none", sources[dimension.name]))
        if fields:
            lines.append(Change("change", "dimension", dimension.name, fields))
    lines += [Change("add", "dimension", each.name) for each in after if each.name not in before]
    return lines


# --- What must hold afterwards -------------------------------------------------------------------


def _check_scopes(
    known: set[str], removed: Sequence[str], objects: Iterable[Subnet | Pool]
) -> None:
    for each in objects:
        if each.scope in removed:
            raise InUse(
                f"scope {each.scope} is still used by {each.name}", name=each.scope, by=each.name
            )
        if each.scope not in known:
            raise UnknownObject(
                f"there is no scope {each.scope!r}, which {each.name} names"
                + did_you_mean(each.scope, known),
                kind="scope",
                name=each.scope,
            )


def _check_labels(
    catalogue: Catalogue, dimensions: Sequence[Dimension], objects: Iterable[Subnet | Host]
) -> None:
    known = {dimension.name for dimension in dimensions}
    for each in objects:
        for name in each.labels:
            if name in known:
                continue
            if name in catalogue.by_dimension:
                raise InUse(
                    f"dimension {name} is still used by {each.name}", name=name, by=each.name
                )
            raise UnknownDimension(
                f"there is no dimension {name!r}, which {each.name} is labelled in"
                + did_you_mean(name, known),
                dimension=name,
                known=sorted(known),
                by=each.name,
            )


def _check_overlaps(subnets: Sequence[Subnet], pools: Sequence[Pool]) -> None:
    _disjoint("subnet", [(each.scope, each.prefix, each.name) for each in subnets])
    _disjoint(
        "pool", [(each.scope, prefix, each.name) for each in pools for prefix in each.prefixes]
    )


def _disjoint(kind: str, placed: list[tuple[str, Prefix, str]]) -> None:
    # Sorted by address, a prefix that overlaps any other overlaps its neighbour.
    for (scope, first, name), (other, second, clash) in pairwise(sorted(placed)):
        if scope == other and first.overlaps(second):
            raise Overlap(
                f"{kind} {clash} ({second}) overlaps {kind} {name} ({first}) in scope {scope}",
                scope=scope,
                subnets=[name, clash],
            )
