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
    """Copy a database to another one, and verify the copy.

    Stop all writers of the source first. After an interruption run the command again: it resumes.
    """
    with progress_bar(state, "Copying") as progress:
        copied = borough.copy(source, target, progress)
    data = {
        "from": without_password(source),
        "to": without_password(target),
        "tables": copied.rows,
        "rows": sum(copied.rows.values()),
        "resumed": copied.resumed,
        "verified": True,
    }
    emit(state, data, lambda page: _show(page, copied, without_password(target)))


def _show(page: Page, copied: borough.Copied, target: str) -> None:
    page.line(f"Copied {counted(sum(copied.rows.values()), 'row')}, and verified every one.")
    page.line(f"Now use the new database: BOROUGH_DB={target}")
