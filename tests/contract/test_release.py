"""Releases by owner and host, over scopes; EUI-64 where no IPv6 is; on every store and over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from borough import Ipam
from borough.errors import NoMatchingSubnet, NotAllocated, UnknownObject

L = {"network": "n"}


def subnet(name: str, scope: str, cidr: str = "10.0.0.0/24") -> dict[str, Any]:
    return {"name": name, "cidr": cidr, "labels": L, "scope": scope}


@pytest.fixture
def scopes(ipam: Ipam) -> list[str]:
    """An owner and a host hold an address in each of three scopes."""
    names = ["default", "red", "blue"]
    ipam.apply({"scopes": names, "subnets": [subnet(f"s-{name}", name) for name in names]})
    for name in names:
        ipam.allocate(labels=L, scope=name, owner="vm1", host="h1")
        ipam.allocate(labels=L, scope=name, owner="vm2", host="h1")
    return names


def test_a_release_of_an_owner_reaches_all_scopes(ipam: Ipam, scopes: list[str]) -> None:
    released = ipam.release(owner="vm1")
    assert sorted(each.scope for each in released) == sorted(scopes)
    assert not ipam.allocations(owner="vm1")
    assert len(ipam.allocations(owner="vm2")) == 3


def test_a_release_of_a_host_reaches_all_scopes(ipam: Ipam, scopes: list[str]) -> None:
    assert len(ipam.release(host="h1")) == 2 * len(scopes)
    assert not ipam.allocations()
    # The host was released as a whole, and its claims with it.
    assert not any(each.holder for each in ipam.blocks())


@pytest.mark.parametrize("scope", ["default", "red"])
def test_a_scope_that_is_named_is_the_only_one(ipam: Ipam, scopes: list[str], scope: str) -> None:
    (released,) = ipam.release(owner="vm1", scope=scope)
    assert released.scope == scope
    assert {each.scope for each in ipam.allocations(owner="vm1")} == {*scopes} - {scope}


def test_an_unknown_scope_is_refused(ipam: Ipam, scopes: list[str]) -> None:
    with pytest.raises(UnknownObject):
        ipam.release(owner="vm1", scope="grey")
    assert len(ipam.allocations()) == 2 * len(scopes)


def test_an_address_without_a_scope_is_of_the_default_one(ipam: Ipam, scopes: list[str]) -> None:
    held = ipam.allocate(labels=L, scope="red", owner="vm3").address
    with pytest.raises(NotAllocated):
        ipam.release(held)
    assert [each.scope for each in ipam.release(f"{held}/24", scope="red")] == ["red"]


def test_an_address_is_named_as_tables_print_it(ipam: Ipam, scopes: list[str]) -> None:
    assert ipam.show("10.0.0.1/24") == ipam.show("10.0.0.1")
    assert ipam.reassign("10.0.0.1/24", "h2").host == "h2"


def test_eui64_is_refused_where_no_ipv6_subnet_is(ipam: Ipam, scopes: list[str]) -> None:
    before = len(ipam.allocations())
    with pytest.raises(NoMatchingSubnet, match="no /64"):
        ipam.allocate(labels=L, mac="0011.2233.4455")
    assert len(ipam.allocations()) == before
    ipam.apply({"subnets": [subnet("six", "default", "2001:db8::/64")]}, name="more")
    held = ipam.allocate(labels=L, mac="0011.2233.4455").address
    assert held == "2001:db8::211:22ff:fe33:4455"
