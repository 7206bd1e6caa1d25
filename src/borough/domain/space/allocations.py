"""Rows of allocations."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final, Self

from borough.domain.declared.records import Subnet
from borough.domain.net.addresses import Family, format_address
from borough.domain.request import Request

#: Microseconds in a second; every time in the domain counts microseconds.
SECOND: Final = 1_000_000

#: The end of a reservation, which has none: the largest integer of every database, after every time.
FOREVER: Final = (1 << 63) - 1


class State(StrEnum):
    """The life of an allocation."""

    ALLOCATED = "allocated"
    COOLING = "cooling"
    RESERVED = "reserved"

    @classmethod
    def at_end(cls, until: int | None, lease: int) -> State:
        """The state of a row, by the end and the lease that are stored in it."""
        if until is None or lease:
            return cls.ALLOCATED
        return cls.RESERVED if until == FOREVER else cls.COOLING


def attribute_text(value: Any) -> str:
    """The value of an attribute as it is searched: text as it is, other values as JSON."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


@dataclass(frozen=True, slots=True)
class AllocationRow:
    """One address held by an owner, or kept for one.

    :ivar sequence: never repeats for the address (rule 8).
    :ivar at: when it was allocated or reserved, in microseconds.
    :ivar until: when a cooling address is free again, or the lease of an allocated one ends, in
        microseconds; None while allocated without a lease; :data:`FOREVER` while reserved.
    :ivar sticky: True when a release leaves a reservation; true of every reservation.
    :ivar lease: seconds of its lease; 0 without one, while it cools, and while it is reserved.
    :ivar sharers: the owners of a shared address, in the order in which they came; it has no other owner.
    :ivar version: number of changes of its host, owners, note, attributes, stickiness, lease or subnet.
    """

    scope: str
    family: Family
    address: int
    subnet_id: int
    owner: str = ""
    host: str = ""
    sequence: int = 0
    state: State = State.ALLOCATED
    attributes: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    at: int = 0
    until: int | None = None
    sticky: bool = False
    lease: int = 0
    sharers: tuple[str, ...] = ()
    version: int = 0

    @classmethod
    def granted(cls, request: Request, subnet: Subnet, address: int, at: int) -> Self:
        """A new allocation for a request."""
        return cls(
            scope=subnet.scope,
            family=subnet.family,
            address=address,
            subnet_id=subnet.id,
            owner="" if request.shared else request.owner,
            host=request.host,
            attributes=request.attributes,
            note=request.note,
            at=at,
            until=at + request.lease * SECOND if request.lease else None,
            sticky=request.sticky,
            lease=request.lease,
            sharers=(request.owner,) if request.shared else (),
        )

    def reserved(self, at: int) -> Self:
        """The reservation that this allocation leaves when it is released."""
        return replace(
            self,
            host="",
            sequence=0,
            state=State.RESERVED,
            at=at,
            until=FOREVER,
            sticky=True,
            lease=0,
        )

    def is_over(self, now: int) -> bool:
        """True when its lease has ended, and nobody has released it yet."""
        return self.lease > 0 and self.until is not None and self.until <= now

    def is_kept_from(self, owner: str) -> bool:
        """True while the address is allocated, or reserved and not for this owner."""
        if self.state is State.RESERVED:
            return not (owner and owner == self.owner)
        return self.state is State.ALLOCATED

    def carries(self, attributes: Iterable[tuple[str, str]]) -> bool:
        """True when it has all these attributes, by name and text."""
        return all(
            name in self.attributes and attribute_text(self.attributes[name]) == text
            for name, text in attributes
        )

    def is_held_by(self, owner: str) -> bool:
        """True for its owner, or for one of its owners."""
        return owner in (self.sharers or (self.owner,))

    def without(self, owner: str) -> Self:
        """A shared address without one of its owners."""
        return replace(self, sharers=tuple(each for each in self.sharers if each != owner))

    @property
    def owners_text(self) -> str:
        """Its owner, or all of them."""
        return ", ".join(self.sharers) or self.owner

    @property
    def text(self) -> str:
        """The address in text."""
        return format_address(self.family, self.address)
