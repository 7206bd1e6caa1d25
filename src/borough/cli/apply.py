"""``borough apply``."""

from __future__ import annotations

import sys

import click

from borough.cli.command import command
from borough.cli.options import text_option
from borough.cli.output import Page, emit
from borough.cli.progress import spinner
from borough.cli.state import GlobalOptions, pass_state
from borough.domain.declared.topology import Change, Topology
from borough.engine.summaries import Applied

_SIGN = {"add": "+", "change": "~", "remove": "-"}
_STYLE = {"add": "green", "change": "yellow", "remove": "red"}


@command("apply", example="borough apply examples/container-hosts.yaml --dry-run")
@click.argument("file", metavar="FILE")
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
@text_option("--name", "NAME", "Apply it under this name instead of the one in the file.")
@pass_state
def apply(state: GlobalOptions, file: str, dry_run: bool, name: str | None) -> None:
    """Apply a topology file with subnets, hosts, pools and more.

    New objects are added, different ones are changed, and objects that the topology of this name no longer
    declares are removed: all of it or nothing. A dash reads standard input.
    """
    source: str | Topology = file
    if file == "-":
        # Imported here: the help of the program needs no YAML.
        from borough.engine.topology.document import parse_topology_text
        from borough.engine.topology.yaml_tree import SIZE_LIMIT

        source = parse_topology_text(sys.stdin.read(SIZE_LIMIT + 1), filename="-", name=name)
    with state.open() as ipam, spinner(state, f"Applying {file}"):
        applied = Applied.of(ipam.apply(source, dry_run=dry_run, name=name), dry_run=dry_run)
    as_is = "Everything is as the file says already."
    emit(state, applied, lambda page: show_applied(page, applied, as_is))


def show_applied(page: Page, applied: Applied, as_is: str) -> None:
    """Print changes and their effects.

    :param as_is: what to say when nothing changes.
    """
    for change in applied.changes:
        page.line(_line(change), style=_STYLE[change.action], hang=2)
    for effect in applied.effects:
        page.line(f"! {effect.message}", hang=2)
    if applied.more_effects:
        page.line(f"! and {applied.more_effects} more effects", hang=2)
    if not applied.changes:
        page.line(as_is)
    else:
        count = applied.summary
        page.line(f"{count.added} added, {count.changed} changed, {count.removed} removed.")
    if applied.dry_run:
        page.line("This was a dry run: nothing was changed.")
    elif applied.changes and applied.source:
        page.line(
            f"Topology {applied.source!r} declares this: correct its file, or the next apply changes "
            "it back."
        )


def _line(change: Change) -> str:
    return _SIGN[change.action] + str(change).removeprefix(change.action)
