"""The changes by which declared objects become as a topology says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

from borough.domain.declared.catalogue import Catalogue
from borough.domain.declared.checks import (
    check_labels,
    check_overlaps,
    check_pools,
    check_scopes,
    owned_by,
)
from borough.domain.declared.dimension_diff import diff_dimensions, dimension_lines
from borough.domain.declared.fields import field_changes
from borough.domain.declared.records import Host, Pool, Subnet
from borough.domain.declared.topology import DEFAULT_SCOPE, Change, Changes, Topology
from borough.domain.net.prefixes import merge_intervals
from borough.errors import FixInput

Sourced = TypeVar("Sourced", Subnet, Pool, Host)


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
    dimensions, sources = diff_dimensions(catalogue, topology)
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
            *dimension_lines(catalogue, dimensions, sources),
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


def change_one(catalogue: Catalogue, old: Sourced, declared: Sourced) -> Changes:
    """The changes by which one object becomes another, with the checks of a whole topology.

    It stays in the topology that declares it, and in its pool.

    :raises: see :func:`diff`.
    """
    new = _adopt(old, _normal(declared), old.source)
    fields = field_changes(old, new)
    if not fields:
        return Changes(source=old.source)
    kind: Literal["subnet", "host"]
    kind = "subnet" if isinstance(new, Subnet) else "host"
    pair: Any = ((old, new),)
    if not isinstance(new, Pool):
        check_labels(catalogue, catalogue.dimensions, [new])
    if isinstance(new, Subnet):
        check_scopes({DEFAULT_SCOPE, *catalogue.scopes}, (), [new])
        _check_room(catalogue, new)
    return Changes(
        changes=(Change("change", kind, new.name, fields, _place(new)),),
        dimensions=catalogue.dimensions,
        dimension_sources=catalogue.dimension_sources,
        source=old.source,
        **{f"{kind}s_changed": pair},
    )


def _check_room(catalogue: Catalogue, new: Subnet) -> None:
    """A changed subnet has a name and a prefix of its own, and fits its pool."""
    other = catalogue.by_name.get(new.name)
    if other is not None and other.id != new.id:
        raise FixInput(f"there is a subnet named {new.name!r} already", name=new.name)
    found = catalogue.overlapping(new.scope, new.prefix)
    check_overlaps([new, *(each for each in found if each.id != new.id)], ())
    if new.pool:
        after = {**catalogue.subnets, new.id: new}
        check_pools(catalogue, list(catalogue.pools.values()), list(after.values()))


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
                Change("change", self.kind, new.name, field_changes(old, new), _place(new))
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
            raise owned_by(kind, each.name, old.source)
        new = _adopt(old, each, source)
        if field_changes(old, new):
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


def _scopes(catalogue: Catalogue, topology: Topology) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The scopes to add and to remove."""
    for scope in topology.scopes:
        owner = catalogue.scope_sources.get(scope, "")
        if scope != DEFAULT_SCOPE and owner not in ("", topology.name):
            raise owned_by("scope", scope, owner)
    added = [scope for scope in dict.fromkeys(topology.scopes) if scope not in catalogue.scopes]
    removed = [
        scope
        for scope in catalogue.scopes
        if catalogue.scope_sources.get(scope) == topology.name
        and scope not in topology.scopes
        and scope != DEFAULT_SCOPE
    ]
    return tuple(added), tuple(removed)
