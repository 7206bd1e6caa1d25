"""``borough_remote`` when something goes wrong: nothing leaks, and nothing in use is freed."""

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
    # What other tests have given to no port.
    service_cloud.audit(write=True)
    service_cloud.reset()
    return service_cloud


# --- Transactions that end ---------------------------------------------------------------------------


def test_a_subnet_that_is_rolled_back_is_gone_and_one_that_was_changed_is_as_before(
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


def test_neutrons_own_undoing_does_not_hide_why_a_transaction_is_lost(cloud: RemoteCloud):
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
                # As Neutron does: it passes over subnets that are not there.
                with suppress(n_exc.SubnetNotFound):
                    cloud.pool(context).get_subnet(subnet).deallocate(address)
                raise

    with pytest.raises(db_exc.DBDuplicateEntry):
        make()
    assert cloud.held(subnet) == []


# --- The service ---------------------------------------------------------------------------------------


def test_an_answer_that_is_lost_is_asked_for_again(cloud: RemoteCloud):
    subnet = cloud.subnet("10.6.0.0/24")
    cloud.proxy.rule(("lose", *ALLOCATE, 1))
    address, _ = cloud.allocate([subnet], port=port("node-1"))
    assert cloud.proxy.seen.count(ALLOCATE) == 2
    assert cloud.addresses(subnet) == [address]
    cloud.proxy.rule(("lose", *RELEASE, 1))
    cloud.release(subnet, address)
    assert cloud.held(subnet) == []


def test_a_service_that_is_restarted_is_waited_for(cloud: RemoteCloud):
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


def test_what_nobody_answered_for_is_found_by_the_audit(cloud: RemoteCloud):
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


def test_a_release_that_fails_is_told_and_found_by_the_audit(cloud: RemoteCloud, caplog: Any):
    subnet = cloud.subnet("10.9.0.0/24")
    address, _ = cloud.allocate([subnet])
    cfg.CONF.set_override("timeout", 0.5, group="borough")
    cloud.proxy.rule(("refuse", *RELEASE, 1000))
    cloud.release(subnet, address)
    (told,) = [each for each in caplog.records if each.levelname == "ERROR"]
    assert address in told.getMessage()
    assert "borough neutron audit" in told.getMessage()
    cloud.reset()
    assert cloud.addresses(subnet) == [address]
    assert cloud.audit(write=True).addresses_removed == 1
    assert cloud.held(subnet) == []


# --- Whose is it ----------------------------------------------------------------------------------------


def test_a_late_release_does_not_hit_the_next_holder(cloud: RemoteCloud):
    subnet = cloud.subnet("10.10.0.0/24")
    address, _ = cloud.allocate([subnet])
    (held,) = cloud.held(subnet)
    ipam, context = cloud.served.ipam, cloud.context
    with db_api.CONTEXT_WRITER.using(context):
        cloud.pool(context).get_subnet(subnet).deallocate(address)
        # Meanwhile somebody else gave it back, and it was given to another port.
        ipam.release(address, scope=held.scope)
        ipam.allocate(subnets=[subnet], address=address, scope=held.scope, owner="next")
    assert [each.owner for each in cloud.held(subnet)] == ["next"]


def test_an_address_that_a_port_has_is_never_freed(cloud: RemoteCloud):
    network = cloud.network()
    subnet = cloud.subnet("10.11.0.0/24", network=network)
    address, _ = cloud.allocate([subnet])
    cloud.port(network, subnet, address)
    cloud.release(subnet, address)
    assert cloud.addresses(subnet) == [address]
    # The service does not know of an address that Neutron has given: the second to get it is refused,
    # and from then on the service knows.
    cloud.port(network, subnet, "10.11.0.3")

    @db_api.retry_db_errors
    def make() -> str:
        context = cloud.context
        with db_api.CONTEXT_WRITER.using(context):
            given, _ = cloud.allocate_in(context, [subnet])
            if given == "10.11.0.3":
                raise db_exc.DBDuplicateEntry
            return given

    assert make() == "10.11.0.4"
    assert cloud.addresses(subnet) == [address, "10.11.0.3", "10.11.0.4"]


# The proxy counts messages, as PostgreSQL's client sends them.
@pytest.mark.parametrize("service_cloud", ["postgresql"], indirect=True)
@pytest.mark.parametrize("answered", [True, False])
def test_a_commit_of_which_nobody_knows_is_left_to_the_audit(cloud: RemoteCloud, answered: bool):
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
    # Committed, and only the answer was lost: in use. Or lost before it came there: held for nobody.
    assert len(cloud.addresses(subnet)) == 1
    cloud.audit(write=True)
    assert len(cloud.addresses(subnet)) == int(answered)
    assert cloud.audit().agrees


# --- The end of a process ---------------------------------------------------------------------------------

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


def test_a_process_that_is_killed_leaves_what_the_audit_takes_back(
    cloud: RemoteCloud, tmp_path: Path
):
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

    # A young one is left alone: its port may be about to be made.
    run("audit", "--repair")
    assert cloud.addresses(subnet) == [address, lost]
    cloud.served.age(3600)
    code, found = run("audit")
    assert (code, found["addresses_removed"]) == (1, 1)
    assert lost in found["differences"][0]
    assert run("audit", "--repair")[0] == 0
    assert run("audit")[1]["agrees"]
    assert [(each.address, each.owner) for each in cloud.held(subnet)] == [(address, "")]
