"""``borough explain``."""

from __future__ import annotations

from typing import Any

from borough.cli.command import command
from borough.cli.ladder import show_ladder
from borough.cli.options import request, selector_options
from borough.cli.output import Page, emit
from borough.cli.state import GlobalOptions, pass_state
from borough.domain.encode import plain


@command("explain", example="borough explain -l network=pods --host node-3")
@selector_options
@pass_state
def explain(state: GlobalOptions, /, **options: Any) -> None:
    """Explain the addresses that allocate would choose now.

    The command allocates none.
    """
    with state.open() as ipam:
        explanation = plain(ipam.explain(**request(options)))
    emit(state, explanation, lambda page: _show(page, explanation))


def _show(page: Page, explanation: dict[str, Any]) -> None:
    show_ladder(page, explanation)
    if explanation["advice"]:
        page.line(f"Try: {'; '.join(explanation['advice'])}.", hang=2)
