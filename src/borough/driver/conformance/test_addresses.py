"""The address that a group yields: rule 6 of ``docs/reference/rules.md``."""

from __future__ import annotations

import ipaddress

import pytest

from borough.driver.conformance.space import KitSpace
from borough.driver.feature import Feature
from borough.errors import (
    AddressInUse,
    AddressOutsideGroup,
    AddressUnusable,
    Exhausted,
    NoMatchingSubnet,
)

needs = pytest.mark.needs


@needs(Feature.EXHAUSTION)
@pytest.mark.parametrize(("length", "offsets"), [(30, [1, 2]), (31, [0, 1]), (32, [0])])
def test_usable_addresses_of_ipv4(space: KitSpace, length: int, offsets: list[int]) -> None:
    """Never network and broadcast; /31 (RFC 3021) and /32 in full; all of them before "full"."""
    network = space.add("s", length)
    space.declare()
    got = {space.address() for _ in offsets}
    assert got == {str(network[offset]) for offset in offsets}
    with pytest.raises(Exhausted):
        space.ask()


@needs(Feature.IPV6, Feature.EXHAUSTION)
@pytest.mark.parametrize(("length", "offsets"), [(126, [1, 2, 3]), (127, [0, 1]), (128, [0])])
def test_usable_addresses_of_ipv6(space: KitSpace, length: int, offsets: list[int]) -> None:
    """Never subnet-router anycast (RFC 4291); /127 (RFC 6164) and /128 in full."""
    network = space.add("s", length, family=6)
    space.declare()
    got = {space.address() for _ in offsets}
    assert got == {str(network[offset]) for offset in offsets}
    with pytest.raises(Exhausted):
        space.ask()


@needs(Feature.RANGES)
def test_ranges_and_gateway_are_respected(space: KitSpace) -> None:
    """A request for *any* address gets one of the ranges, never the gateway."""
    cidr = space.cidr(28)
    network = ipaddress.ip_network(cidr)
    settings = {"gateway": str(network[6]), "ranges": [f"{network[5]}-{network[7]}"]}
    space.add("s", cidr=cidr, settings=settings)
    space.declare()
    assert {space.address() for _ in range(2)} == {str(network[5]), str(network[7])}
    with pytest.raises(Exhausted):
        space.ask()


@needs(Feature.NEXT)
def test_next_is_the_lowest_free_address(space: KitSpace) -> None:
    """An address that is released becomes the next one."""
    network = space.add("s", 28)
    space.declare()
    got = [space.address(kind="next") for _ in range(5)]
    assert got == [str(network[offset]) for offset in range(1, 6)]
    space.release(str(network[2]))
    assert space.address(kind="next") == str(network[2])


@needs(Feature.SPECIFIC)
def test_an_address_by_name(space: KitSpace) -> None:
    """It is allocated once, from the subnet that contains it."""
    space.add("a")
    network = space.add("b", 30)
    space.declare()
    asked = str(network[2])
    answer = space.ask(address=asked, owner="web").allocations[0]
    assert (answer.address, answer.subnet) == (asked, space.prefix + "b")
    with pytest.raises(AddressInUse):
        space.ask(address=asked)
    assert space.address(subnets=["b"]) == str(network[1])
    with pytest.raises(Exhausted):
        space.ask(subnets=["b"])


@needs(Feature.SPECIFIC)
def test_an_address_outside_the_group_is_refused(space: KitSpace) -> None:
    """The address must be in a subnet of the group."""
    segment = space.add("a", segment="a")
    space.add("plain")
    space.declare()
    with pytest.raises(AddressOutsideGroup):
        space.ask(address=str(segment[1]))
    with pytest.raises(AddressOutsideGroup):
        space.ask(address="192.0.2.1")
    assert space.address({"segment": "a"}, address=str(segment[1])) == str(segment[1])


@needs(Feature.SPECIFIC)
def test_unusable_addresses_are_refused_by_name(space: KitSpace) -> None:
    """Network and broadcast."""
    network = space.add("s")
    space.declare()
    for address in (network[0], network[3]):
        with pytest.raises(AddressUnusable):
            space.ask(address=str(address))


