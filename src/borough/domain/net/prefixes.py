"""Prefixes as integers: parse, format, split, cover.

A :class:`Prefix` is an aligned piece of address space with a power of two of addresses. All stored
address space (subnets, blocks, free ranges, pool prefixes) has this shape.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from borough.domain.net.addresses import WIDTH, Family, format_address, parse_address
from borough.errors import FixInput, InvalidAddress, InvalidPrefix


class Prefix(NamedTuple):
    """An aligned piece of ``2 ** (width - length)`` addresses.

    :ivar family: 4 or 6.
    :ivar base: the lowest address, as an integer.
    :ivar length: the prefix length in bits.
    """

    family: Family
    base: int
    length: int

    @property
    def size(self) -> int:
        """Number of addresses covered."""
        return 1 << WIDTH[self.family] - self.length

    @property
    def last(self) -> int:
        """The highest address covered."""
        return self.base + self.size - 1

    @property
    def buddy(self) -> Prefix:
        """The prefix that together with this one forms :attr:`parent`; a /0 has none."""
        return Prefix(self.family, self.base ^ self.size, self.length)

    @property
    def parent(self) -> Prefix:
        """The prefix one bit shorter that covers this one; a /0 has none."""
        return enclosing(self.family, self.base, self.length - 1)

    def halves(self) -> tuple[Prefix, Prefix]:
        """The lower and the upper half."""
        half = self.size >> 1
        return (
            Prefix(self.family, self.base, self.length + 1),
            Prefix(self.family, self.base + half, self.length + 1),
        )

    def holds(self, address: int) -> bool:
        """True when an address of the same family lies inside."""
        return self.base <= address <= self.last

    def covers(self, other: Prefix) -> bool:
        """True when every address of ``other`` lies inside."""
        return (
            self.family == other.family
            and self.length <= other.length
            and self.base <= other.base <= self.last
        )

    def overlaps(self, other: Prefix) -> bool:
        """True when the two share an address."""
        return self.covers(other) or other.covers(self)

    def __str__(self) -> str:
        return f"{format_address(self.family, self.base)}/{self.length}"


def enclosing(family: Family, address: int, length: int) -> Prefix:
    """The prefix of the given length that an address lies in."""
    host_bits = WIDTH[family] - length
    return Prefix(family, address >> host_bits << host_bits, length)


def parse_prefix(text: str) -> Prefix:
    """Read ``address/length`` strictly: the length is required and host bits must be zero.

    :raises InvalidPrefix: for anything else; for host bits the message names the enclosing prefix.
    """
    text = str(text)
    address_text, slash, length_text = text.partition("/")
    if not slash or not (length_text.isascii() and length_text.isdigit()):
        raise InvalidPrefix(f"{text!r} is not a prefix; write address/length", prefix=text)
    try:
        family, address = parse_address(address_text)
    except InvalidAddress as error:
        raise InvalidPrefix(f"{text!r} is not a prefix: {error.message}", prefix=text) from None
    # Python refuses to convert thousands of digits.
    length = int(length_text[:4])
    if length > WIDTH[family] or (len(length_text) > 1 and length_text[0] == "0"):
        raise InvalidPrefix(
            f"{text!r}: a prefix length is between 0 and {WIDTH[family]}", prefix=text
        )
    prefix = enclosing(family, address, length)
    if prefix.base != address:
        raise InvalidPrefix(f"{text!r} has host bits set; did you mean {prefix}?", prefix=text)
    return prefix


def parse_interval(text: str) -> tuple[Family, int, int]:
    """Read ``first-last``, a single address, or a prefix.

    :return: the family, the first and the last address.
    :raises FixInput: (or a subclass) when it is none of these.
    """
    text = str(text).strip()
    if "/" in text:
        piece = parse_prefix(text)
        return piece.family, piece.base, piece.last
    first_text, dash, last_text = text.partition("-")
    family, first = parse_address(first_text.strip())
    other, last = parse_address(last_text.strip()) if dash else (family, first)
    if family != other or first > last:
        raise FixInput(f"range {text!r} runs backwards, or from one family to the other")
    return family, first, last


def span(family: Family, first: int, last: int) -> Iterator[Prefix]:
    """The fewest prefixes that together are exactly ``first`` to ``last``, ascending."""
    width = WIDTH[family]
    while first <= last:
        aligned = (first & -first).bit_length() - 1 if first else width
        bits = min(aligned, (last - first + 1).bit_length() - 1)
        yield Prefix(family, first, width - bits)
        first += 1 << bits


def merge_intervals(intervals: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Sort closed intervals and join those that overlap or touch."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(intervals):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return merged


def subtract(
    intervals: Iterable[tuple[int, int]], holes: Iterable[tuple[int, int]]
) -> list[tuple[int, int]]:
    """Closed intervals without the holes, sorted."""
    cuts = merge_intervals(holes)
    left: list[tuple[int, int]] = []
    position = 0
    for start, last in merge_intervals(intervals):
        while position < len(cuts) and cuts[position][1] < start:
            position += 1
        at, first = position, start
        while at < len(cuts) and cuts[at][0] <= last:
            if cuts[at][0] > first:
                left.append((first, cuts[at][0] - 1))
            first = cuts[at][1] + 1
            at += 1
        if first <= last:
            left.append((first, last))
    return left


def free_prefixes(within: Iterable[Prefix], taken: Iterable[Prefix]) -> list[Prefix]:
    """The largest aligned prefixes that are inside ``within`` and clear of ``taken``, ascending.

    None spans two of ``within``, not even adjacent ones; nested ones count once. All arguments
    share one family.
    """
    holes = merge_intervals((prefix.base, prefix.last) for prefix in taken)
    starts = [first for first, _ in holes]
    free: list[Prefix] = []
    for whole in outermost(within):
        near = holes[
            max(bisect_right(starts, whole.base) - 1, 0) : bisect_right(starts, whole.last)
        ]
        for first, last in subtract([(whole.base, whole.last)], near):
            free += span(whole.family, first, last)
    return free


def outermost(prefixes: Iterable[Prefix]) -> list[Prefix]:
    """Prefixes without those inside another one, ascending."""
    kept: list[Prefix] = []
    for prefix in sorted(prefixes):
        if not kept or not kept[-1].covers(prefix):
            kept.append(prefix)
    return kept


def best_fit(free: Iterable[Prefix], length: int) -> Prefix | None:
    """The start of the smallest free prefix that holds a prefix of ``length``, the lowest of equals.

    The largest free prefixes stay whole.
    """
    fitting = [prefix for prefix in free if prefix.length <= length]
    if not fitting:
        return None
    chosen = max(fitting, key=lambda prefix: (prefix.length, -prefix.base))
    return Prefix(chosen.family, chosen.base, length)
