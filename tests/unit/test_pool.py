"""Carving from pools: bounds, place, quota, best fit, and how full a pool is."""

from __future__ import annotations

import dataclasses
import json
import random
import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from borough.domain.declared.catalogue import Catalogue
from borough.domain.declared.pools import PoolUsage, carve, pool_usage, quota_units
from borough.domain.declared.records import Pool, Subnet
from borough.domain.net.addresses import WIDTH
from borough.domain.net.prefixes import Prefix, enclosing, parse_prefix
from borough.errors import FixInput, Overlap, PoolExhausted, QuotaExceeded


def make_pool(
    *prefixes: str,
    bounds: tuple[int, int, int] = (24, 32, 28),
    quota: int | None = None,
) -> Pool:
    """A pool; bounds are the minimum, maximum and default prefix length."""
    parsed = tuple(parse_prefix(text) for text in prefixes)
    shortest, longest, default = bounds
    return Pool(1, "pool", "blue", parsed[0].family, parsed, shortest, longest, default, quota)


def make_catalogue(*subnets: Subnet) -> Catalogue:
    numbered = {
        number: dataclasses.replace(subnet, id=number) for number, subnet in enumerate(subnets, 1)
    }
    return Catalogue(1, subnets=numbered)


def subnet(text: str, *, pool: str = "pool", project: str = "", scope: str = "blue") -> Subnet:
    return Subnet(0, f"net-{text}", scope, parse_prefix(text), pool=pool, project=project)


# --- Quota units ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "length", "units"),
    [
        (4, 32, 1),
        (4, 31, 2),
        (4, 24, 256),
        (4, 0, 2**32),
        (6, 64, 1),
        (6, 56, 256),
        (6, 0, 2**64),
        (6, 65, Fraction(1, 2)),
        (6, 128, Fraction(1, 2**64)),
    ],
)
def test_quota_units(family: int, length: int, units: Fraction) -> None:
    """A /32 is a unit of IPv4 and a /64 one of IPv6; longer prefixes are exact fractions."""
    assert quota_units(4 if family == 4 else 6, length) == units


# --- Which length -----------------------------------------------------------------------------


def test_the_default_length() -> None:
    """With neither a length nor a prefix named, the pool's default is carved."""
    assert str(carve(make_catalogue(), make_pool("10.0.0.0/24"))) == "10.0.0.0/28"


@pytest.mark.parametrize("length", [25, 26, 29, 30])
def test_a_length_within_bounds(length: int) -> None:
    """Both bounds are allowed lengths."""
    pool = make_pool("10.0.0.0/24", bounds=(25, 30, 28))
    assert str(carve(make_catalogue(), pool, prefix_length=length)) == f"10.0.0.0/{length}"


@pytest.mark.parametrize("length", [-1, 0, 24, 31, 32, 33])
def test_a_length_out_of_bounds(length: int) -> None:
    """A shorter or longer prefix is refused, and the detail names the bounds."""
    pool = make_pool("10.0.0.0/24", bounds=(25, 30, 28))
    with pytest.raises(FixInput) as caught:
        carve(make_catalogue(), pool, prefix_length=length)
    assert caught.value.detail == {
        "pool": "pool",
        "prefix_length": length,
        "minimum_length": 25,
        "maximum_length": 30,
    }


@pytest.mark.parametrize("text", ["10.0.0.0/24", "10.0.0.0/31"])
def test_an_exact_prefix_out_of_bounds(text: str) -> None:
    """The bounds hold for a prefix asked for by name."""
    pool = make_pool("10.0.0.0/23", bounds=(25, 30, 28))
    with pytest.raises(FixInput) as caught:
        carve(make_catalogue(), pool, cidr=parse_prefix(text))
    assert caught.value.detail["minimum_length"] == 25


def test_a_length_and_a_prefix_must_agree() -> None:
    """Both may be named when they say the same."""
    pool, wanted = make_pool("10.0.0.0/24"), parse_prefix("10.0.0.64/26")
    assert carve(make_catalogue(), pool, prefix_length=26, cidr=wanted) == wanted
    with pytest.raises(FixInput) as caught:
        carve(make_catalogue(), pool, prefix_length=27, cidr=wanted)
    assert caught.value.detail == {"cidr": "10.0.0.64/26", "prefix_length": 27}


# --- An exact prefix --------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["10.0.0.0/28", "10.0.0.240/28", "10.0.2.255/32", "10.0.2.0/24"])
def test_an_exact_prefix_inside_the_pool(text: str) -> None:
    """Any free prefix of the pool may be had by name, a whole one included."""
    pool = make_pool("10.0.0.0/24", "10.0.2.0/24")
    assert carve(make_catalogue(), pool, cidr=parse_prefix(text)) == parse_prefix(text)


