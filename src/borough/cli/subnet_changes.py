"""``borough subnet split`` and ``merge``."""

from __future__ import annotations

from typing import Any

import click

from borough.cli.apply import show_applied
from borough.cli.command import command
from borough.cli.options import text_option, words
from borough.cli.output import emit
from borough.cli.state import GlobalOptions, pass_state
from borough.engine.summaries import Applied

_dry_run = click.option("--dry-run", is_flag=True, help="Only show what would change.")


def _replace(state: GlobalOptions, old: tuple[str, ...], dry_run: bool, **way: Any) -> None:
    with state.open() as ipam:
        applied = Applied.of(ipam.replace_subnets(old, dry_run=dry_run, **way), dry_run=dry_run)
    emit(state, applied, lambda page: show_applied(page, applied, "Nothing changes."))


@command("split", example="borough subnet split pods-c 25")
@click.argument("subnet", metavar="NAME", type=words)
@click.argument("length", metavar="LENGTH", type=click.IntRange(1, 128))
@_dry_run
@pass_state
def split(state: GlobalOptions, subnet: str, length: int, dry_run: bool) -> None:
    """Split a subnet into prefixes of a length.

    They are named NAME-1, NAME-2 and so on. Addresses follow to the part that contains them.
    """
    _replace(state, (subnet,), dry_run, split=length)


@command("merge", example="borough subnet merge pods-c-1 pods-c-2 --name pods-c")
@click.argument("subnets", metavar="NAME", type=words, nargs=-1, required=True)
@text_option("--name", "NAME", "The name of the merged subnet. When left out, that of the first.")
@_dry_run
@pass_state
def merge(state: GlobalOptions, subnets: tuple[str, ...], name: str | None, dry_run: bool) -> None:
    """Merge subnets into the shortest prefix that covers them.

    It has the settings of the first.
    """
    _replace(state, subnets, dry_run, merge=name or subnets[0])
