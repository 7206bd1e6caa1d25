"""The changes of dimensions and of their order by a topology."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from borough.domain.declared.catalogue import Catalogue
from borough.domain.declared.checks import owned_by
from borough.domain.declared.dimensions import BUILT_IN, Dimension
from borough.domain.declared.fields import field_changes
from borough.domain.declared.topology import Change, FieldChange, Topology
from borough.errors import FixInput

_BUILT_IN_NAMES: Final = {dimension.name for dimension in BUILT_IN}


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


def diff_dimensions(
    catalogue: Catalogue, topology: Topology
) -> tuple[tuple[Dimension, ...], dict[str, str]]:
    """All dimensions as they shall be, and the sources of those that have one.

    :raises InUse: one belongs to another topology, which declares it otherwise.
    :raises FixInput: one is declared twice.
    """
    sources = dict(catalogue.dimension_sources)
    for dimension in topology.dimensions:
        owner = sources.get(dimension.name, "")
        old = catalogue.by_dimension.get(dimension.name)
        # A dimension may be declared by several topologies, alike; it belongs to the first.
        if old and owner not in ("", topology.name) and _settings(old) != _settings(dimension):
            raise owned_by("dimension", dimension.name, owner)
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


def dimension_lines(
    catalogue: Catalogue, after: Sequence[Dimension], sources: Mapping[str, str]
) -> list[Change]:
    """The lines of a diff about dimensions."""
    before = catalogue.by_dimension
    names = {dimension.name for dimension in after}
    lines = [Change("remove", "dimension", name, (), "") for name in before if name not in names]
    common = [dimension for dimension in after if dimension.name in before]
    old_order = [d.name for d in catalogue.dimensions if d.name in names]
    for position, dimension in enumerate(common):
        old = before[dimension.name]
        fields = field_changes(_settings(old), _settings(dimension))
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
