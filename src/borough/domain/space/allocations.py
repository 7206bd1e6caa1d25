"""Rows of allocations."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

from borough.domain.declared.records import Subnet
from borough.domain.net.addresses import Family, format_address
from borough.domain.request import Request


class State(StrEnum):
    """The life of an allocation."""

    ALLOCATED = "allocated"
    COOLING = "cooling"


def attribute_text(value: Any) -> str:
    """The value of an attribute as it is searched: text as it is, other values as JSON."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


@dataclass(frozen=True, slots=True)
class AllocationRow:
    """One address held by an owner.

    :ivar sequence: never repeats for the address (rule 8).
    :ivar at: when it was allocated, in microseconds.
    :ivar until: when a cooling address is free again, in microseconds; None while allocated.
    :ivar version: number of changes of its host, owner, note, attributes or subnet.
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
    version: int = 0

    @classmethod
    def granted(cls, request: Request, subnet: Subnet, address: int, at: int) -> Self:
        """A new allocation for a request."""
        return cls(
            scope=subnet.scope,
            family=subnet.family,
            address=address,
            subnet_id=subnet.id,
            owner=request.owner,
            host=request.host,
            attributes=request.attributes,
            note=request.note,
            at=at,
        )

    def carries(self, attributes: Iterable[tuple[str, str]]) -> bool:
        """True when it has all these attributes, by name and text."""
        return all(
            name in self.attributes and attribute_text(self.attributes[name]) == text
            for name, text in attributes
        )

    @property
    def text(self) -> str:
        """The address in text."""
        return format_address(self.family, self.address)
