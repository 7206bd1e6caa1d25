"""Allocations for people, as every command shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from borough.cli.output import Column, Page
from borough.engine.views import Allocation

_COLUMNS: Final = (
    Column("address"),
    Column("subnet", soft=True),
    Column("scope", soft=True),
    Column("host", soft=True),
    Column("owner", soft=True),
    Column("block"),
    Column("state"),
    Column("sequence", right=True),
    Column("note", soft=True),
)


def show_allocations(page: Page, allocations: Sequence[Allocation]) -> None:
    """Print a table; what is usual (the default scope, being held) is not said."""
    page.table(
        _COLUMNS,
        [
            (
                f"{each.address}/{each.prefix_length}",
                each.subnet,
                "" if each.scope == "default" else each.scope,
                each.host,
                each.owner,
                block_text(each),
                "" if each.state == "allocated" else each.state,
                each.sequence,
                each.note,
            )
            for each in allocations
        ],
    )


def block_text(allocation: Allocation) -> str:
    """The block that an address lies in, and whether it is somebody else's."""
    return (allocation.block or "") + (" (borrowed)" if allocation.borrowed else "")
