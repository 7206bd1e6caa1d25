"""``borough edit`` and ``borough transfer``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from borough.cli.addresses import show_allocations
from borough.cli.command import command
from borough.cli.options import (
    any_scope_option,
    attribute_option,
    attributes_of,
    scope_option,
    text_option,
    words,
)
from borough.cli.output import Page, counted, emit
from borough.cli.progress import spinner
from borough.cli.state import GlobalOptions, pass_state


@command("edit", example="borough edit 10.64.0.1 --owner web-2 --attribute tier=front")
@click.argument("address", metavar="ADDRESS", type=words)
@text_option("--owner", "OWNER", "The new owner.")
@text_option("--note", "TEXT", "The new note, on one line.")
@attribute_option("Value to set; other attributes stay.")
@click.option(
    "--remove",
    type=click.Choice(["owner", "note"]),
    multiple=True,
    help="Leave the address without an owner, or without a note.",
)
@click.option(
    "--remove-attribute",
    type=words,
    metavar="NAME",
    multiple=True,
    help="Attribute to remove. Again for more.",
)
@click.option(
    "--sequence",
    type=int,
    metavar="N",
    help="Only while the address has this sequence number, and so not after it was allocated anew.",
)
@scope_option("Address space (VRF) of the address.")
@pass_state
def edit(state: GlobalOptions, /, **options: Any) -> None:
    """Change owner, note and attributes of a held address.

    The address, its host, its claim and its sequence number stay.
    """
    with state.open() as ipam:
        edited = ipam.edit(**_values(options))

    def show(page: Page) -> None:
        page.line(f"{edited.address} is edited.")
        show_allocations(page, [edited])

    emit(state, {"allocation": edited}, show)


def _values(options: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of :meth:`borough.engine.face.Face.edit` for the options of the command."""
    made = dict(options)
    for name in made.pop("remove"):
        if made[name] is not None:
            raise click.UsageError(f"Use only one of --{name} and --remove {name}.")
        made[name] = ""
    attributes: dict[str, str | None] = {**attributes_of(made["attributes"])}
    for name in made.pop("remove_attribute"):
        if name in attributes:
            raise click.UsageError(f"Attribute {name} is set and removed.")
        attributes[name] = None
    return made | {"attributes": attributes}


@command("transfer", example="borough transfer web-1 web-2")
@click.argument("owner", metavar="OWNER", type=words)
@click.argument("to", metavar="NEW", type=words)
@any_scope_option()
@pass_state
def transfer(state: GlobalOptions, owner: str, to: str, scope: str | None) -> None:
    """Transfer all addresses of an owner to another owner.

    They change in pieces of 2,000 addresses. After an interruption, run the command again. Addresses that
    cool down stay with the owner that released them.
    """
    with state.open() as ipam, spinner(state, "Transferring addresses"):
        done = ipam.transfer(owner, to, scope=scope)

    def show(page: Page) -> None:
        addresses = counted(done.total, "address", "addresses")
        page.line(f"Transferred {addresses} of {owner} to {to}.")

    emit(state, {"transferred": done.total}, show)
