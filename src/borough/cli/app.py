"""The program: its global options, its commands, and how it ends."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click

from borough.cli import failure
from borough.cli.allocate import allocate
from borough.cli.apply import apply
from borough.cli.audit import audit
from borough.cli.command import common_options
from borough.cli.defragment import defragment
from borough.cli.events import events
from borough.cli.explain import explain
from borough.cli.host import host
from borough.cli.init import init
from borough.cli.list import list_
from borough.cli.move import move
from borough.cli.neutron import neutron
from borough.cli.reassign import reassign
from borough.cli.release import release
from borough.cli.routes import routes
from borough.cli.serve import serve
from borough.cli.show import show
from borough.cli.state import State
from borough.cli.subnet import subnet
from borough.cli.sweep import sweep
from borough.cli.token import token
from borough.cli.usage import usage
from borough.cli.version import show_version, version


class App(click.Group):
    """The program. Every error ends as one report and an exit code."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command line, and exit."""
        words = list(sys.argv[1:] if args is None else args)
        state = extra.setdefault("obj", State())
        try:
            code = super().main(
                words,
                prog_name or "borough",
                complete_var,
                standalone_mode=False,
                windows_expand_args=windows_expand_args,
                **extra,
            )
        except click.Abort:
            sys.exit(failure.INTERRUPTED)
        except Exception as error:  # whatever it is, a report is better than a traceback
            # A line that cannot be parsed may not have got as far as its --json.
            as_json = state.json or (isinstance(error, click.UsageError) and "--json" in words)
            sys.exit(failure.report(error, as_json=as_json))
        sys.exit(code if isinstance(code, int) else 0)


def _show_version(context: click.Context, _option: click.Parameter, value: bool) -> None:
    if value:
        show_version(context.ensure_object(State))
        context.exit()


@click.group(
    "borough",
    cls=App,
    invoke_without_command=True,
    params=[
        *common_options(environment=True),
        click.Option(
            ["--version"],
            is_flag=True,
            expose_value=False,
            callback=_show_version,
            help="Print the version and exit.",
        ),
    ],
)
@click.pass_context
def app(context: click.Context) -> None:
    """Ask once for an IP address from a group of subnets."""
    if context.invoked_subcommand is None:
        if context.ensure_object(State).json:
            raise click.UsageError("Missing command.", context)
        click.echo(context.get_help(), err=True)
        context.exit(2)


for _command in (
    init,
    apply,
    allocate,
    explain,
    release,
    reassign,
    show,
    list_,
    subnet,
    host,
    usage,
    routes,
    sweep,
    defragment,
    audit,
    events,
    move,
    serve,
    token,
    neutron,
    version,
):
    app.add_command(_command)
