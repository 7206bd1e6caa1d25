"""Topologies, subnets, hosts, dimensions, pools."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from msgspec import Meta, field

from borough.api.schema.base import (
    Attributes,
    Input,
    Label,
    Labels,
    MaybeText,
    Output,
    Paged,
    Text,
)
from borough.domain import dimension, model, pool
from borough.domain.dimension import Fallback
from borough.domain.topology import Changes
from borough.engine.settings import WEIGHT_LIMIT
from borough.engine.views import SubnetView


class TopologyQuery(Input):
    """How to apply a topology.

    :ivar name: apply it under this name instead of its own.
    :ivar dry_run: only find out what would change.
    """

    name: Text | None = None
    dry_run: bool = False


class FieldChange(Output):
    """One field that changes, in text."""

    field: str
    old: str
    new: str


class Change(Output):
    """One line of a diff.

    :ivar prefix: of a subnet or pool.
    """

    action: Literal["add", "change", "remove"]
    kind: Literal["dimension", "scope", "pool", "subnet", "host"]
    name: str
    fields: list[FieldChange]
    prefix: str


class Summary(Output):
    """How many objects."""

    added: int
    changed: int
    removed: int


class Applied(Output):
    """What changed, or would."""

    changes: list[Change]
    summary: Summary
    dry_run: bool

    @classmethod
    def of(cls, changes: Changes, *, dry_run: bool) -> Self:
        """From the library's record."""
        lines = [
            Change(
                each.action,
                each.kind,
                each.name,
                [FieldChange(*words) for words in each.fields],
                each.prefix,
            )
            for each in changes.changes
        ]
        count = [sum(each.action == word for each in lines) for word in ("add", "change", "remove")]
        return cls(lines, Summary(*count), dry_run)


class NewSubnet(Input):
    """A subnet to add by its prefix, or to carve from a pool.

    :ivar cidr: its prefix; with a pool, the exact one to carve.
    :ivar pool: the pool to carve it from.
    :ivar prefix_length: the length to carve; when left out, the default of the pool.
    :ivar name: when left out, it is called by its prefix.
    :ivar ranges: `first-last`; when left out, all usable addresses.
    :ivar cooldown: seconds, or text such as `5m`.
    :ivar claims: how space is claimed here, where that is not as the claiming dimension says.
    """

    cidr: Text | None = None
    pool: Text | None = None
    prefix_length: Annotated[int, Meta(ge=0, le=128)] | None = None
    name: Text | None = None
    labels: Labels = field(default_factory=dict)
    project: MaybeText = ""
    scope: Text | None = None
    gateway: Text | None = None
    ranges: list[Text] = field(default_factory=list)
    weight: Annotated[int, Meta(ge=-WEIGHT_LIMIT, le=WEIGHT_LIMIT)] = 0
    cooldown: Annotated[int, Meta(ge=0)] | Text = 0
    attributes: Attributes = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)


class OneSubnet(Output):
    """One subnet."""

    subnet: SubnetView


class Named(Input):
    """An object by its name."""

    name: Text


class SubnetQuery(Paged):
    """Which subnets: those that carry all these labels; of several values any matches."""

    label: list[Label] = field(default_factory=list)
    scope: Text | None = None


class SubnetPage(Output):
    """Subnets by scope and address."""

    subnets: Sequence[SubnetView]
    next: str | None


class Host(Output):
    """A declared host, and the labels that naming it implies.

    :ivar claims: what it claims otherwise than the dimension says.
    """

    name: str
    labels: dict[str, list[str]]
    source: str
    claims: dict[str, Any]

    @classmethod
    def of(cls, host: model.Host) -> Self:
        """From the library's record."""
        labels = {name: sorted(values) for name, values in sorted(host.labels.items())}
        return cls(host.name, labels, host.source, dict(host.claiming))


class HostPage(Output):
    """Hosts by name."""

    hosts: list[Host]
    next: str | None


class Dimension(Output):
    """One way to group subnets.

    :ivar rank: its place in the order of importance.
    :ivar claims: whether its values claim blocks.
    :ivar claiming: how, where that is not as usual.
    """

    name: str
    fallback: Fallback
    rank: int
    claims: bool
    claiming: dict[str, Any]

    @classmethod
    def of(cls, each: dimension.Dimension) -> Self:
        """From the library's record."""
        return cls(each.name, each.fallback, each.rank, each.claims, each.claiming.differences)


class Dimensions(Output):
    """All dimensions in order of importance."""

    dimensions: list[Dimension]


class Pool(Output):
    """A pool and how full it is, in addresses.

    :ivar quota_used: units of /32 or /64 by project.
    """

    name: str
    size: int
    used: int
    free: int
    largest_free_length: int | None
    subnets: int
    quota_used: dict[str, float]

    @classmethod
    def of(cls, name: str, usage: pool.PoolUsage) -> Self:
        """From the library's record."""
        return cls(name, *(getattr(usage, each) for each in cls.__struct_fields__[1:]))


class Pools(Output):
    """All pools by name."""

    pools: list[Pool]
