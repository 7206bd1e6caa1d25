"""``borough_remote`` under faults: no address leaks, and no address in use is released."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from neutron.db import models_v2
from neutron.ipam import requests as ipam_req
from neutron_lib import exceptions as n_exc
from neutron_lib.db import api as db_api
from oslo_config import cfg
from oslo_db import exception as db_exc
from oslo_utils import uuidutils

from borough.cli.app import app
from borough.neutron.errors import AddressServiceUnavailable
from tests.fault.proxy import Proxy
from tests.neutron.cloud import Cloud, port
from tests.neutron.remote import ALLOCATE, RELEASE, RemoteCloud


@pytest.fixture
def cloud(service_cloud: RemoteCloud) -> RemoteCloud:
    service_cloud.use()
    service_cloud.reset()
    # Release addresses that other tests left without a port.
    service_cloud.audit(write=True)
    service_cloud.reset()
    return service_cloud


# --- Ends of transactions -------------------------------------------------------------------------


def test_rollback_restores_subnets(
    cloud: RemoteCloud,
):
    subnet = cloud.subnet("10.4.0.0/24")
    before = {each.name: each for each in cloud.served.ipam.subnets()}
    context = cloud.context
    for _ in range(2):
        with suppress(ZeroDivisionError), db_api.CONTEXT_WRITER.using(context):
            wanted = ipam_req.SpecificSubnetRequest(
                "p", uuidutils.generate_uuid(), "10.4.1.0/24", allocation_pools=[]
            )
            wanted.network_id = uuidutils.generate_uuid()
            cloud.pool(context).allocate_subnet(wanted)
            changed = ipam_req.SpecificSubnetRequest(
                "p", subnet, "10.4.0.0/24", allocation_pools=[]
            )
            cloud.pool(context).update_subnet(changed)
            cloud.pool(context).remove_subnet(subnet)
            now = {each.name: each for each in cloud.served.ipam.subnets()}
            assert len(now) == len(before) + 1
            assert now[subnet] != before[subnet]
            raise ZeroDivisionError
        assert {each.name: each for each in cloud.served.ipam.subnets()} == before


def test_undo_by_neutron_keeps_the_original_error(cloud: RemoteCloud):
    network = cloud.network()
    subnet = cloud.subnet("10.16.0.0/24", network=network)
    taken = cloud.port(network, subnet, "10.16.0.99")

    def make() -> None:
        context = cloud.context
        with db_api.CONTEXT_WRITER.using(context):
            address, _ = cloud.allocate_in(context, [subnet])
            again = models_v2.IPAllocation(
                port_id=taken, ip_address="10.16.0.99", subnet_id=subnet, network_id=network
            )
            context.session.add(again)
            try:
                context.session.flush()
            except db_exc.DBDuplicateEntry:
                # Neutron ignores missing subnets in the same way.
                with suppress(n_exc.SubnetNotFound):
                    cloud.pool(context).get_subnet(subnet).deallocate(address)
                raise

    with pytest.raises(db_exc.DBDuplicateEntry):
        make()
    assert cloud.held(subnet) == []


# --- The service ----------------------------------------------------------------------------------


def test_lost_answer_is_requested_again(cloud: RemoteCloud):
    subnet = cloud.subnet("10.6.0.0/24")
    cloud.proxy.rule(("lose", *ALLOCATE, 1))
    address, _ = cloud.allocate([subnet], port=port("node-1"))
    assert cloud.proxy.seen.count(ALLOCATE) == 2
    assert cloud.addresses(subnet) == [address]
    cloud.proxy.rule(("lose", *RELEASE, 1))
    cloud.release(subnet, address)
    assert cloud.held(subnet) == []


def test_driver_waits_for_a_restarted_service(cloud: RemoteCloud):
    subnet = cloud.subnet("10.7.0.0/24")
    first, _ = cloud.allocate([subnet])
    cloud.served.stop()
    starter = threading.Timer(1, cloud.served.start)
    starter.start()
    try:
        cfg.CONF.set_override("timeout", 60.0, group="borough")
        second, _ = cloud.allocate([subnet])
    finally:
        starter.join()
    assert cloud.addresses(subnet) == [first, second]


def test_audit_finds_addresses_of_lost_answers(cloud: RemoteCloud):
    network = cloud.network()
    subnet = cloud.subnet("10.8.0.0/24", network=network)
    cfg.CONF.set_override("timeout", 0.5, group="borough")
    cloud.proxy.rule(("lose", *ALLOCATE, 1000))
    with pytest.raises(AddressServiceUnavailable):
        cloud.allocate([subnet])
    cloud.reset()
    (lost,) = cloud.addresses(subnet)
    address, _ = cloud.allocate([subnet])
    cloud.port(network, subnet, address)
    found = cloud.audit()
    assert [text.split()[0] for text in found.differences] == [lost]
    cloud.audit(write=True)
    assert cloud.addresses(subnet) == [address]
    assert cloud.audit().agrees


def test_failed_release_is_logged_and_found_by_the_audit(cloud: RemoteCloud, caplog: Any):
    subnet = cloud.subnet("10.9.0.0/24")
    address, _ = cloud.allocate([subnet])
    cfg.CONF.set_override("timeout", 0.5, group="borough")
    cloud.proxy.rule(("refuse", *RELEASE, 1000))
    cloud.release(subnet, address)
    (logged,) = [each for each in caplog.records if each.levelname == "ERROR"]
    assert address in logged.getMessage()
    assert "borough neutron audit" in logged.getMessage()
    cloud.reset()
    assert cloud.addresses(subnet) == [address]
    assert cloud.audit(write=True).addresses_removed == 1
    assert cloud.held(subnet) == []


# --- Owners of addresses --------------------------------------------------------------------------


def test_late_release_spares_the_next_owner(cloud: RemoteCloud):
    subnet = cloud.subnet("10.10.0.0/24")
    address, _ = cloud.allocate([subnet])
    (held,) = cloud.held(subnet)
    ipam, context = cloud.served.ipam, cloud.context
    with db_api.CONTEXT_WRITER.using(context):
        cloud.pool(context).get_subnet(subnet).deallocate(address)
        # Another caller released it, and another port got it.
        ipam.release(address, scope=held.scope)
        ipam.allocate(subnets=[subnet], address=address, scope=held.scope, owner="next")
    assert [each.owner for each in cloud.held(subnet)] == ["next"]


def test_address_of_a_port_is_never_released(cloud: RemoteCloud):
    network = cloud.network()
    subnet = cloud.subnet("10.11.0.0/24", network=network)
    address, _ = cloud.allocate([subnet])
    cloud.port(network, subnet, address)
    cloud.release(subnet, address)
    assert cloud.addresses(subnet) == [address]
    # The service lacks an address of Neutron. Neutron refuses it to a second port, and the service keeps it
    # from then on.
    cloud.port(network, subnet, "10.11.0.3")

    @db_api.retry_db_errors
    def make() -> str:
        context = cloud.context
        with db_api.CONTEXT_WRITER.using(context):
            got, _ = cloud.allocate_in(context, [subnet])
            if got == "10.11.0.3":
                raise db_exc.DBDuplicateEntry
            return got

    assert make() == "10.11.0.4"
    assert cloud.addresses(subnet) == [address, "10.11.0.3", "10.11.0.4"]


# The proxy counts messages, as PostgreSQL's client sends them.
@pytest.mark.parametrize("service_cloud", ["postgresql"], indirect=True)
@pytest.mark.parametrize("answered", [True, False])
def test_commit_with_unknown_outcome_is_left_to_the_audit(cloud: RemoteCloud, answered: bool):
    network = cloud.network()
    subnet = cloud.subnet(f"10.12.{int(answered)}.0/24", network=network)
    wall = Proxy(sa.make_url(cloud.url).port or 0)
    behind = Cloud(wall.url(cloud.url), "borough_remote", create=False)
    mine = port()

    def make() -> None:
        context = behind.context
        with db_api.CONTEXT_WRITER.using(context):
            address, _ = behind.allocate_in(context, [subnet], port=mine)
            run = context.session.connection().exec_driver_sql
            run(
                f"INSERT INTO ports (id, network_id, mac_address, admin_state_up, status, device_id,"
                f" device_owner, standard_attr_id) SELECT '{mine['id']}', id, 'fa:16:3e:00:00:01', true,"
                f" 'ACTIVE', '', '', standard_attr_id FROM networks WHERE id = '{network}'"
            )
            run(
                f"INSERT INTO ipallocations (port_id, ip_address, subnet_id, network_id) "
                f"VALUES ('{mine['id']}', '{address}', '{subnet}', '{network}')"
            )
            # The next message is the commit.
            wall.break_at(1, answered=answered)

    behind.use()
    with pytest.raises(db_exc.DBConnectionError):
        make()
    assert wall.broken == 1
    behind.engine.dispose()
    cloud.use()
    # Either only the answer was lost and the address is in use, or the commit was lost and it has no port.
    assert len(cloud.addresses(subnet)) == 1
    cloud.audit(write=True)
    assert len(cloud.addresses(subnet)) == int(answered)
    assert cloud.audit().agrees


# --- Killed processes -----------------------------------------------------------------------------

_KILLED = """
import os, signal, sys
from neutron_lib.db import api as db_api
from oslo_config import cfg
from borough.neutron import options
from tests.neutron.cloud import Cloud
_, url, service, subnet = sys.argv
cloud = Cloud(url, "borough_remote", create=False)
cloud.use()
options.register(cfg.CONF)
cfg.CONF.set_override("url", service, group="borough")
context = cloud.context
with db_api.CONTEXT_WRITER.using(context):
    print(cloud.allocate_in(context, [subnet])[0], flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_audit_releases_addresses_of_a_killed_process(cloud: RemoteCloud, tmp_path: Path):
    network = cloud.network()
    subnet = cloud.subnet("10.13.0.0/24", network=network)
    address, _ = cloud.allocate([subnet])
    cloud.port(network, subnet, address)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _KILLED, cloud.url, cloud.proxy.url, subnet],
        capture_output=True,
        check=False,
        text=True,
        cwd=Path(__file__).parents[2],
        timeout=120,
    )
    lost = done.stdout.strip()
    assert cloud.addresses(subnet) == [address, lost]
    config = tmp_path / "neutron.conf"
    config.write_text(
        f"[DEFAULT]\nipam_driver = borough_remote\n[database]\nconnection = {cloud.url}\n"
        f"[borough]\nurl = {cloud.proxy.url}\n"
    )

    def run(*words: str) -> tuple[int, dict[str, Any]]:
        done = CliRunner().invoke(app, ["--json", "neutron", *words, "--config-file", str(config)])
        return done.exit_code, json.loads(done.stdout)

    # A young address is kept: Neutron may be adding its port.
    run("audit", "--repair")
    assert cloud.addresses(subnet) == [address, lost]
    cloud.served.age(3600)
    code, found = run("audit")
    assert (code, found["addresses_removed"]) == (1, 1)
    assert lost in found["differences"][0]
    assert run("audit", "--repair")[0] == 0
    assert run("audit")[1]["agrees"]
    assert [(each.address, each.owner) for each in cloud.held(subnet)] == [(address, "")]
