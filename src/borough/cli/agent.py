"""``borough agent``: the routes of a host in its kernel."""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from borough.cli.command import Family, command
from borough.cli.options import scope_option, words
from borough.cli.output import Page, counted, emit
from borough.cli.state import CA_FILE, TOKEN, GlobalOptions, pass_state
from borough.domain.encode import rfc3339
from borough.errors import FixInput, NeedsOperator

#: Default of --status; see borough.agent.status.
_STATUS = "/run/borough-agent/status.json"


class _AgentFamily(Family):
    """A group whose command ``run`` may be left out."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the options of the group, and name ``run`` when ``--host`` is there and no command."""
        if "--host" in args and args[0].startswith("-"):
            args = ["run", *args]
        return super().parse_args(ctx, args)


@click.group("agent", cls=_AgentFamily)
def agent() -> None:
    """Keep the routes of a host in its kernel."""


@command("run", example="borough agent run --host node-1 --server https://ipam.example:8080")
@click.option("--host", metavar="HOST", type=words, required=True, help="Name of this host.")
@scope_option("Address space (VRF) of the routing table.")
@click.option(
    "--table",
    type=click.IntRange(1, 0xFFFFFFFE),
    metavar="N",
    default=254,
    show_default=True,
    help="Number of the routing table; 254 is the main table.",
)
@click.option(
    "--single-table",
    type=click.IntRange(1, 0xFFFFFFFE),
    metavar="N",
    default=254,
    show_default=True,
    help="Number of the routing table for routes to single addresses.",
)
@click.option(
    "--settle",
    type=click.FloatRange(0, 60),
    metavar="SECONDS",
    default=0.3,
    show_default=True,
    help="Time that the routing daemon needs until the routers have a change.",
)
@click.option(
    "--metrics",
    type=click.IntRange(1, 65535),
    metavar="PORT",
    help="Port of 127.0.0.1 for metrics of Prometheus; by default none.",
)
@click.option(
    "--status",
    metavar="FILE",
    default=_STATUS,
    show_default=True,
    help="File of the status, in a folder that exists.",
)
@pass_state
def run(state: GlobalOptions, /, **options: Any) -> None:
    """Install the routes of this host, and follow their changes.

    The word run may be left out. The routes are blackhole routes with protocol 211, which a routing daemon
    announces. No other route is touched, and the routes stay when the agent ends. Its token is read from
    BOROUGH_TOKEN.
    """
    if state.server is None:
        raise click.UsageError("The agent works through a service: name it by --server.")
    try:
        from borough.agent.agent import Agent, AgentSettings
        from borough.agent.metrics import expose
    except ModuleNotFoundError as error:
        raise FixInput(f"the agent needs {error.name}; run: pip install 'borough[agent]'") from None
    from borough.json_lines import log_to_stderr

    port = options.pop("metrics")
    options["status"] = Path(options["status"])
    settings = AgentSettings(
        server=state.server,
        token=os.environ.get(TOKEN),
        ca_file=os.environ.get(CA_FILE) or None,
        **options,
    )
    made = Agent(settings)
    if port is not None:
        expose("127.0.0.1", port)
    log_to_stderr()
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: made.stop())
    made.run()


@command("status", example="borough agent status")
@click.option(
    "--status", metavar="FILE", default=_STATUS, show_default=True, help="File of the status."
)
@pass_state
def status(state: GlobalOptions, status: str) -> None:
    """Show the status of the agent of this host.

    The exit code is 0 only when it is connected and has installed all routes.
    """
    from borough.agent.status import read_status

    found = read_status(Path(status))

    def show(page: Page) -> None:
        page.line(f"Host {found.host}, scope {found.scope}, service {found.server}")
        page.line(
            f"{'connected' if found.connected else 'not connected'}, "
            f"status of {_moment(found.at)}, last report {_moment(found.reported)}"
        )
        wanted = "?" if found.wanted is None else str(found.wanted)
        page.line(
            f"{counted(len(found.installed), 'route')} of {wanted} installed, "
            f"{counted(found.changes, 'change')}, {counted(found.corrections, 'correction')}"
        )
        for prefix, reason in found.problems.items():
            page.line(f"{prefix}: {reason}")
        if found.error:
            page.line(f"Last error: {found.error}")

    data = vars(found) | {"well": found.is_well}
    emit(state, data, show)
    if not found.is_well:
        reason = (
            "has ended" if found.is_old else "has not installed all routes, or is not connected"
        )
        raise NeedsOperator(f"the agent of host {found.host} {reason}", host=found.host)


def _moment(at: float) -> str:
    return rfc3339(datetime.fromtimestamp(at, UTC))[:19] + "Z" if at else "never"


for _command in (run, status):
    agent.add_command(_command)
