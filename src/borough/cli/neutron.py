"""``borough neutron``: Borough as the IPAM driver of OpenStack Neutron."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from borough.cli.command import Family, command
from borough.cli.output import Column, Page, counted, emit
from borough.cli.progress import progress_bar
from borough.cli.state import GlobalOptions, pass_state
from borough.errors import FixInput, NeedsOperator

if TYPE_CHECKING:
    from borough.neutron.commands.database import Database
    from borough.neutron.commands.reconcile import Report


def _config_file(function: Callable[..., None]) -> Callable[..., None]:
    return click.option(
        "--config-file",
        "files",
        metavar="FILE",
        multiple=True,
        required=True,
        help="Neutron's configuration, which names its database; may be given several times.",
    )(function)


def _dry_run(function: Callable[..., None]) -> Callable[..., None]:
    return click.option("--dry-run", is_flag=True, help="Report the changes, and make none.")(
        function
    )


def _open(files: tuple[str, ...]) -> Database:
    try:
        from borough.neutron.commands.database import Database
    except ModuleNotFoundError as error:
        raise FixInput(
            f"this command needs the module {error.name}; run it in Neutron's environment, after: "
            "pip install 'borough[neutron]'"
        ) from error
    return Database.configured(files)


@click.group("neutron", cls=Family)
def neutron() -> None:
    """Manage Borough as the IPAM driver of OpenStack Neutron."""


@command("upgrade", example="borough neutron upgrade --config-file /etc/neutron/neutron.conf")
@_config_file
@pass_state
def upgrade(state: GlobalOptions, files: tuple[str, ...]) -> None:
    """Create Borough's tables in Neutron's database, or upgrade them.

    Their names begin with borough_. The command does not change Neutron's own tables.
    """
    done = _open(files).upgrade()
    text = "Created Borough's tables in" if done else "Nothing to do, Borough's tables are ready in"
    emit(state, {"changed": done}, lambda page: page.line(f"{text} Neutron's database."))


@command("adopt", example="borough neutron adopt --config-file /etc/neutron/neutron.conf --dry-run")
@_config_file
@_dry_run
@pass_state
def adopt(state: GlobalOptions, files: tuple[str, ...], dry_run: bool) -> None:
    """Copy the subnets and addresses of a running cloud to Borough.

    The command may run at any time: it adds missing objects only, and compares both sides in the end.
    With [borough] url set, and a driver other than borough, the service gets them.
    """
    database = _open(files)
    from borough.neutron.commands.reconcile import reconcile
    from borough.neutron.commands.sides import configured_side

    driver, side = configured_side(files, database)
    with progress_bar(state, "Adopting") as progress:
        report = reconcile(database, side, write=not dry_run, progress=progress)
    if dry_run:
        emit(state, _data(report), lambda page: _show(page, report, "would be"))
        return
    with progress_bar(state, "Comparing") as progress:
        rest = reconcile(database, side, write=False, progress=progress)
    data = {**_data(report), "verified": rest.agrees}
    emit(state, data, lambda page: _show_adopted(page, report, rest, driver))
    click.get_current_context().exit(0 if rest.agrees else 1)


@command("audit", example="borough neutron audit --config-file /etc/neutron/neutron.conf")
@_config_file
@click.option("--repair", is_flag=True, help="Change Borough until it agrees with Neutron.")
@pass_state
def audit(state: GlobalOptions, files: tuple[str, ...], repair: bool) -> None:
    """Compare Borough with Neutron's ports and subnets.

    The exit code is 0 when they agree or were repaired, and 1 when they differ. An address without a port
    counts only after ten minutes, because Neutron may be creating the port. With [borough] url set, and a
    driver other than borough, the service is compared.
    """
    database = _open(files)
    from borough.neutron.commands.reconcile import reconcile
    from borough.neutron.commands.sides import configured_side

    _, side = configured_side(files, database)
    with progress_bar(state, "Comparing") as progress:
        report = reconcile(database, side, write=repair, progress=progress)
    emit(state, _data(report), lambda page: _show(page, report, "were" if repair else "must be"))
    click.get_current_context().exit(0 if report.agrees or repair else 1)


@command(
    "restore", example="borough neutron restore --config-file /etc/neutron/neutron.conf --dry-run"
)
@_config_file
@_dry_run
@click.option("--drop", is_flag=True, help="Remove Borough's tables as well.")
@pass_state
def restore(state: GlobalOptions, files: tuple[str, ...], dry_run: bool, drop: bool) -> None:
    """Return to Neutron's reference driver.

    Stop neutron-server first. The command makes the tables of the driver named internal agree with Neutron's
    own, and compares them at its end.
    """
    database = _open(files)
    from borough.neutron.commands.reconcile import reconcile
    from borough.neutron.commands.restore import ReferenceSide, drop_tables

    side = ReferenceSide(database)
    with progress_bar(state, "Restoring") as progress:
        report = reconcile(database, side, write=not dry_run, progress=progress)
    if not dry_run:
        with progress_bar(state, "Comparing") as progress:
            rest = reconcile(database, side, write=False, progress=progress)
        if not rest.agrees:
            raise NeedsOperator(
                "the reference driver's tables do not agree with Neutron's, so something still writes: stop "
                "neutron-server and run `borough neutron restore` again",
                differences=rest.differences,
            )
        if drop:
            drop_tables(database)
    data = {**_data(report), "dry_run": dry_run, "dropped": drop and not dry_run}
    emit(state, data, lambda page: _show_restored(page, report, dry_run=dry_run))


def _data(report: Report) -> dict[str, Any]:
    return {**asdict(report), "agrees": report.agrees}


def _show(page: Page, report: Report, verb: str) -> None:
    page.line(f"{counted(report.subnets, 'subnet')} with {report.addresses} addresses in Neutron.")
    if report.agrees:
        page.line("Borough agrees with it.")
        return
    page.table(
        (
            Column("what"),
            Column("added", right=True),
            Column("changed", right=True),
            Column("removed", right=True),
        ),
        [
            ("subnets", report.subnets_added, report.subnets_changed, report.subnets_removed),
            ("addresses", report.addresses_added, "", report.addresses_removed),
        ],
    )
    page.line(f"These {verb} changed in Borough. The first differences:")
    for text in report.differences[:20]:
        page.line(f"  {text}")


def _show_adopted(page: Page, report: Report, rest: Report, driver: str) -> None:
    page.line(
        f"Adopted {counted(report.subnets_added, 'subnet')} and {report.addresses_added} addresses."
    )
    if rest.agrees:
        page.line(
            f"Both sides agree: {counted(rest.subnets, 'subnet')}, {rest.addresses} addresses. "
            f"Now set ipam_driver = {driver}."
        )
    else:
        page.line("Ports were created or deleted meanwhile: run the command again.")


def _show_restored(page: Page, report: Report, *, dry_run: bool) -> None:
    page.line(f"{counted(report.subnets, 'subnet')} with {report.addresses} addresses in Neutron.")
    if dry_run:
        page.line("The tables of the driver named internal would be made to agree with them.")
    else:
        page.line("The tables of the driver named internal agree with them.")
        page.line("Now set ipam_driver = internal.")


for _command in (upgrade, adopt, audit, restore):
    neutron.add_command(_command)
