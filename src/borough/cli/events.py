"""``borough events``: pruning of the audit trail."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

import click

from borough.cli.command import Family, command
from borough.cli.options import span
from borough.cli.output import counted, emit, to_json
from borough.cli.state import GlobalOptions, pass_state
from borough.domain.space.events import Event
from borough.engine.events import ago
from borough.engine.events import prune as prune_trail
from borough.errors import NeedsOperator


@click.group("events", cls=Family)
def events() -> None:
    """Prune the audit trail; `borough list events` shows it."""


@contextmanager
def _archive(path: str) -> Iterator[Callable[[Sequence[Event]], None]]:
    """Append events to a file, one JSON document a line, each time synced to the disk.

    :raises NeedsOperator: the file cannot be written.
    """
    try:
        # Readable by its owner only, like a database file: it names owners and hosts.
        number = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(number, "a", encoding="utf-8") as file:
            # The name of a new file is on the disk only after its folder is synced.
            _sync(Path(path).absolute().parent)

            def add(found: Sequence[Event]) -> None:
                file.writelines(to_json(each, indent=None) + "\n" for each in found)
                file.flush()
                os.fsync(file.fileno())

            yield add
    except OSError as error:
        raise NeedsOperator(f"{path} cannot be written: {error.strerror}", path=path) from None


def _sync(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


@command("prune", example="borough events prune --older-than 90d --archive events.jsonl")
@click.option(
    "--older-than",
    type=span,
    metavar="TIME",
    required=True,
    help="Least age of the events to remove: 90d, 12h, 30m. From the first younger one on, all are kept.",
)
@click.option(
    "--archive",
    metavar="FILE",
    help="Append the events to this file first, as JSON lines.",
)
@pass_state
def prune(state: GlobalOptions, older_than: int, archive: str | None) -> None:
    """Remove old events.

    Each transaction removes a few thousand. The newest event stays. A reader that goes on after an older
    event than those removed gets the error events_pruned. An interrupted run may have archived events that
    the next run archives again.
    """
    with state.open() as ipam, nullcontext() if archive is None else _archive(archive) as keep:
        count = prune_trail(ipam, ago(older_than), keep)
    emit(state, {"pruned": count}, lambda page: page.line(f"Pruned {counted(count, 'event')}."))


events.add_command(prune)
