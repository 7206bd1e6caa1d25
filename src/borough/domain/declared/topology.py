"""Topologies: what an operator declares, and what has to change to make it so.

A topology is the whole truth for the objects that carry its name as their ``source``: those it no
longer declares are removed. Objects of other topologies, and those that were added by themselves, are
left alone unless it names them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, replace
from typing import Any, Final, Literal, TypeVar

from borough.domain.declared.catalogue import Catalogue
from borough.domain.declared.checks import check_labels, check_overlaps, check_pools, check_scopes
from borough.domain.declared.dimensions import BUILT_IN, Dimension, Labels
from borough.domain.declared.effects import Effect
from borough.domain.declared.records import Host, Pool, Subnet
from borough.domain.net.addresses import format_address, format_interval
from borough.domain.net.prefixes import merge_intervals
from borough.errors import FixInput, InUse

Action = Literal["add", "change", "remove"]
Sourced = TypeVar("Sourced", Subnet, Pool, Host)

#: The scope that every database has.
DEFAULT_SCOPE: Final = "default"

#: Names that a refusal lists.
_LISTED: Final = 20

#: Fields that a topology file calls otherwise.
_LABELS: Final = {"prefix": "cidr", "excluded": "exclude"}

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
class FieldChange:
    """One field that changes, in text."""

    field: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a diff.

    :ivar prefix: of a subnet or pool.
    """

    action: Action
    kind: Literal["dimension", "scope", "pool", "subnet", "host"]
    name: str
    fields: tuple[FieldChange, ...]
    prefix: str = field(compare=False)

    def __str__(self) -> str:
        words = f"{self.action} {self.kind} {self.name}"
        if self.prefix and self.action != "change":
            words += f" ({self.prefix})"
        fields = [f"{each.field} {each.old} -> {each.new}" for each in self.fields]
        return words + (": " + ", ".join(fields) if fields else "")


