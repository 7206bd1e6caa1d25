"""``borough apply``."""

from __future__ import annotations

from collections import Counter

import click

from borough.cli.command import command
from borough.cli.options import text_option
from borough.cli.output import Page, emit
from borough.cli.progress import spinner
from borough.cli.state import State, pass_state
from borough.domain.topology import Change, Changes

_SIGN = {"add": "+", "change": "~", "remove": "-"}
_STYLE = {"add": "green", "change": "yellow", "remove": "red"}


@command("apply", example="borough apply examples/container-hosts.yaml --dry-run")
@click.argument("file", metavar="FILE")
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
@text_option("--name", "NAME", "Apply it under this name instead of the one in the file.")
@pass_state
def apply(state: State, file: str, dry_run: bool, name: str | None) -> None:
    """Make what is declared be as a topology file says.

    That is dimensions, scopes, pools, subnets and hosts. What is new is added, what differs is
    changed, and what the topology of this name declared before and no longer does is removed: all
    of it or nothing.
    """
    with state.open() as ipam, spinner(state, f"Applying {file}"):
        changes = ipam.apply(file, dry_run=dry_run, name=name)
    count = Counter(change.action for change in changes.changes)
    summary = {"added": count["add"], "changed": count["change"], "removed": count["remove"]}
    emit(
        state,
        {**changes.as_json(), "summary": summary, "dry_run": dry_run},
        lambda page: _show(page, changes, summary, dry_run=dry_run),
    )


def _show(page: Page, changes: Changes, summary: dict[str, int], *, dry_run: bool) -> None:
    for change in changes.changes:
        page.line(_line(change), style=_STYLE[change.action], hang=2)
    if not changes:
        page.line("Everything is as the file says already.")
    else:
        page.line(", ".join(f"{number} {word}" for word, number in summary.items()) + ".")
    if dry_run:
        page.line("This was a dry run: nothing was changed.")


def _line(change: Change) -> str:
    words = f"{_SIGN[change.action]} {change.kind} {change.name}"
    if change.prefix and change.action != "change":
        words += f" ({change.prefix})"
    fields = [f"{field} {old} -> {new}" for field, old, new in change.fields]
    return words + (": " + ", ".join(fields) if fields else "")
