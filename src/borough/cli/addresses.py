"""The table of allocations that several commands print."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from borough.cli.output import Column, Page, scope_text
from borough.cli.state import GlobalOptions
from borough.engine.views import Allocation

_COLUMNS: Final = (
    Column("address"),
    Column("subnet", soft=True),
    Column("scope", soft=True),
    Column("host", soft=True),
    Column("owner", soft=True),
    Column("block"),
    Column("state"),
    Column("gateway"),
    Column("note", soft=True),
)


def show_allocations(page: Page, allocations: Sequence[Allocation]) -> None:
    """Print a table; the default scope and the state ``allocated`` are left blank."""
    page.table(
        _COLUMNS,
        [
            (
                f"{each.address}/{each.prefix_length}",
                each.subnet,
                scope_text(each.scope),
                each.host,
                ", ".join(each.sharers) or each.owner,
                block_text(each),
                "" if each.state == "allocated" else each.state,
                each.gateway,
                each.note,
            )
            for each in allocations
        ],
    )


def show_warnings(state: GlobalOptions, warnings: Sequence[str]) -> None:
    """Print warnings on standard error; an answer for programs has them itself."""
    page = Page(error=True)
    for warning in () if state.json else warnings:
        page.line(f"Warning: {warning}", hang=2)


def block_text(allocation: Allocation) -> str:
    """The block of an address, marked when another host has claimed it."""
    return (allocation.block or "") + (" (borrowed)" if allocation.borrowed else "")
