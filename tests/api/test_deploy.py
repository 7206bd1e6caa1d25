"""The files for operators are right: dashboard, systemd unit, container file, metrics."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard, Panel
from grafana_foundation_sdk.models.prometheus import Dataquery

import borough
from borough.cli.app import app
from borough.cli.command import subcommands
from tests.api.serving import Served

DEPLOY = Path(__file__).parent.parent.parent / "deploy"

L = {"network": "n"}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    ipam = borough.open(f"sqlite:///{tmp_path}/m.db", create=True)
    ipam.add_subnet("10.0.0.0/28", name="n", labels=L)
    made = Served(ipam)
    yield made
    made.close()


def ask(served: Served, path: str, body: object = None) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
    if body is None:
        connection.request("GET", path)
    else:
        head = {"Content-Type": "application/json"}
        connection.request("POST", path, json.dumps(body), head)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def test_metrics_count_requests_and_addresses(served: Served) -> None:
    """Durations, outcomes by code, addresses and borrowed addresses by group, round trips."""
    assert ask(served, "/v1/allocations", {"labels": L, "count": 10, "host": "a"})[0] == 201
    assert ask(served, "/v1/allocations", {"labels": L, "count": 4, "host": "b"})[0] == 201
    assert ask(served, "/v1/allocations", {"labels": L})[0] == 409
    _, text = ask(served, "/metrics")
    numbers = dict(line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#")
    group = 'family="4",group="network=n",scope="default"'
    assert numbers[f'borough_group_addresses{{{group},state="allocated"}}'] == "14.0"
    assert numbers[f'borough_group_addresses{{{group},state="free"}}'] == "0.0"
    borrowed = sum(len(each.borrowed) for each in served.ipam.blocks())
    assert numbers[f"borough_group_borrowed_addresses{{{group}}}"] == f"{borrowed}.0"
    assert float(numbers['borough_requests_total{code="exhausted",operation="allocate"}']) >= 1
    assert float(numbers['borough_request_seconds_count{operation="allocate"}']) >= 3
    assert float(numbers["borough_database_statements_total"]) > 10
    assert numbers["borough_database_up"] == "1.0"


def test_every_metric_of_the_dashboard_exists(served: Served) -> None:
    """Every panel has a query."""
    ask(served, "/v1/allocations", {"labels": L})
    _, text = ask(served, "/metrics")
    known = {line.partition("{")[0].partition(" ")[0] for line in text.splitlines()}
    dashboard = json.loads((DEPLOY / "grafana.json").read_text())
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            names = re.findall(r"borough_\w+", target["expr"])
            assert names
            assert set(names) <= known, panel["title"]


def test_grafana_s_own_model_reads_the_dashboard() -> None:
    """Grafana drops unknown fields when it saves the dashboard: there are none."""
    register_default_plugins()
    written = json.loads((DEPLOY / "grafana.json").read_text())
    read = Dashboard.from_json(written)
    panels = [each for each in read.panels or [] if isinstance(each, Panel)]
    assert len(panels) == len(written["panels"])
    for panel in panels:
        assert panel.targets
        for target in panel.targets:
            assert isinstance(target, Dataquery), panel.title
    again = json.loads(JSONEncoder(sort_keys=True).encode(read))
    assert lost(written, again) == []


def lost(before: Any, after: Any, path: str = "") -> list[str]:
    """Paths of values of the first that the second does not have."""
    if isinstance(before, dict) and isinstance(after, dict):
        return [
            each
            for key, value in before.items()
            for each in (
                lost(value, after[key], f"{path}/{key}") if key in after else [f"{path}/{key}"]
            )
        ]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = enumerate(zip(before, after, strict=True))
        return [each for index, pair in pairs for each in lost(*pair, f"{path}/{index}")]
    return [] if before == after else [path]


def test_the_commands_of_unit_and_container_exist() -> None:
    """Their options exist too."""
    unit = (DEPLOY / "borough.service").read_text().replace("\\\n", " ")
    container = (DEPLOY / "Containerfile").read_text()
    agent = (DEPLOY / "borough-agent.service").read_text()
    lines = re.findall(r"^ExecStart(?:Pre)?=\S+/borough (.*)$", unit + agent, re.M)
    lines.append(" ".join(json.loads(re.findall(r"^CMD (.*)$", container, re.M)[-1])))
    assert len(lines) == 4
    for line in lines:
        name, *words = line.split()
        command = subcommands(app)[name]
        if isinstance(command, click.Group):
            command = subcommands(command)["run"]
        known = {each for option in command.params for each in option.opts}
        assert {word for word in words if word.startswith("--")} <= known
        assert isinstance(command, click.Command)


def test_a_token_is_created_before_the_first_start() -> None:
    """A service with --tokens refuses to start when there is none."""
    container = (DEPLOY / "Containerfile").read_text()
    unit = (DEPLOY / "borough.service").read_text()
    assert container.index("token create") < container.index("podman run -p")
    assert unit.index("token create") < unit.index("enable --now")


def test_the_agent_may_change_the_network_and_nothing_else() -> None:
    unit = (DEPLOY / "borough-agent.service").read_text()
    for setting in ("CapabilityBoundingSet", "AmbientCapabilities"):
        assert re.findall(rf"^{setting}=(.*)$", unit, re.M) == ["CAP_NET_ADMIN"]
    assert "NoNewPrivileges=yes" in unit


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
@pytest.mark.parametrize("name", ["borough.service", "borough-agent.service"])
def test_systemd_reads_the_unit(name: str) -> None:
    """Its only complaint is the program, which is not installed here."""
    found = subprocess.run(
        ["systemd-analyze", "verify", str(DEPLOY / name)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    wrong = [line for line in found.stderr.splitlines() if name in line]
    assert [line for line in wrong if "is not executable" not in line] == []
