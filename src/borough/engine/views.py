"""The records that callers get: frozen, with addresses in text and times as ``datetime``.

Their fields are the fields of the JSON that the command line prints and the service answers
(:func:`borough.domain.encode.plain`); the service describes its answers from these classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, overload

from borough.domain.declared import records, tokens
from borough.domain.declared.catalogue import Catalogue
from borough.domain.declared.dimensions import Dimension, Fallback, Labels
from borough.domain.declared.tokens import Permission
from borough.domain.encode import utc
from borough.domain.net.addresses import format_address, format_interval
from borough.domain.net.prefixes import Prefix
from borough.domain.policy.explain import Explanation
from borough.domain.space import allocations
from borough.domain.space.blocks import Block
from borough.errors import FixInput
from borough.store.port import ReadSpace


@dataclass(frozen=True, slots=True)
class Allocation:
    """One address held by an owner, or reserved for one.

    :ivar prefix_length: that of its subnet.
    :ivar block: the prefix that its host has claimed around it.
    :ivar borrowed: whether it lies in a block that somebody else has claimed.
    :ivar sequence: name it when releasing, so that a late release cannot hit the next holder.
    :ivar state: `allocated`, `cooling` or `reserved`.
    :ivar sticky: whether a release leaves a reservation for the owner.
    :ivar sharers: the owners of a shared address, which has no other owner; empty for an address that is not.
    :ivar lease: seconds of its lease, which a renewal adds again; 0 without a lease.
    :ivar leased_until: when the lease ends; null without one.
    :ivar cooling_until: when a cooling address is free again.
    """

    address: str
    family: int
    prefix_length: int
    subnet: str
    scope: str
    gateway: str | None
    host: str
    owner: str
    block: str | None
    borrowed: bool
    sequence: int
    state: str
    sticky: bool
    sharers: tuple[str, ...]
    lease: int
    leased_until: datetime | None
    attributes: Mapping[str, Any]
    note: str
    allocated_at: datetime
    cooling_until: datetime | None


@dataclass(frozen=True)
class Answer:
    """The answer to a request.

    :ivar replayed: true when an earlier request allocated all of it: one with the same idempotency key, or,
        for a sticky request, with the same owner.
    :ivar warnings: what is likely a mistake, such as a host that is not declared beside others that are.
    :ivar routed: after ``wait="routed"``, whether every address leads to its host; null without it.
    :ivar late: the hosts whose agents had not acknowledged their routes when the time was over.
    """

    allocations: tuple[Allocation, ...]
    replayed: bool
    explanation: Explanation | None = None
    warnings: tuple[str, ...] = ()
    routed: bool | None = None
    late: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """The address, of an answer that has exactly one.

        :raises FixInput: when there are several.
        """
        if len(self.allocations) != 1:
            raise FixInput("the answer has several addresses; go through .allocations")
        return self.allocations[0].address


@dataclass(frozen=True, slots=True)
class Reassigned(Allocation):
    """An address on its new host.

    :ivar warnings: as of :class:`Answer`.
    """

    warnings: tuple[str, ...] = ()


#: Most addresses that the answer of a release by owner or host lists.
RELEASED_LISTED: Final = 10_000


@dataclass(frozen=True)
class Released(Sequence[Allocation]):
    """Addresses that were taken back, as they were.

    :ivar released: of an owner or a host the first 10,000.
    :ivar total: how many there were.
    """

    released: tuple[Allocation, ...]
    total: int

    @overload
    def __getitem__(self, at: int) -> Allocation: ...

    @overload
    def __getitem__(self, at: slice) -> tuple[Allocation, ...]: ...

    def __getitem__(self, at: int | slice) -> Allocation | tuple[Allocation, ...]:
        return self.released[at]

    def __len__(self) -> int:
        return len(self.released)


@dataclass(frozen=True)
class Reservations:
    """Addresses that were reserved, or whose reservations were cancelled.

    :ivar reservations: the first 10,000; an allocated one leaves, or left, a reservation.
    :ivar total: how many there are.
    """

    reservations: tuple[Allocation, ...]
    total: int


def show(
    allocation: allocations.AllocationRow,
    catalogue: Catalogue,
    block: Block | None,
    sequence: int | None = None,
) -> Allocation:
    """An allocation as callers see it.

    :param block: the block that it lies in, if one is tracked there.
    :param sequence: its sequence number, when it has only just got one.
    """
    subnet = catalogue.subnets[allocation.subnet_id]
    claimed = block is not None and bool(block.holder)
    return Allocation(
        address=allocation.text,
        family=allocation.family,
        prefix_length=subnet.prefix.length,
        subnet=subnet.name,
        scope=allocation.scope,
        gateway=None if subnet.gateway is None else format_address(subnet.family, subnet.gateway),
        host=allocation.host,
        owner=allocation.owner,
        block=str(block.region()) if block is not None and claimed else None,
        borrowed=block is not None
        and claimed
        and block.holder not in holders_of(allocation.host, catalogue),
        sequence=allocation.sequence if sequence is None else sequence,
        state=allocation.state.value,
        sticky=allocation.sticky,
        sharers=allocation.sharers,
        lease=allocation.lease,
        leased_until=utc(allocation.until or 0) if allocation.lease else None,
        attributes=allocation.attributes,
        note=allocation.note,
        allocated_at=utc(allocation.at),
        cooling_until=utc(allocation.until or 0)
        if allocation.state is allocations.State.COOLING
        else None,
    )


def holders_of(host: str, catalogue: Catalogue) -> set[str]:
    """Every name under which a block may be claimed for a host: its own, its rack's."""
    if not host:
        return set()
    known = catalogue.hosts.get(host)
    labels = known.labels if known else {}
    claims = {dimension.name for dimension in catalogue.dimensions if dimension.claims}
    names = {f"{name}={value}" for name in claims for value in labels.get(name, ())}
    return names | {f"host={host}"}


