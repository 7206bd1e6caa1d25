"""A running Neutron with Borough as its IPAM driver, and eight concurrent clients of its REST API."""

from __future__ import annotations

import random
import threading
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from neutron.db import models_v2
from neutron.db.models.segment import SegmentHostMapping

from tests.neutron.api import Neutron, Refused, running
from tests.neutron.cloud import Cloud, driver_url
from tests.neutron.conftest import SERVERS
from tests.neutron.remote import remote_cloud
from tests.servers.galera import GaleraCluster
from tests.servers.shared import must_have, shared_server

HOSTS = [f"node-{at}" for at in range(8)]


def routed_network(neutron: Neutron, engine: sa.Engine) -> tuple[str, dict[str, str]]:
    """A routed network of two segments, a dual-stack pair of subnets on each, and their hosts."""
    network = neutron.make(
        "network",
        name="routed",
        **{
            "provider:network_type": "vlan",
            "provider:physical_network": "rack1",
            "provider:segmentation_id": 101,
        },
    )["id"]
    (first,) = neutron("GET", f"segments?network_id={network}")["segments"]
    second = neutron.make(
        "segment",
        network_id=network,
        network_type="vlan",
        physical_network="rack2",
        segmentation_id=102,
    )
    place = {}
    for at, segment in enumerate((first["id"], second["id"])):
        common = {"network_id": network, "segment_id": segment}
        four = neutron.make("subnet", **common, ip_version=4, cidr=f"10.{at}.0.0/22")
        six = neutron.make("subnet", **common, ip_version=6, cidr=f"2001:db8:{at}::/64")
        place[four["id"]] = place[six["id"]] = segment
    with engine.begin() as connection:
        for at, host in enumerate(HOSTS):
            segment = (first["id"], second["id"])[at % 2]
            connection.execute(
                sa.insert(SegmentHostMapping.__table__), {"segment_id": segment, "host": host}
            )
    return network, place


def flat_network(neutron: Neutron) -> tuple[str, str]:
    """A network with a subnet for all ports and one for agent gateways only."""
    network = neutron.make("network", name="flat")["id"]
    neutron.make("subnet", network_id=network, ip_version=4, cidr="10.8.0.0/22")
    typed = neutron.make(
        "subnet",
        network_id=network,
        ip_version=4,
        cidr="10.9.0.0/28",
        service_types=["network:floatingip_agent_gateway"],
    )
    return network, typed["id"]


def run_client(
    neutron: Neutron, number: int, networks: tuple[str, str], failed: list[str], *, bulk: bool
) -> None:
    """One client: creates, moves, changes and deletes ports."""
    chance = random.Random(number)
    routed, flat = networks
    mine: list[str] = []
    host = HOSTS[number]
    try:
        for at in range(6):
            match at % 6:
                case 0:
                    made = [neutron.make("port", network_id=routed, **{"binding:host_id": host})]
                case 1 if not bulk:
                    made = [neutron.make("port", network_id=flat) for _ in range(4)]
                case 1:
                    ports = [{"network_id": flat} for _ in range(4)]
                    made = neutron("POST", "ports", {"ports": ports})["ports"]
                case 2:
                    late = neutron.make("port", network_id=routed)
                    assert late["fixed_ips"] == []
                    bound = {"port": {"binding:host_id": host}}
                    made = [neutron("PUT", f"ports/{late['id']}", bound)["port"]]
                    assert len(made[0]["fixed_ips"]) == 2
                case 3:
                    port = neutron.make("port", network_id=flat)
                    address = port["fixed_ips"][0]
                    other = {"fixed_ips": [address, {"subnet_id": address["subnet_id"]}]}
                    made = [neutron("PUT", f"ports/{port['id']}", {"port": other})["port"]]
                    assert len(made[0]["fixed_ips"]) == 2
                case 4:
                    made = [neutron.make("port", network_id=flat, **{"binding:host_id": host})]
                    moved = {"port": {"binding:host_id": HOSTS[(number + 1) % 8]}}
                    neutron("PUT", f"ports/{made[0]['id']}", moved)
                case _:
                    made = []
                    gone = mine.pop(chance.randrange(len(mine)))
                    neutron("DELETE", f"ports/{gone}")
            mine += [each["id"] for each in made]
    except (AssertionError, Refused) as error:
        failed.append(f"client {number}: {error}")


