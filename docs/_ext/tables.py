"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(*head: str, rows: Iterable[Sequence[str]]) -> str:
    """A table; a cell is one line."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(_cell(each) for each in line)} |" for line in lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
