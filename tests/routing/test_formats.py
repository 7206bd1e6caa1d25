"""The daemons accept Borough's configuration, with any name of a host."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

import borough
from tests.cli.conftest import Cli
from tests.servers.base import find_program
from tests.servers.shared import must_have

pytestmark = pytest.mark.routing

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "reference" / "routes.md"

HOSTS = ["node-1", "rack 7 \"quoted\" 'too'", "name}; protocol", "übermaß?", "#!", "x" * 255]


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    made = Cli(tmp_path_factory.mktemp("formats") / "ipam.db")
    subnets = [
        {"name": "v4", "cidr": "10.0.0.0/22", "labels": {"network": "n"}},
        {"name": "v6", "cidr": "2001:db8::/118", "labels": {"network": "n"}},
    ]
    with borough.open(made.url, create=True) as ipam:
        ipam.apply({"scopes": ["default", "blue"], "subnets": subnets})
        for count, host in enumerate(HOSTS, 1):
            ipam.allocate(
                labels={"network": "n"}, host=host, families=(4, 6), count=count * 7, owner="o"
            )
    return made


def check_bird(path: Path) -> subprocess.CompletedProcess[str]:
    program = must_have(lambda: find_program("bird", "usr/sbin", package="bird2"))
    return subprocess.run(
        [program, "-p", "-c", str(path)], capture_output=True, text=True, check=False
    )


def check_frr(path: Path) -> subprocess.CompletedProcess[str]:
    program = must_have(lambda: find_program("vtysh", package="frr"))
    return subprocess.run(
        [program, "-C", "-f", str(path)], capture_output=True, text=True, check=False
    )


CHECKS = {"bird": check_bird, "frr": check_frr}


@pytest.mark.parametrize("kind", CHECKS)
@pytest.mark.parametrize("host", [None, *HOSTS, "without addresses"])
def test_daemon_accepts_the_output(cli: Cli, tmp_path: Path, kind: str, host: str | None) -> None:
    """Alone, in both forms, and for an empty scope."""
    path = tmp_path / "borough.conf"
    words = ["routes", "--format", kind, *(["--host", host] if host else [])]
    for more in ([], ["--form", "lpm"], ["--scope", "blue"]):
        path.write_text(cli.text(*words, *more))
        checked = CHECKS[kind](path)
        assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


@pytest.mark.parametrize("kind", CHECKS)
def test_daemon_accepts_the_documented_configuration(cli: Cli, tmp_path: Path, kind: str) -> None:
    """The configuration of docs/reference/routes.md, with Borough's output."""
    blocks = re.findall(r"^```\w*\n(.*?)^```$", DOCUMENT.read_text(), re.M | re.S)
    path = tmp_path / "daemon.conf"
    said = cli.text("routes", "--format", kind, "--host", "node-1")
    if kind == "bird":
        (tmp_path / "borough.conf").write_text(said)
        [block] = [each for each in blocks if 'include "' in each]
        path.write_text(block.replace("/etc/bird/", f"{tmp_path}/"))
    else:
        [block] = [each for each in blocks if each.startswith("router bgp")]
        path.write_text(block + said)
    checked = CHECKS[kind](path)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


@pytest.mark.parametrize("kind", CHECKS)
def test_daemon_refuses_an_unknown_line(cli: Cli, tmp_path: Path, kind: str) -> None:
    """So the tests above can fail."""
    path = tmp_path / "borough.conf"
    path.write_text(cli.text("routes", "--format", kind, "--host", "node-1") + "nonsense here\n")
    assert CHECKS[kind](path).returncode != 0
