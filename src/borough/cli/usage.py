"""``borough usage``."""

from __future__ import annotations

from typing import Final

from borough.cli.command import command
from borough.cli.options import any_scope_option, gather, labels_option, text_option
from borough.cli.output import Column, Page, emit, quantity, scope_text
from borough.cli.state import GlobalOptions, pass_state
from borough.engine.summaries import GroupUsage, Total
from borough.engine.views import Usage

_COLUMNS: Final = (
    Column("subnet", soft=True),
    Column("prefix"),
    Column("scope", soft=True),
    Column("size", right=True),
    Column("used", right=True),
    Column("used %", right=True),
    Column("free", right=True),
    Column("claimed", right=True),
    Column("cooling", right=True),
    Column("reserved", right=True),
    Column("outside", right=True),
)


@command("usage", example="borough usage -l network=pods")
@labels_option("Only subnets with this label; of several values any matches.")
@text_option("--host", "HOST", "The subnets for requests on this host, in order of preference.")
@any_scope_option()
@pass_state
def usage(
    state: GlobalOptions,
    labels: tuple[tuple[str, str], ...],
    host: str | None,
    scope: str | None,
) -> None:
    """Show how full subnets are.

    "size" counts the addresses of the ranges, "used" those that are not free, "claimed" the free ones in
    claimed blocks. "outside" counts allocations outside the ranges.
    """
    with state.open() as ipam:
        lines = ipam.usage(labels=gather(labels), host=host, scope=scope)
    found = GroupUsage.of(lines)
    emit(state, found, lambda page: _show(page, found))


def _show(page: Page, found: GroupUsage) -> None:
    if not found.subnets:
        page.line("No subnets.")
        return
    rows = [_row(line, line.name, line.prefix, line.scope) for line in found.subnets]
    rows += [_row(each, f"IPv{each.family} in all", "", "") for each in found.totals]
    page.table(_COLUMNS, rows)


def share(used: int, size: int) -> str:
    """The used share in per cent; only none is 0 %, and only all is 100 %."""
    if not size:
        return ""
    text = f"{used / size:.1%}"
    if used and text == "0.0%":
        return "<0.1%"
    return ">99.9%" if used < size and text == "100.0%" else text


def _row(line: Usage | Total, name: str, prefix: str, scope: str) -> tuple[object, ...]:
    return (
        name,
        prefix,
        scope_text(scope),
        quantity(line.size),
        quantity(line.used),
        share(line.used, line.size),
        quantity(line.free),
        quantity(line.claimed_free),
        line.cooling or "",
        line.reserved or "",
        line.outside or "",
    )
