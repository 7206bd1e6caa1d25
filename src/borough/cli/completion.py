"""``borough completion``, and the values that it offers."""

from __future__ import annotations

from typing import Final

import click

from borough.cli.command import command

SHELLS: Final = ("bash", "zsh", "fish")


@command("completion", example="borough completion bash")
@click.argument("shell", metavar="bash|zsh|fish", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the completion of a shell.

    For bash: `borough completion bash > /etc/bash_completion.d/borough`. Hosts, subnets, owners, labels
    and scopes are read from the database or the service when they are completed.
    """
    from click.shell_completion import get_completion_class

    from borough.cli.app import app

    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(app, {}, "borough", "_BOROUGH_COMPLETE").source())
