"""Both drivers, in Neutron's transaction and with a service, on PostgreSQL and MariaDB."""

from __future__ import annotations

import ipaddress
import threading
import time
from contextlib import suppress

import netaddr
import pytest
import sqlalchemy as sa
from neutron.ipam import exceptions as ipam_exc
from neutron.ipam import requests as ipam_req
from neutron_lib import constants
from neutron_lib import exceptions as n_exc
from neutron_lib.db import api as db_api
from oslo_db import exception as db_exc
from oslo_utils import uuidutils

from tests.neutron.cloud import Cloud, port, specific


def test_allocation_stores_its_port(cloud: Cloud):
    subnet = cloud.subnet("10.3.0.0/24")
    mine, service = port("node-7"), port("node-7", device_owner=constants.DEVICE_OWNER_DHCP)
    cloud.allocate([subnet], port=mine)
    cloud.allocate([subnet], port=service)
    found = {each.owner: each for each in cloud.held(subnet)}
    assert found[mine["id"]].host == "node-7"
    assert found[mine["id"]].attributes == {"device_owner": "compute:nova", "project": "p"}
    # A service of the network itself is on a host, which claims no space for it.
    assert found[service["id"]].host == "node-7"
    assert found[service["id"]].block is None
    assert found[service["id"]].attributes == {
        "device_owner": constants.DEVICE_OWNER_DHCP,
        "project": "p",
    }


def test_addresses_of_a_host_aggregate(cloud: Cloud):
    subnet = cloud.subnet("10.4.0.0/20")
    allocated: dict[str, set[int]] = {"node-1": set(), "node-2": set(), "node-3": set()}
    for at in range(48):
        host = f"node-{at % 3 + 1}"
        allocated[host].add(int(ipaddress.ip_address(cloud.allocate([subnet], port=port(host))[0])))
    for addresses in allocated.values():
        assert len({each >> 5 for each in addresses}) <= 2
    assert not set.intersection(*({each >> 4 for each in some} for some in allocated.values()))


def test_networks_may_overlap(cloud: Cloud):
    subnets = [cloud.subnet("10.1.0.0/24") for _ in range(3)]
    assert [cloud.allocate([each])[0] for each in subnets] == ["10.1.0.2"] * 3


def test_subnets_with_a_service_type_come_first(cloud: Cloud):
    network = cloud.network()
    plain = cloud.subnet("10.5.0.0/24", network=network)
    labels = {"service_type": frozenset(("compute:nova",))}
    typed = cloud.subnet("10.5.1.0/30", network=network, labels=labels)
    cloud.execute(f"INSERT INTO subnet_service_types VALUES ('{typed}', 'compute:nova')")
    assert [cloud.allocate([typed, plain])[1] for _ in range(2)] == [typed, plain]


def test_every_kind_of_request(cloud: Cloud):
    subnet = cloud.subnet("10.6.0.0/24")
    assert cloud.allocate([subnet], ipam_req.PreferNextAddressRequest())[0] == "10.6.0.2"
    assert cloud.allocate([subnet], specific("10.6.0.77"))[0] == "10.6.0.77"
    with pytest.raises(ipam_exc.IpAddressAlreadyAllocated):
        cloud.allocate([subnet], specific("10.6.0.77"))
    for wrong in ("10.6.0.0", "10.6.0.255", "10.7.0.1"):
        with pytest.raises(ipam_exc.InvalidIpForSubnet):
            cloud.allocate([subnet], specific(wrong))
    assert cloud.allocate([subnet], ipam_req.RouterGatewayAddressRequest())[0] == "10.6.0.1"
    context = cloud.context
    with db_api.CONTEXT_WRITER.using(context):
        many = (
            cloud.pool(context).get_subnet(subnet).bulk_allocate(ipam_req.BulkAddressRequest(100))
        )
    assert len(set(many)) == 100
    slaac = cloud.subnet("2001:db8:6::/64")
    automatic = ipam_req.AutomaticAddressRequest(prefix="2001:db8:6::/64", mac="00:16:3e:00:00:01")
    assert cloud.allocate([slaac], automatic)[0] == "2001:db8:6:0:216:3eff:fe00:1"
    # Neutron assigns the subnet-router anycast address to routers.
    assert cloud.allocate([slaac], specific("2001:db8:6::"))[0] == "2001:db8:6::"


