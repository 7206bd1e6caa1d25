"""The reference of all commands, generated from the commands.

python -m borough.cli.reference prints it as Markdown; the page docs/reference/commands.md contains it.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator

import click

from borough import errors
from borough.cli.app import app
from borough.cli.command import Command, subcommands
from borough.errors import BoroughError


def commands() -> str:
    """A section for each command."""
    return "\n".join(_sections("borough", app))


def error_kinds(branch: type[BoroughError] = BoroughError) -> Iterator[type[BoroughError]]:
    """The kinds of errors of the library in a branch of their tree, the first one of each code."""
    seen = set()
    for kind in _kinds(branch):
        if kind.code not in seen:
            seen.add(kind.code)
            yield kind


def _kinds(kind: type[BoroughError]) -> Iterator[type[BoroughError]]:
    if kind is not BoroughError and kind.__module__ == errors.__name__:
        yield kind
    for each in kind.__subclasses__():
        yield from _kinds(each)


def _sections(path: str, command: click.Command) -> Iterator[str]:
    yield _section(path, command)
    if isinstance(command, click.Group):
        for name, each in subcommands(command).items():
            yield from _sections(f"{path} {name}", each)


def _section(path: str, command: click.Command) -> str:
    words = [path]
    rows = []
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            rows.append(f"| {_spelling(parameter)} | {_meaning(parameter)} |")
        else:
            words.append(str(parameter.metavar))
    if isinstance(command, click.Group):
        words.append("COMMAND")
    text = inspect.cleandoc(command.help or "")
    parts = [f"## {path}", f"    {' '.join(words)} [OPTION]…", text]
    if isinstance(command, click.Group):
        parts.append("Commands: " + ", ".join(f"`{name}`" for name in subcommands(command)) + ".")
    parts.append("\n".join(["| option | meaning |", "|---|---|", *rows]))
    if isinstance(command, Command):
        parts.append(f"Example:\n\n    {command.example}")
    return "\n\n".join(parts) + "\n"


def _spelling(option: click.Option) -> str:
    names = ", ".join(f"`{name}`" for name in option.opts)
    return names if option.is_flag else f"{names} `{_cell(str(option.metavar))}`"


def _meaning(option: click.Option) -> str:
    default = f" Default: `{option.default}`." if option.show_default else ""
    return _cell(option.help or "") + default


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(commands())
