"""The reference of all commands, generated from the commands.

python -m borough.cli.reference > docs/reference.md
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from typing import Final

import click

from borough import errors
from borough.cli.app import app
from borough.cli.command import Command, subcommands
from borough.errors import BoroughError

_HEAD: Final = """\
# Command reference

*Made by `python -m borough.cli.reference > docs/reference.md`; a test compares the two.*

    borough [--db URL | --server URL] [--json] COMMAND …

`--db`, `--server` and `--json` may stand before or after the command. Without them and the environment
variables `BOROUGH_DB` and `BOROUGH_SERVER` the database is `sqlite:///borough.db`, a file in the working
folder. With `--server` every command but `init`, `copy` and `serve` works through the
[service](http.md), with the same answers, errors and exit codes.

With `--json` a command prints exactly one JSON document on standard output. A command that fails prints one
JSON object with `code`, `message` and `detail` on standard error. Without `--json` it prints sentences and
tables that fit the terminal. In a pipe every row of a table is one line, unless `COLUMNS` is set.

| variable | meaning |
|---|---|
| `BOROUGH_DB` | the database, without `--db` |
| `BOROUGH_SERVER` | the service, without `--server` and `--db` |
| `BOROUGH_TOKEN` | the token for the service |
| `BOROUGH_CA_FILE` | PEM file of the authorities that the certificate of the service is verified by |
| `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY` | the proxy for a service |
| `BOROUGH_DEBUG` | `1`: print the traceback of an unexpected error |
| `COLUMNS` | width of the output |
| `NO_COLOR` | no colours, also on a terminal |
"""

_EXIT: Final = """\
## Exit codes

| code | meaning | what to do |
|---|---|---|
| 0 | done | |
| 1 | failed, or `audit` has findings left | inspect the installation |
| 2 | bad usage or input | correct it; the same request fails again |
| 3 | exhausted, or no matching subnet | release addresses, add subnets, or use a wider group |
| 4 | conflict | read again, decide again |
| 5 | retry later | repeat the same request |
| 130 | interrupted with Ctrl-C | |
"""

_ERRORS: Final = """\
## Error codes

Values of `code` in the JSON object of an error. They are stable.

| code | exit code | meaning |
|---|---|---|
| `usage` | 2 | The command line cannot be parsed. |
| `internal` | 1 | An unexpected error: please report it. |
"""


def reference() -> str:
    """The whole document."""
    parts = [_HEAD, _EXIT, _ERRORS + "".join(_error_lines()), *_sections("borough", app)]
    return "\n".join(parts)


def _error_lines() -> Iterator[str]:
    seen = set()
    for kind in _kinds(BoroughError):
        if kind.code not in seen:
            seen.add(kind.code)
            meaning = inspect.cleandoc(kind.__doc__ or "").split("\n\n")[0].replace("\n", " ")
            yield f"| `{kind.code}` | {kind.exit_code} | {meaning.replace('``', '`')} |\n"


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
    sys.stdout.write(reference())
