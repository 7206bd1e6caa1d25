"""A subnet tiled anew, against the addresses one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from borough.domain.declared.records import Subnet
from borough.domain.net.addresses import WIDTH, Family
from borough.domain.net.prefixes import Prefix, enclosing, parse_prefix
from borough.domain.space.blocks import BLOCK_BITS, Block, FreeRange, initial_free_ranges
from borough.domain.space.inspection import inspect
from borough.domain.space.rebuild import rebuild

FAMILIES: st.SearchStrategy[Family] = st.sampled_from([4, 6])


def addresses(prefix: Prefix) -> set[int]:
    return set(range(prefix.base, prefix.last + 1))


def usable(subnet: Subnet) -> set[int]:
    """The usable addresses, one by one; that this is right is shown in the tests of blocks."""
    return {address for first, last in subnet.usable for address in range(first, last + 1)}


def free_of(block: Block) -> set[int]:
    bits = f"{block.bitmap:0{block.prefix.size}b}"[::-1]
    return {block.prefix.base + at for at, bit in enumerate(bits) if bit == "0"}


@st.composite
def subnets(draw: st.DrawFn) -> Subnet:
    """Up to 512 addresses, at either end of the address space or in it; ranges, a gateway."""
    family = draw(FAMILIES)
    top = (1 << WIDTH[family]) - 1
    address = draw(st.sampled_from([0, top, 0x0A0000C0]) | st.integers(0, top))
    prefix = enclosing(family, address, WIDTH[family] - draw(st.integers(0, 9)))
    inside = st.integers(prefix.base, prefix.last) | st.sampled_from([prefix.base, prefix.last])
    ends = st.tuples(inside, inside).map(lambda pair: (min(pair), max(pair)))
    ranges = draw(st.just([]) | st.lists(ends, min_size=1, max_size=4))
    gateway = draw(st.none() | inside)
    return Subnet(7, "net", "default", prefix, gateway=gateway, ranges=tuple(ranges) or None)


@st.composite
def claims_on(draw: st.DrawFn, subnet: Subnet) -> dict[Prefix, str]:
    """Claimed regions in a subnet, over its edges and beside it; some overlap."""
    width = WIDTH[subnet.family]
    around = Prefix(subnet.family, subnet.prefix.base, subnet.prefix.length)
    if subnet.prefix.length:
        around = subnet.prefix.parent
    place = st.integers(subnet.prefix.base, subnet.prefix.last)
    regions = st.builds(
        enclosing,
        st.just(subnet.family),
        place | place | st.integers(around.base, around.last),
        st.integers(max(around.length, width - 10), width),
    )
    return draw(st.dictionaries(regions, st.sampled_from(["host=a", "host=b"]), max_size=5))


def innermost(claims: Mapping[Prefix, str], address: int) -> str:
    """The holder of the smallest claim around an address."""
    around = [region for region in claims if region.holds(address)]
    return claims[max(around, key=lambda region: region.length)] if around else ""


@given(st.data())
def test_rebuild_covers_every_usable_address_once(data: st.DataObject) -> None:
    """A bit is set iff its address is taken or not usable; runs hold no address that is taken."""
    subnet = data.draw(subnets())
    place = st.integers(max(subnet.prefix.base - 3, 0), subnet.prefix.last + 3)
    taken = data.draw(st.lists(place, max_size=8))
    blocks, runs = rebuild(subnet, 5, iter(taken), data.draw(claims_on(subnet)))
    rows: list[Block | FreeRange] = [*blocks, *runs]
    tiles = [addresses(each.prefix) for each in rows]
    assert sum(map(len, tiles)) == len(set[int]().union(*tiles))
    assert usable(subnet) <= set[int]().union(*tiles)
    for block in blocks:
        assert free_of(block) == usable(subnet) & addresses(block.prefix) - set(taken)
        assert block.prefix.size <= 1 << BLOCK_BITS
        assert (block.id, block.subnet_id, block.cohort_id, block.version) == (0, 7, 5, 0)
    for run in runs:
        assert not addresses(run.prefix) & usable(subnet) & set(taken)
        assert (run.id, run.subnet_id, run.cohort_id) == (0, 7, 5)
    for each in rows:
        assert subnet.prefix.covers(each.prefix)
        used = set(taken) if isinstance(each, Block) and each.holder else set()
        assert addresses(each.prefix) & (usable(subnet) | used)  # or it is worth no row


@given(st.data())
def test_rebuild_keeps_claims(data: st.DataObject) -> None:
    """Every usable address of a claim is held as claimed, in the smallest region around it."""
    subnet = data.draw(subnets())
    place = st.integers(subnet.prefix.base, subnet.prefix.last)
    taken = data.draw(st.lists(place, max_size=8))
    claims = data.draw(claims_on(subnet))
    blocks, runs = rebuild(subnet, 5, taken, claims)
    holders = {
        address: block.holder
        for block in blocks
        if block.holder
        for address in addresses(block.prefix) & usable(subnet)
    }
    assert holders == {
        address: holder for address in usable(subnet) if (holder := innermost(claims, address))
    }
    for run in runs:
        assert not holders.keys() & addresses(run.prefix)
    assert not [
        each
        for each in inspect(subnet, 5, stored(blocks), runs, taken, {})
        if each.code != "wrong_free_count"
    ]
    disjoint = {region: holder for region, holder in claims.items() if not nested(region, claims)}
    if disjoint != claims:
        return
    # A region is the claim itself, or the claim cut down to a piece of the space that is tiled. It stays
    # whole where an address is in use beyond that space.
    regions = {block.region() for block in blocks if block.holder}
    pieces = initial_free_ranges(subnet)
    tiled = set[int]().union(*map(addresses, pieces))
    expected: set[Prefix] = set()
    for region in claims:
        inside = addresses(region) & addresses(subnet.prefix)
        if inside & set(taken) - tiled:
            expected.add(min(region, subnet.prefix, key=lambda each: each.size))
            continue
        expected |= {
            min(region, piece, key=lambda each: each.size)
            for piece in pieces
            if inside & addresses(piece) & (usable(subnet) | set(taken))
        }
    assert regions == expected


def nested(region: Prefix, claims: Mapping[Prefix, str]) -> bool:
    return any(region.overlaps(other) for other in claims if other != region)


def stored(blocks: list[Block]) -> list[Block]:
    return [replace(block, id=at + 1) for at, block in enumerate(blocks)]


@given(st.data())
def test_rebuild_of_an_unused_subnet_is_its_initial_free_ranges(data: st.DataObject) -> None:
    """With nothing taken and nothing claimed there is no block, and the fewest runs."""
    subnet = data.draw(subnets())
    assert rebuild(subnet, 5, [], {}) == (
        [],
        [FreeRange(0, 7, 5, run) for run in initial_free_ranges(subnet)],
    )


@given(st.data())
def test_unclaimed_space_is_in_as_few_rows_as_can_be(data: st.DataObject) -> None:
    """Without claims: one full block for each that holds a taken address, the rest in whole runs."""
    subnet = data.draw(subnets())
    place = st.integers(subnet.prefix.base, subnet.prefix.last)
    taken = set(data.draw(st.lists(place, max_size=8))) & usable(subnet)
    blocks, runs = rebuild(subnet, 5, taken, {})
    length = max(subnet.prefix.length, WIDTH[subnet.family] - BLOCK_BITS)
    assert [block.prefix for block in blocks] == sorted(
        {enclosing(subnet.family, address, length) for address in taken}
    )
    prefixes = {run.prefix for run in runs}
    assert not any(run.length > subnet.prefix.length and run.buddy in prefixes for run in prefixes)


def make(text: str, *ranges: tuple[int, int]) -> Subnet:
    prefix = parse_prefix(text)
    absolute = tuple((prefix.base + first, prefix.base + last) for first, last in ranges)
    return Subnet(7, "net", "default", prefix, ranges=absolute or None)


@pytest.mark.parametrize(
    ("subnet", "claim", "regions"),
    [
        (make("10.0.0.0/24"), "10.0.0.0/24", ["10.0.0.0/24"]),
        (make("10.0.0.0/24"), "10.0.0.16/28", ["10.0.0.16/28"]),
        (make("10.0.0.0/24"), "10.0.0.7/32", ["10.0.0.7/32"]),
        (make("10.0.0.0/24"), "10.0.0.0/32", []),  # the network address is no space to hold
        (make("10.0.0.0/24"), "10.0.1.0/28", []),
        (make("10.0.0.0/24", (0, 63)), "10.0.0.0/24", ["10.0.0.0/26"]),
        (make("10.0.0.0/24", (64, 127)), "10.0.0.0/24", ["10.0.0.64/26"]),
        (make("10.0.0.0/24", (0, 63)), "10.0.0.128/25", []),
        (
            make("10.0.0.0/24", (10, 20), (200, 210)),
            "10.0.0.0/24",
            ["10.0.0.0/26", "10.0.0.192/26"],
        ),
        (make("10.0.0.0/25"), "10.0.0.0/24", ["10.0.0.0/25"]),
        (make("10.0.0.128/25"), "10.0.0.0/24", ["10.0.0.128/25"]),
        (make("10.0.0.4/31"), "10.0.0.4/31", ["10.0.0.4/31"]),
        (make("10.0.0.4/32"), "10.0.0.0/28", ["10.0.0.4/32"]),
        (make("2001:db8::/64"), "2001:db8::40/124", ["2001:db8::40/124"]),
        (make("2001:db8::/127"), "2001:db8::/127", ["2001:db8::/127"]),
        (make("2001:db8::/128"), "2001:db8::/128", ["2001:db8::/128"]),
    ],
)
def test_a_claim_is_kept_or_cut_to_usable_space(
    subnet: Subnet, claim: str, regions: list[str]
) -> None:
    """A claim reaching beyond the usable space, as after a change of ranges, is cut down to it."""
    blocks, _ = rebuild(subnet, 5, [], {parse_prefix(claim): "host=a"})
    assert {block.holder for block in blocks} <= {"host=a"}
    assert sorted({str(block.region()) for block in blocks}) == regions


@pytest.mark.parametrize(
    ("subnet", "smaller", "larger", "regions"),
    [
        # A loan, around which the lender keeps blocks.
        (
            make("10.0.0.0/24"),
            "10.0.0.16/28",
            "10.0.0.0/27",
            {"10.0.0.0/28 host=a /27", "10.0.0.16/28 host=b /28"},
        ),
        # As large as a full block: the larger one is cut around it.
        (
            make("10.0.0.0/24"),
            "10.0.0.64/26",
            "10.0.0.0/25",
            {"10.0.0.0/26 host=a /26", "10.0.0.64/26 host=b /26"},
        ),
        # Cut down to just what the smaller one claims among others.
        (
            make("10.0.0.0/24", (10, 20), (200, 210)),
            "10.0.0.192/26",
            "10.0.0.0/24",
            {"10.0.0.0/26 host=a /26", "10.0.0.192/26 host=b /26"},
        ),
    ],
)
def test_a_claim_inside_another_one(
    subnet: Subnet, smaller: str, larger: str, regions: set[str]
) -> None:
    """An address has one claimant, that of the smallest region around it."""
    claims = {parse_prefix(smaller): "host=b", parse_prefix(larger): "host=a"}
    blocks, _ = rebuild(subnet, 5, [], claims)
    assert {f"{block.prefix} {block.holder} /{block.region_length}" for block in blocks} == regions


@pytest.mark.parametrize("text", ["0.0.0.0/0", "10.0.0.0/8", "::/0", "2001:db8::/64"])
def test_a_vast_subnet_has_rows_only_for_used_space(text: str) -> None:
    """One taken address makes one block and a run for each doubling on the way up."""
    subnet = make(text)
    address = subnet.prefix.base + subnet.prefix.size // 3
    blocks, runs = rebuild(subnet, 5, [address], {})
    assert [block.has(address) for block in blocks] == [True]
    assert len(runs) == WIDTH[subnet.family] - BLOCK_BITS - subnet.prefix.length
