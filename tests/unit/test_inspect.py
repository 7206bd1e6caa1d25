from __future__ import annotations

import random
import time
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from borough.domain.declared.catalogue import Catalogue
from borough.domain.declared.records import Cohort, Pool, Subnet
from borough.domain.encode import plain as to_plain
from borough.domain.net.addresses import parse_address
from borough.domain.net.prefixes import Prefix, parse_prefix
from borough.domain.space.blocks import Block, FreeRange
from borough.domain.space.findings import Finding, StoredCohort
from borough.domain.space.inspect_catalogue import (
    inspect_cohorts,
    inspect_members,
    inspect_overlaps,
    inspect_pools,
)
from borough.domain.space.inspection import certain_claims, inspect
from borough.domain.space.rebuild import rebuild

COHORT = 7


def subnet(cidr: str, *ranges: tuple[str, str], gateway: str | None = None) -> Subnet:
    return Subnet(
        1,
        "net",
        "default",
        parse_prefix(cidr),
        gateway=number(gateway) if gateway else None,
        ranges=tuple((number(first), number(last)) for first, last in ranges) or None,
    )


def number(text: str) -> int:
    return parse_address(text)[1]


class State:
    """The space of a subnet, healthy until it is changed."""

    def __init__(
        self, where: Subnet, taken: list[int], claims: dict[Prefix, str] | None = None
    ) -> None:
        self.subnet = where
        self.taken = taken
        blocks, runs = rebuild(where, COHORT, taken, claims or {})
        self.blocks = [replace(block, id=at) for at, block in enumerate(blocks, 1)]
        self.free_ranges = [replace(run, id=at) for at, run in enumerate(runs, 1)]
        self.counts = {
            block.id: (block.free_count, int(block.free_count > 0)) for block in self.blocks
        }

    def find(self) -> list[Finding]:
        return inspect(self.subnet, COHORT, self.blocks, self.free_ranges, self.taken, self.counts)

    def named(self) -> list[tuple[str, str]]:
        return sorted((each.code, each.subject) for each in self.find())

    def claims(self) -> dict[str, str]:
        found = certain_claims(self.subnet, self.blocks, self.free_ranges)
        return {str(region): holder for region, holder in found.items()}

    def change(self, named: str, /, **values: object) -> None:
        """Change the block that has a prefix; what is stored beside its bitmap follows."""
        at = [str(block.prefix) for block in self.blocks].index(named)
        self.blocks[at] = replace(self.blocks[at], **values)  # type: ignore[arg-type]
        free = self.blocks[at].free_count
        self.counts[self.blocks[at].id] = (free, int(free > 0))


def plain() -> State:
    """A /24 with a region of two blocks, a small region, and an unclaimed block."""
    where = subnet("10.0.0.0/24", gateway="10.0.0.1")
    taken = [where.prefix.base + offset for offset in (2, 3, 70, 129, 200, 1, 255)]
    claims = {"10.0.0.0/25": "host=a", "10.0.0.128/28": "host=b"}
    return State(where, taken, {parse_prefix(text): holder for text, holder in claims.items()})


def test_a_healthy_subnet_has_no_finding() -> None:
    state = plain()
    assert state.find() == []
    assert state.claims() == {"10.0.0.0/25": "host=a", "10.0.0.128/28": "host=b"}


def test_addresses_of_elsewhere_are_passed_over() -> None:
    state = plain()
    state.taken += [number("10.0.1.5"), number("9.255.255.255"), number("2001:db8::1")]
    assert state.find() == []


def test_a_finding_says_all_there_is_as_json() -> None:
    finding = Finding("code", "net", "10.0.0.1", "a sentence", repaired=True)
    assert to_plain(finding) == {
        "code": "code",
        "subnet": "net",
        "subject": "10.0.0.1",
        "message": "a sentence",
        "repaired": True,
    }


