"""``borough_remote``: the same driver, with the addresses at a service."""

from __future__ import annotations

import ipaddress
import logging
from typing import Any

import pytest
from neutron.ipam import exceptions as ipam_exc
from neutron.ipam import requests as ipam_req
from neutron_lib import constants
from neutron_lib import exceptions as n_exc
from neutron_lib.db import api as db_api
from oslo_config import cfg
from oslo_utils import uuidutils

from borough.neutron.errors import AddressServiceUnavailable
from tests.neutron.remote import FREE, GIVE, RemoteCloud, port, remote_cloud


@pytest.fixture
def cloud(made: RemoteCloud) -> RemoteCloud:
    made.calm()
    return made


def test_an_allocation_is_one_request_whatever_the_group(cloud: RemoteCloud):
    network = cloud.network()
    full = [cloud.subnet(f"10.0.{at}.0/29", network=network) for at in range(8)]
    for name in full:
        for _ in range(5):
            cloud.allocate([name])
    group = [*full, cloud.subnet("10.1.0.0/16", network=network)]
    for host in ("", "node-1"):
        cloud.front.calm()
        address, subnet = cloud.allocate(group, port=port(host))
        assert subnet == group[-1]
        assert ipaddress.ip_address(address) in ipaddress.ip_network("10.1.0.0/16")
        assert cloud.front.seen == [GIVE]
    assert cloud.pool(cloud.context).needs_rollback()


def test_the_port_stands_beside_its_address(cloud: RemoteCloud):
    subnet = cloud.subnet("10.3.0.0/24")
    mine, service = port("node-7"), port("node-7", device_owner=constants.DEVICE_OWNER_DHCP)
    cloud.allocate([subnet], port=mine)
    cloud.allocate([subnet], port=service)
    found = {each.owner: each for each in cloud.held(subnet)}
    assert found[mine["id"]].host == "node-7"
    assert found[mine["id"]].attributes == {"device_owner": "compute:nova", "project": "p"}
    # Services of the network itself live on a host and claim nothing there.
    assert found[service["id"]].host == "node-7"
    assert found[service["id"]].block is None
    assert found[service["id"]].attributes == {
        "device_owner": constants.DEVICE_OWNER_DHCP,
        "project": "p",
    }


def test_addresses_of_a_host_aggregate(cloud: RemoteCloud):
    subnet = cloud.subnet("10.4.0.0/20")
    given: dict[str, set[int]] = {"node-1": set(), "node-2": set(), "node-3": set()}
    for at in range(36):
        host = f"node-{at % 3 + 1}"
        given[host].add(int(ipaddress.ip_address(cloud.allocate([subnet], port=port(host))[0])))
    for addresses in given.values():
        assert len({each >> 5 for each in addresses}) == 1
    assert not set.intersection(*({each >> 4 for each in some} for some in given.values()))


def test_networks_may_overlap(cloud: RemoteCloud):
    subnets = [cloud.subnet("10.5.0.0/24") for _ in range(3)]
    assert [cloud.allocate([each])[0] for each in subnets] == ["10.5.0.2"] * 3


def test_subnets_with_a_service_type_come_first(cloud: RemoteCloud):
    network = cloud.network()
    plain = cloud.subnet("10.6.0.0/24", network=network)
    labels = {"service_type": frozenset(("compute:nova",))}
    typed = cloud.subnet("10.6.1.0/30", network=network, labels=labels)
    cloud.execute(f"INSERT INTO subnet_service_types VALUES ('{typed}', 'compute:nova')")
    assert [cloud.allocate([typed, plain])[1] for _ in range(2)] == [typed, plain]
    # The types are Neutron's: what it says now counts, without a word to the service.
    roomy = cloud.subnet("10.6.2.0/24", network=network)
    assert cloud.allocate([roomy, plain])[1] == plain
    cloud.execute(f"INSERT INTO subnet_service_types VALUES ('{roomy}', 'compute:nova')")
    assert cloud.allocate([roomy, plain])[1] == roomy


def test_every_kind_of_request(cloud: RemoteCloud):
    subnet = cloud.subnet("10.7.0.0/24")
    assert cloud.allocate([subnet], ipam_req.PreferNextAddressRequest())[0] == "10.7.0.2"
    assert cloud.allocate([subnet], ipam_req.SpecificAddressRequest("10.7.0.77"))[0] == "10.7.0.77"
    with pytest.raises(ipam_exc.IpAddressAlreadyAllocated):
        cloud.allocate([subnet], ipam_req.SpecificAddressRequest("10.7.0.77"))
    for wrong in ("10.7.0.0", "10.7.0.255", "10.8.0.1"):
        with pytest.raises(ipam_exc.InvalidIpForSubnet):
            cloud.allocate([subnet], ipam_req.SpecificAddressRequest(wrong))
    assert cloud.allocate([subnet], ipam_req.RouterGatewayAddressRequest())[0] == "10.7.0.1"
    context = cloud.context
    cloud.front.calm()
    with db_api.CONTEXT_WRITER.using(context):
        pool = cloud.pool(context)
        many = pool.get_subnet(subnet).bulk_allocate(ipam_req.BulkAddressRequest(100))
    assert cloud.front.seen == [GIVE]
    assert len(set(many)) == 100
    slaac = cloud.subnet("2001:db8:7::/64")
    automatic = ipam_req.AutomaticAddressRequest(prefix="2001:db8:7::/64", mac="00:16:3e:00:00:01")
    assert cloud.allocate([slaac], automatic)[0] == "2001:db8:7:0:216:3eff:fe00:1"