@pytest.mark.parametrize("text", ["10.0.1.0/28", "10.0.4.0/23", "10.0.3.240/28", "11.0.0.0/28"])
def test_an_exact_prefix_outside_the_pool(text: str) -> None:
    """It must lie in *one* prefix: two halves that belong to two prefixes of the pool do not do."""
    pool = make_pool("10.0.0.0/24", "10.0.4.0/24", "10.0.5.0/24", bounds=(20, 32, 28))
    with pytest.raises(FixInput) as caught:
        carve(make_catalogue(), pool, cidr=parse_prefix(text))
    assert caught.value.detail == {
        "pool": "pool",
        "cidr": text,
        "prefixes": ["10.0.0.0/24", "10.0.4.0/24", "10.0.5.0/24"],
    }


@pytest.mark.parametrize(
    ("prefix", "cidr"), [("10.0.0.0/24", "::a00:0/124"), ("::/96", "0.0.0.0/28")]
)
def test_an_exact_prefix_of_the_other_family(prefix: str, cidr: str) -> None:
    """An IPv6 prefix is in no IPv4 pool, whatever its number; and the other way round."""
    pool = make_pool(prefix, bounds=(0, 128, 28))
    with pytest.raises(FixInput, match="is IPv"):
        carve(make_catalogue(), pool, cidr=parse_prefix(cidr))


@pytest.mark.parametrize("pool_name", ["pool", "other", ""])
@pytest.mark.parametrize("text", ["10.0.0.64/26", "10.0.0.80/28", "10.0.0.0/24", "10.0.0.0/16"])
def test_an_exact_prefix_must_not_overlap(text: str, pool_name: str) -> None:
    """Every subnet of the scope is in the way, smaller or larger, of this pool or of none."""
    catalogue = make_catalogue(subnet(text, pool=pool_name), subnet("10.1.0.0/24"))
    with pytest.raises(Overlap) as caught:
        carve(catalogue, make_pool("10.0.0.0/24"), cidr=parse_prefix("10.0.0.64/26"))
    assert caught.value.detail == {
        "cidr": "10.0.0.64/26",
        "subnet": f"net-{text}",
        "prefix": text,
    }


def test_another_scope_is_not_in_the_way() -> None:
    """Scopes may overlap: only subnets of the pool's scope count."""
    catalogue = make_catalogue(subnet("10.0.0.0/24", scope="red"))
    pool = make_pool("10.0.0.0/24")
    assert str(carve(catalogue, pool, cidr=parse_prefix("10.0.0.0/28"))) == "10.0.0.0/28"
    assert str(carve(catalogue, pool)) == "10.0.0.0/28"
    assert pool_usage(catalogue, pool).used == 0


# --- Quota ------------------------------------------------------------------------------------


def test_a_quota_may_be_used_up_and_not_passed() -> None:
    """Used and asked may come to the quota exactly; one more unit is refused with the numbers."""
    catalogue = make_catalogue(subnet("10.0.0.0/28", project="a"))
    assert carve(catalogue, make_pool("10.0.0.0/24", quota=32), project="a").length == 28
    for named in ({"prefix_length": 28}, {"cidr": parse_prefix("10.0.0.16/28")}):
        with pytest.raises(QuotaExceeded) as caught:
            carve(catalogue, make_pool("10.0.0.0/24", quota=31), project="a", **named)
        assert caught.value.detail.pop("try")
        assert caught.value.detail == {
            "pool": "pool",
            "project": "a",
            "used": 16,
            "asked": 16,
            "quota": 31,
        }
        assert all(type(caught.value.detail[name]) is int for name in ("used", "asked"))


def test_a_quota_counts_the_project_and_the_pool_only() -> None:
    """Subnets of other projects, of other pools and of none are not counted."""
    catalogue = make_catalogue(
        subnet("10.0.0.0/28", project="b"),
        subnet("10.0.0.16/28", project="a", pool="other"),
        subnet("10.0.0.32/28", project="a", pool=""),
        subnet("10.0.0.48/28", project=""),
    )
    pool = make_pool("10.0.0.0/24", quota=16)
    assert str(carve(catalogue, pool, project="a")) == "10.0.0.64/28"
    with pytest.raises(QuotaExceeded):
        carve(catalogue, pool, project="b")
    with pytest.raises(QuotaExceeded):
        carve(catalogue, pool)


