"""Servers with settings that may lose acknowledged changes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import borough
from borough.client.ipam import connect
from tests.api.test_serve import Process
from tests.cli.conftest import Cli
from tests.servers.base import Server
from tests.servers.mariadb import QUICK as MARIADB_QUICK
from tests.servers.mariadb import MariadbServer
from tests.servers.postgresql import QUICK as POSTGRESQL_QUICK
from tests.servers.postgresql import PostgresqlServer
from tests.servers.shared import must_have, shared_server

pytestmark = [pytest.mark.server, pytest.mark.xdist_group("fault-durability")]

L = {"network": "n"}


def postgresql() -> Server:
    """Commits are acknowledged before they are on the disk, and pages are not protected."""
    careless = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
    return PostgresqlServer({**POSTGRESQL_QUICK, **careless})


def mariadb() -> Server:
    """The same, and with a binary log that is not flushed."""
    return MariadbServer(
        {
            **MARIADB_QUICK,
            "innodb_flush_log_at_trx_commit": "0",
            "innodb_doublewrite": "0",
            "innodb_flush_method": "nosync",
            "log_bin": "binlog",
            "sync_binlog": "0",
        }
    )


RISKS = {
    postgresql: {"disk_not_synced": "fsync", "pages_not_whole": "full_page_writes"},
    mariadb: {
        "commit_not_flushed": "innodb_flush_log_at_trx_commit",
        "binlog_not_flushed": "sync_binlog",
        "disk_not_synced": "innodb_flush_method",
        "pages_not_whole": "innodb_doublewrite",
    },
}


@pytest.fixture(scope="module", params=RISKS, ids=lambda make: make.__name__)
def careless(request: pytest.FixtureRequest) -> Iterator[tuple[Server, dict[str, str]]]:
    """An unsafe server, and the findings that it has."""
    make: Callable[[], Server] = request.param
    made = must_have(make)
    yield made, RISKS[make]
    made.remove()


def test_an_audit_reports_unsafe_settings(
    careless: tuple[Server, dict[str, str]],
) -> None:
    """A repair leaves them."""
    server, expected = careless
    with borough.open(server.fresh(), create=True) as ipam:
        ipam.add_subnet("10.0.0.0/24", name="a", labels=L)
        ipam.allocate(labels=L)
        found = ipam.risks()
        assert {each.code: each.subject for each in found} == expected
        assert not any(each.repaired for each in found)
        assert ipam.audit() == ipam.audit(repair=True) == found


def test_the_command_and_the_service_report_unsafe_settings(
    careless: tuple[Server, dict[str, str]], tmp_path: Path
) -> None:
    """The service keeps running, reports them in its readiness, and once in its log."""
    server, expected = careless
    url = server.fresh()
    borough.open(url, create=True).close()
    code, told = _audit(url, tmp_path)
    assert (code, {each["code"] for each in told["findings"]}) == (1, set(expected))
    process = Process(url, "--workers", "2", log=tmp_path / "log")
    try:
        status, text = process.get("/readyz")
        answer = json.loads(text)
        assert (status, answer["status"]) == (200, "ok")
        with connect(process.url) as client:
            assert {each.code for each in client.risks()} == set(expected)
        assert {each["code"]: each["subject"] for each in answer["warnings"]} == expected
    finally:
        process.stop()
    lines = [json.loads(line) for line in process.text.splitlines() if line.startswith("{")]
    logged = [line for line in lines if line["logger"] == "borough.serve"]
    assert {line["code"]: line["setting"] for line in logged} == expected
    assert len(logged) == len(expected)


def _audit(url: str, folder: Path) -> tuple[int, dict[str, list[dict[str, str]]]]:
    found = Cli(folder / "none").run("audit", "--json", url=url)
    return found.exit_code, json.loads(found.stdout)


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_a_safe_server_has_no_finding(kind: str) -> None:
    """A missing binary log needs no flush, and the session may make a commit wait."""
    server = shared_server(kind)
    url = server.fresh()
    if kind == "postgresql":
        database = url.rpartition("/")[2]
        server.run(f"ALTER DATABASE {database} SET synchronous_commit = off")
    with borough.open(url, create=True) as ipam:
        assert ipam.risks() == []
        assert ipam.audit() == []
