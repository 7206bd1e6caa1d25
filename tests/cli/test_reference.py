"""The reference of the commands is complete."""

from __future__ import annotations

import re

import click

from borough.cli.app import app
from borough.cli.reference import commands, error_kinds
from tests.cli.test_commands import walk


def test_every_error_code_has_one_meaning():
    kinds = list(error_kinds())
    assert len({kind.code for kind in kinds}) == len(kinds) > 40
    assert all(kind.__doc__ for kind in kinds)


def test_every_command_and_option_is_in_it():
    sections = dict(re.findall(r"^## (borough[^\n]*)\n(.*?)(?=^## |\Z)", commands(), re.M | re.S))
    tree = {("borough", *path): command for path, command in [((), app), *walk(app)]}
    assert set(sections) == {" ".join(path) for path in tree}
    for path, command in tree.items():
        options = {
            name
            for parameter in command.params
            if isinstance(parameter, click.Option)
            for name in parameter.opts
        }
        rows = re.findall(r"^\| (`.*?`) \| ", sections[" ".join(path)], re.M)
        assert {name for row in rows for name in re.findall(r"`(--?[a-z-]+)`", row)} == options
