"""Single settings of declared objects, as files and callers write them, checked one by one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from borough.domain.declared.dimensions import AtCap, ClaimSettings, Fallback, Settings
from borough.domain.declared.lookup import did_you_mean
from borough.domain.declared.records import Subnet
from borough.domain.net.addresses import Family, parse_address
from borough.domain.net.prefixes import Prefix, parse_interval
from borough.domain.space.blocks import BLOCK_BITS
from borough.domain.text import parse_duration
from borough.errors import FixInput

#: Fields of a subnet in a topology file.
SUBNET_FIELDS: Final = (
    "name",
    "cidr",
    "scope",
    "gateway",
    "ranges",
    "exclude",
    "closed",
    "labels",
    "weight",
    "project",
    "cooldown",
    "claims",
    "attributes",
)

#: Weights go from minus this to plus this.
WEIGHT_LIMIT: Final = 1000

_TRUTHS: Final = {"true": True, "True": True, "TRUE": True} | {
    "false": False,
    "False": False,
    "FALSE": False,
}


def parse_text(value: object) -> str:
    """Accept a text of any kind.

    :raises FixInput: when it is none.
    """
    if not isinstance(value, str):
        raise FixInput(f"must be text, not {type(value).__name__}")
    return value


def parse_cooldown(value: object) -> int:
    """Read a cool-down: seconds, or text such as ``30s``, ``5m``, ``2h``, ``1d``.

    :return: seconds.
    :raises FixInput: for anything else, or more than a year.
    """
    return parse_duration("a cool-down", value)


def parse_range(text: str, prefix: Prefix) -> tuple[int, int]:
    """Read addresses of a subnet: ``first-last``, a single address, or a prefix.

    :raises FixInput: (or a subclass) when it is none of these, or does not lie in the subnet.
    """
    family, first, last = parse_interval(parse_text(text))
    if family != prefix.family or not (prefix.holds(first) and prefix.holds(last)):
        raise FixInput(f"range {text.strip()!r} does not lie in {prefix}")
    return first, last


def check_gateway(family: Family, address: int, prefix: Prefix) -> int:
    """Accept a gateway of a subnet.

    :raises FixInput: when it is no address that somebody could hold there.
    """
    place = Subnet(0, "", "", prefix)
    if family != prefix.family or not prefix.holds(address) or address in place.never:
        raise FixInput(f"the gateway is no usable address of {prefix}")
    return address


def parse_gateway(value: object, prefix: Prefix) -> int:
    """Read a gateway of a subnet.

    :raises FixInput: (or a subclass) when it is no address that somebody could hold there.
    """
    family, address = parse_address(parse_text(value))
    return check_gateway(family, address, prefix)


def parse_fallback(value: object) -> Fallback:
    """Read a dimension's fallback.

    :raises FixInput: when it is none of the three.
    """
    try:
        return Fallback(parse_text(value))
    except ValueError:
        raise FixInput(
            f"a fallback is none, unlabelled or any, not {value!r}"
            + did_you_mean(parse_text(value), [each.value for each in Fallback])
        ) from None


def parse_boolean(value: object) -> bool:
    """Read true or false, as YAML 1.2 spells them; ``yes`` and ``no`` are neither.

    :raises FixInput: for anything else.
    """
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value in _TRUTHS:
        return _TRUTHS[value]
    raise FixInput(f"must be true or false, not {value!r}")


def whole(low: int, high: int) -> Callable[[Any], int]:
    """A reader of whole numbers within bounds; it raises :class:`FixInput` for anything else."""

    def parse(value: Any) -> int:
        good = isinstance(value, str | int) and not isinstance(value, bool)
        text = str(value)
        if not good or not re.fullmatch(r"-?[0-9]{1,20}", text):
            raise FixInput(f"must be a whole number, not {value!r}")
        if not low <= int(text) <= high:
            raise FixInput(f"must be from {low} to {high}, not {text}")
        return int(text)

    return parse


def power_of_two(low: int, high: int) -> Callable[[Any], int]:
    """A reader of powers of two within bounds; it raises :class:`FixInput` for anything else."""

    def parse(value: Any) -> int:
        number = whole(low, high)(value)
        if number & number - 1:
            raise FixInput(f"must be a power of two, not {number}")
        return number

    return parse


def parse_at_cap(value: object) -> AtCap:
    """Read what happens at a cap.

    :raises FixInput: when it is neither of the two.
    """
    try:
        return AtCap(parse_text(value))
    except ValueError:
        raise FixInput(f"at a cap is borrow or fail, not {value!r}") from None


#: Readers of the fields of :class:`borough.domain.declared.dimensions.Claiming`, by name.
CLAIMING: Final[Mapping[str, Callable[[Any], Any]]] = {
    "block": power_of_two(1, 1 << BLOCK_BITS),
    "expected": whole(0, 1 << 24),
    "largest": power_of_two(1, 1 << 24),
    "cap": whole(0, 1 << 31),
    "at_cap": parse_at_cap,
    "borrow": parse_boolean,
}


def parse_claiming(value: object) -> Settings:
    """Read how space is claimed: fields of :class:`~borough.domain.declared.dimensions.Claiming`.

    :raises FixInput: for anything else.
    """
    if not isinstance(value, Mapping):
        raise FixInput(f"must be a mapping, not {value!r}")
    for name in value:
        if name not in CLAIMING:
            raise FixInput(f"there is no setting {name!r}" + did_you_mean(str(name), CLAIMING))
    return check_claiming({name: CLAIMING[name](each) for name, each in value.items()})


def check_claiming(settings: Settings) -> Settings:
    """Accept settings that go together.

    :raises FixInput: when a first claim would be larger than a region may grow.
    """
    claiming = ClaimSettings().with_settings(settings)
    if claiming.block > claiming.largest:
        raise FixInput(
            f"a first claim of {claiming.block} is larger than the largest region, {claiming.largest}"
        )
    return settings
