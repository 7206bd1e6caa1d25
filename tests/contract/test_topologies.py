"""Applying topologies, and adding, carving and removing subnets, on every store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from borough import Ipam
from borough.domain.encode import plain
from borough.errors import (
    Exhausted,
    FixInput,
    InUse,
    InvalidTopology,
    Overlap,
    PoolExhausted,
    QuotaExceeded,
    UnknownDimension,
    UnknownObject,
    WouldStrand,
)
from tests.conftest import EXAMPLES, Clock

L = {"network": "n"}


def one(cidr: str = "10.0.0.0/24", **more: Any) -> dict[str, Any]:
    return {"subnets": [{"name": "s", "cidr": cidr, "labels": L, **more}]}


def lines(ipam: Ipam, topology: Any, **options: Any) -> list[tuple[str, str, str]]:
    changes = ipam.apply(topology, **options).changes
    return [(each.action, each.kind, each.name) for each in changes]


@pytest.mark.parametrize("example", sorted(path.name for path in EXAMPLES.glob("*.yaml")))
def test_applying_twice_changes_nothing(ipam: Ipam, example: str) -> None:
    """Idempotent, for each of the examples."""
    assert ipam.apply(EXAMPLES / example)
    assert not ipam.apply(EXAMPLES / example)


def test_a_dry_run_writes_nothing(ipam: Ipam) -> None:
    """The same lines, and nothing written."""
    shown = lines(ipam, one(), dry_run=True)
    assert ipam.subnets() == []
    assert lines(ipam, one()) == shown == [("add", "subnet", "s")]


def test_objects_no_longer_declared_are_removed(ipam: Ipam) -> None:
    """A topology is complete for the objects that it declared."""
    ipam.apply(one())
    assert lines(ipam, {"subnets": []}) == [("remove", "subnet", "s")]
    assert ipam.subnets() == []


def test_topologies_of_other_names_are_left_alone(ipam: Ipam) -> None:
    """Two files side by side; neither may change what the other declared."""
    ipam.apply(one(), name="a")
    ipam.apply({"subnets": []}, name="b")
    assert [each.source for each in ipam.subnets()] == ["a"]
    with pytest.raises(InUse):
        ipam.apply(one(weight=3), name="b")


def test_removing_a_subnet_with_allocations_is_refused(ipam: Ipam) -> None:
    """With the list of its allocations, and nothing changed."""
    ipam.apply(one())
    ipam.allocate(labels=L, owner="web")
    with pytest.raises(WouldStrand) as refused:
        ipam.apply({"subnets": [], "hosts": {"h": {"segment": "a"}}})
    listed = refused.value.detail["allocations"]
    assert [(each["address"], each["owner"]) for each in listed] == [("10.0.0.1", "web")]
    assert ipam.hosts() == []
    assert len(ipam.subnets()) == 1


def test_shrinking_away_an_allocation_is_refused(ipam: Ipam) -> None:
    """Only allocations outside the new prefix count, or on its network and broadcast addresses."""
    ipam.apply(one())
    ipam.allocate(labels=L, address="10.0.0.127")
    for smaller in ("10.0.0.0/26", "10.0.0.0/25"):
        with pytest.raises(WouldStrand):
            ipam.apply(one(smaller))
    ipam.release("10.0.0.127")
    assert ipam.apply(one("10.0.0.0/25"))
    assert ipam.subnets()[0].prefix == "10.0.0.0/25"
    assert ipam.audit() == []


def test_a_subnet_may_grow_around_its_allocations(ipam: Ipam) -> None:
    """Everything stays where it was, claims included."""
    ipam.apply(one("10.0.0.64/26"))
    held = ipam.allocate(labels=L, host="h", count=20).allocations
    before = plain(ipam.routes("h"))
    ipam.apply(one("10.0.0.0/24"))
    assert [each.address for each in ipam.allocations()] == [each.address for each in held]
    assert plain(ipam.routes("h")) == before
    assert ipam.audit() == []
    assert ipam.usage(labels=L)[0].allocated == 20


def test_a_label_change_is_fine(ipam: Ipam) -> None:
    """Allocations stay; the next request sees the new labels at once."""
    ipam.apply(one())
    held = ipam.allocate(labels=L).allocations[0]
    ipam.apply({"subnets": [{"name": "s", "cidr": "10.0.0.0/24", "labels": {"network": "m"}}]})
    assert ipam.show(held.address).sequence == held.sequence
    assert ipam.allocate(labels={"network": "m"}).address == "10.0.0.2"


def test_new_ranges_hold_at_once(ipam: Ipam) -> None:
    """Ranges and gateway change later allocations, not existing ones."""
    ipam.apply(one())
    ipam.allocate(labels=L)
    ipam.apply(one(ranges=["10.0.0.50-10.0.0.51"], gateway="10.0.0.1"))
    assert [ipam.allocate(labels=L).address for _ in range(2)] == ["10.0.0.50", "10.0.0.51"]
    assert ipam.audit() == []


def test_overlaps_are_refused(ipam: Ipam) -> None:
    """Inside one scope, across topologies."""
    ipam.apply(one(), name="a")
    other = {"subnets": [{"name": "t", "cidr": "10.0.0.128/25", "labels": L}]}
    with pytest.raises(Overlap):
        ipam.apply(other, name="b")


def test_a_replaced_subnet_frees_its_space(ipam: Ipam) -> None:
    """Another name on the same prefix, in one step."""
    ipam.apply(one())
    ipam.apply({"subnets": [{"name": "t", "cidr": "10.0.0.0/24", "labels": L}]})
    assert [each.name for each in ipam.subnets()] == ["t"]


def test_an_invalid_file_names_line_and_field(ipam: Ipam, tmp_path: Path) -> None:
    """And changes nothing."""
    file = tmp_path / "bad.yaml"
    file.write_text(
        "subnets:\n  - {name: a, cidr: 10.0.0.0/24}\n  - {name: b, cidr: 10.0.1.1/24}\n"
    )
    with pytest.raises(InvalidTopology) as refused:
        ipam.apply(file)
    (problem,) = refused.value.detail["problems"]
    assert (problem["line"], problem["field"]) == (3, "subnets[1].cidr")
    assert "10.0.1.0/24" in problem["reason"]
    assert ipam.subnets() == []


def test_a_dimension_in_use_stays(ipam: Ipam) -> None:
    """It cannot go while a subnet of another source is labelled in it."""
    ipam.apply({"dimensions": {"rack": {"fallback": "any"}}})
    ipam.add_subnet("10.0.0.0/24", labels={"rack": "r1"})
    with pytest.raises(InUse):
        ipam.apply({"dimensions": {}})
    ipam.remove_subnet("10.0.0.0/24")
    assert lines(ipam, {"dimensions": {}}) == [("remove", "dimension", "rack")]


# --- Single subnets and pools ----------------------------------------------------------------------

POOLS = {
    "pools": [
        {
            "name": "p",
            "prefixes": ["10.0.0.0/24"],
            "minimum_length": 25,
            "maximum_length": 30,
            "default_length": 28,
            "quota": 64,
        }
    ]
}


def test_a_subnet_is_carved_with_its_labels(ipam: Ipam) -> None:
    """By length, by default length, and by exact prefix; the labels are remembered."""
    ipam.apply(POOLS)
    assert ipam.allocate_subnet("p", prefix_length=29, labels=L).prefix == "10.0.0.0/29"
    assert ipam.allocate_subnet("p").prefix == "10.0.0.16/28"
    exact = ipam.allocate_subnet("p", cidr="10.0.0.8/29", name="x", labels=L)
    assert (exact.name, exact.pool, exact.labels) == ("x", "p", {"network": ["n"]})
    assert ipam.allocate(labels=L).address == "10.0.0.1"


def test_the_largest_free_prefixes_stay_whole(ipam: Ipam) -> None:
    """After a /30, the next /30 goes beside it and not into fresh space."""
    ipam.apply(POOLS)
    ipam.allocate_subnet("p", prefix_length=30)
    assert ipam.allocate_subnet("p", prefix_length=30).prefix == "10.0.0.4/30"
    assert ipam.allocate_subnet("p", prefix_length=26, project="other").prefix == "10.0.0.64/26"


def test_a_removed_subnet_returns_to_its_pool(ipam: Ipam) -> None:
    """It cannot be removed while it has allocations."""
    ipam.apply(POOLS)
    ipam.allocate_subnet("p", prefix_length=28, name="x", labels=L)
    address = ipam.allocate(labels=L).address
    with pytest.raises(WouldStrand):
        ipam.remove_subnet("x")
    ipam.release(address)
    ipam.remove_subnet("x")
    assert ipam.allocate_subnet("p", prefix_length=28).prefix == "10.0.0.0/28"


def test_limits_and_quota(ipam: Ipam) -> None:
    """Lengths within bounds, a quota for each project, exhaustion reported."""
    ipam.apply(POOLS)
    for wrong in ({"prefix_length": 24}, {"prefix_length": 31}, {"cidr": "10.1.0.0/28"}):
        with pytest.raises(FixInput):
            ipam.allocate_subnet("p", **wrong)
    ipam.allocate_subnet("p", prefix_length=26, project="a")
    with pytest.raises(QuotaExceeded):
        ipam.allocate_subnet("p", prefix_length=30, project="a")
    ipam.allocate_subnet("p", prefix_length=26, project="b")
    with pytest.raises(Overlap):
        ipam.allocate_subnet("p", cidr="10.0.0.0/27", project="c")
    ipam.allocate_subnet("p", prefix_length=26, project="c")
    ipam.allocate_subnet("p", prefix_length=27, project="d")
    with pytest.raises(PoolExhausted):
        ipam.allocate_subnet("p", prefix_length=26, project="e")
    with pytest.raises(UnknownObject):
        ipam.allocate_subnet("q")


def test_an_ipv6_quota_counts_in_64s(ipam: Ipam) -> None:
    """As Neutron counts: a /62 is four units."""
    pool = {"name": "p", "prefixes": ["2001:db8::/56"], "minimum_length": 60, "quota": 4}
    ipam.apply({"pools": [pool]})
    with pytest.raises(QuotaExceeded):
        ipam.allocate_subnet("p", prefix_length=61)
    assert ipam.allocate_subnet("p", prefix_length=62).prefix == "2001:db8::/62"


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"gateway": "10.0.1.1"}, FixInput),
        ({"gateway": "10.0.0.0"}, FixInput),
        ({"gateway": "2001:db8::1"}, FixInput),
        ({"ranges": ["10.0.0.9-10.0.0.8"]}, FixInput),
        ({"ranges": ["10.0.0.1-10.0.0.9", "10.0.0.9-10.0.0.12"]}, FixInput),
        ({"labels": {"zone": "z"}}, UnknownDimension),
        ({"scope": "blue"}, UnknownObject),
        ({"weight": 10_000}, FixInput),
        ({"cooldown": "soon"}, FixInput),
        ({"name": "a\nb"}, FixInput),
    ],
)
def test_an_invalid_subnet_is_refused(
    ipam: Ipam, settings: dict[str, Any], error: type[Exception]
) -> None:
    """Nothing is added."""
    with pytest.raises(error):
        ipam.add_subnet("10.0.0.0/24", **settings)
    assert ipam.subnets() == []


def test_a_carved_subnet_survives_topologies(ipam: Ipam) -> None:
    """It belongs to none, so none removes it; one that names it adopts it."""
    ipam.apply(POOLS)
    ipam.allocate_subnet("p", prefix_length=28, name="x", labels=L)
    ipam.apply(POOLS)
    assert [each.name for each in ipam.subnets()] == ["x"]
    adopted = {**POOLS, "subnets": [{"name": "x", "cidr": "10.0.0.0/28", "labels": L}]}
    assert lines(ipam, adopted) == [("change", "subnet", "x")]
    assert ipam.subnets()[0].pool == "p"


@pytest.mark.parametrize(("cooldown", "rest"), [(60, 60), (0, 0)])
def test_a_shorter_cooldown_applies_to_cooling_addresses(
    ipam: Ipam, clock: Clock, cooldown: int, rest: int
):
    subnet = {"name": "s", "cidr": "10.0.0.0/30", "labels": {"network": "n"}}
    ipam.apply({"subnets": [{**subnet, "cooldown": 3600}]})
    labels = {"network": "n"}
    given = [ipam.allocate(labels=labels).address for _ in range(2)]
    ipam.release(given)
    ipam.apply({"subnets": [{**subnet, "cooldown": cooldown}]})
    assert ipam.audit() == []
    if rest:
        with pytest.raises(Exhausted):
            ipam.allocate(labels=labels)
    clock.advance(rest)
    assert sorted(ipam.allocate(labels=labels).address for _ in range(2)) == given
    assert ipam.audit() == []


def test_a_longer_cooldown_leaves_cooling_addresses(ipam: Ipam, clock: Clock):
    subnet = {"name": "s", "cidr": "10.0.0.0/32", "labels": {"network": "n"}}
    ipam.apply({"subnets": [{**subnet, "cooldown": 60}]})
    address = ipam.allocate(labels={"network": "n"}).address
    ipam.release(address)
    ipam.apply({"subnets": [{**subnet, "cooldown": 3600}]})
    clock.advance(60)
    assert ipam.allocate(labels={"network": "n"}).address == address
