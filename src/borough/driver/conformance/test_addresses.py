"""Which address of a group is given: rule 6 of ``docs/rules.md``."""

from __future__ import annotations

import ipaddress

import pytest

from borough.driver.conformance.stage import Stage
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
def test_which_addresses_of_ipv4_are_given(stage: Stage, length: int, offsets: list[int]) -> None:
    """Network and broadcast never; /31 (RFC 3021) and /32 in full; and all of them before "full"."""
    network = stage.add("s", length)
    stage.declare()
    got = {stage.address() for _ in offsets}
    assert got == {str(network[offset]) for offset in offsets}
    with pytest.raises(Exhausted):
        stage.ask()


@needs(Feature.IPV6, Feature.EXHAUSTION)
@pytest.mark.parametrize(("length", "offsets"), [(126, [1, 2, 3]), (127, [0, 1]), (128, [0])])
def test_which_addresses_of_ipv6_are_given(stage: Stage, length: int, offsets: list[int]) -> None:
    """Subnet-router anycast (RFC 4291) never; /127 (RFC 6164) and /128 in full."""
    network = stage.add("s", length, family=6)
    stage.declare()
    got = {stage.address() for _ in offsets}
    assert got == {str(network[offset]) for offset in offsets}
    with pytest.raises(Exhausted):
        stage.ask()


@needs(Feature.RANGES)
def test_ranges_and_gateway_are_kept(stage: Stage) -> None:
    """Any gives from the ranges less the gateway."""
    cidr = stage.cidr(28)
    network = ipaddress.ip_network(cidr)
    settings = {"gateway": str(network[6]), "ranges": [f"{network[5]}-{network[7]}"]}
    stage.add("s", cidr=cidr, settings=settings)
    stage.declare()
    assert {stage.address() for _ in range(2)} == {str(network[5]), str(network[7])}
    with pytest.raises(Exhausted):
        stage.ask()


@needs(Feature.NEXT)
def test_next_is_the_lowest_free_address(stage: Stage) -> None:
    """Also when a hole opens."""
    network = stage.add("s", 28)
    stage.declare()
    got = [stage.address(kind="next") for _ in range(5)]
    assert got == [str(network[offset]) for offset in range(1, 6)]
    stage.release(str(network[2]))
    assert stage.address(kind="next") == str(network[2])


@needs(Feature.SPECIFIC)
def test_an_address_by_name(stage: Stage) -> None:
    """It is given once, from the subnet that it lies in, and never by any."""
    stage.add("a")
    network = stage.add("b", 30)
    stage.declare()
    wanted = str(network[2])
    answer = stage.ask(address=wanted, owner="web").allocations[0]
    assert (answer.address, answer.subnet) == (wanted, stage.prefix + "b")
    with pytest.raises(AddressInUse):
        stage.ask(address=wanted)
    assert stage.address(subnets=["b"]) == str(network[1])
    with pytest.raises(Exhausted):
        stage.ask(subnets=["b"])


@needs(Feature.SPECIFIC)
def test_an_address_outside_the_group_is_refused(stage: Stage) -> None:
    """Inside some subnet is not enough, it must be one that the request may use."""
    fenced = stage.add("a", segment="a")
    stage.add("plain")
    stage.declare()
    with pytest.raises(AddressOutsideGroup):
        stage.ask(address=str(fenced[1]))
    with pytest.raises(AddressOutsideGroup):
        stage.ask(address="192.0.2.1")
    assert stage.address({"segment": "a"}, address=str(fenced[1])) == str(fenced[1])


@needs(Feature.SPECIFIC)
def test_addresses_that_nobody_can_hold_are_refused_by_name(stage: Stage) -> None:
    """Network and broadcast."""
    network = stage.add("s")
    stage.declare()
    for address in (network[0], network[3]):
        with pytest.raises(AddressUnusable):
            stage.ask(address=str(address))


