"""Reconciliation of Neutron's tables with a side that keeps addresses."""

from __future__ import annotations

import pytest

from borough.domain.net.prefixes import Prefix
from borough.neutron.commands.reconcile import HeldAddress, Report, SideSubnet, compare
from borough.neutron.port_info import PortInfo
from borough.neutron.subnet import Declared
from borough.neutron.tables import PortAddress, TableSubnet
from tests.neutron.cloud import Cloud

BASE = 10 << 24
OLDEST = 100


def in_tables(*addresses: int) -> TableSubnet:
    declared = Declared("s", Prefix(4, BASE, 24))
    ports = [PortAddress(BASE + each, PortInfo(f"port-{each}")) for each in addresses]
    return TableSubnet(declared, ports)


def at_side(*addresses: int, at: int = OLDEST, **more: object) -> SideSubnet[None]:
    return SideSubnet({BASE + each: HeldAddress(at, None) for each in addresses}, **more)  # type: ignore[arg-type]


def test_sides_that_hold_the_same_agree() -> None:
    found = compare("s", in_tables(2, 3), at_side(2, 3), oldest=OLDEST)
    assert found.agrees
    assert compare("s", None, None, oldest=OLDEST).agrees


def test_addresses_of_one_side_only_are_missing_or_leaked() -> None:
    found = compare("s", in_tables(2, 3), at_side(3, 4), oldest=OLDEST)
    assert not found.agrees
    assert [each.address - BASE for each in found.missing] == [2]
    assert [each - BASE for each in found.leaked] == [4]


def test_a_young_address_is_left_alone_and_so_is_its_subnet() -> None:
    assert compare("s", in_tables(), at_side(4, at=OLDEST + 1), oldest=OLDEST).agrees
    assert compare("s", None, at_side(4, at=OLDEST + 1), oldest=OLDEST).agrees
    assert compare("s", None, at_side(4), oldest=OLDEST).is_gone


@pytest.mark.parametrize("address", [0, 256])
def test_an_address_that_the_side_cannot_hold_is_not_missing(address: int) -> None:
    """An address that the side never allocates, and one outside a new delegated prefix."""
    assert compare("s", in_tables(address), at_side(never={BASE}), oldest=OLDEST).agrees


def test_the_report_counts_and_lists_differences() -> None:
    report = Report()
    report.add(compare("new", in_tables(2, 3), None, oldest=OLDEST))
    report.add(compare("s", in_tables(2), at_side(4, differs=["gateway"]), oldest=OLDEST))
    report.add(compare("old", None, at_side(prefix="10.9.0.0/24"), oldest=OLDEST))
    assert (report.subnets, report.addresses) == (2, 3)
    assert (report.subnets_added, report.subnets_changed, report.subnets_removed) == (1, 1, 1)
    assert (report.addresses_added, report.addresses_removed) == (3, 1)
    assert report.differences == [
        "subnet new 10.0.0.0/24 with 2 addresses is not known",
        "subnet s differs from Neutron's in gateway",
        "10.0.0.2 of subnet s has port port-2 only in Neutron",
        "10.0.0.4 of subnet s has no port in Neutron any more",
        "subnet old 10.9.0.0/24 is gone from Neutron",
    ]


def test_audit_counts_and_corrects_differences(cloud: Cloud) -> None:
    network = cloud.network()
    subnets = [cloud.subnet(f"10.14.{at}.0/24", network=network) for at in range(3)]
    assert cloud.audit().agrees
    leaked, _ = cloud.allocate([subnets[0]])
    owner = cloud.port(network, subnets[0], "10.14.0.9", host="node-1")
    cloud.forget(subnets[1])
    cloud.port(network, subnets[1], "10.14.1.9")
    cloud.execute(
        f"DELETE FROM ipallocationpools WHERE subnet_id = '{subnets[2]}'",
        f"DELETE FROM subnets WHERE id = '{subnets[2]}'",
        f"UPDATE subnets SET gateway_ip = '10.14.0.254' WHERE id = '{subnets[0]}'",
    )
    assert cloud.audit(grace=600).addresses_removed == 0
    for write in (False, True):
        found = cloud.audit(write=write)
        assert (found.subnets_added, found.subnets_changed, found.subnets_removed) == (1, 1, 1)
        assert (found.addresses_added, found.addresses_removed) == (2, 1)
        assert any(text.startswith(leaked) for text in found.differences)
    assert cloud.audit().agrees
    assert [(each.owner, each.host) for each in cloud.held(subnets[0])] == [(owner, "node-1")]
    assert cloud.addresses(subnets[1]) == ["10.14.1.9"]
    assert cloud.allocate([subnets[1]])[0] == "10.14.1.2"
    with cloud.ipam() as ipam:
        assert {each.name for each in ipam.subnets()} == set(subnets[:2])


def test_addresses_of_an_earlier_prefix_are_no_difference(cloud: Cloud) -> None:
    """Neutron's table keeps them until their ports are updated; the side dropped them with the prefix."""
    network = cloud.network()
    subnet = cloud.subnet("2001:db8:1::/64", network=network)
    cloud.port(network, subnet, "2001:db8:2::9")
    cloud.port(network, subnet, "2001:db8:1::9")
    found = cloud.audit(write=True)
    assert [text.split()[0] for text in found.differences if subnet in text] == ["2001:db8:1::9"]
    assert cloud.addresses(subnet) == ["2001:db8:1::9"]
