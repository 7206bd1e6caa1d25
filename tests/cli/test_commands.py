"""Every command, for people and for programs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import click
import pytest

from borough.cli.app import app
from borough.cli.command import Command, subcommands
from tests.cli.conftest import Cli, addresses
from tests.conftest import EXAMPLES

CONTAINERS = str(EXAMPLES / "container-hosts.yaml")


def walk(group: click.Group, *path: str) -> list[tuple[tuple[str, ...], click.Command]]:
    found: list[tuple[tuple[str, ...], click.Command]] = []
    for name, command in subcommands(group).items():
        found.append(((*path, name), command))
        if isinstance(command, click.Group):
            found += walk(command, *path, name)
    return found


LEAVES = [(path, each) for path, each in walk(app) if isinstance(each, Command)]


# --- init and apply ---------------------------------------------------------------------------


def test_init_creates_a_database_once(empty: Cli):
    assert empty.json("init") == {"database": empty.url, "action": "created"}
    assert empty.json("init") == {"database": empty.url, "action": "unchanged"}
    assert empty.url in empty.text("init")


def test_init_hides_passwords(empty: Cli):
    _, error = empty.error("init", url="postgresql://me:secret@nowhere/x")
    assert "secret" not in json.dumps(error)


def test_apply_shows_what_it_adds_and_then_has_nothing_to_do(empty: Cli):
    empty.text("init")
    said = empty.text("apply", CONTAINERS)
    assert "+ dimension rack\n" in said
    assert "+ subnet pods-v6 (2001:db8:64::/112)\n" in said
    assert said.endswith("8 added, 0 changed, 0 removed.\n")
    assert empty.text("apply", CONTAINERS) == "Everything is as the file says already.\n"
    assert empty.json("apply", CONTAINERS) == {
        "changes": [],
        "effects": [],
        "more_effects": 0,
        "summary": {"added": 0, "changed": 0, "removed": 0},
        "source": "",
        "dry_run": False,
    }


def test_apply_dry_run_changes_nothing(empty: Cli):
    empty.text("init")
    said = empty.text("apply", CONTAINERS, "--dry-run")
    assert said.endswith("This was a dry run: nothing was changed.\n")
    answer = empty.json("apply", CONTAINERS, "--dry-run")
    assert answer["dry_run"] is True
    assert answer["summary"] == {"added": 8, "changed": 0, "removed": 0}
    assert empty.json("list", "subnets") == {"subnets": []}


def test_apply_shows_old_and_new_values_and_what_it_removes(cli: Cli, tmp_path: Path):
    changed = tmp_path / "changed.yaml"
    text = Path(CONTAINERS).read_text()
    text = text.replace("node-4: {rack: r2}", "").replace(
        "node-3: {rack: r2}", "node-3: {rack: r1}"
    )
    changed.write_text(text)
    said = cli.text("apply", str(changed), "--name", "container-hosts")
    assert "~ host node-3: labels rack=r2 -> rack=r1\n" in said
    assert "- host node-4\n" in said
    assert "0 added, 1 changed, 1 removed." in said


def test_apply_lists_every_problem_of_a_file_with_its_line(cli: Cli, tmp_path: Path):
    bad = tmp_path / "bad.yaml"
    bad.write_text("subnets:\n  - {name: a, cidr: 10.0.0.1/8}\n  - {name: b, cidr: nonsense}\n")
    said = cli.fails("apply", str(bad), exit_code=2, code="invalid_topology")
    assert f"{bad}:2" in said.replace("\n ", "")
    assert "line 3" in said


# --- Addresses --------------------------------------------------------------------------------


def test_allocate_prints_its_addresses(cli: Cli):
    said = cli.text("allocate", "-l", "network=pods", "--host", "node-1", "--owner", "web-1")
    assert re.search(r"10\.64\.0\.1/17 +pods-a +node-1 +web-1 +10\.64\.0\.0/28\n", said)


def test_allocate_in_json_is_the_answer_of_the_library(cli: Cli):
    answer = cli.json(
        "allocate", "-l", "network=pods", "--host", "node-1", "--family", "both",
        "--owner", "web-1", "--attribute", "port=eth0=a", "--note", "for the shop",
    )  # fmt: skip
    assert addresses(answer) == ["10.64.0.1", "2001:db8:64::1"]
    first = answer["allocations"][0]
    assert first["attributes"] == {"port": "eth0=a"}
    assert first["note"] == "for the shop"
    assert re.search(r"note +for the shop", cli.text("show", "10.64.0.1"))
    assert "shop" in cli.text("list", "allocations")
    assert first["block"] == "10.64.0.0/28"
    assert "explanation" not in answer


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["--next"], ["10.64.0.1"]),
        (["--address", "10.64.0.77"], ["10.64.0.77"]),
        (["--family", "6"], ["2001:db8:64::1"]),
        (["--count", "3", "--next"], ["10.64.0.1", "10.64.0.2", "10.64.0.3"]),
        (["-l", "rack=r2", "--next"], ["10.64.128.1"]),
        (["-l", "network=other", "--next"], ["10.64.0.1"]),
    ],
)
def test_allocate_kinds(cli: Cli, words: list[str], wanted: list[str]):
    assert addresses(cli.json("allocate", "-l", "network=pods", *words)) == wanted


def test_allocate_by_mac_and_gateway(make_cli: Any):
    cli = make_cli("routed-network")
    group = ("allocate", "-l", "network=multisegment1", "-l", "segment=segment1")
    assert addresses(cli.json(*group, "--mac", "00:11:22:33:44:55")) == [
        "fd00:203:0:113:211:22ff:fe33:4455"
    ]
    assert addresses(cli.json(*group, "--gateway", "--family", "4")) == ["203.0.113.1"]


def test_allocate_from_named_subnets_in_order(cli: Cli):
    answer = cli.json("allocate", "--subnet", "pods-b", "--subnet", "pods-a", "--next")
    assert answer["allocations"][0]["subnet"] == "pods-b"


def test_allocate_with_the_same_key_returns_the_same_addresses(cli: Cli):
    words = ("allocate", "-l", "network=pods", "--key", "once")
    first, again = cli.json(*words), cli.json(*words)
    assert (first["replayed"], again["replayed"]) == (False, True)
    assert addresses(first) == addresses(again)
    assert "An earlier request" in cli.text(*words)


def test_addresses_of_a_subnet_are_listed_in_order(cli: Cli):
    cli.json("allocate", "-l", "network=pods", "--address", "10.64.0.9", "--owner", "web-9")
    said = cli.text("list", "addresses", "pods-a", "--limit", "4")
    assert [line.split()[:3] for line in said.splitlines()[2:]] == [
        ["10.64.0.0", "never", "allocated"],
        ["10.64.0.1-10.64.0.8", "free"],
        ["10.64.0.9", "allocated", "web-9"],
        ["10.64.0.10-10.64.127.254", "free"],
    ]
    rest = cli.json("list", "addresses", "pods-a", "--after", "10.64.0.9")["addresses"]
    assert [each["state"] for each in rest] == ["free", "never"]


def test_search_finds_any_part(cli: Cli):
    cli.json("allocate", "-l", "network=pods", "--address", "10.64.0.9", "--owner", "Web-Nine")
    said = cli.text("search", "b-nin")
    assert "10.64.0.9" in said
    found = cli.json("search", "10.64.0.9")
    assert [each["name"] for each in found["subnets"]] == ["pods-a"]
    assert cli.text("search", "nothing-like-it") == "Nothing found.\n"


def test_allocate_explains_itself(cli: Cli):
    words = ("allocate", "-l", "network=pods", "--host", "node-1", "--explain")
    assert cli.json(*words)["explanation"]["rungs"][1]["verdict"] == "taken"
    said = cli.text(*words)
    assert "1. IPv4, claimed by host=node-1: taken\n" in said
    assert "Outcome: allocated: 10.64.0.2 from pods-a\n" in said


def test_explain_shows_the_steps_and_allocates_nothing(cli: Cli):
    words = ("explain", "-l", "network=pods", "--host", "node-1")
    explanation = cli.json(*words)
    assert [rung["verdict"] for rung in explanation["rungs"][:3]] == [
        "full",
        "taken",
        "not reached",
    ]
    said = cli.text(*words)
    assert "Group: host=node-1 + network=pods" in said
    assert re.search(r"2\. IPv4, unclaimed: taken\n +matches network=pods; matches rack=r1\n", said)
    assert "pods-a  10.64.0.0/17  32766 free  0 of 32766 allocated" in said
    assert "  - host=node-1 claims 10.64.0.0/28: nothing of its own is free" in said
    assert "and 1 more step, not reached" in said
    assert "Outcome: would allocate: 10.64.0.1 from pods-a\n" in said
    assert cli.allocations()["allocations"] == []
    assert "Try: label a subnet so that the group admits it" in cli.text(
        "explain", "-l", "network=none"
    )


def test_explain_lists_subnets_passed_over(make_cli: Any):
    said = make_cli("routed-network").text(
        "explain", "-l", "network=multisegment1", "--host", "compute0002"
    )
    assert "Passed over:\n  - inside the boundary segment=segment1" in said


def test_show_prints_the_allocation(cli: Cli):
    cli.text("allocate", "--address", "10.64.0.9", "-l", "network=pods", "--owner", "web-1",
             "--attribute", "a=b")  # fmt: skip
    assert cli.json("show", "10.64.0.9")["owner"] == "web-1"
    said = cli.text("show", "10.64.0.9")
    assert re.search(r"address +10\.64\.0\.9/17\n", said)
    assert re.search(r'attributes +\{"a": "b"\}\n', said)


def test_release_by_address_owner_and_host(cli: Cli):
    for number in range(4):
        cli.text("allocate", "-l", "network=pods", "--next", "--host", f"node-{number % 2 + 1}",
                 "--owner", f"web-{number}")  # fmt: skip
    first, *others = cli.allocations()["allocations"]
    answer = cli.json("release", first["address"], "--sequence", str(first["sequence"]))
    assert [each["address"] for each in answer["released"]] == [first["address"]]
    assert "Released 1 address.\n" in cli.text("release", "--owner", "web-1")
    assert "Released 1 address.\n" in cli.text("release", others[1]["address"])
    assert "Released 1 address.\n" in cli.text("release", "--host", "node-2")
    assert cli.text("release", "--host", "node-2") == ("Nothing to release.\n")
    assert cli.json("release", "--owner", "web-1") == {"released": [], "total": 0}


# --- Lists ------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["subnets", "allocations", "blocks", "hosts", "pools"])
def test_lists_of_nothing(empty: Cli, what: str):
    empty.text("init")
    assert empty.text("list", what) == f"No {what}.\n"
    assert empty.json("list", what)[what] == []


def test_list_subnets_filters(cli: Cli):
    found = cli.json("list", "subnets", "-l", "rack=r1", "-l", "rack=r2")["subnets"]
    assert [each["name"] for each in found] == ["pods-a", "pods-b"]
    said = cli.text("list", "subnets", "-l", "rack=r1")
    assert re.search(r"pods-a +10\.64\.0\.0/17 +network=pods rack=r1", said)
    assert "pods-b" not in said
    cli.fails("list", "subnets", "--scope", "other", exit_code=2, code="unknown_object")


def test_list_allocations_page_by_page(cli: Cli):
    cli.text("allocate", "-l", "network=pods", "--count", "5", "--owner", "a")
    cli.text("allocate", "-l", "network=pods", "--host", "node-3", "--owner", "b")
    first = cli.json("list", "allocations", "--limit", "4")
    assert (len(first["allocations"]), first["next"]) == (4, first["allocations"][-1]["sequence"])
    rest = cli.json("list", "allocations", "--limit", "4", "--after", str(first["next"]))
    assert (len(rest["allocations"]), rest["next"]) == (2, None)
    said = cli.text("list", "allocations", "--limit", "4")
    assert f"4 allocations; for more, use --after {first['next']}.\n" in said
    assert cli.text("list", "allocations").endswith("6 allocations.\n")
    for words in (["--owner", "b"], ["--host", "node-3"], ["--subnet", "pods-b"]):
        assert len(cli.json("list", "allocations", *words)["allocations"]) == 1
    assert cli.json("list", "allocations", "--scope", "default") == cli.allocations()


def test_list_allocations_has_a_default_page_of_a_hundred(cli: Cli):
    cli.text("allocate", "-l", "network=pods", "--count", "101")
    answer = cli.json("list", "allocations")
    assert len(answer["allocations"]) == 100
    assert answer["next"]


def test_list_blocks_shows_holders(cli: Cli):
    cli.text("allocate", "-l", "network=pods", "--host", "node-1")
    cli.text("allocate", "-l", "network=pods", "--address", "10.64.0.7")
    (block,) = cli.json("list", "blocks", "--host", "node-1")["blocks"]
    assert (block["prefix"], block["borrowed"]) == ("10.64.0.0/28", ["10.64.0.7"])
    said = cli.text("list", "blocks", "--subnet", "pods-a")
    assert re.search(r"10\.64\.0\.0/28 +pods-a +host=node-1 +10\.64\.0\.0/28 +15 +13 +10\.64", said)
    assert cli.json("list", "blocks", "--host", "node-2") == {"blocks": []}


def test_list_hosts_and_dimensions(cli: Cli):
    assert cli.json("list", "hosts")["hosts"][0] == {
        "name": "node-1",
        "labels": {"rack": ["r1"]},
        "claims": {},
        "source": "container-hosts",
    }
    assert re.search(r"node-4 +rack=r2 +container-hosts", cli.text("list", "hosts"))
    found = cli.json("list", "dimensions")["dimensions"]
    assert [each["rank"] for each in found] == list(range(5))
    assert found[-1] == {
        "name": "host",
        "fallback": "any",
        "rank": 4,
        "claims": True,
        "claiming": {},
        "declared": False,
    }
    assert re.search(r"service_type +unlabelled +no", cli.text("list", "dimensions"))


def test_an_undeclared_host_is_warned_of_and_listed(cli: Cli):
    made = cli.run("allocate", "-l", "network=pods", "--host", "node-01")
    assert made.exit_code == 0
    assert made.stderr == "Warning: host 'node-01' is not declared; did you mean 'node-1'?\n"
    answer = cli.json("allocate", "-l", "network=pods", "--host", "node-01")
    assert answer["warnings"] == ["host 'node-01' is not declared; did you mean 'node-1'?"]
    assert cli.json("list", "hosts")["undeclared"] == ["node-01"]
    assert re.search(r"node-01 +not declared", cli.text("list", "hosts"))
    address = answer["allocations"][0]["address"]
    assert "Warning: host 'node-02'" in cli.run("reassign", address, "--host", "node-02").stderr
    assert cli.run("reassign", address, "--host", "node-2").stderr == ""


def test_list_hosts_shows_claim_settings(cli: Cli, tmp_path: Path):
    file = tmp_path / "large.yaml"
    file.write_text("{name: large, hosts: {node-9: {rack: r1, claims: {cap: 256, expected: 110}}}}")
    cli.text("apply", str(file))
    found = {each["name"]: each["claims"] for each in cli.json("list", "hosts")["hosts"]}
    assert (found["node-9"], found["node-1"]) == ({"cap": 256, "expected": 110}, {})
    assert re.search(r"node-9 +rack=r1 +cap=256 expected=110 +large", cli.text("list", "hosts"))


def test_list_events_page_by_page(cli: Cli):
    cli.text("allocate", "-l", "network=pods", "--owner", "web-1")
    answer = cli.json("list", "events", "--limit", "3")
    assert (len(answer["events"]), answer["next"]) == (3, answer["events"][-1]["id"])
    last = cli.json("list", "events", "--after", "8")["events"][0]
    assert (last["act"], last["owner"], last["at"][:2]) == ("allocated", "web-1", "20")
    said = cli.text("list", "events", "--limit", "3")
    assert "3 events; for more, use --after" in said


# --- Numbers, routes, books ---------------------------------------------------------------------


def test_history_shows_who_held_an_address(cli: Cli):
    address = addresses(cli.json("allocate", "-l", "network=pods", "--owner", "web-1"))[0]
    cli.text("release", address)
    found = cli.json("history", address)
    assert [(each["act"], each["owner"]) for each in found["events"]] == [
        ("released", "web-1"),
        ("allocated", "web-1"),
    ]
    assert found["next"] is None
    assert cli.json("history", f"{address}/24") == found
    assert cli.json("history", "web-1", "--since", "1h") == found
    first = cli.json("history", "web-1", "--limit", "1")
    assert first["events"] == found["events"][:1]
    assert (
        cli.json("history", "web-1", "--before", str(first["next"]))["events"]
        == found["events"][1:]
    )
    assert "No events." in cli.text("history", "web-1", "--until", "2001-01-01")
    assert "released" in cli.text("history", address)
    assert "cidr" not in cli.text("history", "--act", "released")
    cli.fails("history", "--act", "forgot", exit_code=2, code="invalid_input")
    cli.fails("history", "--since", "soon", exit_code=2, code="usage")


def test_usage_has_a_line_for_each_subnet_and_a_total_for_each_family(cli: Cli):
    cli.text("allocate", "-l", "network=pods", "--host", "node-1", "--family", "both")
    answer = cli.json("usage", "-l", "network=pods")
    assert [each["name"] for each in answer["subnets"]] == ["pods-a", "pods-b", "pods-v6"]
    assert answer["totals"][0] == {
        "family": 4,
        "size": 65532,
        "used": 1,
        "free": 65531,
        "allocated": 1,
        "cooling": 0,
        "reserved": 0,
        "outside": 0,
        "claimed_free": 14,
    }
    said = cli.text("usage")
    assert re.search(r"pods-a +10\.64\.0\.0/17 +32766 +1 +<0\.1% +32765 +14\n", said)
    assert re.search(r"IPv6 in all +65535 +1 ", said)
    hosted = cli.json("usage", "-l", "network=pods", "--host", "node-3")["subnets"]
    assert [each["name"] for each in hosted] == ["pods-b", "pods-a", "pods-v6"]


def test_usage_of_nothing(empty: Cli):
    empty.text("init")
    assert empty.text("usage") == "No subnets.\n"
    assert empty.json("usage") == {"subnets": [], "totals": []}


def test_routes_are_the_prefixes_that_hosts_advertise(cli: Cli):
    assert cli.text("routes") == "No routes.\n"
    for host in ("node-1", "node-3"):
        cli.text("allocate", "-l", "network=pods", "--host", host)
    only = {"host": "node-1", "scope": "default", "family": 4, "prefix": "10.64.0.0/28"}
    assert cli.json("routes", "--host", "node-1") == {"routes": [only]}
    assert json.loads(cli.text("routes", "--format", "json", "--host", "node-1")) == {
        "routes": [only]
    }
    said = cli.text("routes")
    assert re.search(r"node-3 +10\.64\.128\.0/28\n2 routes of 2 hosts\.\n", said)


def test_routes_in_every_form_and_format(cli: Cli):
    for host in ("node-1", "node-2", "node-1"):
        cli.text("allocate", "-l", "network=pods", "--host", host, "--count", "16")
    lender = cli.json("routes", "--host", "node-1")["routes"][0]["prefix"]
    borrowed = lender.split("/")[0][:-1] + "7"
    cli.text("release", borrowed)
    cli.text("allocate", "-l", "network=pods", "--address", borrowed, "--host", "node-2")
    loose = cli.json("routes", "--form", "lpm")["routes"]
    assert {"host": "node-2", "scope": "default", "family": 4, "prefix": f"{borrowed}/32"} in loose
    bird = cli.text("routes", "--format", "bird", "--host", "node-2")
    assert f"route {borrowed}/32 blackhole;" in bird
    assert f"ip route {borrowed}/32 blackhole\n" in cli.text(
        "routes", "--format", "frr", "--host", "node-2"
    )
    assert "function 'borough4:node-2'()" in cli.text("routes", "--format", "bird")
    assert "ip prefix-list borough4:node-2 seq 5" in cli.text("routes", "--format", "frr")
    assert cli.text("routes", "--format", "bird", "--host", "node-2") == bird
    assert (
        cli.error("routes", "--format", "bird")[1]["code"] == "usage"
    )  # one document of two kinds


def test_audit_exits_with_one_while_findings_are_left(cli: Cli):
    cli.text("allocate", "-l", "network=pods", "--host", "node-1")
    assert cli.text("audit") == "No findings: the tables agree with each other.\n"
    assert cli.json("audit") == {"clean": True, "findings": [], "repaired": 0, "left": 0}
    cli.sql("UPDATE borough_block SET free = 3")
    found = cli.run("audit")
    assert (found.exit_code, found.stderr) == (1, "")
    assert "borough audit --repair" in found.stdout
    report = cli.json("audit", code=1)
    assert (report["clean"], report["left"]) == (False, len(report["findings"]))
    assert "0 left.\n" in cli.text("audit", "--repair")
    assert cli.json("audit")["clean"]


def test_version_in_every_way(empty: Cli):
    for words in (["version"], ["--version"]):
        assert re.fullmatch(r"borough \d+\.\d+\.\d+ \(Python [^)]+\)\n", empty.text(*words))
        assert (
            set(empty.json(*words[:1])) == {"borough", "python"} if words == ["version"] else True
        )
    assert set(json.loads(empty.run("--version", "--json").stdout)) == {"borough", "python"}


# --- All of them --------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [path for path, _ in walk(app)], ids=" ".join)
def test_help_has_a_purpose_and_describes_every_option(empty: Cli, path: tuple[str, ...]):
    said = empty.text(*path, "--help")
    command = dict(walk(app))[path]
    assert command.help
    assert len(command.help.splitlines()[0]) <= 64
    for parameter in command.params:
        assert not isinstance(parameter, click.Option) or parameter.help
    assert ("Example:\n  borough " in said) == isinstance(command, Command)


def test_examples_work(empty: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(EXAMPLES)
    empty.text("init")
    empty.text("apply", CONTAINERS)
    empty.text("allocate", "-l", "network=pods", "--address", "10.64.0.1", "--owner", "first")
    empty.text("allocate", "-l", "network=pods", "--lease", "1h", "--key", "job-7")
    (tmp_path / "pool.yaml").write_text("pools: [{name: nodes, prefixes: [10.9.0.0/24]}]")
    empty.text("apply", "pool.yaml", "--name", "pools")
    for path, command in LEAVES:
        program, *words = command.example.split()
        assert program == "borough"
        assert " ".join(path) in command.example
        if path == ("serve",) or path[0] == "agent":
            # They go on until they are told to stop: tests/api/test_serve.py, tests/routing/test_agents.py.
            continue
        if path[0] == "agent":
            continue  # it changes the kernel: tests/routing/test_agents.py
        if path[0] == "neutron":
            continue  # these work on Neutron's configuration; tests/neutron runs them
        found = empty.run(*words)
        assert (found.exit_code, found.stderr) == (0, ""), command.example


def test_json_and_db_may_stand_on_either_side(empty: Cli, tmp_path: Path):
    other = f"sqlite:///{tmp_path}/other.db"
    assert json.loads(empty.run("--json", "--db", other, "init").stdout)["database"] == other
    assert json.loads(empty.run("init", "--json", "--db", other).stdout)["action"] == "unchanged"
    # What is nearer to the command wins, and the environment comes last.
    assert json.loads(empty.run("--db", "memory:", "init", "--db", other, "--json").stdout) == {
        "database": other,
        "action": "unchanged",
    }
    assert json.loads(empty.run("list", "--json", "--db", other, "hosts").stdout) == {
        "hosts": [],
        "undeclared": [],
    }
