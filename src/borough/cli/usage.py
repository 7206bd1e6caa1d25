"""``borough usage``."""

from __future__ import annotations

from typing import Final

from borough.cli.command import command
from borough.cli.options import gather, labels_option, scope_option, text_option
from borough.cli.output import Column, Page, emit, quantity
from borough.cli.state import GlobalOptions, pass_state
from borough.engine.summaries import GroupUsage, Total
from borough.engine.views import Usage

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
@text_option("--host", "HOST", "Use the labels and the order of preference of this host.")
@scope_option()
@pass_state
def usage(
    state: GlobalOptions, labels: tuple[tuple[str, str], ...], host: str | None, scope: str
) -> None:
    """Show the usage of the subnets of a group.

    They are in order of preference. Without labels and host, all subnets of the scope are shown. "free"
    counts all free addresses, "claimed" the free addresses in claimed blocks.
    """
    with state.open() as ipam:
        lines = ipam.usage(labels=gather(labels), host=host, scope=scope)
    found = GroupUsage.of(lines)
    emit(state, found, lambda page: _show(page, found))


def _show(page: Page, found: GroupUsage) -> None:
    if not found.subnets:
        page.line("No subnets.")
        return
    rows = [_row(line, line.name, line.prefix) for line in found.subnets]
    rows += [_row(each, f"IPv{each.family} in all", "") for each in found.totals]
    page.table(_COLUMNS, rows)


def share(used: int, size: int) -> str:
    """The used share in per cent; only none is 0 %, and only all is 100 %."""
    if not size:
        return ""
    text = f"{used / size:.1%}"
    if used and text == "0.0%":
        return "<0.1%"
    return ">99.9%" if used < size and text == "100.0%" else text


def _row(line: Usage | Total, name: str, prefix: str) -> tuple[object, ...]:
    used = line.allocated + line.cooling
    return (
        name,
        prefix,
        quantity(line.size),
        line.allocated,
        line.cooling or "",
        quantity(line.free),
        quantity(line.claimed_free),
        share(used, line.size),
    )
