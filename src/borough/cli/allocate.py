"""``borough allocate``."""

from __future__ import annotations

from typing import Any

from borough.cli.addresses import show_allocations, show_warnings
from borough.cli.command import command
from borough.cli.ladder import show_ladder
from borough.cli.options import request, request_options
from borough.cli.output import Page, emit
from borough.cli.state import GlobalOptions, pass_state
from borough.domain.encode import plain
from borough.engine.views import Answer


@command("allocate", example="borough allocate -l network=pods --host node-1 --owner web-1")
@request_options
@pass_state
def allocate(state: GlobalOptions, /, **options: Any) -> None:
    """Allocate addresses from a group of subnets.

    All addresses of the request are allocated, or none.
    """
    with state.open() as ipam:
        answer = ipam.allocate(**request(options))
    data = plain(answer)
    if answer.explanation is None:
        del data["explanation"]
    if answer.routed is None:
        del data["routed"], data["late"]
    emit(state, data, lambda page: _show(page, answer))
    show_warnings(state, answer.warnings)


def _show(page: Page, answer: Answer) -> None:
    show_allocations(page, answer.allocations)
    if answer.replayed:
        page.line("An earlier request allocated these.")
    if answer.routed:
        page.line("Routed: every address leads to its host.")
    elif answer.routed is False:
        page.line(f"Not routed yet: {', '.join(answer.late)}. `borough routes --lag` shows more.")
    if answer.explanation:
        page.line()
        show_ladder(page, plain(answer.explanation))
