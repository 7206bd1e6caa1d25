"""``borough neutron``: from the reference driver to Borough and back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from neutron.ipam.drivers.neutrondb_ipam import db_models
from oslo_config import cfg

from borough.cli.app import app
from borough.store.sql import schema as t
from tests.neutron.cloud import Cloud
from tests.neutron.conftest import SERVERS
from tests.neutron.remote import remote_cloud
from tests.servers.shared import shared_server

Run = Callable[..., Any]


@pytest.fixture(params=SERVERS)
def old_cloud(request: pytest.FixtureRequest) -> Cloud:
    """A cloud that never heard of Borough."""
    return Cloud(shared_server(request.param).fresh(), "internal", tables=False)


@pytest.fixture
def run(old_cloud: Cloud, tmp_path: Path) -> Run:
    """Run a command on it; return its exit code and its answer."""
    return commands(tmp_path, old_cloud)


def commands(folder: Path, cloud: Cloud, more: str = "") -> Run:
    """What runs commands on a cloud."""
    config = folder / "neutron.conf"
    config.write_text(f"[database]\nconnection = {cloud.url}\n{more}")

    def call(*words: str) -> tuple[int, dict[str, Any]]:
        command = ["--json", "neutron", *words, "--config-file", str(config)]
        done = CliRunner().invoke(app, command)
        assert done.stdout, done.stderr or done.exception
        return done.exit_code, json.loads(done.stdout)

    return call


def test_there_and_back(old_cloud: Cloud, run: Run):
    cloud = old_cloud
    network = cloud.network()
    subnets = [cloud.subnet(f"10.0.{at}.0/24", network=network) for at in range(3)]
    ports = {}
    for at in range(20):
        address, subnet = cloud.allocate([subnets[at % 2]])
        ports[cloud.port(network, subnet, address, host=f"node-{at % 3}")] = (subnet, address)

    assert run("upgrade") == (0, {"changed": True})
    assert run("upgrade") == (0, {"changed": False})
    code, would = run("adopt", "--dry-run")
    assert (code, would["subnets_added"], would["addresses_added"]) == (0, 3, 20)
    assert run("audit")[0] == 1
    code, done = run("adopt")
    assert (code, done["subnets_added"], done["addresses_added"]) == (0, 3, 20)
    assert done["verified"]
    assert run("audit") == (0, {**run("audit")[1], "agrees": True})
    with cloud.engine.connect() as connection:
        hosts = set(connection.scalars(sa.select(t.allocation.c.host)))
    assert hosts == {"node-0", "node-1", "node-2"}

    cfg.CONF.set_override("ipam_driver", "borough")
    taken = {address for _, address in ports.values()}
    for _ in range(5):
        address, subnet = cloud.allocate(subnets)
        assert address not in taken
        ports[cloud.port(network, subnet, address)] = (subnet, address)
    assert run("audit")[1]["agrees"]

    assert run("leave", "--dry-run")[1]["addresses"] == 25
    code, left = run("leave", "--drop")
    assert (code, left["subnets"], left["addresses"], left["dropped"]) == (0, 3, 25, True)
    with cloud.engine.connect() as connection:
        theirs = set(connection.scalars(sa.select(db_models.IpamAllocation.ip_address)))
        assert not sa.inspect(connection).has_table("borough_allocation")
    assert theirs == {address for _, address in ports.values()}
    cfg.CONF.set_override("ipam_driver", "internal")
    assert cloud.allocate(subnets)[0] not in theirs


def test_audit_finds_what_differs_and_mends_it(old_cloud: Cloud, run: Run):
    cloud = old_cloud
    run("upgrade")
    cfg.CONF.set_override("ipam_driver", "borough")
    network = cloud.network()
    subnet = cloud.subnet("10.0.0.0/24", network=network)
    leaked, _ = cloud.allocate([subnet])
    address, _ = cloud.allocate([subnet])
    kept = cloud.port(network, subnet, address)
    # Neutron takes addresses before it makes their ports: a young one is left alone.
    assert run("audit")[1]["agrees"]
    with cloud.engine.begin() as connection:
        connection.execute(sa.update(t.allocation).values(at=t.allocation.c.at - 3_600_000_000))
    cloud.port(network, subnet, "10.0.0.200")
    code, found = run("audit")
    assert (code, found["addresses_removed"], found["addresses_added"]) == (1, 1, 1)
    assert any(leaked in text for text in found["differences"])
    assert run("audit", "--repair")[0] == 0
    assert run("audit")[1]["agrees"]
    assert cloud.allocate([subnet])[0] == leaked
    cloud.delete_port(kept)
    assert run("audit")[1]["addresses_removed"] == 1


def test_a_configuration_that_says_nothing(tmp_path: Path):
    config = tmp_path / "neutron.conf"
    config.write_text("[DEFAULT]\n")
    for name, words in ((str(config), "names no database"), ("/nowhere", "cannot be read")):
        done = CliRunner().invoke(app, ["neutron", "upgrade", "--config-file", name])
        assert done.exit_code == 2
        assert words in done.stderr


@pytest.mark.parametrize("kind", SERVERS)
def test_to_a_service_and_back(kind: str, tmp_path: Path):
    with remote_cloud(kind, tmp_path) as cloud:
        run = commands(tmp_path, cloud, f"[borough]\nurl = {cloud.front.url}\n")
        # As the reference driver leaves it: nothing of this is at the service.
        cfg.CONF.set_override("ipam_driver", "internal")
        network = cloud.network()
        subnet = cloud.subnet("10.0.0.0/24", network=network)
        ports = {cloud.port(network, subnet, f"10.0.0.{at}"): f"10.0.0.{at}" for at in range(9, 29)}
        assert run("audit")[0] == 1
        assert run("adopt", "--dry-run")[1]["addresses_added"] == 20
        code, done = run("adopt")
        assert (code, done["addresses_added"], done["verified"]) == (0, 20, True)
        assert cloud.addresses(subnet) == sorted(ports.values())
        assert {each.owner for each in cloud.held(subnet)} == set(ports)

        cloud.use()
        address, _ = cloud.allocate([subnet])
        cloud.port(network, subnet, address)
        code, left = run("leave")
        assert (code, left["subnets"], left["addresses"]) == (0, 1, 21)
        with cloud.engine.connect() as connection:
            theirs = set(connection.scalars(sa.select(db_models.IpamAllocation.ip_address)))
        assert theirs == {address, *ports.values()}
        cfg.CONF.set_override("ipam_driver", "internal")
        assert cloud.allocate([subnet])[0] not in theirs
