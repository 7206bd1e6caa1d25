"""``borough man``."""

from __future__ import annotations

from pathlib import Path

import click

from borough.cli.command import command
from borough.cli.output import Page, counted, emit
from borough.cli.state import GlobalOptions, pass_state
from borough.errors import NeedsOperator


@command("man", example="borough man man1")
@click.argument("folder", metavar="FOLDER")
@pass_state
def man(state: GlobalOptions, folder: str) -> None:
    """Write the manual pages of all commands.

    The folder is made if it does not exist. For `man borough-allocate`, name a folder man1 that man searches,
    such as /usr/local/share/man/man1.
    """
    from borough.cli.manual import pages

    names = []
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        for name, text in pages():
            (Path(folder) / name).write_text(text, encoding="utf-8")
            names.append(name)
    except OSError as error:
        raise NeedsOperator(f"{folder} cannot be written: {error.strerror}", path=folder) from None

    def show(page: Page) -> None:
        page.line(f"Wrote {counted(len(names), 'page')} to {folder}.")

    emit(state, {"folder": folder, "pages": names}, show)
