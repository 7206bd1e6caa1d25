"""``borough sweep``."""

from __future__ import annotations

from borough.cli.command import command
from borough.cli.host import show_claims
from borough.cli.output import Page, counted, emit
from borough.cli.state import GlobalOptions, pass_state
from borough.engine.upkeep.reclaim import Swept


@command("sweep", example="borough sweep")
@pass_state
def sweep(state: GlobalOptions) -> None:
    """Give back what nobody needs any more.

    Run it every five minutes, unless there is a service: that sweeps by itself. Claims that are empty or
    little used are marked, and given back by a later sweep that finds them so still. Cooling addresses
    whose rest is over are free again. No address is taken from its owner.
    """
    with state.open() as ipam:
        swept = ipam.sweep()
    emit(state, swept, lambda page: _show(page, swept))


def _show(page: Page, swept: Swept) -> None:
    if swept.rested:
        page.line(f"{counted(swept.rested, 'address', 'addresses')} rested and free again.")
    if swept.marked:
        page.line("Idle, to be given back if they still are later:")
        show_claims(page, swept.marked)
    if swept.given_back:
        page.line("Given back:")
        show_claims(page, swept.given_back)
    if swept.joined:
        page.line(f"{counted(swept.joined, 'unused block')} joined with unclaimed space.")
    if swept == Swept():
        page.line("Nothing to do.")
