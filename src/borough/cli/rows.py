"""Lists of any length, written while they are read."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any, Final, TypeVar

from borough.cli.output import Page, counted, emit, to_json
from borough.cli.state import GlobalOptions

T = TypeVar("T")

#: Most rows of one table. A longer list is several tables, each as wide as its own rows.
_PIECE: Final = 5000


def emit_rows(
    state: GlobalOptions,
    name: str,
    rows: Iterable[T],
    limit: int | None,
    *,
    number: Callable[[T], int],
    table: Callable[[Page, Sequence[T]], None],
) -> None:
    """Write a list and, when there are more rows, the number to go on after.

    :param name: plural of the rows: ``events``.
    :param rows: one row more than the limit, if there is one.
    :param limit: most rows to list; None for all.
    :param number: returns the number of a row.
    :param table: prints some rows for people.
    """
    rest = iter(rows)
    # The first row is read before any output: when that fails, the error is the only output.
    source = chain(list(islice(rest, 1)), rest)
    last: list[int] = []

    def listed() -> Iterator[T]:
        for row in islice(source, limit):
            last[:] = [number(row)]
            yield row

    def follow() -> int | None:
        return last[0] if next(source, None) is not None else None

    if state.is_shaped:
        emit(state, {name: list(listed())}, lambda _: None)
    elif state.json:
        _document(name, listed(), follow)
    else:
        _tables(name, listed(), table, follow)


def _document(name: str, rows: Iterable[Any], follow: Callable[[], int | None]) -> None:
    """Write the same text as :func:`to_json` of the whole answer."""
    # click.echo would flush each piece.
    write = sys.stdout.write
    write(f'{{\n  "{name}": [')
    separator = ""
    for row in rows:
        text = to_json(row).replace("\n", "\n    ")
        write(f"{separator}\n    {text}")
        separator = ","
    end = "\n  " if separator else ""
    write(f'{end}],\n  "next": {to_json(follow())}\n}}\n')
    sys.stdout.flush()


def _tables(
    name: str,
    rows: Iterator[T],
    table: Callable[[Page, Sequence[T]], None],
    follow: Callable[[], int | None],
) -> None:
    page = Page()
    count = 0
    while piece := list(islice(rows, _PIECE)):
        if count:
            page.line()
        table(page, piece)
        count += len(piece)
    after = follow()
    if not count:
        page.line(f"No {name}.")
        return
    more = f"; for more, use --after {after}" if after else ""
    page.line(f"{counted(count, name.removesuffix('s'))}{more}.")
