"""``borough list``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any, Final

import click

from borough.cli.addresses import show_allocations
from borough.cli.command import Family, command
from borough.cli.history import show_events
from borough.cli.options import (
    any_scope_option,
    attribute_option,
    attributes_of,
    gather,
    labels_option,
    page_options,
    text_option,
    words,
)
from borough.cli.output import (
    Column,
    Page,
    emit,
    labels_text,
    quantity,
    ranges_text,
    scope_text,
)
from borough.cli.rows import emit_rows
from borough.cli.state import GlobalOptions, pass_state
from borough.domain.space.allocations import State
from borough.engine.address_lines import LINES, AddressLine
from borough.engine.queries import each_page


@click.group("list", cls=Family)
def list_() -> None:
    """List declared objects, allocations, blocks and events."""


def _answer(
    state: GlobalOptions,
    what: str,
    data: Sequence[object],
    columns: Sequence[Column],
    rows: Sequence[Sequence[object]],
    more: Mapping[str, object] | None = None,
) -> None:
    """Print a complete list.

    :param more: further data for programs.
    """

    def show(page: Page) -> None:
        if rows:
            page.table(columns, rows)
        else:
            page.line(f"No {what}.")

    emit(state, {what: data, **(more or {})}, show)


_SUBNETS: Final = (
    Column("name", soft=True),
    Column("prefix"),
    Column("scope", soft=True),
    Column("gateway"),
    Column("labels", soft=True),
    Column("ranges", soft=True),
    Column("weight", right=True),
    Column("pool", soft=True),
    Column("project", soft=True),
    Column("topology", soft=True),
)


@command("subnets", example="borough list subnets -l network=pods")
@labels_option("Only those with this label; of several values any matches.")
@any_scope_option()
@pass_state
def subnets(state: GlobalOptions, labels: tuple[tuple[str, str], ...], scope: str | None) -> None:
    """List subnets by scope and address."""
    with state.open() as ipam:
        found = ipam.subnets(labels=gather(labels), scope=scope)
    rows = [
        (
            each.name,
            each.prefix,
            scope_text(each.scope),
            each.gateway,
            labels_text(each.labels),
            "closed" if each.closed else ranges_text(each),
            each.weight or "",
            each.pool,
            each.project,
            each.source,
        )
        for each in found
    ]
    _answer(state, "subnets", found, _SUBNETS, rows)


@command("allocations", example="borough list allocations --owner web-1")
@any_scope_option()
@text_option("--owner", "OWNER", "Only those of this owner.")
@text_option("--host", "HOST", "Only those on this host.")
@text_option("--subnet", "NAME", "Only those in this subnet.")
@click.option(
    "--state",
    type=click.Choice(list(State)),
    help="Only those in this state: held, resting after a release, or kept for an owner.",
)
@attribute_option("Only those with this attribute.")
@page_options("sequence number")
@pass_state
def allocations(
    state: GlobalOptions,
    /,
    limit: int | None,
    attributes: tuple[tuple[str, str], ...],
    **filters: Any,
) -> None:
    """List allocations by sequence number, page by page.

    Released addresses in their cool-down are included.
    """
    filters["attributes"] = attributes_of(attributes)
    most = None if limit is None else limit + 1
    with state.open() as ipam:
        emit_rows(
            state,
            "allocations",
            ipam.each_allocation(limit=most, **filters),
            limit,
            number=attrgetter("sequence"),
            table=show_allocations,
        )


_ADDRESSES: Final = (
    Column("address"),
    Column("state"),
    Column("owner", soft=True),
    Column("host", soft=True),
    Column("note", soft=True),
)

#: The words for the states of an address that nobody holds.
_UNHELD: Final = {"free": "free", "by_name": "free by name", "never": "never allocated"}


@command("addresses", example="borough list addresses pods-a")
@click.argument("subnet", metavar="SUBNET", type=words)
@text_option("--after", "ADDRESS", "Only addresses behind this one: to go on after a page.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    metavar="N",
    default=LINES,
    show_default=True,
    help="At most this many lines.",
)
@pass_state
def addresses(state: GlobalOptions, subnet: str, after: str | None, limit: int) -> None:
    """List the addresses of a subnet in order.

    Each held address is a line. All others are ranges. Only a request that names an address gets one that is
    "free by name".
    """
    with state.open() as ipam:
        found = ipam.addresses(subnet, after=after, limit=limit)
    rows = [_line(each) for each in found]
    _answer(state, "addresses", found, _ADDRESSES, rows)


def _line(each: AddressLine) -> tuple[object, ...]:
    if each.allocation is None:
        ends = each.first if each.first == each.last else f"{each.first}-{each.last}"
        return (ends, _UNHELD[each.state], "", "", "")
    held = each.allocation
    return (each.first, each.state, held.owner, held.host, held.note)


_BLOCKS: Final = (
    Column("block"),
    Column("subnet", soft=True),
    Column("scope", soft=True),
    Column("claimed by", soft=True),
    Column("region"),
    Column("borrowed from", soft=True),
    Column("size", right=True),
    Column("free", right=True),
    Column("borrowed", soft=True),
)


@command("blocks", example="borough list blocks --host node-1")
@text_option("--host", "HOST", "Only those that this host has claimed.")
@text_option("--subnet", "NAME", "Only those of this subnet.")
@pass_state
def blocks(state: GlobalOptions, host: str | None, subnet: str | None) -> None:
    """List blocks with their holders, free addresses and borrowers.

    The holder advertises a region as one prefix. A large region is several blocks.
    """
    with state.open() as ipam:
        found = ipam.blocks(host=host, subnet=subnet)
    rows = [
        (
            each.prefix,
            each.subnet,
            scope_text(each.scope),
            each.holder,
            each.region if each.holder else "",
            f"{each.lender}'s {each.lent_from}" if each.lender else "",
            each.size,
            each.free,
            ", ".join(
                f"{address} ({host or 'no host'})" for address, host in each.borrowers.items()
            ),
        )
        for each in found
    ]
    _answer(state, "blocks", found, _BLOCKS, rows)


_HOSTS: Final = (
    Column("host", soft=True),
    Column("labels", soft=True),
    Column("claims", soft=True),
    Column("topology", soft=True),
)


@command("hosts", example="borough list hosts")
@pass_state
def hosts(state: GlobalOptions) -> None:
    """List the hosts, their labels and settings of claims.

    These are the declared hosts, and undeclared ones that hold an address or claim a block.
    """
    with state.open() as ipam:
        found, undeclared = ipam.hosts(), ipam.undeclared_hosts()
    rows = [
        (
            each.name,
            labels_text(each.labels),
            " ".join(f"{name}={value}" for name, value in sorted(each.claims.items())),
            each.source,
        )
        for each in found
    ]
    rows += [(name, "", "", "not declared") for name in undeclared]
    _answer(state, "hosts", found, _HOSTS, rows, {"undeclared": undeclared})


_DIMENSIONS: Final = (
    Column("rank", right=True),
    Column("dimension", soft=True),
    Column("fallback"),
    Column("claims blocks"),
    Column("declared only"),
)


@command("dimensions", example="borough list dimensions")
@pass_state
def dimensions(state: GlobalOptions) -> None:
    """List the dimensions in order of importance."""
    with state.open() as ipam:
        found = ipam.dimensions()
    rows = [
        (
            each.rank,
            each.name,
            each.fallback.value,
            "yes" if each.claims else "no",
            "yes" if each.declared else "",
        )
        for each in found
    ]
    _answer(state, "dimensions", found, _DIMENSIONS, rows)


_POOLS: Final = (
    Column("pool", soft=True),
    Column("subnets", right=True),
    Column("size", right=True),
    Column("used", right=True),
    Column("free", right=True),
    Column("largest free", right=True),
    Column("used of the quota", soft=True),
)


@command("pools", example="borough list pools")
@pass_state
def pools(state: GlobalOptions) -> None:
    """List pools and their usage."""
    with state.open() as ipam:
        found = ipam.pools()
    rows = [
        (
            each.name,
            each.subnets,
            quantity(each.size),
            quantity(each.used),
            quantity(each.free),
            "none" if each.largest_free_length is None else f"/{each.largest_free_length}",
            ", ".join(
                f"{project or '(no project)'}: {quantity(units)}"
                for project, units in each.quota_used.items()
            ),
        )
        for each in found
    ]
    _answer(state, "pools", found, _POOLS, rows)


@command("free", example="borough list free nodes --length 28")
@click.argument("pool", metavar="POOL", type=words)
@click.option(
    "--length", type=int, metavar="N", help="Only those that a subnet of this length fits in."
)
@pass_state
def free(state: GlobalOptions, pool: str, length: int | None) -> None:
    """List the largest free prefixes of a pool."""
    with state.open() as ipam:
        found = ipam.free_prefixes(pool, prefix_length=length)
    _answer(state, "prefixes", found, (Column("prefix"),), [(each,) for each in found])


@command("events", example="borough list events --limit 20")
@labels_option("Only events of subnets that had these labels at the time.")
@page_options("id")
@pass_state
def events(
    state: GlobalOptions, labels: tuple[tuple[str, str], ...], after: int, limit: int | None
) -> None:
    """List the audit trail, oldest first, page by page."""
    most = None if limit is None else limit + 1
    with state.open() as ipam:
        emit_rows(
            state,
            "events",
            each_page(
                ipam.events, attrgetter("id"), after=after, limit=most, labels=gather(labels)
            ),
            limit,
            number=attrgetter("id"),
            table=show_events,
        )


for _command in (subnets, allocations, addresses, blocks, hosts, dimensions, pools, free, events):
    list_.add_command(_command)