@dataclass(frozen=True)
class Changes:
    """A diff, and what a store has to write for it. False when nothing changes.

    :ivar changes: the lines, for people.
    :ivar dimensions: all dimensions as they shall be, in rank order.
    :ivar effects: what becomes of addresses, claims and routes.
    :ivar more_effects: how many more effects there are, of which a service has listed the first.
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
    effects: tuple[Effect, ...] = ()
    more_effects: int = 0

    def __bool__(self) -> bool:
        return bool(self.changes)

    def __str__(self) -> str:
        """The lines of the diff and their number: for an interactive session."""
        lines = [str(each) for each in self.changes]
        counts = Counter(each.action for each in self.changes)
        total = f"{counts['add']} added, {counts['change']} changed, {counts['remove']} removed"
        return "\n".join([*lines, total])


def diff(catalogue: Catalogue, topology: Topology) -> Changes:
    """The changes that a topology asks for.

    :raises InUse: it names what another topology owns, or drops what is still referred to.
    :raises Overlap: subnets or pools of one scope would overlap.
    :raises UnknownDimension: a label is in a dimension that is neither declared nor known.
    :raises UnknownObject: a scope is neither declared nor known.
    :raises FixInput: a subnet would leave its pool or its lengths, or an object is declared twice.
    :raises QuotaExceeded: a project would hold more of a pool than its quota.
    """
    name = topology.name
    subnets = _renamed(_sort_out("subnet", catalogue.by_name, topology.subnets, name))
    pools = _sort_out("pool", catalogue.pools, topology.pools, name)
    hosts = _sort_out("host", catalogue.hosts, topology.hosts, name)
    scopes_added, scopes_removed = _scopes(catalogue, topology)
    dimensions, sources = _dimensions(catalogue, topology)
    after_subnets = subnets.after(catalogue.by_name)
    after_pools = pools.after(catalogue.pools)
    after_hosts = hosts.after(catalogue.hosts)
    known_scopes = {DEFAULT_SCOPE, *catalogue.scopes, *scopes_added}.difference(scopes_removed)
    check_scopes(known_scopes, scopes_removed, [*after_subnets, *after_pools])
    check_labels(catalogue, dimensions, [*after_subnets, *after_hosts])
    check_overlaps(after_subnets, after_pools)
    check_pools(catalogue, after_pools, after_subnets)
    return Changes(
        changes=(
            *_dimension_lines(catalogue, dimensions, sources),
            *(Change("add", "scope", scope, (), "") for scope in scopes_added),
            *pools.lines(),
            *subnets.lines(),
            *hosts.lines(),
            *(Change("remove", "scope", scope, (), "") for scope in scopes_removed),
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
        gone = {each.name for each in (*self.removed, *(old for old, _ in self.changed))}
        new = {each.name: each for each in self.added}
        new |= {each.name: each for _, each in self.changed}
        kept = {name: each for name, each in before.items() if name not in gone}
        return list({**kept, **new}.values())

    def lines(self) -> list[Change]:
        """The lines of the diff."""
        return [
            *(Change("remove", self.kind, each.name, (), _place(each)) for each in self.removed),
            *(
                Change("change", self.kind, new.name, _field_changes(old, new), _place(new))
                for old, new in self.changed
            ),
            *(Change("add", self.kind, each.name, (), _place(each)) for each in self.added),
        ]


def _place(each: Sourced) -> str:
    """The prefixes of an object in text."""
    if isinstance(each, Subnet):
        return str(each.prefix)
    return ", ".join(map(str, each.prefixes)) if isinstance(each, Pool) else ""


def _sort_out(
    kind: Literal["pool", "subnet", "host"],
    before: Mapping[str, Sourced],
    declared: Sequence[Sourced],
    source: str,
) -> _Lists:
    added: list[Sourced] = []
    changed: list[tuple[Sourced, Sourced]] = []
    names: set[str] = set()
    for given in declared:
        each = _normal(given)
        if each.name in names:
            raise FixInput(f"{kind} {each.name} is declared twice", kind=kind, name=each.name)
        names.add(each.name)
        old = before.get(each.name)
        if old is None:
            added.append(replace(each, source=source))
            continue
        if old.source not in ("", source):
            raise _owned(kind, each.name, old.source)
        new = _adopt(old, each, source)
        if _field_changes(old, new):
            changed.append((old, new))
    removed = [each for name, each in before.items() if each.source == source and name not in names]
    return _Lists(kind, tuple(added), tuple(changed), tuple(removed))


def _normal(each: Sourced) -> Sourced:
    """An object in the one form in which stores give it back, so that like compares with like."""
    changes: dict[str, Any] = {}
    if isinstance(each, Subnet) and each.ranges:
        changes["ranges"] = tuple(sorted(each.ranges))
    if isinstance(each, Subnet) and each.excluded:
        changes["excluded"] = tuple(merge_intervals(each.excluded))
    if isinstance(each, Pool):
        changes["prefixes"] = tuple(sorted(each.prefixes))
    elif not all(each.labels.values()):
        changes["labels"] = {name: values for name, values in each.labels.items() if values}
    return replace(each, **changes) if changes else each


def _adopt(old: Sourced, declared: Sourced, source: str) -> Sourced:
    """The declared object in the place of the one that exists."""
    kept: dict[str, Any] = {"id": old.id, "source": source}
    if isinstance(declared, Subnet) and isinstance(old, Subnet):
        # Where it was carved from is no business of a file. A file that takes a subnet over without a
        # word about its project leaves that; in its own subnets no project means none.
        taken_over = old.source != source
        kept |= {
            "version": old.version,
            "pool": old.pool,
            "project": declared.project or (old.project if taken_over else ""),
        }
    return replace(declared, **kept)


def _renamed(found: _Lists) -> _Lists:
    """The subnets, with a removed and an added one that begin at one address as one that is renamed."""
    gone = {(each.scope, each.prefix.family, each.prefix.base): each for each in found.removed}
    pairs = []
    for each in found.added:
        old = gone.get((each.scope, each.prefix.family, each.prefix.base))
        if old is not None:
            pairs.append((old, _adopt(old, each, each.source)))
    news, olds = {new.name for _, new in pairs}, {old.name for old, _ in pairs}
    return replace(
        found,
        added=tuple(each for each in found.added if each.name not in news),
        changed=(*found.changed, *pairs),
        removed=tuple(each for each in found.removed if each.name not in olds),
    )


def _field_changes(old: Any, new: Any) -> tuple[FieldChange, ...]:
    if old == new and not getattr(old, "attributes", None):
        return ()
    fields = []
    for name in type(old).__dataclass_fields__:
        before, after = getattr(old, name), getattr(new, name)
        if name == "attributes":
            # As JSON: to Python 1, 1.0 and true are equal, and a change between them would be lost.
            before, after = _json(before), _json(after)
        if before != after:
            label = _LABELS.get(name, name)
            fields.append(FieldChange(label, _text(old, name, before), _text(new, name, after)))
    return tuple(fields)


def values_of(each: Subnet | Pool | Host) -> tuple[FieldChange, ...]:
    """The fields of an object that differ from their defaults, beside its name, scope, prefix and source."""
    found = []
    for declared in fields(each):
        name, value = declared.name, getattr(each, declared.name)
        if name in ("id", "name", "scope", "prefix", "prefixes", "source") or not declared.compare:
            continue
        made = declared.default_factory
        if value != (declared.default if made is MISSING else made()):
            text = _json(value) if name == "attributes" else _text(each, name, value)
            found.append(FieldChange(name, "none", text))
    return tuple(found)


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=dict)


def _text(of: Any, name: str, value: Any) -> str:
    if name == "ranges" and value is None:
        return "all"
    if name == "labels":
        return labels_text(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if value in (None, "", ()):
        return "none"
    if name in ("ranges", "excluded", "prefixes"):
        return ", ".join(_part(of, name, each) for each in value)
    return _part(of, name, value)


def _part(of: Any, name: str, value: Any) -> str:
    if name == "gateway":
        return format_address(of.family, value)
    if name in ("ranges", "excluded"):
        return format_interval(of.family, *value)
    return str(value)


def labels_text(labels: Labels) -> str:
    """Labels for people: ``network=pods rack=r1|r2``."""
    return " ".join(f"{name}={'|'.join(sorted(labels[name]))}" for name in sorted(labels)) or "none"


# --- Dimensions --------------------------------------------------------------------------------


def order_dimensions(
    existing: Sequence[Dimension], declared: Sequence[Dimension]
) -> tuple[Dimension, ...]:
    """The dimensions, ranked, when a topology declares some.

    Declared ones take the order of the topology. One that exists and is not declared stays directly
    behind the one that it came after before (at the front if it was the first), except that the last
    one stays the last: a new ``rack`` on its own must not come behind ``host``.
    """
    ordered = list(declared)
    names = {dimension.name for dimension in declared}
    before: str | None = None
    for dimension in existing:
        if dimension is existing[-1] and dimension.name not in names:
            ordered.append(dimension)
            break
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
        owner = sources.get(dimension.name, "")
        old = catalogue.by_dimension.get(dimension.name)
        # A dimension may be declared by several topologies, alike; it belongs to the first.
        if old and owner not in ("", topology.name) and _settings(old) != _settings(dimension):
            raise _owned("dimension", dimension.name, owner)
        if dimension.name not in _BUILT_IN_NAMES and not owner:
            sources[dimension.name] = topology.name
    declared = {dimension.name for dimension in topology.dimensions}
    if len(declared) < len(topology.dimensions):
        raise FixInput("a dimension is declared twice", kind="dimension")
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


def _settings(dimension: Dimension) -> Dimension:
    """A dimension without its place in the order."""
    return replace(dimension, rank=0)


def _dimension_lines(
    catalogue: Catalogue, after: Sequence[Dimension], sources: Mapping[str, str]
) -> list[Change]:
    before = catalogue.by_dimension
    names = {dimension.name for dimension in after}
    lines = [Change("remove", "dimension", name, (), "") for name in before if name not in names]
    common = [dimension for dimension in after if dimension.name in before]
    old_order = [d.name for d in catalogue.dimensions if d.name in names]
    for position, dimension in enumerate(common):
        old = before[dimension.name]
        fields = _field_changes(_settings(old), _settings(dimension))
        if old_order[position] != dimension.name:
            at = old_order.index(dimension.name)
            fields = (*fields, FieldChange("order", str(at + 1), str(position + 1)))
        if sources.get(dimension.name, "") != catalogue.dimension_sources.get(dimension.name, ""):
            fields = (*fields, FieldChange("source", "none", sources[dimension.name]))
        if fields:
            lines.append(Change("change", "dimension", dimension.name, fields, ""))
    lines += [
        Change("add", "dimension", each.name, (), "") for each in after if each.name not in before
    ]
    return lines


def _scopes(catalogue: Catalogue, topology: Topology) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The scopes to add and to remove."""
    for scope in topology.scopes:
        owner = catalogue.scope_sources.get(scope, "")
        if scope != DEFAULT_SCOPE and owner not in ("", topology.name):
            raise _owned("scope", scope, owner)
    added = [scope for scope in dict.fromkeys(topology.scopes) if scope not in catalogue.scopes]
    removed = [
        scope
        for scope in catalogue.scopes
        if catalogue.scope_sources.get(scope) == topology.name
        and scope not in topology.scopes
        and scope != DEFAULT_SCOPE
    ]
    return tuple(added), tuple(removed)


def _owned(kind: str, name: str, owner: str) -> InUse:
    return InUse(
        f"{kind} {name} belongs to topology {owner!r}; "
        "change it there, or give this one another name",
        kind=kind,
        name=name,
        topology=owner,
    )
