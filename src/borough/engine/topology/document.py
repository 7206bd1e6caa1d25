"""Topology files: YAML or JSON text, or the mapping that it would hold, to a :class:`Topology`.

All problems of a file are collected, each with its line and field, and reported together.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from borough.domain.declared.records import Host, Subnet
from borough.domain.declared.topology import Topology
from borough.engine.topology.reader import Reader
from borough.engine.topology.tree_reader import TopologyProblem
from borough.engine.topology.yaml_tree import SIZE_LIMIT, Node, Unreadable, read_tree, tree_of
from borough.errors import InvalidTopology

T = TypeVar("T")

#: Problems reported at once.
PROBLEMS: Final = 50


def load_topology(
    source: str | os.PathLike[str] | Mapping[str, Any], *, name: str | None = None
) -> Topology:
    """Read a topology from a file, or from the mapping that a file would hold.

    :param name: use this name instead of the one in the file.
    :raises InvalidTopology: ``detail['problems']`` lists line, field and reason of each problem.
    """
    if not isinstance(source, str | os.PathLike):
        return _parse(lambda: tree_of(source), "", name)
    path = Path(source)
    try:
        with path.open("rb") as file:
            # Read and not asked for its size: a pipe has none, and some devices never end.
            data = file.read(SIZE_LIMIT + 1)
        if len(data) > SIZE_LIMIT:
            raise _invalid(
                str(path), [TopologyProblem(None, "", f"larger than {SIZE_LIMIT} bytes")]
            )
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        reason = f"not UTF-8 text: {error.reason}"
        raise _invalid(str(path), [TopologyProblem(line, "", reason)]) from None
    except (OSError, ValueError) as error:
        what = error.strerror if isinstance(error, OSError) else str(error)
        raise _invalid(str(path), [TopologyProblem(None, "", f"cannot be read: {what}")]) from None
    return parse_topology_text(text, filename=str(path), name=name)


def parse_topology_text(
    text: str, *, filename: str = "<text>", name: str | None = None
) -> Topology:
    """Read a topology from text; see :func:`load_topology`."""
    return _parse(lambda: read_tree(text), filename, name)


def read_subnet(entry: Mapping[str, Any]) -> Subnet:
    """Read the entry of one subnet.

    :raises InvalidTopology: as :func:`load_topology`.
    """
    return _read(lambda reader: reader.subnet(tree_of(entry), ""))


def read_host(name: str, entry: Mapping[str, Any]) -> Host:
    """Read the entry of one host.

    :raises InvalidTopology: as :func:`load_topology`.
    """
    return _read(lambda reader: next(iter(reader.hosts(tree_of({name: entry}), "")), None))


def _invalid(filename: str, problems: Sequence[TopologyProblem]) -> InvalidTopology:
    ordered = sorted(problems, key=lambda problem: problem.line or 0)
    line, field, reason = ordered[0]
    place = f"{filename}:{line}: " if line else f"{filename}: " if filename else ""
    rest = len(ordered) - 1
    more = f" (and {rest} more problem{'s' if rest > 1 else ''})" if rest else ""
    return InvalidTopology(
        place + (f"{field}: " if field else "") + reason + more,
        file=filename or None,
        problems=[problem._asdict() for problem in ordered[:PROBLEMS]],
    )


def _parse(tree: Callable[[], Node], filename: str, name: str | None) -> Topology:
    return _read(lambda reader: reader.topology(tree(), name), filename)


def _read(read: Callable[[Reader], T | None], filename: str = "") -> T:
    reader = Reader()
    try:
        found = read(reader)
    except Unreadable as error:
        raise _invalid(filename, [TopologyProblem(error.line, error.field, error.reason)]) from None
    if reader.problems or found is None:
        raise _invalid(filename, reader.problems)
    return found
