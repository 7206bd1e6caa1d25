"""Lists of any length: the same answer, whole or in pieces, and few rows in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import pytest

from borough.cli import rows
from borough.cli.output import Page
from borough.cli.state import GlobalOptions
from borough.engine import queries
from tests.cli.conftest import Cli


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "_PAGE", 4)
    monkeypatch.setattr(rows, "_PIECE", 3)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("what", ["allocations", "events"])
def test_all_lists_every_row(cli: Cli, what: str) -> None:
    """The document has the form of any other answer."""
    cli.text("init")
    cli.text("subnet", "add", "n", "--cidr", "10.0.0.0/24")
    empty = cli.run("list", "allocations", "--all", "--json").stdout
    assert empty == '{\n  "allocations": [],\n  "next": null\n}\n'
    cli.text("allocate", "--count", "11", "--owner", "\u00e9")
    listed = cli.run("list", what, "--limit", "100", "--json").stdout
    assert listed == json.dumps(json.loads(listed), indent=2) + "\n"
    assert cli.run("list", what, "--all", "--json").stdout == listed
    count = len(json.loads(listed)[what])
    said = cli.text("list", what, "--all")
    assert said.endswith(f"\n{count} {what}.\n")
    # Each table has its own head.
    assert said.count("subnet  ") + said.count("detail") == -(-count // 3)
    part = json.loads(cli.run("list", what, "--limit", "5", "--json").stdout)
    assert (len(part[what]), part["next"] is None) == (5, False)


@dataclass
class Row:
    """A row that counts the rows in memory."""

    number: int
    alive: ClassVar[int] = 0
    peak: ClassVar[int] = 0

    def __post_init__(self) -> None:
        Row.alive += 1
        Row.peak = max(Row.peak, Row.alive)

    def __del__(self) -> None:
        Row.alive -= 1


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("json", [True, False])
def test_rows_are_written_while_they_are_read(
    json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    def read() -> Iterator[Row]:
        yield from map(Row, range(1000))

    def table(page: Page, some: Sequence[Row]) -> None:
        for row in some:
            page.line(row.number)

    Row.peak = 0
    rows.emit_rows(
        GlobalOptions(json=json),
        "things",
        read(),
        None,
        number=lambda row: row.number,
        table=table,
    )
    assert "999" in capsys.readouterr().out
    assert Row.peak < 10
