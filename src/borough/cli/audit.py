"""``borough audit``."""

from __future__ import annotations

from typing import Final

import click

from borough.cli.command import command
from borough.cli.output import Column, Page, counted, emit
from borough.cli.progress import progress_bar
from borough.cli.state import GlobalOptions, pass_state
from borough.engine.summaries import Audited

_COLUMNS: Final = (
    Column("subnet", soft=True),
    Column("subject", soft=True),
    Column("finding", soft=True),
    Column("code", soft=True),
    Column("repaired"),
)


@command("audit", example="borough audit --repair")
@click.option("--repair", is_flag=True, help="Repair the findings.")
@click.pass_context
@pass_state
def audit(state: GlobalOptions, context: click.Context, repair: bool) -> None:
    """Find contradictions in the database, and repair them on request.

    Settings of the server that may lose acknowledged changes are findings too; no repair corrects these.
    The exit code is 0 when no finding is left, and 1 otherwise.
    """
    with state.open() as ipam, progress_bar(state, "Auditing") as progress:
        found = ipam.audit(repair=repair, progress=progress)
    audited = Audited.of(found)
    emit(state, audited, lambda page: _show(page, audited, repair=repair))
    context.exit(0 if audited.clean else 1)


def _show(page: Page, audited: Audited, *, repair: bool) -> None:
    found, left = audited.findings, audited.left
    if not found:
        page.line("No findings: the tables agree with each other.")
        return
    page.table(
        _COLUMNS,
        [
            (each.subnet, each.subject, each.message, each.code, "yes" if each.repaired else "no")
            for each in found
        ],
    )
    page.line(f"{counted(len(found), 'finding')}, {audited.repaired} repaired, {left} left.")
    if left and not repair:
        page.line("Run `borough audit --repair` to repair them.")
