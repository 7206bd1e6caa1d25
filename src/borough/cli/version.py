"""``borough version``."""

from __future__ import annotations

import json
import platform

import click

from borough import __version__
from borough.cli.command import command
from borough.cli.state import GlobalOptions, pass_state


@command("version", example="borough version --json")
@pass_state
def version(state: GlobalOptions) -> None:
    """Print the version."""
    show_version(state)


def show_version(state: GlobalOptions) -> None:
    """Print the version of Borough and of the Python that runs it.

    Without :mod:`borough.cli.output`: its tables are slow to import.
    """
    python = platform.python_version()
    if state.json:
        click.echo(json.dumps({"borough": __version__, "python": python}, indent=2))
    else:
        click.echo(f"borough {__version__} (Python {python})")
