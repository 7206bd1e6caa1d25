"""Entries of new subnets in the place of old ones: a subnet split, or several merged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from borough.domain.declared.records import Interval, Subnet
from borough.domain.net.addresses import WIDTH, format_interval
from borough.domain.net.prefixes import Prefix, enclosing
from borough.engine.topology.writer import write_subnet
from borough.errors import FixInput

#: Most parts of a split.
PARTS = 256


def parts_of(subnet: Subnet, length: int) -> list[dict[str, Any]]:
    """The entries of the parts of a subnet, named ``NAME-1``, ``NAME-2`` and so on.

    Ranges, exclusions and the gateway go to the parts that they lie in.

    :param length: prefix length of the parts.
    :raises FixInput: there would be no parts, or too many.
    """
    whole = subnet.prefix
    if not whole.length < length <= whole.length + PARTS.bit_length() - 1:
        raise FixInput(
            f"{subnet.name} ({subnet.prefix}) is split into prefixes that are longer than /{whole.length}, "
            f"at most {PARTS} of them",
            length=length,
        )
    step = 1 << (WIDTH[whole.family] - length)
    parts = [Prefix(whole.family, base, length) for base in range(whole.base, whole.last + 1, step)]
    entry = write_subnet(subnet)
    return [
        entry
        | {
            "name": f"{subnet.name}-{at}",
            "cidr": str(part),
            "gateway": entry.get("gateway") if _holds(part, subnet.gateway) else None,
            "ranges": None if subnet.ranges is None else _within(part, subnet.ranges),
            "exclude": _within(part, subnet.excluded),
        }
        for at, part in enumerate(parts, 1)
    ]


def merged(subnets: Sequence[Subnet], name: str) -> dict[str, Any]:
    """The entry of one subnet in the place of several, with the settings of the first.

    Its prefix is the shortest one that covers them. A subnet that is not named and lies in it is refused
    when it is added.

    :param name: its name.
    :raises FixInput: there is one subnet only, or they are of two scopes or families.
    """
    if len({each.name for each in subnets}) < 2:
        raise FixInput("name at least two subnets to merge")
    if len({(each.scope, each.family) for each in subnets}) > 1:
        raise FixInput("subnets of one scope and family are merged")
    if len({str(dict(each.labels)) for each in subnets}) > 1:
        raise FixInput("subnets with the same labels are merged; edit the labels first")
    prefixes = [each.prefix for each in subnets]
    family = prefixes[0].family
    low, high = min(each.base for each in prefixes), max(each.last for each in prefixes)
    length = min(each.length for each in prefixes)
    while enclosing(family, low, length).last < high:
        length -= 1
    whole = enclosing(family, low, length)
    entries = [write_subnet(each) for each in subnets]
    ranges = None
    if any(each.ranges is not None for each in subnets):
        # A subnet without ranges has all of its addresses as one range.
        ranges = [text for each in entries for text in each.get("ranges", [each["cidr"]])]
    return entries[0] | {
        "name": name,
        "cidr": str(whole),
        "gateway": next((each["gateway"] for each in entries if "gateway" in each), None),
        "ranges": ranges,
        "exclude": [text for each in entries for text in each.get("exclude", ())],
    }


def _holds(part: Prefix, address: int | None) -> bool:
    return address is not None and part.holds(address)


def _within(part: Prefix, ranges: Sequence[Interval]) -> list[str]:
    """The pieces of ranges that lie in a prefix."""
    cut = ((max(first, part.base), min(last, part.last)) for first, last in ranges)
    return [format_interval(part.family, low, high) for low, high in cut if low <= high]
