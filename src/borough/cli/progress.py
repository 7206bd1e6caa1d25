"""Progress of long work, on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress

from borough.cli.state import GlobalOptions


def _is_shown(state: GlobalOptions) -> bool:
    return not state.json and sys.stderr.isatty()


@contextmanager
def spinner(state: GlobalOptions, text: str) -> Iterator[None]:
    """Show that work is under way."""
    if not _is_shown(state):
        yield
        return
    with Console(stderr=True, markup=False, emoji=False).status(text):
        yield


@contextmanager
def progress_bar(state: GlobalOptions, text: str) -> Iterator[Callable[[int, int], None] | None]:
    """Show the progress of work.

    :return: a function to call with (done, total); None without a terminal.
    """
    if not _is_shown(state):
        yield None
        return
    console = Console(stderr=True, markup=False, emoji=False)
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task(text, total=None)

        def advance(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        yield advance
