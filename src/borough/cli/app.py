"""The program: its global options, its commands and its exit codes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final

import click

from borough.cli.command import common_options
from borough.cli.state import GlobalOptions

#: Exit code after Ctrl-C, by the convention of shells: 128 and the number of the signal.
INTERRUPTED: Final = 130

#: The commands in the order of the help, each with its module and its name in there. A module is imported
#: when its command is used: the import of all takes longer than any command.
_COMMANDS: Final = {
    "init": "borough.cli.init:init",
    "apply": "borough.cli.apply:apply",
    "allocate": "borough.cli.allocate:allocate",
    "explain": "borough.cli.explain:explain",
    "release": "borough.cli.release:release",
    "renew": "borough.cli.renew:renew",
    "reserve": "borough.cli.reserve:reserve",
    "cancel": "borough.cli.reserve:cancel",
    "edit": "borough.cli.edit:edit",
    "transfer": "borough.cli.edit:transfer",
    "reassign": "borough.cli.reassign:reassign",
    "show": "borough.cli.show:show",
    "search": "borough.cli.search:search",
    "list": "borough.cli.list:list_",
    "subnet": "borough.cli.subnet:subnet",
    "host": "borough.cli.host:host",
    "usage": "borough.cli.usage:usage",
    "routes": "borough.cli.routes:routes",
    "reclaim": "borough.cli.reclaim:reclaim",
    "reconcile": "borough.cli.reconcile:reconcile",
    "defragment": "borough.cli.defragment:defragment",
    "audit": "borough.cli.audit:audit",
    "import": "borough.cli.exchange:import_",
    "export": "borough.cli.exchange:export",
    "history": "borough.cli.history:history",
    "events": "borough.cli.events:events",
    "copy": "borough.cli.copy:copy",
    "serve": "borough.cli.serve:serve",
    "agent": "borough.cli.agent:agent",
    "token": "borough.cli.token:token",
    "neutron": "borough.cli.neutron:neutron",
    "completion": "borough.cli.completion:completion",
    "man": "borough.cli.man:man",
    "version": "borough.cli.version:version",
}


class App(click.Group):
    """The program. Every error ends as one report and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name].partition(":")
        found = getattr(import_module(module), name)
        assert isinstance(found, click.Command)
        return found

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
        state = extra.setdefault("obj", GlobalOptions())
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
            sys.exit(INTERRUPTED)
        except Exception as error:  # a report is better than a traceback
            # Imported here: the tables of a report are slow to import, and most runs do not fail.
            from borough.cli.failure import report

            # Parsing may have failed before it reached --json.
            as_json = state.json or (isinstance(error, click.UsageError) and "--json" in words)
            sys.exit(report(error, as_json=as_json))
        sys.exit(code if isinstance(code, int) else 0)


def _show_version(context: click.Context, _option: click.Parameter, value: bool) -> None:
    if value:
        from borough.cli.version import show_version

        show_version(context.ensure_object(GlobalOptions))
        context.exit()


@click.group(
    "borough",
    cls=App,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
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
        if context.ensure_object(GlobalOptions).json:
            raise click.UsageError("Missing command.", context)
        click.echo(context.get_help(), err=True)
        context.exit(2)
