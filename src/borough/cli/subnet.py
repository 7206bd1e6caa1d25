"""``borough subnet``: single subnets, outside any topology file."""

from __future__ import annotations

from typing import Any

import click

from borough.cli.change import change_subnet
from borough.cli.command import Family, command
from borough.cli.options import gather, subnet_options, subnet_settings, text_option, words
from borough.cli.output import Page, emit, labels_text, ranges_text
from borough.cli.state import GlobalOptions, pass_state
from borough.cli.subnet_changes import merge, split
from borough.engine.views import SubnetView


@click.group("subnet", cls=Family)
def subnet() -> None:
    """Add, change, split, merge and remove subnets."""


def _show(page: Page, said: str, found: SubnetView) -> None:
    page.line(f"{said} subnet {found.name}.")
    page.facts(
        [
            ("prefix", found.prefix),
            ("scope", found.scope),
            ("pool", found.pool),
            ("gateway", found.gateway),
            ("ranges", ranges_text(found)),
            ("closed", "yes" if found.closed else ""),
            ("labels", labels_text(found.labels)),
            ("weight", found.weight or ""),
            ("project", found.project),
            ("cool-down", f"{found.cooldown} s" if found.cooldown else ""),
        ]
    )


_ADD_EXAMPLE = "borough subnet add pods-c --cidr 10.65.0.0/24 -l network=pods --gateway 10.65.0.1"


@command("add", example=_ADD_EXAMPLE)
@click.argument("name", metavar="[NAME]", type=words, required=False)
@text_option("--cidr", "PREFIX", "Its prefix; with --pool, the exact one to carve.")
@text_option("--pool", "POOL", "The pool to carve it from.")
@click.option(
    "--length",
    "prefix_length",
    type=int,
    metavar="N",
    help="Prefix length to carve. When left out, the default of the pool.",
)
@subnet_options
@click.option("--closed", is_flag=True, help="Take no new addresses and no new claims.")
@text_option("--scope", "SCOPE", "Its address space (VRF); the pool's, or `default`.")
@text_option("--key", "KEY", "Idempotency key: asked again with it, you get the same subnet.")
@pass_state
def add(state: GlobalOptions, /, labels: tuple[tuple[str, str], ...], **options: Any) -> None:
    """Add a subnet, by its prefix or carved from a pool.

    NAME is how it is called; when left out, it is called by its prefix.
    """
    settings = subnet_settings(options) | {"labels": gather(labels)}
    if not settings.keys() & {"pool", "cidr"}:
        raise click.UsageError(
            "Name its prefix with --cidr, or a pool to carve it from with --pool."
        )
    if "pool" not in settings and "prefix_length" in settings:
        raise click.UsageError("--length goes with --pool.")
    with state.open() as ipam:
        made = (ipam.allocate_subnet if "pool" in settings else ipam.add_subnet)(**settings)
    emit(state, {"subnet": made}, lambda page: _show(page, "Added", made))


@command("remove", example="borough subnet remove pods-c")
@click.argument("name", metavar="NAME", type=words)
@pass_state
def remove(state: GlobalOptions, name: str) -> None:
    """Remove a subnet that nobody has an address of.

    One that was carved returns to its pool.
    """
    with state.open() as ipam:
        gone = ipam.remove_subnet(name)
    emit(state, {"subnet": gone}, lambda page: _show(page, "Removed", gone))


for _command in (add, change_subnet, split, merge, remove):
    subnet.add_command(_command)
