"""Blocks and runs against sets of addresses."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from borough.domain.declared.records import Subnet
from borough.domain.net.addresses import WIDTH, Family
from borough.domain.net.prefixes import Prefix, enclosing, parse_prefix
from borough.domain.space.blocks import (
    Block,
    block_length,
    blocks_for,
    cut,
    has_room,
    initial_free_ranges,
    reserved_bits,
    room_in,
    takeover_rank,
)

FAMILIES: st.SearchStrategy[Family] = st.sampled_from([4, 6])


def addresses(prefix: Prefix) -> set[int]:
    return set(range(prefix.base, prefix.last + 1))


@st.composite
def small_prefixes(draw: st.DrawFn, most_bits: int = 9) -> Prefix:
    """Up to 512 addresses, at either end of the address space or in it."""
    family = draw(FAMILIES)
    top = (1 << WIDTH[family]) - 1
    address = draw(st.sampled_from([0, top, 0x0A0000C0]) | st.integers(0, top))
    return enclosing(family, address, WIDTH[family] - draw(st.integers(0, most_bits)))


@st.composite
def subnets(draw: st.DrawFn, most_bits: int = 9) -> Subnet:
    """A small subnet with random ranges and gateway; ranges may overlap and touch the ends."""
    prefix = draw(small_prefixes(most_bits))
    inside = st.integers(prefix.base, prefix.last) | st.sampled_from([prefix.base, prefix.last])
    ends = st.tuples(inside, inside).map(lambda pair: (min(pair), max(pair)))
    ranges = draw(st.just([]) | st.lists(ends, min_size=1, max_size=4))
    gateway = draw(st.none() | inside)
    return Subnet(7, "net", "default", prefix, gateway=gateway, ranges=tuple(ranges) or None)


def usable(subnet: Subnet) -> set[int]:
    """Usable addresses for *any*, worked out address by address from the rules."""
    prefix = subnet.prefix
    inside = addresses(prefix)
    if subnet.ranges:
        inside = {
            address
            for address in inside
            if any(first <= address <= last for first, last in subnet.ranges)
        }
    if WIDTH[prefix.family] - prefix.length > 1:
        inside.discard(prefix.base)  # network (IPv4), subnet-router anycast (IPv6)
        if prefix.family == 4:
            inside.discard(prefix.last)  # broadcast
    inside.discard(-1 if subnet.gateway is None else subnet.gateway)
    return inside


@st.composite
def pieces_of(draw: st.DrawFn, whole: Prefix, most_bits: int = 9) -> Prefix:
    """An aligned piece of a prefix."""
    width = WIDTH[whole.family]
    length = draw(st.integers(max(whole.length, width - most_bits), width))
    return enclosing(whole.family, draw(st.integers(whole.base, whole.last)), length)


# --- The bitmap -------------------------------------------------------------------------------


@st.composite
def blocks(draw: st.DrawFn) -> Block:
    prefix = draw(small_prefixes(most_bits=6))
    holder = draw(st.sampled_from(["", "host=a"]))
    bitmap = draw(st.integers(0, 2**prefix.size - 1) | st.sampled_from([0, 2**prefix.size - 1]))
    return Block(3, 7, 5, prefix, bitmap, holder, prefix.length - 1 if holder else 0, 9)


def free_of(block: Block) -> set[int]:
    """The free addresses of a block, read off its bitmap written out in binary."""
    bits = f"{block.bitmap:0{block.prefix.size}b}"[::-1]
    return {block.prefix.base + at for at, bit in enumerate(bits) if bit == "0"}


@given(blocks())
def test_free_and_has_read_the_bitmap(block: Block) -> None:
    """A bit of 1 is an address that cannot be given; the rest are counted as free."""
    assert block.free_count == len(free_of(block))
    assert {address for address in addresses(block.prefix) if not block.has(address)} == (
        free_of(block)
    )


@given(blocks(), st.integers(0, 70))
def test_lowest(block: Block, count: int) -> None:
    """The lowest free addresses in order; all there are when that is fewer than asked for."""
    assert block.lowest(count) == sorted(free_of(block))[:count]


@given(blocks(), st.data())
def test_take_and_free_change_only_their_addresses(block: Block, data: st.DataObject) -> None:
    """Taking removes from the free ones, giving adds; twice is once; the rest of the row stays."""
    inside = st.integers(block.prefix.base, block.prefix.last)
    wanted = data.draw(st.lists(inside, max_size=8))
    taken = block.take(wanted)
    assert free_of(taken) == free_of(block) - set(wanted)
    assert dataclasses.replace(taken, bitmap=block.bitmap, high_water=block.high_water) == block
    back = data.draw(inside)
    reclaimed = taken.free(back, 0)
    assert free_of(reclaimed) == free_of(taken) | {back}
    assert dataclasses.replace(reclaimed, bitmap=block.bitmap, high_water=block.high_water) == block


@given(blocks(), st.lists(st.integers(0, 63), max_size=8), st.integers(0, 63), st.data())
def test_high_water_is_one_more_than_the_highest_address_in_use(
    block: Block, wanted: list[int], back: int, data: st.DataObject
) -> None:
    """Reserved addresses do not count: nobody would miss the space."""
    size = block.prefix.size
    reserved = data.draw(st.integers(0, (1 << size) - 1))
    empty = dataclasses.replace(block, bitmap=reserved, high_water=0)
    taken = {each % size for each in wanted} - {at for at in range(size) if reserved >> at & 1}
    used = empty.take([block.prefix.base + at for at in taken])
    assert used.high_water == max(taken, default=-1) + 1
    if back in taken:
        left = used.free(block.prefix.base + back, reserved)
        assert left.high_water == max(taken - {back}, default=-1) + 1


def test_takeover_rank() -> None:
    """The largest pieces first, whole regions before others; single addresses last."""
    order = [
        (6, 6),
        (9, 6),
        (5, 5),
        (6, 5),
        (4, 4),
        (6, 4),
        (4, 3),
        (4, 2),
        (1, 1),
        (4, 1),
        (4, 0),
        (4, -1),
    ]
    turns = [takeover_rank(region_bits, tail) for region_bits, tail in order]
    assert turns == sorted(turns)
    assert len(set(turns)) == len(turns)
    assert turns[0] > 0, "what nobody holds comes before"


@given(blocks(), st.lists(st.tuples(st.booleans(), st.integers(0, 63)), max_size=30))
def test_a_history_of_a_block_is_a_history_of_a_set(
    block: Block, history: list[tuple[bool, int]]
) -> None:
    """Any order of taking the lowest and giving back leaves what a set would hold."""
    free = free_of(block)
    for take, number in history:
        if take:
            chosen = block.lowest(number % 3)
            assert chosen == sorted(free)[: number % 3]
            block = block.take(chosen)
            free -= set(chosen)
        else:
            address = block.prefix.base + number % block.prefix.size
            block = block.free(address, 0)
            free.add(address)
        assert free_of(block) == free


def test_the_region_of_a_block() -> None:
    """A claimed block is part of the aligned region of its region length; another is its own."""
    prefix = parse_prefix("10.0.0.64/26")
    assert Block(0, 1, 1, prefix, 0).region() == prefix
    assert Block(0, 1, 1, prefix, 0, "host=a", 26).region() == prefix
    assert str(Block(0, 1, 1, prefix, 0, "host=a", 24).region()) == "10.0.0.0/24"


# --- Usable addresses -------------------------------------------------------------------------


@given(st.data())
def test_room_and_reserved_bits_follow_the_rules_of_usable_addresses(data: st.DataObject) -> None:
    """In any piece: its usable addresses are counted, and exactly the others are reserved."""
    subnet = data.draw(subnets())
    piece = data.draw(pieces_of(subnet.prefix, most_bits=6))
    room = usable(subnet) & addresses(piece)
    assert room_in(subnet, piece) == len(room)
    assert has_room(subnet, piece) == bool(room)
    assert free_of(Block(0, 7, 1, piece, reserved_bits(subnet, piece))) == room


@pytest.mark.parametrize(
    ("text", "kept_back"),
    [
        ("10.0.0.0/30", {0, 3}),
        ("10.0.0.0/31", set()),  # RFC 3021
        ("10.0.0.0/32", set()),
        ("255.255.255.252/30", {0, 3}),
        ("2001:db8::/126", {0}),  # RFC 4291, 2.6.1
        ("2001:db8::/127", set()),  # RFC 6164
        ("2001:db8::/128", set()),
        ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffc/126", {0}),
    ],
)
def test_reserved_bits_of_the_smallest_subnets(text: str, kept_back: set[int]) -> None:
    """Network, broadcast and subnet-router anycast are reserved, in full-use lengths nothing is."""
    prefix = parse_prefix(text)
    bits = reserved_bits(Subnet(1, "net", "default", prefix), prefix)
    assert bits == sum(1 << offset for offset in kept_back)


# --- Runs -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("10.0.0.0/8", 26),
        ("10.0.0.0/26", 26),
        ("10.0.0.0/27", 27),
        ("10.0.0.0/32", 32),
        ("2001:db8::/64", 122),
        ("2001:db8::/122", 122),
        ("2001:db8::/128", 128),
    ],
)
def test_block_length(text: str, length: int) -> None:
    """A full block is 64 addresses, or all of a smaller subnet."""
    assert block_length(parse_prefix(text)) == length


@given(subnets())
def test_initial_free_ranges_are_the_whole_blocks_with_a_usable_address(subnet: Subnet) -> None:
    """The runs cover each block that holds a usable address and no other, in the fewest pieces."""
    width = WIDTH[subnet.family]
    length = max(subnet.prefix.length, width - 6)
    wanted = {enclosing(subnet.family, address, length) for address in usable(subnet)}
    runs = initial_free_ranges(subnet)
    covered = [address for run in runs for address in range(run.base, run.last + 1)]
    assert covered == sorted(set[int]().union(*map(addresses, wanted)))
    assert all(subnet.prefix.covers(run) for run in runs)
    assert all(run.length == subnet.prefix.length or run.buddy not in runs for run in runs)
    assert all(run.length <= length for run in runs)


@pytest.mark.parametrize(
    ("text", "ranges", "runs"),
    [
        ("10.0.0.0/8", [], ["10.0.0.0/8"]),
        ("0.0.0.0/0", [], ["0.0.0.0/0"]),
        ("::/0", [], ["::/0"]),
        ("2001:db8::/64", [], ["2001:db8::/64"]),
        ("10.0.0.0/24", [(10, 20)], ["10.0.0.0/26"]),
        ("10.0.0.0/24", [(63, 64)], ["10.0.0.0/25"]),
        ("10.0.0.0/24", [(10, 20), (200, 210)], ["10.0.0.0/26", "10.0.0.192/26"]),
        ("10.0.0.0/24", [(200, 210), (10, 20), (30, 140)], ["10.0.0.0/24"]),
        ("10.0.0.0/24", [(0, 0)], []),  # the network address alone
        ("10.0.0.4/31", [], ["10.0.0.4/31"]),
        ("10.0.0.4/32", [], ["10.0.0.4/32"]),
    ],
)
def test_initial_free_ranges_known_answers(
    text: str, ranges: list[tuple[int, int]], runs: list[str]
) -> None:
    """One row for a subnet of any size; ranges are rounded out to whole blocks."""
    prefix = parse_prefix(text)
    absolute = tuple((prefix.base + first, prefix.base + last) for first, last in ranges)
    subnet = Subnet(1, "net", "default", prefix, ranges=absolute or None)
    assert [str(run) for run in initial_free_ranges(subnet)] == runs


def test_a_subnet_without_a_usable_address_has_no_free_ranges() -> None:
    """A /32 whose address is its gateway."""
    prefix = parse_prefix("10.0.0.4/32")
    assert initial_free_ranges(Subnet(1, "net", "default", prefix, gateway=prefix.base)) == []


@given(st.data())
def test_cut_leaves_the_rest_of_the_usable_addresses(data: st.DataObject) -> None:
    """The remains: aligned, inside the run, clear of the piece, apart from each other, all the room."""
    subnet = data.draw(subnets())
    run = data.draw(pieces_of(subnet.prefix))
    piece = data.draw(pieces_of(run))
    left = cut(subnet, run, piece)
    covered = [address for each in left for address in range(each.base, each.last + 1)]
    assert covered == sorted(set(covered))  # ascending, and no address twice
    assert set(covered) <= addresses(run) - addresses(piece)
    room = usable(subnet)
    assert set(covered) & room == (addresses(run) - addresses(piece)) & room
    assert all(addresses(each) & room for each in left)
    # One remain at most of each length between the two, or they would not be the fewest.
    lengths = [each.length for each in left]
    assert len(lengths) == len(set(lengths))
    assert all(run.length < length <= piece.length for length in lengths)


def test_cut_nothing_away() -> None:
    """A run that is cut out whole leaves nothing."""
    run = parse_prefix("10.0.0.0/24")
    assert cut(Subnet(1, "net", "default", run), run, run) == []


@given(st.data())
def test_blocks_for_tile_a_piece(data: st.DataObject) -> None:
    """Blocks of up to 64 addresses, ascending, in the piece; free in them is all its room."""
    subnet = data.draw(subnets())
    piece = data.draw(pieces_of(subnet.prefix))
    holder = data.draw(st.sampled_from(["", "host=a"]))
    made = blocks_for(subnet, 5, piece, holder)
    room = usable(subnet) & addresses(piece)
    assert [address for block in made for address in sorted(free_of(block))] == sorted(room)
    length = max(piece.length, WIDTH[piece.family] - 6)
    for block in made:
        assert block.prefix.length == length
        assert piece.covers(block.prefix)
        assert block.free_count  # a block without a usable address is worth no row
        assert (block.id, block.subnet_id, block.cohort_id, block.version) == (0, 7, 5, 0)
        assert (block.holder, block.region_length) == (holder, piece.length if holder else 0)
        assert block.region() == (piece if holder else block.prefix)
