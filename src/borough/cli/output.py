"""Output: one JSON document for programs, sentences and tables for people."""

from __future__ import annotations

import json
import math
import os
import re
import sys
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import click
from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from borough.cli.state import GlobalOptions
from borough.domain.encode import plain as to_plain
from borough.engine.views import SubnetView

#: Width of output to a file or a pipe without COLUMNS: each row of a table stays one line, which other
#: programs can search.
_PIPED: Final = 1000

#: Least width of a column that can be wrapped.
_NARROW: Final = 10

#: Blanks between two columns of a table.
_GAP: Final = 2

#: Rows of a long table in one write.
_ROWS: Final = 1000

#: Numbers from here on are written as powers of two, with a factor below the other bound.
_LARGE: Final = 10**9
_FACTOR: Final = 1000

_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def plain(value: object) -> str:
    """A value as text without control characters for a terminal; empty for None."""
    text = "" if value is None else str(value)
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)


def to_json(data: object, *, indent: int | None = 2) -> str:
    """One JSON document, in ASCII for every terminal and locale."""
    return json.dumps(to_plain(data), indent=indent, allow_nan=False)


def moment(at: datetime | None) -> str:
    """A time for people, to the second and in UTC; empty for None."""
    return "" if at is None else f"{at:%Y-%m-%d %H:%M:%S}"


def emit(state: GlobalOptions, data: object, show: Callable[[Page], None]) -> None:
    """Write an answer to standard output.

    :param data: the answer for programs.
    :param show: prints the answer for people.
    """
    if state.is_shaped:
        from borough.cli.forms import write_answer

        for line in write_answer(state, data, _table):
            click.echo(line)
    elif state.json:
        click.echo(to_json(data))
    else:
        show(Page())
    sys.stdout.flush()


def _table(titles: Sequence[str], rows: list[list[str]]) -> None:
    Page().table([Column(plain(title), soft=True) for title in titles], rows)


@dataclass(frozen=True)
class Column:
    """One column of a table.

    :ivar soft: True when its text can be wrapped in a narrow terminal; addresses never are.
    :ivar right: True for alignment to the right.
    """

    title: str
    soft: bool = False
    right: bool = False