@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", SERVERS)
def test_running_neutron(kind: str, tmp_path: Path):
    cloud = Cloud(shared_server(kind).fresh(), "borough")
    with running(tmp_path, [cloud.url] * 2, "borough") as neutron:
        run(neutron, cloud)
    check(cloud)


@pytest.mark.galera
@pytest.mark.timeout(900)
def test_running_neutron_on_a_cluster(tmp_path: Path):
    """Three processes of Neutron, each on its own node: the nodes share no locks."""
    cluster = must_have(GaleraCluster)
    try:
        url = cluster.fresh()
        database = url.rpartition("/")[2]
        nodes = [f"mysql://root@127.0.0.1:{node.port}/{database}" for node in cluster.nodes]
        cloud = Cloud(nodes[0], "borough")
        with running(tmp_path, [driver_url(node) for node in nodes], "borough") as neutron:
            run(neutron, cloud)
        check(cloud)
        cloud.engine.dispose()
    finally:
        cluster.remove()


def check(cloud: Cloud) -> None:
    """Check that both sides agree."""
    report = cloud.audit()
    assert report.agrees, report.differences
    assert report.addresses == stored(cloud)


#: Each seventh change of an address fails Neutron's transaction, in the statement or in the commit.
_FAULTS = """
CREATE SEQUENCE faults;
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF nextval('faults') % 7 = 0 THEN
        RAISE EXCEPTION 'deadlock detected' USING ERRCODE = '40P01';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER at_once AFTER INSERT OR DELETE ON ipallocations FOR EACH ROW EXECUTE FUNCTION fail();
CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT OR DELETE ON ipallocations
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fail();
"""


@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", SERVERS)
def test_running_neutron_with_a_service(kind: str, tmp_path: Path):
    with remote_cloud(kind, tmp_path) as cloud:
        if kind == "postgresql":
            cloud.execute(_FAULTS)
        options = f"url = {cloud.proxy.url}"
        with running(tmp_path, [cloud.url] * 2, "borough_remote", options=options) as neutron:
            run(neutron, cloud, bulk=kind != "postgresql")
        if kind == "postgresql":
            with cloud.engine.connect() as connection:
                assert connection.scalar(sa.text("SELECT last_value FROM faults")) > 7 * 20
        report = cloud.audit()
        assert report.agrees, report.differences
        assert report.addresses == stored(cloud) == len(cloud.served.ipam.allocations())


def run(neutron: Neutron, cloud: Cloud, *, bulk: bool = True) -> None:
    """Run eight clients, and check their ports.

    :param bulk: create several ports in one request. When such a request fails, Neutron leaks addresses with
        every driver, because it allocates each in a transaction of its own.
    """
    routed, place = routed_network(neutron, cloud.engine)
    flat, typed = flat_network(neutron)
    failed: list[str] = []
    clients = [
        threading.Thread(
            target=run_client, args=(neutron, number, (routed, flat), failed), kwargs={"bulk": bulk}
        )
        for number in range(8)
    ]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert not failed, (failed, neutron.log.read_text()[-3000:])
    ports: list[Any] = neutron("GET", "ports")["ports"]
    gateway = neutron.make("port", network_id=flat, device_owner="network:floatingip_agent_gateway")
    assert [each["subnet_id"] for each in gateway["fixed_ips"]] == [typed]
    seen = [each["ip_address"] for port in ports for each in port["fixed_ips"]]
    assert len(seen) == len(set(seen)) >= 8 * 8
    for port in ports:
        segments = {
            place[each["subnet_id"]] for each in port["fixed_ips"] if each["subnet_id"] in place
        }
        assert len(segments) <= 1, "a port straddles two segments"


def stored(cloud: Cloud) -> int:
    """Number of addresses in Neutron's tables."""
    with cloud.engine.connect() as connection:
        query = sa.select(sa.func.count()).select_from(models_v2.IPAllocation.__table__)
        return connection.scalar(query) or 0
