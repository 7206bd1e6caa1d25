"""Forms of an answer beside the text for people: YAML, CSV, single values, and tables of chosen columns."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import click

from borough.cli.state import GlobalOptions
from borough.domain.encode import plain


def rows_of(data: Any) -> list[dict[str, Any]]:
    """The rows of an answer: those of its list of records, else the answer itself."""
    if isinstance(data, list):
        return [each if isinstance(each, dict) else {"value": each} for each in data]
    if isinstance(data, dict):
        for at, value in enumerate(data.values()):
            # An empty list is that of the records when it comes first; a record may have empty ones too.
            is_list = isinstance(value, list) and (bool(value) or not at)
            if is_list and all(isinstance(each, dict) for each in value):
                return list(value)
        return [data]
    return [{"value": data}]


def chosen(state: GlobalOptions, rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows with the columns of ``-c``, in the order of ``--sort``.

    :raises click.UsageError: no row has such a column.
    """
    found = [dict(row) for row in rows]
    known = list(dict.fromkeys(name for row in found for name in row))
    for name in (*state.columns, *([state.sort] if state.sort else [])):
        if found and name not in known:
            raise click.UsageError(f"There is no column {name!r}; columns are {', '.join(known)}.")
    if state.sort:
        found.sort(key=_order(state.sort))
    names = state.columns or known
    return [{name: row.get(name) for name in names} for row in found]


def _order(name: str) -> Callable[[Mapping[str, Any]], Any]:
    def key(row: Mapping[str, Any]) -> tuple[int, Any]:
        value = row.get(name)
        if value is None:
            return 0, 0
        if isinstance(value, int | float):
            return 1, value
        text = _cell(value)
        return (2, _address(text)) if _address(text) else (3, text)

    return key


def _address(text: str) -> tuple[int, bytes] | None:
    """An address or a prefix by its number, so that .10 comes after .9."""
    from ipaddress import ip_interface

    try:
        found = ip_interface(text)
    except ValueError:
        return None
    return found.version, found.packed + bytes([found.network.prefixlen])


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value)


def write_answer(
    state: GlobalOptions, data: object, table: Callable[[Sequence[str], list[list[str]]], None]
) -> Iterator[str]:
    """An answer in the form that the user named, line by line.

    :param table: prints a table, given its titles and its rows.
    """
    made = plain(data)
    if state.form == "yaml" and not (state.columns or state.sort):
        yield _yaml(made)
        return
    rows = chosen(state, rows_of(made))
    match state.form:
        case "json":
            yield json.dumps(rows, indent=2)
        case "yaml":
            yield _yaml(rows)
        case "csv":
            yield from _csv(rows)
        case "value":
            for row in rows:
                yield " ".join(_cell(value) for value in row.values())
        case _:
            if rows:
                table(list(rows[0]), [[_cell(value) for value in row.values()] for row in rows])


def _yaml(data: Any) -> str:
    # Imported here: the library is slow to import, and few commands use it.
    import yaml

    return str(yaml.safe_dump(data, sort_keys=False, allow_unicode=True)).rstrip("\n")


def _csv(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    if rows:
        writer.writerow(rows[0])
    writer.writerows([_cell(value) for value in row.values()] for row in rows)
    if rows:
        yield buffer.getvalue().rstrip("\n")