@needs(Feature.SPECIFIC, Feature.OUTSIDE_RANGES)
def test_an_address_by_name_may_be_outside_the_ranges(space: KitSpace) -> None:
    """An address by name must only be in the subnet."""
    cidr = space.cidr(28)
    network = ipaddress.ip_network(cidr)
    space.add("s", cidr=cidr, settings={"ranges": [f"{network[1]}-{network[2]}"]})
    space.declare()
    assert space.address(address=str(network[9])) == str(network[9])


@needs(Feature.EUI64, Feature.IPV6)
def test_an_address_from_a_mac_address(space: KitSpace) -> None:
    """RFC 4291, appendix A; only a /64 has room for an interface identifier."""
    network = space.add("s", 64, family=6)
    space.add("long", 80, family=6)
    space.declare()
    expected = str(network[0x3656_78FF_FE9A_BCDE])
    assert space.address(mac="34:56:78:9a:bc:de") == expected
    with pytest.raises(AddressInUse):
        space.ask(mac="34:56:78:9a:bc:de")


@needs(Feature.EUI64, Feature.IPV6)
def test_a_group_without_a_64_is_not_exhausted(space: KitSpace) -> None:
    """An EUI-64 address needs a /64: without one, no subnet matches."""
    space.add("s", 112, family=6)
    space.declare()
    with pytest.raises(NoMatchingSubnet):
        space.ask(mac="00:00:00:00:00:01")


@needs(Feature.GATEWAY, Feature.RANGES)
def test_the_gateway_is_allocated_on_request(space: KitSpace) -> None:
    """It is allocated once, and never by *any*."""
    cidr = space.cidr(30)
    network = ipaddress.ip_network(cidr)
    space.add("s", cidr=cidr, settings={"gateway": str(network[1])})
    space.declare()
    assert space.address() == str(network[2])
    assert space.address(kind="gateway") == str(network[1])
    with pytest.raises(AddressInUse):
        space.ask(kind="gateway")
    with pytest.raises(Exhausted):
        space.ask()


@needs(Feature.BULK)
def test_many_at_once(space: KitSpace) -> None:
    """All differ; the next subnet serves the rest when the first one is full."""
    first, second = space.add("a", 29), space.add("b", 29)
    space.declare()
    got = space.addresses(count=8)
    assert len(set(got)) == 8
    members = [ipaddress.ip_address(each) for each in got]
    assert sum(each in first for each in members) in (2, 6)
    assert all(each in first or each in second for each in members)
    with pytest.raises(Exhausted):
        space.ask(count=5)
    assert len(space.addresses(count=4)) == 4


@needs(Feature.DUAL_STACK, Feature.IPV6)
def test_both_families_in_one_request(space: KitSpace) -> None:
    """The IPv4 address comes first."""
    space.add("four")
    space.add("six", 64, family=6)
    space.declare()
    answer = space.ask(families=[4, 6])
    assert [each.family for each in answer.allocations] == [4, 6]


@needs(Feature.DUAL_STACK, Feature.IPV6, Feature.EUI64)
def test_both_families_with_a_mac_address(space: KitSpace) -> None:
    """IPv4 is any address, IPv6 is computed."""
    space.add("four", 30)
    network = space.add("six", 64, family=6)
    space.declare()
    got = space.addresses(families=[4, 6], mac="00:00:00:00:00:01")
    assert got[1] == str(network[0x0200_00FF_FE00_0001])


@needs(Feature.SCOPES)
def test_scopes_may_overlap(space: KitSpace) -> None:
    """Each scope has the address."""
    cidr = space.cidr(30)
    space.add("red", cidr=cidr, scope="red")
    space.add("blue", cidr=cidr, scope="blue")
    space.declare()
    red = space.ask(scope="red", kind="any").allocations[0]
    blue = space.ask(scope="blue", address=red.address).allocations[0]
    assert (red.address, red.scope) != (blue.address, blue.scope)
    assert red.address == blue.address