@pytest.mark.parametrize(
    ("prefix", "values", "expected"),
    [
        ("10.0.0.0/26", {"bitmap": 0b1011}, ["allocation_without_bit 10.0.0.2"]),
        ("10.0.0.0/26", {"bitmap": 0b11111}, ["bit_without_allocation 10.0.0.4"]),
        ("10.0.0.0/26", {"bitmap": 0b1101}, ["reserved_bit_free 10.0.0.1"]),
        ("10.0.0.0/26", {"bitmap": 0b1110}, ["reserved_bit_free 10.0.0.0"]),
        ("10.0.0.0/26", {"cohort_id": 8}, ["wrong_cohort 10.0.0.0/26"]),
        ("10.0.0.128/28", {"bitmap": 1 << 16 | 2}, ["wrong_free_count 10.0.0.128/28"]),
        ("10.0.0.128/28", {"region_length": 29}, ["broken_region 10.0.0.128/28"]),
        ("10.0.0.128/28", {"region_length": 27}, ["broken_region 10.0.0.128/27"]),
        ("10.0.0.128/28", {"region_length": 0}, ["broken_region 10.0.0.128/28"]),
        ("10.0.0.128/28", {"region_length": -1}, ["broken_region 10.0.0.128/28"]),
        ("10.0.0.128/28", {"region_length": 300}, ["broken_region 10.0.0.128/28"]),
        ("10.0.0.128/28", {"holder": ""}, ["broken_region 10.0.0.128/28"]),
        ("10.0.0.64/26", {"region_length": 23}, ["broken_region 10.0.0.64/26"]),
        ("10.0.0.64/26", {"region_length": 26}, ["broken_region 10.0.0.0/25"]),
        ("10.0.0.64/26", {"holder": "host=b"}, ["broken_region 10.0.0.0/25"]),
        (
            "10.0.0.64/26",
            {"prefix": parse_prefix("10.0.8.64/26")},
            [
                "allocation_without_bit 10.0.0.70",
                "block_outside_subnet 10.0.8.64/26",
                "untracked_space 10.0.0.64/26",
            ],
        ),
    ],
)
def test_a_block_that_is_wrong(prefix: str, values: dict[str, object], expected: list[str]) -> None:
    state = plain()
    state.change(prefix, **values)
    assert [" ".join(each) for each in state.named()] == expected
    assert all(each.message and each.subnet == "net" for each in state.find())


@pytest.mark.parametrize(
    ("stored", "message"),
    [((13, 1), "13 are stored"), ((15, 0), "filed as full"), ((0, 0), "0 are stored")],
)
def test_a_count_that_is_wrong(stored: tuple[int, int], message: str) -> None:
    state = plain()
    block = next(each for each in state.blocks if str(each.prefix) == "10.0.0.128/28")
    state.counts[block.id] = stored
    (found,) = state.find()
    assert (found.code, found.subject) == ("wrong_free_count", "10.0.0.128/28")
    assert message in found.message


@pytest.mark.parametrize(
    ("prefix", "code"),
    [
        (Prefix(4, number("10.0.0.160"), 27), "overlapping_space"),
        (Prefix(4, number("10.0.0.0"), 24), "overlapping_space"),
        (Prefix(4, number("10.0.0.161"), 30), "block_outside_subnet"),
        (Prefix(4, number("10.0.0.0"), 23), "block_outside_subnet"),
        (Prefix(4, number("10.0.1.0"), 28), "block_outside_subnet"),
        (Prefix(4, number("10.0.0.0"), 33), "block_outside_subnet"),
        (Prefix(6, number("10.0.0.0"), 126), "block_outside_subnet"),
        (Prefix(4, number("10.0.0.0"), -5), "block_outside_subnet"),
    ],
)
def test_an_additional_free_range(prefix: Prefix, code: str) -> None:
    state = plain()
    state.free_ranges.append(FreeRange(99, 1, COHORT, prefix))
    assert state.named() == [(code, str(prefix))]
    assert len(state.claims()) == 2


def test_a_block_of_more_than_64_addresses() -> None:
    state = plain()
    state.blocks.append(Block(99, 1, COHORT, parse_prefix("10.0.0.0/25"), 0))
    assert state.named() == [("block_outside_subnet", "10.0.0.0/25")]


def test_all_pieces_under_one_piece_are_one_finding() -> None:
    state = plain()
    state.free_ranges.append(FreeRange(99, 1, COHORT, parse_prefix("10.0.0.0/24")))
    (found,) = state.find()
    assert "and 5 more" in found.message


