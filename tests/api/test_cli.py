"""``borough --server``: every command, with the same answers as on the database itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import borough
from borough.api.settings import ServiceSettings
from borough.cli.app import app
from tests.api.serving import Served
from tests.conftest import EXAMPLES

#: One after the other; some fail, and must fail alike.
JOURNEY = [
    f"apply {EXAMPLES}/container-hosts.yaml --dry-run",
    f"apply {EXAMPLES}/container-hosts.yaml",
    f"apply {EXAMPLES}/container-hosts.yaml",
    "apply no-such-file.yaml",
    "allocate -l network=pods --host node-1 --owner web-1 --explain",
    "allocate -l network=pods --family both --owner web-2 --key k1 --attribute a=b",
    "allocate -l network=pods --family both --owner web-2 --key k1 --attribute a=b",
    "allocate -l network=pods --owner other --key k1",
    "allocate -l network=pods --address 10.64.0.1",
    "allocate -l network=nowhere",
    "allocate -l colour=red",
    "allocate -l network=pods --count 3 --next",
    "allocate -l network=pods --mac 02:00:00:00:00:01",
    "explain -l network=pods --host node-3",
    "show 10.64.0.1",
    "show 10.64.0.200",
    "show nonsense",
    "list subnets -l network=pods",
    "list allocations --owner web-2",
    "list allocations --limit 2",
    "list allocations --state allocated",
    "list allocations --state reserved",
    "list allocations --state held",
    "allocate -l network=pods --owner job --lease 1h --key k9",
    "renew --key k9 --sequence 1",
    "renew 10.64.0.3 --sequence 1",
    "renew --key k8",
    "release --owner job",
    "allocate -l network=pods --owner r1 --shared --address 10.64.0.77",
    "allocate -l network=pods --owner r2 --shared --address 10.64.0.77",
    "release 10.64.0.77",
    "release 10.64.0.77 --owner r1",
    "release --owner r2",
    "export --format word",
    "list blocks",
    "list hosts",
    "list dimensions",
    "list pools",
    "usage -l network=pods",
    "usage",
    "routes",
    "routes --host node-1",
    "release 10.64.0.1 --sequence 99",
    "release 10.64.0.1",
    "release --owner web-2",
    "allocate -l network=pods --host node-5 --count 3 --owner five --note fünf",
    "edit 10.64.1.1 --owner fife --attribute a=b --sequence 1",
    "edit 10.64.0.99 --owner fife",
    "edit 10.64.1.1",
    "transfer five fife",
    "transfer fife five",
    "edit 10.64.1.1 --remove note --attribute a=b --attribute c=d",
    "edit 10.64.1.1 --remove-attribute c",
    "list allocations --attribute a=b",
    "list allocations --attribute a=c",
    "reassign 10.64.0.99 --host node-6",
    "reassign 10.64.0.1 --host node-6 --sequence 1",
    "list allocations --owner five",
    "reassign 10.64.1.1 --host node-6",
    "host drain node-5",
    "host drain nowhere",
    "host rename node-5 node-5",
    "host rename node-5 node-7",
    "defragment --host node-7",
    "defragment --scope nowhere",
    "reclaim",
    "host remove node-7 --release",
    "host remove node-7",
    "subnet add extra --cidr 10.200.0.0/24 -l network=extra --gateway 10.200.0.1",
    "subnet add again --cidr 10.200.0.0/25",
    "subnet remove extra",
    "token create node-1 --permission allocate -l network=pods",
    "token create soft --permission read -l rack=r1",
    "token list",
    "token revoke node-1",
    "token revoke node-1",
    "audit --repair",
    "list events --limit 1000",
    "version",
]


def run(line: str, *options: str, **environment: str) -> Result:
    return CliRunner().invoke(app, [*options, *line.split()], env={"COLUMNS": "100", **environment})


def outcome(result: Result) -> tuple[int, Any, Any]:
    """Exit code and documents, without values that differ between runs."""

    def read(text: str) -> Any:
        return _timeless(json.loads(text)) if text else None

    return result.exit_code, read(result.stdout), read(result.stderr)


def _timeless(data: Any) -> Any:
    if isinstance(data, list):
        return [_timeless(each) for each in data]
    if isinstance(data, dict):
        gone = ("at", "allocated_at", "leased_until", "created", "public", "secret")
        return {name: _timeless(value) for name, value in data.items() if name not in gone}
    return data


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    ipam = borough.open(f"sqlite:///{tmp_path}/served.db", create=True)
    made = Served(ipam)
    yield made
    made.close()


def test_every_command_answers_the_same_through_a_service(served: Served, tmp_path: Path) -> None:
    """Answers, errors and exit codes are equal."""
    url = f"sqlite:///{tmp_path}/own.db"
    borough.open(url, create=True).close()
    for line in JOURNEY:
        here = run(line, "--db", url, "--json")
        there = run(line, "--server", served.url, "--json")
        assert outcome(there) == outcome(here), line


def test_commands_that_need_a_database_are_refused(served: Served) -> None:
    """The error is bad usage, and no request is sent."""
    for line in ("init", "serve"):
        found = run(line, "--server", served.url)
        assert (found.exit_code, found.stdout) == (2, "")
        assert "use --db" in found.stderr


def test_db_and_server_contradict_each_other(served: Served) -> None:
    """An option overrides the environment; two options contradict each other."""
    for order in (
        ["--db", "memory:", "--server", served.url],
        ["--server", served.url, "--db", "m"],
    ):
        assert run("list hosts", *order).exit_code == 2
    found = run("list hosts", "--db", "memory:", BOROUGH_SERVER="http://127.0.0.1:1")
    assert found.exit_code == 0
    found = run("list hosts", BOROUGH_SERVER=served.url, BOROUGH_DB="sqlite:////nowhere/x.db")
    assert found.exit_code == 0


def test_a_missing_service_is_retry_later(tmp_path: Path) -> None:
    """The exit code is 5, and nothing was done."""
    found = run("allocate -l network=pods", "--server", "http://127.0.0.1:1", "--json")
    assert found.exit_code == 5
    said = json.loads(found.stderr)
    assert (said["code"], said["detail"]) == ("unavailable", {"outcome": "not_done"})
    for url in ("ftp://x", "http://", "http://a:b@c", "nonsense", "http://x:99999"):
        assert run("list hosts", "--server", url).exit_code == 2


def test_the_token_comes_from_the_environment(tmp_path: Path) -> None:
    """A wrong token is refused as such."""
    ipam = borough.open(f"sqlite:///{tmp_path}/t.db", create=True)
    _, secret = ipam.create_token("reader")
    served = Served(ipam, ServiceSettings(requires_token=True))
    try:
        assert run("list hosts", "--server", served.url, BOROUGH_TOKEN=secret).exit_code == 0
        for wrong in ("", "nonsense", secret[:-1]):
            found = run("list hosts", "--server", served.url, "--json", BOROUGH_TOKEN=wrong)
            assert found.exit_code == (2 if wrong == "" else 1)
            assert secret[:-1] not in found.stderr
        found = run("token list", "--server", served.url, "--json", BOROUGH_TOKEN=secret)
        assert json.loads(found.stderr)["code"] == "not_permitted"
    finally:
        served.close()
