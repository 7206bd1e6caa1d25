"""What an operator writes every day: addresses as printed, owners in several scopes, a summary."""

from __future__ import annotations

import pytest

from borough import Ipam
from borough.errors import InvalidAddress, UnknownObject


@pytest.fixture
def space(ipam: Ipam) -> Ipam:
    """Two scopes with the same prefix."""
    ipam.apply(
        {
            "scopes": ["vrf", "lab"],
            "subnets": [
                {"name": "a", "cidr": "10.0.0.0/24"},
                {"name": "v", "cidr": "10.0.0.0/24", "scope": "vrf"},
                {"name": "l", "cidr": "10.0.0.0/24", "scope": "lab"},
            ],
        }
    )
    for scope in ("default", "vrf", "lab"):
        ipam.allocate(address="10.0.0.5", owner="vm1", host="h1", scope=scope)
    return ipam


def test_a_release_of_an_owner_leaves_nothing_behind(space: Ipam) -> None:
    """All scopes unless one is named; an address is of the default one."""
    assert len(space.release("10.0.0.5", owner="vm1")) == 1
    assert {each.scope for each in space.allocations()} == {"vrf", "lab"}
    assert len(space.release(owner="vm1", scope="lab")) == 1
    assert space.release(owner="vm1").total == 1
    assert space.allocations() == []
    with pytest.raises(UnknownObject):
        space.release(owner="vm1", scope="nowhere")


def test_a_release_of_a_host_leaves_nothing_behind(space: Ipam) -> None:
    """Its claims of all scopes end as well."""
    assert space.release(host="h1").total == 3
    assert [each for each in space.blocks() if each.holder] == []
    assert space.audit() == []


def test_an_address_is_accepted_as_it_is_printed(space: Ipam) -> None:
    """With the length of its prefix, which must be one."""
    assert space.show("10.0.0.5/24") == space.show("10.0.0.5")
    assert space.reassign("10.0.0.5/24", "h2").host == "h2"
    assert space.allocate(address="10.0.0.6/24").address == "10.0.0.6"
    assert len(space.release(["10.0.0.5/24", "10.0.0.6/24"])) == 2
    for wrong in ("10.0.0.5/33", "10.0.0.5/", "10.0.0.5/x", "10.0.0.5/-1"):
        with pytest.raises(InvalidAddress):
            space.show(wrong)


def test_changes_print_as_a_summary(ipam: Ipam) -> None:
    """A line for each change, and their number."""
    changes = ipam.apply({"subnets": [{"name": "a", "cidr": "10.0.0.0/24"}]})
    assert str(changes) == "add subnet a (10.0.0.0/24)\n1 added, 0 changed, 0 removed"
    again = ipam.apply({"subnets": [{"name": "a", "cidr": "10.0.0.0/23"}]})
    assert str(again).splitlines()[0] == "change subnet a: cidr 10.0.0.0/24 -> 10.0.0.0/23"