def test_of_overlapping_blocks_one_bit_is_enough() -> None:
    state = plain()
    inner = Block(99, 1, COHORT, parse_prefix("10.0.0.64/28"), 0, "host=b", 28, high_water=16)
    state.blocks.append(inner)
    assert state.named() == [("overlapping_space", "10.0.0.64/26")]
    assert state.claims()["10.0.0.0/25"] == "host=a"


@pytest.mark.parametrize(
    ("gone", "expected"),
    [
        ("10.0.0.144/28", "10.0.0.144/28"),
        ("10.0.0.160/27", "10.0.0.160/27"),
        ("10.0.0.192/26", "10.0.0.192-10.0.0.254"),
    ],
)
def test_missing_space(gone: str, expected: str) -> None:
    state = plain()
    state.blocks = [each for each in state.blocks if str(each.prefix) != gone]
    state.free_ranges = [each for each in state.free_ranges if str(each.prefix) != gone]
    assert ("untracked_space", expected) in state.named()


def test_one_missing_address() -> None:
    where = subnet("10.0.0.0/24", ("10.0.0.5", "10.0.0.5"), ("10.0.0.200", "10.0.0.202"))
    state = State(where, [])
    state.free_ranges = []
    assert state.named() == [
        ("untracked_space", "10.0.0.200-10.0.0.202"),
        ("untracked_space", "10.0.0.5"),
    ]


def test_unused_space_inside_a_region() -> None:
    state = plain()
    state.blocks = [each for each in state.blocks if str(each.prefix) != "10.0.0.64/26"]
    state.taken.remove(number("10.0.0.70"))
    state.free_ranges.append(FreeRange(99, 1, COHORT, parse_prefix("10.0.0.64/26")))
    (found,) = state.find()
    assert (found.code, found.subject) == ("broken_region", "10.0.0.0/25")
    assert "nobody" in found.message
    assert state.claims() == {"10.0.0.128/28": "host=b"}


def test_a_claim_that_is_in_doubt_is_not_certain() -> None:
    state = plain()
    state.change("10.0.0.64/26", holder="host=b", region_length=26)
    assert state.claims() == {"10.0.0.64/26": "host=b", "10.0.0.128/28": "host=b"}


def test_a_block_that_only_forgot_its_region_keeps_it() -> None:
    state = plain()
    state.change("10.0.0.64/26", region_length=3)
    assert state.claims() == {"10.0.0.0/25": "host=a", "10.0.0.128/28": "host=b"}


@pytest.mark.parametrize("cidr", ["10.0.0.0/31", "10.0.0.0/32", "2001:db8::/127", "2001:db8::/128"])
def test_the_smallest_subnets(cidr: str) -> None:
    where = subnet(cidr)
    for taken in ([], [where.prefix.base]):
        state = State(where, taken)
        assert state.find() == []
        state.taken = [where.prefix.base] if not taken else []
        assert len(state.find()) == 1


# --- Any state --------------------------------------------------------------------------------

ADDRESSES = st.integers(0, 1023)


@st.composite
def states(draw: st.DrawFn) -> State:
    base = draw(st.sampled_from(["10.0.0.0/22", "2001:db8::/118"]))
    whole = parse_prefix(base)
    ends = sorted(draw(st.lists(ADDRESSES, max_size=6, unique=True)))
    ranges = tuple(
        (whole.base + first, whole.base + last) for first, last in list(pairwise(ends))[::2]
    )
    where = Subnet(1, "net", "default", whole, ranges=ranges)
    taken = [whole.base + offset for offset in draw(st.lists(ADDRESSES, max_size=40))]
    claims: dict[Prefix, str] = {}
    for _ in range(draw(st.integers(0, 6))):
        piece = whole
        for side in draw(st.lists(st.integers(0, 1), min_size=1, max_size=7)):
            piece = piece.halves()[side]
        claims[piece] = f"host={draw(st.sampled_from('ab'))}"
    return State(where, taken, claims)


@given(states())
def test_a_rebuilt_subnet_is_healthy(state: State) -> None:
    assert state.find() == []


