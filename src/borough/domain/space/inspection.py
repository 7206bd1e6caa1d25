"""Contradictions in the stored state.

Allocations and claims are certain; bitmaps, counts, blocks, runs and cohorts only repeat what they
say in a form that is quick to search. :func:`inspect` compares the two for one subnet. It takes about
linear time and never goes through the addresses of a subnet one by one, so that a /8 or an IPv6 /64
costs what is stored of it. :mod:`borough.domain.space.inspect_catalogue` does the same for the catalogue.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence

from borough.domain.declared.records import Subnet
from borough.domain.net.addresses import WIDTH, format_address
from borough.domain.net.prefixes import Prefix, enclosing, subtract
from borough.domain.space.blocks import Block, FreeRange, block_length, withheld_bits
from borough.domain.space.findings import Finding


def inspect(
    subnet: Subnet,
    cohort_id: int,
    blocks: Sequence[Block],
    free_ranges: Sequence[FreeRange],
    taken: Iterable[int],
    counts: Mapping[int, tuple[int, int]],
) -> list[Finding]:
    """Everything that is wrong with the space of one subnet.

    :param taken: addresses allocated or cooling; those outside the subnet are passed over.
    :param counts: by block id, the number of free addresses and the open flag that are stored
        beside the bitmap.
    """
    inspection = _Inspection(subnet, blocks, free_ranges)
    return [
        *inspection.shapes(cohort_id),
        *inspection.regions()[0],
        *inspection.bits(taken),
        *inspection.counts(counts),
    ]


def certain_claims(
    subnet: Subnet, blocks: Sequence[Block], free_ranges: Sequence[FreeRange]
) -> dict[Prefix, str]:
    """Holder by claimed region, of the regions that nothing speaks against."""
    return _Inspection(subnet, blocks, free_ranges).regions()[1]


def misfiled(subnet: Subnet, pieces: Iterable[Block | FreeRange]) -> list[Finding]:
    """Blocks and free ranges that a search looks for in the wrong place.

    :param pieces: those that a store found to be filed by other values than their own.
    """
    return [
        Finding(
            "misfiled",
            subnet.name,
            str(piece.prefix),
            f"{_kind(piece)} {piece.prefix} is filed by another "
            f"{'holder' if isinstance(piece, Block) else 'size'} than it has, "
            "so that requests find it in the wrong order or never",
        )
        for piece in pieces
    ]


class _Inspection:
    """The pieces of one subnet, in address order."""

    def __init__(
        self, subnet: Subnet, blocks: Sequence[Block], free_ranges: Sequence[FreeRange]
    ) -> None:
        self._subnet = subnet
        everything: list[Block | FreeRange] = [*blocks, *free_ranges]
        # What is not even a piece of the subnet would only confuse the other checks.
        self._misplaced = [piece for piece in everything if not _fits(subnet, piece)]
        self._pieces = sorted(
            (piece for piece in everything if _fits(subnet, piece)),
            key=lambda piece: (piece.prefix.base, piece.prefix.length),
        )
        self._bases = [piece.prefix.base for piece in self._pieces]
        self._shared = self._share()

    def shapes(self, cohort_id: int) -> Iterator[Finding]:
        """Findings about the pieces, apart from their bits."""
        yield from map(self._outside, self._misplaced)
        yield from self._overlaps()
        yield from self._gaps()
        yield from self._wrong_cohorts(cohort_id)

    def _found(self, code: str, subject: object, message: str) -> Finding:
        return Finding(code, self._subnet.name, str(subject), message)

    def _outside(self, piece: Block | FreeRange) -> Finding:
        return self._found(
            "block_outside_subnet",
            piece.prefix,
            f"{_kind(piece)} {piece.prefix} is no aligned piece of {self._subnet.prefix}",
        )

    def _share(self) -> dict[int, list[int]]:
        """Positions of the pieces that lie inside another one, by the position of that one.

        Aligned pieces overlap only by one lying inside the other, so the outermost is enough.
        """
        shared: dict[int, list[int]] = {}
        outer = 0
        for at, piece in enumerate(self._pieces):
            if at and piece.prefix.base <= self._pieces[outer].prefix.last:
                shared.setdefault(outer, []).append(at)
            else:
                outer = at
        return shared

    def _overlaps(self) -> Iterator[Finding]:
        for outer, inner in self._shared.items():
            one, other = self._pieces[outer], self._pieces[inner[0]]
            more = f" and {len(inner) - 1} more" if len(inner) > 1 else ""
            yield self._found(
                "overlapping_space",
                one.prefix,
                f"{_kind(one)} {one.prefix} shares addresses with {_kind(other)} "
                f"{other.prefix}{more}",
            )

    def _gaps(self) -> Iterator[Finding]:
        covered = [(piece.prefix.base, piece.prefix.last) for piece in self._pieces]
        for first, last in subtract(self._subnet.usable, covered):
            text = _interval_text(self._subnet, first, last)
            yield self._found(
                "untracked_space",
                text,
                f"{text} may be allocated, but no block and no unused space covers it, "
                "so that no request gets it",
            )

    def _wrong_cohorts(self, cohort_id: int) -> Iterator[Finding]:
        for piece in self._pieces:
            if piece.cohort_id != cohort_id:
                yield self._found(
                    "wrong_cohort",
                    piece.prefix,
                    f"{_kind(piece)} {piece.prefix} stands in cohort {piece.cohort_id}, its subnet "
                    f"in cohort {cohort_id}, so that requests miss it or take it wrongly",
                )

    # --- Regions ----------------------------------------------------------------------------------

    def regions(self) -> tuple[list[Finding], dict[Prefix, str]]:
        """Findings about the claimed regions, and the holder of each of the others."""
        found: list[Finding] = []
        broken: set[int] = set()
        claimed: dict[Prefix, Block] = {}
        for at, piece in enumerate(self._pieces):
            if isinstance(piece, FreeRange):
                continue
            problem = _region_problem(self._subnet, piece)
            if problem:
                broken.add(at)
                found.append(self._found("broken_region", piece.prefix, problem))
            elif piece.holder:
                claimed.setdefault(piece.region(), piece)
        overlapping = {*self._shared, *(at for inner in self._shared.values() for at in inner)}
        claims: dict[Prefix, str] = {}
        for region, block in claimed.items():
            others = self._others_in(region, block, overlapping, broken)
            if not others:
                claims[region] = block.holder
            elif not broken.issuperset(others):
                other = next(self._pieces[at] for at in others if at not in broken)
                who = other.holder if isinstance(other, Block) and other.holder else "nobody"
                found.append(
                    self._found(
                        "broken_region",
                        region,
                        f"{block.holder} claims {region}, but {who} holds {_kind(other)} "
                        f"{other.prefix} inside it as a region of its own",
                    )
                )
        return found, claims

    def _others_in(
        self, region: Prefix, block: Block, overlapping: set[int], broken: set[int]
    ) -> list[int]:
        """Positions of the pieces inside a region that do not belong to it."""
        others = []
        for at in range(
            bisect_left(self._bases, region.base), bisect_right(self._bases, region.last)
        ):
            piece = self._pieces[at]
            if at in overlapping:
                continue  # Found as an overlap; the claim itself is not in doubt.
            if isinstance(piece, FreeRange) or not piece.holder:
                others.append(at)
                continue
            if at not in broken and self._is_loan(region, block, piece):
                continue
            if piece.holder != block.holder:
                others.append(at)
                continue
            # A block of the same holder that is found broken by itself only forgot the region.
            if piece.region_length != region.length and at not in broken:
                others.append(at)
        return others

    def _is_loan(self, region: Prefix, block: Block, piece: Block) -> bool:
        """True when a block inside a region is part of a loan, which its lender can have back."""
        loan = piece.region()
        near = enclosing(loan.family, loan.base, block_length(self._subnet.prefix))
        if not (region.covers(loan) and loan.length > max(region.length, near.length)):
            return False
        around = self._pieces[
            bisect_left(self._bases, max(near.base, region.base)) : bisect_right(
                self._bases, min(near.last, region.last)
            )
        ]
        return any(
            isinstance(each, Block)
            and (each.holder, each.region_length) == (block.holder, region.length)
            for each in around
        )

    # --- Bits -------------------------------------------------------------------------------------

    def bits(self, taken: Iterable[int]) -> Iterator[Finding]:
        """Bits that do not say what the allocations say."""
        held = sorted(set(taken))
        usable = [
            address
            for first, last in self._subnet.usable
            for address in held[bisect_left(held, first) : bisect_right(held, last)]
        ]
        marked = bytearray(len(usable))
        unmarked_in: dict[int, Prefix] = {}
        for block in self._blocks():
            base = block.prefix.base
            expected = 0
            low, high = bisect_left(usable, base), bisect_right(usable, block.prefix.last)
            for at in range(low, high):
                bit = 1 << usable[at] - base
                expected |= bit
                if block.bitmap & bit:
                    marked[at] = 1
                else:
                    unmarked_in[at] = block.prefix
            yield from self._bits_of(block, expected)
        yield from self._unmarked(usable, marked, unmarked_in)

    def _blocks(self) -> Iterator[Block]:
        return (piece for piece in self._pieces if isinstance(piece, Block))

    def _bits_of(self, block: Block, expected: int) -> Iterator[Finding]:
        """Bits of a block that say too much or too little; ``expected`` are those held."""
        withheld = withheld_bits(self._subnet, block.prefix)
        whole = (1 << block.prefix.size) - 1
        for text in self._texts(block, block.bitmap & whole & ~(expected | withheld)):
            yield self._found(
                "bit_without_allocation",
                text,
                f"{text} is marked as taken in block {block.prefix}, but it is not held",
            )
        for text in self._texts(block, withheld & ~block.bitmap):
            yield self._found(
                "reserved_bit_free",
                text,
                f"{text} is never allocated, but block {block.prefix} offers it",
            )

        if (expected & ~withheld).bit_length() > block.high_water:
            # The other way about it only keeps others from taking the space away.
            yield self._found(
                "wrong_reach",
                block.prefix,
                f"block {block.prefix} is used beyond its {block.high_water} first addresses, so that "
                "another holder may be given the space",
            )

    def _texts(self, block: Block, bits: int) -> Iterator[str]:
        while bits:
            low = bits & -bits
            yield format_address(self._subnet.family, block.prefix.base + low.bit_length() - 1)
            bits ^= low

    def _unmarked(
        self, usable: list[int], marked: bytearray, unmarked_in: dict[int, Prefix]
    ) -> Iterator[Finding]:
        """Held addresses that no block marks as taken.

        In overlapping blocks one bit is enough: that the other lacks it is what the overlap means.
        """
        at = marked.find(0)
        while at >= 0:
            text = format_address(self._subnet.family, usable[at])
            prefix = unmarked_in.get(at)
            where = f"block {prefix} offers it" if prefix else "it lies in no block"
            yield self._found("allocation_without_bit", text, f"{text} is held, but {where}")
            at = marked.find(0, at + 1)

    def counts(self, counts: Mapping[int, tuple[int, int]]) -> Iterator[Finding]:
        """Values beside a bitmap that differ from it."""
        for block in self._blocks():
            whole = (1 << block.prefix.size) - 1
            free = block.prefix.size - (block.bitmap & whole).bit_count()
            stored_free, is_open = counts.get(block.id, (free, int(free > 0)))
            if block.bitmap & ~whole:
                problem = "has bits beyond its end"
            elif stored_free != free:
                problem = f"{stored_free} are stored"
            elif bool(is_open) != (free > 0):
                problem = f"is filed as {'open' if is_open else 'full'}"
            else:
                continue
            yield self._found(
                "wrong_free_count",
                block.prefix,
                f"block {block.prefix} has {free} free addresses, but {problem}",
            )


def _fits(subnet: Subnet, piece: Block | FreeRange) -> bool:
    """True when a piece is an aligned part of the subnet, and a block of at most 64 addresses."""
    family, base, length = piece.prefix
    whole = subnet.prefix
    shortest = block_length(whole) if isinstance(piece, Block) else whole.length
    return (
        family == whole.family
        and shortest <= length <= WIDTH[family]
        and whole.holds(base)
        and not base & (1 << WIDTH[family] - length) - 1
    )


def _region_problem(subnet: Subnet, block: Block) -> str | None:
    """A contradiction in the region that a block is filed under; None for none."""
    name, length = f"block {block.prefix}", block.region_length
    if not block.holder:
        filed = f"nobody claims {name}, but it is filed as part of a claimed /{length}"
        return filed if length else None
    said = f"{block.holder} claims {name} as part of a /{length}"
    if length > block.prefix.length:
        return f"{said}, which is smaller than the block"
    if not length or length < subnet.prefix.length:
        return f"{said}, which is larger than subnet {subnet.prefix}"
    return None


def _kind(piece: Block | FreeRange) -> str:
    return "block" if isinstance(piece, Block) else "unused space"


def _interval_text(subnet: Subnet, first: int, last: int) -> str:
    """An interval as an address, a prefix or two addresses, whichever is shortest."""
    size = last - first + 1
    text = format_address(subnet.family, first)
    if size == 1:
        return text
    if not size & size - 1 and not first & size - 1:
        return f"{text}/{WIDTH[subnet.family] - size.bit_length() + 1}"
    return f"{text}-{format_address(subnet.family, last)}"
