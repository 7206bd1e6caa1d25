"""``borough reassign``."""

from __future__ import annotations

from typing import Any

import click

from borough.cli.addresses import show_allocations
from borough.cli.command import command
from borough.cli.options import scope_option, words
from borough.cli.output import Page, emit
from borough.cli.state import GlobalOptions, pass_state


@command("reassign", example="borough reassign 10.64.0.1 --host node-2")
@click.argument("address", metavar="ADDRESS", type=words)
@click.option(
    "--host", type=words, metavar="HOST", required=True, help="The host that it moves to."
)
@click.option(
    "--sequence",
    type=int,
    metavar="N",
    help="Only if the address still has this sequence number, so as not to move its next holder.",
)
@click.option(
    "--force",
    is_flag=True,
    help="Also to a host that does not reach the segment of the address, by its labels.",
)
@scope_option("Address space (VRF) of the address.")
@pass_state
def reassign(state: GlobalOptions, /, **options: Any) -> None:
    """Move an address to another host, as a live migration does.

    Its owner keeps it, with its sequence number; the route follows. When nobody else has an address in the
    region any more, the claim follows too.
    """
    with state.open() as ipam:
        reassigned = ipam.reassign(**options)

    def show(page: Page) -> None:
        page.line(f"{reassigned.address} is on {reassigned.host}.")
        show_allocations(page, [reassigned])

    emit(state, {"allocation": reassigned}, show)
