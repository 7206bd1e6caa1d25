"""Dimensions, labels and how one subnet matches one request in one dimension.

This module is rules 1 to 3 of ``docs/reference/rules.md``: boundaries, selection, implied labels.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import IntEnum, StrEnum
from typing import Any, Final

from borough.errors import InvalidLabel

#: The dimension that a request's host selects.
HOST: Final = "host"

#: Longest dimension name and label value, in characters.
NAME_LIMIT: Final = 64
VALUE_LIMIT: Final = 255

#: Reserved as the name of a dimension: among a host's labels this key holds its claim settings.
SETTINGS: Final = "claims"

_NAME = re.compile(r"[a-z][a-z0-9_-]*")

#: Some fields of :class:`ClaimSettings`, by name.
Settings = Mapping[str, Any]

#: Values by dimension name. A missing dimension and an empty set mean the same: unlabelled.
Labels = Mapping[str, frozenset[str]]


class Fallback(StrEnum):
    """Subnets that a dimension allows when no matching subnet has a free address."""

    NONE = "none"
    UNLABELLED = "unlabelled"
    ANY = "any"


class AtCap(StrEnum):
    """Treatment of a request when its claimant has reached its cap."""

    BORROW = "borrow"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class ClaimSettings:
    """Settings for the claims of a value (a host, a rack) of a claiming dimension. Sizes are in addresses.

    :ivar block: size of a first claim, a power of two of at most 64.
    :ivar expected: addresses that one value is expected to hold; 0: not known. A new region has the
        size that is missing of it, but at most a quarter of the free range.
    :ivar largest: the size at which a region stops doubling, a power of two.
    :ivar cap: the most that one value claims in subnets of equal preference; 0: no cap.
    :ivar at_cap: at the cap, allocate single addresses with a route each, or fail.
    :ivar borrow: true when single addresses of other holders' regions may be allocated if nothing else
        is free; false makes the request fail.
    """

    block: int = 16
    expected: int = 0
    largest: int = 65536
    cap: int = 0
    at_cap: AtCap = AtCap.BORROW
    borrow: bool = True

    @property
    def differences(self) -> dict[str, Any]:
        """Settings that differ from the defaults, by name."""
        usual = ClaimSettings()
        return {
            each.name: getattr(self, each.name)
            for each in fields(self)
            if getattr(self, each.name) != getattr(usual, each.name)
        }

    def with_settings(self, settings: Settings) -> ClaimSettings:
        """These settings, overridden by those of a subnet or a host."""
        if not settings:
            return self
        # A store returns plain text.
        at_cap = AtCap(settings.get("at_cap", self.at_cap))
        return replace(self, **{**settings, "at_cap": at_cap})


class Match(IntEnum):
    """Fit of a subnet for a request in one dimension; lower is better."""

    SAME = 0
    UNLABELLED = 1
    OTHER = 2
    OUTSIDE_BOUNDARY = 3


@dataclass(frozen=True, slots=True)
class Dimension:
    """One orthogonal way to group subnets.

    :ivar name: lower-case identifier.
    :ivar fallback: the subnets that a request may use when no matching address is free.
    :ivar rank: position in the order of importance; lower is more important.
    :ivar claims: true when a value (a host, a rack) claims blocks. Only fallback ``any`` allows it.
    :ivar claiming: the settings of its claims.
    :ivar declared: true when a request may name declared hosts only; for the host dimension.
    """

    name: str
    fallback: Fallback
    rank: int
    claims: bool = False
    claiming: ClaimSettings = field(default_factory=ClaimSettings)
    declared: bool = False

    @property
    def is_boundary(self) -> bool:
        """True when a label in this dimension excludes requests that do not name it (rule 1)."""
        return self.fallback is not Fallback.ANY


#: The dimensions that every database has, in their default order of importance.
BUILT_IN: Final[tuple[Dimension, ...]] = (
    Dimension("network", Fallback.NONE, 0),
    Dimension("segment", Fallback.NONE, 1),
    Dimension("service_type", Fallback.UNLABELLED, 2),
    Dimension(HOST, Fallback.ANY, 3, claims=True),
)


def match(
    dimension: Dimension,
    on_subnet: frozenset[str],
    requested: frozenset[str] | None,
    *,
    implied: bool = False,
) -> Match:
    """Compare the labels of a subnet with a request in one dimension.

    :param on_subnet: the subnet's labels in the dimension.
    :param requested: the values that the request names or its host implies; None for neither.
    :param implied: true when ``requested`` comes from the host (rule 3), not from the request (rule 2).
    :return: :attr:`Match.OUTSIDE_BOUNDARY` when the request must not use the subnet.
    """
    if requested is None:
        # Rule 1. A soft label that the request does not name neither attracts nor excludes.
        return Match.OUTSIDE_BOUNDARY if on_subnet and dimension.is_boundary else Match.SAME
    if on_subnet & requested:
        return Match.SAME
    if not on_subnet:
        # A named hard dimension excludes unlabelled subnets; an implied one admits them.
        hard = dimension.fallback is Fallback.NONE and not implied
        return Match.OUTSIDE_BOUNDARY if hard else Match.UNLABELLED
    return Match.OUTSIDE_BOUNDARY if dimension.is_boundary else Match.OTHER


def check_name(name: str) -> str:
    """Accept a dimension's name.

    :raises InvalidLabel: unless it is a short lower-case identifier.
    """
    if not isinstance(name, str) or len(name) > NAME_LIMIT or not _NAME.fullmatch(name):
        raise InvalidLabel(
            f"{name!r} cannot name a dimension: use up to {NAME_LIMIT} of a-z, 0-9, _ and -, "
            "starting with a letter"
        )
    if name == SETTINGS:
        raise InvalidLabel(
            f"{name!r} cannot name a dimension: it is the settings of a host's claims"
        )
    return name


def check_value(dimension: str, value: str) -> str:
    """Accept a label's value.

    :raises InvalidLabel: when it is empty, too long, padded with blanks or holds control characters.
    """
    if not isinstance(value, str):
        raise InvalidLabel(
            f"a label of {dimension} must be text, not {value!r}", dimension=dimension
        )
    if not value or len(value) > VALUE_LIMIT:
        raise InvalidLabel(
            f"a label of {dimension} must have 1 to {VALUE_LIMIT} characters, this has {len(value)}",
            dimension=dimension,
        )
    if value != value.strip() or not value.isprintable():
        raise InvalidLabel(
            f"label {value!r} of {dimension} has blanks at an end or characters that cannot be printed",
            dimension=dimension,
        )
    return value


def make_labels(labels: Mapping[str, str | Iterable[str]]) -> dict[str, frozenset[str]]:
    """Parse labels as callers write them: each dimension has one value or several.

    :raises InvalidLabel: for a bad name or value.
    """
    made: dict[str, frozenset[str]] = {}
    for name, raw in labels.items():
        check_name(name)
        if not isinstance(raw, str | Iterable):
            raise InvalidLabel(f"a label of {name} must be text, not {raw!r}", dimension=name)
        values = [raw] if isinstance(raw, str) else list(raw)
        made[name] = frozenset(check_value(name, value) for value in values)
    return {name: values for name, values in made.items() if values}
