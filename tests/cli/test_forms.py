"""Forms of an answer, help, completion, and what people write."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from borough.cli.app import app
from borough.cli.values import completed_by
from tests.cli.conftest import Cli, addresses


@pytest.fixture
def held(cli: Cli) -> Cli:
    for at in (10, 9):
        cli.text(
            "allocate", "-l", "network=pods", "--address", f"10.64.0.{at}", "--owner", f"web-{at}"
        )
    return cli


def test_forms_have_the_fields_of_json(held: Cli):
    known = held.json("list", "allocations")["allocations"]
    assert yaml.safe_load(held.text("list", "allocations", "-o", "yaml"))["allocations"] == known
    rows = list(csv.DictReader(io.StringIO(held.text("list", "allocations", "-o", "csv"))))
    assert [row["address"] for row in rows] == [each["address"] for each in known]
    assert json.loads(held.text("list", "allocations", "-o", "json"))["allocations"] == known
    assert held.text("show", "10.64.0.9", "-o", "value", "-c", "owner") == "web-9\n"


def test_columns_and_their_order(held: Cli):
    chosen = ("list", "allocations", "-c", "address", "-c", "owner", "--sort", "address")
    assert held.text(*chosen, "-o", "value") == "10.64.0.9 web-9\n10.64.0.10 web-10\n"
    assert held.text(*chosen, "-o", "csv").splitlines()[0] == "address,owner"
    table = held.text(*chosen).splitlines()
    assert table[0].split() == ["address", "owner"]
    assert table[-1].split() == ["10.64.0.10", "web-10"]
    assert json.loads(held.text(*chosen, "--json"))[0] == {"address": "10.64.0.9", "owner": "web-9"}
    held.fails("list", "allocations", "-c", "colour", exit_code=2, code="usage")


def test_show_of_everything(held: Cli):
    held.text("allocate", "-l", "network=pods", "--host", "node-1", "--owner", "web-1")
    assert held.json("show", "10.64.0.9/24")["owner"] == "web-9"
    assert addresses(held.json("show", "web-9")) == ["10.64.0.9"]
    assert held.json("show", "node-1")["blocks"]
    assert len(addresses(held.json("show", "10.64.0.0/16"))) == 3
    name = held.json("list", "subnets")["subnets"][0]["name"]
    assert held.json("show", name)["subnet"]["name"] == name
    for what in ("web-9", "node-1", "10.64.0.0/16", name):
        assert held.text("show", what)
    held.fails("show", "nobody", exit_code=2, code="unknown_object")


def test_help_has_a_short_name(empty: Cli):
    assert empty.text("-h") == empty.text("--help")
    assert empty.text("list", "hosts", "-h") == empty.text("list", "hosts", "--help")


def test_a_topology_from_standard_input(empty: Cli):
    empty.text("init")
    found = CliRunner().invoke(
        app,
        ["apply", "-"],
        env={"BOROUGH_DB": empty.url},
        input="subnets:\n- {name: a, cidr: 10.0.0.0/24}\n",
    )
    assert (found.exit_code, "1 added" in found.stdout) == (0, True)
    found = CliRunner().invoke(app, ["apply", "-"], env={"BOROUGH_DB": empty.url}, input="- x")
    assert found.exit_code == 2


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_a_shell_gets_its_completion(empty: Cli, shell: str):
    assert "_BOROUGH_COMPLETE" in empty.text("completion", shell)


@pytest.mark.parametrize(
    ("words", "begin", "wanted"),
    [
        ("release --owner", "web-1", "web-10"),
        ("list blocks --subnet", "", None),
        ("allocate -l", "network=po", "network=pods"),
    ],
)
def test_values_are_completed(held: Cli, words: str, begin: str, wanted: str | None):
    environment = {
        "BOROUGH_DB": held.url,
        "_BOROUGH_COMPLETE": "bash_complete",
        "COMP_WORDS": f"borough {words} {begin}",
        "COMP_CWORD": str(len(words.split()) + 1),
    }
    found = CliRunner().invoke(app, [], env=environment, prog_name="borough")
    offered = [line.partition(",")[2] for line in found.stdout.splitlines()]
    assert (wanted in offered) if wanted else offered


def test_a_database_that_cannot_be_read_offers_nothing(tmp_path: Any):
    complete = completed_by("--host")
    assert complete is not None
    context = app.make_context("borough", ["--db", f"sqlite:///{tmp_path}/none.db"])
    assert complete(context, context.command.params[0], "") == []
