"""Lists of addresses to import: CSV with a header, and JSON lines."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from borough.errors import FixInput

#: The columns of an address list, in the order in which an export writes them.
COLUMNS: Final = ("address", "owner", "host", "scope", "attributes", "note")


def read_csv(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Entries of a CSV file; ``attributes`` are JSON, and empty cells are left out.

    :raises FixInput: the header has no ``address`` or an unknown column, or a line does not fit it.
    """
    rows = csv.DictReader(lines, strict=True)
    names = rows.fieldnames or []
    unknown = [name for name in names if name not in COLUMNS]
    if "address" not in names or unknown:
        raise FixInput(
            f"the header names {', '.join(names) or 'nothing'}; columns are {', '.join(COLUMNS)}",
            columns=list(COLUMNS),
        )
    try:
        for row in rows:
            if None in row or None in row.values():
                raise FixInput(f"line {rows.line_num} has another number of cells than the header")
            found: dict[str, Any] = {name: value for name, value in row.items() if value}
            if "attributes" in found:
                found["attributes"] = _object(found["attributes"], rows.line_num)
            yield found
    except csv.Error as error:
        raise FixInput(f"line {rows.line_num} is not CSV: {error}") from None


def read_json_lines(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Entries of a file with one JSON object a line; empty lines are left out.

    :raises FixInput: a line is not a JSON object.
    """
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield _object(line, number)


def _object(text: str, line: int) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise FixInput(f"line {line}: {text.strip()[:60]!r} is not a JSON object", line=line)
    return found
