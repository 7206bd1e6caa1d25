"""``borough_remote``: the driver for a service."""

from __future__ import annotations

import ipaddress
import logging
from typing import Any

import pytest
from neutron.ipam import exceptions as ipam_exc
from neutron.ipam import requests as ipam_req
from neutron_lib.db import api as db_api
from oslo_config import cfg

from borough.neutron.errors import AddressServiceUnavailable
from tests.neutron.cloud import port
from tests.neutron.remote import ALLOCATE, RELEASE, RemoteCloud, remote_cloud


@pytest.fixture
def cloud(service_cloud: RemoteCloud) -> RemoteCloud:
    service_cloud.reset()
    return service_cloud


def test_allocation_is_one_request_for_any_group(cloud: RemoteCloud):
    network = cloud.network()
    full = [cloud.subnet(f"10.0.{at}.0/29", network=network) for at in range(8)]
    for name in full:
        for _ in range(5):
            cloud.allocate([name])
    group = [*full, cloud.subnet("10.1.0.0/16", network=network)]
    for host in ("", "node-1"):
        cloud.proxy.reset()
        address, subnet = cloud.allocate(group, port=port(host))
        assert subnet == group[-1]
        assert ipaddress.ip_address(address) in ipaddress.ip_network("10.1.0.0/16")
        assert cloud.proxy.seen == [ALLOCATE]
    assert cloud.pool(cloud.context).needs_rollback()


def test_service_types_are_read_from_neutrons_tables(cloud: RemoteCloud):
    network = cloud.network()
    plain, roomy = (cloud.subnet(f"10.6.{at}.0/24", network=network) for at in (1, 2))
    assert cloud.allocate([roomy, plain])[1] == plain
    # The service is not notified.
    cloud.execute(f"INSERT INTO subnet_service_types VALUES ('{roomy}', 'compute:nova')")
    assert cloud.allocate([roomy, plain])[1] == roomy


def test_many_addresses_are_one_request(cloud: RemoteCloud):
    subnet = cloud.subnet("10.7.0.0/24")
    context = cloud.context
    cloud.proxy.reset()
    with db_api.CONTEXT_WRITER.using(context):
        pool = cloud.pool(context)
        many = pool.get_subnet(subnet).bulk_allocate(ipam_req.BulkAddressRequest(100))
    assert cloud.proxy.seen == [ALLOCATE]
    assert len(set(many)) == 100


def test_the_anycast_address_is_left_to_neutron(cloud: RemoteCloud):
    network = cloud.network()
    subnet = cloud.subnet("2001:db8:8::/64", network=network)
    anycast = ipam_req.SpecificAddressRequest("2001:db8:8::")
    assert cloud.allocate([subnet], anycast)[0] == "2001:db8:8::"
    cloud.port(network, subnet, "2001:db8:8::")
    with pytest.raises(ipam_exc.IpAddressAlreadyAllocated):
        cloud.allocate([subnet], anycast)
    cloud.release(subnet, "2001:db8:8::")


def test_a_release_is_two_requests(cloud: RemoteCloud):
    subnet = cloud.subnet("10.10.0.0/29")
    address, _ = cloud.allocate([subnet])
    cloud.proxy.reset()
    cloud.release(subnet, address)
    # The read of the allocation, and the release after the commit.
    asked, freed = cloud.proxy.seen
    assert (asked[0], freed) == ("GET", RELEASE)


def test_subnet_is_adopted_once(cloud: RemoteCloud):
    subnet = cloud.subnet("10.11.0.0/24")
    cloud.forget(subnet)
    cloud.allocate([subnet])
    cloud.proxy.reset()
    cloud.allocate([subnet])
    assert cloud.proxy.seen == [ALLOCATE]


def test_commit_removes_subnets_with_their_addresses(cloud: RemoteCloud):
    network = cloud.network()
    subnet, other = (cloud.subnet(f"10.12.{at}.0/24", network=network) for at in range(2))
    cloud.allocate([subnet])
    for name in (subnet, other):
        scope = {each.name: each for each in cloud.served.ipam.subnets()}[name].scope
        assert scope == network
        context = cloud.context
        with db_api.CONTEXT_WRITER.using(context):
            context.session.connection().exec_driver_sql(f"DELETE FROM subnets WHERE id='{name}'")
            cloud.pool(context).remove_subnet(name)
            assert name in {each.name for each in cloud.served.ipam.subnets()}, "not committed yet"
        assert name not in {each.name for each in cloud.served.ipam.subnets()}
    assert network not in cloud.served.ipam.catalogue().scopes


def test_unavailable_service_is_reported_as_503(cloud: RemoteCloud):
    subnet = cloud.subnet("10.13.0.0/24")
    cfg.CONF.set_override("timeout", 0.5, group="borough")
    cloud.proxy.rule(("refuse", "", "", 1000))
    with pytest.raises(AddressServiceUnavailable, match="does not answer"):
        cloud.allocate([subnet])
    with pytest.raises(AddressServiceUnavailable):
        cloud.release(subnet, "10.13.0.2")
    cloud.reset()
    cfg.CONF.clear_override("url", group="borough")
    with pytest.raises(AddressServiceUnavailable, match="url is not set"):
        cloud.allocate([subnet])
    cloud.use()
    assert cloud.allocate([subnet])[0] == "10.13.0.2"


def test_token_is_read_from_a_file_and_never_logged(tmp_path: Any, caplog: Any):
    with remote_cloud("postgresql", tmp_path, "--tokens") as cloud:
        context = cloud.context
        with pytest.raises(AddressServiceUnavailable), db_api.CONTEXT_WRITER.using(context):
            cloud.subnet("10.0.0.0/24")
        secret, file = cloud.served.secret, tmp_path / "token"
        file.write_text(secret + "\n")
        cfg.CONF.set_override("token_file", str(file), group="borough")
        try:
            subnet = cloud.subnet("10.0.0.0/24")
            assert cloud.allocate([subnet])[0] == "10.0.0.2"
            cfg.CONF.set_override("token", secret, group="borough")
            cfg.CONF.log_opt_values(logging.getLogger("options"), logging.CRITICAL)
            assert "borough.token_file" in caplog.text
            assert secret not in caplog.text
        finally:
            cfg.CONF.clear_override("token", group="borough")
            cfg.CONF.clear_override("token_file", group="borough")
