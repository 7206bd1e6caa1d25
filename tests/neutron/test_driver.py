"""The driver in Neutron's transaction, on the servers that Neutron runs on."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
import sqlalchemy as sa
from neutron.ipam import exceptions as ipam_exc
from neutron.ipam import requests as ipam_req
from neutron_lib import exceptions as n_exc
from neutron_lib.db import api as db_api
from oslo_utils import uuidutils

from borough.store.sql import schema as t
from tests.neutron.cloud import Cloud


@contextmanager
def counted(cloud: Cloud) -> Iterator[list[str]]:
    """The statements that are sent meanwhile."""
    sent: list[str] = []

    def note(_connection, _cursor, statement, *_):
        sent.append(statement)

    sa.event.listen(cloud.engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        sa.event.remove(cloud.engine, "before_cursor_execute", note)


def port(host: str = "", device_owner: str = "compute:nova") -> dict[str, str]:
    made = {"id": uuidutils.generate_uuid(), "device_owner": device_owner, "project_id": "p"}
    return {**made, "binding:host_id": host} if host else made


def held(cloud: Cloud, subnet: str) -> list[tuple[bytes, str, str]]:
    query = (
        sa.select(t.allocation.c.address, t.allocation.c.owner, t.allocation.c.host)
        .join(t.subnet, t.subnet.c.id == t.allocation.c.subnet_id)
        .where(t.subnet.c.name == subnet)
    )
    with cloud.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(query)]


def test_an_allocation_is_one_statement_whatever_the_group(cloud: Cloud):
    network = cloud.network()
    full = [cloud.subnet(f"10.0.{at}.0/29", network=network) for at in range(8)]
    for name in full:
        for _ in range(5):
            cloud.allocate([name])
    group = [*full, cloud.subnet("10.1.0.0/16", network=network)]
    for host in ("", "node-1"):
        for _ in range(3):
            cloud.allocate(group, port=port(host))
        with counted(cloud) as sent:
            address, subnet = cloud.allocate(group, port=port(host))
        assert subnet == group[-1]
        assert ipaddress.ip_address(address) in ipaddress.ip_network("10.1.0.0/16")
        assert len(sent) == 1, sent


def test_what_is_rolled_back_is_free_again(cloud: Cloud):
    subnet = cloud.subnet("10.2.0.0/24")
    for host in ("", "node-1"):
        context = cloud.context
        with suppress(ZeroDivisionError), db_api.CONTEXT_WRITER.using(context):
            first = cloud.allocate_in(context, [subnet], port=port(host))
            raise ZeroDivisionError
        assert held(cloud, subnet) == []
        assert cloud.allocate([subnet], port=port(host)) == first
        cloud.release(subnet, first[0])


def test_the_port_stands_beside_its_address(cloud: Cloud):
    subnet = cloud.subnet("10.3.0.0/24")
    mine = port("node-7")
    cloud.allocate([subnet], port=mine)
    ((_, owner, host),) = held(cloud, subnet)
    assert (owner, host) == (mine["id"], "node-7")


def test_addresses_of_a_host_aggregate(cloud: Cloud):
    subnet = cloud.subnet("10.4.0.0/20")
    given: dict[str, list[ipaddress.IPv4Address]] = {"node-1": [], "node-2": [], "node-3": []}
    for at in range(48):
        host = f"node-{at % 3 + 1}"
        address, _ = cloud.allocate([subnet], port=port(host))
        given[host].append(ipaddress.IPv4Address(address))
    for addresses in given.values():
        assert len({int(each) >> 5 for each in addresses}) <= 2
    spans = [{int(each) >> 4 for each in addresses} for addresses in given.values()]
    assert not set.intersection(*spans)


def test_subnets_with_a_service_type_come_first(cloud: Cloud):
    network = cloud.network()
    plain = cloud.subnet("10.5.0.0/24", network=network)
    typed = cloud.subnet(
        "10.5.1.0/30", network=network, labels={"service_type": frozenset(("compute:nova",))}
    )
    assert [cloud.allocate([typed, plain])[1] for _ in range(2)] == [typed, plain]


def test_every_kind_of_request(cloud: Cloud):
    subnet = cloud.subnet("10.6.0.0/24")
    assert cloud.allocate([subnet], ipam_req.PreferNextAddressRequest())[0] == "10.6.0.2"
    assert cloud.allocate([subnet], ipam_req.SpecificAddressRequest("10.6.0.77"))[0] == "10.6.0.77"
    with pytest.raises(ipam_exc.IpAddressAlreadyAllocated):
        cloud.allocate([subnet], ipam_req.SpecificAddressRequest("10.6.0.77"))
    for wrong in ("10.6.0.0", "10.6.0.255", "10.7.0.1"):
        with pytest.raises(ipam_exc.InvalidIpForSubnet):
            cloud.allocate([subnet], ipam_req.SpecificAddressRequest(wrong))
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
    # Neutron gives the subnet-router anycast address to routers.
    assert (
        cloud.allocate([slaac], ipam_req.SpecificAddressRequest("2001:db8:6::"))[0]
        == "2001:db8:6::"
    )


def test_a_full_group_says_so(cloud: Cloud):
    subnet = cloud.subnet("10.8.0.0/29")
    for _ in range(5):
        cloud.allocate([subnet])
    with pytest.raises(ipam_exc.IpAddressGenerationFailureAllSubnets):
        cloud.allocate([subnet])
    cloud.release(subnet, "10.8.0.4")
    assert cloud.allocate([subnet])[0] == "10.8.0.4"


def test_releasing_twice_and_unknown_subnets(cloud: Cloud):
    subnet = cloud.subnet("10.9.0.0/29")
    address, _ = cloud.allocate([subnet])
    cloud.release(subnet, address)
    cloud.release(subnet, address)
    assert held(cloud, subnet) == []
    with pytest.raises(n_exc.SubnetNotFound):
        cloud.allocate([uuidutils.generate_uuid()])


def test_a_host_gives_back_what_it_has_in_several_subnets(cloud: Cloud):
    network = cloud.network()
    subnets = [cloud.subnet(f"10.11.{at}.0/24", network=network) for at in range(2)]
    given = [cloud.allocate([each], port=port("node-1")) for each in subnets * 3]
    for address, subnet in given:
        cloud.release(subnet, address)
    assert all(held(cloud, each) == [] for each in subnets)


def test_a_subnet_that_only_neutron_knows_is_taken_over(cloud: Cloud):
    network = cloud.network()
    subnet = cloud.subnet("10.10.0.0/24", network=network)
    cloud.port(network, subnet, "10.10.0.2", host="node-1")
    context = cloud.context
    with db_api.CONTEXT_WRITER.using(context):
        cloud.pool(context).remove_subnet(subnet)
    assert cloud.allocate([subnet])[0] == "10.10.0.3"
    assert {row[2] for row in held(cloud, subnet)} == {"node-1", ""}


def test_a_prefix_that_is_delegated_anew(cloud: Cloud):
    network = cloud.network()
    one, two = (cloud.subnet("::/64", network=network) for _ in range(2))
    context = cloud.context
    with db_api.CONTEXT_WRITER.using(context):
        for at, name in enumerate((one, two)):
            request = ipam_req.SpecificSubnetRequest(
                "p", name, f"2001:db8:{at}::/64", allocation_pools=[]
            )
            cloud.pool(context).update_subnet(request)
    automatic = ipam_req.AutomaticAddressRequest(prefix="2001:db8:1::/64", mac="00:16:3e:00:00:01")
    assert cloud.allocate([two], automatic)[0].startswith("2001:db8:1:0:216:")


@pytest.mark.parametrize("hosts", [0, 16])
def test_many_at_once_get_different_addresses(cloud: Cloud, hosts: int):
    subnet = cloud.subnet(f"10.{20 + hosts}.0.0/20")
    given: list[str] = []
    failed: list[BaseException] = []

    @db_api.retry_db_errors
    def one(number: int) -> None:
        context = cloud.context
        with db_api.CONTEXT_WRITER.using(context):
            # A transaction of Neutron's has read before it asks for an address, and writes after it.
            context.session.execute(sa.text("SELECT count(*) FROM networks")).all()
            place = port(f"node-{number % hosts}" if hosts else "")
            address, _ = cloud.allocate_in(context, [subnet], port=place)
            time.sleep(0.005)
        given.append(address)

    def work(number: int) -> None:
        try:
            for _ in range(12):
                one(number)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(given) == len(set(given)) == 16 * 12 == len(held(cloud, subnet))
