"""``borough usage``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from borough.cli.command import command
from borough.cli.options import gather, labels_option, scope_option, text_option
from borough.cli.output import Column, Page, emit, quantity
from borough.cli.state import State, pass_state
from borough.engine.views import Usage, total

_COLUMNS: Final = (
    Column("subnet", soft=True),
    Column("prefix"),
    Column("size", right=True),
    Column("allocated", right=True),
    Column("cooling", right=True),
    Column("free", right=True),
    Column("claimed", right=True),
    Column("used", right=True),
)


@command("usage", example="borough usage -l network=pods")
@labels_option("A label of the group; of several values any matches.")
@text_option("--host", "HOST", "The group as this host sees it.")
@scope_option()
@pass_state
def usage(state: State, labels: tuple[tuple[str, str], ...], host: str | None, scope: str) -> None:
    """Say how full the subnets of a group are.

    They stand in the order in which the group uses them. Without labels and host: all subnets of
    the scope. "free" counts all free addresses, "claimed" those of them that lie in a block that
    some host has claimed.
    """
    with state.open() as ipam:
        lines = ipam.usage(labels=gather(labels), host=host, scope=scope)
    totals = [
        total(f"IPv{family} in all", family, [line for line in lines if line.family == family])
        for family in sorted({line.family for line in lines})
    ]
    data = {
        "subnets": [line.as_json() for line in lines],
        "totals": [
            {
                name: value
                for name, value in each.as_json().items()
                if name not in ("name", "prefix")
            }
            for each in totals
        ],
    }
    emit(state, data, lambda page: _show(page, lines, totals))


def _show(page: Page, lines: Sequence[Usage], totals: Sequence[Usage]) -> None:
    if not lines:
        page.line("No subnets.")
        return
    page.table(_COLUMNS, [_row(line) for line in (*lines, *totals)])


def share(used: int, size: int) -> str:
    """How much of something is used, never rounded to nothing or to all."""
    if not size:
        return ""
    text = f"{used / size:.1%}"
    if used and text == "0.0%":
        return "<0.1%"
    return ">99.9%" if used < size and text == "100.0%" else text


def _row(line: Usage) -> tuple[object, ...]:
    used = line.allocated + line.cooling
    return (
        line.name,
        line.prefix,
        quantity(line.size),
        line.allocated,
        line.cooling or "",
        quantity(line.free),
        quantity(line.claimed_free),
        share(used, line.size),
    )