@given(states(), st.randoms(use_true_random=False))
def test_every_flipped_bit_is_found_and_nothing_else(state: State, dice: random.Random) -> None:
    expected = set()
    for at, block in enumerate(state.blocks):
        bit = dice.randrange(block.prefix.size)
        address = block.prefix.base + bit
        state.blocks[at] = new = replace(block, bitmap=block.bitmap ^ 1 << bit)
        state.counts[new.id] = (new.free_count, int(new.free_count > 0))
        if not state.subnet.is_usable(address):
            code = "reserved_bit_free"
        elif address in state.taken:
            code = "allocation_without_bit"
        else:
            code = "bit_without_allocation"
        expected.add((code, address))
    found = {(each.code, number(each.subject)) for each in state.find()}
    assert found == expected


@given(states(), st.randoms(use_true_random=False))
def test_whatever_was_broken_is_healthy_when_rebuilt(state: State, dice: random.Random) -> None:
    """With blocks and runs lost, doubled and mixed up, what is certain still makes a whole."""
    for blocks in (state.blocks,):
        for at, block in enumerate(blocks):
            match dice.randrange(6):
                case 0:
                    blocks[at] = replace(block, holder=dice.choice(["", "host=a", "host=c"]))
                case 1:
                    blocks[at] = replace(block, region_length=dice.randrange(-1, 130))
                case 2:
                    blocks[at] = replace(block, bitmap=dice.getrandbits(64))
                case 3:
                    blocks[at] = replace(block, prefix=dice.choice(blocks).prefix)
    state.free_ranges = [run for run in state.free_ranges if dice.randrange(4)] + state.free_ranges[
        :1
    ]
    state.find()
    claims = certain_claims(state.subnet, state.blocks, state.free_ranges)
    assert State(state.subnet, state.taken, claims).find() == []


# --- Size -------------------------------------------------------------------------------------


@pytest.mark.parametrize("cidr", ["10.0.0.0/8", "2001:db8::/64"])
def test_the_cost_of_a_huge_subnet_is_that_of_its_rows(cidr: str) -> None:
    where = subnet(cidr)
    taken = [where.prefix.base + 1 + number * 65_537 for number in range(200)]
    start = time.perf_counter()
    state = State(where, taken)
    assert state.find() == []
    state.taken = taken[1:]
    state.free_ranges.pop()
    assert len(state.find()) == 2
    assert time.perf_counter() - start < 5


def test_a_million_allocations_take_linear_time() -> None:
    where = subnet("10.0.0.0/12")
    base = where.prefix.base
    dice = random.Random(1)
    offsets = range(1, (1 << 20) - 1)
    claims = {
        Prefix(4, base + (at << 10), 22): f"host={dice.randrange(9)}" for at in range(0, 1024, 2)
    }
    small = State(where, [base + offset for offset in offsets[:125_000]], claims)
    large = State(where, [base + offset for offset in offsets], claims)
    assert len(large.blocks) == 1 << 14
    seconds = []
    for state in (small, large):
        start = time.perf_counter()
        assert state.find() == []
        seconds.append(time.perf_counter() - start)
    # Eight times as much; the bound leaves room for a busy machine, not for a square.
    assert seconds[1] < 40 * seconds[0] + 1


# --- The catalogue ----------------------------------------------------------------------------

KEY = '["default",4,0,{"network":["pods"]}]'
SPACED = '["default", 4, 0, {"network": ["pods"]}]'


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ([], {}),
        ([(1, KEY, KEY, True), (2, "other", "other", True)], {}),
        ([(1, SPACED, KEY, False), (2, KEY, KEY, True)], {1: "means the same as cohort 2"}),
        ([(1, KEY, KEY, True), (2, SPACED, KEY, False)], {2: "means the same as cohort 1"}),
        ([(1, KEY, KEY, False)], {1: "form in which it is searched"}),
        ([(1, SPACED, KEY, True)], {1: "form in which it is searched"}),
        ([(1, KEY, KEY, False), (2, KEY, KEY, True)], {1: "means the same as cohort 2"}),
        ([(1, "x", None, False), (2, KEY, KEY, True)], {1: "cannot be read"}),
        (
            [(1, SPACED, KEY, False), (2, SPACED, KEY, False)],
            {1: "form in which it is searched", 2: "means the same as cohort 1"},
        ),
    ],
)
def test_cohorts(stored: list[tuple[int, str, str | None, bool]], expected: dict[int, str]) -> None:
    found = inspect_cohorts([StoredCohort(*each) for each in stored])
    assert found.keys() == expected.keys()
    texts = {id: text for id, text, _, _ in stored}
    for id, finding in found.items():
        assert finding.code == "duplicate_cohort"
        assert finding.subject == texts[id]
        assert expected[id] in finding.message


