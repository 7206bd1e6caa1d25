"""``borough reserve`` and ``borough cancel``."""

from __future__ import annotations

from typing import Any

import click

from borough.cli.addresses import show_allocations
from borough.cli.command import command
from borough.cli.options import (
    attribute_option,
    attributes_of,
    given,
    scope_option,
    text_option,
    words,
)
from borough.cli.output import Page, counted, emit
from borough.cli.state import GlobalOptions, pass_state
from borough.engine.views import Reservations

_PIECE = "ADDRESS|FIRST-LAST|PREFIX"


@command("reserve", example="borough reserve 10.64.0.10-10.64.0.19 --owner web-1")
@click.argument("addresses", metavar=f"{_PIECE}...", type=words, nargs=-1, required=True)
@text_option("--owner", "OWNER", "Only this owner gets them; nobody when left out.")
@attribute_option("Value to store with the addresses.")
@text_option("--note", "TEXT", "Text of one line to store with the addresses.")
@scope_option("Address space (VRF) of the addresses.")
@pass_state
def reserve(
    state: GlobalOptions,
    /,
    addresses: tuple[str, ...],
    attributes: tuple[tuple[str, str], ...],
    **options: Any,
) -> None:
    """Reserve addresses for an owner, or for nobody.

    The owner allocates a reserved address by name, and a release leaves the reservation. An address that
    the owner holds already stays allocated. Without an owner nobody gets the address.
    """
    with state.open() as ipam:
        made = ipam.reserve(addresses, attributes=attributes_of(attributes), **given(options))
    emit(state, made, lambda page: _show(page, made, "Reserved"))


@command("cancel", example="borough cancel --owner web-1")
@click.argument("addresses", metavar=f"[{_PIECE}]...", type=words, nargs=-1)
@text_option("--owner", "OWNER", "All of this owner; with addresses, a condition on their owner.")
@click.option("--now", is_flag=True, help="Without a cool-down.")
@text_option(
    "--scope",
    "SCOPE",
    "Address space (VRF). When left out: default for addresses, all for an owner.",
)
@pass_state
def cancel(state: GlobalOptions, /, addresses: tuple[str, ...], **options: Any) -> None:
    """Cancel reservations.

    A reserved address is free after the cool-down of its subnet. An allocated one stays allocated, and its
    release leaves no reservation.
    """
    with state.open() as ipam:
        ended = ipam.cancel(addresses, **given(options))
    emit(state, ended, lambda page: _show(page, ended, "Cancelled"))


def _show(page: Page, done: Reservations, word: str) -> None:
    if not done.reservations:
        page.line("Nothing is reserved.")
        return
    show_allocations(page, done.reservations)
    listed = len(done.reservations)
    more = f", of which {listed} are listed" if listed < done.total else ""
    page.line(f"{word} {counted(done.total, 'address', 'addresses')}{more}.")
