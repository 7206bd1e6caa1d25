"""Neutron's own report of availability has the figures of Borough, with either driver."""

from __future__ import annotations

from typing import Any

from neutron.services.network_ip_availability.plugin import NetworkIPAvailabilityPlugin

from tests.neutron.cloud import Cloud, specific


def availability(cloud: Cloud, network: str) -> dict[str, dict[str, Any]]:
    """What Neutron reports, by subnet."""
    found = NetworkIPAvailabilityPlugin().get_network_ip_availabilities(
        cloud.context, {"network_id": [network]}
    )
    return {each["subnet_id"]: each for net in found for each in net["subnet_ip_availability"]}


def test_neutrons_report_has_the_same_figures(cloud: Cloud):
    network = cloud.network()
    four = cloud.subnet("10.40.0.0/26", network=network)
    six = cloud.subnet("2001:db8:40::/64", network=network)
    for subnet in (four, six):
        for _ in range(5):
            address, _ = cloud.allocate([subnet])
            cloud.port(network, subnet, address)
    # The gateway lies outside the allocation pools.
    gateway, _ = cloud.allocate([four], specific("10.40.0.1"))
    cloud.port(network, four, gateway)
    reported = availability(cloud, network)
    with cloud.ipam() as ipam:
        usage = {each.name: each for each in ipam.usage() if each.name in (four, six)}
    assert (usage[four].used, usage[four].outside) == (5, 1)
    for name, line in usage.items():
        details = reported[name]["ip_availability_details"]
        assert details["total_ips_in_allocation_pool"] == line.size
        assert details["used_ips_in_allocation_pool"] == line.used
        assert reported[name]["total_ips"] == line.size
        assert reported[name]["used_ips"] == line.allocated == line.used + line.outside
