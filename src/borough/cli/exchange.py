"""``borough import`` and ``borough export``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, Final

import click

from borough.cli.command import command
from borough.cli.options import any_scope_option, text_option
from borough.cli.output import Column, Page, counted, emit, scope_text
from borough.cli.state import GlobalOptions, pass_state
from borough.engine.exchange.foreign import SYSTEMS, read_foreign
from borough.engine.exchange.read import read_csv, read_json_lines
from borough.engine.exchange.write import FORMS
from borough.engine.imports import LISTED, Imported
from borough.errors import FixInput

#: Conflicts in words.
_REASONS: Final = {
    "held": "held by another owner",
    "cooling": "in its cool-down",
    "reserved": "reserved",
    "no_subnet": "in no subnet of its scope",
    "unusable": "never allocated in its subnet",
    "twice": "named twice",
}

_CONFLICTS: Final = (
    Column("address"),
    Column("scope", soft=True),
    Column("conflict", soft=True),
    Column("subnet", soft=True),
    Column("owner", soft=True),
    Column("host", soft=True),
)


def _open(path: str, stack: ExitStack) -> IO[str]:
    if path == "-":
        return sys.stdin
    try:
        return stack.enter_context(Path(path).open(encoding="utf-8-sig", newline=""))
    except OSError as error:
        raise FixInput(f"{path} cannot be read: {error.strerror}", path=path) from None


@command("import", example="borough import examples/addresses.csv --dry-run")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "jsonl"]),
    help="Format of the file, when its name does not end in .csv or .jsonl.",
)
@click.option(
    "--from",
    "system",
    type=click.Choice(SYSTEMS),
    help="The files are JSON of this system. Its prefixes are applied as a topology first.",
)
@click.option("--dry-run", is_flag=True, help="Only show what would be added.")
@click.pass_context
@pass_state
def import_(
    state: GlobalOptions,
    context: click.Context,
    files: tuple[str, ...],
    form: str | None,
    system: str | None,
    dry_run: bool,
) -> None:
    """Allocate addresses that are in use already.

    A CSV file has a header with address, and any of owner, host, scope, attributes (as JSON) and note.
    A file of JSON lines has objects with these fields. The subnet is found by the address. Addresses
    with a conflict are listed and left out, with exit code 1. An import that was interrupted is run again.
    A dash reads standard input.
    """
    total = Imported(dry_run=dry_run)
    with state.open() as ipam, ExitStack() as stack:
        if system is not None:
            found = read_foreign(system, [_open(path, stack).read() for path in files])
            if found.topology["subnets"]:
                ipam.apply(found.topology, dry_run=dry_run)
            total = ipam.import_allocations(found.entries, dry_run=dry_run)
        else:
            for path in files:
                entries = _entries(path, form, stack)
                total = total.and_then(ipam.import_allocations(entries, dry_run=dry_run))
    emit(state, total, lambda page: _show(page, total))
    context.exit(1 if total.refused else 0)


def _entries(path: str, form: str | None, stack: ExitStack) -> Iterator[dict[str, Any]]:
    chosen = form or {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}.get(
        Path(path).suffix.lower()
    )
    if chosen is None:
        raise click.UsageError(f"Name the format of {path} with --format.")
    lines = _open(path, stack)
    return read_csv(lines) if chosen == "csv" else read_json_lines(lines)


def _show(page: Page, total: Imported) -> None:
    rows: Sequence[Sequence[object]] = [
        (
            each.address,
            scope_text(each.scope),
            _REASONS[each.reason],
            each.subnet,
            each.owner,
            each.host,
        )
        for each in total.conflicts
    ]
    if rows:
        page.table(_CONFLICTS, rows)
    if total.refused > LISTED:
        page.line(f"The first {LISTED} of {total.refused} conflicts are listed.")
    verb = "Would import" if total.dry_run else "Imported"
    rest = [f"{counted(total.unchanged, 'address', 'addresses')} unchanged"] * bool(total.unchanged)
    rest += [counted(total.refused, "conflict")] * bool(total.refused)
    words = f"{verb} {counted(total.added, 'address', 'addresses')}"
    page.line(f"{'; '.join([words, *rest])}.")


@command("export", example="borough export --format csv")
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMS),
    default="csv",
    show_default=True,
    help="Address list (csv, jsonl), DNS records, hosts file, reservations of Kea or dnsmasq, inventory.",
)
@click.option("--zone", default="", metavar="ZONE", help="DNS zone of the names.")
@any_scope_option()
@text_option("--owner", "OWNER", "Only addresses of this owner.")
@text_option("--host", "HOST", "Only addresses on this host.")
@text_option("--subnet", "NAME", "Only addresses in this subnet.")
@pass_state
def export(state: GlobalOptions, /, form: str, zone: str, **filters: Any) -> None:
    """Write allocated addresses in the format of another program.

    `borough import` reads csv and jsonl back. Names are the attribute hostname, else the owner; addresses
    without a valid name are left out of dns, hosts and ansible. Reservations need the attribute mac.
    """
    with state.open() as ipam:
        for line in ipam.export(form, zone=zone, **filters):
            sys.stdout.write(line + "\n")
    sys.stdout.flush()