def show_all(unit: ReadSpace, allocations: Sequence[allocations.AllocationRow]) -> list[Allocation]:
    """Allocations as callers see them, their blocks looked up."""
    catalogue = unit.catalogue
    blocks = _blocks_of(unit, allocations)
    return [
        show(each, catalogue, blocks.get((each.subnet_id, each.address))) for each in allocations
    ]


def _blocks_of(
    unit: ReadSpace, allocations: Sequence[allocations.AllocationRow]
) -> dict[tuple[int, int], Block]:
    found: dict[tuple[int, int], Block] = {}
    for subnet_id in {each.subnet_id for each in allocations}:
        addresses = sorted(each.address for each in allocations if each.subnet_id == subnet_id)
        block: Block | None = None
        for address in addresses:
            if block is None or not block.prefix.holds(address):
                piece = unit.piece_at(subnet_id, address)
                block = piece if isinstance(piece, Block) else None
            if block is not None:
                found[subnet_id, address] = block
    return found


@dataclass(frozen=True, slots=True)
class Usage:
    """The usage of a subnet, in addresses.

    :ivar size: addresses for *any* and *next*: those of the ranges.
    :ivar used: of the size, those that are not free.
    :ivar allocated: all allocations, also those outside the ranges.
    :ivar outside: allocated, cooling and reserved addresses outside the ranges.
    :ivar claimed_free: free addresses in claimed blocks.
    """

    name: str
    prefix: str
    scope: str
    family: int
    size: int
    used: int
    free: int
    allocated: int
    cooling: int
    reserved: int
    outside: int
    claimed_free: int


@dataclass(frozen=True, slots=True)
class SubnetView:
    """A subnet, its prefixes in text.

    :ivar ranges: ``first-last`` or single addresses; None means all usable addresses.
    :ivar exclude: addresses of the ranges that are given by name only.
    :ivar closed: whether it takes no new addresses and no new claims.
    """

    name: str
    prefix: str
    family: int
    scope: str
    gateway: str | None
    ranges: tuple[str, ...] | None
    exclude: tuple[str, ...]
    closed: bool
    labels: Mapping[str, list[str]]
    weight: int
    project: str
    pool: str
    cooldown: int
    source: str
    attributes: Mapping[str, Any]
    claims: Mapping[str, Any]


def show_labels(labels: Labels) -> dict[str, list[str]]:
    """Labels and their values in alphabetical order."""
    return {name: sorted(values) for name, values in sorted(labels.items())}