def test_full_group_is_refused_until_a_release(cloud: Cloud):
    subnet = cloud.subnet("10.8.0.0/29")
    for _ in range(5):
        cloud.allocate([subnet])
    with pytest.raises(ipam_exc.IpAddressGenerationFailureAllSubnets):
        cloud.allocate([subnet])
    cloud.release(subnet, "10.8.0.4")
    assert cloud.allocate([subnet])[0] == "10.8.0.4"


def test_second_release_is_accepted_and_unknown_subnet_refused(cloud: Cloud):
    subnet = cloud.subnet("10.9.0.0/29")
    address, _ = cloud.allocate([subnet])
    cloud.release(subnet, address)
    cloud.release(subnet, address)
    assert cloud.held(subnet) == []
    with pytest.raises(n_exc.SubnetNotFound):
        cloud.allocate([uuidutils.generate_uuid()])


def test_host_releases_addresses_in_several_subnets(cloud: Cloud):
    network = cloud.network()
    subnets = [cloud.subnet(f"10.11.{at}.0/24", network=network) for at in range(2)]
    allocated = [cloud.allocate([each], port=port("node-1")) for each in subnets * 3]
    for address, subnet in allocated:
        cloud.release(subnet, address)
    assert all(cloud.held(each) == [] for each in subnets)


def test_first_request_adopts_a_subnet_of_neutron(cloud: Cloud):
    network = cloud.network()
    subnet = cloud.subnet("10.10.0.0/24", network=network)
    ours = cloud.port(network, subnet, "10.10.0.2", host="node-1")
    cloud.forget(subnet)
    assert cloud.allocate([subnet])[0] == "10.10.0.3"
    assert [(each.owner, each.host) for each in cloud.held(subnet)] == [(ours, "node-1"), ("", "")]


def test_new_delegated_prefix_drops_addresses_of_the_old_one(cloud: Cloud):
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
            assert len(cloud.held(name)) == 1, "addresses of the old prefix are dropped"


def test_changed_pools_apply_to_the_next_allocation(cloud: Cloud):
    subnet = cloud.subnet("10.12.0.0/24")
    context = cloud.context
    with db_api.CONTEXT_WRITER.using(context):
        changed = ipam_req.SpecificSubnetRequest(
            "p",
            subnet,
            "10.12.0.0/24",
            gateway_ip="10.12.0.1",
            allocation_pools=[netaddr.IPRange("10.12.0.200", "10.12.0.209")],
        )
        cloud.pool(context).update_subnet(changed)
    assert cloud.allocate([subnet])[0] == "10.12.0.200"
    details = cloud.pool(cloud.context).get_subnet(subnet).get_details()
    assert str(details.gateway_ip) == "10.12.0.1"


# --- Ends of transactions -------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["", "node-1"])
def test_rollback_frees_addresses(cloud: Cloud, host: str):
    subnet = cloud.subnet("10.2.0.0/24")
    context = cloud.context
    with suppress(ZeroDivisionError), db_api.CONTEXT_WRITER.using(context):
        first = cloud.allocate_in(context, [subnet], port=port(host))
        cloud.allocate_in(context, [subnet], port=port(host))
        raise ZeroDivisionError
    assert cloud.held(subnet) == []
    assert cloud.allocate([subnet], port=port(host)) == first


