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
    """Return idle claims to the pool.

    Run it every five minutes; a service does this by itself. Claims that are empty or little used are marked.
    They return to the pool when a later run finds them idle still. Addresses whose cool-down is over are free
    again. No allocation ends.
    """
    with state.open() as ipam:
        reclaimed = ipam.reclaim()
    emit(state, reclaimed, lambda page: _show(page, reclaimed))


def _show(page: Page, reclaimed: Reclaimed) -> None:
    if reclaimed.rested:
        page.line(f"{counted(reclaimed.rested, 'address', 'addresses')} free after the cool-down.")
    if reclaimed.ended:
        page.line(
            f"{counted(reclaimed.ended, 'address', 'addresses')} released at the end of the lease."
        )
    if reclaimed.marked:
        page.line("Marked as idle, to be returned by a later run:")
        show_claims(page, reclaimed.marked)
    if reclaimed.reclaimed:
        page.line("Returned to the pool:")
        show_claims(page, reclaimed.reclaimed)
    if reclaimed.joined:
        page.line(f"{counted(reclaimed.joined, 'unused block')} joined with unclaimed space.")
    if reclaimed == Reclaimed():
        page.line("Nothing to do.")
