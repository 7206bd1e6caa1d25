"""Hosts, reassignment, reclaim, defragmentation and pruning on the command line."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from borough.engine import ipam as engine_ipam
from borough.errors import Unavailable
from tests.cli.conftest import Cli, addresses


def take(cli: Cli, host: str, count: int = 1) -> list[str]:
    words = ("allocate", "-l", "network=pods", "--host", host, "--owner", f"of-{host}")
    return addresses(cli.json(*words, "--count", str(count)))


def blocks(cli: Cli) -> Any:
    return cli.json("list", "blocks")["blocks"]


def test_a_drain_prints_claims_and_addresses(cli: Cli):
    (address,) = take(cli, "node-1")
    said = cli.text("host", "drain", "node-1")
    assert "Ended these claims of node-1:" in said
    assert "10.64.0.0/28" in said
    assert "Still allocated on node-1, until they are released or reassigned:" in said
    assert f"{address}/17" in said
    answer = cli.json("host", "drain", "node-1")
    assert (answer["claims"], answer["released"]) == ([], [])
    assert addresses({"allocations": answer["remaining"]}) == [address]
    assert cli.text("host", "drain", "node-2") == "node-2 had no claims.\n"
    assert {each["holder"] for each in blocks(cli)} == {""}


def test_a_misspelt_host_is_refused(cli: Cli):
    said = cli.fails("host", "drain", "nod-1", exit_code=2, code="unknown_object")
    assert "did you mean 'node-1'?" in said
    cli.fails("host", exit_code=2, code="usage")
    cli.fails("host", "remove", "", exit_code=2, code="usage")


def test_a_removed_host(cli: Cli):
    take(cli, "node-1", 3)
    said = cli.text("host", "remove", "node-1", "--release")
    assert "Released 3 addresses." in said
    assert "Topology 'container-hosts' declares node-1: correct its file" in said
    assert blocks(cli) == []
    assert "node-1" not in [each["name"] for each in cli.json("list", "hosts")["hosts"]]


def test_a_renamed_host(cli: Cli):
    take(cli, "node-1", 3)
    said = cli.text("host", "rename", "node-1", "node-9")
    assert said.startswith("node-1 is now node-9, with 3 addresses and these claims:\n")
    assert {each["host"] for each in cli.allocations()["allocations"]} == {"node-9"}
    assert cli.json("host", "rename", "node-9", "node-1")["new"] == "node-1"
    events = cli.json("list", "events")["events"]
    assert [each["detail"] for each in events if each["act"] == "reassigned"][:1] == [
        "from host node-1"
    ]


def test_an_address_is_reassigned(cli: Cli):
    first, second = take(cli, "node-1", 2)
    said = cli.text("reassign", first, "--host", "node-2")
    assert said.startswith(f"{first} is on node-2.\n")
    assert "(borrowed)" in said
    (block,) = blocks(cli)
    assert block["borrowers"] == {first: "node-2"}
    assert f"{first} (node-2)" in cli.text("list", "blocks")
    answer = cli.json("reassign", second, "--host", "node-2")
    assert answer["allocation"]["borrowed"] is False
    (block,) = blocks(cli)
    assert (block["holder"], block["borrowers"]) == ("host=node-2", {})


def test_reassign_refuses_invalid_requests(make_cli: Any):
    cli = make_cli("routed-network")
    group = ("-l", "network=multisegment1", "--host", "compute0001")
    (address,) = addresses(cli.json("allocate", *group))
    words = ("reassign", address, "--host", "compute0002")
    cli.fails(*words, "--sequence", "99", exit_code=4, code="stale_sequence")
    cli.fails("reassign", "192.0.2.9", "--host", "x", exit_code=4, code="not_allocated")
    cli.fails("reassign", address, exit_code=2, code="usage")
    said = cli.fails(*words, exit_code=2, code="address_outside_group")
    assert "does not reach" in said
    assert cli.json(*words, "--force")["allocation"]["host"] == "compute0002"


def test_reclaim_prints_its_result(cli: Cli):
    assert cli.text("reclaim") == "Nothing to do.\n"
    take(cli, "node-1")
    cli.text("release", "--owner", "of-node-1")
    said = cli.text("reclaim")
    assert said.startswith("Marked as idle, to be returned by a later run:\n")
    assert "10.64.0.0/28" in said
    assert cli.json("reclaim") == {
        "rested": 0,
        "ended": 0,
        "marked": [],
        "reclaimed": [],
        "joined": 0,
    }


def test_a_failed_reclaim_prints_its_progress(cli: Cli, monkeypatch: pytest.MonkeyPatch):
    done = {"rested": 256, "ended": 0, "marked": [{}], "reclaimed": [], "joined": 0}

    def fails(*_: Any) -> None:
        raise Unavailable("gone", outcome="partial", done=done)

    monkeypatch.setattr(engine_ipam, "reclaim", fails)
    said = cli.fails("reclaim", exit_code=5, code="unavailable")
    assert "Done before that, and kept: rested 256, marked 1.\n" in said


def test_a_proposal_renumbers_nothing(cli: Cli):
    first, second = take(cli, "node-1", 2)
    (other,) = take(cli, "node-2")
    assert "No renumbering would save any of 2 routes." in cli.text("defragment")
    cli.text("reassign", first, "--host", "node-2")
    before = cli.allocations()
    said = cli.text("defragment")
    assert said.endswith(
        "Renumbering 1 address would save 1 of 3 routes.\nNo address was renumbered.\n"
    )
    answer = cli.json("defragment", "--host", "node-2")
    assert [each["address"] for each in answer["proposals"]] == [first]
    assert (answer["routes"], answer["saves"]) == (3, 1)
    assert cli.json("defragment", "--host", "node-1")["proposals"] == []
    assert cli.allocations() == before
    assert {second, other} < {each["address"] for each in before["allocations"]}


def test_an_archive_of_events_is_its_owners(cli: Cli, tmp_path: Path):
    take(cli, "node-1", 1)
    archive = tmp_path / "events.jsonl"
    cli.text("events", "prune", "--older-than", "90d", "--archive", str(archive))
    assert archive.stat().st_mode & 0o777 == 0o600


def test_old_events_are_archived_and_removed(cli: Cli, tmp_path: Path):
    take(cli, "node-1", 3)
    before = cli.json("list", "events")["events"]
    with sqlite3.connect(cli.path) as connection:
        connection.execute("UPDATE borough_event SET at = 1 WHERE id < ?", (before[-1]["id"],))
    archive = tmp_path / "events.jsonl"
    archive.write_text("{}\n")
    words = ("events", "prune", "--older-than", "90d", "--archive", str(archive))
    assert cli.text(*words) == f"Pruned {len(before) - 1} events.\n"
    lines = [json.loads(line) for line in archive.read_text().splitlines()]
    assert [each["id"] for each in lines[1:]] == [each["id"] for each in before[:-1]]
    assert lines[-1].keys() == before[-1].keys()
    left = cli.json("list", "events")["events"]
    assert [each["act"] for each in left] == [before[-1]["act"], "pruned"]
    assert cli.json(*words) == {"pruned": 0}
    cli.fails("list", "events", "--after", "1", exit_code=4, code="events_pruned")
    cli.fails("events", "prune", "--older-than", "90", exit_code=2, code="usage")


def test_events_that_cannot_be_archived_stay(cli: Cli, tmp_path: Path):
    take(cli, "node-1", 3)
    before = cli.json("list", "events")["events"]
    words = ("events", "prune", "--older-than", "0m", "--archive", str(tmp_path))
    cli.fails(*words, exit_code=1, code="failed")
    assert cli.json("list", "events")["events"] == before


# --- Import and export -------------------------------------------------------------------------


def test_import_and_export(cli: Cli, tmp_path: Path):
    file = tmp_path / "addresses.csv"
    file.write_text("address,owner,note\n10.64.0.60,web-1,first\n172.31.0.1,lost,\n")
    found = cli.run("import", str(file), "--dry-run")
    assert (found.exit_code, "Would import 1 address" in found.stdout) == (1, True)
    assert "in no subnet of its scope" in found.stdout
    assert cli.json("import", str(file), code=1)["added"] == 1
    assert cli.json("import", str(file), code=1)["unchanged"] == 1
    exported = cli.text("export", "--owner", "web-1")
    assert exported.splitlines() == [
        "address,owner,host,scope,attributes,note",
        "10.64.0.60,web-1,,default,,first",
    ]
    again = tmp_path / "again.jsonl"
    again.write_text(cli.text("export", "--format", "jsonl"))
    assert "Imported 0 addresses; 1 address unchanged." in cli.text("import", str(again))
    assert cli.text("export", "--format", "hosts") == "10.64.0.60 web-1\n"
    cli.fails("import", str(tmp_path / "none.csv"), exit_code=2, code="invalid_input")
    cli.fails("import", str(tmp_path / "unknown"), exit_code=2, code="usage")


def test_a_held_address_is_edited(cli: Cli):
    (address,) = take(cli, "node-1")
    words = ("edit", address, "--owner", "web", "--note", "a b", "--attribute", "tier=front")
    assert cli.text(*words).startswith(f"{address} is edited.\n")
    (found,) = cli.json("list", "allocations", "--attribute", "tier=front")["allocations"]
    assert (found["owner"], found["note"], found["host"]) == ("web", "a b", "node-1")
    words = (
        "edit",
        address,
        "--remove",
        "note",
        "--remove-attribute",
        "tier",
        "--attribute",
        "x=1",
    )
    found = cli.json(*words)["allocation"]
    assert (found["owner"], found["note"], found["attributes"]) == ("web", "", {"x": "1"})
    assert cli.json("list", "allocations", "--attribute", "tier=front")["allocations"] == []
    detail = cli.json("history", address)["events"][0]["detail"]
    assert detail == 'note a b -> none; attribute tier "front" -> none; attribute x none -> "1"'
    cli.fails("edit", address, exit_code=2, code="invalid_input")
    cli.fails(
        "edit", address, "--note", "x", "--sequence", "99", exit_code=4, code="stale_sequence"
    )
    cli.fails("edit", address, "--note", "x", "--remove", "note", exit_code=2, code="usage")
    cli.fails(
        "edit", address, "--attribute", "x=1", "--remove-attribute", "x", exit_code=2, code="usage"
    )


def test_an_owner_is_transferred(cli: Cli):
    take(cli, "node-1", 3)
    assert (
        cli.text("transfer", "of-node-1", "web") == "Transferred 3 addresses of of-node-1 to web.\n"
    )
    assert {each["owner"] for each in cli.allocations()["allocations"]} == {"web"}
    assert cli.json("transfer", "of-node-1", "web") == {"transferred": 0}


def test_a_changed_host(cli: Cli):
    said = cli.text(
        "host", "change", "node-1", "-l", "rack=r2", "--claim", "cap=8", "--claim", "at_cap=fail"
    )
    assert said.startswith(
        "~ host node-1: labels rack=r1 -> rack=r2, claims none -> at_cap=fail cap=8\n"
    )
    assert "Topology 'container-hosts' declares this" in said
    cli.text("host", "change", "node-1", "--remove", "labels.rack", "--remove", "claims.cap")
    (made,) = [each for each in cli.json("list", "hosts")["hosts"] if each["name"] == "node-1"]
    assert (made["labels"], made["claims"]) == ({}, {"at_cap": "fail"})
    cli.fails("host", "change", "nod-1", "-l", "rack=r1", exit_code=2, code="unknown_object")
