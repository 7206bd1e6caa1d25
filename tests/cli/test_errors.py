"""Errors: the exit code, the stable code, no traceback, and nothing changed."""

from __future__ import annotations

import json
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import borough
from borough.store.sql.dialects import sqlite
from tests.cli.conftest import Cli

PODS = ("-l", "network=pods")
ALLOCATE = ("allocate", *PODS)

#: Command lines on the container hosts, where 10.64.0.5 is held by web-1 with the key "used".
WRONG: dict[str, tuple[tuple[str, ...], int, str]] = {
    "address of the other family": (
        (*ALLOCATE, "--address", "2001:db8:64::9", "--family", "4"), 2, "invalid_input"),
    "no address": ((*ALLOCATE, "--address", "10.64.0.300"), 2, "invalid_address"),
    "leading zeros": ((*ALLOCATE, "--address", "10.64.0.010"), 2, "invalid_address"),
    "zone index": ((*ALLOCATE, "--address", "fe80::1%eth0"), 2, "invalid_address"),
    "address outside the subnets": (
        (*ALLOCATE, "--address", "192.0.2.1"), 2, "address_outside_group"),
    "network address": ((*ALLOCATE, "--address", "10.64.0.0"), 2, "address_unusable"),
    "broadcast address": ((*ALLOCATE, "--address", "10.64.127.255"), 2, "address_unusable"),
    "subnet-router anycast": ((*ALLOCATE, "--address", "2001:db8:64::"), 2, "address_unusable"),
    "address that is taken": ((*ALLOCATE, "--address", "10.64.0.5"), 4, "address_in_use"),
    "prefix with host bits": (("subnet", "add", "--cidr", "10.1.2.3/24"), 2, "invalid_prefix"),
    "prefix that is none": (("subnet", "add", "--cidr", "10.1.2.0"), 2, "invalid_prefix"),
    "unknown dimension": (("allocate", "-l", "colour=red"), 2, "unknown_dimension"),
    "dimension that cannot be": (("allocate", "-l", "Colour!=red"), 2, "invalid_label"),
    "unknown label": (("allocate", "-l", "network=pod"), 3, "no_matching_subnet"),
    "label without a value": (("allocate", "-l", "network="), 2, "usage"),
    "label without a dimension": (("allocate", "-l", "=pods"), 2, "usage"),
    "label that is a word": (("allocate", "-l", "pods"), 2, "usage"),
    "no label at all": (("allocate",), 3, "no_matching_subnet"),
    "no MAC address": ((*ALLOCATE, "--mac", "00:11:22:33:44"), 2, "invalid_mac"),
    "MAC address for IPv4": (
        (*ALLOCATE, "--mac", "00:11:22:33:44:55", "--family", "4"), 2, "invalid_input"),
    "owner of 10 kB": ((*ALLOCATE, "--owner", "x" * 10_240), 2, "invalid_input"),
    "label of 10 kB": (("allocate", "-l", "network=" + "x" * 10_240), 2, "invalid_label"),
    "attribute of 20 kB": ((*ALLOCATE, "--attribute", "a=" + "x" * 20_480), 2, "invalid_input"),
    "attribute given twice": ((*ALLOCATE, "--attribute", "a=1", "--attribute", "a=2"), 2, "usage"),
    "NUL in the owner": ((*ALLOCATE, "--owner", "a\0b"), 2, "invalid_input"),
    "NUL in the host": ((*ALLOCATE, "--host", "a\0b"), 2, "invalid_input"),
    "NUL in a label": (("allocate", "-l", "network=a\0b"), 2, "invalid_label"),
    "NUL in the key": ((*ALLOCATE, "--key", "a\0b"), 2, "invalid_input"),
    "NUL in an attribute": ((*ALLOCATE, "--attribute", "a=\0"), 2, "invalid_input"),
    "NUL in the address": ((*ALLOCATE, "--address", "10.64.0.1\0"), 2, "invalid_address"),
    "NUL in the scope": ((*ALLOCATE, "--scope", "a\0b"), 2, "invalid_input"),
    "NUL in a file name": (("apply", "a\0b"), 2, "invalid_topology"),
    "escape sequence in the owner": ((*ALLOCATE, "--owner", "\x1b[31mred"), 2, "invalid_input"),
    "count of nothing": ((*ALLOCATE, "--count", "0"), 2, "invalid_input"),
    "negative count": ((*ALLOCATE, "--count", "-1"), 2, "invalid_input"),
    "count of a billion": ((*ALLOCATE, "--count", "1000000000"), 2, "invalid_input"),
    "count that is no number": ((*ALLOCATE, "--count", "many"), 2, "usage"),
    "count with an address": (
        (*ALLOCATE, "--count", "2", "--address", "10.64.0.9"), 2, "invalid_input"),
    "more than there is": (
        ("allocate", "--subnet", "tiny", "--count", "7"), 3, "exhausted"),
    "two kinds at once": ((*ALLOCATE, "--next", "--gateway"), 2, "usage"),
    "labels and subnets": ((*ALLOCATE, "--subnet", "pods-a"), 2, "invalid_input"),
    "unknown subnet": (("allocate", "--subnet", "pods-c"), 2, "unknown_object"),
    "unknown scope": ((*ALLOCATE, "--scope", "blue"), 2, "unknown_object"),
    "empty owner": (("release", "--owner", ""), 2, "usage"),
    "empty owner beside a host": (("release", "--host", "node-1", "--owner", ""), 2, "usage"),
    "key with another request": (
        (*ALLOCATE, "--key", "used", "--owner", "other"), 4, "idempotency_key_reused"),
    "key whose address is gone": (
        (*ALLOCATE, "--key", "spent"), 4, "idempotency_key_spent"),
    "stale sequence": (("release", "10.64.0.5", "--sequence", "1"), 4, "stale_sequence"),
    "enormous sequence": (("release", "10.64.0.5", "--sequence", "9" * 40), 4, "stale_sequence"),
    "sequence without an address": (
        ("release", "--owner", "web-1", "--sequence", "1"), 2, "invalid_input"),
    "release of nothing": (("release",), 2, "invalid_input"),
    "release of a free address": (("release", "10.64.0.6"), 4, "not_allocated"),
    "one free address among others": (
        ("release", "10.64.0.5", "10.64.0.6"), 4, "not_allocated"),
    "release as another owner": (
        ("release", "10.64.0.5", "--owner", "web-2"), 4, "not_allocated"),
    "release in an unknown scope": (
        ("release", "10.64.0.5", "--scope", "blue"), 2, "unknown_object"),
    "show of a free address": (("show", "10.64.0.6"), 4, "not_allocated"),
    "show of nobody": (("show", "nobody"), 2, "unknown_object"),
    "show of nothing": (("show",), 2, "usage"),
    "explain of an unknown dimension": (("explain", "-l", "colour=red"), 2, "unknown_dimension"),
    "list with a limit of nothing": (("list", "allocations", "--limit", "0"), 2, "usage"),
    "list after an enormous number": (("list", "events", "--after", "9" * 40), 2, "usage"),
    "list of an unknown subnet": (("list", "blocks", "--subnet", "x"), 2, "unknown_object"),
    "list of nothing": (("list",), 2, "usage"),
    "routes in an unknown format": (("routes", "--format", "quagga"), 2, "usage"),
    "routes in an unknown form": (("routes", "--form", "loose"), 2, "usage"),
    "routes of an unknown scope": (("routes", "--scope", "blue"), 2, "unknown_object"),
    "usage of an unknown scope": (("usage", "--scope", "blue"), 2, "unknown_object"),
    "no file": (("apply", "/nowhere/at-all.yaml"), 2, "invalid_topology"),
    "a folder for a file": (("apply", "/"), 2, "invalid_topology"),
    "unknown command": (("alocate",), 2, "usage"),
    "unknown option": (("allocate", "--frobnicate"), 2, "usage"),
    "option without its value": (("allocate", "--owner"), 2, "usage"),
}  # fmt: skip


