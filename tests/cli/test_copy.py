"""``borough copy``, and database URLs in the output of commands."""

from __future__ import annotations

from pathlib import Path

import pytest

import borough
from tests.cli.conftest import Cli


def test_a_database_is_copied_and_can_be_used(cli: Cli, tmp_path: Path):
    cli.text("subnet", "add", "s", "--cidr", "10.0.0.0/24", "-l", "network=n")
    cli.text("allocate", "-l", "network=n", "--owner", "web")
    target = f"sqlite:///{tmp_path}/new.db"
    said = cli.text("copy", "--from", cli.url, "--to", target)
    assert said.startswith("Copied ")
    assert f"BOROUGH_DB={target}" in said
    with borough.open(target) as ipam:
        assert [each.owner for each in ipam.allocations()] == ["web"]


def test_the_same_for_programs(cli: Cli, tmp_path: Path):
    cli.text("subnet", "add", "s", "--cidr", "10.0.0.0/24")
    target = f"sqlite:///{tmp_path}/new.db"
    made = cli.json("copy", "--from", cli.url, "--to", target)
    assert made["verified"]
    assert not made["resumed"]
    assert made["tables"]["borough_subnet"] == len(cli.json("list", "subnets")["subnets"])
    assert made["rows"] == sum(made["tables"].values())


def test_a_target_in_use_is_an_error_for_the_operator(cli: Cli, tmp_path: Path):
    cli.text("subnet", "add", "s", "--cidr", "10.0.0.0/24")
    target = f"sqlite:///{tmp_path}/new.db"
    with borough.open(target, create=True) as ipam:
        ipam.add_subnet("10.0.0.0/24")
    code, error = cli.error("copy", "--from", cli.url, "--to", target)
    assert (code, error["code"]) == (1, "target_in_use")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:s3cret@127.0.0.1:1,127.0.0.1:2/db",
        "mysql://me:s3cret@127.0.0.1:1/db",
        "mysql://me:s3cret@127.0.0.1:99999/db",
        "nonsense://me:s3cret@nowhere/db",
    ],
)
def test_a_password_is_never_shown(cli: Cli, url: str):
    """Nor is it in errors, when the server does not answer or the URL cannot be parsed."""
    for words in (["init"], ["usage"], ["copy", "--from", cli.url, "--to", url]):
        found = cli.run(*words, url=url)
        assert found.exit_code in (1, 2, 5)
        assert "s3cret" not in found.output
        assert "s3cret" not in found.stderr


def test_copy_to_a_missing_server_is_retry_later(cli: Cli):
    gone = "postgresql://me@127.0.0.1:1/db"
    code, error = cli.error("usage", url=gone)
    assert (code, error["code"], error["detail"]["outcome"]) == (5, "unavailable", "not_done")
    for words in (["--from", cli.url, "--to", gone], ["--from", gone, "--to", cli.url]):
        code, error = cli.error("copy", *words)
        assert (code, error["code"], error["detail"]["outcome"]) == (5, "unavailable", "not_done")
