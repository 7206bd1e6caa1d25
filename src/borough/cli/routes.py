"""``borough routes``."""

from __future__ import annotations

from typing import Final

import click

from borough.cli.command import command
from borough.cli.options import text_option
from borough.cli.output import Column, Page, counted, emit, moment, scope_text
from borough.cli.state import GlobalOptions, pass_state
from borough.engine import route_config
from borough.engine.announcements import AgentView
from borough.engine.queries import RouteForm
from borough.engine.views import Route

_COLUMNS: Final = (Column("host", soft=True), Column("scope", soft=True), Column("prefix"))

_LAG: Final = (
    Column("host", soft=True),
    Column("last report"),
    Column("silent"),
    Column("installed"),
    Column("missing", soft=True),
    Column("surplus", soft=True),
    Column("problems", soft=True),
)

_CONFIG: Final = {"bird": route_config.bird, "frr": route_config.frr}


@command("routes", example="borough routes --host node-1 --format bird")
@text_option("--host", "HOST", "Only those of this host.")
@click.option(
    "--form",
    type=click.Choice(["strict", "lpm"]),
    metavar="strict|lpm",
    default="strict",
    show_default=True,
    help="strict: a prefix covers only addresses and claims of its host. lpm: fewer prefixes, with longer "
    "prefixes of other hosts as exceptions.",
)
@text_option(
    "--scope", "SCOPE", "Only those of one address space (VRF). For bird and frr: default."
)
@click.option(
    "--format",
    "written",
    type=click.Choice(["text", "json", "bird", "frr"]),
    metavar="text|json|bird|frr",
    default="text",
    show_default=True,
    help="Table, JSON, or configuration of a routing daemon.",
)
@click.option(
    "--lag",
    is_flag=True,
    help="Instead, the hosts whose agents have not installed their routes, or are silent.",
)
@pass_state
def routes(
    state: GlobalOptions,
    host: str | None,
    form: RouteForm,
    scope: str | None,
    written: str,
    lag: bool,
) -> None:
    """List the fewest prefixes that hosts must advertise.

    By longest match they lead to all addresses and claims of a host. The configuration for BIRD 2 or FRR is
    for the daemon of a host. Without --host it is a filter for routers: the prefixes that each host may
    announce.
    """
    if written in _CONFIG and state.json:
        raise click.UsageError(f"--json and --format {written} are two formats; use one.")
    state.json = state.json or written == "json"
    if lag:
        if written in _CONFIG or form != "strict":
            raise click.UsageError("--lag takes no --form, and no --format but text and json.")
        _lag(state, host, scope or "default")
        return
    if written in _CONFIG:
        scope = scope or "default"
    with state.open() as ipam:
        found = ipam.routes(host, form, scope=scope)
    if written in _CONFIG:
        click.echo(_CONFIG[written](found, host=host, form=form, scope=scope or ""), nl=False)
        return
    emit(state, {"routes": found}, lambda page: _show(page, found))


def _lag(state: GlobalOptions, host: str | None, scope: str) -> None:
    """Show the agents that are late."""
    with state.open() as ipam:
        found = ipam.agents(scope=scope)
    found = [each for each in found if host in (None, each.host)]
    late = [each for each in found if each.is_late]
    emit(state, {"agents": late}, lambda page: _show_lag(page, late, len(found)))


def _show_lag(page: Page, late: list[AgentView], total: int) -> None:
    if late:
        page.table(
            _LAG,
            [
                (
                    each.host,
                    moment(each.seen)[:19] if each.seen else "no agent",
                    "yes" if each.silent else "",
                    str(each.installed),
                    " ".join(each.missing),
                    " ".join(each.surplus),
                    "; ".join(f"{prefix}: {reason}" for prefix, reason in each.problems.items()),
                )
                for each in late
            ],
        )
    page.line(f"{len(late)} of {counted(total, 'host')} late.")


def _show(page: Page, found: list[Route]) -> None:
    if not found:
        page.line("No routes.")
        return
    page.table(
        _COLUMNS,
        [(each.host, scope_text(each.scope), each.prefix) for each in found],
    )
    hosts = counted(len({each.host for each in found}), "host")
    page.line(f"{counted(len(found), 'route')} of {hosts}.")