class Page:
    """Output for people, on standard output or standard error."""

    def __init__(self, *, error: bool = False) -> None:
        stream = sys.stderr if error else sys.stdout
        columns = os.environ.get("COLUMNS", "")
        width = int(columns) if columns.isdecimal() and int(columns) else None
        if width is None and not stream.isatty():
            width = _PIPED
        self._console = Console(
            stderr=error,
            width=width,
            markup=False,
            highlight=False,
            emoji=False,
            force_terminal=None if stream.isatty() else False,
        )

    def line(self, text: object = "", *, style: str = "", indent: int = 0, hang: int = 0) -> None:
        """Write a paragraph, wrapped at blanks.

        :param indent: blanks before every line.
        :param hang: further blanks before all lines but the first.
        """
        lines = textwrap.wrap(
            plain(text),
            max(self._console.width, 1),
            initial_indent=" " * indent,
            subsequent_indent=" " * (indent + hang),
            # A line that is too long is better than an address in two pieces.
            break_long_words=False,
            break_on_hyphens=False,
        )
        for each in lines or [""]:
            self._write(each, style=style)

    def table(
        self,
        columns: Sequence[Column],
        rows: Sequence[Sequence[object]],
        *,
        indent: int = 0,
        header: bool = True,
    ) -> None:
        """Write a table without its empty columns.

        A table that is too wide even with its soft columns wrapped is written row by row as a list.
        """
        cells = [[plain(value).replace("\n", " ") for value in row] for row in rows]
        used = [at for at in range(len(columns)) if any(row[at] for row in cells)]
        columns = [columns[at] for at in used]
        cells = [[row[at] for at in used] for row in cells]
        natural = [
            max(map(cell_len, [column.title if header else "", *(row[at] for row in cells)]))
            for at, column in enumerate(columns)
        ]
        room = self._console.width - indent - _GAP * (len(columns) - 1)
        least = [
            # A column is never narrower than its longest word, so that no name is in two pieces.
            min(width, max(_NARROW, *(_longest_word(row[at]) for row in cells), cell_len(head)))
            if column.soft
            else width
            for at, (column, width) in enumerate(zip(columns, natural, strict=True))
            for head in [column.title if header else ""]
        ]
        if sum(natural) <= room:
            self._lines(columns, cells, natural, indent, header=header)
        elif sum(least) <= room:
            self._wrapped(columns, cells, least, indent, header=header)
        else:
            self._records(columns, cells, indent)

    def _lines(
        self,
        columns: Sequence[Column],
        cells: Sequence[Sequence[str]],
        widths: Sequence[int],
        indent: int,
        *,
        header: bool,
    ) -> None:
        """Write a table that fits; fast, because there can be very many rows."""

        def join(row: Sequence[str]) -> str:
            padded = []
            for column, width, text in zip(columns, widths, row, strict=True):
                blanks = " " * (width - cell_len(text))
                padded.append(blanks + text if column.right else text + blanks)
            return (" " * indent + (" " * _GAP).join(padded)).rstrip()

        if header:
            self._write(join([column.title for column in columns]), style="bold")
            rule = "-" if self._console.options.ascii_only else "─"
            self._write(rule * (sum(widths) + _GAP * (len(widths) - 1)))
        for at in range(0, len(cells), _ROWS):
            self._write("\n".join(map(join, cells[at : at + _ROWS])))

    def _wrapped(
        self,
        columns: Sequence[Column],
        cells: Sequence[Sequence[str]],
        widths: Sequence[int],
        indent: int,
        *,
        header: bool,
    ) -> None:
        """Write a table with its soft columns wrapped."""
        made = Table(
            box=box.SIMPLE_HEAD,
            show_header=header,
            show_edge=False,
            pad_edge=False,
            padding=(0, _GAP - 1, 0, 0),
        )
        for column, width in zip(columns, widths, strict=True):
            made.add_column(
                Text(column.title if header else ""),
                justify="right" if column.right else "left",
                no_wrap=not column.soft,
                overflow="fold",
                min_width=width,
            )
        for row in cells:
            made.add_row(*map(Text, row))
        self._console.print(Padding(made, (0, 0, 0, indent), expand=False))

    def _write(self, text: str, *, style: str = "") -> None:
        """Write text as it is."""
        self._console.print(Text(text, style), soft_wrap=True)

    def _records(
        self, columns: Sequence[Column], cells: Sequence[Sequence[str]], indent: int
    ) -> None:
        width = max((cell_len(column.title) for column in columns), default=0)
        for at, row in enumerate(cells):
            if at:
                self.line()
            for column, text in zip(columns, row, strict=True):
                if text:
                    self.line(f"{column.title:{width}}  {text}", indent=indent, hang=width + 2)

    def facts(self, facts: Sequence[tuple[str, object]]) -> None:
        """Write names and values, one pair a line; empty values are left out."""
        shown = [(name, plain(value)) for name, value in facts if plain(value)]
        self._records([Column(name) for name, _ in shown], [[text for _, text in shown]], 0)


def _longest_word(text: str) -> int:
    return max(map(cell_len, text.split()), default=0)


def quantity(number: int | float | None) -> str:
    """A number for people; large ones, as of IPv6 subnets, as powers of two."""
    if number is None:
        return ""
    if number % 1:
        return f"{number:.4g}"
    whole = int(number)
    return str(whole) if abs(whole) < _LARGE else _power(whole)


def _power(number: int) -> str:
    """A large number beside a power of two: ``2^64``, ``2^64 - 12``, ``3 x 2^62``, ``~2^60.3``."""
    exponent = round(math.log2(number))
    rest = number - (1 << exponent)
    if not rest:
        return f"2^{exponent}"
    if abs(rest) < _LARGE:
        return f"2^{exponent} {'-' if rest < 0 else '+'} {abs(rest)}"
    zeros = (number & -number).bit_length() - 1
    factor = number >> zeros
    return f"{factor} x 2^{zeros}" if factor < _FACTOR else f"~2^{math.log2(number):.1f}"


def scope_text(scope: str) -> str:
    """A scope for people; empty for the default one."""
    return "" if scope == "default" else scope


def labels_text(labels: Any) -> str:
    """Labels for people: ``network=pods rack=r1|r2``."""
    return " ".join(f"{name}={'|'.join(sorted(labels[name]))}" for name in sorted(labels))


def ranges_text(subnet: SubnetView) -> str:
    """The ranges of a subnet for people; empty where it gives all of its addresses."""
    words = [] if subnet.ranges is None else [", ".join(subnet.ranges) or "none"]
    return " ".join([*words, *(["without", ", ".join(subnet.exclude)] if subnet.exclude else [])])


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