def test_no_quota_and_a_quota_of_nothing() -> None:
    """None is no limit at all; 0 is nothing at all."""
    full = make_catalogue(subnet("10.0.0.0/25", project="a"))
    assert carve(full, make_pool("10.0.0.0/24"), project="a").base == 0x0A000080
    with pytest.raises(QuotaExceeded):
        carve(make_catalogue(), make_pool("10.0.0.0/24", quota=0))


def test_fractions_of_a_unit_add_up_exactly() -> None:
    """An IPv6 /128 is 2^-64 of a unit: beside half a unit it still counts, and JSON carries it."""
    pool = make_pool("2001:db8::/32", bounds=(32, 128, 64), quota=1)
    half = subnet("2001:db8::/65", project="a")
    tiny = subnet("2001:db8:1::/128", project="a")
    assert carve(make_catalogue(half), pool, prefix_length=65, project="a").length == 65
    with pytest.raises(QuotaExceeded) as caught:
        carve(make_catalogue(half, tiny), pool, prefix_length=65, project="a")
    assert caught.value.detail["used"] == 0.5 + 2**-64
    assert caught.value.detail["asked"] == 0.5
    assert json.loads(json.dumps(caught.value.detail)) == caught.value.detail
    assert type(caught.value.detail["quota"]) is int


def test_the_quota_is_reported_before_a_full_pool() -> None:
    """An owner at its quota gets that error, not one about a full pool."""
    catalogue = make_catalogue(subnet("10.0.0.0/24", project="a"))
    with pytest.raises(QuotaExceeded):
        carve(catalogue, make_pool("10.0.0.0/24", quota=256), project="a")


# --- Best fit ---------------------------------------------------------------------------------


def test_the_largest_free_prefixes_stay_whole() -> None:
    """The smallest gap that is large enough is cut, though a larger one comes first."""
    pool = make_pool("10.0.0.0/24", "10.0.2.0/24")
    catalogue = make_catalogue(subnet("10.0.2.0/26"), subnet("10.0.2.64/27"))
    assert str(carve(catalogue, pool, prefix_length=28)) == "10.0.2.96/28"
    assert str(carve(catalogue, pool, prefix_length=26)) == "10.0.2.128/26"
    assert str(carve(catalogue, pool, prefix_length=24)) == "10.0.0.0/24"


def test_prefixes_of_a_pool_are_not_joined() -> None:
    """A carved prefix lies in one prefix of the pool, even where two touch."""
    pool = make_pool("10.0.0.0/25", "10.0.0.128/25")
    with pytest.raises(PoolExhausted) as caught:
        carve(make_catalogue(), pool, prefix_length=24)
    assert caught.value.detail.pop("try")
    assert caught.value.detail == {"pool": "pool", "prefix_length": 24, "largest_free_length": 25}


def test_a_prefix_inside_another_of_the_pool_counts_once() -> None:
    """Space that a pool names twice is there once."""
    pool = make_pool("10.0.0.64/26", "10.0.0.0/24", "10.0.0.0/28")
    assert pool_usage(make_catalogue(), pool).size == 256
    assert pool_usage(make_catalogue(), pool).free == 256
    catalogue = make_catalogue(subnet("10.0.0.128/25"), subnet("10.0.0.0/26"))
    assert str(carve(catalogue, pool, prefix_length=26)) == "10.0.0.64/26"


@pytest.mark.parametrize(
    ("taken", "largest"),
    [
        ([], 24),
        (["10.0.0.0/26"], 25),
        (["10.0.0.0/25", "10.0.0.192/26"], 26),
        (["10.0.0.0/8"], None),
    ],
)
def test_an_exhausted_pool_reports_the_largest_free_prefix(
    taken: list[str], largest: int | None
) -> None:
    """The length of the largest free prefix is in the detail; None when nothing is free."""
    pool = make_pool("10.0.0.0/24", bounds=(20, 32, 28))
    with pytest.raises(PoolExhausted) as caught:
        carve(make_catalogue(*map(subnet, taken)), pool, prefix_length=23)
    assert caught.value.detail.pop("try")
    assert caught.value.detail == {
        "pool": "pool",
        "prefix_length": 23,
        "largest_free_length": largest,
    }


POOL = make_pool("10.0.0.0/27", "10.0.0.64/26", "10.0.0.48/28", bounds=(24, 32, 28))


@st.composite
def disjoint_subnets(draw: st.DrawFn) -> list[Subnet]:
    """Subnets in and around the pool, of which no two overlap."""
    found: list[Subnet] = []
    for offset, length in draw(
        st.lists(st.tuples(st.integers(0, 159), st.integers(26, 32)), max_size=20)
    ):
        prefix = enclosing(4, 0x0A000000 + offset, length)
        if not any(prefix.overlaps(other.prefix) for other in found):
            found.append(
                subnet(
                    str(prefix),
                    pool=draw(st.sampled_from(["pool", "other", ""])),
                    project=draw(st.sampled_from(["", "a", "b"])),
                )
            )
    return found


