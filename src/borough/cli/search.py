"""``borough search``."""

from __future__ import annotations

import click

from borough.cli.addresses import show_allocations
from borough.cli.command import command
from borough.cli.options import words
from borough.cli.output import Page, emit
from borough.cli.state import GlobalOptions, pass_state
from borough.engine.search import LISTED, SearchResult, search_all


@command("search", example="borough search web-1")
@click.argument("text", metavar="TEXT", type=words)
@click.option(
    "--limit",
    type=click.IntRange(1, 1000),
    metavar="N",
    default=LISTED,
    show_default=True,
    help="Most lines of each kind.",
)
@pass_state
def search(state: GlobalOptions, text: str, limit: int) -> None:
    """Find subnets, hosts and addresses of all scopes.

    TEXT is any part of a name, a label, a note or an attribute, an address, a prefix, the beginning of an
    IPv4 address, or a MAC address.
    """
    with state.open() as ipam:
        found = search_all(ipam.search, text, limit)
    emit(state, found, lambda page: _show(page, found))


def _show(page: Page, found: SearchResult) -> None:
    for each in found.subnets:
        page.line(f"subnet  {each.name} ({each.prefix}) in scope {each.scope}")
    for name in found.hosts:
        page.line(f"host    {name}")
    more = found.subnet_count - len(found.subnets) + found.host_count - len(found.hosts)
    if more:
        page.line(f"and {more} more subnets and hosts")
    if found.allocations:
        show_allocations(page, found.allocations)
    elif not found.subnets and not found.hosts:
        page.line("Nothing found.")
    if found.next is not None:
        page.line("There are more addresses: --limit shows them.")
