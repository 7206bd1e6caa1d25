"""``borough copy``."""

from __future__ import annotations

import click

import borough
from borough.cli.command import command
from borough.cli.output import Page, counted, emit
from borough.cli.progress import progress_bar
from borough.cli.state import GlobalOptions, pass_state
from borough.store.sql.dialects.hosts import without_password


@command(
    "copy",
    example="borough copy --from sqlite:///borough.db --to sqlite:///copy.db",
)
@click.option("--from", "source", required=True, metavar="URL", help="The database as it is.")
@click.option("--to", "target", required=True, metavar="URL", help="An empty database.")
@pass_state
def copy(state: GlobalOptions, source: str, target: str) -> None:
    """Carry a database over to another one, and verify it.

    Stop whatever writes to the source first. When it is interrupted, run it again: it goes on where it was.
    """
    with progress_bar(state, "Moving") as progress:
        moved = borough.copy(source, target, progress)
    data = {
        "from": without_password(source),
        "to": without_password(target),
        "tables": moved.rows,
        "rows": sum(moved.rows.values()),
        "resumed": moved.resumed,
        "verified": True,
    }
    emit(state, data, lambda page: _show(page, moved, without_password(target)))


def _show(page: Page, moved: borough.Copied, target: str) -> None:
    page.line(f"Moved {counted(sum(moved.rows.values()), 'row')}, and verified every one.")
    page.line(f"From now on name the new database: BOROUGH_DB={target}")
