"""Manual pages of all commands, made from their help, in the language of man(7)."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Final

import click

from borough import __version__
from borough.cli.app import app
from borough.cli.command import Command, subcommands

#: The exit codes and the variables, as in docs/reference/commands.md.
EXIT_CODES: Final = (
    ("0", "done"),
    ("1", "failed, or `audit` has findings left"),
    ("2", "bad usage or input"),
    ("3", "exhausted, or no matching subnet"),
    ("4", "conflict"),
    ("5", "retry later"),
    ("130", "interrupted with Ctrl-C"),
)

ENVIRONMENT: Final = (
    ("BOROUGH_DB", "the database, without `--db`"),
    ("BOROUGH_SERVER", "the service, without `--server` and `--db`"),
    ("BOROUGH_TOKEN", "the token for the service"),
    (
        "BOROUGH_CA_FILE",
        "PEM file of the authorities that the certificate of the service is verified by",
    ),
)

_CODE: Final = re.compile(r"`([^`]*)`")


def pages() -> Iterator[tuple[str, str]]:
    """The name and the text of each page, the program first: ``borough-allocate.1``."""
    for words, command in _walk(("borough",), app):
        yield f"{'-'.join(words)}.1", _page(words, command)


def _walk(
    words: tuple[str, ...], command: click.Command
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield words, command
    if isinstance(command, click.Group):
        for name, each in subcommands(command).items():
            yield from _walk((*words, name), each)


def _page(words: tuple[str, ...], command: click.Command) -> str:
    name = "-".join(words)
    summary, *paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    lines = [
        f'.TH {_escape(name.upper())} 1 "" "Borough {_escape(__version__)}" "Borough manual"',
        ".SH NAME",
        f"{_escape(name)} \\- {_text(_summary(summary))}",
        ".SH SYNOPSIS",
        f"{_bold(' '.join(words))} {_arguments(command)}",
        ".SH DESCRIPTION",
        _text(summary),
    ]
    for paragraph in paragraphs:
        lines += [".PP", _text(paragraph)]
    lines += _commands(words, command)
    lines += [".SH OPTIONS"]
    for option in command.params:
        if isinstance(option, click.Option):
            lines += [".TP", _spelling(option), _meaning(option)]
    if isinstance(command, Command):
        lines += [".SH EXAMPLE", ".nf", _escape(command.example), ".fi"]
    lines += _table("EXIT STATUS", EXIT_CODES)
    lines += _table("ENVIRONMENT", ENVIRONMENT)
    if len(words) > 1:
        lines += [".SH SEE ALSO", f".BR {_escape('-'.join(words[:-1]))} (1)"]
    return "\n".join(lines) + "\n"


def _commands(words: tuple[str, ...], command: click.Command) -> Iterator[str]:
    if not isinstance(command, click.Group):
        return
    yield ".SH COMMANDS"
    for name, each in subcommands(command).items():
        yield ".TP"
        yield f".BR {_escape('-'.join((*words, name)))} (1)"
        yield _text(inspect.cleandoc(each.help or "").split("\n\n")[0])


def _table(title: str, rows: tuple[tuple[str, str], ...]) -> Iterator[str]:
    yield f".SH {title}"
    for name, meaning in rows:
        yield from (".TP", _bold(name), _text(meaning))


def _summary(text: str) -> str:
    """The first sentence as a phrase for the index of all pages."""
    phrase = " ".join(text.split()).removesuffix(".")
    return phrase[:1].lower() + phrase[1:]


def _arguments(command: click.Command) -> str:
    words = [
        "[\\fIOPTION\\fR]...",
        *(
            _escape(str(each.metavar))
            for each in command.params
            if isinstance(each, click.Argument)
        ),
    ]
    if isinstance(command, click.Group):
        words.append("\\fICOMMAND\\fR")
    return " ".join(words)


def _spelling(option: click.Option) -> str:
    names = ", ".join(_bold(name) for name in (*option.opts, *option.secondary_opts))
    return names if option.is_flag else f"{names} \\fI{_escape(str(option.metavar))}\\fR"


def _meaning(option: click.Option) -> str:
    default = f" Default: {option.default}." if option.show_default else ""
    return _text((option.help or "") + default)


def _text(text: str) -> str:
    """Text of a paragraph, with code in bold."""
    line = " ".join(text.split())
    parts = _CODE.split(line)
    made = "".join(_bold(part) if at % 2 else _escape(part) for at, part in enumerate(parts))
    # A line that begins with a dot or an apostrophe would be a request.
    return f"\\&{made}" if made.startswith((".", "'")) else made


def _bold(text: str) -> str:
    return f"\\fB{_escape(text)}\\fR"


def _escape(text: str) -> str:
    """Text as it is: a plain hyphen may become a dash, which cannot be copied into a shell."""
    return text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("^", "\\(ha")
