"""Topologies, subnets, hosts, dimensions, pools."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType, field

from borough.api.schema.base import (
    Attributes,
    Input,
    Label,
    Labels,
    MaybeText,
    Paged,
    Text,
)
from borough.domain.declared.pools import PoolUsage
from borough.engine.topology.replacing import REPLACED
from borough.engine.topology.settings import WEIGHT_LIMIT
from borough.engine.views import DimensionView, HostView, SubnetView

Patch = dict[str, str | list[str] | None]


class TopologyQuery(Input):
    """Options for applying a topology.

    :ivar name: apply it under this name instead of its own.
    :ivar dry_run: report what would change, and change nothing.
    """

    name: Text | None = None
    dry_run: bool = False


class NewSubnet(Input):
    """A subnet to add by its prefix, or to carve from a pool.

    :ivar cidr: its prefix; with a pool, the exact one to carve.
    :ivar pool: the pool to carve it from.
    :ivar prefix_length: the length to carve; when left out, the default of the pool.
    :ivar name: when left out, its prefix is its name.
    :ivar ranges: `first-last`, single addresses or prefixes; when left out, all usable addresses; an
        empty list for none.
    :ivar exclude: addresses of the ranges that are allocated by name only, written like ranges.
    :ivar closed: whether it takes no new addresses and no new claims.
    :ivar cooldown: seconds, or text such as `5m`.
    :ivar claims: settings of claims that differ from those of the claiming dimension.
    """

    cidr: Text | None = None
    pool: Text | None = None
    prefix_length: Annotated[int, Meta(ge=0, le=128)] | None = None
    name: Text | None = None
    labels: Labels = field(default_factory=dict)
    project: MaybeText = ""
    scope: Text | None = None
    gateway: Text | None = None
    ranges: list[Text] | None = None
    exclude: list[Text] = field(default_factory=list)
    closed: bool = False
    weight: Annotated[int, Meta(ge=-WEIGHT_LIMIT, le=WEIGHT_LIMIT)] = 0
    cooldown: Annotated[int, Meta(ge=0)] | Text = 0
    attributes: Attributes = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)


class DryRun(Input):
    """Options of a change.

    :ivar dry_run: report what would change, and change nothing.
    """

    dry_run: bool = False


class Fields(Input):
    """Fields to change; null puts one back to its default, and those left out stay."""

    def given(self) -> dict[str, Any]:
        """The fields that are present."""
        return {name: value for name, value in super().given().items() if value is not UNSET}


class SubnetFields(Fields):
    """New values of a subnet, as in a topology file. Null puts a field back to its default.

    Of labels, claims and attributes only the named ones change; null removes one.
    """

    name: Text | UnsetType | None = UNSET
    cidr: Text | UnsetType | None = UNSET
    scope: Text | UnsetType | None = UNSET
    gateway: Text | UnsetType | None = UNSET
    ranges: list[Text] | UnsetType | None = UNSET
    exclude: list[Text] | UnsetType | None = UNSET
    closed: bool | UnsetType | None = UNSET
    labels: Patch | UnsetType | None = UNSET
    weight: Annotated[int, Meta(ge=-WEIGHT_LIMIT, le=WEIGHT_LIMIT)] | UnsetType | None = UNSET
    project: Text | UnsetType | None = UNSET
    cooldown: Annotated[int, Meta(ge=0)] | Text | UnsetType | None = UNSET
    claims: dict[str, Any] | UnsetType | None = UNSET
    attributes: Attributes | UnsetType | None = UNSET


class HostFields(Fields):
    """New labels and settings of claims of a host; those that are not named stay, null removes one."""

    labels: Patch | UnsetType | None = UNSET
    claims: dict[str, Any] | UnsetType | None = UNSET


class Replace(Input):
    """Subnets in the place of others. Without `new`, `split` and `merge` the old ones are removed.

    :ivar old: names of the subnets that are replaced.
    :ivar new: the subnets in their place.
    :ivar split: split each old subnet into prefixes of this length, named `NAME-1` and so on.
    :ivar merge: merge the old subnets into one of this name, with the settings of the first.
    :ivar dry_run: report what would change, and change nothing.
    """

    old: Annotated[list[Text], Meta(max_length=REPLACED)] = field(default_factory=list)
    new: Annotated[list[NewSubnet], Meta(max_length=REPLACED)] = field(default_factory=list)
    split: Annotated[int, Meta(ge=1, le=128)] | None = None
    merge: Text | None = None
    dry_run: bool = False


@dataclass(frozen=True)
class OneSubnet:
    """One subnet."""

    subnet: SubnetView


class Named(Input):
    """An object by its name."""

    name: Text


class SubnetQuery(Paged):
    """A filter of subnets: those that carry all these labels; of several values any matches."""

    label: list[Label] = field(default_factory=list)
    scope: Text | None = None


@dataclass(frozen=True)
class SubnetPage:
    """Subnets by scope and address."""

    subnets: Sequence[SubnetView]
    next: str | None


@dataclass(frozen=True)
class HostPage:
    """Hosts by name."""

    hosts: Sequence[HostView]
    next: str | None


@dataclass(frozen=True)
class HostNamePage:
    """Names of hosts."""

    hosts: Sequence[str]
    next: str | None


@dataclass(frozen=True)
class Dimensions:
    """All dimensions in order of importance."""

    dimensions: Sequence[DimensionView]


@dataclass(frozen=True)
class Pools:
    """All pools by name."""

    pools: Sequence[PoolUsage]


class FreeQuery(Paged, kw_only=True):
    """The free prefixes of which pool.

    :ivar prefix_length: only those that a subnet of this length can be carved from.
    """

    pool: Text
    prefix_length: Annotated[int, Meta(ge=0, le=128)] | None = None


@dataclass(frozen=True)
class FreePage:
    """Free prefixes by address."""

    prefixes: Sequence[str]
    next: str | None
