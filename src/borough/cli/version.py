"""``borough version``."""

from __future__ import annotations

import platform

from borough import __version__
from borough.cli.command import command
from borough.cli.output import emit
from borough.cli.state import State, pass_state


@command("version", example="borough version --json")
@pass_state
def version(state: State) -> None:
    """Print the version."""
    show_version(state)


def show_version(state: State) -> None:
    """Print the version of Borough and of the Python that runs it."""
    python = platform.python_version()
    emit(
        state,
        {"borough": __version__, "python": python},
        lambda page: page.line(f"borough {__version__} (Python {python})"),
    )
