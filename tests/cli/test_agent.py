"""``borough agent`` and ``borough routes --lag``."""

from __future__ import annotations

from pathlib import Path

import borough
from borough.agent.status import AgentStatus
from tests.cli.conftest import Cli


def test_agent_needs_a_service_and_a_host(cli: Cli):
    assert "--server" in cli.run("agent", "--host", "node-1").stderr
    assert cli.run("agent", "run").exit_code == 2


def test_status_shows_what_is_wrong_and_exits_with_one(cli: Cli, tmp_path: Path):
    path = tmp_path / "status.json"
    made = AgentStatus("node-1", "default", "http://s", 1, connected=True, wanted=1)
    made.installed = ["10.0.0.0/28"]
    made.write(path)
    said = cli.run("agent", "status", "--status", str(path))
    assert (said.exit_code, said.stderr) == (0, "")
    assert "1 route of 1 installed" in said.stdout
    made.problems = {"10.0.0.0/28": "not permitted"}
    made.write(path)
    said = cli.run("agent", "status", "--status", str(path))
    assert said.exit_code == 1
    assert "10.0.0.0/28: not permitted" in said.stdout


def test_lag_lists_hosts_that_are_late(cli: Cli):
    cli.text("allocate", "-l", "network=pods", "--host", "node-1")
    assert "no agent" in cli.text("routes", "--lag")
    with borough.open(cli.url) as ipam:
        prefixes = [each.prefix for each in ipam.routes("node-1")]
        ipam.acknowledge("node-1", ["10.99.0.0/28"])
        said = cli.text("routes", "--lag")
        assert prefixes[0] in said
        assert "10.99.0.0/28" in said
        ipam.acknowledge("node-1", prefixes)
    assert cli.text("routes", "--lag") == "0 of 1 host late.\n"


def test_wait_for_routes(cli: Cli):
    words = ("allocate", "-l", "network=pods", "--host", "node-1")
    cli.text(*words)
    with borough.open(cli.url) as ipam:
        ipam.acknowledge("node-1", [each.prefix for each in ipam.routes("node-1")])
    assert "Routed" in cli.text(*words, "--wait", "routed")
    assert "routed" not in cli.json(*words)
    assert cli.json(*words, "--wait", "routed")["routed"] is True
