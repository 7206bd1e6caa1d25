"""YAML with line numbers: a tree in which every value knows where it stands.

Scalars keep their text, so that ``segment: 101`` is the label ``101`` and ``zone: no`` is not false.
Anchors, tags of one's own and several documents are refused: a topology has no use for them, and an
expanded anchor can be larger than any file.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml

#: Largest file, in bytes.
SIZE_LIMIT: Final = 64 * 1024 * 1024

#: Deepest nesting; a topology needs five.
DEPTH_LIMIT: Final = 20

_TOO_DEEP: Final = f"nested deeper than {DEPTH_LIMIT} levels"
_C_PARSER_TOO_DEEP: Final = "exceeded maximum nesting depth"

#: Most characters of a key or a value that a message repeats.
_SHOWN: Final = 80

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CORE_TAGS: Final = {
    f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq")
}
_TEXT_TAG: Final = "tag:yaml.org,2002:str"
_NULLS: Final = frozenset(("", "~", "null", "Null", "NULL"))

# What YAML 1.1 and 1.2 call printable (section 5.1); the rest of Unicode includes lone surrogates,
# which make the C parser raise an error that is not its own.
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,300})(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)


@dataclass(slots=True)
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


@dataclass(slots=True)
class _Open:
    """A mapping or a list that has not ended yet, or the whole document.

    :ivar key: of a mapping, the key that waits for its value.
    :ivar key_line: where that key stands.
    """

    node: Node
    key: str | None = None
    key_line: int = 0


def read_tree(text: str) -> Node:
    """Parse YAML (or JSON, which is YAML).

    :raises Unreadable: for text that is not, or that uses what is refused.
    """
    bad = _UNPRINTABLE.search(text)
    if bad:
        line = text.count("\n", 0, bad.start()) + 1
        raise Unreadable(line, "", f"character U+{ord(bad[0]):04X} is not allowed")
    try:
        return _build(text)
    except yaml.MarkedYAMLError as error:
        mark: Any = error.problem_mark or error.context_mark
        at: int | None = mark.line + 1 if mark else None
        # The C parser has a limit of its own since libyaml 0.2.6, and reads a line of brackets up to it
        # before it gives out the first: one fault, one message, whatever version reads it.
        if error.problem == _C_PARSER_TOO_DEEP:
            raise Unreadable(at, "", _TOO_DEEP) from None
        raise Unreadable(at, "", f"not YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise Unreadable(None, "", f"not YAML: {str(error).splitlines()[0]}") from None


def _build(text: str) -> Node:
    # The events are read one by one, and not composed into a tree by the parser: it would recurse
    # into a million brackets, and follow the anchors, before anybody could look.
    document = _Open(Node([], 1, ""))
    stack = [document]
    documents = 0
    events: Iterator[Any] = yaml.parse(text, Loader=_Loader)
    for event in events:
        line = event.start_mark.line + 1
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise Unreadable(line, "", "a second document starts here; a file holds one")
        elif isinstance(event, yaml.CollectionEndEvent):
            stack.pop()
        elif isinstance(event, yaml.NodeEvent):
            _check_event(event, line, stack)
            _place(event, line, stack)
    found: list[Node] = document.node.value
    return found[0] if found else Node(None, 1, "")


def _check_event(event: Any, line: int, stack: Sequence[_Open]) -> None:
    path = _path(stack[-1])
    if event.anchor is not None:
        raise Unreadable(line, path, "anchors and aliases are not allowed")
    if event.tag is not None and event.tag not in _CORE_TAGS:
        raise Unreadable(line, path, f"tag {shorten(event.tag)} is not allowed")
    if len(stack) > DEPTH_LIMIT:
        raise Unreadable(line, path, _TOO_DEEP)


def _place(event: Any, line: int, stack: list[_Open]) -> None:
    """Add a value to what is open, or remember it as the key of the next one."""
    parent = stack[-1]
    container = parent.node.value
    waits_for_key = isinstance(container, dict) and parent.key is None
    if waits_for_key:
        parent.key, parent.key_line = _key(event, line, parent), line
        return
    # A value of a mapping is reported where its key stands: its own mark may be further down.
    line = line if parent.key is None else parent.key_line
    node = _node(event, line, _path(parent))
    if isinstance(container, dict):
        container[parent.key] = node
        parent.key = None
    else:
        container.append(node)
    if isinstance(node.value, dict | list):
        stack.append(_Open(node))


def _key(event: Any, line: int, parent: _Open) -> str:
    if not isinstance(event, yaml.ScalarEvent):
        raise Unreadable(line, parent.node.field, "a key must be text")
    key: str = event.value
    path = _join(parent.node.field, key)
    if key == "<<" and not event.style:
        raise Unreadable(line, path, "merge keys are not allowed")
    if key in parent.node.value:
        raise Unreadable(line, path, f"{shorten(key)!r} stands here twice")
    return key


def _node(event: Any, line: int, path: str) -> Node:
    if isinstance(event, yaml.MappingStartEvent):
        return Node({}, line, path)
    if isinstance(event, yaml.SequenceStartEvent):
        return Node([], line, path)
    # The style of a plain scalar is '' from the C parser and None from the other.
    plain = not event.style and event.tag != _TEXT_TAG
    return Node(None if plain and event.value in _NULLS else event.value, line, path, plain)


def _path(parent: _Open) -> str:
    """The path of the next value."""
    if isinstance(parent.node.value, dict):
        return parent.node.field if parent.key is None else _join(parent.node.field, parent.key)
    at = len(parent.node.value)
    return f"{parent.node.field}[{at}]" if parent.node.field else ""


def _join(path: str, key: str) -> str:
    return f"{path}.{shorten(key)}" if path else shorten(key)


def shorten(text: str, limit: int = _SHOWN) -> str:
    """A text cut to what a message can repeat.

    :param limit: most characters.
    """
    return text if len(text) <= limit else text[: limit - 1] + "…"


def tree_of(value: Any, field: str = "", depth: int = 0) -> Node:
    """The tree of a value that did not come from a file.

    :raises Unreadable: for keys that are no text, or nesting without end.
    """
    if depth > DEPTH_LIMIT:
        raise Unreadable(None, field, _TOO_DEEP)
    # Most values; a test for an abstract class takes ten times as long.
    if value is None or isinstance(value, str | int):
        return Node(value, None, field)
    if isinstance(value, Mapping):
        found = {}
        for key, each in value.items():
            if not isinstance(key, str):
                raise Unreadable(None, field, f"key {shorten(repr(key))} must be text")
            found[key] = tree_of(each, _join(field, key), depth + 1)
        return Node(found, None, field)
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        items = [tree_of(each, f"{field}[{at}]", depth + 1) for at, each in enumerate(value)]
        return Node(items, None, field)
    return Node(value, None, field)


def plain_value(node: Node) -> Any:
    """A node as plain JSON data.

    Of what stands without quotes only JSON's own spellings are a number, true, false or null:
    ``no``, ``0x1f``, ``1_000``, ``nan`` and ``00501`` stay the text that they are.
    """
    if isinstance(node.value, dict):
        return {key: plain_value(each) for key, each in node.value.items()}
    if isinstance(node.value, list):
        return [plain_value(each) for each in node.value]
    return _unquoted(node.value) if node.plain and node.value is not None else node.value


def _unquoted(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    number = _NUMBER.fullmatch(text)
    if not number:
        return text
    if number[2] is None and number[3] is None:
        return int(text)
    # A number beyond what a double holds would come back as infinity, which JSON cannot say.
    return float(text) if math.isfinite(float(text)) else text
