"""``borough apply``."""

from __future__ import annotations

import click

from borough.cli.command import command
from borough.cli.options import text_option
from borough.cli.output import Page, emit
from borough.cli.progress import spinner
from borough.cli.state import GlobalOptions, pass_state
from borough.domain.declared.topology import Change
from borough.engine.summaries import Applied

_SIGN = {"add": "+", "change": "~", "remove": "-"}
_STYLE = {"add": "green", "change": "yellow", "remove": "red"}


@command("apply", example="borough apply examples/container-hosts.yaml --dry-run")
@click.argument("file", metavar="FILE")
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
@text_option("--name", "NAME", "Apply it under this name instead of the one in the file.")
@pass_state
def apply(state: GlobalOptions, file: str, dry_run: bool, name: str | None) -> None:
    """Make what is declared be as a topology file says.

    That is dimensions, scopes, pools, subnets and hosts. What is new is added, what differs is
    changed, and what the topology of this name declared before and no longer does is removed: all
    of it or nothing.
    """
    with state.open() as ipam, spinner(state, f"Applying {file}"):
        applied = Applied.of(ipam.apply(file, dry_run=dry_run, name=name), dry_run=dry_run)
    emit(state, applied, lambda page: _show(page, applied))


def _show(page: Page, applied: Applied) -> None:
    for change in applied.changes:
        page.line(_line(change), style=_STYLE[change.action], hang=2)
    for effect in applied.effects:
        page.line(f"! {effect.message}", hang=2)
    if applied.more_effects:
        page.line(f"! and {applied.more_effects} more effects", hang=2)
    if not applied.changes:
        page.line("Everything is as the file says already.")
    else:
        count = applied.summary
        page.line(f"{count.added} added, {count.changed} changed, {count.removed} removed.")
    if applied.dry_run:
        page.line("This was a dry run: nothing was changed.")


def _line(change: Change) -> str:
    words = f"{_SIGN[change.action]} {change.kind} {change.name}"
    if change.prefix and change.action != "change":
        words += f" ({change.prefix})"
    fields = [f"{each.field} {each.old} -> {each.new}" for each in change.fields]
    return words + (": " + ", ".join(fields) if fields else "")
