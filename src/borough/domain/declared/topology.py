"""Topologies: what an operator declares, and the lines of what has to change to make it so.

A topology is the whole truth for the objects that carry its name as their ``source``: those it no
longer declares are removed. Objects of other topologies, and those that were added by themselves, are
left alone unless it names them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from borough.domain.declared.dimensions import Dimension
from borough.domain.declared.effects import Effect
from borough.domain.declared.records import Host, Pool, Subnet

Action = Literal["add", "change", "remove"]

#: The scope that every database has.
DEFAULT_SCOPE: Final = "default"


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
    :ivar source: of changed single objects, the topology whose file would change them back.
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
    source: str = ""

    def __bool__(self) -> bool:
        return bool(self.changes)

    def __str__(self) -> str:
        """The lines of the diff and their number: for an interactive session."""
        lines = [str(each) for each in self.changes]
        counts = Counter(each.action for each in self.changes)
        total = f"{counts['add']} added, {counts['change']} changed, {counts['remove']} removed"
        return "\n".join([*lines, total])
