"""``borough reassign``."""

from __future__ import annotations

from typing import Any

import click

from borough.cli.addresses import show_allocations, show_warnings
from borough.cli.command import command
from borough.cli.options import scope_option, words
from borough.cli.output import Page, emit
from borough.cli.state import GlobalOptions, pass_state


@command("reassign", example="borough reassign 10.64.0.1 --host node-2")
@click.argument("address", metavar="ADDRESS", type=words)
@click.option(
    "--host", type=words, metavar="HOST", required=True, help="The new host of the address."
)
@click.option(
    "--sequence",
    type=int,
    metavar="N",
    help="Only while the address has this sequence number, and so not after it was allocated anew.",
)
@click.option(
    "--force",
    is_flag=True,
    help="Also to a host that does not reach the segment of the address by its labels.",
)
@scope_option("Address space (VRF) of the address.")
@pass_state
def reassign(state: GlobalOptions, /, **options: Any) -> None:
    """Reassign an address to another host, as a live migration does.

    Its owner and its sequence number stay; its route follows. The claim follows too when the region has no
    other address.
    """
    with state.open() as ipam:
        reassigned = ipam.reassign(**options)

    def show(page: Page) -> None:
        page.line(f"{reassigned.address} is on {reassigned.host}.")
        show_allocations(page, [reassigned])

    emit(state, {"allocation": reassigned}, show)
    show_warnings(state, reassigned.warnings)
