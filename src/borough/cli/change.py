"""``borough subnet change`` and ``borough host change``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import click

from borough.cli.apply import show_applied
from borough.cli.command import command
from borough.cli.options import (
    attribute_option,
    gather,
    labels_option,
    pair,
    subnet_options,
    subnet_settings,
    text_option,
    words,
)
from borough.cli.output import emit
from borough.cli.state import GlobalOptions, pass_state
from borough.domain.declared.topology import Changes
from borough.engine.summaries import Applied
from borough.engine.topology.change import MERGED

_DRY_RUN: Final = click.option("--dry-run", is_flag=True, help="Only show what would change.")

_CLAIM: Final = click.option(
    "--claim",
    "claims",
    type=pair,
    metavar="NAME=VALUE",
    multiple=True,
    help="A setting of claims, such as block=64. Again for more.",
)

_REMOVE: Final = click.option(
    "--remove",
    type=words,
    metavar="FIELD",
    multiple=True,
    help="Put a field back to its default, or remove one value, such as labels.rack. Again for more.",
)


def _fields(options: Mapping[str, Any]) -> dict[str, Any]:
    """The fields to change, for the options of a command."""
    made = subnet_settings(options)
    removed: Sequence[str] = made.pop("remove", ())
    for name in MERGED:
        if name in made:
            made[name] = gather(made[name]) if name == "labels" else dict(made[name])
    for path in removed:
        field, _, key = path.partition(".")
        place = made.setdefault(field, {}) if key and field in MERGED else made
        name = key if place is not made else path
        if name in place:
            raise click.UsageError(f"{path} is set and removed.")
        place[name] = None
    if not made:
        raise click.UsageError("Name something to change.")
    return made


def _run(state: GlobalOptions, dry_run: bool, name: str, change: Callable[[], Changes]) -> None:
    applied = Applied.of(change(), dry_run=dry_run)
    emit(state, applied, lambda page: show_applied(page, applied, f"{name} is so already."))


@command("change", example="borough subnet change pods-a --gateway 10.64.0.1 -l rack=r2 --dry-run")
@click.argument("subnet", metavar="NAME", type=words)
@text_option("--name", "NEW", "Its new name.")
@text_option("--cidr", "PREFIX", "Its new prefix.")
@text_option("--scope", "SCOPE", "Its new address space (VRF).")
@subnet_options
@click.option(
    "--closed/--open", default=None, help="Take no new addresses and claims, or take them."
)
@_CLAIM
@attribute_option("Value to set; other attributes stay.")
@_REMOVE
@_DRY_RUN
@pass_state
def change_subnet(state: GlobalOptions, /, subnet: str, dry_run: bool, **options: Any) -> None:
    """Change single fields of a subnet; all others stay.

    Addresses in use stay allocated. A change that would leave one without a subnet is refused.
    """
    fields = _fields(options)
    with state.open() as ipam:
        _run(state, dry_run, subnet, lambda: ipam.change_subnet(subnet, dry_run=dry_run, **fields))


@command("change", example="borough host change node-1 -l rack=r2 --remove claims.cap")
@click.argument("host", metavar="HOST", type=words)
@labels_option("A label that it implies; labels of other dimensions stay.")
@_CLAIM
@_REMOVE
@_DRY_RUN
@pass_state
def change_host(state: GlobalOptions, /, host: str, dry_run: bool, **options: Any) -> None:
    """Change labels and claim settings of a declared host.

    Those that are not named stay.
    """
    fields = _fields(options)
    with state.open() as ipam:
        _run(state, dry_run, host, lambda: ipam.change_host(host, dry_run=dry_run, **fields))
