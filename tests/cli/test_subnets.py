"""Single subnets, and the pools that they are carved from."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.conftest import Cli

POOL = "pools:\n  - {name: p, prefixes: [10.9.0.0/16], default_length: 26, minimum_length: 24, quota: 256}\n"


@pytest.fixture
def pooled(cli: Cli, tmp_path: Path) -> Cli:
    (tmp_path / "pool.yaml").write_text(POOL)
    cli.text("apply", str(tmp_path / "pool.yaml"), "--name", "pools")
    return cli


def test_subnets_are_carved_from_pools_and_return_to_them(pooled: Cli):
    made = pooled.json("subnet", "add", "--pool", "p", "--project", "x")["subnet"]
    assert (made["prefix"], made["name"], made["pool"]) == ("10.9.0.0/26", "10.9.0.0/26", "p")
    said = pooled.text("subnet", "add", "two", "--pool", "p", "--length", "25", "-l", "network=n")
    assert said.startswith("Added subnet two.\nprefix  10.9.0.128/25\n")
    exact = pooled.json("subnet", "add", "--pool", "p", "--cidr", "10.9.8.0/26")["subnet"]
    assert exact["prefix"] == "10.9.8.0/26"
    (pool,) = pooled.json("list", "pools")["pools"]
    assert (pool["name"], pool["subnets"], pool["quota_used"]) == ("p", 3, {"": 192, "x": 64})
    assert re.search(r"p +3 +65536 +256 +65280 +/17 +\(no project\)", pooled.text("list", "pools"))
    assert pooled.json("subnet", "remove", "two")["subnet"]["name"] == "two"
    assert "Removed subnet 10.9.0.0/26." in pooled.text("subnet", "remove", "10.9.0.0/26")


def test_subnet_add_by_prefix_with_every_setting(cli: Cli):
    made = cli.json(
        "subnet", "add", "edge", "--cidr", "192.0.2.0/24", "-l", "network=edge", "-l", "rack=r1",
        "-l", "rack=r2", "--project", "x", "--gateway", "192.0.2.1", "--range",
        "192.0.2.10-192.0.2.19", "--range", "192.0.2.32/29", "--range", "192.0.2.50", "--weight",
        "5", "--exclude", "192.0.2.12/31", "--exclude", "192.0.2.11", "--closed",
        "--cooldown", "5m", "--scope", "default",
    )["subnet"]  # fmt: skip
    assert made == {
        "name": "edge",
        "prefix": "192.0.2.0/24",
        "family": 4,
        "scope": "default",
        "gateway": "192.0.2.1",
        "ranges": ["192.0.2.10-192.0.2.19", "192.0.2.32-192.0.2.39", "192.0.2.50"],
        "exclude": ["192.0.2.11-192.0.2.13"],
        "closed": True,
        "labels": {"network": ["edge"], "rack": ["r1", "r2"]},
        "weight": 5,
        "project": "x",
        "pool": "",
        "cooldown": 300,
        "source": "",
        "attributes": {},
        "claims": {},
    }


@pytest.mark.parametrize(
    ("words", "exit_code", "code"),
    [
        (["add", "x"], 2, "usage"),
        (["add", "x", "--cidr", "10.1.0.0/24", "--length", "24"], 2, "usage"),
        (["add", "x", "--pool", "nope"], 2, "unknown_object"),
        (["add", "x", "--pool", "p", "--length", "30000000000000"], 2, "invalid_input"),
        (["add", "x", "--pool", "p", "--cidr", "10.1.0.0/26"], 2, "invalid_input"),
        (["add", "x", "--cidr", "10.64.0.0/24"], 4, "overlap"),
        (["add", "x", "--cidr", "10.1.0.1/24"], 2, "invalid_prefix"),
        (["add", "x", "--cidr", "10.1.0.0/24", "--gateway", "10.2.0.1"], 2, "invalid_input"),
        (["add", "x", "--cidr", "10.1.0.0/24", "-l", "colour=red"], 2, "unknown_dimension"),
        (["add", "x", "--cidr", "10.1.0.0/24", "--weight", "9" * 30], 2, "invalid_input"),
        (["add", "x", "--cidr", "10.1.0.0/24", "--cooldown", "long"], 2, "invalid_input"),
        (["add", "pods-a", "--cidr", "10.1.0.0/24"], 2, "invalid_input"),
        (["remove", "nope"], 2, "unknown_object"),
    ],
)
def test_invalid_subnets_are_refused(pooled: Cli, words: list[str], exit_code: int, code: str):
    before = pooled.json("list", "subnets")
    pooled.fails("subnet", *words, exit_code=exit_code, code=code)
    assert pooled.json("list", "subnets") == before


def test_a_quota_and_an_empty_pool_need_space(pooled: Cli):
    words = ("subnet", "add", "--pool", "p", "--length", "24", "--project", "x")
    pooled.text(*words)
    pooled.fails(*words, exit_code=3, code="quota_exceeded")
    pooled.text("subnet", "add", "--cidr", "10.9.128.0/17")
    pooled.text("subnet", "add", "--cidr", "10.9.64.0/18")
    pooled.text("subnet", "add", "--cidr", "10.9.32.0/19")
    pooled.text("subnet", "add", "--cidr", "10.9.16.0/20")
    pooled.text("subnet", "add", "--cidr", "10.9.8.0/21")
    pooled.text("subnet", "add", "--cidr", "10.9.4.0/22")
    pooled.text("subnet", "add", "--cidr", "10.9.2.0/23")
    pooled.text("subnet", "add", "--cidr", "10.9.1.0/24")
    pooled.fails("subnet", "add", "--pool", "p", exit_code=3, code="pool_exhausted")


def test_a_subnet_in_use_is_not_removed(cli: Cli):
    cli.text("allocate", "-l", "network=pods", "--owner", "web-1")
    said = cli.fails("subnet", "remove", "pods-a", exit_code=4, code="would_strand")
    assert re.search(r"10\.64\.0\.\d+ +pods-a +web-1", said)


def test_carving_twice_with_a_key_gives_one_subnet(pooled: Cli):
    made = [pooled.json("subnet", "add", "--pool", "p", "--key", "k")["subnet"] for _ in range(2)]
    assert made[0] == made[1]
    found = pooled.json("list", "free", "p", "--length", "18")["prefixes"]
    assert found == ["10.9.64.0/18", "10.9.128.0/17"]
    assert "10.9.0.64/26" in pooled.text("list", "free", "p")


def test_a_cool_down_ends_when_told(cli: Cli, tmp_path: Path):
    cli.text("subnet", "add", "c", "--cidr", "10.77.0.0/24", "-l", "network=c", "--cooldown", "1h")
    address = cli.json("allocate", "-l", "network=c")["allocations"][0]["address"]
    cli.text("release", address)
    said = cli.fails("release", address, exit_code=4, code="not_allocated")
    assert "cools down until" in " ".join(said.split())
    assert "--now" in said
    assert cli.text("release", address, "--now").endswith("Released 1 address.\n")
    assert cli.json("list", "allocations", "--subnet", "c")["allocations"] == []


def test_apply_shows_the_effects(cli: Cli, tmp_path: Path):
    file = tmp_path / "space.yaml"
    subnet = "  - {name: %s, cidr: %s, labels: {network: w}}\n"
    file.write_text("name: w\nsubnets:\n" + subnet % ("web", "10.77.0.0/24"))
    cli.text("apply", str(file))
    cli.text("allocate", "-l", "network=w", "--address", "10.77.0.200")
    file.write_text(
        "name: w\nsubnets:\n"
        + subnet % ("web", "10.77.0.0/25")
        + subnet % ("web-b", "10.77.0.128/25")
    )
    said = cli.text("apply", str(file), "--dry-run")
    assert "! 1 address follows from subnet web to web-b\n" in said
    effects = cli.json("apply", str(file))["effects"]
    assert [(each["kind"], each["subnet"]) for each in effects] == [("follow", "web-b")]


def test_single_fields_of_a_subnet_change(cli: Cli):
    said = cli.text(
        "subnet", "change", "pods-a", "--gateway", "10.64.0.1", "-l", "rack=r3", "--dry-run"
    )
    assert said.startswith(
        "~ subnet pods-a: gateway none -> 10.64.0.1, labels network=pods rack=r1 ->"
    )
    assert said.endswith("This was a dry run: nothing was changed.\n")
    said = cli.text(
        "subnet", "change", "pods-a", "--cooldown", "5m", "--claim", "block=64", "--closed"
    )
    assert "claims none -> block=64" in said
    assert "Topology 'container-hosts' declares this: correct its file" in said
    assert cli.text("subnet", "change", "pods-a", "--closed") == "pods-a is so already.\n"
    answer = cli.json(
        "subnet", "change", "pods-a", "--open", "--range", "none", "--attribute", "a=1",
        "--remove", "labels.rack", "--remove", "cooldown", "--remove", "claims",
    )  # fmt: skip
    assert (answer["summary"]["changed"], answer["source"]) == (1, "container-hosts")
    made = cli.json("show", "pods-a")["subnet"]
    assert (made["ranges"], made["closed"], made["cooldown"], made["claims"]) == ([], False, 0, {})
    assert (made["labels"], made["attributes"]) == ({"network": ["pods"]}, {"a": "1"})
    cli.fails("subnet", "change", "pods-a", exit_code=2, code="usage")
    both = ("--gateway", "10.64.0.1", "--remove", "gateway")
    cli.fails("subnet", "change", "pods-a", *both, exit_code=2, code="usage")
    said = cli.fails(
        "subnet", "change", "pods-a", "--remove", "gatway", exit_code=2, code="invalid_input"
    )
    assert "did you mean 'gateway'?" in said


def test_subnets_are_split_and_merged(cli: Cli):
    cli.text(
        "subnet", "add", "c", "--cidr", "10.65.0.0/24", "-l", "network=c", "--gateway", "10.65.0.1"
    )
    assert cli.json("subnet", "split", "c", "26")["summary"] == {
        "added": 3,
        "changed": 1,
        "removed": 0,
    }
    parts = [f"c-{at}" for at in range(1, 5)]
    assert "~ subnet c: name c-1 -> c" in cli.text("subnet", "merge", *parts, "--name", "c")
    (subnet,) = cli.json("list", "subnets", "-l", "network=c")["subnets"]
    assert subnet["prefix"] == "10.65.0.0/24"
