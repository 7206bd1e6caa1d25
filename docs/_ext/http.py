"""The HTTP reference, from the OpenAPI description of the service."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache

from borough.api.app import OPERATIONS
from borough.api.openapi import describe
from borough.api.reference import Reference
from docs._ext.tables import table


class _Markdown:
    """Markdown; see :class:`borough.api.reference.Markup`."""

    def prose(self, text: str) -> str:
        return text

    def code(self, text: str) -> str:
        return f"`{text}`"

    def link(self, name: str) -> str:
        return f"[{name}](#{name.lower()})"

    def heading(self, level: int, text: str, anchor: str) -> str:
        return f"{'#' * level} {text}\n"

    def paragraph(self, text: str) -> str:
        return f"{text}\n"

    def table(self, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
        return table(*head, rows=rows)


@cache
def _reference() -> Reference:
    """That of a service with tokens."""
    return Reference(describe(OPERATIONS, secured=True), _Markdown())


def operations() -> str:
    """All operations by tag."""
    return "\n".join(_reference().operations())


def schemas() -> str:
    """The objects that answers contain."""
    return "\n".join(_reference().schemas())
