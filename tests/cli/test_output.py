"""Tables fit the terminal, and never cut an address."""

from __future__ import annotations

import pytest

from borough.cli.output import Column, Page, counted, plain, quantity, to_json
from borough.cli.usage import share
from tests.cli.conftest import Cli

LONG = "fd12:3456:789a:bcde:f012:3456:789a"


@pytest.mark.parametrize("columns", [44, 60, 80, 100, 132, 200])
@pytest.mark.parametrize(
    "words",
    [
        ("list", "allocations"),
        ("list", "blocks"),
        ("list", "subnets"),
        ("list", "events"),
        ("usage",),
        ("routes",),
        ("show", f"{LONG}:1"),
        ("allocate", "-l", "network=long", "--host", "node-1"),
        ("explain", "-l", "network=long", "--host", "node-1"),
    ],
    ids=" ".join,
)
def test_addresses_are_whole_and_lines_fit(cli: Cli, columns: int, words: tuple[str, ...]):
    name = "a-subnet-whose-name-is-long-enough-to-fill-a-whole-narrow-terminal"
    prefix = f"{LONG}:0/112"
    cli.text("subnet", "add", name, "--cidr", prefix, "-l", "network=long", "--gateway",
             f"{LONG}:ffff")  # fmt: skip
    cli.text("allocate", "-l", "network=long", "--host", "node-1", "--owner", "an owner, " * 9 + "x",
             "--count", "2")  # fmt: skip
    cli.columns = columns
    said = cli.text(*words)
    assert LONG in said
    beyond = [line for line in said.splitlines() if len(line.rstrip()) > columns]
    # Only a word that cannot be broken may stand out, after the name of its column.
    assert all(max(map(len, line.split())) > columns - 20 for line in beyond), beyond
    if columns >= 80:
        assert not beyond
    if words[0] in ("list", "allocate") and "subnets" not in words:
        assert f"{LONG}:1" in said or f"{LONG}:3" in said or f"{LONG}:0/1" in said


def page(capsys: pytest.CaptureFixture[str], columns: int, monkeypatch: pytest.MonkeyPatch) -> Page:
    monkeypatch.setenv("COLUMNS", str(columns))
    return Page()


def test_tables_wrap_soft_columns_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    columns = (
        Column("address"),
        Column("empty"),
        Column("note", soft=True),
        Column("n", right=True),
    )
    rows = [("10.0.0.1/24", "", "one two three four five", 7), ("10.0.0.22/24", None, "x", 123)]
    page(capsys, 80, monkeypatch).table(columns, rows)
    wide = capsys.readouterr().out
    assert wide.splitlines()[0].split() == ["address", "note", "n"]
    assert wide.splitlines()[2] == "10.0.0.1/24   one two three four five    7"
    page(capsys, 32, monkeypatch).table(columns, rows)
    wrapped = capsys.readouterr().out
    assert max(map(len, wrapped.splitlines())) <= 32
    assert "10.0.0.22/24" in wrapped
    page(capsys, 20, monkeypatch).table(columns, rows)
    listed = capsys.readouterr().out
    assert listed.splitlines()[0] == "address  10.0.0.1/24"


def test_very_narrow_pages_keep_words_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    page(capsys, 1, monkeypatch).line("2001:db8::1 and more", indent=2, hang=2)
    assert capsys.readouterr().out.split() == ["2001:db8::1", "and", "more"]


def test_markup_in_names_is_printed_as_text(cli: Cli):
    cli.text("allocate", "-l", "network=pods", "--owner", "[bold]:smile:[/bold]")
    assert "[bold]:smile:[/bold]" in cli.text("list", "allocations")


def test_plain_text_has_no_control_characters():
    assert plain("a\x1b[31m\x07\x9b\u202eb\n") == "a\\x1b[31m\\x07\\x9b\\u202eb\n"
    assert plain(None) == ""
    assert plain(0) == "0"


def test_json_is_ascii_and_takes_everything():
    assert to_json({"ü": {"b", "a"}}, indent=None) == '{"\\u00fc": ["a", "b"]}'
    assert to_json(ValueError("x"), indent=None) == '"x"'


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (None, ""),
        (0, "0"),
        (65536, "65536"),
        (192.0, "192"),
        (0.5, "0.5"),
        (2**64, "2^64"),
        (2**64 - 7, "2^64 - 7"),
        (2**40 + 3, "2^40 + 3"),
        (3 * 2**62, "3 x 2^62"),
        (12345678901234567, "~2^53.5"),
    ],
)
def test_quantities(number: int | float | None, text: str):
    assert quantity(number) == text


@pytest.mark.parametrize(
    ("used", "size", "text"),
    [(0, 10, "0.0%"), (1, 10**6, "<0.1%"), (10**6 - 1, 10**6, ">99.9%"), (3, 3, "100.0%"),
     (1, 3, "33.3%"), (0, 0, "")],
)  # fmt: skip
def test_shares(used: int, size: int, text: str):
    assert share(used, size) == text


def test_counted():
    assert counted(1, "address", "addresses") == "1 address"
    assert counted(0, "address", "addresses") == "0 addresses"
    assert counted(2, "host") == "2 hosts"