def catalogue(*subnets: Subnet, **cohorts: Cohort) -> Catalogue:
    return Catalogue(
        1,
        subnets={each.id: each for each in subnets},
        cohorts={each.id: each for each in cohorts.values()},
        cohort_of={each.id: COHORT for each in subnets},
    )


PODS = {"network": frozenset(["pods"])}


@pytest.mark.parametrize(
    ("cohort", "wrong"),
    [
        (Cohort(COHORT, "default", 4, PODS, 0), False),
        (Cohort(COHORT, "blue", 4, PODS, 0), True),
        (Cohort(COHORT, "default", 6, PODS, 0), True),
        (Cohort(COHORT, "default", 4, {}, 0), True),
        (Cohort(COHORT, "default", 4, PODS, 1), True),
        (Cohort(8, "default", 4, PODS, 0), True),
    ],
)
def test_members(cohort: Cohort, wrong: bool) -> None:
    where = replace(subnet("10.0.0.0/24"), labels=PODS)
    found = inspect_members(catalogue(where, only=cohort))
    assert [(each.code, each.subject) for each in found.values()] == (
        [("subnet_in_wrong_cohort", "10.0.0.0/24")] if wrong else []
    )
    assert all("network=pods" in each.message for each in found.values())


def test_overlaps() -> None:
    outer = subnet("10.0.0.0/16")
    inner = replace(subnet("10.0.5.0/24"), id=2, name="inner")
    last = replace(subnet("10.0.9.0/24"), id=3, name="last")
    elsewhere = replace(inner, id=4, name="elsewhere", scope="blue")
    six = replace(subnet("::/8"), id=5, name="six")
    found = inspect_overlaps(catalogue(outer, inner, last, elsewhere, six))
    assert [(each.code, each.subnet) for each in found] == [
        ("overlapping_subnets", "inner"),
        ("overlapping_subnets", "last"),
    ]


def test_a_block_in_use_beyond_its_high_water() -> None:
    """Somebody could be given the space; a reach that is too large only keeps others away."""
    state = plain()
    high_water = next(
        each for each in state.blocks if str(each.prefix) == "10.0.0.64/26"
    ).high_water
    assert high_water > 0
    state.change("10.0.0.64/26", high_water=high_water - 1)
    assert state.named() == [("wrong_reach", "10.0.0.64/26")]
    state.change("10.0.0.64/26", high_water=64)
    assert state.named() == []


def test_carved_subnets_outside_of_their_pools() -> None:
    """Place, scope, length and quota; a subnet of no pool is nobody's concern."""
    pool = Pool(1, "p", "default", 4, (parse_prefix("10.0.0.0/16"),), 24, 28, 26, quota=256)
    edits: list[tuple[str, dict[str, Any]]] = [
        ("10.0.0.0/25", {}),
        ("10.1.0.0/26", {}),
        ("10.0.2.0/26", {"scope": "blue"}),
        ("10.0.3.0/30", {}),
        ("10.0.4.0/26", {"pool": "gone"}),
        ("10.2.0.0/16", {"pool": ""}),
    ]
    carved: list[Subnet] = []
    for cidr, more in edits:
        usual: dict[str, Any] = {"pool": "p", "project": "x", **more}
        at = len(carved)
        carved.append(replace(subnet(cidr), id=at, name=f"s{at}", **usual))
    state = replace(catalogue(*carved), pools={"p": pool})
    assert [(each.code, each.subnet) for each in inspect_pools(state)] == [
        ("outside_pool", "s1"),
        ("outside_pool", "s2"),
        ("outside_pool", "s3"),
        ("outside_pool", "s4"),
        ("quota_exceeded", ""),
    ]
