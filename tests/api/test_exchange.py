"""Export and reconciliation over HTTP, for programs that do not use the client."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import borough
from borough.cli.app import app
from borough.client.ipam import connect
from tests.api.serving import Served


@pytest.fixture
def served() -> Iterator[Served]:
    ipam = borough.open("memory:", create=True)
    ipam.apply({"subnets": [{"name": "s", "cidr": "10.0.0.0/24", "labels": {"network": "n"}}]})
    for at in range(5):
        ipam.allocate(address=f"10.0.0.{at + 1}", owner=f"vm{at}", labels={"network": "n"})
    made = Served(ipam)
    yield made
    made.close()


def call(served: Served, method: str, target: str, body: object = None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
    head = {} if body is None else {"Content-Type": "application/json"}
    connection.request(method, target, None if body is None else json.dumps(body), head)
    answer = connection.getresponse()
    found = json.loads(answer.read())
    connection.close()
    return answer.status, found


def test_an_export_comes_page_by_page(served: Served) -> None:
    """The header of a table is on its first page only."""
    lines: list[str] = []
    after: int | None = 0
    while after is not None:
        status, page = call(served, "GET", f"/v1/export?limit=2&after={after}")
        assert status == 200
        lines += page["lines"]
        after = page["next"]
    assert lines == list(served.ipam.export())
    _, page = call(served, "GET", "/v1/export?format=hosts&zone=lan&owner=vm3")
    assert page == {"lines": ["10.0.0.4 vm3.lan vm3"], "next": None}
    assert call(served, "GET", "/v1/export?format=word")[0] == 400
    assert call(served, "GET", "/v1/export?zone=-")[0] == 422


def test_two_checks_release(served: Served) -> None:
    """The caller hands on what the first check missed."""
    body: dict[str, Any] = {"owners": ["vm0", "vm1", "vm2"], "grace": 0}
    status, first = call(served, "POST", "/v1/reconcile", body)
    assert (status, first["released"], len(first["waiting"])) == (200, [], 2)
    body["missing"] = first["missing"]
    _, dry = call(served, "POST", "/v1/reconcile", {**body, "dry_run": True})
    assert [each["owner"] for each in dry["released"]] == ["vm3", "vm4"]
    _, late = call(served, "POST", "/v1/reconcile", {**body, "grace": "1h"})
    assert (late["released"], late["missing"]) == ([], first["missing"])
    _, done = call(served, "POST", "/v1/reconcile", body)
    assert ([each["owner"] for each in done["released"]], done["missing"]) == (["vm3", "vm4"], {})
    assert len(served.ipam.allocations()) == 3
    wrongs: list[dict[str, Any]] = [
        {"missing": {"x": "2026-01-01T00:00:00Z"}},
        {"grace": "soon"},
        {"owners": []},
    ]
    for wrong in wrongs:
        assert call(served, "POST", "/v1/reconcile", {**body, **wrong})[0] == 422


def test_the_commands_work_through_a_service(served: Served, tmp_path: Path) -> None:
    living, state = tmp_path / "living.txt", tmp_path / "state.json"
    living.write_text("vm0\n")
    words = ["reconcile", "--owners", str(living), "--state", str(state), "--grace", "0m"]
    said = [CliRunner().invoke(app, ["--server", served.url, *words]).stdout for _ in range(2)]
    assert "4 addresses wait" in said[0]
    assert "Released 4 addresses" in said[1]
    hosts = CliRunner().invoke(app, ["--server", served.url, "export", "--format", "hosts"])
    assert hosts.stdout == "10.0.0.1 vm0\n"
    with connect(served.url) as ipam:
        assert list(ipam.export("hosts")) == ["10.0.0.1 vm0"]
        assert [each.owner for each in ipam.reconcile_owners(["x"]).waiting] == ["vm0"]
