"""Reports of errors, and exit codes."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import click

from borough.cli.ladder import show_ladder
from borough.cli.output import Column, Page, plain, to_json
from borough.errors import BoroughError

_STRANDED: Final = (
    Column("address"),
    Column("subnet", soft=True),
    Column("owner", soft=True),
    Column("host", soft=True),
    Column("sequence", right=True),
)


def report(error: Exception, *, as_json: bool) -> int:
    """Report an error on standard error.

    :return: the exit code.
    """
    if isinstance(error, BoroughError):
        facts = {"code": error.code, "message": error.message, "detail": error.detail}
        code = error.exit_code
    elif isinstance(error, click.ClickException):
        facts, code = _usage(error), 2
    else:
        facts, code = _internal(error), 1
    # Standard error may be closed; the exit code must still be right.
    with suppress(OSError, SystemExit):
        if as_json:
            click.echo(to_json(facts, indent=None), err=True)
        elif isinstance(error, click.UsageError):
            _show_usage(error)
        else:
            show_failure(Page(error=True), facts)
    return code


def _usage(error: click.ClickException) -> dict[str, Any]:
    context = getattr(error, "ctx", None)
    detail = {"command": context.command_path} if context else {}
    return {"code": "usage", "message": error.format_message(), "detail": detail}


def _show_usage(error: click.UsageError) -> None:
    page = Page(error=True)
    if error.ctx:
        page.line(error.ctx.get_usage(), hang=2)
        page.line(f"Try '{error.ctx.command_path} --help' for help.")
        page.line()
    page.line(f"Error: {error.format_message()}", hang=2)


def _internal(error: Exception) -> dict[str, Any]:
    if os.environ.get("BOROUGH_DEBUG") == "1":
        traceback.print_exception(error, file=sys.stderr)
    first = (str(error).strip().splitlines() or [""])[0]
    message = f"unexpected {type(error).__name__}" + (f": {first}" if first else "")
    return {"code": "internal", "message": plain(message), "detail": {}}


def show_failure(page: Page, facts: Mapping[str, Any]) -> None:
    """Print an error and its detail for people."""
    page.line(f"Error: {facts['message']}", style="bold red", hang=2)
    detail = facts["detail"]
    for problem in detail.get("problems", ())[1:]:
        place = f"line {problem['line']}: " if problem["line"] else ""
        field = f"{problem['field']}: " if problem["field"] else ""
        page.line(f"- {place}{field}{problem['reason']}", indent=2, hang=2)
    allocations = detail.get("allocations", ())
    if allocations:
        page.table(
            _STRANDED,
            [[each.get(column.title) for column in _STRANDED] for each in allocations],
        )
    if "done" in detail:
        counts = (
            (name.replace("_", " "), value if isinstance(value, int) else len(value))
            for name, value in detail["done"].items()
        )
        done = ", ".join(f"{name} {count}" for name, count in counts if count)
        page.line(f"Done before that, and kept: {done}.", hang=2)
    if "explanation" in detail:
        page.line()
        show_ladder(page, detail["explanation"])
    if "try" in detail:
        page.line(f"Try: {'; '.join(detail['try'])}.", hang=2)
