"""Distinct errors for a database that cannot be opened: no driver, no database, no login."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import borough
from borough.errors import AccessDenied, FixInput, NotInitialised
from tests.cli.conftest import Cli
from tests.servers.shared import shared_server


@pytest.mark.parametrize(
    ("url", "module", "extra"),
    [
        ("postgresql://u@h/d", "psycopg", "postgresql"),
        ("mysql://u@h/d", "pymysql", "mariadb"),
        ("mariadb+pymysql://u@h/d", "pymysql", "mariadb"),
        ("mysql+mysqldb://u@h/d", "MySQLdb", "mysqlclient"),
    ],
)
def test_a_driver_that_is_not_installed(
    url: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The library and the command name the command to run."""
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(FixInput, match=rf"run: pip install 'borough\[{extra}\]'"):
        borough.open(url)
    found = Cli(tmp_path / "none").run("--json", "usage", url=url)
    assert (found.exit_code, json.loads(found.stderr)["code"]) == (2, "invalid_input")


@pytest.mark.parametrize("url", ["mysql+foo://u@h/d", "postgresql+foo://u@h/d", "sqlite+foo:///d"])
def test_a_driver_that_does_not_exist(url: str) -> None:
    """The message names the known ones."""
    with pytest.raises(FixInput, match=r"there is no driver 'foo' for .* URLs; known are"):
        borough.open(url)


@pytest.mark.server
@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_the_login_and_the_database(kind: str) -> None:
    """A missing role and a missing database have different errors."""
    server = shared_server(kind)
    url = server.fresh()
    account, _, rest = url.partition("@")
    scheme = account.partition("://")[0]
    with pytest.raises(AccessDenied, match="refuses the login"):
        borough.open(f"{scheme}://nobody@{rest}", create=True)
    with pytest.raises(NotInitialised, match="no such database"):
        borough.open(f"{url}_not_there", create=True)


@pytest.mark.server
def test_a_role_that_may_not_log_in_or_connect() -> None:
    """PostgreSQL's texts for it have no code before a connection is made."""
    server = shared_server("postgresql")
    url = server.fresh()
    database = url.rpartition("/")[2]
    server.run("CREATE ROLE borough_resting NOLOGIN")
    server.run("CREATE ROLE borough_shut_out LOGIN")
    try:
        server.run(f"REVOKE CONNECT ON DATABASE {database} FROM PUBLIC")
        for role in ("borough_resting", "borough_shut_out"):
            with pytest.raises(AccessDenied, match="refuses the login"):
                borough.open(f"postgresql://{role}@{url.partition('@')[2]}")
    finally:
        server.run("DROP ROLE borough_resting")
        server.run("DROP ROLE borough_shut_out")
