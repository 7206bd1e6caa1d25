"""The base of all commands: the common options, and an example in the help."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import click
from click.core import ParameterSource

from borough.cli.state import DEFAULT_URL, TOKEN, GlobalOptions

_DB_HELP: Final = f"Database to use, instead of BOROUGH_DB or {DEFAULT_URL}."
_SERVER_HELP: Final = f"Service to use, instead of a database. Its token is read from {TOKEN}."
_FORMS: Final = ("table", "json", "yaml", "csv", "value")
_JSON_HELP: Final = "Print the answer or the error as one JSON document."


def _set_json(context: click.Context, _option: click.Parameter, value: bool) -> None:
    if value:
        state = context.ensure_object(GlobalOptions)
        state.json, state.form = True, "json"


def _set_form(context: click.Context, _option: click.Parameter, value: str | None) -> None:
    if value is not None:
        state = context.ensure_object(GlobalOptions)
        state.form, state.json = value, value == "json"


def _set_columns(context: click.Context, _option: click.Parameter, value: tuple[str, ...]) -> None:
    if value:
        context.ensure_object(GlobalOptions).columns = value


def _set_sort(context: click.Context, _option: click.Parameter, value: str | None) -> None:
    if value is not None:
        context.ensure_object(GlobalOptions).sort = value


def _set_url(context: click.Context, option: click.Parameter, value: str | None) -> None:
    state = context.ensure_object(GlobalOptions)
    if value is not None:
        state.url = value
        if not _is_environment(context, option):
            if context.get_parameter_source("server") is ParameterSource.COMMANDLINE:
                raise click.UsageError("Use only one of --db and --server.", context)
            # An option on the command line overrides BOROUGH_SERVER.
            state.server = None


def _set_server(context: click.Context, option: click.Parameter, value: str | None) -> None:
    if value is None:
        return
    named = context.get_parameter_source("db") is ParameterSource.COMMANDLINE
    if not _is_environment(context, option):
        if named:
            raise click.UsageError("Use only one of --db and --server.", context)
        context.ensure_object(GlobalOptions).server = value
    elif not named:
        context.ensure_object(GlobalOptions).server = value


def _is_environment(context: click.Context, option: click.Parameter) -> bool:
    return context.get_parameter_source(str(option.name)) is ParameterSource.ENVIRONMENT


def common_options(*, environment: bool = False) -> list[click.Parameter]:
    """``--db``, ``--server`` and the form of the answer, allowed before and after the name of a command.

    :param environment: True to read BOROUGH_DB and BOROUGH_SERVER. Only the program itself does: in a
        command, the environment would override the options before its name.
    """
    return [
        click.Option(
            ["--db"],
            metavar="URL",
            envvar="BOROUGH_DB" if environment else None,
            is_eager=True,
            expose_value=False,
            callback=_set_url,
            help=_DB_HELP,
        ),
        click.Option(
            ["--server"],
            metavar="URL",
            envvar="BOROUGH_SERVER" if environment else None,
            is_eager=True,
            expose_value=False,
            callback=_set_server,
            help=_SERVER_HELP,
        ),
        click.Option(
            ["--json"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_set_json,
            help=_JSON_HELP,
        ),
        click.Option(
            ["-o", "--output"],
            type=click.Choice(_FORMS),
            metavar="|".join(_FORMS),
            is_eager=True,
            expose_value=False,
            callback=_set_form,
            help="Form of the answer; json is --json.",
        ),
        click.Option(
            ["-c", "--column"],
            metavar="COLUMN",
            multiple=True,
            is_eager=True,
            expose_value=False,
            callback=_set_columns,
            help="Show this column, a field of the JSON answer. Again for more.",
        ),
        click.Option(
            ["--sort"],
            metavar="COLUMN",
            is_eager=True,
            expose_value=False,
            callback=_set_sort,
            help="Sort the rows by this column.",
        ),
    ]


class Command(click.Command):
    """A command with the common options.

    :ivar example: an invocation that works, shown at the end of its help.
    """

    def __init__(self, *args: Any, example: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.example = example
        self.params += common_options()

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the example, on one line so that it can be copied."""
        with formatter.section("Example"):
            formatter.write(f"{'':{formatter.current_indent}}{self.example}\n")


class Family(click.Group):
    """A group of related commands, with the common options."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("invoke_without_command", True)
        super().__init__(*args, **kwargs)
        self.params += common_options()

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, in the order in which they were added."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command of the group."""
        answer = super().invoke(ctx)
        if ctx.invoked_subcommand is None:
            names = ", ".join(self.list_commands(ctx))
            raise click.UsageError(f"Missing command: one of {names}.", ctx)
        return answer


def subcommands(group: click.Group) -> dict[str, click.Command]:
    """The commands of a group by name, in the order of its help."""
    context = click.Context(group)
    found = {name: group.get_command(context, name) for name in group.list_commands(context)}
    return {name: each for name, each in found.items() if each is not None}


def command(name: str, *, example: str) -> Callable[[Callable[..., None]], Command]:
    """Make a command of a function; its docstring is the help."""

    def make(function: Callable[..., None]) -> Command:
        return click.command(name, cls=Command, example=example)(function)

    return make
