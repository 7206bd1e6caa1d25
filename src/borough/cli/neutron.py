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
from borough.errors import FixInput

if TYPE_CHECKING:
    from borough.neutron.adopt import Report
    from borough.neutron.database import Database
    from borough.neutron.leave import Left

    #: Compares both sides, and makes them agree: (whether to write, whom to tell of progress).
    Reconcile = Callable[[bool, Callable[[int, int], None] | None], Report]


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
    return click.option("--dry-run", is_flag=True, help="Only tell what would be done.")(function)


def _open(files: tuple[str, ...]) -> Database:
    try:
        from borough.neutron.database import Database
    except ModuleNotFoundError as error:
        raise FixInput(
            f"this command needs the module {error.name}; run it in Neutron's own environment, after: "
            "pip install 'borough[neutron]'"
        ) from error
    return Database.configured(files)


def _reconcile(files: tuple[str, ...]) -> tuple[str, Reconcile]:
    """The driver that is compared with Neutron, and how."""
    database = _open(files)
    from borough.neutron import adopt, adopt_remote
    from borough.neutron.database import read_configuration
    from borough.neutron.service import configured

    conf = read_configuration(files)
    if conf.ipam_driver == "borough" or not conf.borough.url:
        return "borough", lambda write, progress: adopt.reconcile(
            database, write=write, progress=progress
        )
    service = configured(conf)
    return "borough_remote", lambda write, progress: adopt_remote.reconcile(
        database, service, write=write, progress=progress
    )


@click.group("neutron", cls=Family)
def neutron() -> None:
    """Be the IPAM driver of OpenStack Neutron."""


@command("upgrade", example="borough neutron upgrade --config-file /etc/neutron/neutron.conf")
@_config_file
@pass_state
def upgrade(state: GlobalOptions, files: tuple[str, ...]) -> None:
    """Make Borough's tables in Neutron's database, or upgrade them.

    Their names begin with borough_; Neutron's own tables are not touched.
    """
    done = _open(files).upgrade()
    said = "Made Borough's tables in" if done else "Nothing to do, Borough's tables are ready in"
    emit(state, {"changed": done}, lambda page: page.line(f"{said} Neutron's database."))


@command("adopt", example="borough neutron adopt --config-file /etc/neutron/neutron.conf --dry-run")
@_config_file
@_dry_run
@pass_state
def adopt(state: GlobalOptions, files: tuple[str, ...], dry_run: bool) -> None:
    """Take over the subnets and addresses of a running cloud.

    It may be run again at any time, and does only what is missing; both sides are compared in the end.
    With [borough] url set, and not driver borough, it is the service that takes over.
    """
    driver, reconcile = _reconcile(files)
    with progress_bar(state, "Taking over") as progress:
        report = reconcile(not dry_run, progress)
    if dry_run:
        emit(state, _data(report), lambda page: _show(page, report, "would be"))
        return
    with progress_bar(state, "Comparing") as progress:
        rest = reconcile(False, progress)
    data = {**_data(report), "verified": rest.agrees}
    emit(state, data, lambda page: _show_adopted(page, report, rest, driver))
    click.get_current_context().exit(0 if rest.agrees else 1)


@command("audit", example="borough neutron audit --config-file /etc/neutron/neutron.conf")
@_config_file
@click.option("--repair", is_flag=True, help="Make Borough agree with Neutron.")
@pass_state
def audit(state: GlobalOptions, files: tuple[str, ...], repair: bool) -> None:
    """Compare Borough with Neutron's ports and subnets.

    Exits with 0 when they agree, or were made to, with 1 when they differ. An address without a port is
    left alone for ten minutes, because Neutron may be making the port. With [borough] url set, and not
    driver borough, it is the service that is compared.
    """
    _, reconcile = _reconcile(files)
    with progress_bar(state, "Comparing") as progress:
        report = reconcile(repair, progress)
    emit(state, _data(report), lambda page: _show(page, report, "were" if repair else "must be"))
    click.get_current_context().exit(0 if report.agrees or repair else 1)


@command("leave", example="borough neutron leave --config-file /etc/neutron/neutron.conf --dry-run")
@_config_file
@_dry_run
@click.option("--drop", is_flag=True, help="Remove Borough's tables as well.")
@pass_state
def leave(state: GlobalOptions, files: tuple[str, ...], dry_run: bool, drop: bool) -> None:
    """Go back to Neutron's reference driver.

    Stop neutron-server first: the tables of the driver named internal are written anew and verified.
    """
    database = _open(files)
    from borough.neutron.leave import leave as go_back

    with progress_bar(state, "Going back") as progress:
        left = go_back(database, write=not dry_run, drop=drop, progress=progress)
    data = {**asdict(left), "dry_run": dry_run}
    emit(state, data, lambda page: _show_left(page, left, dry_run=dry_run))


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
    page.line(f"So many {verb} changed in Borough. The first differences:")
    for text in report.differences[:20]:
        page.line(f"  {text}")


def _show_adopted(page: Page, report: Report, rest: Report, driver: str) -> None:
    page.line(
        f"Took over {counted(report.subnets_added, 'subnet')} and {report.addresses_added} addresses."
    )
    if rest.agrees:
        page.line(
            f"Both sides agree: {counted(rest.subnets, 'subnet')}, {rest.addresses} addresses. "
            f"Now set ipam_driver = {driver}."
        )
    else:
        page.line("Ports were made or deleted meanwhile; run it again.")


def _show_left(page: Page, left: Left, *, dry_run: bool) -> None:
    verb = "Would write" if dry_run else "Wrote"
    page.line(
        f"{verb} {counted(left.subnets, 'subnet')}, {left.pools} pools and {left.addresses} addresses "
        "for the driver named internal."
    )
    if not dry_run:
        page.line("They agree with Neutron's tables. Now set ipam_driver = internal.")


for _command in (upgrade, adopt, audit, leave):
    neutron.add_command(_command)
