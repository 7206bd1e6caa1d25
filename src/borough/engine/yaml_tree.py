"""YAML with line numbers: a tree in which every value knows where it stands.

Scalars keep their text, so that ``segment: 101`` is the label ``101`` and ``zone: no`` is not false.
Anchors, tags and several documents are refused: a topology has no use for them, and an expanded anchor
can be larger than any file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml

#: Largest file, in bytes.
SIZE_LIMIT: Final = 64 * 1024 * 1024

#: Deepest nesting; a topology needs five.
DEPTH_LIMIT: Final = 20

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PLAIN_TAGS: Final = {
    f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "timestamp")
}


@dataclass(frozen=True, slots=True)
class Node:
    """A value and where it stands.

    :ivar value: a dict of nodes by key, a list of nodes, a scalar, or None.
    :ivar line: line number, from 1; None when the value did not come from a file.
    :ivar field: path from the top, such as ``subnets[3].cidr``.
    :ivar plain: whether a scalar was written without quotes.
    """

    value: Any
    line: int | None
    field: str
    plain: bool = False


class Unreadable(Exception):
    """Something in the text that no tree can be made of."""

    def __init__(self, line: int | None, field: str, reason: str) -> None:
        super().__init__(reason)
        self.line = line
        self.field = field
        self.reason = reason


def read_tree(text: str) -> Node:
    """Parse YAML (or JSON, which is YAML).

    :raises Unreadable: for text that is not, or that uses what is refused.
    """
    if "\0" in text:
        raise Unreadable(text[: text.index("\0")].count("\n") + 1, "", "a NUL character")
    try:
        for event in yaml.parse(text, Loader=_Loader):
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                raise Unreadable(
                    event.start_mark.line + 1, "", "anchors and aliases are not allowed"
                )
        top = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        raise Unreadable(line, "", f"not YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise Unreadable(None, "", f"not YAML: {str(error).splitlines()[0]}") from None
    except RecursionError:
        raise Unreadable(None, "", "nested too deep") from None
    if top is None:
        return Node(None, 1, "")
    return _node(top, "", 0)


def _node(raw: yaml.Node, field: str, depth: int) -> Node:
    line = raw.start_mark.line + 1
    if depth > DEPTH_LIMIT:
        raise Unreadable(line, field, "nested too deep")
    if isinstance(raw, yaml.ScalarNode):
        plain = raw.style is None
        if raw.tag not in _PLAIN_TAGS:
            raise Unreadable(line, field, f"tag {raw.tag} is not allowed")
        empty = plain and raw.tag.endswith(":null")
        return Node(None if empty else raw.value, line, field, plain)
    if isinstance(raw, yaml.SequenceNode):
        items = [_node(each, f"{field}[{at}]", depth + 1) for at, each in enumerate(raw.value)]
        return Node(items, line, field)
    found: dict[str, Node] = {}
    for key, value in raw.value:
        at = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise Unreadable(at, field, "a key must be text")
        path = f"{field}.{key.value}" if field else key.value
        if key.value in found:
            raise Unreadable(at, path, f"{key.value!r} stands here twice")
        node = _node(value, path, depth + 1)
        # A nested value is reported where its key stands: its own mark may be a line further down.
        found[key.value] = Node(node.value, at, path, node.plain)
    return Node(found, line, field)


def tree_of(value: Any, field: str = "", depth: int = 0) -> Node:
    """The tree of a value that did not come from a file.

    :raises Unreadable: for keys that are no text, or nesting without end.
    """
    if depth > DEPTH_LIMIT:
        raise Unreadable(None, field, "nested too deep")
    if isinstance(value, Mapping):
        found = {}
        for key, each in value.items():
            if not isinstance(key, str):
                raise Unreadable(None, field, f"key {key!r} must be text")
            found[key] = tree_of(each, f"{field}.{key}" if field else key, depth + 1)
        return Node(found, None, field)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        items = [tree_of(each, f"{field}[{at}]", depth + 1) for at, each in enumerate(value)]
        return Node(items, None, field)
    return Node(value, None, field)


def plain_value(node: Node) -> Any:
    """A node as plain JSON data, scalars read as YAML 1.2's core schema reads them."""
    if isinstance(node.value, dict):
        return {key: plain_value(each) for key, each in node.value.items()}
    if isinstance(node.value, list):
        return [plain_value(each) for each in node.value]
    if not (node.plain and isinstance(node.value, str)):
        return node.value
    if node.value in ("true", "false"):
        return node.value == "true"
    for read in (int, float):
        try:
            return read(node.value)
        except ValueError:
            continue
    return node.value
