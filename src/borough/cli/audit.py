"""``borough audit``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import click

from borough.cli.command import command
from borough.cli.output import Column, Page, counted, emit
from borough.cli.progress import progress_bar
from borough.cli.state import State, pass_state
from borough.engine.audit import Finding

_COLUMNS: Final = (
    Column("subnet", soft=True),
    Column("subject", soft=True),
    Column("what is wrong", soft=True),
    Column("code", soft=True),
    Column("repaired"),
)


@command("audit", example="borough audit --repair")
@click.option("--repair", is_flag=True, help="Mend what is found.")
@click.pass_context
@pass_state
def audit(state: State, context: click.Context, repair: bool) -> None:
    """Find, and mend, where the database contradicts itself.

    Tells as well by which settings its server may lose what it acknowledged, which no repair mends.
    Exits with 0 when nothing is wrong any more, with 1 when something is.
    """
    with state.open() as ipam, progress_bar(state, "Auditing") as progress:
        found = ipam.audit(repair=repair, progress=progress)
    left = sum(not each.repaired for each in found)
    data = {
        "clean": not left,
        "findings": [each.as_json() for each in found],
        "repaired": len(found) - left,
        "left": left,
    }
    emit(state, data, lambda page: _show(page, found, left, repair=repair))
    context.exit(1 if left else 0)


def _show(page: Page, found: Sequence[Finding], left: int, *, repair: bool) -> None:
    if not found:
        page.line("Nothing is wrong: the tables agree with each other.")
        return
    page.table(
        _COLUMNS,
        [
            (each.subnet, each.subject, each.message, each.code, "yes" if each.repaired else "no")
            for each in found
        ],
    )
    page.line(f"{counted(len(found), 'finding')}, {len(found) - left} repaired, {left} left.")
    if left and not repair:
        page.line("Run `borough audit --repair` to mend what can be mended.")