@pytest.fixture(scope="session")
def used_template(templates: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The container hosts, with some addresses allocated and some idempotency keys used."""
    cli = Cli(tmp_path_factory.mktemp("used") / "ipam.db")
    shutil.copy(templates("container-hosts"), cli.path)
    cli.text("subnet", "add", "tiny", "--cidr", "192.0.2.0/29", "-l", "network=tiny")
    cli.text(*ALLOCATE, "--address", "10.64.0.5", "--owner", "web-1")
    cli.text(*ALLOCATE, "--owner", "web-2", "--key", "used", "--host", "node-1")
    spent = cli.json(*ALLOCATE, "--key", "spent")["allocations"][0]
    cli.text("release", spent["address"])
    return cli.path


@pytest.fixture
def used(empty: Cli, used_template: Path) -> Cli:
    shutil.copy(used_template, empty.path)
    return empty


def state_of(cli: Cli) -> list[Any]:
    """All state that a request could change."""
    with borough.open(cli.url) as ipam:
        return [ipam.allocations(), ipam.subnets(), ipam.blocks(), ipam.events()]


@pytest.mark.parametrize("name", WRONG)
def test_wrong_requests_change_nothing(used: Cli, name: str):
    words, exit_code, code = WRONG[name]
    before = state_of(used)
    said = used.fails(*words, exit_code=exit_code, code=code)
    assert len(said) < 2500
    assert state_of(used) == before


def test_exhaustion_shows_the_steps_and_remedies(make_cli: Any):
    cli = make_cli("routed-network")
    group = ("-l", "network=multisegment1", "--host", "compute0001", "--family", "4")
    cli.text("allocate", *group, "--count", "253")
    said = cli.fails("allocate", *group, exit_code=3, code="exhausted")
    assert said.startswith("Error: no free IPv4 address in ")
    assert "1. IPv4, claimed by host=compute0001: full\n" in said
    assert "multisegment1-segment1-v4  203.0.113.0/24  0 free  253 of 253 allocated" in said
    passed = "- inside the boundary segment=segment2: multisegment1-segment2-v4 (198.51.100.0/24)"
    assert passed in " ".join(said.split())
    assert said.endswith("Try: release addresses; add a subnet to the group; ask a wider group.\n")
    _, error = cli.error("allocate", *group)
    assert error["detail"]["explanation"]["rungs"][0]["verdict"] == "full"
    assert error["detail"]["try"]


def test_usage_errors_show_the_usage(cli: Cli):
    said = cli.run("allocate", "--frobnicate").stderr
    assert said.startswith("Usage: borough allocate [OPTIONS]\nTry 'borough allocate --help'")
    assert "Missing command: one of subnets, allocations," in cli.run("list").stderr
    assert cli.error("allocate", "--count", "x")[1]["detail"] == {"command": "borough allocate"}
    found = cli.run()
    assert (found.exit_code, found.stdout) == (2, "")
    assert "Usage: borough [OPTIONS] [COMMAND]" in found.stderr
    assert cli.error()[1]["message"].startswith("Missing command")


def test_a_person_reads_no_control_characters(cli: Cli):
    said = cli.run("show", "\x1b]0;title\x07").stderr
    assert "\x1b" not in said
    assert "\x07" not in said


# --- Databases that cannot be used --------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "exit_code", "code"),
    [
        ("sqlite:////nowhere/at/all.db", 1, "not_initialised"),
        ("sqlite://", 1, "not_initialised"),
        ("nonsense", 2, "invalid_input"),
        ("oracle://host/db", 2, "invalid_input"),
    ],
)
@pytest.mark.parametrize("words", [("usage",), ("init",), ALLOCATE])
def test_urls_that_name_no_database(
    empty: Cli, url: str, exit_code: int, code: str, words: tuple[str, ...]
):
    empty.fails(*words, url=url, exit_code=exit_code, code=code)


def test_a_missing_database_is_not_created(empty: Cli):
    for words in (("usage",), ALLOCATE, ("audit", "--repair")):
        said = empty.fails(*words, exit_code=1, code="not_initialised")
        assert "borough init" in said
    assert not empty.path.exists()


def test_an_empty_file_is_not_initialised(empty: Cli):
    empty.path.touch()
    empty.fails("usage", exit_code=1, code="not_initialised")
    assert empty.json("init")["action"] == "created"


def test_a_file_that_is_no_database_is_not_changed(empty: Cli):
    content = b"This is a diary, not a database.\n" * 200
    empty.path.write_bytes(content)
    for words in (("usage",), ("init",), ALLOCATE):
        empty.fails(*words, exit_code=1, code="not_our_database")
    assert empty.path.read_bytes() == content


def test_a_foreign_database_is_not_changed(empty: Cli):
    empty.sql("CREATE TABLE diary (entry TEXT)")
    for words in (("usage",), ("init",), ALLOCATE):
        empty.fails(*words, exit_code=1, code="not_our_database")


def test_a_newer_schema_is_not_changed(used: Cli):
    used.sql("UPDATE borough_alembic_version SET version_num = 'from-the-future'")
    for words in (("usage",), ("init",), ALLOCATE):
        used.fails(*words, exit_code=1, code="schema_too_new")


def test_a_read_only_database_can_be_read(used: Cli):
    url = f"sqlite:///file:{used.path}?mode=ro&uri=true"
    before = used.allocations()
    used.fails(*ALLOCATE, url=url, exit_code=1, code="database_read_only")
    used.fails("release", "10.64.0.5", url=url, exit_code=1, code="database_read_only")
    assert json.loads(used.run("--json", "list", "allocations", url=url).stdout) == before
    assert used.allocations() == before


def test_a_locked_database_is_tried_again_later(used: Cli, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sqlite, "WAIT", 0.05)
    monkeypatch.setattr(borough, "open", partial(borough.open, timeout=0.1))
    before = used.allocations()
    other = sqlite3.connect(used.path, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        used.fails(*ALLOCATE, exit_code=5, code="contended")
        assert used.allocations() == before
    finally:
        other.close()
    used.text(*ALLOCATE)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder with 1 MB of space."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = (
        os.geteuid() == 0
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)],
            check=False,
            capture_output=True,
        ).returncode
    )
    if not mounted:
        pytest.skip("needs the right to mount")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk(small_disk: Path, request: pytest.FixtureRequest):
    cli = Cli(small_disk / "ipam.db")
    cli.text("init")
    cli.text("subnet", "add", "--cidr", "10.0.0.0/16")
    cli.text("allocate", "--owner", "first")
    before = cli.allocations()
    with (small_disk / "filler").open("wb", buffering=0) as filler:
        try:
            while True:
                filler.write(b"x" * 4096)
        except OSError:
            pass
    _, error = cli.error("allocate", "--count", "5000")
    assert error["code"] == "disk_full"
    cli.fails("allocate", "--count", "5000", exit_code=1, code="disk_full")
    (small_disk / "filler").unlink()
    assert cli.allocations() == before
    assert cli.json("audit")["clean"]


def test_a_file_that_may_not_grow(used: Cli):
    before = used.allocations()
    limit = used.path.stat().st_size + 65536

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    done = subprocess.run(
        [sys.executable, "-m", "borough", "--json", *ALLOCATE, "--count", "20000"],
        env={**os.environ, "BOROUGH_DB": used.url},
        preexec_fn=small_files,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert json.loads(done.stderr)["code"] == "disk_full"
    assert used.allocations() == before
    assert used.json("audit")["clean"]