def addresses(prefix: Prefix) -> set[int]:
    return set(range(prefix.base, prefix.last + 1))


def gap_of(prefix: Prefix, free: set[int]) -> Prefix:
    """The largest free prefix of the pool around a free prefix."""
    while any(whole.covers(prefix.parent) for whole in POOL.prefixes) and (
        addresses(prefix.parent) <= free
    ):
        prefix = prefix.parent
    return prefix


@given(disjoint_subnets(), st.integers(26, 32))
def test_carve_against_trying_every_place(subnets: list[Subnet], length: int) -> None:
    """A carved prefix is free, and no free place lies in a smaller gap, or lower in an equal one."""
    taken = set[int]().union(*(addresses(each.prefix) for each in subnets))
    free = set[int]().union(*map(addresses, POOL.prefixes)) - taken
    places = [
        place
        for base in sorted(free)
        for place in (enclosing(4, base, length),)
        if place.base == base
        and addresses(place) <= free
        and any(whole.covers(place) for whole in POOL.prefixes)
    ]
    if not places:
        with pytest.raises(PoolExhausted):
            carve(make_catalogue(*subnets), POOL, prefix_length=length)
        return
    best = min(places, key=lambda place: (gap_of(place, free).size, place.base))
    assert carve(make_catalogue(*subnets), POOL, prefix_length=length) == best


@given(disjoint_subnets())
def test_usage_against_sets(subnets: list[Subnet]) -> None:
    """Used is what any subnet of the scope covers; count and quota are of the pool's own."""
    taken = set[int]().union(*(addresses(each.prefix) for each in subnets))
    whole = set[int]().union(*map(addresses, POOL.prefixes))
    carved = [each for each in subnets if each.pool == "pool"]
    gaps = {gap_of(enclosing(4, address, 32), whole - taken).length for address in whole - taken}
    assert pool_usage(make_catalogue(*subnets), POOL) == PoolUsage(
        name="pool",
        size=len(whole),
        used=len(whole & taken),
        free=len(whole - taken),
        largest_free_length=min(gaps, default=None),
        subnets=len(carved),
        quota_used={
            project: sum(each.prefix.size for each in carved if each.project == project)
            for project in {each.project for each in carved}
        },
    )


def test_usage_of_ipv6_counts_in_64s() -> None:
    """Sizes are addresses; quota used is in /64 units, as a float, by project in order."""
    pool = make_pool("2001:db8::/48", bounds=(48, 80, 64))
    usage = pool_usage(
        make_catalogue(
            subnet("2001:db8::/64", project="b"),
            subnet("2001:db8:0:1::/65", project="a"),
            subnet("2001:db8:0:2::/63", project="b"),
        ),
        pool,
    )
    assert usage.size == 2**80
    assert usage.used == 3 * 2**64 + 2**63
    assert usage.largest_free_length == 49
    assert list(usage.quota_used.items()) == [("a", 0.5), ("b", 3.0)]
    assert all(type(units) is float for units in usage.quota_used.values())


@pytest.mark.parametrize("text", ["0.0.0.0/0", "::/0"])
def test_a_pool_may_be_the_whole_address_space(text: str) -> None:
    """/0 is a pool like any other, down to its last address."""
    pool = make_pool(text, bounds=(0, WIDTH[parse_prefix(text).family], 8))
    assert carve(make_catalogue(), pool, prefix_length=0) == parse_prefix(text)
    upper = parse_prefix(text).halves()[1]
    catalogue = make_catalogue(subnet(str(upper.parent.halves()[0])))
    assert carve(catalogue, pool, prefix_length=1) == upper


def test_a_pool_of_many_subnets_is_quick() -> None:
    """20,000 subnets in 64 prefixes of a pool: the work grows with their number, not its square."""
    pool = make_pool(
        *(f"10.{number}.0.0/16" for number in range(64)), bounds=(16, 28, 24), quota=2**30
    )
    dice = random.Random(1)
    chosen = dice.sample(range(64 * 4096), 20_000)
    catalogue = make_catalogue(*(subnet(str(Prefix(4, (10 << 24) + 16 * n, 28))) for n in chosen))
    started = time.process_time()
    found = carve(catalogue, pool, prefix_length=28)
    usage = pool_usage(catalogue, pool)
    carve(catalogue, pool, cidr=found)
    assert time.process_time() - started < 5  # it takes a tenth of that
    assert usage.used == 20_000 * 16
    assert (found.base - (10 << 24)) // 16 not in chosen
