"""Some subnets in the place of others: split, merged, added, removed."""

from __future__ import annotations

import pytest

from borough import Ipam
from borough.errors import FixInput, InUse, Overlap, UnknownObject, WouldStrand

L = {"network": "n"}


@pytest.fixture
def filled(ipam: Ipam) -> Ipam:
    """A subnet of a topology with two addresses, and one that was added by itself."""
    ipam.apply(
        {
            "name": "file",
            "scopes": ["blue"],
            "dimensions": {"rack": {"fallback": "any"}},
            "subnets": [
                {
                    "name": "a",
                    "cidr": "10.0.0.0/24",
                    "gateway": "10.0.0.1",
                    "ranges": ["10.0.0.10-10.0.0.200"],
                    "labels": L,
                }
            ],
            "hosts": {"node-1": {"rack": "r1"}},
        }
    )
    ipam.add_subnet("10.0.1.0/24", name="b", labels=L, attributes={"vlan": 7})
    ipam.allocate(labels=L, address="10.0.0.20", owner="low")
    ipam.allocate(labels=L, address="10.0.0.190", owner="high")
    return ipam


def names(ipam: Ipam) -> list[tuple[str, str]]:
    return [(each.name, each.prefix) for each in ipam.subnets()]


def test_a_split_and_a_merge_take_the_addresses_along(filled: Ipam) -> None:
    """Ranges, gateway and topology go with the parts; the merged one is the old one again."""
    effects = filled.replace_subnets(["a"], split=25, dry_run=True).effects
    assert any("follows from subnet a to a-2" in each.message for each in effects)
    filled.replace_subnets(["a"], split=25)
    assert names(filled) == [
        ("a-1", "10.0.0.0/25"),
        ("a-2", "10.0.0.128/25"),
        ("b", "10.0.1.0/24"),
    ]
    low, high = filled.subnet("a-1"), filled.subnet("a-2")
    assert (low.gateway, high.gateway) == ("10.0.0.1", None)
    assert (low.ranges, high.ranges) == (("10.0.0.10-10.0.0.127",), ("10.0.0.128-10.0.0.200",))
    assert (low.source, high.source) == ("file", "file")
    assert filled.show("10.0.0.190").subnet == "a-2"
    filled.replace_subnets(["a-1", "a-2"], merge="a")
    assert names(filled)[0] == ("a", "10.0.0.0/24")
    assert filled.show("10.0.0.190").subnet == "a"
    assert not filled.audit()


def test_parts_of_a_carved_subnet_stay_in_its_pool(ipam: Ipam) -> None:
    """They count against the quota as the whole did."""
    pool = {"name": "p", "prefixes": ["10.8.0.0/16"], "default_length": 24}
    ipam.apply({"pools": [pool]})
    ipam.allocate_subnet("p", name="carved", labels=L)
    ipam.replace_subnets(["carved"], split=26)
    assert {each.pool for each in ipam.subnets()} == {"p"}
    added = {"pool": "p", "cidr": "10.8.9.0/24", "name": "more", "labels": L}
    assert ipam.replace_subnets(new=[added], dry_run=True)
    ipam.replace_subnets(new=[added])
    assert ipam.subnet("more").pool == "p"
    assert not ipam.audit()


def test_subnets_are_added_and_removed(filled: Ipam) -> None:
    """Both at a time, all or nothing."""
    filled.replace_subnets(["b"], [{"cidr": "10.0.2.0/24", "name": "d", "labels": L}])
    assert [name for name, _ in names(filled)] == ["a", "d"]
    filled.replace_subnets(["d"])
    assert [name for name, _ in names(filled)] == ["a"]


def test_refused_replacements(filled: Ipam) -> None:
    """Each has the error of the same change in a file."""
    with pytest.raises(WouldStrand):
        filled.replace_subnets(["a"])
    with pytest.raises(Overlap):
        filled.replace_subnets(["b"], [{"cidr": "10.0.0.0/23", "name": "b"}])
    with pytest.raises(UnknownObject):
        filled.replace_subnets(["nowhere"], split=25)
    with pytest.raises(InUse):
        filled.replace_subnets(["a", "b"], merge="ab")
    for wrong in (
        {},
        {"old": ["a"], "split": 24},
        {"old": ["a"], "split": 33},
        {"old": ["a"], "merge": "alone"},
    ):
        with pytest.raises(FixInput):
            filled.replace_subnets(**wrong)
    assert names(filled) == [("a", "10.0.0.0/24"), ("b", "10.0.1.0/24")]
