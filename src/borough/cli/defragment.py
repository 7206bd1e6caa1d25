"""``borough defragment``."""

from __future__ import annotations

from typing import Final

import click

from borough.cli.command import command
from borough.cli.options import any_scope_option, text_option
from borough.cli.output import Column, Page, counted, emit, scope_text
from borough.cli.state import GlobalOptions, pass_state
from borough.engine.upkeep.defragment import Defragmentation

_COLUMNS: Final = (
    Column("release"),
    Column("scope", soft=True),
    Column("owner", soft=True),
    Column("host", soft=True),
    Column("and get"),
    Column("saves", right=True),
)


@command("defragment", example="borough defragment --host node-1")
@text_option("--host", "HOST", "Only addresses of this host.")
@any_scope_option()
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    metavar="N",
    default=100,
    show_default=True,
    help="Most addresses to propose.",
)
@pass_state
def defragment(state: GlobalOptions, host: str | None, scope: str | None, limit: int) -> None:
    """Propose addresses to renumber to save routes.

    The command renumbers none. The owners have to release these addresses and allocate new ones for the same
    host, in this order.
    """
    with state.open() as ipam:
        found = ipam.defragment(host=host, scope=scope, limit=limit)
    emit(state, found, lambda page: _show(page, found))


def _show(page: Page, found: Defragmentation) -> None:
    routes = counted(found.routes, "route")
    if not found.proposals:
        page.line(f"No renumbering would save any of {routes}.")
        return
    rows = [
        (
            each.address,
            scope_text(each.scope),
            each.owner,
            each.host,
            each.to,
            each.saves,
        )
        for each in found.proposals
    ]
    page.table(_COLUMNS, rows)
    number = counted(len(found.proposals), "address", "addresses")
    page.line(f"Renumbering {number} would save {found.saves} of {routes}.")
    page.line("No address was renumbered.")
