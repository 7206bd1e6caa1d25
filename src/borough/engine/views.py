"""What callers get to see: plain records, with addresses in text, ready for JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Self

from borough.domain import model
from borough.domain.address import format_address
from borough.domain.block import Block
from borough.domain.explain import Explanation
from borough.domain.model import Catalogue
from borough.domain.prefix import Prefix
from borough.errors import FixInput
from borough.store.port import Event, ReadSpace


def iso(at: int) -> str:
    """Microseconds since the epoch as RFC 3339 text in UTC."""
    return datetime.fromtimestamp(at / 1_000_000, UTC).isoformat(timespec="microseconds")


def event_json(event: Event) -> dict[str, Any]:
    """JSON-ready form of an event."""
    told = {**asdict(event), "at": iso(event.at), "act": event.act.value}
    # A number of the store's own, which says nothing elsewhere.
    del told["cohort_id"]
    return told


@dataclass(frozen=True, slots=True)
class Allocation:
    """One address held by an owner.

    :ivar prefix_length: that of its subnet.
    :ivar block: the prefix that its host has claimed around it, None for none.
    :ivar borrowed: whether it lies in a block that somebody else has claimed.
    :ivar sequence: name it when releasing, so that a late release cannot hit the next holder.
    :ivar at: when it was given, in microseconds since the epoch.
    :ivar until: when a cooling address is free again; None while it is held.
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
    at: int
    until: int | None
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def allocated_at(self) -> str:
        """When it was given, as RFC 3339 text."""
        return iso(self.at)

    @property
    def cooling_until(self) -> str | None:
        """When it is free again, as RFC 3339 text; None while it is held."""
        return None if self.until is None else iso(self.until)

    def as_json(self) -> dict[str, Any]:
        """JSON-ready form."""
        made = {name: getattr(self, name) for name in self.__slots__}
        del made["at"], made["until"]
        return made | {"allocated_at": self.allocated_at, "cooling_until": self.cooling_until}


@dataclass(frozen=True)
class Answer:
    """What a request got.

    :ivar replayed: whether the answer was given before, to the same idempotency key.
    :ivar explanation: why, when the request asked for it.
    """

    allocations: tuple[Allocation, ...]
    replayed: bool = False
    explanation: Explanation | None = None

    @property
    def address(self) -> str:
        """The address, of an answer that has exactly one.

        :raises FixInput: when there are several.
        """
        if len(self.allocations) != 1:
            raise FixInput("the answer has several addresses; go through .allocations")
        return self.allocations[0].address

    def as_json(self) -> dict[str, Any]:
        """JSON-ready form."""
        made: dict[str, Any] = {
            "allocations": [allocation.as_json() for allocation in self.allocations],
            "replayed": self.replayed,
        }
        if self.explanation is not None:
            made["explanation"] = self.explanation.as_json()
        return made


#: Most addresses that the answer of a release by owner or host lists.
RELEASED_LISTED: Final = 10_000


class Released(tuple[Allocation, ...]):
    """Released addresses, as they were held.

    Of an owner or a host it lists the first 10,000 addresses; the events say all of them.

    :ivar total: how many addresses were released.
    """

    total: int

    def __new__(cls, listed: Iterable[Allocation] = (), total: int | None = None) -> Self:
        """Make the answer.

        :param total: when it is not the number of those listed.
        """
        made = super().__new__(cls, listed)
        made.total = len(made) if total is None else total
        return made


def show(
    allocation: model.Allocation,
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
        at=allocation.at,
        until=allocation.until,
        attributes=allocation.attributes,
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


def show_all(unit: ReadSpace, allocations: Sequence[model.Allocation]) -> list[Allocation]:
    """Allocations as callers see them, their blocks looked up."""
    catalogue = unit.catalogue
    blocks = _blocks_of(unit, allocations)
    return [
        show(each, catalogue, blocks.get((each.subnet_id, each.address))) for each in allocations
    ]


def _blocks_of(
    unit: ReadSpace, allocations: Sequence[model.Allocation]
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
    """How full a subnet or a whole group is, in addresses.

    :ivar size: addresses that *any* and *next* may give.
    :ivar claimed_free: free addresses in blocks that somebody claims.
    """

    name: str
    prefix: str
    family: int
    size: int
    allocated: int
    cooling: int
    free: int
    claimed_free: int

    def as_json(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {name: getattr(self, name) for name in self.__slots__}


def total(name: str, family: int, lines: Iterable[Usage]) -> Usage:
    """The sum of several."""
    lines = list(lines)
    return Usage(
        name,
        "",
        family,
        *(
            sum(getattr(line, column) for line in lines)
            for column in ("size", "allocated", "cooling", "free", "claimed_free")
        ),
    )


@dataclass(frozen=True, slots=True)
class SubnetView:
    """A subnet, its prefixes in text."""

    name: str
    prefix: str
    family: int
    scope: str
    gateway: str | None
    ranges: tuple[str, ...]
    labels: Mapping[str, list[str]]
    weight: int
    project: str
    pool: str
    cooldown: int
    source: str
    attributes: Mapping[str, Any]
    claims: Mapping[str, Any]

    def as_json(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {name: getattr(self, name) for name in self.__slots__}


def show_subnet(subnet: model.Subnet) -> SubnetView:
    """A subnet as callers see it."""
    family = subnet.family
    return SubnetView(
        subnet.name,
        str(subnet.prefix),
        family,
        subnet.scope,
        None if subnet.gateway is None else format_address(family, subnet.gateway),
        tuple(
            f"{format_address(family, first)}-{format_address(family, last)}"
            for first, last in subnet.ranges
        ),
        {name: sorted(values) for name, values in sorted(subnet.labels.items())},
        subnet.weight,
        subnet.project,
        subnet.pool,
        subnet.cooldown,
        subnet.source,
        subnet.attributes,
        subnet.claiming,
    )


@dataclass(frozen=True, slots=True)
class BlockView:
    """A block: who claims it, how full it is, what others have borrowed of it.

    :ivar holder: ``dimension=value``, empty for nobody.
    :ivar region: the claimed prefix that it is part of; itself when nobody claims it.
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

    def as_json(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Claim:
    """A prefix that somebody claims, or claimed.

    :ivar holder: ``dimension=value``.
    """

    prefix: str
    subnet: str
    scope: str
    holder: str

    def as_json(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {name: getattr(self, name) for name in self.__slots__}


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

    def as_json(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {name: getattr(self, name) for name in self.__slots__}
