"""docs/reference.md agrees with the commands."""

from __future__ import annotations

import re
from pathlib import Path

import click

from borough.cli.app import app
from borough.cli.reference import reference
from tests.cli.test_commands import walk

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "reference.md"


def test_the_reference_is_up_to_date():
    assert DOCUMENT.read_text() == reference(), (
        "run: python -m borough.cli.reference > docs/reference.md"
    )


def test_every_command_and_option_is_in_it():
    sections = dict(re.findall(r"^## (borough[^\n]*)\n(.*?)(?=^## |\Z)", reference(), re.M | re.S))
    commands = {("borough", *path): command for path, command in [((), app), *walk(app)]}
    assert set(sections) == {" ".join(path) for path in commands}
    for path, command in commands.items():
        options = {
            name
            for parameter in command.params
            if isinstance(parameter, click.Option)
            for name in parameter.opts
        }
        rows = re.findall(r"^\| (`.*?`) \| ", sections[" ".join(path)], re.M)
        assert {name for row in rows for name in re.findall(r"`(--?[a-z-]+)`", row)} == options
