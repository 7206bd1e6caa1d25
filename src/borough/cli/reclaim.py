"""``borough reclaim``."""

from __future__ import annotations

from borough.cli.command import command
from borough.cli.host import show_claims
from borough.cli.output import Page, counted, emit
from borough.cli.state import GlobalOptions, pass_state
from borough.engine.upkeep.reclaim import Reclaimed


@command("reclaim", example="borough reclaim")
@pass_state
def reclaim(state: GlobalOptions) -> None:
    """Give back what nobody needs any more.

    Run it every five minutes, unless there is a service: that sweeps by itself. Claims that are empty or
    little used are marked, and given back by a later sweep that finds them so still. Cooling addresses
    whose rest is over are free again. No address is taken from its owner.
    """
    with state.open() as ipam:
        reclaimed = ipam.reclaim()
    emit(state, reclaimed, lambda page: _show(page, reclaimed))


def _show(page: Page, reclaimed: Reclaimed) -> None:
    if reclaimed.rested:
        page.line(f"{counted(reclaimed.rested, 'address', 'addresses')} rested and free again.")
    if reclaimed.marked:
        page.line("Idle, to be given back if they still are later:")
        show_claims(page, reclaimed.marked)
    if reclaimed.reclaimed:
        page.line("Given back:")
        show_claims(page, reclaimed.reclaimed)
    if reclaimed.joined:
        page.line(f"{counted(reclaimed.joined, 'unused block')} joined with unclaimed space.")
    if reclaimed == Reclaimed():
        page.line("Nothing to do.")
