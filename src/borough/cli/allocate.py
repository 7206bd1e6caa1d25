"""``borough allocate``."""

from __future__ import annotations

from typing import Any

import click

from borough.cli.addresses import show_allocations
from borough.cli.command import command
from borough.cli.ladder import show_ladder
from borough.cli.options import attributes_of, pair, selector, selector_options, text_option
from borough.cli.output import Page, emit
from borough.cli.state import GlobalOptions, pass_state
from borough.domain.encode import plain
from borough.engine.views import Answer


@command("allocate", example="borough allocate -l network=pods --host node-1 --owner web-1")
@selector_options
@text_option("--owner", "OWNER", "Your name for what holds the addresses, to release them by.")
@text_option("--key", "KEY", "Idempotency key: asked again with it, you get the same addresses.")
@click.option(
    "--attribute",
    "attributes",
    type=pair,
    metavar="NAME=VALUE",
    multiple=True,
    help="Something to keep with the addresses. Again for more.",
)
@click.option("--explain", "told", is_flag=True, help="Say why it is these.")
@pass_state
def allocate(
    state: GlobalOptions,
    /,
    owner: str | None,
    key: str | None,
    attributes: tuple[tuple[str, str], ...],
    told: bool,
    **options: Any,
) -> None:
    """Give addresses from a group of subnets.

    All that is asked for is given, or none.
    """
    asked = selector(**options)
    kept = attributes_of(attributes)
    with state.open() as ipam:
        answer = ipam.allocate(**asked, owner=owner or "", key=key, attributes=kept, explain=told)
    said = plain(answer)
    if answer.explanation is None:
        del said["explanation"]
    emit(state, said, lambda page: _show(page, answer))


def _show(page: Page, answer: Answer) -> None:
    show_allocations(page, answer.allocations)
    if answer.replayed:
        page.line("These were given to the same idempotency key before.")
    if answer.explanation:
        page.line()
        show_ladder(page, plain(answer.explanation))
