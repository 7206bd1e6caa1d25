"""The manual pages are complete, and groff reads them without a warning."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from borough.cli.app import app
from borough.cli.manual import ENVIRONMENT, EXIT_CODES, pages
from tests.cli.conftest import Cli
from tests.cli.test_commands import walk

ROOT = Path(__file__).parent.parent.parent


def rendered(text: str) -> str:
    """A page as a terminal shows it, without bold and underlined characters."""
    if shutil.which("groff") is None:
        reason = "groff is missing: apt-get install groff"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    words = ["groff", "-man", "-ww", "-Tutf8", "-P-c", "-rLL=100n", "-"]
    made = subprocess.run(words, input=text, capture_output=True, text=True, check=True)
    assert made.stderr == ""
    return re.sub(".\b", "", made.stdout)


def test_every_command_and_option_has_its_place() -> None:
    found = dict(pages())
    tree = {("borough", *path): command for path, command in [((), app), *walk(app)]}
    assert set(found) == {f"{'-'.join(path)}.1" for path in tree}
    for path, command in tree.items():
        text = found[f"{'-'.join(path)}.1"]
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                for name in (*parameter.opts, *parameter.secondary_opts):
                    assert f"\\fB{name.replace('-', chr(92) + '-')}\\fR" in text, (path, name)


@pytest.mark.parametrize(("name", "text"), list(pages()))
def test_a_page_is_read_without_a_warning(name: str, text: str) -> None:
    """Its example can be copied: hyphens and quotes are those of a shell."""
    shown = rendered(text)
    for part in ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS"):
        assert f"\n{part}\n" in shown
    assert re.search(rf"^\s+{name.removesuffix('.1')} - [a-z]", shown, re.M)
    # Minus sign, and the right quotation mark.
    assert not {"\u2212", "\u2019"} & set(shown)


def test_the_tables_are_those_of_the_reference() -> None:
    page = (ROOT / "docs/reference/commands.md").read_text()
    for code, meaning in EXIT_CODES:
        assert f"| {code} | {meaning} |" in page
    for name, meaning in ENVIRONMENT:
        assert f"| `{name}` | {meaning} |" in page


def test_the_command_writes_all_pages(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "share/man1"
    names = cli.json("man", str(folder))["pages"]
    assert sorted(names) == sorted(each.name for each in folder.iterdir())
    assert (folder / "borough.1").read_text() == dict(pages())["borough.1"]
    assert f"Wrote {len(names)} pages" in cli.text("man", str(folder))
    cli.fails("man", str(folder / "borough.1"), exit_code=1, code="failed")
