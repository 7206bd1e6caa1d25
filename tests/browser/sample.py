"""An address space of a usual size, with names as long as real ones: for pictures and measurements."""

from __future__ import annotations

import random
from typing import Any

import borough
from borough import Ipam

#: Owners and hosts with the longest names that were met.
LONG_OWNER = "network:floatingip_agent_gateway"
LONG_HOST = "compute-rack17-slot04-gpu.region-eu-central-3.cloud.example.org"
#: An address that the owner with the long name holds.
LONG_ADDRESS = "198.51.100.10"


def topology() -> dict[str, Any]:
    """Three networks in two scopes, 40 subnets, a pool and 60 hosts in six racks."""
    pods = [
        {
            "name": f"pods-{number:02d}",
            "cidr": f"10.64.{number * 4}.0/22",
            "gateway": f"10.64.{number * 4}.1",
            "labels": {"network": "pods", "rack": f"r{number % 6 + 1}"},
        }
        for number in range(16)
    ]
    segments = [
        {
            "name": f"edge-{number}",
            "cidr": f"203.0.113.{number * 16}/28",
            "gateway": f"203.0.113.{number * 16 + 1}",
            "labels": {"network": "edge", "segment": f"rack-{number + 1}"},
            "cooldown": "10m",
            "attributes": {"vlan": 100 + number},
        }
        for number in range(12)
    ]
    service = {
        "name": LONG_OWNER,
        "cidr": "198.51.100.0/24",
        "labels": {"network": "edge", "service_type": LONG_OWNER},
        "ranges": ["198.51.100.10-198.51.100.99"],
        "exclude": ["198.51.100.20-198.51.100.29"],
    }
    six = [
        {
            "name": f"pods-v6-{number}",
            "cidr": f"2001:db8:64:{number}::/64",
            "labels": {"network": "pods", "rack": f"r{number + 1}"},
        }
        for number in range(6)
    ]
    lan = [
        {
            "name": f"lan-{number}",
            "cidr": f"10.{number}.0.0/24",
            "gateway": f"10.{number}.0.1",
            "scope": "branch-office",
            "labels": {"network": "lan"},
            "closed": number == 4,
        }
        for number in range(5)
    ]
    hosts = {f"node-{number:02d}": {"rack": f"r{number % 6 + 1}"} for number in range(59)}
    return {
        "dimensions": {
            "network": {"fallback": "none"},
            "segment": {"fallback": "none"},
            "service_type": {"fallback": "unlabelled"},
            "rack": {"fallback": "any"},
            "host": {"fallback": "any"},
        },
        "scopes": ["branch-office"],
        "pools": [
            {
                "name": "tenants",
                "prefixes": ["172.16.0.0/16"],
                "minimum_length": 20,
                "maximum_length": 28,
                "default_length": 24,
            }
        ],
        "subnets": [*pods, *segments, service, *six, *lan],
        "hosts": {**hosts, LONG_HOST: {"rack": "r1"}},
    }


def full() -> Ipam:
    """The address space with about 4,000 addresses, some of them cooling, reserved or borrowed."""
    dice = random.Random(7)
    ipam = borough.open("memory:", create=True)
    ipam.apply(topology())
    pods, edge, lan = ({"network": name} for name in ("pods", "edge", "lan"))
    for number in range(59):
        host, count = f"node-{number:02d}", dice.randrange(20, 100)
        ipam.allocate(labels=pods, host=host, families=4, count=count, owner=f"web-{number % 9}")
        ipam.allocate(labels=pods, host=host, families=6, count=5, owner=f"db-{number % 4}")
    ipam.allocate(labels=pods, host=LONG_HOST, families=4, count=37, owner=LONG_OWNER)
    for number in range(10):
        labels = {**edge, "segment": f"rack-{number + 1}"}
        count = 13 if number < 2 else dice.randrange(2, 13)
        ipam.allocate(labels=labels, count=count, owner=f"lb-{number}", note="behind the balancer")
    ipam.allocate(
        labels={**edge, "service_type": LONG_OWNER},
        count=30,
        owner=LONG_OWNER,
        attributes={"device": "qr-1f0c6b1e-6a", "mac": "fa:16:3e:5b:00:17"},
    )
    for number in range(4):
        count = dice.randrange(20, 200)
        ipam.allocate(labels=lan, scope="branch-office", count=count, owner=f"desk-{number}")
    ipam.reserve(["203.0.113.180-203.0.113.184"], owner="next-balancer")
    for number in (3, 4):
        ipam.release(owner=f"lb-{number}")
    ipam.allocate_subnet("tenants", name="tenant-a", labels=pods)
    return ipam