def test_savepoint_rollback_frees_only_its_own_addresses(cloud: Cloud):
    subnet = cloud.subnet("10.13.0.0/24")
    context = cloud.context
    with db_api.CONTEXT_WRITER.using(context):
        kept, _ = cloud.allocate_in(context, [subnet])
        with suppress(ZeroDivisionError), db_api.CONTEXT_WRITER.savepoint.using(context):
            cloud.allocate_in(context, [subnet])
            cloud.pool(context).get_subnet(subnet).deallocate(kept)
            raise ZeroDivisionError
        with db_api.CONTEXT_WRITER.savepoint.using(context):
            second, _ = cloud.allocate_in(context, [subnet])
    assert cloud.addresses(subnet) == [kept, second]


def test_release_takes_effect_at_the_commit(cloud: Cloud):
    subnet = cloud.subnet("10.14.0.0/24")
    address, _ = cloud.allocate([subnet])
    context = cloud.context
    with suppress(ZeroDivisionError), db_api.CONTEXT_WRITER.using(context):
        cloud.pool(context).get_subnet(subnet).deallocate(address)
        raise ZeroDivisionError
    assert cloud.addresses(subnet) == [address]
    with db_api.CONTEXT_WRITER.using(context):
        cloud.pool(context).get_subnet(subnet).deallocate(address)
        # Neutron undoes a release in this way.
        assert cloud.allocate_in(context, [subnet], specific(address))[0] == address
    assert cloud.addresses(subnet) == [address]
    with db_api.CONTEXT_WRITER.using(context):
        cloud.pool(context).get_subnet(subnet).deallocate(address)
        assert cloud.addresses(subnet) == [address]
    assert cloud.held(subnet) == []


def test_address_released_in_its_own_transaction_is_free(cloud: Cloud):
    subnet = cloud.subnet("10.15.0.0/24")
    context = cloud.context
    with db_api.CONTEXT_WRITER.using(context):
        address, _ = cloud.allocate_in(context, [subnet])
        cloud.pool(context).get_subnet(subnet).deallocate(address)
    assert cloud.held(subnet) == []


def test_failed_commit_leaves_no_address(cloud: Cloud):
    subnet = cloud.subnet("10.16.0.0/24")
    kept, _ = cloud.allocate([subnet])
    left = [2]

    def fail(_connection: object) -> None:
        if left[0]:
            left[0] -= 1
            raise db_exc.DBDeadlock

    tries = []
    mine = port()

    @db_api.retry_db_errors
    def make() -> None:
        context = cloud.context
        with db_api.CONTEXT_WRITER.using(context):
            tries.append(cloud.allocate_in(context, [subnet], specific("10.16.0.77"), mine))
            tries.append(cloud.allocate_in(context, [subnet], port=mine))
            cloud.pool(context).get_subnet(subnet).deallocate(kept)

    sa.event.listen(cloud.engine, "commit", fail)
    try:
        make()
    finally:
        sa.event.remove(cloud.engine, "commit", fail)
    # The retry allocates again, and releases the old address once.
    assert len(tries) == 6
    assert set(cloud.addresses(subnet)) == {"10.16.0.77", tries[-1][0]}


@pytest.mark.parametrize("hosts", [0, 16])
def test_concurrent_transactions_get_distinct_addresses(cloud: Cloud, hosts: int):
    subnet = cloud.subnet(f"10.{20 + hosts}.0.0/20")
    allocated: list[str] = []
    failed: list[BaseException] = []

    @db_api.retry_db_errors
    def one(number: int, at: int) -> None:
        context = cloud.context
        with db_api.CONTEXT_WRITER.using(context):
            # A transaction of Neutron reads before it requests an address, and writes afterwards.
            context.session.execute(sa.text("SELECT count(*) FROM networks")).all()
            place = port(f"node-{number % hosts}" if hosts else "")
            address, _ = cloud.allocate_in(context, [subnet], port=place)
            time.sleep(0.005)
            if at % 3 == 2:
                raise ZeroDivisionError
        allocated.append(address)

    def work(number: int) -> None:
        try:
            for at in range(12):
                with suppress(ZeroDivisionError):
                    one(number, at)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert sorted(allocated) == sorted(set(allocated)) == cloud.addresses(subnet)
    assert len(allocated) == 16 * 8
