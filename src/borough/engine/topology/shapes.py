"""Settings of new subnets in the place of old ones: a subnet split, or several merged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from borough.domain.net.addresses import WIDTH, format_address, parse_address
from borough.domain.net.prefixes import Prefix, enclosing, parse_interval, parse_prefix
from borough.engine.views import SubnetView
from borough.errors import FixInput

#: Most parts of a split.
PARTS = 256


def settings_of(subnet: SubnetView) -> dict[str, Any]:
    """The settings that :meth:`borough.engine.face.Face.add_subnet` takes, of a subnet that exists."""
    return {
        "name": subnet.name,
        "cidr": subnet.prefix,
        "scope": subnet.scope,
        "gateway": subnet.gateway,
        "ranges": None if subnet.ranges is None else list(subnet.ranges),
        "exclude": list(subnet.exclude),
        "closed": subnet.closed,
        "labels": dict(subnet.labels),
        "weight": subnet.weight,
        "project": subnet.project,
        "cooldown": subnet.cooldown,
        "attributes": dict(subnet.attributes),
        "claims": dict(subnet.claims),
    }


def parts_of(subnet: SubnetView, length: int) -> list[dict[str, Any]]:
    """The settings of the parts of a subnet, named ``NAME-1``, ``NAME-2`` and so on.

    Ranges, exclusions and the gateway go to the parts that they lie in.

    :param length: prefix length of the parts.
    :raises FixInput: there would be no parts, or too many.
    """
    whole = parse_prefix(subnet.prefix)
    if not whole.length < length <= whole.length + PARTS.bit_length() - 1:
        raise FixInput(
            f"{subnet.name} ({subnet.prefix}) is split into prefixes that are longer than /{whole.length}, "
            f"at most {PARTS} of them",
            length=length,
        )
    step = 1 << (WIDTH[whole.family] - length)
    parts = [Prefix(whole.family, base, length) for base in range(whole.base, whole.last + 1, step)]
    return [
        settings_of(subnet)
        | {
            "name": f"{subnet.name}-{at}",
            "cidr": str(part),
            "gateway": subnet.gateway if _holds(part, subnet.gateway) else None,
            "ranges": None if subnet.ranges is None else _within(part, subnet.ranges),
            "exclude": _within(part, subnet.exclude),
        }
        for at, part in enumerate(parts, 1)
    ]


def merged(subnets: Sequence[SubnetView], name: str) -> dict[str, Any]:
    """The settings of one subnet in the place of several, with those of the first.

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
    prefixes = [parse_prefix(each.prefix) for each in subnets]
    family = prefixes[0].family
    low, high = min(each.base for each in prefixes), max(each.last for each in prefixes)
    length = min(each.length for each in prefixes)
    while enclosing(family, low, length).last < high:
        length -= 1
    whole = enclosing(family, low, length)
    gateways = [each.gateway for each in subnets if each.gateway]
    ranges = None
    if any(each.ranges is not None for each in subnets):
        # A subnet without ranges has all of its addresses as one range.
        ranges = [
            text
            for each in subnets
            for text in ([each.prefix] if each.ranges is None else each.ranges)
        ]
    return settings_of(subnets[0]) | {
        "name": name,
        "cidr": str(whole),
        "gateway": gateways[0] if gateways else None,
        "ranges": ranges,
        "exclude": [text for each in subnets for text in each.exclude],
    }


def _holds(part: Prefix, address: str | None) -> bool:
    return address is not None and part.holds(parse_address(address)[1])


def _within(part: Prefix, ranges: Sequence[str]) -> list[str]:
    """The pieces of ranges that lie in a prefix."""
    found = []
    for text in ranges:
        family, first, last = parse_interval(text)
        low, high = max(first, part.base), min(last, part.last)
        if low <= high:
            found.append(f"{format_address(family, low)}-{format_address(family, high)}")
    return found
