"""``borough subnet edit``, ``split`` and ``merge``."""

from __future__ import annotations

from typing import Any

import click

from borough.cli.apply import show_applied
from borough.cli.command import command
from borough.cli.options import gather, labels_option, text_option, words
from borough.cli.output import emit
from borough.cli.state import GlobalOptions, pass_state
from borough.engine.summaries import Applied

_dry_run = click.option("--dry-run", is_flag=True, help="Only show what would change.")


def _replace(state: GlobalOptions, old: tuple[str, ...], dry_run: bool, **way: Any) -> None:
    with state.open() as ipam:
        applied = Applied.of(ipam.replace_subnets(old, dry_run=dry_run, **way), dry_run=dry_run)
    emit(state, applied, lambda page: show_applied(page, applied, "Nothing changes."))


@command("edit", example="borough subnet edit pods-c --closed --dry-run")
@click.argument("subnet", metavar="NAME", type=words)
@text_option("--name", "NAME", "Its new name.")
@text_option(
    "--cidr", "PREFIX", "Its new prefix. Addresses that it does not contain need another subnet."
)
@labels_option("A label that it carries. Named once, all its labels are those named.")
@text_option("--project", "PROJECT", "Whose quota in the pool it counts against.")
@text_option("--gateway", "ADDRESS", "Its gateway.")
@click.option("--no-gateway", is_flag=True, help="It has no gateway.")
@click.option(
    "--range",
    "ranges",
    type=words,
    metavar="RANGE",
    multiple=True,
    help="Allocate addresses of this range only. Again for more.",
)
@click.option("--all-addresses", is_flag=True, help="It has no ranges: allocate all addresses.")
@click.option(
    "--exclude",
    type=words,
    metavar="RANGE",
    multiple=True,
    help="Allocate addresses of this range by name only. Again for more.",
)
@click.option("--closed/--open", default=None, help="Whether it takes no new addresses and claims.")
@click.option(
    "--weight", type=int, metavar="N", help="Of equally good subnets the heavier is first."
)
@text_option(
    "--cooldown", "TIME", "How long a released address rests: seconds, or 30s, 5m, 2h, 1d."
)
@_dry_run
@pass_state
def edit(
    state: GlobalOptions,
    /,
    subnet: str,
    labels: tuple[tuple[str, str], ...],
    no_gateway: bool,
    all_addresses: bool,
    dry_run: bool,
    **options: Any,
) -> None:
    """Change settings of a subnet; those that are not named stay.

    The next application of its topology file declares it as the file says.
    """
    settings = {name: value for name, value in options.items() if value not in (None, ())}
    settings |= {"labels": gather(labels)} if labels else {}
    settings |= {"gateway": None} if no_gateway else {}
    settings |= {"ranges": None} if all_addresses else {}
    if not settings:
        raise click.UsageError("Name a setting to change.")
    _replace(state, (subnet,), dry_run, edit=settings)


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
