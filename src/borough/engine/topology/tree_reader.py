"""The shapes of a tree, mappings, lists and single values, with a list of all that is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple, TypeVar

from borough.domain.declared.lookup import did_you_mean
from borough.engine.topology.yaml_tree import Node, shorten
from borough.errors import FixInput

T = TypeVar("T")

#: Most characters of a reason.
_REASON: Final = 500


class TopologyProblem(NamedTuple):
    """A problem at one place of a topology.

    :ivar line: from 1; None when it is not known, or there are no lines.
    :ivar field: path from the top; empty for the file itself.
    """

    line: int | None
    field: str
    reason: str


class TreeReader:
    """Reads mappings, lists and single values, and collects what is wrong with them."""

    def __init__(self) -> None:
        self.problems: list[TopologyProblem] = []

    def problem(self, node: Node, reason: str) -> None:
        """Note a problem."""
        # Cut, because a reason repeats the value, which may be as long as the file.
        self.problems.append(TopologyProblem(node.line, node.field, shorten(reason, _REASON)))

    @contextmanager
    def at(self, node: Node) -> Iterator[None]:
        """Note what is raised inside as a problem of a node."""
        try:
            yield
        except FixInput as error:
            self.problem(node, error.message)

    def mapping(self, node: Node | None) -> dict[str, Node]:
        """A mapping with keys of the caller's own; nothing in place of a wrong or missing one."""
        if node is None:
            return {}
        if isinstance(node.value, dict):
            return node.value
        # Nothing after the colon is more likely an accident than a wish to have all removed.
        empty = "is empty; write {} for none, or leave it out"
        self.problem(node, empty if node.value is None else "must be a mapping")
        return {}

    def fields(self, node: Node, known: Sequence[str]) -> dict[str, Node]:
        """A mapping, without the keys that nobody knows."""
        found = self.mapping(node)
        for key, value in found.items():
            if key not in known:
                hint = did_you_mean(key, known) or f"; known are {', '.join(known)}"
                self.problem(value, f"unknown field {shorten(key)!r}{hint}")
        return {key: value for key, value in found.items() if key in known}

    def items(self, node: Node | None) -> list[Node]:
        """A list; nothing in place of a wrong or missing one."""
        if node is None:
            return []
        if isinstance(node.value, list):
            return node.value
        empty = "is empty; write [] for none, or leave it out"
        self.problem(node, empty if node.value is None else "must be a list")
        return []

    def read(
        self, fields: Mapping[str, Node], key: str, parse: Callable[[Any], T], default: T
    ) -> T:
        """One scalar field, parsed; the default when it is not there or is wrong."""
        node = fields.get(key)
        if node is None:
            return default
        try:
            if node.value is None:
                raise FixInput("is empty; leave it out, or give a value")
            if isinstance(node.value, dict | list):
                raise FixInput("must be a single value")
            return parse(node.value)
        except FixInput as error:
            self.problem(node, error.message)
            return default

    def required(self, node: Node, fields: Mapping[str, Node], key: str) -> None:
        """Note a field that is missing, as a problem of the whole object."""
        if key not in fields and isinstance(node.value, dict | None):
            self.problem(node, f"{key} is missing")