def test_the_anycast_address_is_left_to_neutron(cloud: RemoteCloud):
    network = cloud.network()
    subnet = cloud.subnet("2001:db8:8::/64", network=network)
    anycast = ipam_req.SpecificAddressRequest("2001:db8:8::")
    assert cloud.allocate([subnet], anycast)[0] == "2001:db8:8::"
    cloud.port(network, subnet, "2001:db8:8::")
    with pytest.raises(ipam_exc.IpAddressAlreadyAllocated):
        cloud.allocate([subnet], anycast)
    cloud.release(subnet, "2001:db8:8::")


def test_a_full_group_says_so(cloud: RemoteCloud):
    subnet = cloud.subnet("10.9.0.0/29")
    for _ in range(5):
        cloud.allocate([subnet])
    with pytest.raises(ipam_exc.IpAddressGenerationFailureAllSubnets):
        cloud.allocate([subnet])
    cloud.release(subnet, "10.9.0.4")
    assert cloud.allocate([subnet])[0] == "10.9.0.4"


def test_releasing_twice_and_unknown_subnets(cloud: RemoteCloud):
    subnet = cloud.subnet("10.10.0.0/29")
    address, _ = cloud.allocate([subnet])
    cloud.front.calm()
    cloud.release(subnet, address)
    # Who holds it, and the release when the transaction is committed.
    asked, freed = cloud.front.seen
    assert (asked[0], freed) == ("GET", FREE)
    cloud.release(subnet, address)
    assert cloud.held(subnet) == []
    with pytest.raises(n_exc.SubnetNotFound):
        cloud.allocate([uuidutils.generate_uuid()])


def test_a_subnet_that_only_neutron_knows_is_taken_over(cloud: RemoteCloud):
    network = cloud.network()
    subnet = cloud.subnet("10.11.0.0/24", network=network)
    ours = cloud.port(network, subnet, "10.11.0.2", host="node-1")
    cloud.served.ipam.remove_subnet(subnet)
    assert cloud.allocate([subnet])[0] == "10.11.0.3"
    assert [(each.owner, each.host) for each in cloud.held(subnet)] == [(ours, "node-1"), ("", "")]
    cloud.front.calm()
    cloud.allocate([subnet])
    assert cloud.front.seen == [GIVE]


def test_a_prefix_that_is_delegated_anew(cloud: RemoteCloud):
    network = cloud.network()
    one, two = (cloud.subnet("::/64", network=network) for _ in range(2))
    pool = constants.IPV6_PD_POOL_ID
    cloud.execute(
        *(f"UPDATE subnets SET subnetpool_id='{pool}' WHERE id='{each}'" for each in (one, two))
    )
    for at in (1, 2):
        prefixes = {one: f"2001:db8:{at}a::/64", two: f"2001:db8:{at}b::/64"}
        for name, prefix in prefixes.items():
            cloud.execute(f"UPDATE subnets SET cidr='{prefix}' WHERE id='{name}'")
            context = cloud.context
            with db_api.CONTEXT_WRITER.using(context):
                request = ipam_req.SpecificSubnetRequest("p", name, prefix, allocation_pools=[])
                cloud.pool(context).update_subnet(request)
            automatic = ipam_req.AutomaticAddressRequest(prefix=prefix, mac="00:16:3e:00:00:01")
            assert cloud.allocate([name], automatic)[0].startswith(prefix.removesuffix("::/64"))
            assert len(cloud.held(name)) == 1, "what was given of the old prefix is forgotten"


def test_pools_change_and_subnets_go_with_all_they_hold(cloud: RemoteCloud):
    network = cloud.network()
    subnet, other = (cloud.subnet(f"10.12.{at}.0/24", network=network) for at in range(2))
    context = cloud.context
    with db_api.CONTEXT_WRITER.using(context):
        details = cloud.pool(context).get_subnet(subnet).get_details()
        changed = ipam_req.SpecificSubnetRequest(
            "p",
            subnet,
            "10.12.0.0/24",
            gateway_ip=details.gateway_ip,
            allocation_pools=[details.allocation_pools[0].__class__("10.12.0.200", "10.12.0.209")],
        )
        cloud.pool(context).update_subnet(changed)
    assert cloud.allocate([subnet])[0] == "10.12.0.200"
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


def test_a_service_that_is_away_or_refuses_is_503(cloud: RemoteCloud):
    subnet = cloud.subnet("10.13.0.0/24")
    cfg.CONF.set_override("timeout", 0.5, group="borough")
    cloud.front.rule(("refuse", "", "", 1000))
    with pytest.raises(AddressServiceUnavailable, match="does not answer"):
        cloud.allocate([subnet])
    with pytest.raises(AddressServiceUnavailable):
        cloud.release(subnet, "10.13.0.2")
    cloud.calm()
    cfg.CONF.clear_override("url", group="borough")
    with pytest.raises(AddressServiceUnavailable, match="url is not set"):
        cloud.allocate([subnet])
    cloud.use()
    assert cloud.allocate([subnet])[0] == "10.13.0.2"


def test_the_token_comes_from_a_file_and_is_not_told(tmp_path: Any, caplog: Any):
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
