"""The fewest prefixes that hosts advertise so that longest match finds every address.

The fabric forwards by the longest matching prefix (RFC 1812, 5.2.4.3). An address must lead to the host
that holds it. A claimed address that no host holds must lead to its claimant, so that the next
allocation there needs no announcement. The result is minimal over all hosts of one scope and family:

*strict*: a prefix covers only addresses that its host holds or has claimed.

*lpm*: a prefix may cover anything inside the declared subnets; longer prefixes of other hosts are the
exceptions. Addresses that are neither held nor claimed may lead anywhere.

Both are dynamic programs over the binary trie of the addresses, from the longest prefixes up. The cost
depends on the nodes with something on both sides, not on the size of the space. No prefix is advertised
by two hosts: that would spread its traffic over both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeVar

from borough.domain.net.addresses import WIDTH, Family
from borough.domain.net.prefixes import Prefix, enclosing, merge_intervals, span, subtract

T = TypeVar("T")

#: Advertised prefixes by host, ascending; hosts that advertise nothing are left out.
Routes = dict[str, list[Prefix]]

#: Closed interval of addresses.
Interval = tuple[int, int]

#: No host.
_NOBODY: Final = ""

#: More prefixes than there can be.
_ASTRAY: Final = 1 << 160


class Territory(NamedTuple):
    """The address space of one host in one scope and family.

    :ivar claimed: the prefixes that its claims route; no two hosts claim the same address.
    :ivar held: the addresses that it holds, inside or outside of its regions.
    :ivar around: the prefixes of its regions that contain loans, which it may cover: the prefixes of their
        holders are longer. They may be nested.
    """

    claimed: Iterable[Prefix]
    held: Iterable[int]
    around: Iterable[Prefix] = ()


def minimal(family: Family, intervals: Iterable[Interval]) -> list[Prefix]:
    """The fewest prefixes that cover exactly the union of closed intervals, ascending.

    :param intervals: first and last address of each, in any order; they may overlap or touch.
    """
    return [
        prefix for first, last in merge_intervals(intervals) for prefix in span(family, first, last)
    ]


# --- Where each address must lead -------------------------------------------------------------


class _Piece(NamedTuple):
    """Addresses that lead to one host.

    :ivar rivals: the other hosts that may cover them: those that have claimed or lent them.
    """

    first: int
    last: int
    owner: str
    rivals: tuple[str, ...] = ()


def _pieces(hosts: Mapping[str, Territory]) -> Iterator[_Piece]:
    """The pieces of all hosts, ascending; equal neighbours are joined."""
    found: _Piece | None = None
    for piece in _lent(hosts, _cut(hosts)):
        if found and found.last + 1 == piece.first and found[2:] == piece[2:]:
            found = found._replace(last=piece.last)
            continue
        if found:
            yield found
        found = piece
    if found:
        yield found


def _cut(hosts: Mapping[str, Territory]) -> Iterator[_Piece]:
    """Cut the addresses held out of the claims around them."""
    claims = sorted(
        (prefix.base, prefix.last, host)
        for host, territory in hosts.items()
        for prefix in territory.claimed
    )
    held = iter(
        sorted({(each, host) for host, territory in hosts.items() for each in territory.held})
    )
    nothing = (-1, _NOBODY)
    address, holder = next(held, nothing)
    at = 0
    for first, last, claimant in claims:
        at = max(at, first)
        while holder and address <= last:
            if address > at:
                yield _Piece(at, address - 1, claimant)
            rivals = (claimant,) if address >= first and claimant != holder else ()
            yield _Piece(address, address, holder, rivals)
            at = max(at, address + 1)
            address, holder = next(held, nothing)
        if at <= last:
            yield _Piece(at, last, claimant)
        at = max(at, last + 1)
    while holder:
        yield _Piece(address, address, holder)
        address, holder = next(held, nothing)


def _lent(hosts: Mapping[str, Territory], pieces: Iterable[_Piece]) -> Iterator[_Piece]:
    """Add the lenders to the rivals of each piece; none straddles the edge of a region."""
    regions = iter(
        sorted(
            (prefix.base, -prefix.last, host)
            for host, territory in hosts.items()
            for prefix in territory.around
        )
    )
    none = (1 << 129, 0, _NOBODY)
    base, last, host = next(regions, none)
    open_regions: list[tuple[int, str]] = []
    for piece in pieces:
        while base <= piece.first:
            open_regions.append((-last, host))
            base, last, host = next(regions, none)
        open_regions = [each for each in open_regions if each[0] >= piece.first]
        lenders = {each for _, each in open_regions} - {piece.owner, *piece.rivals}
        yield piece._replace(rivals=(*piece.rivals, *sorted(lenders))) if lenders else piece


def _fold(width: int, leaves: Iterable[tuple[int, T]], join: Callable[[T, T, int], T]) -> T:
    """Fold disjoint prefixes over the binary trie that they span, the longest first.

    :param leaves: the base and the value of each, ascending; at least one.
    :param join: makes the value of two neighbours, from the length of the longest prefix that covers both.
    """
    trees: list[T] = []
    lengths: list[int] = []  # of the prefix that covers the ends of two neighbouring trees
    before = 0
    for base, leaf in leaves:
        if trees:
            length = width - (before ^ base).bit_length()
            while lengths and lengths[-1] > length:
                right = trees.pop()
                trees[-1] = join(trees[-1], right, lengths.pop())
            lengths.append(length)
        trees.append(leaf)
        before = base
    while lengths:
        right = trees.pop()
        trees[-1] = join(trees[-1], right, lengths.pop())
    return trees[0]


# --- Strict -----------------------------------------------------------------------------------


@dataclass(slots=True)
class _Strict:
    """A node of the trie.

    The keys are the hosts that may cover all of it, and no host.

    :ivar costs: the fewest prefixes at and below it, by the host that a shorter prefix leads to.
    :ivar splits: the same, when the node itself is not advertised.
    """

    prefix: Prefix
    costs: dict[str, int]
    splits: dict[str, int]
    sides: tuple[_Strict, ...] = ()

    def best(self) -> str:
        """The host that advertises it at the least cost; empty when no host may."""
        hosts = [host for host in self.splits if host]
        return min(hosts, key=lambda host: (self.splits[host], host), default=_NOBODY)


def strict_routes(family: Family, hosts: Mapping[str, Territory]) -> Routes:
    """The fewest prefixes that lead to every address and cover no address of another host.

    Usually these are, host by host, the fewest prefixes that cover exactly its space. But a claim in which
    other hosts hold every address needs no prefix. Inside a prefix of another host, a prefix for such a
    claim would divert the traffic of that host.

    :param hosts: the space of each host in this family.
    """
    leaves = [
        (prefix.base, _strict_leaf(prefix, piece))
        for piece in _pieces(hosts)
        for prefix in span(family, piece.first, piece.last)
    ]
    made: Routes = {}
    todo = [(_fold(WIDTH[family], leaves, _join_strict), _NOBODY)] if leaves else []
    while todo:
        node, above = todo.pop()
        best = node.best()
        # Of equals the shorter prefix: it remains when a borrowed address is released.
        if best not in (_NOBODY, above) and node.splits[best] + 1 <= node.splits[above]:
            made.setdefault(best, []).append(node.prefix)
            above = best
        todo += [(side, above) for side in node.sides]
    return {host: sorted(made[host]) for host in sorted(made)}


def _strict_leaf(prefix: Prefix, piece: _Piece) -> _Strict:
    costs = {_NOBODY: 1, piece.owner: 0}
    # Without a prefix of its own the traffic is lost, which costs more than any number of prefixes.
    splits = {_NOBODY: _ASTRAY, piece.owner: 0}
    for rival in piece.rivals:
        costs[rival] = 1
        splits[rival] = _ASTRAY
    return _Strict(prefix, costs, splits)


def _join_strict(left: _Strict, right: _Strict, length: int) -> _Strict:
    prefix = enclosing(left.prefix.family, left.prefix.base, length)
    # No host may cover a gap between the two.
    full = left.prefix.length == right.prefix.length == length + 1
    covering = [host for host in left.costs if host in right.costs] if full else [_NOBODY]
    splits = {host: left.costs[host] + right.costs[host] for host in covering}
    node = _Strict(prefix, splits, splits, (left, right))
    best = node.best()
    if best:
        most = splits[best] + 1
        node.costs = {host: min(split, most) for host, split in splits.items()}
    return node


# --- Longest match ----------------------------------------------------------------------------


@dataclass(slots=True)
class _Loose:
    """A node of the trie.

    :ivar best: a bit for each host for which a shorter prefix there costs least; for all others one prefix
        more is enough.
    """

    prefix: Prefix
    best: int
    sides: tuple[_Loose, ...] = ()

    def serves(self, above: int) -> bool:
        """True when a prefix at this node saves nothing compared with a shorter one and the sides."""
        if not self.sides:
            return bool(self.best & above)
        left, right = self.sides
        return not left.best & right.best or bool((left.best | right.best) & above)


def lpm_routes(
    family: Family,
    hosts: Mapping[str, Territory],
    bounds: Iterable[Interval],
    avoid: Iterable[int] = (),
) -> Routes:
    """The fewest prefixes whose longest match leads to every address of a host.

    This is the problem of the optimal routing table (R. Draves, C. King, S. Venkatachary, B. Zill,
    "Constructing Optimal IP Routing Tables", INFOCOM 1999) with two differences: addresses without a
    host may lead anywhere, and outside of ``bounds`` there is no route. Of equal hosts the first by name is
    taken, at the longest prefix that serves.

    :param hosts: the space of each host in this family.
    :param bounds: the declared subnets, which contain all prefixes.
    :param avoid: addresses held without a host: no prefix covers them outside of claimed space.
    """
    names = sorted(hosts)
    bits = {host: 1 << at for at, host in enumerate(names)}
    pieces = list(_pieces(hosts))
    inside = subtract(bounds, ((address, address) for address in avoid))
    roots = minimal(family, [*inside, *(piece[:2] for piece in pieces)])
    leaves = [
        (prefix.base, _Loose(prefix, bits[piece.owner]))
        for piece in pieces
        for prefix in span(family, piece.first, piece.last)
    ]
    made: Routes = {}
    for tree in grow(family, roots, leaves, _join_loose):
        todo = [(tree, 0)]
        while todo:
            node, above = todo.pop()
            if not node.serves(above):
                above = node.best & -node.best
                made.setdefault(names[above.bit_length() - 1], []).append(node.prefix)
            todo += [(side, above) for side in node.sides]
    return {host: sorted(made[host]) for host in sorted(made)}


def _join_loose(left: _Loose, right: _Loose, length: int) -> _Loose:
    prefix = enclosing(left.prefix.family, left.prefix.base, length)
    return _Loose(prefix, left.best & right.best or left.best | right.best, (left, right))


def grow(
    family: Family,
    roots: Iterable[Prefix],
    leaves: Iterable[tuple[int, T]],
    join: Callable[[T, T, int], T],
) -> Iterator[T]:
    """Fold the leaves of each root separately: no prefix covers more than one root."""
    rest = iter(leaves)
    leaf = next(rest, None)
    for root in roots:
        inside = []
        while leaf and leaf[0] <= root.last:
            inside.append(leaf)
            leaf = next(rest, None)
        if inside:
            yield _fold(WIDTH[family], inside, join)
