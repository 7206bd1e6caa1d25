"""``borough reconcile``."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

import click

from borough.cli.addresses import show_allocations
from borough.cli.command import command
from borough.cli.options import any_scope_option, span, text_option
from borough.cli.output import Page, counted, emit
from borough.cli.state import GlobalOptions, pass_state
from borough.domain.encode import rfc3339
from borough.engine.owners import Reconciled
from borough.errors import FixInput, NeedsOperator


@command(
    "reconcile",
    example="borough reconcile --owners examples/owners.txt --state owners.json --dry-run",
)
@click.option("--owners", metavar="FILE", required=True, help="Living owners, one a line.")
@click.option(
    "--state",
    "path",
    metavar="FILE",
    required=True,
    help="File that keeps what a check missed, for the next check.",
)
@click.option(
    "--grace",
    type=span,
    metavar="TIME",
    default="1h",
    show_default=True,
    help="Least time between the two checks that miss an owner: 90d, 12h, 30m.",
)
@text_option("--owner-prefix", "TEXT", "Only owners whose name begins so.")
@any_scope_option()
@click.option("--dry-run", is_flag=True, help="Only show what would be released.")
@pass_state
def reconcile(
    state: GlobalOptions,
    owners: str,
    path: str,
    grace: int,
    owner_prefix: str | None,
    scope: str | None,
    dry_run: bool,
) -> None:
    """Release addresses of owners that no longer live.

    The owners of all addresses are compared with a list. An address is released when two checks, a grace
    period apart, miss its owner and it was not allocated anew in between. Run it from a timer. A dash reads
    the list from standard input.
    """
    living = {line.strip() for line in _read(owners).splitlines() if line.strip()}
    before = _missing(path)
    with state.open() as ipam:
        found = ipam.reconcile_owners(
            living,
            before,
            grace=timedelta(seconds=grace),
            owner_prefix=owner_prefix,
            scope=scope,
            dry_run=dry_run,
        )
    if not dry_run:
        _keep(path, found.missing)
    emit(state, found, lambda page: _show(page, found))


def _read(path: str) -> str:
    if path == "-":
        return sys.stdin.read()
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise FixInput(f"{path} cannot be read: {error.strerror}", path=path) from None


def _missing(path: str) -> dict[int, datetime]:
    if not Path(path).exists():
        return {}
    try:
        found = json.loads(_read(path))
        return {int(sequence): datetime.fromisoformat(at) for sequence, at in found.items()}
    except (ValueError, TypeError, AttributeError):
        raise FixInput(
            f"{path} was not written by an earlier check; name another file", path=path
        ) from None


def _keep(path: str, missing: Mapping[int, datetime]) -> None:
    """Replace the state file as a whole: a check that is interrupted leaves the old one."""
    text = json.dumps({str(sequence): rfc3339(at) for sequence, at in missing.items()})
    fresh = Path(f"{path}.new")
    try:
        fresh.write_text(text + "\n", encoding="utf-8")
        os.replace(fresh, path)  # noqa: PTH105  (Path.replace hides that it is atomic)
    except OSError as error:
        raise NeedsOperator(f"{path} cannot be written: {error.strerror}", path=path) from None


def _show(page: Page, found: Reconciled) -> None:
    if found.released:
        show_allocations(page, found.released)
    verb = "Would release" if found.dry_run else "Released"
    page.line(
        f"{verb} {counted(len(found.released), 'address', 'addresses')}; "
        f"{counted(len(found.waiting), 'address waits', 'addresses wait')} for the next check."
    )