def show_subnet(subnet: records.Subnet) -> SubnetView:
    """A subnet as callers see it."""
    family = subnet.family
    return SubnetView(
        subnet.name,
        str(subnet.prefix),
        family,
        subnet.scope,
        None if subnet.gateway is None else format_address(family, subnet.gateway),
        None
        if subnet.ranges is None
        else tuple(format_interval(family, *ends) for ends in subnet.ranges),
        tuple(format_interval(family, *ends) for ends in subnet.excluded),
        subnet.closed,
        show_labels(subnet.labels),
        subnet.weight,
        subnet.project,
        subnet.pool,
        subnet.cooldown,
        subnet.source,
        subnet.attributes,
        subnet.claiming,
    )


@dataclass(frozen=True, slots=True)
class HostView:
    """A declared host, and the labels that naming it implies.

    :ivar claims: what it claims otherwise than the dimension says.
    """

    name: str
    labels: Mapping[str, list[str]]
    source: str
    claims: Mapping[str, Any]


def show_host(host: records.Host) -> HostView:
    """A host as callers see it."""
    return HostView(host.name, show_labels(host.labels), host.source, host.claiming)


@dataclass(frozen=True, slots=True)
class DimensionView:
    """One way to group subnets.

    :ivar rank: its place in the order of importance.
    :ivar claims: whether its values claim blocks.
    :ivar claiming: how, where that is not as usual.
    :ivar declared: whether a request may name declared hosts only.
    """

    name: str
    fallback: Fallback
    rank: int
    claims: bool
    claiming: Mapping[str, Any]
    declared: bool


def show_dimension(each: Dimension) -> DimensionView:
    """A dimension as callers see it."""
    return DimensionView(
        each.name,
        each.fallback,
        each.rank,
        each.claims,
        each.claiming.differences,
        each.declared,
    )


@dataclass(frozen=True, slots=True)
class TokenView:
    """A token, as it is stored: nothing of it lets anybody in.

    :ivar name: who it stands for.
    :ivar public: the part of its text by which it is found.
    :ivar permission: `read`, `allocate` or `administer`, each including those before it.
    :ivar labels: what it is confined to; empty for everything.
    :ivar host: the only host whose routes it may read and acknowledge; empty for all that it permits.
    :ivar expires: when it ends; null for never.
    """

    name: str
    public: str
    permission: Permission
    labels: Mapping[str, list[str]]
    host: str
    created: datetime
    expires: datetime | None


def show_token(each: tokens.Token) -> TokenView:
    """A token as callers see it."""
    return TokenView(
        each.name,
        each.public,
        each.permission,
        show_labels(each.labels),
        each.host,
        utc(each.created),
        None if each.expires is None else utc(each.expires),
    )


@dataclass(frozen=True, slots=True)
class BlockView:
    """A block: who claims it, how full it is, what others have borrowed of it.

    :ivar holder: ``dimension=value``, empty for nobody.
    :ivar region: the claimed prefix that it is part of; itself when nobody claims it.
    :ivar lender: whose region that is borrowed from, and :ivar lent_from: that region; empty for neither.
    :ivar size: usable addresses.
    :ivar borrowed: its addresses that others hold.
    :ivar borrowers: the host of each of these, by address; empty for none.
    """

    prefix: str
    subnet: str
    scope: str
    holder: str
    region: str
    size: int
    free: int
    borrowed: tuple[str, ...]
    borrowers: Mapping[str, str]
    lender: str = ""
    lent_from: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """A prefix that somebody claims, or claimed.

    :ivar holder: ``dimension=value``.
    """

    prefix: str
    subnet: str
    scope: str
    holder: str


def show_claim(catalogue: Catalogue, subnet_id: int, prefix: Prefix, holder: str) -> Claim:
    """A claim as callers see it."""
    subnet = catalogue.subnets[subnet_id]
    return Claim(str(prefix), subnet.name, subnet.scope, holder)


@dataclass(frozen=True, slots=True)
class Route:
    """A prefix that a host advertises."""

    host: str
    scope: str
    family: int
    prefix: str
