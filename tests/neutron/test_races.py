"""Ports come and go while the allocation pools of their subnet change repeatedly."""

from __future__ import annotations

import random
import threading
import time

import netaddr
import pytest
from neutron.ipam import requests as ipam_req
from neutron_lib.db import api as db_api
from oslo_utils import uuidutils

from borough import Ipam
from borough.store.open import open_store
from tests.neutron.cloud import PROJECT, Cloud
from tests.servers.shared import shared_server

CALLERS = 4

#: Limit of the ports of one caller.
MOST = 40

SECONDS = 8


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_pools_change_during_allocations(kind: str):
    """No call fails, and the tables show exactly the addresses of the ports."""
    url = shared_server(kind).fresh()
    cloud = Cloud(url, "borough")
    subnet = cloud.subnet("10.173.0.0/22")
    over = threading.Event()
    holding: list[set[str]] = [set() for _ in range(CALLERS)]
    failed: list[BaseException] = []

    @db_api.retry_db_errors
    def allocate(number: int) -> str:
        port = {
            "id": uuidutils.generate_uuid(),
            "device_owner": "compute:nova",
            "binding:host_id": f"node-{number}",
        }
        return cloud.allocate([subnet], port=port)[0]

    @db_api.retry_db_errors
    def release(address: str) -> None:
        cloud.release(subnet, address)

    @db_api.retry_db_errors
    def change_pools(last: str) -> None:
        pools = [netaddr.IPRange("10.173.0.2", last)]
        context = cloud.context
        with db_api.CONTEXT_WRITER.using(context):
            cloud.pool(context).update_subnet(
                ipam_req.SpecificSubnetRequest(
                    PROJECT, subnet, "10.173.0.0/22", "10.173.0.1", allocation_pools=pools
                )
            )

    def work(number: int) -> None:
        chance, held = random.Random(number), holding[number]
        try:
            while not over.is_set():
                if len(held) >= MOST or (held and chance.random() < 0.5):
                    address = chance.choice(sorted(held))
                    release(address)
                    held.remove(address)
                else:
                    held.add(allocate(number))
        except BaseException as error:
            failed.append(error)
            over.set()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(CALLERS)]
    for thread in threads:
        thread.start()
    until = time.monotonic() + SECONDS
    try:
        for attempt in range(1000):
            change_pools(f"10.173.3.{200 + attempt % 2}")
            if over.wait(0.5) or time.monotonic() > until:
                break
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert failed == []
    with Ipam(open_store(url)) as ipam:
        assert {each.address for each in ipam.allocations()} == set().union(*holding)
        assert ipam.audit() == []
    cloud.engine.dispose()
