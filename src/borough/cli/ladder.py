"""Explanations for people: the order of preference of a decision, step by step.

They are printed from their JSON form, because errors carry that form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from borough.cli.output import Column, Page, counted, quantity

#: Rungs shown after the last one that was tried.
_BEYOND: Final = 3

_STYLE: Final = {"taken": "bold green", "full": "yellow", "not reached": "dim"}

_SUBNET_COLUMNS: Final = (
    Column("subnet", soft=True),
    Column("prefix"),
    Column("free", right=True),
    Column("in use", soft=True),
)


def show_ladder(page: Page, explanation: Mapping[str, Any]) -> None:
    """Print an explanation."""
    page.line(f"Group: {explanation['group']}", hang=2)
    if explanation["rungs"]:
        page.line()
    _show_rungs(page, explanation["rungs"])
    if explanation["passed"]:
        page.line()
        page.line("Passed over:")
        for each in explanation["passed"]:
            more = f" and {each['more']} more" if each["more"] else ""
            page.line(f"- {each['reason']}: {', '.join(each['subnets'])}{more}", indent=2, hang=2)
    if explanation["notes"]:
        page.line()
        page.line("Notes:")
        for note in explanation["notes"]:
            page.line(f"- {note}", indent=2, hang=2)
    page.line()
    page.line(f"Outcome: {explanation['outcome']}", style="bold", hang=2)


def _show_rungs(page: Page, rungs: Sequence[Mapping[str, Any]]) -> None:
    reached = [at for at, rung in enumerate(rungs) if rung["verdict"] != "not reached"]
    shown = max(reached, default=-1) + 1 + _BEYOND
    for rung in rungs[:shown]:
        page.line(
            f"{rung['step']}. IPv{rung['family']}, {rung['hold']}: {rung['verdict']}",
            style=_STYLE.get(rung["verdict"], ""),
            hang=3,
        )
        page.line(rung["reason"], indent=3)
        page.table(
            _SUBNET_COLUMNS,
            [
                (each["name"], each["prefix"], f"{quantity(each['free'])} free", each["reason"])
                for each in rung["subnets"]
            ],
            indent=3,
            header=False,
        )
        if rung["more"]:
            page.line(f"and {counted(rung['more'], 'more subnet')}", indent=3)
    hidden = len(rungs) - shown
    if hidden > 0:
        page.line(f"and {counted(hidden, 'more step')}, not reached")
