"""``borough show``."""

from __future__ import annotations

import click

from borough.cli.addresses import block_text
from borough.cli.command import command
from borough.cli.options import scope_option, words
from borough.cli.output import Page, emit, to_json
from borough.cli.state import GlobalOptions, pass_state
from borough.domain.encode import rfc3339
from borough.engine.views import Allocation


@command("show", example="borough show 10.64.0.1")
@click.argument("address", metavar="ADDRESS", type=words)
@scope_option("Address space (VRF) of the address.")
@pass_state
def show(state: GlobalOptions, address: str, scope: str) -> None:
    """Show the allocation of an address."""
    with state.open() as ipam:
        found = ipam.show(address, scope=scope)
    emit(state, found, lambda page: _show(page, found))


def _show(page: Page, found: Allocation) -> None:
    attributes = to_json(dict(found.attributes), indent=None) if found.attributes else ""
    page.facts(
        [
            ("address", f"{found.address}/{found.prefix_length}"),
            ("state", found.state),
            ("owner", found.owner),
            ("host", found.host),
            ("subnet", found.subnet),
            ("scope", found.scope),
            ("gateway", found.gateway),
            ("block", block_text(found)),
            ("sequence", found.sequence),
            ("allocated at", rfc3339(found.allocated_at)),
            ("cooling until", found.cooling_until and rfc3339(found.cooling_until)),
            ("attributes", attributes),
            ("note", found.note),
        ]
    )
