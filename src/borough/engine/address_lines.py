"""The addresses of a subnet in order: held ones one by one, all others as ranges."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, cast

from borough.domain.declared.records import Subnet
from borough.domain.net.addresses import format_address, parse_address
from borough.domain.net.prefixes import subtract
from borough.engine.queries import find_subnet
from borough.engine.request import check_page
from borough.engine.views import Allocation, show_all
from borough.errors import FixInput
from borough.store.port import ReadUnit

#: Lines of a page by default.
LINES: Final = 1000

LineState = Literal["allocated", "cooling", "reserved", "free", "by_name", "never"]


@dataclass(frozen=True, slots=True)
class AddressLine:
    """An address that is held, or a range of addresses that nobody holds.

    :ivar last: the same as `first` for an address that is held.
    :ivar state: `allocated`, `cooling` or `reserved`; `free`: a request for any address may get it;
        `by_name`: free, but outside the ranges, excluded or the gateway, so that only a request that names
        it gets it; `never`: no request gets it, such as the broadcast address.
    :ivar allocation: that of an address that is held.
    """

    first: str
    last: str
    state: LineState
    allocation: Allocation | None


@dataclass(frozen=True, slots=True)
class LineQuery:
    """Lines of a subnet.

    :ivar after: only addresses behind this one, in text; None for all.
    :ivar limit: most lines; None for all.
    """

    subnet: str
    after: str | None = None
    limit: int | None = LINES


def parse_lines(subnet: str, *, after: str | None = None, limit: int | None = LINES) -> LineQuery:
    """Parse a question for the addresses of a subnet.

    :param subnet: its name.
    :param after: only addresses behind this one, to page through: the ``last`` of the line before.
    :param limit: most lines; None for all.
    :raises FixInput: (or a subclass) for a value that is not allowed.
    """
    check_page(0, limit)
    if after is not None:
        parse_address(after)
    return LineQuery(subnet, after, limit)


def address_lines(unit: ReadUnit, wanted: LineQuery) -> list[AddressLine]:
    """See :meth:`borough.engine.face.Face.addresses`."""
    subnet = find_subnet(unit.catalogue, wanted.subnet)
    start = _start(subnet, wanted.after)
    if start > subnet.prefix.last:
        return []
    held = unit.allocations_from(subnet.id, start, wanted.limit)
    # Behind the last one that was read there may be more: the ranges end with it.
    whole = wanted.limit is None or len(held) < wanted.limit
    end = subnet.prefix.last if whole else held[-1].address
    made: list[AddressLine] = []
    for row, shown in zip(held, show_all(unit, held), strict=True):
        made += _unheld(subnet, start, row.address - 1)
        state = cast("LineState", shown.state)
        made.append(AddressLine(shown.address, shown.address, state, shown))
        start = row.address + 1
    made += _unheld(subnet, start, end)
    return made[: wanted.limit]


def _start(subnet: Subnet, after: str | None) -> int:
    if after is None:
        return subnet.prefix.base
    family, number = parse_address(after)
    if family != subnet.family or not subnet.prefix.holds(number):
        raise FixInput(f"{after} is not in subnet {subnet.name} ({subnet.prefix})", after=after)
    return number + 1


def _unheld(subnet: Subnet, first: int, last: int) -> Iterator[AddressLine]:
    """The ranges between two addresses that nobody holds, by address."""
    if first > last:
        return
    usable = subnet.usable_in(first, last)
    never = [(each, each) for each in sorted(subnet.never) if first <= each <= last]
    parts: list[tuple[tuple[int, int], LineState]] = [(each, "free") for each in usable]
    parts += [(each, "never") for each in never]
    parts += [(each, "by_name") for each in subtract([(first, last)], [*usable, *never])]
    for (start, end), state in sorted(parts):
        first_text, last_text = (format_address(subnet.family, each) for each in (start, end))
        yield AddressLine(first_text, last_text, state, None)