@needs(Feature.SPECIFIC, Feature.OUTSIDE_RANGES)
def test_by_name_also_outside_the_ranges(stage: Stage) -> None:
    """Inside the subnet is enough."""
    cidr = stage.cidr(28)
    network = ipaddress.ip_network(cidr)
    stage.add("s", cidr=cidr, settings={"ranges": [f"{network[1]}-{network[2]}"]})
    stage.declare()
    assert stage.address(address=str(network[9])) == str(network[9])


@needs(Feature.EUI64, Feature.IPV6)
def test_an_address_from_a_mac_address(stage: Stage) -> None:
    """RFC 4291, appendix A; only a /64 has room for an interface identifier."""
    network = stage.add("s", 64, family=6)
    stage.add("long", 80, family=6)
    stage.declare()
    expected = str(network[0x3656_78FF_FE9A_BCDE])
    assert stage.address(mac="34:56:78:9a:bc:de") == expected
    with pytest.raises(AddressInUse):
        stage.ask(mac="34:56:78:9a:bc:de")


@needs(Feature.EUI64, Feature.IPV6)
def test_what_cannot_be_computed_is_not_called_exhausted(stage: Stage) -> None:
    """No /64 is another thing than no free address."""
    stage.add("s", 112, family=6)
    stage.declare()
    with pytest.raises(NoMatchingSubnet):
        stage.ask(mac="00:00:00:00:00:01")


@needs(Feature.GATEWAY, Feature.RANGES)
def test_the_gateway_is_given_when_asked_for(stage: Stage) -> None:
    """Once, and never by any."""
    cidr = stage.cidr(30)
    network = ipaddress.ip_network(cidr)
    stage.add("s", cidr=cidr, settings={"gateway": str(network[1])})
    stage.declare()
    assert stage.address() == str(network[2])
    assert stage.address(kind="gateway") == str(network[1])
    with pytest.raises(AddressInUse):
        stage.ask(kind="gateway")
    with pytest.raises(Exhausted):
        stage.ask()


@needs(Feature.BULK)
def test_many_at_once(stage: Stage) -> None:
    """Each another address; from the next subnet when the first one is full."""
    first, second = stage.add("a", 29), stage.add("b", 29)
    stage.declare()
    got = stage.addresses(count=8)
    assert len(set(got)) == 8
    members = [ipaddress.ip_address(each) for each in got]
    assert sum(each in first for each in members) in (2, 6)
    assert all(each in first or each in second for each in members)
    with pytest.raises(Exhausted):
        stage.ask(count=5)
    assert len(stage.addresses(count=4)) == 4


@needs(Feature.DUAL_STACK, Feature.IPV6)
def test_both_families_in_one_request(stage: Stage) -> None:
    """IPv4 first."""
    stage.add("four")
    stage.add("six", 64, family=6)
    stage.declare()
    answer = stage.ask(families=[4, 6])
    assert [each.family for each in answer.allocations] == [4, 6]


@needs(Feature.DUAL_STACK, Feature.IPV6, Feature.EUI64)
def test_both_families_with_a_mac_address(stage: Stage) -> None:
    """IPv4 any, IPv6 computed."""
    stage.add("four", 30)
    network = stage.add("six", 64, family=6)
    stage.declare()
    got = stage.addresses(families=[4, 6], mac="00:00:00:00:00:01")
    assert got[1] == str(network[0x0200_00FF_FE00_0001])


@needs(Feature.SCOPES)
def test_scopes_may_overlap(stage: Stage) -> None:
    """The same address in two scopes."""
    cidr = stage.cidr(30)
    stage.add("red", cidr=cidr, scope="red")
    stage.add("blue", cidr=cidr, scope="blue")
    stage.declare()
    red = stage.ask(scope="red", kind="any").allocations[0]
    blue = stage.ask(scope="blue", address=red.address).allocations[0]
    assert (red.address, red.scope) != (blue.address, blue.scope)
    assert red.address == blue.address
