"""``borough release``."""

from __future__ import annotations

from typing import Any

import click

from borough.cli.addresses import show_allocations
from borough.cli.command import command
from borough.cli.options import given, text_option, words
from borough.cli.output import Page, counted, emit
from borough.cli.state import GlobalOptions, pass_state
from borough.engine.views import Released


@command("release", example="borough release --owner web-1")
@click.argument("addresses", metavar="[ADDRESS]...", type=words, nargs=-1)
@text_option("--owner", "OWNER", "All of this owner; with an address, a condition on its owner.")
@text_option("--host", "HOST", "All on this host; with an address, a condition on its host.")
@click.option(
    "--sequence",
    type=int,
    metavar="N",
    help="Only while the address has this sequence number, and so not after it was allocated anew.",
)
@click.option(
    "--now",
    is_flag=True,
    help="Without a cool-down; addresses that cool down already are free at once.",
)
@text_option(
    "--scope",
    "SCOPE",
    "Address space (VRF). When left out: default for addresses, all for an owner or a host.",
)
@pass_state
def release(state: GlobalOptions, /, addresses: tuple[str, ...], **conditions: Any) -> None:
    """Release addresses.

    Those named, or all of an owner, or all on a host. A release by host alone also ends its claims.
    """
    with state.open() as ipam:
        released = ipam.release(addresses, **given(conditions))
    emit(state, released, lambda page: _show(page, released))


def _show(page: Page, released: Released) -> None:
    if not released:
        page.line("Nothing to release.")
        return
    show_allocations(page, released)
    more = f", of which {len(released)} are listed" if len(released) < released.total else ""
    page.line(f"Released {counted(released.total, 'address', 'addresses')}{more}.")
