"""``borough neutron``: adoption from the reference driver, audit, and restoration."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from neutron.ipam.drivers.neutrondb_ipam import db_models
from oslo_config import cfg

from borough.cli.app import app
from borough.neutron.commands.restore import ReferenceSide
from tests.neutron.cloud import Cloud
from tests.neutron.conftest import BOTH, opened_cloud
from tests.neutron.remote import RemoteCloud

Run = Callable[..., Any]


@pytest.fixture(params=BOTH, ids="-".join)
def old_cloud(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cloud]:
    """A cloud of the reference driver, before its first use of another driver."""
    with opened_cloud(request.param, tmp_path, tables=False) as cloud:
        cfg.CONF.set_override("ipam_driver", "internal")
        yield cloud


@pytest.fixture
def run(old_cloud: Cloud, tmp_path: Path) -> Run:
    """Run a command on it; return its exit code and its answer."""
    config = tmp_path / "neutron.conf"
    config.write_text(f"[database]\nconnection = {old_cloud.url}\n")
    if isinstance(old_cloud, RemoteCloud):
        config.write_text(config.read_text() + f"[borough]\nurl = {old_cloud.proxy.url}\n")

    def call(*words: str) -> tuple[int, dict[str, Any]]:
        command = ["--json", "neutron", *words, "--config-file", str(config)]
        done = CliRunner().invoke(app, command)
        assert done.output, done.exception
        return done.exit_code, json.loads(done.stdout or done.stderr)

    if not isinstance(old_cloud, RemoteCloud):
        assert call("upgrade") == (0, {"changed": True})
        assert call("upgrade") == (0, {"changed": False})
    return call


def addresses_of_reference(cloud: Cloud) -> set[str]:
    """The addresses in the tables of the reference driver."""
    with cloud.engine.connect() as connection:
        return set(connection.scalars(sa.select(db_models.IpamAllocation.ip_address)))


def test_adopt_and_restore(old_cloud: Cloud, run: Run):
    cloud = old_cloud
    network = cloud.network()
    subnets = [cloud.subnet(f"10.0.{at}.0/24", network=network) for at in range(3)]
    ports = {}
    for at in range(20):
        address, subnet = cloud.allocate([subnets[at % 2]])
        ports[cloud.port(network, subnet, address, host=f"node-{at % 3}")] = (subnet, address)

    code, would = run("adopt", "--dry-run")
    assert (code, would["subnets_added"], would["addresses_added"]) == (0, 3, 20)
    assert run("audit")[0] == 1
    code, done = run("adopt")
    assert (code, done["subnets_added"], done["addresses_added"]) == (0, 3, 20)
    assert done["verified"]
    assert run("audit") == (0, {**run("audit")[1], "agrees": True})
    held = [each for subnet in subnets for each in cloud.held(subnet)]
    assert {each.host for each in held} == {"node-0", "node-1", "node-2"}
    assert {each.owner: (each.subnet, each.address) for each in held} == ports

    cfg.CONF.set_override("ipam_driver", cloud.driver)
    taken = {address for _, address in ports.values()}
    for _ in range(5):
        address, subnet = cloud.allocate(subnets)
        assert address not in taken
        ports[cloud.port(network, subnet, address)] = (subnet, address)
    assert run("audit")[1]["agrees"]

    would = run("restore", "--dry-run")[1]
    assert (would["addresses"], would["addresses_added"], would["dropped"]) == (25, 5, False)
    code, restored = run("restore", "--drop")
    assert (code, restored["subnets"], restored["addresses"]) == (0, 3, 25)
    assert restored["dropped"]
    with cloud.engine.connect() as connection:
        assert not sa.inspect(connection).has_table("borough_allocation")
    theirs = addresses_of_reference(cloud)
    assert theirs == {address for _, address in ports.values()}
    cfg.CONF.set_override("ipam_driver", "internal")
    assert cloud.allocate(subnets)[0] not in theirs


def test_restore_corrects_differences_and_fails_during_writes(
    old_cloud: Cloud, run: Run, monkeypatch: pytest.MonkeyPatch
):
    cloud = old_cloud
    network = cloud.network()
    subnets = [cloud.subnet(f"10.0.{at}.0/24", network=network) for at in range(3)]
    leaked, _ = cloud.allocate([subnets[0]])
    missing = "10.0.0.200"
    cloud.port(network, subnets[0], missing)
    cloud.execute(
        f"UPDATE ipallocationpools SET last_ip = '10.0.1.99' WHERE subnet_id = '{subnets[1]}'",
        f"DELETE FROM ipallocationpools WHERE subnet_id = '{subnets[2]}'",
        f"DELETE FROM subnets WHERE id = '{subnets[2]}'",
    )
    for words in (["--dry-run"], []):
        code, found = run("restore", *words)
        assert (code, found["subnets_changed"], found["subnets_removed"]) == (0, 1, 1)
        assert (found["addresses_added"], found["addresses_removed"]) == (1, 1)
        assert any(text.startswith(leaked) for text in found["differences"])
    assert run("restore", "--dry-run")[1]["agrees"]
    assert addresses_of_reference(cloud) == {missing}

    monkeypatch.setattr(
        ReferenceSide,
        "examine",
        lambda self, name, *, examine=ReferenceSide.examine, **more: examine(
            self, name, **{**more, "write": False}
        ),
    )
    cloud.port(network, subnets[0], "10.0.0.201")
    code, refused = run("restore")
    assert code == 1
    assert "something still writes" in refused["message"]


def test_audit_reports_and_repairs_differences(old_cloud: Cloud, run: Run):
    cloud = old_cloud
    cfg.CONF.set_override("ipam_driver", cloud.driver)
    network = cloud.network()
    subnet = cloud.subnet("10.0.0.0/24", network=network)
    leaked, _ = cloud.allocate([subnet])
    address, _ = cloud.allocate([subnet])
    kept = cloud.port(network, subnet, address)
    # Neutron allocates addresses before it adds their ports: the audit keeps a young address.
    assert run("audit")[1]["agrees"]
    cloud.age(3600)
    cloud.port(network, subnet, "10.0.0.200")
    code, found = run("audit")
    assert (code, found["addresses_removed"], found["addresses_added"]) == (1, 1, 1)
    assert any(leaked in text for text in found["differences"])
    assert run("audit", "--repair")[0] == 0
    assert run("audit")[1]["agrees"]
    assert cloud.allocate([subnet])[0] == leaked
    cloud.delete_port(kept)
    assert run("audit")[1]["addresses_removed"] == 1


def test_configuration_without_database_or_file_is_refused(tmp_path: Path):
    config = tmp_path / "neutron.conf"
    config.write_text("[DEFAULT]\n")
    for name, words in ((str(config), "names no database"), ("/nowhere", "cannot be read")):
        done = CliRunner().invoke(app, ["neutron", "upgrade", "--config-file", name])
        assert done.exit_code == 2
        assert words in done.stderr
