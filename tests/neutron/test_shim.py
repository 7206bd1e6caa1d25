"""The reference driver, unmodified, behind the shim."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from oslo_config import cfg
from oslo_utils import uuidutils

from borough.neutron.shim import ShimPool
from tests.neutron.cloud import Cloud
from tests.neutron.conftest import SERVERS
from tests.servers.shared import shared_server


@pytest.fixture(params=SERVERS)
def shimmed(request: Any) -> Iterator[Cloud]:
    """A cloud of the reference driver, with the shim before it."""
    made = Cloud(shared_server(request.param).fresh(), "borough_shim", tables=False)
    yield made
    made.engine.dispose()


def allocate(cloud: Cloud, network: str, subnets: list[str], host: str) -> str:
    port = {
        "id": uuidutils.generate_uuid(),
        "device_owner": "compute:nova",
        "binding:host_id": host,
    }
    address, subnet = cloud.allocate(subnets, port=port)
    cloud.port(network, subnet, address, host=host, owner=port["id"])
    return subnet


def test_ports_of_a_host_stay_in_few_subnets(shimmed: Cloud):
    cloud = shimmed
    assert cfg.CONF.borough.delegate == "internal"
    assert isinstance(cloud.pool(cloud.context), ShimPool)
    network = cloud.network()
    subnets = [cloud.subnet(f"10.0.{at}.0/29", network=network) for at in range(4)]
    used: dict[str, list[str]] = {"node-1": [], "node-2": [], "node-3": []}
    for at in range(15):
        host = f"node-{at % 3 + 1}"
        used[host].append(allocate(cloud, network, subnets, host))
    # Each subnet has five free addresses, so each host has a subnet for itself.
    assert [len(set(each)) for each in used.values()] == [1, 1, 1]
    assert len({each[0] for each in used.values()}) == 3
    # A full subnet causes no failure: the boundary is soft.
    assert [allocate(cloud, network, subnets, "node-1") for _ in range(5)] == [subnets[3]] * 5
