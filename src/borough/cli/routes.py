"""``borough routes``."""

from __future__ import annotations

from typing import Final

import click

from borough.cli.command import command
from borough.cli.options import text_option
from borough.cli.output import Column, Page, counted, emit
from borough.cli.state import State, pass_state
from borough.engine.views import Route

_COLUMNS: Final = (Column("host", soft=True), Column("scope", soft=True), Column("prefix"))


@command("routes", example="borough routes --host node-1")
@text_option("--host", "HOST", "Only those of this host.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json"]),
    metavar="table|json",
    default="table",
    show_default=True,
    help="How to print them.",
)
@pass_state
def routes(state: State, host: str | None, form: str) -> None:
    """List the fewest prefixes that hosts must advertise.

    They cover exactly what each host has claimed or holds.
    """
    state.json = state.json or form == "json"
    with state.open() as ipam:
        found = ipam.routes(host)
    emit(state, {"routes": [each.as_json() for each in found]}, lambda page: _show(page, found))


def _show(page: Page, found: list[Route]) -> None:
    if not found:
        page.line("No routes.")
        return
    page.table(
        _COLUMNS,
        [(each.host, "" if each.scope == "default" else each.scope, each.prefix) for each in found],
    )
    hosts = counted(len({each.host for each in found}), "host")
    page.line(f"{counted(len(found), 'route')} of {hosts}.")
